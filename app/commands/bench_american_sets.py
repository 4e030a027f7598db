"""Contracts and an oracle to measure American pricing on: a grid over every regime, a chain without anything in common.

The oracle and rival is QuantLib's QdFp engine (extra `bench`), given objects made before the clock starts.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.commands.bench_pricing_rounds import Job
from app.commands.bench_pricing_sets import MINUTE, Contracts, chains

FloatArray = NDArray[np.float64]
FAST, PRECISE = "fastScheme", "highPrecisionScheme"


def regimes(count: int, seed: int = 1) -> Contracts:
    """Spot 100, vol 2 to 200 %, one minute to three years, r and q from -3 to 10 % (a tenth of them 0 or equal)."""
    random = np.random.default_rng(seed)
    t = np.exp(random.uniform(np.log(MINUTE), np.log(3.0), count))
    t[: count // 2] = random.uniform(1.0 / 365.0, 3.0, count // 2)
    vol = np.exp(random.uniform(np.log(0.02), np.log(2.0), count))
    r, q, which = random.uniform(-0.03, 0.1, count), random.uniform(-0.03, 0.1, count), random.random(count)
    r = np.where(which < 0.04, 0.0, np.where(which < 0.08, q, r))
    q = np.where((which > 0.08) & (which < 0.12), 0.0, q)
    width = np.maximum(vol * np.sqrt(t), 0.3 * np.abs(r - q) * t)
    strike = np.clip(100.0 * np.exp(random.normal(0.0, 1.2, count).clip(-4, 4) * width), 1.0, 1e4)
    return Contracts(np.full(count, 100.0), strike, t, r, q, vol, random.random(count) < 0.5)


def two_boundaries(contracts: Contracts) -> NDArray[np.bool_]:
    """Where there are two exercise boundaries: the oracle refuses these."""
    first = np.where(contracts.is_call, contracts.q, contracts.r)
    second = np.where(contracts.is_call, contracts.r, contracts.q)
    two: NDArray[np.bool_] = (first < 0) & (second < first)
    return two


def nothing_shared(count: int, seed: int = 7) -> Contracts:
    """The same chains, each contract with an expiry and rates of its own: no boundary serves two."""
    contracts, random = chains(count, seed), np.random.default_rng(seed)
    t, r, q = (each * random.uniform(0.9, 1.1, count) for each in (contracts.t, contracts.r, contracts.q))
    return contracts._replace(t=t, r=r, q=q)


class Oracle:
    """QuantLib's options on these contracts, each with its own engine. Raises ImportError where there is no QuantLib.

    Time is folded into rates and vol over one year, because QuantLib counts whole days.
    """

    def __init__(self, contracts: Contracts, scheme: str) -> None:
        ql: Any = importlib.import_module("QuantLib")
        today = ql.Date(2, 1, 2026)
        ql.Settings.instance().evaluationDate = today
        count, exercise = ql.Actual365Fixed(), ql.AmericanExercise(today, today + 365)
        self._spots: dict[float, Any] = {}
        self._options: list[Any] = []

        def flat(rate: float) -> Any:
            return ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count))

        for spot, strike, t, r, q, vol, is_call in contracts.rows():
            quote = self._spots.setdefault(spot, ql.SimpleQuote(spot))
            surface = ql.BlackVolTermStructureHandle(
                ql.BlackConstantVol(today, ql.NullCalendar(), vol * float(np.sqrt(t)), count)
            )
            process = ql.BlackScholesMertonProcess(ql.QuoteHandle(quote), flat(q * t), flat(r * t), surface)
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
            option = ql.VanillaOption(payoff, exercise)
            option.setPricingEngine(ql.QdFpAmericanEngine(process, getattr(ql.QdFpAmericanEngine, scheme)()))
            self._options.append(option)

    def values(self) -> FloatArray:
        """Prices, all anew: a move of the shared spots makes every option stale."""
        for value, quote in self._spots.items():
            quote.setValue(value + 1.0)
            quote.setValue(value)
        return np.array([each.NPV() for each in self._options])


def rival(contracts: Contracts, scheme: str, name: str) -> Job:
    return Job(name, Oracle(contracts, scheme).values, contracts.spot.size)


def errors(found: FloatArray, known: FloatArray) -> str:
    gap = np.abs(found - known)
    worst, mean = float(gap.max()), float(np.sqrt(np.mean(gap * gap)))
    return f"rms ${mean:.1e}, 99 % under ${float(np.quantile(gap, 0.99)):.1e}, at most ${worst:.1e}"
