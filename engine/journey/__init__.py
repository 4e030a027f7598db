"""The journey of a signal, told in order by `story.py`. Its chapters: hearing, weighing, deciding, entering, approving,
ordering, holding, exiting, and clockwork for what time itself does. `conductor.py` plays it live, `player.py` in replays.
"""
