"""Sections of `bench pricing`: European values and Greeks, implied vols, the hard set on fresh seeds, start from cold."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.commands.bench_pricing_laws import violations
from app.commands.bench_pricing_rivals import (
    FAST_VOLLIB,
    PYVOLR,
    SCALAR_STEP,
    VOLLIB,
    european_rivals,
    implied_rivals,
    in_order,
)
from app.commands.bench_pricing_rounds import Job, Row, Section, Timing, in_turn, rounds_of, row
from app.commands.bench_pricing_sets import Priced, chains, hard, quoted
from engine.pricing import greeks, implied_vol
from engine.pricing.european import RAW
from engine.pricing.implied import IvStatus
from engine.pricing.kernels import european as european_kernels
from engine.pricing.kernels import implied as implied_kernels

COUNT = 30_000
FRESH_SEEDS = 20
LIMIT_EUROPEAN = "limit by operations 6-7 ns"
LIMIT_IMPLIED = "limit by operations 20-25 ns"


def sections(quick: bool) -> list[Section]:
    known = {
        "European value and 5 Greeks": _european,
        "Implied vol": _implied,
        "Implied vol, hard set": _hard,
        "Implied vol, fresh hard seeds": _fresh,
        "Laws on random contracts": _laws,
        "Cold start": _cold,
    }
    return [Section(name, partial(run, quick)) for name, run in known.items()]


def _european(quick: bool) -> list[Row]:
    contracts = chains(COUNT)
    rivals, missing = european_rivals(contracts)
    results = [np.empty(COUNT) for _ in range(6)]

    def by_numpy() -> Any:
        european_kernels.GREEKS.by_numpy(*contracts, *RAW, *results)

    jobs = [Job("ours", lambda: greeks(*contracts, units=RAW), COUNT), Job("ours by numpy", by_numpy, COUNT), *rivals]
    found = in_turn(jobs, rounds_of(quick))
    rows = [row("ours", found["ours"].of(COUNT), f"≤ 0.5 ms; {LIMIT_EUROPEAN}")]
    rows.append(row("ours by numpy, the same bits", found["ours by numpy"].of(COUNT)))
    rows += _ratios(found, {FAST_VOLLIB: "≥ 5×, stretch 8×"}, missing)
    if FAST_VOLLIB in found:
        theirs = in_order(contracts, [price for price, _greeks in found[FAST_VOLLIB].answer])
        gap = float(np.max(np.abs(theirs - found["ours"].answer.value)))
        rows.append(row(f"largest difference of value from {FAST_VOLLIB}", f"${gap:.1e}"))
    return rows


def _implied(quick: bool) -> list[Row]:
    return _vols(quoted(chains(COUNT)), quick, f"≤ 2.5 ms; {LIMIT_IMPLIED}", {PYVOLR: "≥ 4×, stretch 8×"})


def _hard(quick: bool) -> list[Row]:
    return _vols(hard(COUNT), quick, "", {})


def _vols(known: Priced, quick: bool, bar: str, bars: dict[str, str]) -> list[Row]:
    contracts, count = known.contracts, known.price.size
    spot, strike, t, r, q, vol, is_call = contracts
    rivals, missing = implied_rivals(known.price, contracts)
    result, status = np.empty(count), np.empty(count, np.int8)

    def by_numpy() -> Any:
        implied_kernels.IMPLIED.by_numpy(known.price, spot, strike, t, r, q, is_call, result, status)

    ours = Job("ours", lambda: implied_vol(known.price, spot, strike, t, r, q, is_call), count)
    found = in_turn([ours, Job("ours by numpy", by_numpy, count), *rivals], rounds_of(quick))
    rows = [row(f"ours, {count:,} contracts", found["ours"].of(COUNT), bar)]
    rows.append(row("ours by numpy, the same bits", found["ours by numpy"].of(COUNT)))
    rows += _ratios(found, bars, missing)
    failed, worst, median = _judged(found["ours"].answer.vol, vol, known.conditioning)
    rows.append(
        row("errors of ours", f"{failed} failures, median {median:.0e}, {worst:.1f} roundings at most", "0 failures")
    )
    for name in (FAST_VOLLIB, PYVOLR, VOLLIB):
        if name in found:
            step = SCALAR_STEP if name == VOLLIB else 1
            answer = found[name].answer if name == VOLLIB else in_order(contracts, found[name].answer)
            failed, worst, median = _judged(answer, vol[::step], known.conditioning[::step])
            rows.append(row(f"errors of {name}", f"{failed} failures of {len(answer):,}, median {median:.0e}"))
    return rows


def _judged(answer: Any, vol: Any, conditioning: Any) -> tuple[int, float, float]:
    """Failures (no vol, or further off than a millionth and a hundred roundings), worst error in roundings, median error."""
    error = np.abs(np.asarray(answer) - vol)
    failed = ~(error <= np.maximum(1e-6, 100.0 * conditioning))
    solved = np.isfinite(error)
    if not solved.any():
        return int(failed.sum()), float("inf"), float("inf")
    return int(failed.sum()), float(np.max((error / conditioning)[solved])), float(np.median(error[solved]))


def _fresh(quick: bool) -> list[Row]:
    seeds = 2 if quick else FRESH_SEEDS
    tried = failed = silent = 0
    worst = 0.0
    for seed in range(1000, 1000 + seeds):
        known = hard(COUNT, seed)
        spot, strike, t, r, q, vol, is_call = known.contracts
        answer = implied_vol(known.price, spot, strike, t, r, q, is_call)
        lost, roundings, _median = _judged(answer.vol, vol, known.conditioning)
        tried, failed, worst = tried + vol.size, failed + lost, max(worst, roundings)
        off = np.abs(answer.vol - vol) > np.maximum(1e-6, 100.0 * known.conditioning)
        silent += int(np.count_nonzero(off & (answer.status == IvStatus.CONVERGED)))
    return [
        row(f"{tried:,} contracts of {seeds} seeds", f"{failed} failures, {silent} of them silent", "0 and 0"),
        row("worst error", f"{worst:.1f} roundings of price and legs seen through the vega"),
    ]


def _laws(quick: bool) -> list[Row]:
    count = 100_000 if quick else 1_000_000
    broken = violations(count, seed=2026)
    return [
        row(f"{law}, {count:,} contracts", f"{number} violations", "0 violations") for law, number in broken.items()
    ]


def _cold(quick: bool) -> list[Row]:
    """Fresh processes: importing, and the first answer, by numpy, with code in the cache, and with none."""
    imported = _timed("import engine.pricing")
    bare = _timed("import numpy")
    first = _timed(f"import engine.pricing as p; {_FIRST}")
    rows = [
        row("import of pricing, beyond numpy", f"{imported - bare:.2f} s", "< 0.3 s"),
        row("import and first chain by numpy, beyond numpy", f"{first - bare:.2f} s", "< 0.3 s"),
    ]
    with tempfile.TemporaryDirectory(prefix="strikedesk-kernels-") as folder:
        warmed = (
            "import engine.pricing as p; from engine.pricing import kernels; from pathlib import Path; "
            f"kernels.prepare(Path({folder!r})); assert kernels.warm().serving == 'compiled'; {_FIRST}"
        )
        rows.append(
            row("import, compile everything, first chain", f"{_timed(warmed) - bare:.1f} s", "in the background")
        )
        rows.append(row("import, load compiled code, first chain", f"{_timed(warmed) - bare:.2f} s"))
    return rows


ROOT = Path(__file__).resolve().parents[2]
"""Where `engine` is found, from whatever folder the benchmark was started."""
_FIRST = (
    "import numpy as n; k = n.linspace(300., 900., 5000); v = p.greeks(600., k, .1, .04, .01, .2, k > 600.).value; "
    "p.implied_vol(v, 600., k, .1, .04, .01, k > 600.)"
)


def _timed(program: str) -> float:
    """Seconds inside a fresh interpreter, its own start left out."""
    clocked = f"import time; begun = time.perf_counter(); {program}; print(time.perf_counter() - begun)"
    done = subprocess.run(
        [sys.executable, "-c", clocked], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return float(done.stdout.split()[-1])


def _ratios(found: dict[str, Timing], bars: dict[str, str], missing: list[str]) -> list[Row]:
    ours = found["ours"]
    rows = [
        row(
            name,
            f"{each.nanoseconds:,.1f} ns a contract: {each.nanoseconds / ours.nanoseconds:,.1f}× ours"
            f" (best rounds {each.best / ours.best:,.1f}×)",
            bars.get(name, ""),
        )
        for name, each in found.items()
        if not name.startswith("ours")
    ]
    return rows + [row(name, "not installed (the extra `bench` brings it)", bars.get(name, "")) for name in missing]
