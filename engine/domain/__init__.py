"""The words of the trade: values, signals, facts, entities, commands and views. Imports nothing of ours."""
