"""American and European options on a stock that pays cash dividends before expiry, one expiry at a time.

Called by the chain and by whoever must know what an ex-date does to early exercise. The model is the escrowed one: the
stock less the present value of the dividends still to come before expiry is lognormal with the vol given. So the forward
is the market's, (S - PV)e^((r-q)T), European values are Black's on that forward, and vols implied from European options or
from parity fit without translation. Early exercise pays the stock itself: calls are exercised, if ever, in the last
moment before an ex-date (or at once where `q` > 0), puts after one. Units as in `american`; `q` is what else the stock
yields (borrow), usually 0. By finite differences (`kernels.american_grid`): for one expiry, tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing import european
from engine.pricing.american_tables import flattened
from engine.pricing.european import DESK, RAW, GreeksArrays, Units
from engine.pricing.kernels.american_grid import GRID, LANES

FloatArray = NDArray[np.float64]

NODES = 385
"""Points of the grid."""
STEPS = 96
"""Time steps in all, besides those that smooth after each kink."""
_REACH = 5.5
"""Standard deviations of the grid to either side."""
_SMOOTHING = 4
_VOL_BUMP, _RATE_BUMP = 0.002, 1e-4


class CashDividend(NamedTuple):
    """One dividend. Those at or after expiry, or at or before now, are none."""

    t: float
    """Years to the moment the stock goes ex."""
    amount: float
    """Dollars per share."""


def present_value(dividends: Sequence[CashDividend], t: float, r: float) -> float:
    """What the dividends before `t` are worth now."""
    return float(sum(each.amount * np.exp(-r * each.t) for each in dividends if 0.0 < each.t < t))


def equivalent_yield(spot: float, t: float, r: float, dividends: Sequence[CashDividend], q: float = 0.0) -> float:
    """The continuous yield that gives the same forward: for `american`, where speed matters more than ex-dates do."""
    return q - float(np.log1p(-present_value(dividends, t, r) / spot)) / t


def price_with_dividends(
    spot: float, strike: ArrayLike, t: float, r: float, vol: ArrayLike, is_call: ArrayLike,
    dividends: Sequence[CashDividend], q: float = 0.0,
) -> FloatArray:  # fmt: skip
    """American value in dollars per share; strike, vol and right broadcast. NaN where the dividends exceed the spot."""
    return _grid(spot, strike, t, r, vol, is_call, dividends, q, full=False, units=RAW).value


def greeks_with_dividends(
    spot: float, strike: ArrayLike, t: float, r: float, vol: ArrayLike, is_call: ArrayLike,
    dividends: Sequence[CashDividend], q: float = 0.0, *, units: Units = DESK,
) -> GreeksArrays:  # fmt: skip
    """Value and Greeks; delta and gamma are per dollar of the stock itself. Vega and rho are differences."""
    return _grid(spot, strike, t, r, vol, is_call, dividends, q, full=True, units=units)


def _grid(
    spot: float, strike: ArrayLike, t: float, r: float, vol: ArrayLike, is_call: ArrayLike,
    dividends: Sequence[CashDividend], q: float, *, full: bool, units: Units,
) -> GreeksArrays:  # fmt: skip
    shape, strikes, vols, calls = flattened(strike, vol, flag=is_call)
    escrowed = spot - present_value(dividends, t, r)
    results = [np.full(strikes.size, np.nan) for _ in range(6)]
    exercised = np.maximum(np.where(calls, spot - strikes, strikes - spot), 0.0)
    if not t > 0:
        found = european.greeks(spot, strikes, 0.0, r, q, vols, calls, units=units)
        return GreeksArrays(*(each.reshape(shape) for each in found))
    rows = np.flatnonzero((strikes > 0) & (vols > 0) & np.isfinite(strikes + vols)) if escrowed > 0 else np.arange(0)
    if rows.size:
        k, v, c = strikes[rows], vols[rows], calls[rows]
        plain = european.greeks(escrowed, k, t, r, q, v, c, units=RAW)
        premium, slope, curve, held = _premium(escrowed, k, t, r, q, v, c, dividends)
        value, delta, gamma = plain.value + premium, plain.delta + slope, plain.gamma + curve
        # In the exercise region the grid has the payoff itself; the difference of grids would not see it.
        intrinsic = exercised[rows]
        now = (intrinsic > 0) & (held <= intrinsic * (1.0 + 1e-12))
        value = np.where(now, intrinsic, np.maximum(value, intrinsic))
        # Time moves the escrow too: X = S - PV falls by r·PV a year while S stands still.
        theta = (
            r * value - (r - q) * escrowed * delta - 0.5 * (v * escrowed) ** 2 * gamma - r * (spot - escrowed) * delta
        )
        results[0][rows] = value
        results[1][rows] = np.where(now, np.where(c, 1.0, -1.0), delta)
        results[2][rows] = np.where(now, 0.0, gamma)
        results[4][rows] = np.where(now, 0.0, theta) * units.time
        if full:
            up, down = (_premium(escrowed, k, t, r, q, v + side * _VOL_BUMP, c, dividends)[0] for side in (1, -1))
            vega = plain.vega + (up - down) / (2.0 * _VOL_BUMP)
            up, down = (_value(spot, k, t, r + side * _RATE_BUMP, q, v, c, dividends) for side in (1, -1))
            rho = (up - down) / (2.0 * _RATE_BUMP)
            results[3][rows] = np.where(now, 0.0, vega) * units.vol
            results[5][rows] = np.where(now, 0.0, rho) * units.rate
    return GreeksArrays(*(each.reshape(shape) for each in results))


def _value(
    spot: float, strike: FloatArray, t: float, r: float, q: float, vol: FloatArray, calls: NDArray[np.bool_],
    dividends: Sequence[CashDividend],
) -> FloatArray:  # fmt: skip
    escrowed = spot - present_value(dividends, t, r)
    premium = _premium(escrowed, strike, t, r, q, vol, calls, dividends)[0]
    return european.price(escrowed, strike, t, r, q, vol, calls) + premium


def _premium(
    escrowed: float, strike: FloatArray, t: float, r: float, q: float, vol: FloatArray, calls: NDArray[np.bool_],
    dividends: Sequence[CashDividend],
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Early-exercise premium, its first two derivatives in the escrowed spot, and the grid's own value."""
    lengths, implicit, escrow = _schedule(t, r, dividends)
    put = np.where(calls, -1.0, 1.0)
    step = 2.0 * (_REACH * vol * np.sqrt(t) + abs(r - q) * t) / (NODES - 1)
    one = np.ones_like(vol)
    out = np.empty((6, vol.size))
    GRID(escrowed * one, strike, r * one, q * one, vol, put, step, lengths, implicit, escrow, NODES, LANES, out)
    first = (out[0] - 8.0 * out[1] + 8.0 * out[3] - out[4]) / (12.0 * step * put)
    second = (-out[0] + 16.0 * out[1] - 30.0 * out[2] + 16.0 * out[3] - out[4]) / (12.0 * step * step)
    return np.maximum(out[2], 0.0), first / escrowed, (second - first) / (escrowed * escrowed), out[5]


def _schedule(t: float, r: float, dividends: Sequence[CashDividend]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Backward time steps, their implicit shares, and the escrow at the end of each (before, and with the one gone ex)."""
    coming = sorted((each for each in dividends if 0.0 < each.t < t and each.amount > 0), reverse=True)
    ends = [*(each.t for each in coming), 0.0]
    lengths: list[float] = []
    implicit: list[float] = []
    escrow: list[tuple[float, float]] = []
    begin = t
    for number, end in enumerate(ends):
        span = begin - end
        count = max(round(STEPS * span / t), 8)
        # Finer next to expiry and ex-dates, where the boundary moves as a square root.
        moments = span * (np.arange(count + 1) / count) ** 2
        parts = np.diff(moments)
        fine = np.concatenate((np.full(_SMOOTHING, parts[0] / _SMOOTHING), np.repeat(parts[1:3] / 2, 2), parts[3:]))
        left = span - np.cumsum(fine)
        known = coming[:number]
        for place, (length, rest) in enumerate(zip(fine, left, strict=True)):
            moment = end + max(float(rest), 0.0)
            held = sum(each.amount * np.exp(-r * (each.t - moment)) for each in known)
            with_next = held + (coming[number].amount if number < len(coming) and place == fine.size - 1 else 0.0)
            lengths.append(float(length))
            implicit.append(1.0 if place < _SMOOTHING + 4 else 0.5)
            escrow.append((float(held), float(with_next)))
        begin = end
    return np.array(lengths), np.array(implicit), np.array(escrow)
