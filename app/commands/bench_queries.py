"""The queries part of `bench ledger`: pages, words, stories, exports and a start, on a ledger of ten million facts.

The ledger is made first (`bench_large`), which takes a quarter of an hour; `STRIKEDESK_BENCH_LEDGER` names a folder
where it is kept and found again. Every time is that of the whole answer, as the API waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from app.commands.bench_large import make
from app.paths import program, throwaway_home
from engine.domain.findable import EVERYTHING, Question
from storage import reading
from storage.database import Database, open_database
from storage.embedded import EmbeddedPostgres
from storage.export import export
from storage.queries import find

FACTS, QUICK_FACTS = 10_000_000, 200_000
ROUNDS = 40
"""Times each kind of question is asked, with other values each time."""
EXPORTED = 1_000_000
STARTS = 5
PLACE = "STRIKEDESK_BENCH_LEDGER"

Rows = list[dict[str, Any]]


async def queries(quick: bool) -> Rows:
    """Rows of figures: what, figure, bar."""
    facts = QUICK_FACTS if quick else FACTS
    async with _place() as home:
        async with _opened(home) as database:
            count = await _filled(database, facts)
            rows = await _pages(database, count)
            rows += await _export(database, home, min(EXPORTED, count))
        rows += _starts(home, count)
    return rows


@asynccontextmanager
async def _place() -> AsyncIterator[Path]:
    if kept := os.environ.get(PLACE):
        yield _made(Path(kept))
        return
    with throwaway_home("queries") as home:
        yield _made(home)


def _made(home: Path) -> Path:
    """As root the server runs as another user, who must be able to walk there."""
    place = home.expanduser().absolute()
    place.mkdir(parents=True, exist_ok=True, mode=0o755)
    return place


@asynccontextmanager
async def _opened(home: Path) -> AsyncIterator[Database]:
    server = EmbeddedPostgres(home / "database")
    try:
        database = await open_database(await server.start())
        try:
            yield database
        finally:
            await database.close()
    finally:
        await server.stop()


async def _filled(database: Database, facts: int) -> int:
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        row = await (await connection.execute("SELECT coalesce(max(seq), 0) FROM strikedesk.chain")).fetchone()
        there = int(row[0]) if row else 0
        if there:
            return there
        began = time.perf_counter()

        def report(seq: int) -> None:
            if sys.stderr.isatty():
                print(f"\r{seq} facts, {time.perf_counter() - began:.0f} s", end="", file=sys.stderr, flush=True)

        count = await make(database, facts, report)
        await connection.execute("VACUUM (ANALYZE, PARALLEL 0) strikedesk.search")
        await connection.execute("CHECKPOINT")
    return count


async def _pages(database: Database, count: int) -> Rows:
    seeded = random.Random(20261120)
    engine = database.engine
    newest = (await find(engine, EVERYTHING, limit=1)).rows[0].at
    oldest = (await find(engine, EVERYTHING, limit=1, newest_first=False)).rows[0].at
    span = newest - oldest

    def moment() -> Any:
        return oldest + seeded.random() * span

    def day() -> dict[str, Any]:
        since = moment()
        return {"since": since, "until": since + timedelta(days=1)}

    def symbol() -> str:
        return f"S{seeded.randrange(40):02d}"

    kinds = ("SignalReceived", "DecisionMade", "OrderFilled", "PositionClosed", "EntryDenied", "PositionMarked")
    reasons = ("SIGNAL_LATE", "NO_LIQUID_CONTRACT", "HEAT_OVER_LIMIT", "PROFIT_TARGET")
    asked: dict[str, Callable[[], tuple[Question, dict[str, Any]]]] = {
        "a kind, newest": lambda: (Question(kinds=(seeded.choice(kinds),)), {}),
        "a symbol, deep inside": lambda: (Question(symbol=symbol()), {"key": seeded.randrange(1, count)}),
        "a day of a symbol": lambda: (Question(symbol=symbol(), **day()), {}),
        "decisions, deep inside": lambda: (
            Question(decision=seeded.choice(("EXECUTE", "WAIT"))),
            {"key": seeded.randrange(1, count)},
        ),
        "wins of a symbol": lambda: (Question(symbol=symbol(), outcome="WIN"), {"key": seeded.randrange(1, count)}),
        "losses: there are none": lambda: (Question(outcome="LOSS"), {}),
        "a reason in a week": lambda: (
            Question(reason=seeded.choice(reasons), since=(since := moment()), until=since + timedelta(days=7)),
            {},
        ),
        "a strategy's kinds": lambda: (Question(strategy="webhook", kinds=(seeded.choice(kinds),)), {}),
        "oldest first, from a time on": lambda: (Question(since=moment()), {"newest_first": False}),
        "a rare word": lambda: (Question(text=f"t{seeded.randrange(1, count)} "), {}),
        "two words, one common": lambda: (Question(text=f"positionclosed {symbol()} "), {}),
        "common words": lambda: (Question(text="confluence below "), {"key": seeded.randrange(1, count)}),
        "the beginning of a word": lambda: (Question(text=f"p{seeded.randrange(10, 9999)}"), {}),
        "words that are nowhere": lambda: (Question(text="unheard of "), {}),
    }
    first = await _timed(lambda: find(engine, EVERYTHING), ROUNDS * 5)
    rows = [_row(f"first page of {count:,} facts", first, "20 ms at p99", 20)]
    every: list[float] = []
    early = [0]
    for name, question in asked.items():

        async def once(question: Callable[[], tuple[Question, dict[str, Any]]] = question) -> None:
            what, how = question()
            page = await find(engine, what, limit=50, **how)
            early[0] += page.next is not None and len(page.rows) < 50

        took = await _timed(once, ROUNDS)
        every += took
        rows.append(_row(name, took))
    stories = await _timed(lambda: reading.story(engine, seeded.randrange(1, count)), ROUNDS)
    rows.append(_row("one signal's whole story", stories))
    rows.append(_row("all of these questions", every + stories, "50 ms at p99", 50))
    rows.append({"what": "pages that ended early", "figure": f"{early[0]} of {len(every)}", "bar": ""})
    return rows


async def _timed(ask: Callable[[], Awaitable[object]], rounds: int) -> list[float]:
    """Milliseconds of each answer; two before them are not counted, for the plans that are made once."""
    took = []
    for number in range(rounds + 2):
        began = time.perf_counter()
        await ask()
        if number > 1:
            took.append((time.perf_counter() - began) * 1000)
    return took


def _row(what: str, took: list[float], bar: str = "", limit: float = 0) -> dict[str, Any]:
    p50, p99 = statistics.median(took), sorted(took)[min(len(took) - 1, round(0.99 * len(took)))]
    return {
        "what": what,
        "figure": f"p50 {p50:.2f} p99 {p99:.2f} ms (n {len(took)})",
        "bar": bar,
        "p50_ms": p50,
        "p99_ms": p99,
        "met": p99 < limit if bar else None,
    }


async def _export(database: Database, home: Path, facts: int) -> Rows:
    rows = []
    for ending in ("csv", "jsonl", "parquet"):
        file = home / f"export.{ending}"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        count = await export(database, file, until=facts)
        took = time.perf_counter() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        size = file.stat().st_size / 1e6
        file.unlink()
        rows.append(
            {
                "what": f"export as {ending}",
                "figure": f"{count / took:,.0f} facts/s ({size:.0f} MB), memory +{grown:.0f} MB",
                "bar": "50,000/s, flat memory",
                "per_second": count / took,
                "grown_mb": grown,
                "met": count / took >= 50_000,
            }
        )
        await asyncio.sleep(0)
    return rows


def _starts(home: Path, count: int) -> Rows:
    """From the command to the line that says ready; the first start makes secrets and is not counted."""
    took = [_start(home) for _ in range(STARTS + 1)][1:]
    figure = f"median {statistics.median(took):.2f} s, worst {max(took):.2f} s (n {len(took)})"
    worst = max(took)
    return [{"what": f"start to ready on {count:,} facts", "figure": figure, "bar": "2 s", "met": worst < 2, "s": took}]


def _start(home: Path) -> float:
    began = time.perf_counter()
    command = [*program(), "engine", "--home", str(home), "--port", "0", "--set", "backup.nightly=false"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        took = time.perf_counter() - began
        child.terminate()
        _, said = child.communicate(timeout=60)
    if not line:
        raise RuntimeError(f"the engine did not start: {said.strip()[-500:]}")
    json.loads(line)
    return took
