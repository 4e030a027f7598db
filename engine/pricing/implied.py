"""Implied volatility: the vol at which Black-Scholes-Merton gives a quoted price, many at once.

Called by contract selection, marks and the surface. Every answer is either right, to the rounding of price, spot and
strike seen through the vega, or NaN with a status that says why: a quote below intrinsic value, above the bound no vol
can reach, or without time value has no vol, and none is made up. The method stands in `kernels/implied.py`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing.european import all_plain, rows_of_one, spread
from engine.pricing.kernels import implied as kernels

FloatArray = NDArray[np.float64]


class IvStatus(IntEnum):
    """Why there is, or is not, an implied vol."""

    CONVERGED = kernels.CONVERGED
    BAD_INPUT = kernels.BAD_INPUT
    """The price is negative, or it or another input is missing, not finite or not positive."""
    EXPIRED = kernels.EXPIRED
    BELOW_INTRINSIC = kernels.BELOW_INTRINSIC
    """Under what the discounted payoff is worth without any vol."""
    NO_TIME_VALUE = kernels.NO_TIME_VALUE
    ABOVE_BOUND = kernels.ABOVE_BOUND
    """At or over what no vol can reach: the discounted spot for a call, the discounted strike for a put."""
    UNSOLVED = kernels.UNSOLVED
    """The search did not end; kept as an answer so that a wrong number never is one."""
    EXERCISE_REGION = 7
    """American only: the holder exercises at this price, so that every low enough vol gives it."""

    OK = CONVERGED
    NOT_A_PRICE = BAD_INPUT


class ImpliedVols(NamedTuple):
    vol: FloatArray
    """Fraction per year (0.20), NaN unless the status is CONVERGED."""
    status: NDArray[np.int8]
    """`IvStatus` of each contract."""


class ImpliedBand(NamedTuple):
    """All vols that agree with a price known to lie between two."""

    low: FloatArray
    """Fraction per year; 0 where the lower price is low enough for any vol below `high`."""
    high: FloatArray
    """Fraction per year; inf where the upper price is beyond the reach of any vol."""
    status: NDArray[np.int8]
    """CONVERGED where there is a band, else why there is none; then both ends are NaN."""


def implied_vol(
    price: ArrayLike, spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, is_call: ArrayLike
) -> ImpliedVols:
    """Implied vols of option prices (dollars per share). Arguments broadcast, to one dimension at least; units as in
    `european`."""
    if all_plain((price, spot, strike, t, r, q, is_call)):
        vol, status = np.empty(1), np.empty(1, np.int8)
        kernels.IMPLIED(*rows_of_one((price, spot, strike, t, r, q)), np.array([is_call], np.bool_), vol, status)
        return ImpliedVols(vol, status)
    arrays = [np.asarray(each, np.float64) for each in (price, spot, strike, t, r, q)]
    calls = np.asarray(is_call, np.bool_)
    shape = np.broadcast(*arrays, calls).shape or (1,)
    flat = [spread(each, shape) for each in arrays]
    vol, status = np.empty(flat[0].size), np.empty(flat[0].size, np.int8)
    kernels.IMPLIED(*flat, spread(calls, shape), vol, status)
    return ImpliedVols(vol.reshape(shape), status.reshape(shape))


def black76_implied_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, is_call: ArrayLike
) -> ImpliedVols:
    """Implied vols of options on a forward or future."""
    return implied_vol(price, forward, strike, t, r, r, is_call)


def implied_band(
    lower: ArrayLike,
    upper: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    r: ArrayLike,
    q: ArrayLike,
    is_call: ArrayLike,
) -> ImpliedBand:
    """The vols of every price between `lower` and `upper`: a bid and an ask, or a mark less and plus half a tick.

    Where the mid has no vol, or none worth showing, the band still says what is known. There is none only if the inputs
    are bad (also `lower` over `upper`), the contract has expired, the upper price is below intrinsic value, or the lower
    one above the bound.
    """
    lowest, highest = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    # A price under nothing is a bid of nothing.
    below = implied_vol(np.maximum(lowest, 0.0), spot, strike, t, r, q, is_call)
    above = implied_vol(highest, spot, strike, t, r, q, is_call)
    crossed = np.broadcast_to(~(lowest <= highest), below.status.shape)
    status = np.full(below.status.shape, IvStatus.CONVERGED, np.int8)
    # The upper price under intrinsic value by rounding alone (no time value) leaves a band of nothing: it is none too.
    for side, fatal in (
        (above.status, (IvStatus.BELOW_INTRINSIC, IvStatus.NO_TIME_VALUE)),
        (below.status, (IvStatus.ABOVE_BOUND,)),
        (above.status, (IvStatus.UNSOLVED,)),
        (below.status, (IvStatus.UNSOLVED,)),
        (above.status, (IvStatus.EXPIRED, IvStatus.BAD_INPUT)),
        (below.status, (IvStatus.EXPIRED, IvStatus.BAD_INPUT)),
    ):
        for each in fatal:
            status[side == each] = each
    status[crossed] = IvStatus.BAD_INPUT
    found = status == IvStatus.CONVERGED
    low = np.where(below.status == IvStatus.CONVERGED, below.vol, 0.0)
    high = np.where(above.status == IvStatus.CONVERGED, above.vol, np.inf)
    return ImpliedBand(np.where(found, low, np.nan), np.where(found, high, np.nan), status)
