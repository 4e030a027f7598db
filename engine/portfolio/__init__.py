"""Hold: positions, the account, marks, attribution and settlement. Pure."""
