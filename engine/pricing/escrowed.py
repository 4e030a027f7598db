"""Contracts of one expiry on a stock with cash dividends, of both styles: value, Greeks and implied vols.

Called where dividends are given with their dates, as by the `price` command. The model is that of `dividends`: the stock less
the present value of what it pays before expiry is lognormal, so that European options are Black-Scholes on that rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.pricing import dividends as cash
from engine.pricing import european
from engine.pricing.dividends import CashDividend, present_value
from engine.pricing.european import DESK, FloatArray, GreeksArrays, Units
from engine.pricing.forward import BoolArray
from engine.pricing.implied import ImpliedVols, IvStatus, implied_vol

_LOW, _HIGH = 0.005, 5.0
"""Vols between which an American price is searched."""
_STEPS = 60
_CLOSE = 1e-7
"""Dollars per dollar of strike: the grid's own error is larger."""


def greeks(
    spot: float,
    strike: FloatArray,
    t: float,
    r: float,
    q: float,
    vol: FloatArray,
    is_call: BoolArray,
    american: bool,
    dividends: Sequence[CashDividend],
    *,
    units: Units = DESK,
) -> GreeksArrays:
    """Value and Greeks (units in `GreeksArrays`); NaN in, NaN out, and where the dividends exceed the spot."""
    if american and t > 0:
        return cash.greeks_with_dividends(spot, strike, t, r, vol, is_call, dividends, q, units=units)
    paid = present_value(dividends, t, r)
    if not spot > paid:
        nothing = np.full(np.broadcast_shapes(np.shape(strike), np.shape(vol)), np.nan)
        return GreeksArrays(*(nothing.copy() for _ in range(6)))
    found = european.greeks(spot - paid, strike, t, r, q, vol, is_call, units=units)
    # While the stock stands still, what it will pay comes nearer; and a higher rate makes it worth less today.
    nearer = sum(each.t * each.amount * np.exp(-r * each.t) for each in dividends if 0.0 < each.t < t)
    return found._replace(
        theta=found.theta - r * paid * found.delta * units.time, rho=found.rho + nearer * found.delta * units.rate
    )


def implied_vols(
    price: FloatArray,
    spot: float,
    strike: FloatArray,
    t: float,
    r: float,
    q: float,
    is_call: BoolArray,
    american: bool,
    dividends: Sequence[CashDividend],
) -> ImpliedVols:
    """Vols of prices, dollars per share; arrays of one shape. American: false position within a bracket on the grid of
    `dividends`, right to its error; statuses as in `implied`."""
    paid = present_value(dividends, t, r)
    if not spot > paid:
        return ImpliedVols(np.full(len(price), np.nan), np.full(len(price), IvStatus.BAD_INPUT, np.int8))
    plain = implied_vol(price, spot - paid, strike, t, r, q, is_call)
    if not american or not t > 0:
        return plain
    vol, status = np.full(len(price), np.nan), plain.status.copy()
    hard = (status == IvStatus.BAD_INPUT) | (status == IvStatus.ABOVE_BOUND)
    rows = np.flatnonzero(~hard)

    def gap(at: FloatArray, which: np.ndarray) -> FloatArray:
        chosen = rows[which]
        value = cash.price_with_dividends(spot, strike[chosen], t, r, at, is_call[chosen], dividends, q)
        return np.asarray(value - price[chosen])

    everything = np.arange(len(rows))
    low, high = np.full(len(rows), _LOW), np.full(len(rows), _HIGH)
    below, above = gap(low, everything), gap(high, everything)
    exercised = np.where(is_call[rows], spot - strike[rows], strike[rows] - spot)
    close = _CLOSE * strike[rows]
    # At the lowest vol the holder exercises at once or never: what that brings is the floor.
    flat = below > -close
    at_exercise = np.abs(price[rows] - exercised) <= close
    status[rows] = np.where(
        flat,
        np.where(
            price[rows] < np.maximum(exercised, 0.0) - close,
            IvStatus.BELOW_INTRINSIC,
            np.where(
                at_exercise,
                IvStatus.EXERCISE_REGION,
                np.where(below > close, IvStatus.BELOW_INTRINSIC, IvStatus.NO_TIME_VALUE),
            ),
        ),
        np.where(above < 0, IvStatus.ABOVE_BOUND, IvStatus.UNSOLVED),
    ).astype(np.int8)
    going = np.flatnonzero(~flat & (above >= 0))
    for _ in range(_STEPS):
        if not len(going):
            break
        a, b, fa, fb = low[going], high[going], below[going], above[going]
        share = np.clip(-fa / (fb - fa), 0.02, 0.98)
        middle = a + share * (b - a)
        found = gap(middle, going)
        done = (np.abs(found) <= close[going]) | (b - a < 1e-9)
        vol[rows[going[done]]] = middle[done]
        status[rows[going[done]]] = IvStatus.CONVERGED
        under = found < 0
        # The end that stays is believed half as much (Illinois), so that neither end stays for ever.
        low[going] = np.where(under, middle, a)
        below[going] = np.where(under, found, 0.5 * fa)
        high[going] = np.where(under, b, middle)
        above[going] = np.where(under, 0.5 * fb, found)
        going = going[~done]
    return ImpliedVols(vol, status)
