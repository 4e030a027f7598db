"""Chains whose truth is known: SVI smiles, forwards from dividends, quotes on the tick with a spread, and junk on demand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.pricing import styles
from engine.pricing.chain_fit import ChainQuotes
from engine.pricing.rates import RateCurve, flat_curve
from engine.pricing.svi import Svi

AT = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
YEAR = 365 * 86400
RATE = 0.04
CURVE: RateCurve = flat_curve(AT.date(), RATE)
SPOT = 600.0


def smile_of(t: float, vol: float = 0.18, skew: float = -0.5) -> Svi:
    """An SSVI slice with θ = vol²·t and the power law φ = 1/√θ, free of butterflies, and of crossings between all t."""
    theta = vol * vol * t
    phi = 0.8 / np.sqrt(theta)
    root = float(np.sqrt(1 - skew * skew))
    return Svi(0.5 * theta * root * root, 0.5 * theta * phi, skew, -skew / phi, root / phi)


@dataclass(frozen=True)
class Truth:
    """What the chain was made of."""

    quotes: ChainQuotes
    t: np.ndarray
    forward: np.ndarray
    smiles: tuple[Svi, ...]
    vol: np.ndarray
    """Per contract."""

    def with_quotes(self, **changes: np.ndarray) -> Truth:
        return replace(self, quotes=replace(self.quotes, **changes))


def synthetic_chain(
    days: tuple[float, ...] = (2, 9, 30, 91, 182),
    *,
    american: bool = False,
    carry: float = 0.013,
    noise: float = 0.25,
    half_spread: float = 0.02,
    seed: int = 7,
    spot: float = SPOT,
    strikes: int = 41,
) -> Truth:
    """`noise`: share of the half spread by which mids wander. Quotes are rounded to cents, outwards."""
    random = np.random.default_rng(seed)
    t = np.array(days) / 365.0
    forward = spot * np.exp((RATE - carry) * t)
    smiles = tuple(smile_of(one) for one in t)
    parts = []
    for row, (years, level, smile) in enumerate(zip(t, forward, smiles, strict=True)):
        deviation = float(np.sqrt(smile.variance(0.0)))
        step = 1.0 if deviation < 0.05 else 5.0
        reach = 4.0 * deviation * level
        grid = np.unique(np.round(np.linspace(level - reach, level + 0.7 * reach, strikes) / step) * step)
        for is_call in (True, False):
            vol = np.sqrt(smile.variance(np.log(grid / level)) / years)
            value = styles.price(spot, grid, years, RATE, carry, vol, is_call, american)
            half = half_spread * (1.0 + 0.01 * value) * np.exp(random.normal(0, 0.3, len(grid)))
            mid = value + noise * half * random.uniform(-1, 1, len(grid))
            bid, ask = np.floor((mid - half) * 100 + 1e-9) / 100, np.ceil((mid + half) * 100 - 1e-9) / 100
            parts.append((np.full(len(grid), row), grid, np.full(len(grid), is_call), np.maximum(bid, 0.0), ask, vol))
    expiry, strike, call, bid, ask, vol = (np.concatenate(column) for column in zip(*parts, strict=True))
    quotes = ChainQuotes(
        at=AT,
        moments=tuple(AT + timedelta(seconds=float(years) * YEAR) for years in t),
        expiry=expiry.astype(np.int64),
        strike=strike,
        is_call=call.astype(np.bool_),
        bid=bid,
        ask=ask,
        american=american,
        spot=spot,
    )
    return Truth(quotes, t, forward, smiles, vol)


def with_junk(truth: Truth, share: float, seed: int = 3) -> tuple[Truth, np.ndarray]:
    """A share of the quotes moved by 5 to 30 % of their value plus a dollar; and which."""
    random = np.random.default_rng(seed)
    hit = random.uniform(size=len(truth.vol)) < share
    shift = np.where(random.uniform(size=len(hit)) < 0.5, -1.0, 1.0) * (
        1.0 + random.uniform(0.05, 0.3, len(hit)) * truth.quotes.ask
    )
    bid = np.where(hit, np.maximum(np.round(truth.quotes.bid + shift, 2), 0.0), truth.quotes.bid)
    ask = np.where(hit, np.maximum(np.round(truth.quotes.ask + shift, 2), 0.01), truth.quotes.ask)
    return truth.with_quotes(bid=bid, ask=ask), hit
