"""Black-Scholes-Merton: value and Greeks of European options, many at once.

Called by contract selection, sizing and marks. All arguments broadcast; all arrays are float64 of the broadcast shape.
Units: `spot`, `strike` dollars; `t` years; `r`, `q`, `vol` fractions per year, continuously compounded. Never raises for
t = 0 or vol = 0: there it returns the limit (the discounted intrinsic value and its derivatives).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

DAYS_A_YEAR = 365.0
_INV_SQRT_2PI = 0.3989422804014327
_EXP_FLOOR = -700.0
"""exp() below this is subnormal, which is slow and adds nothing."""


class GreeksArrays(NamedTuple):
    """Value and sensitivities of one option on one share, in the desk's units."""

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


def price(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Value in dollars per share. NaN in, NaN out."""
    terms = _terms(spot, strike, t, r, q, vol, is_call)
    return terms.value()


def greeks(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> GreeksArrays:
    """Value and Greeks (see `GreeksArrays` for the units).

    Where vol·√t = 0 gamma and vega are 0, delta is 0 or ±e^(-qt) (half of it exactly at the money forward), and theta
    is the carry alone, which is the limit everywhere but at the money forward, where theta has none.
    """
    terms = _terms(spot, strike, t, r, q, vol, is_call)
    rate, carry = np.asarray(r, np.float64), np.asarray(q, np.float64)
    density = _INV_SQRT_2PI * np.exp(np.maximum(-0.5 * terms.d1 * terms.d1, _EXP_FLOOR))
    spot_now, root_t = np.asarray(spot, np.float64), np.sqrt(terms.t)
    sigma = np.asarray(vol, np.float64)
    # Where the total vol is zero the density is zero too (d1 is infinite) except at the money forward.
    alive = terms.total_vol > 0
    density = np.where(alive, density, 0.0)
    safe_total = np.where(alive, terms.total_vol, 1.0)
    safe_root = np.where(root_t > 0, root_t, 1.0)
    stock_leg = terms.spot_leg * terms.n1
    cash_leg = terms.cash_leg * terms.n2
    delta = terms.sign * terms.dividend_discount * terms.n1
    gamma = terms.dividend_discount * density / (spot_now * safe_total)
    vega = terms.spot_leg * density * root_t
    decay = -terms.spot_leg * density * sigma / (2.0 * safe_root)
    theta = decay + terms.sign * (carry * stock_leg - rate * cash_leg)
    rho = terms.sign * terms.t * cash_leg
    return GreeksArrays(
        value=terms.sign * (stock_leg - cash_leg),
        delta=delta,
        gamma=gamma,
        vega=vega / 100.0,
        theta=theta / DAYS_A_YEAR,
        rho=rho / 100.0,
    )


class _Terms(NamedTuple):
    """What value and Greeks share."""

    t: FloatArray
    total_vol: FloatArray
    d1: FloatArray
    sign: FloatArray
    """+1 for a call, -1 for a put."""
    dividend_discount: FloatArray
    spot_leg: FloatArray
    cash_leg: FloatArray
    n1: FloatArray
    """N(±d1)."""
    n2: FloatArray
    """N(±d2)."""

    def value(self) -> FloatArray:
        return self.sign * (self.spot_leg * self.n1 - self.cash_leg * self.n2)


def _terms(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> _Terms:
    time = np.maximum(np.asarray(t, np.float64), 0.0)
    sign = np.where(np.asarray(is_call, np.bool_), 1.0, -1.0)
    dividend_discount = np.exp(-np.asarray(q, np.float64) * time)
    spot_leg = np.asarray(spot, np.float64) * dividend_discount
    cash_leg = np.asarray(strike, np.float64) * np.exp(-np.asarray(r, np.float64) * time)
    total_vol = np.asarray(vol, np.float64) * np.sqrt(time)
    moneyness = np.log(spot_leg / cash_leg)
    alive = total_vol != 0  # NaN stays alive, so that NaN comes out
    safe = np.where(alive, total_vol, 1.0)
    # At zero total vol the limit of d1 is ±inf by the sign of the moneyness, and 0 at the money forward.
    centre = np.where(alive, moneyness / safe, np.where(moneyness == 0, 0.0, np.copysign(np.inf, moneyness)))
    d1 = centre + 0.5 * total_vol
    d2 = centre - 0.5 * total_vol
    return _Terms(
        t=time,
        total_vol=total_vol,
        d1=d1,
        sign=sign,
        dividend_discount=dividend_discount,
        spot_leg=spot_leg,
        cash_leg=cash_leg,
        n1=ndtr(sign * d1),
        n2=ndtr(sign * d2),
    )
