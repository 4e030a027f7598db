"""The simulated options' fair values: a smile with skew and a term structure over a volatility that comes back.

Time is counted in the variance the path will still spend (open hours, nights), so that a contract of today is worth
what today can still do; money is discounted in calendar time. Pure: one moment in, values per contract out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.domain.chain import FloatArray
from engine.market.paths import INTRADAY, SESSIONS_A_YEAR, Day
from engine.market.universe import Traits

CURVE = 0.012
"""Relative change of volatility per squared standard deviation of moneyness: the wings."""
WINGS = 4.0
"""Standard deviations beyond which the smile is flat."""
LONG_RUN_YEARS = 0.35
"""How fast the term structure returns from today's volatility to the usual one."""
_LEAST_VARIANCE_TIME = 1e-9


@dataclass(frozen=True, slots=True)
class Terms:
    """What does not change during a day, one entry per contract but for `sessions` and `closes`, one per expiry."""

    expiry: NDArray[np.int64]
    strike: FloatArray
    log_strike: FloatArray
    sign: FloatArray
    """+1 call, -1 put."""
    sessions: FloatArray
    """Sessions after today up to the expiry."""
    closes: FloatArray
    """Seconds since the epoch at which the expiry's contracts are settled."""


def terms(expiry: NDArray[np.int64], strike: FloatArray, is_call: NDArray[np.bool_], per_expiry: FloatArray) -> Terms:
    """`per_expiry`: two rows, sessions to go and settlement seconds."""
    return Terms(
        expiry=expiry,
        strike=strike,
        log_strike=np.log(strike),
        sign=np.where(is_call, 1.0, -1.0),
        sessions=per_expiry[0],
        closes=per_expiry[1],
    )


def volatility_now(traits: Traits, day: Day, spent: float) -> float:
    """At-the-money volatility of the nearest contracts when `spent` of the day's variance is over."""
    return traits.vol * float(np.exp(day.vol_open + (day.vol_close - day.vol_open) * spent))


def values(
    contracts: Terms, traits: Traits, spot: float, vol: float, left: float, seconds: float, rate: float
) -> tuple[FloatArray, FloatArray]:
    """(fair value, distance from the forward in standard deviations), dollars per share, one per contract.

    `left`: share of a day's open-hours variance still to come before today's close; `seconds`: now, since the epoch.
    American: never below what exercise would pay.
    """
    time = np.maximum((contracts.sessions + INTRADAY * left) / SESSIONS_A_YEAR, _LEAST_VARIANCE_TIME)
    years = np.maximum(contracts.closes - seconds, 0.0) / 31_536_000.0
    level = traits.vol + (vol - traits.vol) * np.exp(-time / LONG_RUN_YEARS)
    deviation = level * np.sqrt(time)
    carry = np.log(spot) + (rate - traits.dividend) * years
    discount = np.exp(-rate * years)
    index = contracts.expiry
    forward, paid = np.exp(carry)[index] * discount[index], contracts.strike * discount[index]
    away = (contracts.log_strike - carry[index]) / deviation[index]
    bounded = np.minimum(np.maximum(away, -WINGS), WINGS)
    smile = deviation[index] * (1.0 + bounded * (traits.skew + CURVE * bounded))
    d1 = (carry[index] - contracts.log_strike) / smile + 0.5 * smile
    sign = contracts.sign
    fair = sign * (forward * ndtr(sign * d1) - paid * ndtr(sign * (d1 - smile)))
    return np.maximum(fair, np.maximum(sign * (spot - contracts.strike), 0.0)), away
