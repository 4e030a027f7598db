"""Risk: what may be bought, how much of it, and why not. Pure functions over values; one order path, no way around."""
