"""Deterministic simulation: the real engine on a virtual clock, with everything around it hostile. One integer is one run."""
