"""Implied volatility: the vol at which Black-Scholes-Merton gives a quoted price, many at once.

Called by contract selection and marks. Every answer is either right or NaN with a status that says why: a quote below
intrinsic value, above the bound no vol can reach, or without time value has no vol, and none is made up.

Method: the price is reduced to the out-of-the-money side (parity), normalised by √(forward·strike), and the logarithm of
the normalised Black value is solved for the total vol s = vol·√t. That logarithm is increasing and concave in s, so
Halley steps inside a shrinking bracket converge from any start; a step that would leave the bracket halves it instead.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx

FloatArray = NDArray[np.float64]

MAX_TOTAL_VOL = 16.0
"""Bracket of vol·√t. Prices within `BOUND_FLOOR` of what no vol can reach are refused well before it."""
BOUND_FLOOR = 1e-9
MIN_TOTAL_VOL = 1e-8
TIME_VALUE_FLOOR = 1e-10
"""Time value of an in-the-money option below this share of max(spot, strike) is rounding noise of the quote."""
_SMALLEST_PRICE = 1e-290
"""Below this a float has no full precision left to invert."""
_TOLERANCE = 1e-13
_NOISE = 2e-15
"""Rounding of the logarithm (1 - target bounds its size) and of the difference of two tails: no step can do better."""
_MAX_STEPS = 64
_SQRT_HALF = 0.7071067811865476
_SQRT_2_OVER_PI = 0.7978845608028654
_SQRT_2PI = 2.5066282746310002


class IvStatus(IntEnum):
    """Why there is, or is not, an implied vol."""

    OK = 0
    NOT_A_PRICE = 1
    """The price is negative, or it or another input is missing, not finite or not positive."""
    EXPIRED = 2
    BELOW_INTRINSIC = 3
    NO_TIME_VALUE = 4
    ABOVE_BOUND = 5
    UNSOLVED = 6
    """The search did not end; kept as an answer so that a wrong number never is one."""


class ImpliedVols(NamedTuple):
    vol: FloatArray
    """Fraction per year (0.20), NaN unless the status is OK."""
    status: NDArray[np.int8]
    """`IvStatus` of each contract."""


def implied_vol(
    price: ArrayLike, spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, is_call: ArrayLike
) -> ImpliedVols:
    """Implied vols of option prices (dollars per share). Arguments broadcast to one dimension; units as in `european`."""
    quoted, spots, strikes, years, rates, carries, calls = (
        np.ascontiguousarray(array)
        for array in np.broadcast_arrays(
            np.atleast_1d(np.asarray(price, np.float64)),
            np.asarray(spot, np.float64),
            np.asarray(strike, np.float64),
            np.asarray(t, np.float64),
            np.asarray(r, np.float64),
            np.asarray(q, np.float64),
            np.asarray(is_call, np.bool_),
        )
    )
    vol = np.full(quoted.shape, np.nan)
    status = np.full(quoted.shape, IvStatus.OK, np.int8)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        spot_leg = spots * np.exp(-carries * years)
        cash_leg = strikes * np.exp(-rates * years)
        finite = np.isfinite(quoted + spot_leg + cash_leg) & (quoted >= 0) & (spot_leg > 0) & (cash_leg > 0)
        signed = np.where(calls, spot_leg - cash_leg, cash_leg - spot_leg)
        in_the_money = signed > 0
        time_value = np.where(in_the_money, quoted - signed, quoted)
        floor = np.where(in_the_money, TIME_VALUE_FLOOR * np.maximum(spot_leg, cash_leg), _SMALLEST_PRICE)
        scale = np.sqrt(spot_leg * cash_leg)
        target = time_value / scale
        distance = -np.abs(np.log(spot_leg / cash_leg))
    # The order matters: the last that applies to a contract is its status.
    with np.errstate(invalid="ignore"):
        status[target >= np.exp(0.5 * distance) * (1.0 - BOUND_FLOOR)] = IvStatus.ABOVE_BOUND
        status[time_value <= floor] = IvStatus.NO_TIME_VALUE
        status[time_value < -floor] = IvStatus.BELOW_INTRINSIC
    status[years <= 0] = IvStatus.EXPIRED
    status[~finite | np.isnan(years)] = IvStatus.NOT_A_PRICE
    rows = np.flatnonzero(status == IvStatus.OK)
    if rows.size:
        total, solved = _solve(np.log(target[rows]), distance[rows])
        vol[rows] = total / np.sqrt(years[rows])
        status[rows[solved != IvStatus.OK]] = solved[solved != IvStatus.OK]
    vol[status != IvStatus.OK] = np.nan
    return ImpliedVols(vol, status)


def _solve(log_target: FloatArray, x: FloatArray) -> tuple[FloatArray, NDArray[np.int8]]:
    """Total vols s with ln b(x, s) = log_target, for x = -|ln(forward/strike)|, and their statuses."""
    result = np.full(x.shape, np.nan)
    status = np.full(x.shape, IvStatus.UNSOLVED, np.int8)
    rows = np.arange(x.size)
    low, high = np.full(x.shape, MIN_TOTAL_VOL), np.full(x.shape, MAX_TOTAL_VOL)
    s = _first_guess(log_target, x)
    target = log_target
    for _ in range(_MAX_STEPS):
        gap, slope, curvature = _log_black(x, s, target)
        below = gap < 0
        low = np.where(below, s, low)
        high = np.where(below, high, s)
        newton = gap / slope
        # Halley: the second derivative costs nothing here and saves a step or two.
        damping = 1.0 - 0.5 * newton * curvature
        step = newton / np.where(damping > 0.5, damping, 1.0)
        moved = s - step
        # Only a solver step may end the search: half a bracket can be small without being near the root.
        done = np.abs(step) <= _TOLERANCE * s + _NOISE * (1.0 + (1.0 - target) / slope)
        moved = np.where(done | ((moved > low) & (moved < high)), moved, 0.5 * (low + high))
        if done.any():
            found = rows[done]
            result[found] = moved[done]
            status[found] = IvStatus.OK
            keep = ~done
            if not keep.any():
                break
            rows, x, target, moved, low, high = (
                rows[keep], x[keep], target[keep], moved[keep], low[keep], high[keep]
            )  # fmt: skip
        s = moved
    return result, status


def _log_black(x: FloatArray, s: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ln b - target, its first derivative in s, and second / first derivative, for b(x, s) the normalised Black value.

    Written with erfcx, so that neither the far wing underflows nor the difference of two tails cancels.
    """
    h = x / s
    half = 0.5 * s
    tails = erfcx(-_SQRT_HALF * (h + half)) - erfcx(-_SQRT_HALF * (h - half))
    tails = np.maximum(tails, 1e-300)
    value = np.log(0.5 * tails) - 0.5 * (h * h + half * half)
    slope = _SQRT_2_OVER_PI / tails
    curvature = (h * h - half * half) / s - slope
    return value - target, slope, curvature


def _first_guess(log_target: FloatArray, x: FloatArray) -> FloatArray:
    """A start near the root: the wing's asymptote far out, Brenner-Subrahmanyam near the money."""
    wing = -x / np.sqrt(np.maximum(-2.0 * (log_target + 0.5 * np.log(2 * np.pi)), 0.25))
    near = np.exp(log_target) * _SQRT_2PI - 0.5 * x
    guess = np.maximum(np.minimum(wing * 1.2 + near, near + wing), 1e-7)
    started: FloatArray = np.minimum(np.maximum(guess, MIN_TOTAL_VOL * 2), 12.0)
    return started
