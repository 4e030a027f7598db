"""Contracts to measure pricing on: chains like those of index funds, and a hard set. Seeded, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx

FloatArray = NDArray[np.float64]
MINUTE = 1.0 / 525600.0


class Contracts(NamedTuple):
    """One array a field, in the order in which `engine.pricing` takes them."""

    spot: FloatArray
    strike: FloatArray
    t: FloatArray
    r: FloatArray
    q: FloatArray
    vol: FloatArray
    is_call: NDArray[np.bool_]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """One contract after the other, as plain numbers."""
        return zip(*(each.tolist() for each in self), strict=True)

    def where(self, chosen: Any) -> Contracts:
        return Contracts(*(np.ascontiguousarray(each[chosen]) for each in self))


class Priced(NamedTuple):
    contracts: Contracts
    price: FloatArray
    time_value: FloatArray
    vega: FloatArray
    """Per 1.00 of vol."""

    @property
    def conditioning(self) -> FloatArray:
        """Error of the vol that one rounding of the price and of the two legs makes."""
        legs = self.contracts.spot + self.contracts.strike
        floor: FloatArray = np.finfo(np.float64).eps * (self.price + legs) / self.vega
        return floor


def chains(count: int, seed: int = 7) -> Contracts:
    """Three underlyings, expiries from three hours to two and a half years, strikes to 4.5 standard deviations, a skew."""
    random = np.random.default_rng(seed)
    which = random.integers(0, 3, count)
    spot = np.array([590.0, 520.0, 230.0])[which]
    q = np.array([0.012, 0.006, 0.011])[which]
    days = np.concatenate(
        ([0.125], np.arange(1, 12), np.arange(14, 64, 7), [91, 119, 147, 182, 238, 301, 392, 574, 912])
    )
    t = random.choice(days, count) / 365.0
    level = 0.17 + 0.05 * np.exp(-6.0 * t)
    deviations = random.normal(0.0, 1.6, count).clip(-4.5, 4.5)
    strike = np.maximum(np.round(spot * np.exp(deviations * level * np.sqrt(t))), 1.0)
    k = np.log(strike / spot) / np.sqrt(t + 0.05)
    vol = np.clip(level * (1.0 - 0.25 * k + 0.35 * k * k), 0.06, 2.5)
    return Contracts(spot, strike, t, np.full(count, 0.043), q, vol, random.random(count) < 0.5)


def hard(count: int, seed: int = 11) -> Priced:
    """One minute to three years, 5 to 500 % vol, seven standard deviations to both sides, calls and puts in and out of the
    money; kept where a float holds the time value and the inversion is well posed."""
    random = np.random.default_rng(seed)
    parts: list[Priced] = []
    while sum(part.price.size for part in parts) < count:
        size = 4 * count
        spot = np.full(size, 590.0)
        t = np.exp(random.uniform(np.log(MINUTE), np.log(3.0), size))
        vol = np.exp(random.uniform(np.log(0.05), np.log(5.0), size))
        strike = spot * np.exp(random.uniform(-7.0, 7.0, size) * vol * np.sqrt(t))
        made = Contracts(
            spot, strike, t, np.full(size, 0.043), np.full(size, 0.012), vol, random.random(size) < 0.5
        )  # fmt: skip
        found = priced(made)
        well_posed = 2.3e-16 * found.price / found.vega < 1e-8
        kept = (found.time_value > 1e-8) & well_posed & (strike > 1.0) & (strike < 1e4)
        parts.append(_chosen(found, kept))
    whole = Priced(
        Contracts(*(np.concatenate(each) for each in zip(*(part.contracts for part in parts), strict=True))),
        *(np.concatenate([part[n] for part in parts]) for n in (1, 2, 3)),
    )
    return _chosen(whole, slice(0, count))


def quoted(contracts: Contracts) -> Priced:
    """The contracts whose time value is half a cent or more, with their prices."""
    found = priced(contracts)
    return _chosen(found, (found.time_value >= 0.005) & (2.3e-16 * found.price / found.vega < 1e-8))


def priced(contracts: Contracts) -> Priced:
    """Prices by scipy's scaled complementary error function, which keeps every digit of the time value; not our own code."""
    spot, strike, t, r, q, vol, is_call = contracts
    with np.errstate(all="ignore"):
        forward, discount = spot * np.exp((r - q) * t), np.exp(-r * t)
        x, s = np.abs(np.log(forward / strike)), vol * np.sqrt(t)
        h, half = x / s, 0.5 * s
        density = np.exp(-0.5 * (h * h + half * half)) / np.sqrt(2 * np.pi)
        near, far = (np.sqrt(np.pi / 2) * erfcx(np.abs(each) / np.sqrt(2)) for each in (h - half, h + half))
        normal = np.where(h > half, density * (near - far), np.exp(-0.5 * x) - density * (near + far))
        scale = discount * np.sqrt(forward * strike)
        payoff = discount * np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
        return Priced(contracts, scale * normal + payoff, scale * normal, scale * density * np.sqrt(t))


def _chosen(found: Priced, chosen: Any) -> Priced:
    return Priced(found.contracts.where(chosen), *(np.ascontiguousarray(each[chosen]) for each in found[1:]))
