"""What each command of the command line does; `app/cli.py` only parses and prints."""
