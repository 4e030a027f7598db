"""Probabilities: that a structure makes a profit, and that the underlying touches a price before a day.

Under a distribution of the underlying at one moment: a lognormal around the forward, or one read from a smile. Both are risk-neutral:
what the options' prices say, not a forecast. Called by tickets, the chain and the what-if.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtr

from engine.pricing.payoff import Outline, dust, outline, profit
from engine.pricing.scenarios import Legs

FloatArray = NDArray[np.float64]


class Distribution(Protocol):
    """Of the underlying's price at one moment."""

    def below(self, price: ArrayLike) -> FloatArray:
        """Probability that it is at or below these prices; shape of `price`."""
        ...


@dataclass(frozen=True, slots=True)
class Lognormal:
    """One vol for all strikes. `forward` dollars, `vol` a fraction per year, `t` years."""

    forward: float
    vol: float
    t: float

    def below(self, price: ArrayLike) -> FloatArray:
        at = np.asarray(price, np.float64)
        deviation = self.vol * np.sqrt(max(self.t, 0.0))
        if deviation <= 0:
            return np.where(at >= self.forward, 1.0, 0.0)
        with np.errstate(divide="ignore"):
            d2 = np.where(at > 0, np.log(self.forward / np.maximum(at, 1e-300)), np.inf) / deviation - 0.5 * deviation
        return np.asarray(ndtr(-d2), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Tabulated:
    """Read from a smile: probabilities at rising prices, straight between them, level outside."""

    prices: FloatArray
    probabilities: FloatArray

    def __post_init__(self) -> None:
        rising = np.all(np.diff(self.prices) > 0) and np.all(np.diff(self.probabilities) >= 0)
        inside = self.probabilities.size and self.probabilities[0] >= 0 and self.probabilities[-1] <= 1
        if not (rising and inside):
            raise ValueError("a distribution rises from 0 to 1 over rising prices")

    def below(self, price: ArrayLike) -> FloatArray:
        return np.interp(np.asarray(price, np.float64), self.prices, self.probabilities)


def of_profit(book: Legs, distribution: Distribution, seen: Outline | None = None) -> float:
    """Probability that the structure has made more than nothing at the moment of `seen` (None: at its first expiry).

    `distribution` is that of the same moment. Between break-evens the sign of the profit does not change, so that it is asked
    once in each stretch.
    """
    seen = outline(book) if seen is None else seen
    edges = np.concatenate(([0.0], np.asarray(seen.break_evens, np.float64)))
    top = 2.0 * max(float(edges[-1]), float(book.spot.max()), float(book.strike[~book.is_share].max(initial=0.0)))
    inner = np.concatenate((0.5 * (edges[:-1] + edges[1:]), [0.5 * (edges[-1] + top)]))
    below = np.concatenate((distribution.below(edges), [1.0]))
    below[0] = 0.0
    gains = profit(book, inner, seen.days) > dust(book)
    return float(np.clip(np.diff(below)[gains].sum(), 0.0, 1.0))


def of_touch(
    spot: ArrayLike, barrier: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike
) -> FloatArray:
    """Probability that the underlying trades at `barrier` at least once within `t` years, of the broadcast shape.

    First-passage time of a geometric Brownian motion (Shreve, Stochastic Calculus for Finance II, 7.2), watched without a pause;
    1 where it stands there already, and without any vol 1 only where the drift carries it there.
    """
    s, h, time, rate, carry, sigma = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (spot, barrier, t, r, q, vol))
    )
    time = np.maximum(time, 0.0)
    deviation = sigma * np.sqrt(time)
    safe, variance = np.where(deviation > 0, deviation, 1.0), np.where(sigma > 0, sigma, 1.0) ** 2
    away = np.abs(np.log(h / s))
    # Upwards seen: the drift towards the barrier, whichever side it is on.
    drift = np.where(h >= s, 1.0, -1.0) * (rate - carry - 0.5 * sigma * sigma) * time
    plain = ndtr((drift - away) / safe)
    # exp() may overflow where the normal tail underflows: their product is bounded, and is worked out in logs there.
    power = 2.0 * np.where(time > 0, drift / np.where(time > 0, time, 1.0), 0.0) * away / variance
    mirrored = np.exp(np.minimum(power + log_ndtr(-(away + drift) / safe), 0.0))
    moving = np.minimum(plain + mirrored, 1.0)
    found = np.where(deviation > 0, moving, (drift >= away) & (time > 0))
    return np.where(s == h, 1.0, found)
