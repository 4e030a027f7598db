"""What a smile says of the move to expiry: expected move, skew, and the risk-neutral distribution with its quantiles.

Called by panels, reports and whoever weighs odds. All probabilities are risk-neutral: prices of digital options grown to
expiry, which pay for risk too; they are not forecasts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from engine.pricing import european
from engine.pricing.european import FloatArray
from engine.pricing.forward import Pairs
from engine.pricing.svi import Smile, durrleman

_INV_SQRT_2PI = 0.3989422804014327
_STEPS = 60


class ExpectedMove(NamedTuple):
    """Two usual answers to one question, dollars around the forward."""

    straddle: float
    """Price of the at-the-money straddle by the quotes, grown to expiry: the mean absolute move. NaN without quotes."""
    deviation: float
    """Forward · at-the-money vol · √years: one standard deviation. About 1.25 straddles where the smile is flat."""


class Skew(NamedTuple):
    """The smile at 25 delta (undiscounted, of the forward); vol, 0.01 = one point."""

    risk_reversal: float
    """Call's vol less put's: negative where falls are feared."""
    butterfly: float
    """Mean of the two less the vol at the money."""
    slope: float
    """Of vol in log-moneyness, at the money."""


def expected_move(
    smile: Smile | None, forward: float, t: float, rate: float, pairs: Pairs | None = None
) -> ExpectedMove:
    """Expected move to expiry in `t` calendar years. The straddle is that of the two strikes around the forward,
    interpolated; early exercise in it is left in, which is cents."""
    deviation = forward * float(smile.vol(0.0)) * float(np.sqrt(t)) if smile is not None else float("nan")
    return ExpectedMove(
        _straddle(pairs, forward) * float(np.exp(rate * t)) if pairs is not None else float("nan"), deviation
    )


def _straddle(pairs: Pairs, forward: float) -> float:
    price = 0.5 * (pairs.call_bid + pairs.call_ask + pairs.put_bid + pairs.put_ask)
    sound = (
        (pairs.call_bid > 0)
        & (pairs.put_bid > 0)
        & (pairs.call_ask >= pairs.call_bid)
        & (pairs.put_ask >= pairs.put_bid)
    )
    strike, price = pairs.strike[sound], price[sound]
    right = int(np.searchsorted(strike, forward))
    if right in (0, len(strike)):
        return float("nan")
    return float(np.interp(forward, strike[right - 1 : right + 1], price[right - 1 : right + 1]))


def skew(smile: Smile) -> Skew:
    """Skew and curvature of a smile at 25 delta, which is found on the smile itself."""
    call, put = (strike_of_delta(smile, delta, is_call) for delta, is_call in ((0.25, True), (0.25, False)))
    middle = float(smile.vol(0.0))
    high, low = float(smile.vol(call)), float(smile.vol(put))
    first, _ = smile.parameters.slopes(0.0)
    return Skew(high - low, 0.5 * (high + low) - middle, float(first) / (2.0 * middle * smile.years))


def strike_of_delta(smile: Smile, delta: float, is_call: bool) -> float:
    """Log-moneyness at which the option's undiscounted forward delta is `delta` (a positive share, 0 to 1)."""
    target = ndtri(delta) if is_call else -ndtri(delta)
    deviation = float(np.sqrt(smile.parameters.variance(0.0)))
    low, high = -12.0 * deviation, 12.0 * deviation
    for _ in range(_STEPS):
        k = 0.5 * (low + high)
        root = float(np.sqrt(smile.parameters.variance(k)))
        if -k / root + 0.5 * root > target:  # d1 falls in k
            low = k
        else:
            high = k
    return 0.5 * (low + high)


def probability_below(smile: Smile, k: ArrayLike) -> FloatArray:
    """Risk-neutral probability that the underlying ends below forward·e^k: the digital put, smile's slope included."""
    at = np.asarray(k, np.float64)
    root = np.sqrt(np.maximum(smile.parameters.variance(at), 1e-14))
    first, _ = smile.parameters.slopes(at)
    d2 = -at / root - 0.5 * root
    density = _INV_SQRT_2PI * np.exp(np.maximum(-0.5 * d2 * d2, -700.0))
    return np.asarray(np.clip(ndtr(-d2) + density * first / (2.0 * root), 0.0, 1.0))


def density(smile: Smile, k: ArrayLike) -> FloatArray:
    """Risk-neutral density of ln(underlying at expiry / forward)."""
    at = np.asarray(k, np.float64)
    root = np.sqrt(np.maximum(smile.parameters.variance(at), 1e-14))
    d2 = -at / root - 0.5 * root
    return np.asarray(
        durrleman(smile.parameters, at) * _INV_SQRT_2PI / root * np.exp(np.maximum(-0.5 * d2 * d2, -700.0))
    )


def quantile(smile: Smile, probability: ArrayLike) -> FloatArray:
    """Log-moneyness below which the underlying ends with `probability` (0 to 1, exclusive); NaN outside. Bisection."""
    wanted = np.asarray(probability, np.float64)
    deviation = float(np.sqrt(smile.parameters.variance(0.0)))
    reach = max(20.0 * deviation, 2.0 * abs(smile.low), 2.0 * abs(smile.high), 1e-6)
    low, high = np.full(wanted.shape, -reach), np.full(wanted.shape, reach)
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        below = probability_below(smile, middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray(np.where((wanted > 0) & (wanted < 1), 0.5 * (low + high), np.nan))


def straddle_value(smile: Smile, forward: float, t: float, rate: float) -> float:
    """The at-the-money-forward straddle by the smile, dollars today, European."""
    vol = float(smile.vol(0.0))
    cash = forward * float(np.exp(-rate * t))
    legs = european.price(cash, forward, t, rate, 0.0, vol, np.array([True, False]))
    return float(legs.sum())
