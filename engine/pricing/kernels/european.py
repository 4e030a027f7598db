"""Kernels of Black-Scholes-Merton: value, the five Greeks, and the three second ones. Called by `pricing.european`.

All are closed forms in raw units, scaled on the way out: `vol_unit` (0.01: per vol point), `time_unit` (1/365: per day),
`rate_unit` (0.01: per 1 %). Limits at t = 0 and vol = 0 are those of `pricing.european`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.pricing.kernels.lanes import (
    INV_ROOT_TWO_PI,
    Lane,
    cdf_from_core,
    choose,
    density_core,
    exp,
    lane,
    log_of_ratio,
)
from engine.pricing.kernels.runtime import Kernel, blocks

_LEAST_TOTAL = 1e-290
"""Total vol below this is none: its inverse would overflow."""
_EDGE = 40.0
"""d is held within ±this: the normal law is exactly 0 or 1 there, and no product overflows."""


@lane
def european_terms(spot: Lane, strike: Lane, t: Lane, r: Lane, q: Lane, vol: Lane, call: Lane) -> Lane:
    """What value and Greeks share: sign, both discount factors and legs, d1, d2, 1/total vol, φ-core, N(±d1), N(±d2)."""
    time = choose(t < 0.0, 0.0, t)
    sign = choose(call, 1.0, -1.0)
    total = choose(vol < 0.0, np.nan, vol) * np.sqrt(time)
    dividend_discount = exp(-q * time)
    discount = exp(-r * time)
    spot_leg = spot * dividend_discount
    cash_leg = strike * discount
    moneyness = log_of_ratio(spot_leg, cash_leg)
    dead = total < _LEAST_TOTAL
    inverse = 1.0 / choose(dead, 1.0, total)
    # Without vol the limit of d is ±inf by the sign of the moneyness, and 0 at the money forward.
    centre = choose(dead, moneyness * 1e300, moneyness * inverse)
    centre = choose(centre > 1e6, 1e6, choose(centre < -1e6, -1e6, centre))
    half = 0.5 * total
    d1 = centre + half
    d2 = centre - half
    d1 = choose(d1 > _EDGE, _EDGE, choose(d1 < -_EDGE, -_EDGE, d1))
    d2 = choose(d2 > _EDGE, _EDGE, choose(d2 < -_EDGE, -_EDGE, d2))
    core1 = density_core(d1)
    n1 = cdf_from_core(sign * d1, core1)
    n2 = cdf_from_core(sign * d2, density_core(d2))
    density = choose(dead, 0.0, core1) * INV_ROOT_TWO_PI
    return sign, time, dividend_discount, spot_leg, cash_leg, d1, d2, inverse, density, n1, n2


@lane
def european_value(spot: Lane, strike: Lane, t: Lane, r: Lane, q: Lane, vol: Lane, call: Lane) -> Lane:
    """Value in dollars per share."""
    sign, _t, _dq, spot_leg, cash_leg, _d1, _d2, _i, _f, n1, n2 = european_terms(spot, strike, t, r, q, vol, call)
    return sign * (spot_leg * n1 - cash_leg * n2)


@lane
def european_greeks(
    spot: Lane, strike: Lane, t: Lane, r: Lane, q: Lane, vol: Lane, call: Lane,
    vol_unit: Lane, time_unit: Lane, rate_unit: Lane,
) -> Lane:  # fmt: skip
    """Value, delta, gamma, vega, theta, rho."""
    sign, time, dividend_discount, spot_leg, cash_leg, _d1, _d2, inverse, density, n1, n2 = european_terms(
        spot, strike, t, r, q, vol, call
    )
    stock, cash = sign * spot_leg * n1, sign * cash_leg * n2
    slope = spot_leg * density
    # vol²/total is vol/√t without a division by √t = 0.
    return (
        stock - cash,
        sign * dividend_discount * n1,
        dividend_discount * density * inverse / choose(spot == 0.0, 1.0, spot),
        slope * np.sqrt(time) * vol_unit,
        (q * stock - r * cash - 0.5 * slope * (vol * vol * inverse)) * time_unit,
        time * cash * rate_unit,
    )


@lane
def european_full(
    spot: Lane, strike: Lane, t: Lane, r: Lane, q: Lane, vol: Lane, call: Lane,
    vol_unit: Lane, time_unit: Lane, rate_unit: Lane,
) -> Lane:  # fmt: skip
    """The same and vanna, volga, charm."""
    sign, time, dividend_discount, spot_leg, cash_leg, d1, d2, inverse, density, n1, n2 = european_terms(
        spot, strike, t, r, q, vol, call
    )
    stock, cash = sign * spot_leg * n1, sign * cash_leg * n2
    slope = spot_leg * density
    root = np.sqrt(time)
    over_vol = root * inverse
    weighed = dividend_discount * density
    delta = sign * dividend_discount * n1
    return (
        stock - cash,
        delta,
        weighed * inverse / choose(spot == 0.0, 1.0, spot),
        slope * root * vol_unit,
        (q * stock - r * cash - 0.5 * slope * (vol * vol * inverse)) * time_unit,
        time * cash * rate_unit,
        -weighed * d2 * over_vol * vol_unit,
        slope * root * d1 * d2 * over_vol * vol_unit * vol_unit,
        (q * delta - weighed * ((r - q) * inverse - 0.5 * d2 * (vol * vol) * (inverse * inverse))) * time_unit,
    )


def _value_loop(spot: Any, strike: Any, t: Any, r: Any, q: Any, vol: Any, call: Any, value: Any) -> None:
    for i in range(value.size):
        value[i] = european_value(spot[i], strike[i], t[i], r[i], q[i], vol[i], call[i])


def _value_blocks(*arguments: Any) -> None:
    inputs, value = arguments[:7], arguments[7]
    for part in blocks(value.size):
        value[part] = european_value(*(each[part] for each in inputs))


def _greeks_loop(
    spot: Any, strike: Any, t: Any, r: Any, q: Any, vol: Any, call: Any,
    vol_unit: Any, time_unit: Any, rate_unit: Any,
    value: Any, delta: Any, gamma: Any, vega: Any, theta: Any, rho: Any,
) -> None:  # fmt: skip
    for i in range(value.size):
        value[i], delta[i], gamma[i], vega[i], theta[i], rho[i] = european_greeks(
            spot[i], strike[i], t[i], r[i], q[i], vol[i], call[i], vol_unit, time_unit, rate_unit
        )


def _greeks_blocks(*arguments: Any) -> None:
    _fill(european_greeks, arguments)


def _full_loop(
    spot: Any, strike: Any, t: Any, r: Any, q: Any, vol: Any, call: Any,
    vol_unit: Any, time_unit: Any, rate_unit: Any,
    value: Any, delta: Any, gamma: Any, vega: Any, theta: Any, rho: Any, vanna: Any, volga: Any, charm: Any,
) -> None:  # fmt: skip
    for i in range(value.size):
        (value[i], delta[i], gamma[i], vega[i], theta[i], rho[i], vanna[i], volga[i], charm[i]) = european_full(
            spot[i], strike[i], t[i], r[i], q[i], vol[i], call[i], vol_unit, time_unit, rate_unit
        )


def _full_blocks(*arguments: Any) -> None:
    _fill(european_full, arguments)


def _fill(function: Any, arguments: tuple[Any, ...]) -> None:
    inputs, units, results = arguments[:7], arguments[7:10], arguments[10:]
    for part in blocks(results[0].size):
        for result, found in zip(results, function(*(each[part] for each in inputs), *units), strict=True):
            result[part] = found


def _probe(results: int, units: bool) -> tuple[Any, ...]:
    strikes = np.linspace(40.0, 260.0, 37)
    one = np.ones_like(strikes)
    years = np.linspace(0.0, 2.0, 37) ** 2
    inputs = (100.0 * one, strikes, years, 0.04 * one, 0.01 * one, np.linspace(1.2, 0.0, 37), strikes > 100.0)
    return (*inputs, *((0.01, 1 / 365, 0.01) if units else ()), *(np.empty_like(one) for _ in range(results)))


_INPUTS = "float64[::1], " * 6 + "boolean[::1], "
_UNITS = "float64, " * 3


def _signature(results: int, units: str) -> str:
    return f"void({_INPUTS}{units}{', '.join(['float64[::1]'] * results)})"


VALUE = Kernel(_value_loop, _value_blocks, _signature(1, ""), lambda: _probe(1, False), 1)
GREEKS = Kernel(_greeks_loop, _greeks_blocks, _signature(6, _UNITS), lambda: _probe(6, True), 6)
FULL = Kernel(_full_loop, _full_blocks, _signature(9, _UNITS), lambda: _probe(9, True), 9)
