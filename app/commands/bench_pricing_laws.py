"""What holds for every European option, checked on many random contracts at once. For `bench pricing` and the tests."""

from __future__ import annotations

import numpy as np

from app.commands.bench_pricing_sets import Contracts
from engine.pricing.european import RAW, full_greeks, price
from engine.pricing.implied import IvStatus, implied_vol

_ROUNDING = 8.0 * np.finfo(np.float64).eps
_AT_A_TIME = 100_000


def violations(count: int, seed: int) -> dict[str, int]:
    """How many of `count` random contracts break each law; all zero when the model is right.

    Spot 1 to 10,000, strikes to eight standard deviations and beyond, one second to five years, vol 1 to 500 %, rates and
    carry from -5 to 15 %.
    """
    random = np.random.default_rng(seed)
    total: dict[str, int] = {}
    for start in range(0, count, _AT_A_TIME):
        found = _broken(_random(random, min(_AT_A_TIME, count - start)), random)
        total = {law: total.get(law, 0) + number for law, number in found.items()}
    return total


def _random(random: np.random.Generator, count: int) -> Contracts:
    spot = np.exp(random.uniform(0.0, np.log(1e4), count))
    t = np.exp(random.uniform(np.log(1.0 / 31_536_000.0), np.log(5.0), count))
    vol = np.exp(random.uniform(np.log(0.01), np.log(5.0), count))
    strike = spot * np.exp(random.uniform(-8.0, 8.0, count) * vol * np.sqrt(t))
    r, q = random.uniform(-0.05, 0.15, count), random.uniform(-0.05, 0.15, count)
    return Contracts(spot, strike, t, r, q, vol, random.random(count) < 0.5)


def _broken(c: Contracts, random: np.random.Generator) -> dict[str, int]:
    spot_leg, cash_leg = c.spot * np.exp(-c.q * c.t), c.strike * np.exp(-c.r * c.t)
    legs = spot_leg + cash_leg
    slack = _ROUNDING * legs
    found = full_greeks(*c, units=RAW)
    value = found.value
    signed = np.where(c.is_call, spot_leg - cash_leg, cash_leg - spot_leg)
    other = price(*c[:6], ~c.is_call)
    more = price(*c[:5], c.vol * random.uniform(1.0, 1.5, c.vol.size), c.is_call)
    width = 1.0 + random.uniform(1e-4, 0.2, c.vol.size)
    lower, upper = c._replace(strike=c.strike / width), c._replace(strike=c.strike * width)
    # Chord over the strike: the strike is this share of the way from the lower to the upper one.
    share = (c.strike - lower.strike) / (upper.strike - lower.strike)
    chord = (1.0 - share) * price(*lower) + share * price(*upper)
    steps = price(*lower) - price(*upper)
    scale = np.exp(random.uniform(-5.0, 5.0, c.vol.size))
    scaled = price(*c._replace(spot=c.spot * scale, strike=c.strike * scale))
    carried = np.exp(-c.q * c.t)
    sign = np.where(c.is_call, 1.0, -1.0)
    implied = implied_vol(value, *c[:5], c.is_call)
    solved = implied.status == IvStatus.CONVERGED
    # One rounding of the value and of each leg, seen through the vega; far out the error is one of the logarithm.
    seen = 16.0 * np.finfo(np.float64).eps * legs / np.maximum(found.vega, 1e-300)
    off = np.abs(implied.vol - c.vol) > np.maximum(seen, 1e-12 * c.vol)
    visible = (value - np.maximum(signed, 0.0) > 1e-8 * legs) & (
        value < 0.999 * np.where(c.is_call, spot_leg, cash_leg)
    )
    laws = {
        "put-call parity": np.abs(value - other - signed) > slack,
        "value between its bounds": (value < np.maximum(signed, 0.0) - slack)
        | (value > np.where(c.is_call, spot_leg, cash_leg) + slack),
        "value grows with vol": more < value - slack,
        "value falls or grows with the strike": sign * steps < -2.0 * slack,
        "value is convex in the strike": value > chord + 2.0 * slack,
        "value is homogeneous": np.abs(scaled - scale * value) > 4.0 * slack * scale,
        "delta within its bounds": (sign * found.delta < 0.0) | (sign * found.delta > carried * (1.0 + _ROUNDING)),
        "gamma and vega not negative": (found.gamma < 0.0) | (found.vega < 0.0),
        "every number is one": ~np.isfinite(np.sum(np.array(found), axis=0)),
        "implied vol of the value is the vol": solved & off,
        "no implied vol where it has none": ~solved & (visible | np.isfinite(implied.vol)),
    }
    return {law: int(np.count_nonzero(np.broadcast_to(broken, c.spot.shape))) for law, broken in laws.items()}
