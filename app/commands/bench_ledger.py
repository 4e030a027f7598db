"""`bench ledger`: what a durable fact costs beside a bare commit, how many facts a second go in, are imported and checked,
and whether tampering is found. On a throwaway server of its own, never on anybody's ledger.

Sections stand in one table, each asked for its rows: what, figure, bar. Those that need a server of their own bring it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from app.commands.bench_facts import BEGINNING, Stories
from app.commands.bench_journey import percentile
from app.commands.bench_outage import outage
from app.commands.bench_progress import now
from app.commands.bench_queries import queries
from app.commands.bench_tampering import tampering
from app.paths import throwaway_home
from engine.domain import events as ev
from engine.domain.events import AnyFact
from engine.ports import Change
from engine.state import State
from storage.commit_bench import Bare
from storage.database import Database, open_database
from storage.embedded import EmbeddedPostgres
from storage.importing import import_facts
from storage.ledger import PostgresLedger
from storage.verify import verify

Rows = list[dict[str, Any]]
WAITING = 2500
"""Facts that may wait for their commit while more are made."""


@asynccontextmanager
async def throwaway() -> AsyncIterator[Database]:
    """An empty ledger on a server that is gone afterwards."""
    with throwaway_home("bench") as home:
        server = EmbeddedPostgres(home / "database")
        try:
            database = await open_database(await server.start())
            try:
                yield database
            finally:
                await database.close()
        finally:
            await server.stop()


async def append(quick: bool) -> Rows:
    """One durable fact with its projection after another, each beside a bare commit of the same moment."""
    count = 400 if quick else 4000
    took: dict[str, list[float]] = {"bare commit": [], "a small fact": [], "a receipt": []}
    receipt = next(step for step, keys in Stories().steps(10) if keys)[0]
    async with throwaway() as database, Bare(database.dsn) as bare:
        ledger = PostgresLedger(database)
        await ledger.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ledger.run(), name="ledger")
            for number in range(count):
                seq = 2 * number + 1
                row = Change(kind="order", key=str(number % 50), body=b'{"quantity":2,"state":"WORKING"}')
                small = ev.OrderAccepted(seq=seq, at=BEGINNING, order=f"O{seq}")
                heard = _heard(receipt, seq + 1)
                took["bare commit"].append(await bare.commit(number))
                took["a small fact"].append(await _timed(ledger, small, row, {}))
                row = Change(kind="heard", key=str(seq + 1), body=b'{"outcome":"","text":"SPY 5m LONG HIGH"}')
                took["a receipt"].append(await _timed(ledger, heard, row, {f"signal:SPY:5:LONG:{seq}": seq + 1}))
            await ledger.close()
    warm = {name: values[count // 10 :] for name, values in took.items()}
    rows: Rows = []
    for name, values in warm.items():
        ratios = {share: percentile(values, share) / percentile(warm["bare commit"], share) for share in (0.5, 0.99)}
        figure = ", ".join(f"p{share * 100:g} {percentile(values, share) * 1000:.3f} ms" for share in (0.5, 0.95, 0.99))
        if name == "bare commit":
            rows.append({"what": name, "figure": figure, "bar": ""})
            continue
        figure += f" ({ratios[0.5]:.2f}x, p99 {ratios[0.99]:.2f}x)"
        met = ratios[0.5] <= 2.5 and ratios[0.99] <= 3
        rows.append({"what": f"{name}, durable", "figure": figure, "bar": "p50 2.5x, p99 3x", "met": met})
    return rows


def _heard(receipt: AnyFact, seq: int) -> AnyFact:
    assert isinstance(receipt, ev.SignalReceived)
    return replace(receipt, seq=seq, at=BEGINNING)


async def _timed(ledger: PostgresLedger, fact: AnyFact, row: Change, keys: dict[str, int]) -> float:
    began = time.perf_counter()
    await ledger.append([fact], [row], keys)
    return time.perf_counter() - began


async def whole(quick: bool) -> Rows:
    """Facts as the engine makes them, one after another without a pause: folded, encoded, chained, indexed, projected."""
    count, chunk = (60_000, 20_000) if quick else (600_000, 50_000)
    state, stories = State(), Stories()
    rates: list[float] = []
    async with throwaway() as database:
        ledger = PostgresLedger(database)
        await ledger.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ledger.run(), name="ledger")
            while stories.seq < count:
                # The facts themselves are made beforehand: a market makes them otherwise.
                steps = list(stories.steps(chunk))
                before, began = ledger.head.seq, time.perf_counter()
                for number, (facts, keys) in enumerate(steps):
                    for fact in facts:
                        state.apply(fact)
                    last = ledger.append(facts, state.drain(), keys)
                    if number % 50 == 0:
                        await asyncio.sleep(0)
                        while stories.seq and ledger.waiting > WAITING:  # noqa: ASYNC110 - a queue, not an event
                            await asyncio.sleep(0.0005)
                await last
                rates.append((ledger.head.seq - before) / (time.perf_counter() - began))
            await ledger.close()
    figure = f"{statistics.fmean(rates):,.0f} a second, slowest {chunk:,} of them {min(rates):,.0f}"
    met = min(rates) >= 15_000
    return [{"what": f"{stories.seq:,} facts whole", "figure": figure, "bar": "15,000 a second", "met": met}]


async def bulk(quick: bool) -> Rows:
    """Facts imported into an empty ledger, and the whole of it verified."""
    count = 100_000 if quick else 400_000
    state = State()
    folding = 0.0

    def fold(fact: AnyFact) -> list[Change]:
        nonlocal folding
        folding = folding or time.perf_counter()
        state.apply(fact)
        return state.drain()

    async with throwaway() as database:
        steps = list(Stories().steps(count))
        began = time.perf_counter()
        done = await import_facts(database, steps, fold)
        ended = time.perf_counter()
        del steps
        imported = done.facts / (folding - began)
        rows: Rows = [
            {
                "what": f"{done.facts:,} facts imported: rows, chain, keys",
                "figure": f"{imported:,.0f} a second",
                "bar": "50,000 a second",
                "met": imported >= 50_000,
            },
            {
                "what": "their projections folded afterwards",
                "figure": f"{done.facts / (ended - folding):,.0f} a second; {done.facts / (ended - began):,.0f} with both",
                "bar": "",
            },
        ]
        rates, used = [], []
        for _ in range(3):
            busy, began = time.process_time(), time.perf_counter()
            report = await verify(database)
            rates.append(report.facts / (time.perf_counter() - began))
            used.append(report.facts / (time.process_time() - busy))
            if not report.ok:
                raise RuntimeError(f"the imported ledger is not sound: {report.problems[0]}")
        rows.append(
            {
                "what": f"{report.facts:,} facts verified",
                "figure": f"{max(used):,.0f} for a second of one core, {max(rates):,.0f} by the clock",
                "bar": "200,000 on one core",
                "met": max(used) >= 200_000,
            }
        )
    return rows


SECTIONS: dict[str, Callable[[bool], Awaitable[Rows]]] = {
    "append": append,
    "whole": whole,
    "bulk": bulk,
    "tampering": tampering,
    "outage": outage,
    "queries": queries,
}


def bench_ledger(quick: bool) -> dict[str, Any]:
    """Every section, one after another, each on its own server."""
    results: dict[str, Rows] = {}
    for name, section in SECTIONS.items():
        now(f"ledger, {name}")
        results[name] = asyncio.run(_section(section, quick))
    rows = [
        {"what": row["what"], "figure": row["figure"], "bar": f"bar {row['bar']}" if row.get("bar") else ""}
        for found in results.values()
        for row in found
    ]
    return {
        "rows": rows,
        "profile": {"fsync": "on", "synchronous_commit": "on", "server": "embedded"},
        "results": results,
    }


async def _section(section: Callable[[bool], Awaitable[Rows]], quick: bool) -> Rows:
    return await section(quick)
