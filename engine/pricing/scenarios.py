"""Scenarios: what a book makes, and how it is exposed, over a grid of spot moves, vol moves and days ahead.

Full revaluation of every leg at every point of the grid, no Taylor series. Legs of several expiries, underlyings and
styles, and shares, may stand side by side. Called by the desk's what-if and by reports; it knows no position and no quote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing import styles
from engine.pricing.american import Boundaries
from engine.pricing.european import DAYS_A_YEAR, FloatArray
from engine.pricing.european import greeks as european_greeks

BoolArray = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)

LEAST_VOL = 1e-4
"""A vol shock never takes a leg's vol below this."""


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """A book as arrays, one entry per leg (shape L). `legs` makes one from what broadcasts.

    A share is a leg with `is_share`; its strike, t, vol, r, q and style are not looked at.
    """

    spot: FloatArray
    """The underlying's price now, dollars."""
    strike: FloatArray
    """Dollars."""
    t: FloatArray
    """Years to expiry, now."""
    vol: FloatArray
    """Fraction per year; the leg's own, which keeps its strike as the spot moves (sticky strike)."""
    rate: FloatArray
    carry: FloatArray
    """Fractions per year, continuously compounded."""
    is_call: BoolArray
    american: BoolArray
    is_share: BoolArray
    quantity: FloatArray
    """Contracts or shares; negative is short."""
    multiplier: FloatArray
    """Shares a contract stands for; 1 for shares."""
    entry: FloatArray
    """Paid (received) per share, dollars: what profit is counted from. NaN counts from the value now."""
    beta: FloatArray
    """How far this leg's underlying moves when the grid's spot moves by 1."""

    def __len__(self) -> int:
        return len(self.strike)

    @property
    def units(self) -> FloatArray:
        """Signed shares each leg stands for."""
        return self.quantity * self.multiplier


def legs(
    *,
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    vol: ArrayLike,
    quantity: ArrayLike,
    is_call: ArrayLike,
    rate: ArrayLike = 0.0,
    carry: ArrayLike = 0.0,
    american: ArrayLike = True,
    is_share: ArrayLike = False,
    multiplier: ArrayLike = 100.0,
    entry: ArrayLike = np.nan,
    beta: ArrayLike = 1.0,
) -> Legs:
    """Legs from scalars and arrays that broadcast to one length. Raises ValueError for what is not one-dimensional, and for a
    price, time, vol, quantity or multiplier that is not finite or has the wrong sign."""
    floats = [spot, strike, t, vol, rate, carry, quantity, multiplier, entry, beta]
    flags = [is_call, american, is_share]
    arrays = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(one, np.float64)) for one in floats),
        *(np.atleast_1d(np.asarray(one, np.bool_)) for one in flags),
    )
    if arrays[0].ndim != 1:
        raise ValueError("legs are one-dimensional: one entry per leg")
    arrays = tuple(one.copy() for one in arrays)
    share = arrays[12]
    # What a share has no use for still goes through the kernels: an option that is worth its spot and no more.
    strike_, t_, vol_ = (np.where(share, blank, one) for one, blank in zip(arrays[1:4], (1.0, 0.0, 0.2), strict=True))
    for name, one, bad in (
        ("spot", arrays[0], ~(arrays[0] > 0)), ("strike", strike_, ~(strike_ > 0)), ("t", t_, ~(t_ >= 0)), ("vol", vol_, ~(vol_ >= 0)),
        ("multiplier", arrays[7], ~(arrays[7] > 0)), ("quantity", arrays[6], False), ("rate", arrays[4], False),
        ("carry", arrays[5], False), ("beta", arrays[9], False),
    ):  # fmt: skip
        if np.any(bad | ~np.isfinite(one)):
            raise ValueError(f"{name}: every leg needs a finite one{' above 0' if np.any(bad) else ''}")
    return Legs(
        spot=arrays[0], strike=strike_, t=t_, vol=vol_, rate=arrays[4], carry=arrays[5], quantity=arrays[6],
        multiplier=arrays[7], entry=arrays[8], beta=arrays[9], is_call=arrays[10], american=arrays[11], is_share=share,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """Dollars of the whole book at every point, shape (S, V, D): spot moves × vol moves × days."""

    spot_moves: FloatArray
    """(S,) fractions of the spot: -0.02 is 2 % down."""
    vol_moves: FloatArray
    """(V,) fractions of each leg's own vol: 0.2 is a fifth more of it."""
    days: FloatArray
    """(D,) calendar days from now."""
    pnl: FloatArray
    """Against the entries, or the value now where a leg has none."""
    delta: FloatArray
    """Delta dollars: what the book stands for in the grid's underlying, beta-weighted."""
    gamma: FloatArray
    """Change of `delta` for 1 % of the grid's underlying."""
    vega: FloatArray
    """Dollars per vol point, all legs alike."""
    theta: FloatArray
    """Dollars per calendar day."""
    by_leg: FloatArray
    """(L, S, V, D) profit of each leg."""


def scenario(
    book: Legs, spot_moves: Sequence[float], vol_moves: Sequence[float] = (0.0,), days: Sequence[float] = (0.0,)
) -> Scenario:
    """Revalue the book at every point of the grid. A leg that expires on the way is worth its intrinsic value at that point's
    spot and has no time left; a spot never falls below a millionth of itself."""
    moves, vols, ahead = (np.asarray(axis, np.float64) for axis in (spot_moves, vol_moves, days))
    factor = np.maximum(1.0 + book.beta[:, None] * moves, 1e-6)
    spot = book.spot[:, None] * factor
    each = _everywhere(book, spot, vols, ahead)

    def leg(values: NDArray[Scalar]) -> NDArray[Scalar]:
        return values[:, None, None, None]

    units, weighted = leg(book.units), (book.beta[:, None] * spot)[:, :, None, None]
    value, delta, gamma, vega, theta = each.value, each.delta, each.gamma, each.vega, each.theta
    by_leg = units * (value - leg(counted_from(book)))
    return Scenario(
        spot_moves=moves,
        vol_moves=vols,
        days=ahead,
        pnl=by_leg.sum(axis=0),
        delta=(units * delta * weighted).sum(axis=0),
        gamma=(units * gamma * weighted * weighted / 100.0).sum(axis=0),
        vega=(units * vega).sum(axis=0),
        theta=(units * theta).sum(axis=0),
        by_leg=by_leg,
    )


class _Each(NamedTuple):
    """Per share, shape (L, S, V, D)."""

    value: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def _everywhere(book: Legs, spot: FloatArray, vols: FloatArray, ahead: FloatArray) -> _Each:
    """Every leg at every point; `spot` has shape (L, S).

    An exercise boundary does not know the spot: those of American legs are found once for all spot moves.
    """
    vol = np.maximum(book.vol[:, None, None] * (1.0 + vols[:, None]), LEAST_VOL)
    t = np.maximum(book.t[:, None, None] - ahead / DAYS_A_YEAR, 0.0)
    each = _Each(*(np.zeros((*spot.shape, len(vols), len(ahead))) for _ in _Each._fields))
    each.value[:], each.delta[:] = spot[:, :, None, None], 1.0  # what a share is worth; options are put in their places
    american = np.flatnonzero(book.american & ~book.is_share)
    european = np.flatnonzero(~book.american & ~book.is_share)
    terms = [one[:, None, None] for one in (book.strike, book.rate, book.carry, book.is_call)]
    if american.size:
        strike, rate, carry, is_call = (one[american] for one in terms)
        boundaries = Boundaries(strike, t[american], rate, carry, vol[american], is_call)
        for place in range(spot.shape[1]):
            found = boundaries.price_greeks(spot[american, place, None, None])
            for kept, one in zip(each, found, strict=False):
                kept[american, place] = one
    if european.size:
        strike, rate, carry, is_call = (one[european][:, None] for one in terms)
        at = spot[european][:, :, None, None]
        found = european_greeks(at, strike, t[european][:, None], rate, carry, vol[european][:, None], is_call)
        for kept, one in zip(each, found, strict=False):
            kept[european] = one
    return each


def values(book: Legs, spot: ArrayLike, days: float = 0.0) -> FloatArray:
    """Dollars per share of every leg with its underlying at these prices: shape (L, *spot.shape), at `days` from now.

    At a price of 0 a call is worth nothing and a put its strike (discounted where it is European).
    """
    prices = np.asarray(spot, np.float64)

    def leg(one: NDArray[Scalar]) -> NDArray[Scalar]:
        return one.reshape(-1, *(1,) * prices.ndim)

    t = np.maximum(leg(book.t) - days / DAYS_A_YEAR, 0.0)
    none = prices <= 0
    found = styles.price(
        np.where(none, 1.0, prices), leg(book.strike), t, leg(book.rate), leg(book.carry), leg(book.vol), leg(book.is_call), leg(book.american)
    )  # fmt: skip
    # A put on nothing is exercised at once, or kept to the end where money grows by waiting (a rate below zero).
    discount = np.exp(-leg(book.rate) * t)
    discount = np.where(leg(book.american), np.maximum(discount, 1.0), discount)
    worthless = np.where(leg(book.is_call), 0.0, leg(book.strike) * discount)
    return np.where(leg(book.is_share), prices, np.where(none, worthless, found))


def counted_from(book: Legs) -> FloatArray:
    """What each leg's profit is counted from, dollars per share."""
    unknown = np.isnan(book.entry)
    if not unknown.any():
        return book.entry
    now = styles.price(book.spot, book.strike, book.t, book.rate, book.carry, book.vol, book.is_call, book.american)
    return np.where(unknown, np.where(book.is_share, book.spot, now), book.entry)
