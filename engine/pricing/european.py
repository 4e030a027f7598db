"""Black-Scholes-Merton and Black-76: value and Greeks of European options, many at once.

Called by contract selection, sizing, marks, risk and the scenarios. All arguments broadcast; all arrays are float64 of
the broadcast shape. Units: `spot`, `forward`, `strike` dollars; `t` years; `r`, `q`, `vol` fractions per year,
continuously compounded, of any sign but `vol`. Formulas: Merton 1973, Black 1976; derivatives by hand.

Nothing raises: t ≤ 0 or vol = 0 give the limit (the discounted intrinsic value and its derivatives), NaN in any input and
a negative price, strike or vol give NaN. Values are exact to a few 1e-16 of the larger leg.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing.kernels import european as kernels
from engine.pricing.kernels.runtime import Kernel

FloatArray = NDArray[np.float64]

DAYS_A_YEAR = 365.0


class Units(NamedTuple):
    """What one unit of vol, time and rate is, where a sensitivity is per such a unit."""

    vol: float
    time: float
    rate: float


DESK = Units(vol=0.01, time=1.0 / DAYS_A_YEAR, rate=0.01)
"""As traders read them: per vol point, per calendar day, per 1 % of the rate."""
RAW = Units(vol=1.0, time=1.0, rate=1.0)
"""As formulas and tables have them: per 1.00 of vol, per year, per 1.00 of the rate."""


class GreeksArrays(NamedTuple):
    """Value and sensitivities of one option on one share; units of vol, time and rate are those asked for (`DESK`)."""

    value: FloatArray
    """Dollars per share."""
    delta: FloatArray
    """Per 1.00 of spot."""
    gamma: FloatArray
    """Per 1.00² of spot."""
    vega: FloatArray
    """Per vol point (0.01 of vol)."""
    theta: FloatArray
    """Per calendar day; negative when time costs."""
    rho: FloatArray
    """Per 1 % of the rate."""


class FullGreeks(NamedTuple):
    """`GreeksArrays` and the second derivatives that hedgers use."""

    value: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    """Change of delta per vol point."""
    volga: FloatArray
    """Change of vega per vol point."""
    charm: FloatArray
    """Change of delta per calendar day."""


def price(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Value in dollars per share."""
    return _run(kernels.VALUE, 1, None, spot, strike, t, r, q, vol, is_call)[0]


def greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    r: ArrayLike,
    q: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    *,
    units: Units = DESK,
) -> GreeksArrays:
    """Value and Greeks (see `GreeksArrays` for the units).

    Where vol·√t = 0 gamma and vega are 0, delta is 0 or ±e^(-qt) (half of it exactly at the money forward), and theta
    is the carry alone, which is the limit everywhere but at the money forward, where theta has none.
    """
    return GreeksArrays(*_run(kernels.GREEKS, 6, units, spot, strike, t, r, q, vol, is_call))


def full_greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    r: ArrayLike,
    q: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    *,
    units: Units = DESK,
) -> FullGreeks:
    """Value, Greeks, vanna, volga and charm; without vol·√t the last three are their limits: 0, 0 and the carry's."""
    return FullGreeks(*_run(kernels.FULL, 9, units, spot, strike, t, r, q, vol, is_call))


def black76_price(
    forward: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Value today of an option on a forward or future, in dollars; `r` discounts the payoff."""
    return price(forward, strike, t, r, r, vol, is_call)


def black76_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    r: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    *,
    units: Units = DESK,
) -> GreeksArrays:
    """Greeks with respect to the forward; theta and rho keep the forward where it is."""
    found = greeks(forward, strike, t, r, r, vol, is_call, units=units)
    return found._replace(rho=_black76_rho(found.value, t, units))


def black76_full_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    t: ArrayLike,
    r: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    *,
    units: Units = DESK,
) -> FullGreeks:
    """`black76_greeks` and vanna, volga, charm."""
    found = full_greeks(forward, strike, t, r, r, vol, is_call, units=units)
    return found._replace(rho=_black76_rho(found.value, t, units))


def _black76_rho(value: FloatArray, t: ArrayLike, units: Units) -> FloatArray:
    """The rate only discounts."""
    rho: FloatArray = np.maximum(np.asarray(t, np.float64), 0.0) * value * -units.rate
    return rho


def _run(kernel: Kernel, results: int, units: Units | None, *arguments: ArrayLike) -> list[FloatArray]:
    """Broadcast, run, and give the results the broadcast shape."""
    if all_plain(arguments):
        found = list(np.empty((results, 1)))
        kernel(*rows_of_one(arguments[:-1]), np.array([arguments[-1]], np.bool_), *(units or ()), *found)
        return [each.reshape(()) for each in found]
    arrays = [np.asarray(each, np.float64) for each in arguments[:-1]]
    calls = np.asarray(arguments[-1], np.bool_)
    shape = np.broadcast(*arrays, calls).shape
    flat = [spread(each, shape) for each in arrays]
    found = [np.empty(flat[0].size) for _ in range(results)]
    kernel(*flat, spread(calls, shape), *(units or ()), *found)
    return [each.reshape(shape) for each in found]


_PLAIN = frozenset({float, int, bool, np.float64})


def all_plain(arguments: Iterable[object]) -> bool:
    """Whether all are single numbers: one contract, as tickets and rules ask for. Nothing is to be broadcast."""
    return _PLAIN.issuperset(map(type, arguments))


def rows_of_one(numbers: tuple[ArrayLike, ...]) -> list[FloatArray]:
    """Each number as an array of one, contiguous and writable."""
    return list(np.array(numbers, np.float64).reshape(-1, 1))


def spread(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The array broadcast to the shape, flat, contiguous and writable; no copy where it is so already."""
    if array.ndim == 0:
        flat = np.empty(math.prod(shape), array.dtype)
        flat.fill(array[()])
        return flat
    if array.shape != shape:
        spread_out = np.empty(shape, array.dtype)
        spread_out[...] = array
        return spread_out.reshape(-1)
    if not array.flags.c_contiguous:
        return np.ascontiguousarray(array).reshape(-1)
    # Compiled code takes no read-only view. The interface tells without the warning that the flag gives for some views.
    read_only = array.__array_interface__["data"][1]
    return array.flatten() if read_only else array.reshape(-1)
