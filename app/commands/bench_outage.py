"""`bench ledger`, the outage: the database dies under load and stays away; nothing is lost, order is kept, it catches up.

A real server of its own is killed, facts go on coming, then it is started again. Once with ten minutes' worth of facts
as fast as they are taken, once in real time at the rate of a very busy desk. Called by the ledger's benchmark.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

from app.commands.bench_facts import Stories
from app.paths import throwaway_home
from engine.state import State
from storage.database import Database, open_database
from storage.dsn import connect
from storage.embedded import EmbeddedPostgres
from storage.ledger import PostgresLedger
from storage.postmaster import read_pid_file
from storage.spool import Spool
from storage.verify import verify

RATE = 500
"""Facts a second, of a very busy desk."""
MINUTES = 10
_BEFORE = 500
_TOGETHER = 200
"""Facts in flight where they come as fast as they are taken."""
_SETTLED = 60.0
"""Seconds until a server must be back and everything moved over."""


async def outage(quick: bool) -> list[dict[str, Any]]:
    """Rows of what, figure, bar."""
    facts = RATE * 60 * MINUTES // (20 if quick else 1)
    rows = []
    with throwaway_home("outage") as home:
        home.mkdir(mode=0o711)
        outage = await _run(home / "compressed", facts, 0)
        rows += outage.rows(f"database gone, {facts:,} facts as fast as they come")
        seconds = 3 if quick else 30
        outage = await _run(home / "real time", RATE * seconds, RATE)
        rows += outage.rows(f"database gone for {seconds} s at {RATE} facts a second")
    return rows


class _Outage:
    """What one outage showed."""

    def __init__(self) -> None:
        self.facts = self.spooled = self.acknowledged = self.stored = self.bytes = 0
        self.taking = self.draining = 0.0
        self.waits: list[float] = []
        self.problems: list[str] = []

    def rows(self, name: str) -> list[dict[str, Any]]:
        waits = sorted(self.waits)
        lost = self.acknowledged - self.stored
        return [
            {
                "what": name,
                "figure": f"{lost} lost, {len(self.problems)} faults found by verify, order kept"
                if not self.problems
                else f"{lost} lost; {self.problems[0]}",
                "bar": "0 lost, order kept",
            },
            {
                "what": "  durable in the spool",
                "figure": f"{self.facts / self.taking:,.0f} facts/s, {self.bytes / max(self.spooled, 1):,.0f} bytes a fact",
                "bar": "",
            },
            {
                "what": "  acknowledged after",
                "figure": f"p50 {_ms(waits, 0.5)}, p99 {_ms(waits, 0.99)}, worst {_ms(waits, 1)}",
                "bar": "",
            },
            {
                "what": f"  {self.spooled:,} facts moved to the database",
                "figure": f"{self.spooled / self.draining:,.0f} facts/s",
                "bar": ">= 10,000 a second",
            },
        ]


def _ms(waits: list[float], share: float) -> str:
    return f"{1000 * waits[min(int(share * len(waits)), len(waits) - 1)]:.1f} ms"


async def _run(home: Path, facts: int, rate: int) -> _Outage:
    """One outage of `facts` facts. `rate`: facts a second; 0 as fast as they are taken."""
    found = _Outage()
    server = EmbeddedPostgres(home / "database")
    try:
        database = await open_database(await server.start())
        try:
            spool = Spool(home / "spool")
            ledger = PostgresLedger(database, spool=spool, heartbeat=0.1)
            await ledger.open()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ledger.run())
                feed = _Feed(ledger)
                await feed.give(_BEFORE, 0, [])
                _kill(server)
                while ledger.spooled is None:  # noqa: ASYNC110 - the ledger sets no event
                    await asyncio.sleep(0.005)
                began = time.perf_counter()
                found.facts = await feed.give(facts, rate, found.waits)
                found.taking = time.perf_counter() - began
                found.spooled, found.bytes = ledger.spooled.facts, spool.size
                found.acknowledged = ledger.head.seq
                await _come_back(server, ledger, found)
                await ledger.close()
            await _judge(database, found)
        finally:
            await database.close()
    finally:
        await server.stop()
    return found


class _Feed:
    """A desk's stories, step by step, each with the rows it changes."""

    def __init__(self, ledger: PostgresLedger) -> None:
        self._ledger = ledger
        self._state = State()
        self._steps = Stories().steps(1 << 40)

    async def give(self, facts: int, rate: int, waits: list[float]) -> int:
        """At least so many facts; returns how many when all are durable. `waits`: seconds each append waited."""
        loop = asyncio.get_running_loop()
        began, given, last = loop.time(), 0, loop.create_future()
        last.set_result(None)
        while given < facts:
            step, keys = next(self._steps)
            for fact in step:
                self._state.apply(fact)
            given += len(step)
            last = self._ledger.append(step, self._state.drain(), keys)
            last.add_done_callback(lambda _, since=loop.time(): waits.append(loop.time() - since))  # type: ignore[misc]
            if rate:
                await asyncio.sleep(max(began + given / rate - loop.time(), 0))
            elif given % _TOGETHER < len(step):
                await last
        await last
        return given


async def _come_back(server: EmbeddedPostgres, ledger: PostgresLedger, found: _Outage) -> None:
    """The server is started; how long the ledger then takes to move everything over."""
    await server.start()
    behind = ledger.spooled.facts if ledger.spooled is not None else 0
    async with asyncio.timeout(_SETTLED + behind / 1000):
        while ledger.spooled is not None and ledger.spooled.facts == behind:  # noqa: ASYNC110 - the ledger sets no event
            await asyncio.sleep(0.001)
        began = time.perf_counter()
        while ledger.spooled is not None:  # noqa: ASYNC110 - the ledger sets no event
            await asyncio.sleep(0.001)
        found.draining = time.perf_counter() - began


async def _judge(database: Database, found: _Outage) -> None:
    async with await connect(database.dsn, "bench") as connection:
        rows = await (await connection.execute("SELECT count(*), max(seq) FROM strikedesk.ledger")).fetchall()
    found.stored = rows[0][0] if rows[0][0] == rows[0][1] else -1
    report = await verify(database)
    found.problems = [str(problem) for problem in report.problems]


def _kill(server: EmbeddedPostgres) -> None:
    file = read_pid_file(server.cluster)
    assert file is not None, "the server was started"
    os.kill(file.pid, signal.SIGKILL)
