"""What a person sees, made from what the engine knows: state, marks and quotes in, frozen view rows out.

Pure: no clock, no I/O, nothing kept. The bridge calls these at every flush and compares; replays and doors may too.
"""
