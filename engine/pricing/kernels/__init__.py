"""Kernels: the loops of pricing, by numpy at once and as machine code when warmed, with the same bits from both.

The app calls `prepare(cache_folder)` and, in a background thread, `warm()`; the desk shows `state()`.
"""

from engine.pricing.kernels.runtime import Serving, State, cool, prepare, state, warm

__all__ = ["Serving", "State", "cool", "prepare", "state", "warm"]
