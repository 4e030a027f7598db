"""American options without diffusion: at expiry, at vol 0, at a spot or strike of 0, and NaN for what is no option.

Called by `american` for the rows the kernels must not see. Raw units: per 1.00 of vol, per year, per 1.00 of the rate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Six = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


def without_vol(
    spot: FloatArray, strike: FloatArray, t: FloatArray, r: FloatArray, q: FloatArray, vol: FloatArray,
    is_call: NDArray[np.bool_],
) -> Six:  # fmt: skip
    """Value, delta, gamma, vega, theta, rho where the spot's path is certain: the best moment to exercise is chosen.

    Between now and expiry ±(S e^(-qu) - K e^(-ru)) has at most one inner extremum, at e^((r-q)u) = rK/(qS). NaN where an
    input is NaN or infinite (an infinite vol too), or a price, strike or vol negative.
    """
    sign = np.where(is_call, 1.0, -1.0)
    years = np.maximum(t, 0.0)
    with np.errstate(all="ignore"):
        inner = np.log(r * strike / (q * spot)) / (r - q)
        inner = np.where(np.isfinite(inner), np.clip(inner, 0.0, years), 0.0)
        moments = np.stack((np.zeros_like(years), inner, years))
        gains = sign * (spot * np.exp(-q * moments) - strike * np.exp(-r * moments))
        # The first of equals: to exercise now where waiting gains nothing.
        best = np.argmax(gains, axis=0)
        u = np.take_along_axis(moments, best[None], axis=0)[0]
        value = np.take_along_axis(gains, best[None], axis=0)[0]
        worth = value > 0
        stock, cash = np.exp(-q * u), strike * np.exp(-r * u)
        delta = np.where(worth, sign * stock, 0.0)
        at_expiry = worth & (best == 2) & (u > 0)
        theta = np.where(at_expiry, sign * (q * spot * stock - r * cash), 0.0)
        rho = np.where(worth, sign * u * cash, 0.0)
        value = np.maximum(value, 0.0)
    nothing = np.isfinite(spot + strike + t + r + q + vol) & (spot >= 0) & (strike >= 0) & (vol >= 0)
    zero = np.zeros_like(value)
    value, delta, gamma, vega, theta, rho = (
        np.where(nothing, each, np.nan) for each in (value, delta, zero, zero, theta, rho)
    )
    return value, delta, gamma, vega, theta, rho
