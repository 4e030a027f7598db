"""Payoff of a structure on one underlying: its profit at any price and day, break-evens, and the most it can make and lose.

At the expiry of legs that all end together the payoff is made of straight lines, and everything is worked out from their corners,
exactly. Before it, and where legs of several expiries stand side by side (a calendar at its first expiry), values are the model's and
roots and extremes are searched for. Called by tickets, the chain and the what-if; dollars, before fees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing.european import DAYS_A_YEAR, FloatArray
from engine.pricing.scenarios import Legs, counted_from, values

WIDE = 12.0
"""Standard deviations on each side of the spot within which the search looks for roots and extremes."""
STEPS = 1200
"""Pieces of that range; a hump narrower than one of them may be missed."""
PARTS = 64
"""Into which a bracket is cut at each round: one batch of prices costs hardly more than one price."""
ROOT_ROUNDS, TURN_ROUNDS = 9, 6
FLAT = 1e-9
"""A slope of fewer dollars than this per dollar and share is none."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a structure is, in figures. Dollars for the whole of it."""

    days: float
    """Calendar days from now to the moment it is looked at."""
    exact: bool
    """Worked out from straight lines; else searched for."""
    break_evens: tuple[float, ...]
    """Prices of the underlying with no profit and no loss, rising; where there is none over a stretch, its two ends."""
    max_profit: float
    """inf: without bound, as the underlying rises."""
    max_profit_at: float
    """The price at which it is reached first; inf where it is without bound."""
    max_loss: float
    """Least profit, negative when there is a loss; -inf: without bound."""
    max_loss_at: float

    @property
    def unbounded(self) -> str:
        """What has no bound, in words; empty where everything has."""
        names = [name for name, amount in (("profit", self.max_profit), ("loss", self.max_loss)) if abs(amount) == inf]
        return " and ".join(names)


def expiry_days(book: Legs) -> float:
    """Calendar days to the first expiry among the legs; 0 for shares alone."""
    times = book.t[~book.is_share]
    return float(times.min() * DAYS_A_YEAR) if times.size else 0.0


def profit(book: Legs, spot: ArrayLike, days: float | None = None) -> FloatArray:
    """Profit at these prices of the underlying, `days` from now (None: at the first expiry). Shape of `spot`."""
    _one_underlying(book)
    days = expiry_days(book) if days is None else days
    each = values(book, spot, days) - _column(counted_from(book), np.ndim(spot))
    total: FloatArray = (_column(book.units, np.ndim(spot)) * each).sum(axis=0)
    return total


def outline(book: Legs, days: float | None = None) -> Outline:
    """Break-evens and extremes `days` from now; None: at the first expiry.

    Raises ValueError for legs of several underlyings.
    """
    _one_underlying(book)
    first = expiry_days(book)
    days = first if days is None else days
    ended = book.is_share | (book.t * DAYS_A_YEAR <= days + 1e-9)
    return _corners(book, days) if ended.all() else _searched(book, days)


def _corners(book: Legs, days: float) -> Outline:
    """All legs are over (or shares): straight lines between the strikes."""
    corners = np.unique(np.concatenate(([0.0], book.strike[~book.is_share])))
    at = profit(book, corners, days)
    at = np.where(np.abs(at) <= dust(book), 0.0, at)
    slope = _slope_at_the_top(book, days)
    roots: list[float] = []
    for place, (left, here) in enumerate(zip(corners.tolist(), at.tolist(), strict=True)):
        last = place == len(corners) - 1
        if here == 0:
            before = place > 0 and at[place - 1] == 0
            after = slope == 0 if last else at[place + 1] == 0
            if not (before and after):  # the middle of a stretch of nothing is no break-even
                roots.append(left)
        elif last:
            if here * slope < 0:
                roots.append(left - here / slope)
        elif here * at[place + 1] < 0:
            right, there = float(corners[place + 1]), float(at[place + 1])
            roots.append(left + (right - left) * here / (here - there))
    return _outline(days, True, roots, corners, at, slope)


def _searched(book: Legs, days: float) -> Outline:
    """Some legs are still alive: the model's values on a fine grid, then refined between its points."""
    spot = float(book.spot[0])
    alive = ~book.is_share
    deviation = float(np.max(book.vol[alive] * np.sqrt(np.maximum(book.t[alive], days / DAYS_A_YEAR))))
    reach = np.clip(WIDE * deviation, 0.05, 3.0)
    strikes = book.strike[alive]
    low, high = min(spot, strikes.min()) * np.exp(-reach), max(spot, strikes.max()) * np.exp(reach)
    grid = np.unique(np.concatenate(([0.0], np.geomspace(low, high, STEPS), strikes)))
    at = profit(book, grid, days)
    slope = _slope_at_the_top(book, days)
    signs = np.flatnonzero((at[:-1] * at[1:]) < 0)
    roots = _bisected(book, days, grid[signs], grid[signs + 1])
    roots = np.concatenate((roots, grid[at == 0]))
    peaks = np.flatnonzero((at[1:-1] >= at[:-2]) & (at[1:-1] >= at[2:])) + 1
    troughs = np.flatnonzero((at[1:-1] <= at[:-2]) & (at[1:-1] <= at[2:])) + 1
    turns = np.concatenate(
        [_turned(book, days, grid[found - 1], grid[found + 1], sign) for found, sign in ((peaks, 1.0), (troughs, -1.0))]
    )
    points = np.concatenate((grid, turns))
    order = np.argsort(points)
    points = points[order]
    return _outline(days, False, sorted(float(root) for root in roots), points, profit(book, points, days), slope)


def _outline(days: float, exact: bool, roots: list[float], points: FloatArray, at: FloatArray, slope: float) -> Outline:
    """`points` hold every bounded extreme; `slope` is the profit's beyond the last of them, dollars per dollar."""
    best, worst = int(np.argmax(at)), int(np.argmin(at))
    return Outline(
        days=days,
        exact=exact,
        break_evens=tuple(roots),
        max_profit=inf if slope > 0 else float(at[best]),
        max_profit_at=inf if slope > 0 else float(points[best]),
        max_loss=-inf if slope < 0 else float(at[worst]),
        max_loss_at=inf if slope < 0 else float(points[worst]),
    )


def _slope_at_the_top(book: Legs, days: float) -> float:
    """Dollars of profit per dollar of the underlying, far above every strike. A European call that still lives follows the
    underlying only by what is not paid out on the way; an American one is exercised."""
    t = np.maximum(book.t - days / DAYS_A_YEAR, 0.0)
    follows = np.where(book.american, np.maximum(np.exp(-book.carry * t), 1.0), np.exp(-book.carry * t))
    shares = np.where(book.is_share, 1.0, np.where(book.is_call, follows, 0.0))
    slope = float((book.units * shares).sum())
    return 0.0 if abs(slope) <= FLAT * float(np.abs(book.units).sum()) else slope


def dust(book: Legs) -> float:
    """Dollars that rounding may leave of nothing."""
    return 1e-12 * float((np.abs(book.units) * (book.spot + book.strike)).sum())


def _bisected(book: Legs, days: float, low: FloatArray, high: FloatArray) -> FloatArray:
    """Roots between pairs of prices with opposite signs, all at once: each round keeps one of `PARTS` parts, to the last bit."""
    shares = np.linspace(0.0, 1.0, PARTS + 1)
    for _ in range(ROOT_ROUNDS if low.size else 0):
        points = low[:, None] + (high - low)[:, None] * shares
        points[:, -1] = high
        positive = profit(book, points, days) > 0
        changes = np.argmax(positive[:, 1:] != positive[:, :1], axis=1)
        rows = np.arange(len(low))
        low, high = points[rows, changes], points[rows, changes + 1]
    return 0.5 * (low + high)


def _turned(book: Legs, days: float, low: FloatArray, high: FloatArray, sign: float) -> FloatArray:
    """Highest (sign 1) or lowest (-1) points between pairs of prices around them: each round keeps two parts of `PARTS`."""
    shares = np.linspace(0.0, 1.0, PARTS + 1)
    for _ in range(TURN_ROUNDS if low.size else 0):
        points = low[:, None] + (high - low)[:, None] * shares
        best = np.argmax(sign * profit(book, points, days), axis=1)
        rows = np.arange(len(low))
        low, high = points[rows, np.maximum(best - 1, 0)], points[rows, np.minimum(best + 1, PARTS)]
    return 0.5 * (low + high)


def _column(values_: NDArray[np.float64], ndim: int) -> FloatArray:
    return values_.reshape(-1, *(1,) * ndim)


def _one_underlying(book: Legs) -> None:
    if len(book) == 0 or np.unique(book.spot).size != 1:
        raise ValueError("a payoff is drawn over one underlying: every leg needs the same spot")
