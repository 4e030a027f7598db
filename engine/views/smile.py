"""The skew of one expiry as the chain's panel tells it: fitted to the quotes that are shown, told only where they reach.

Called in the worker that prices the chain. Never on the loop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.pricing.moments import skew, strike_of_delta
from engine.pricing.svi import fit_smile

FloatArray = NDArray[np.float64]
FEWEST = 7
"""Quotes below which a smile's shape is its fit's, not the market's."""


def risk_reversal(k: FloatArray, vol: FloatArray, half_spread: FloatArray, t: float) -> float | None:
    """Vol of the 25 delta call less that of the put, a fraction; None where too few quotes are out there, or none so far out.

    `k`: log-moneyness of the out-of-the-money quotes, `vol` their mids' vols, `half_spread` in vol, `t` years. A NaN is left out.
    """
    if int(np.isfinite(k + vol + half_spread).sum()) < FEWEST:
        return None
    smile = fit_smile(k, vol, half_spread, t)
    if smile is None:
        return None
    put, call = strike_of_delta(smile, 0.25, False), strike_of_delta(smile, 0.25, True)
    if put < smile.low or call > smile.high:
        return None
    return skew(smile).risk_reversal
