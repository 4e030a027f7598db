"""What the simulated market makers show around a fair value: bid and ask in whole ticks, sizes, interest, volume.

Spreads grow with price and depth in the money, for later expiries, less liquid symbols, and around the open and close.
"""

from __future__ import annotations

from math import exp

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import FloatArray
from engine.market.noise import normals, pairs
from engine.market.universe import Traits

TICKS = 100.0
"""Ticks in a dollar: everything simulated is quoted in cents."""

_ROUNDING = 1e-7
"""Ticks: a price this near the grid is on it."""


def busy_factor(minutes_open: float, minutes_left: float) -> float:
    """Width of spreads by the time of day: 1 at noon, more after the open and before the close, double after it."""
    if minutes_left <= 0:
        return 2.0
    return 1.0 + exp(-minutes_open / 6.0) + 0.4 * exp(-minutes_left / 5.0)


def tenor_factor(days: FloatArray) -> FloatArray:
    """Width of spreads by calendar days to expiry."""
    factor: FloatArray = np.select([days <= 7, days <= 60], [1.0, 1.4], 2.0)
    return factor


def touch(
    fair: FloatArray, inside: FloatArray, width: FloatArray | float, spread_factor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(bid, ask) in dollars on the tick grid; a bid below one tick is NaN: nobody bids. `inside`: dollars in the
    money."""
    half = 0.5 * width * spread_factor * (0.01 + 0.006 * fair + 0.002 * inside)
    half = np.maximum(half, 0.5 / TICKS)
    bid = np.floor((fair - half) * TICKS + _ROUNDING)
    ask = np.ceil((fair + half) * TICKS - _ROUNDING)
    return np.where(bid >= 1.0, bid, np.nan) / TICKS, ask / TICKS


def sizes(
    source: NDArray[np.uint64], slot: int, away: FloatArray, depth: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Displayed contracts at bid and ask, at least one. They change with `slot`."""
    usual = depth * (0.15 + 0.85 / (1.0 + away * away))
    bid, ask = pairs(source, np.array([slot], dtype=np.uint64))
    bid = usual * (0.2 + 1.6 * bid) + 1.0
    ask = usual * (0.2 + 1.6 * ask) + 1.0
    return bid.astype(np.int64), ask.astype(np.int64)


def interest(
    source: NDArray[np.uint64], strike: FloatArray, away: FloatArray, days: FloatArray, traits: Traits
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(open interest, contracts traded in a whole day): most near the money, on round strikes and for near expiries."""
    kind = np.where(strike % (traits.step * 10) == 0, 3.0, np.where(strike % (traits.step * 5) == 0, 1.8, 1.0))
    near = np.exp(-0.35 * np.abs(away)) * kind
    crowd = np.exp(0.6 * normals(source, np.full(1, 2**63, dtype=np.uint64)))
    held = 22.0 * traits.depth * near * crowd
    turnover = np.select([days <= 0, days <= 1, days <= 7], [4.0, 1.5, 0.6], 0.15)
    return held.astype(np.int64) + 5, (held * turnover).astype(np.int64)
