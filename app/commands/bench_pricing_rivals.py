"""The libraries to compare with, from the extra `bench`. Each is asked the way that is fastest for it; what prepares its
arguments, and what puts its answers in order, is not timed. A library that is not installed is a line that says so."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from app.commands.bench_pricing_rounds import Job
from app.commands.bench_pricing_sets import Contracts, FloatArray

SCALAR_STEP = 10
"""A library without arrays prices every tenth contract; figures are a contract."""
FAST_VOLLIB = "fast-vollib (numba)"
PYVOLR = "pyvolr (Rust)"
QUANTLIB = "QuantLib (objects reused)"
VOLLIB = "vollib (one by one)"

Rivals = tuple[list[Job], list[str]]
"""Jobs of those there are, and the names of those there are not."""


def european_rivals(contracts: Contracts) -> Rivals:
    """Price, delta, gamma, theta, vega, rho of all contracts (QuantLib: without theta)."""
    return _those_there_are(
        {
            FAST_VOLLIB: lambda: _fast_vollib(contracts),
            PYVOLR: lambda: _pyvolr(contracts),
            QUANTLIB: lambda: _quantlib(contracts),
            VOLLIB: lambda: _vollib(contracts),
        }
    )


def implied_rivals(price: FloatArray, contracts: Contracts) -> Rivals:
    """Implied vols; an answer is an array in the contracts' order (vollib: of every tenth)."""
    return _those_there_are(
        {
            FAST_VOLLIB: lambda: _fast_vollib_vols(price, contracts),
            PYVOLR: lambda: _pyvolr_vols(price, contracts),
            VOLLIB: lambda: _vollib_vols(price, contracts),
        }
    )


def in_order(contracts: Contracts, answer: Any) -> FloatArray:
    """The answers for calls and for puts as one array in the contracts' order."""
    whole = np.empty(contracts.spot.size)
    for chosen, part in zip((contracts.is_call, ~contracts.is_call), answer, strict=True):
        whole[chosen] = np.ravel(part)
    return whole


def _those_there_are(known: dict[str, Callable[[], Job]]) -> Rivals:
    jobs, missing = [], []
    for name, make in known.items():
        try:
            jobs.append(make())
        except ImportError:
            missing.append(name)
    return jobs, missing


def _library(name: str) -> Any:
    return importlib.import_module(name)


def _sides(contracts: Contracts, price: FloatArray | None = None) -> list[tuple[str, list[FloatArray]]]:
    """Calls and puts apart: flags as arrays would cost the rivals up to four times as much."""
    spot, strike, t, r, q, vol, is_call = contracts
    columns = [spot, strike, t, r, vol, q, *([] if price is None else [price])]
    return [
        (flag, [np.ascontiguousarray(each[chosen]) for each in columns])
        for flag, chosen in (("c", is_call), ("p", ~is_call))
    ]


def _fast_vollib(contracts: Contracts) -> Job:
    library = _library("fast_vollib")

    sides = _sides(contracts)

    def call() -> Any:
        return [
            (
                library.fast_black_scholes_merton(flag, *columns, return_as="numpy", backend="numba"),
                library.get_all_greeks(
                    flag, *columns, model="black_scholes_merton", return_as="dict", backend="numba"
                ),
            )
            for flag, columns in sides
        ]  # fmt: skip

    return Job(FAST_VOLLIB, call, contracts.spot.size)


def _fast_vollib_vols(price: FloatArray, contracts: Contracts) -> Job:
    library = _library("fast_vollib")

    sides = _sides(contracts, price)

    def call() -> Any:
        return [
            library.fast_implied_volatility(
                p, s, k, t, r, flag, q,
                model="black_scholes_merton", return_as="numpy", on_error="ignore", backend="numba",
            )
            for flag, (s, k, t, r, _vol, q, p) in sides
        ]  # fmt: skip

    return Job(FAST_VOLLIB, call, contracts.spot.size)


def _pyvolr(contracts: Contracts) -> Job:
    bs = _library("pyvolr").bs

    sides = _sides(contracts)
    return Job(
        PYVOLR,
        lambda: [(bs.price(flag, *columns), bs.greeks(flag, *columns)) for flag, columns in sides],
        contracts.spot.size,
    )


def _pyvolr_vols(price: FloatArray, contracts: Contracts) -> Job:
    bs = _library("pyvolr").bs

    sides = _sides(contracts, price)
    return Job(
        PYVOLR,
        lambda: [bs.implied_vol(p, flag, s, k, t, r, q, on_error="ignore") for flag, (s, k, t, r, _vol, q, p) in sides],
        contracts.spot.size,
    )


def _quantlib(contracts: Contracts) -> Job:
    """One option object a contract, made before the clock starts; a move of the shared spot makes all of them stale.

    Time is folded into the rates and the vol over one year, because QuantLib counts whole days.
    """
    ql = _library("QuantLib")

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count, expiry = ql.Actual365Fixed(), ql.EuropeanExercise(today + 365)
    spots: dict[float, Any] = {}
    options = []

    def flat(rate: float) -> Any:
        return ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count))

    for spot, strike, t, r, q, vol, is_call in contracts.where(slice(None, None, SCALAR_STEP)).rows():
        quote = spots.setdefault(spot, ql.SimpleQuote(spot))
        surface = ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(today, ql.NullCalendar(), vol * float(np.sqrt(t)), count)
        )
        process = ql.BlackScholesMertonProcess(ql.QuoteHandle(quote), flat(q * t), flat(r * t), surface)
        option = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike), expiry)
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        options.append(option)

    def call() -> Any:
        for value, quote in spots.items():
            quote.setValue(value + 1.0)
            quote.setValue(value)
        return [(each.NPV(), each.delta(), each.gamma(), each.vega(), each.rho()) for each in options]

    return Job(QUANTLIB, call, len(options))


def _vollib(contracts: Contracts) -> Job:
    greeks = _library("vollib.black_scholes_merton.greeks.analytical")
    value = _library("vollib.black_scholes_merton").black_scholes_merton
    functions = (value, greeks.delta, greeks.gamma, greeks.theta, greeks.vega, greeks.rho)
    asked = [
        ("c" if is_call else "p", spot, strike, t, r, vol, q)
        for spot, strike, t, r, q, vol, is_call in contracts.where(slice(None, None, SCALAR_STEP)).rows()
    ]
    return Job(VOLLIB, lambda: [[each(*one) for each in functions] for one in asked], len(asked))


def _vollib_vols(price: FloatArray, contracts: Contracts) -> Job:
    implied_volatility = _library("vollib.black_scholes_merton.implied_volatility").implied_volatility
    asked = [
        (float(p), spot, strike, t, r, q, "c" if is_call else "p")
        for p, (spot, strike, t, r, q, _vol, is_call) in zip(
            price[::SCALAR_STEP], contracts.where(slice(None, None, SCALAR_STEP)).rows(), strict=True
        )
    ]

    def one(arguments: Any) -> float:
        try:
            return float(implied_volatility(*arguments))
        except Exception:  # noqa: BLE001 - what it cannot solve counts as a failure of its own, whatever it raises
            return float("nan")

    return Job(VOLLIB, lambda: np.array([one(each) for each in asked]), len(asked))
