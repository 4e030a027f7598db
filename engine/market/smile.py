"""The simulated options' fair values: a smile with skew and a term structure over a volatility that comes back.

Time is counted in the variance the path will still spend (open hours, nights), so that a contract of today is worth
what today can still do; money is discounted in calendar time. Pure: one moment in, values per contract out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

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
    return traits.vol * exp(day.vol_open + (day.vol_close - day.vol_open) * spent)


@dataclass(frozen=True, slots=True)
class Moment:
    """One symbol at one moment, one entry per expiry: what every contract's value is made from."""

    spot: float
    carry: FloatArray
    """Log of the forward."""
    paid: FloatArray
    """What a dollar at the expiry is worth now."""
    forward: FloatArray
    """The discounted forward, dollars."""
    deviation: FloatArray
    """Standard deviation of the log price up to the expiry, at the money."""


def moment(
    contracts: Terms, traits: Traits, spot: float, vol: float, left: float, seconds: float, rate: float
) -> Moment:
    """`vol`: at-the-money volatility of the nearest contracts; `left`: share of a day's open-hours variance still to
    come before today's close; `seconds`: now, since the epoch; `rate`: interest a year."""
    time = np.maximum((contracts.sessions + INTRADAY * left) / SESSIONS_A_YEAR, _LEAST_VARIANCE_TIME)
    years = np.maximum(contracts.closes - seconds, 0.0) / 31_536_000.0
    level = traits.vol + (vol - traits.vol) * np.exp(-time / LONG_RUN_YEARS)
    carry = log(spot) + (rate - traits.dividend) * years
    paid = np.exp(-rate * years)
    return Moment(spot=spot, carry=carry, paid=paid, forward=np.exp(carry) * paid, deviation=level * np.sqrt(time))


def values(contracts: Terms, traits: Traits, now: Moment) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(fair value, dollars in the money, standard deviations from the forward), one per contract.

    American: the value is never below what exercise would pay.
    """
    index, sign = contracts.expiry, contracts.sign
    deviation = now.deviation[index]
    inside = np.maximum(sign * (now.spot - contracts.strike), 0.0)
    distance = contracts.log_strike - now.carry[index]
    away = distance / deviation
    bounded = np.minimum(np.maximum(away, -WINGS), WINGS)
    smile = deviation * (1.0 + bounded * (traits.skew + CURVE * bounded))
    d1 = 0.5 * smile - distance / smile
    fair = sign * (
        now.forward[index] * ndtr(sign * d1) - contracts.strike * now.paid[index] * ndtr(sign * (d1 - smile))
    )
    return np.maximum(fair, inside), inside, away
