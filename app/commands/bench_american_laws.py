"""What holds for every American option, checked on many random contracts at once. For `bench pricing` and the tests."""

from __future__ import annotations

import numpy as np

from app.commands.bench_american_sets import two_boundaries
from app.commands.bench_pricing_sets import MINUTE, Contracts
from engine.pricing import american, european
from engine.pricing.american_implied import implied_vol
from engine.pricing.european import RAW
from engine.pricing.implied import IvStatus

ERROR = 1.5e-6
"""Of spot and strike: what the boundary's error may do to a comparison of two values."""
_AT_A_TIME = 50_000


def violations(count: int, seed: int) -> dict[str, int]:
    """How many of `count` random contracts break each law; all zero when the model is right.

    Spot 1 to 10,000, strikes to five standard deviations, one minute to three years, vol 2 to 200 %, rates and carry from
    -3 to 10 %. Those with two exercise boundaries are slow and get both rates' signs turned; the tests have some.
    """
    random = np.random.default_rng(seed)
    total: dict[str, int] = {}
    for start in range(0, count, _AT_A_TIME):
        found = _broken(_random(random, min(_AT_A_TIME, count - start)), random)
        total = {law: total.get(law, 0) + number for law, number in found.items()}
    return total


def _random(random: np.random.Generator, count: int) -> Contracts:
    spot = np.exp(random.uniform(0.0, np.log(1e4), count))
    t = np.exp(random.uniform(np.log(MINUTE), np.log(3.0), count))
    vol = np.exp(random.uniform(np.log(0.02), np.log(2.0), count))
    strike = spot * np.exp(random.uniform(-5.0, 5.0, count) * vol * np.sqrt(t))
    r, q = random.uniform(-0.03, 0.1, count), random.uniform(-0.03, 0.1, count)
    made = Contracts(spot, strike, t, r, q, vol, random.random(count) < 0.5)
    two = two_boundaries(made)
    # The other side of the same contract has one boundary or none.
    return made._replace(r=np.where(two, -r, r), q=np.where(two, -q, q))


def _broken(c: Contracts, random: np.random.Generator) -> dict[str, int]:
    found = american.greeks(*c, units=RAW)
    value, legs = found.value, c.spot + c.strike
    slack = ERROR * legs
    sign = np.where(c.is_call, 1.0, -1.0)
    intrinsic = np.maximum(sign * (c.spot - c.strike), 0.0)
    width = 1.0 + random.uniform(1e-4, 0.2, c.vol.size)
    lower, upper = c._replace(strike=c.strike / width), c._replace(strike=c.strike * width)
    share = (c.strike - lower.strike) / (upper.strike - lower.strike)
    below, above = american.price(*lower), american.price(*upper)
    more = american.price(*c._replace(vol=c.vol * random.uniform(1.0, 1.5, c.vol.size)))
    later = american.price(*c._replace(t=c.t * random.uniform(1.0, 1.5, c.vol.size)))
    scale = np.exp(random.uniform(-3.0, 3.0, c.vol.size))
    scaled = american.price(*c._replace(spot=c.spot * scale, strike=c.strike * scale))
    mirrored = american.price(c.strike, c.spot, c.t, c.q, c.r, c.vol, ~c.is_call)
    implied = implied_vol(value, *c[:5], c.is_call)
    solved = implied.status == IvStatus.CONVERGED
    # What the value's rounding and the boundary's change from one vol's table to another make of the vol.
    seen = 5e-7 * legs / np.maximum(found.vega, 1e-300)
    off = np.abs(implied.vol - c.vol) > np.maximum(seen, 1e-6 * c.vol)
    visible = (value - intrinsic > 1e-5 * legs) & (found.vega > 1e-3 * legs)
    laws = {
        "not under the European value": value < european.price(*c) - 1e-12 * legs,
        "not under intrinsic value": value < intrinsic - 1e-15 * legs,
        "not over spot or strike": value > np.where(
            c.is_call, c.spot * np.exp(np.maximum(-c.q * c.t, 0.0)), c.strike * np.exp(np.maximum(-c.r * c.t, 0.0))
        ) + slack,
        "value grows with vol": more < value - slack,
        "value grows with time": later < value - slack,
        "value falls or grows with the strike": sign * (below - above) < -2.0 * slack,
        "value is convex in the strike": value > (1.0 - share) * below + share * above + 2.0 * slack,
        "value is homogeneous": np.abs(scaled - scale * value) > 1e-9 * legs * scale,
        "puts and calls mirror each other": np.abs(mirrored - value) > 1e-9 * legs,
        "delta within its bounds": (sign * found.delta < -1e-12)
        | (sign * found.delta > np.maximum(1.0, np.exp(-c.q * c.t)) + 1e-9),
        "gamma and vega not negative": (found.gamma < 0.0) | (found.vega < -1e-4 * legs * np.sqrt(c.t)),
        "every number is one": ~np.isfinite(np.sum(np.array(found), axis=0)),
        "implied vol of the value is the vol": solved & off,
        "no implied vol where it has none": ~solved & (visible | np.isfinite(implied.vol)),
    }  # fmt: skip
    return {law: int(np.count_nonzero(broken)) for law, broken in laws.items()}
