"""Sections of `bench pricing`: American values and Greeks from nothing and on a tick, implied vols, accuracy, dividends.

The rival is QuantLib's QdFp engine, fast scheme, prices only; the judge its high-precision scheme.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from app.commands.bench_american_laws import violations
from app.commands.bench_american_sets import (
    FAST,
    PRECISE,
    Oracle,
    errors,
    nothing_shared,
    regimes,
    rival,
    two_boundaries,
)
from app.commands.bench_pricing_rounds import Job, Row, Section, in_turn, rounds_of, row
from app.commands.bench_pricing_sets import Contracts, chains
from engine.pricing import american, dividends
from engine.pricing.american_implied import implied_vol
from engine.pricing.european import RAW
from engine.pricing.implied import IvStatus

COUNT = 30_000
RIVAL_STEP, JUDGED_STEP = 30, 30
"""The rival prices every thirtieth contract, and those are judged; its figure is a contract."""
QDFP = "QuantLib QdFp fast, prices only"
LIMIT = "limit by operations 450 ns a contract, each with its own boundary"


def sections(quick: bool) -> list[Section]:
    known: dict[str, Callable[[bool], list[Row]]] = {
        "American value and 5 Greeks from nothing": partial(_from_nothing, chains(COUNT)),
        "American, no two contracts alike": partial(_from_nothing, nothing_shared(COUNT)),
        "American spot tick": _tick,
        "American implied vol": _implied,
        "American accuracy": _accuracy,
        "Cash dividends": _dividends,
        "American laws on random contracts": _laws,
    }
    return [Section(name, partial(run, quick)) for name, run in known.items()]


def _from_nothing(contracts: Contracts, quick: bool) -> list[Row]:
    some = contracts.where(slice(None, None, RIVAL_STEP))
    jobs = [Job("ours", lambda: american.greeks(*contracts, units=RAW), COUNT)]
    try:
        jobs.append(rival(some, FAST, QDFP))
        known = Oracle(some, PRECISE).values()
    except ImportError:
        return [row("ours", in_turn(jobs, rounds_of(quick))["ours"].of(COUNT), "no rival is installed")]
    found = in_turn(jobs, rounds_of(quick))
    ours, theirs = found["ours"], found[QDFP]
    shared = contracts.t.size > np.unique(contracts.t).size
    return [
        row("ours, value and 5 Greeks", ours.of(COUNT), LIMIT),
        row(QDFP, theirs.of(COUNT)),
        row("ratio", f"{theirs.nanoseconds / ours.nanoseconds:.1f}×", "≥ 12×, stretch 20×" if shared else ""),
        row("errors of ours", errors(ours.answer.value[::RIVAL_STEP], known), "no larger than the rival's"),
        row(f"errors of {QDFP}", errors(theirs.answer, known)),
    ]


def _tick(quick: bool) -> list[Row]:
    contracts = chains(COUNT)
    kept = american.Boundaries(*contracts[1:])
    spot = contracts.spot * 1.001
    jobs = [
        Job("part", lambda: kept.price_greeks(spot, full=False), COUNT),
        Job("whole", lambda: kept.price_greeks(spot), COUNT),
    ]
    found = in_turn(jobs, rounds_of(quick))
    same = np.array_equal(found["whole"].answer.value, american.price(spot, *contracts[1:]))
    return [
        row("value, delta, gamma, theta", found["part"].of(COUNT), "≤ 3 ms; limit by operations 65 ns a contract"),
        row("and vega, rho", found["whole"].of(COUNT), "≤ 8 ms"),
        row("same bits as from nothing", "yes" if same else "no", "yes"),
    ]


def _implied(quick: bool) -> list[Row]:
    contracts = chains(COUNT)
    priced = american.greeks(*contracts)
    job = Job("ours", lambda: implied_vol(priced.value, *contracts[:5], contracts.is_call), COUNT)
    found = in_turn([job], rounds_of(quick))["ours"]
    error = np.abs(found.answer.vol - contracts.vol)
    solved = found.answer.status == IvStatus.CONVERGED
    counts = {
        each.name.lower(): int(np.sum(found.answer.status == each)) for each in IvStatus if each is not IvStatus.OK
    }
    seen = priced.vega > 1e-5 * contracts.spot
    return [
        row("ours", found.of(COUNT), "≤ 100 ms, stretch 50 ms"),
        row("wrong vols (off by more than 1e-4)", str(int(np.sum(error[solved] > 1e-4))), "0"),
        row("largest error", f"{float(error[solved].max()):.1e}"),
        row("no vol though the vega shows it", str(int(np.sum(seen & ~solved))), "0"),
        row("without a vol, and why", ", ".join(f"{number} {name}" for name, number in counts.items() if number)),
    ]


def _accuracy(quick: bool) -> list[Row]:
    contracts = regimes(500 if quick else 4000, seed=2)
    contracts = contracts.where(~two_boundaries(contracts))
    usual, precise = (american.greeks(*contracts, units=RAW, precise=each) for each in (False, True))
    not_numbers = sum(int(np.isnan(each).sum()) for each in usual)
    scale = {
        "delta": np.ones(contracts.t.size),
        "gamma": 1.0 / (contracts.spot * contracts.vol * np.sqrt(contracts.t)),
        "vega": contracts.spot * np.sqrt(contracts.t),
        "theta": contracts.spot * contracts.vol / np.sqrt(contracts.t),
        "rho": contracts.strike * contracts.t,
    }
    rows = [row("NaN among values and Greeks", str(not_numbers), "0")]
    try:
        known = Oracle(contracts, PRECISE).values()
        bar = "rms < $1e-4, at most $1e-3 on a spot of 100"
        rows.append(
            row(f"value against QdFp high precision, {known.size:,} contracts", errors(usual.value, known), bar)
        )
    except ImportError:
        rows.append(row("value against QdFp high precision", "no QuantLib is installed"))
    for name, size in scale.items():
        gap = np.abs(getattr(usual, name) - getattr(precise, name)) / size
        figure = f"rms {float(np.sqrt(np.mean(gap**2))):.1e}, 99.9 % {float(np.quantile(gap, 0.999)):.1e}, max {float(gap.max()):.1e}"
        rows.append(row(f"{name} against the precise scheme, of its scale", figure))
    return rows


def _dividends(quick: bool) -> list[Row]:
    """An index fund's expiry: 200 strikes, calls and puts, two dividends of 0.3 %."""
    coming = [dividends.CashDividend(0.06, 1.8), dividends.CashDividend(0.31, 1.8)]
    strike, right = np.tile(np.linspace(480.0, 720.0, 200), 2), np.repeat([True, False], 200)
    vol = 0.17 * (1.0 - 0.8 * np.log(strike / 600.0))
    q = dividends.equivalent_yield(600.0, 0.4, 0.043, coming)
    jobs = [
        Job("grid", lambda: dividends.price_with_dividends(600.0, strike, 0.4, 0.043, vol, right, coming), 400),
        Job("yield", lambda: american.price(600.0, strike, 0.4, 0.043, q, vol, right), 400),
    ]
    found = in_turn(jobs, rounds_of(quick))
    gap = np.abs(found["yield"].answer - found["grid"].answer)
    return [
        row("an expiry of 400 contracts, grid", found["grid"].of(400)),
        row("the same by the equivalent yield", found["yield"].of(400)),
        row(
            "what the equivalent yield misses, spot 600",
            f"calls ${gap[right].max():.3f}, puts ${gap[~right].max():.3f} at most",
        ),
    ]


def _laws(quick: bool) -> list[Row]:
    count = 50_000 if quick else 1_000_000
    broken = violations(count, seed=99)
    told = ", ".join(f"{law}: {number}" for law, number in broken.items() if number) or "none"
    return [row(f"violations of {len(broken)} laws on {count:,} random contracts", told, "none")]
