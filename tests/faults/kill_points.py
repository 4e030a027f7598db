"""Kills at every place: before and after each append, commit, spool write, message, word and acknowledgement.

    python -m tests.faults.kill_points --kills 2000

Engines are forked from this process, which has read the program and has no threads; each lives on a real Postgres with a
spool, against a broker in a process of its own (`line_broker`). A series is one ledger and one account: lives that are
killed one after another, and a last one that comes to rest. Then the judge compares ledger, broker and acknowledgements.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from engine.state import State
from storage.database import open_database
from storage.embedded import EmbeddedPostgres
from storage.rebuild import rebuild
from storage.verify import verify
from tests.builders_trading import NOON
from tests.faults.line_broker import opening, run_exchange
from tests.faults.point_judge import Findings, judge
from tests.faults.point_worker import Life, live

TEMPLATE = "kill_points"
A_SERIES = 24
"""Kills of one ledger."""
SIGNALS = 4
PATIENCE = 20.0


@dataclass
class Outcome:
    """What all series came to."""

    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    """Lives that ended before they came by their place often enough."""
    series: int = 0
    findings: Findings = field(default_factory=Findings)

    def add(self, other: Outcome) -> None:
        self.kills += other.kills
        self.missed += other.missed
        self.series += other.series
        self.findings.add(other.findings)

    def text(self) -> str:
        found = self.findings
        lines = [
            f"kills {self.kills.total()} at {len(self.kills)} places, in {self.series} ledgers; "
            f"{self.missed} lives ended before their place",
            f"facts {found.facts}, acknowledged {found.acknowledged}, orders {found.orders} (sent again {found.resent}), "
            f"executions {found.executions}, positions closed {found.closed}",
            *(f"  {count:5}  {place}" for place, count in sorted(self.kills.items())),
        ]
        return "\n".join([*lines, *(f"FAULT {fault}" for fault in found.faults)])


class Ground:
    """A server and folders for many series."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = EmbeddedPostgres(folder / "server")

    def begin(self) -> None:
        asyncio.run(self._begin())

    async def _begin(self) -> None:
        await self.server.start()
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        await (await open_database(self.server.dsn(TEMPLATE))).close()

    def end(self) -> None:
        asyncio.run(self.server.stop())

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.server.dsn("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def ground() -> Iterator[Ground]:
    memory = Path("/dev/shm")
    base = memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30 else None
    folder = Path(tempfile.mkdtemp(prefix="strikedesk-points-", dir=base))
    folder.chmod(0o755)
    made = Ground(folder)
    made.begin()
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


def run_series(place: Ground, seed: int, kills: int, places: list[str]) -> Outcome:
    """One ledger through `kills` lives that are killed, and a last one."""
    seeded = random.Random(seed)
    name = f"series_{os.getpid()}_{seed}"
    place.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    folder = Path(tempfile.mkdtemp(prefix="s", dir=place.folder))
    outcome = Outcome(series=1)
    dsn = place.server.dsn(name)
    try:
        with _broker(folder) as socket:
            for number in range(kills):
                target = places[(seed * kills + number) % len(places)]
                life = Life(
                    dsn=dsn, socket=socket, spool=folder / "spool", acks=folder / "acks", seed=seed * 1000 + number,
                    signals=SIGNALS, first=number * SIGNALS, place=target, times=seeded.choice((1, 1, 1, 2, 3)),
                    spooling="spool" in target or seeded.random() < 0.2,
                )  # fmt: skip
                how = run_life(life, folder)
                if how == "killed":
                    outcome.kills[target] += 1
                elif how == "rested":
                    outcome.missed += 1
                else:
                    outcome.findings.faults.append(f"seed {life.seed}, {target}: {how}")
            last = Life(
                dsn=dsn, socket=socket, spool=folder / "spool", acks=folder / "acks", seed=seed * 1000 + 999,
                signals=SIGNALS, first=kills * SIGNALS,
            )  # fmt: skip
            how = run_life(last, folder)
            if how != "rested":
                outcome.findings.faults.append(f"seed {last.seed}, the last life: {how}")
        found = judge(_facts(dsn), folder / "broker", folder / "acks")
        found.faults = [f"series {seed}: {fault}" for fault in [*found.faults, *asyncio.run(_whole(dsn))]]
        outcome.findings.add(found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        place.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return outcome


def run_life(life: Life, folder: Path) -> str:
    """`killed`, `rested`, or what went wrong."""
    said = folder / "said"
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 3
        try:
            with (
                said.open("w", encoding="utf-8") as file,
                contextlib.redirect_stderr(file),
                contextlib.redirect_stdout(file),
            ):
                try:
                    live(life)
                    code = 0
                except BaseException:  # noqa: BLE001 - a forked process must never come back
                    traceback.print_exc(file=file)
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                return "killed"
            return "rested" if status == 0 else said.read_text("utf-8")[-1500:]
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return f"was still alive after {PATIENCE:g} s"


def places_of(place: Ground) -> list[str]:
    """Every place that undisturbed lives come by, with and without the spool."""
    seen: set[str] = set()
    for seed in range(4):
        name = f"tour_{os.getpid()}_{seed}"
        place.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        folder = Path(tempfile.mkdtemp(prefix="t", dir=place.folder))
        with _broker(folder) as socket:
            for number, target in enumerate(("", "word Filled: before", "append OrderSubmitted: after", "", "")):
                life = Life(
                    dsn=place.server.dsn(name), socket=socket, spool=folder / "spool", acks=folder / "acks",
                    seed=seed * 10 + number, signals=SIGNALS, first=number * SIGNALS, place=target,
                    spooling=bool(seed % 2), report=folder / f"places{number}",
                )  # fmt: skip
                how = run_life(life, folder)
                if how not in ("rested", "killed"):
                    raise RuntimeError(how)
        for file in folder.glob("places*"):
            seen |= set(json.loads(file.read_text("utf-8")))
        shutil.rmtree(folder, ignore_errors=True)
        place.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return sorted(seen)


@contextmanager
def _broker(folder: Path) -> Iterator[Path]:
    """The broker's process; ended by its number."""
    socket, reading, writing = folder / "b", *os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(run_exchange(socket, folder / "broker", opening(NOON), writing))
        finally:
            os._exit(0)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    try:
        yield socket
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _facts(dsn: str) -> list[dict[str, object]]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(b"SELECT body FROM strikedesk.ledger ORDER BY seq").fetchall()
    return [json.loads(body) for (body,) in rows]


async def _whole(dsn: str) -> list[str]:
    """The chain holds, and the projections are those of a fold from zero."""
    database = await open_database(dsn, migrate=False)
    try:
        report = await verify(database)
        faults = [f"verify: {problem}" for problem in report.problems[:3]]
        state = State()

        def fold(fact: object) -> object:
            state.apply(fact)  # type: ignore[arg-type]
            return state.drain()

        differences = await rebuild(database, fold)  # type: ignore[arg-type]
        if not differences.ok:
            faults.append(f"rebuild: {differences}")
        return faults
    finally:
        await database.close()


def run(kills: int, processes: int, seed: int, *, minutes: float = 0.0) -> Outcome:
    """`kills` kills, in `processes` runners at once. With `minutes` no series begins after so long."""
    outcome = Outcome()
    until = time.monotonic() + minutes * 60 if minutes else float("inf")
    with ground() as place:
        places = places_of(place)
        series = -(-kills // A_SERIES)
        runners = []
        for runner in range(processes):
            reading, writing = os.pipe()
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    os.close(reading)
                    mine = Outcome()
                    for number in range(runner, series, processes):
                        if time.monotonic() > until:
                            break
                        one = run_series(place, seed + number, min(A_SERIES, kills), places)
                        mine.add(one)
                        # At once: a run may be ended before its last page.
                        print(*(f"FAULT {fault}" for fault in one.findings.faults), sep="\n", end="", file=sys.stderr)
                        print(
                            f"series {seed + number}: {mine.kills.total()} kills, {len(mine.findings.faults)} faults",
                            file=sys.stderr,
                        )
                    with os.fdopen(writing, "wb") as out:
                        out.write(_packed(mine))
                    code = 0
                except BaseException:  # noqa: BLE001 - a forked process must never come back
                    traceback.print_exc()
                finally:
                    os._exit(code)
            os.close(writing)
            runners.append((child, reading))
        for child, reading in runners:
            with os.fdopen(reading, "rb") as source:
                data = source.read()
            _, status = os.waitpid(child, 0)
            if status:
                outcome.findings.faults.append("a runner failed")
            else:
                outcome.add(_unpacked(data))
    return outcome


def _packed(outcome: Outcome) -> bytes:
    found = outcome.findings
    return json.dumps([dict(outcome.kills), outcome.missed, outcome.series, found.__dict__]).encode()


def _unpacked(data: bytes) -> Outcome:
    kills, missed, series, found = json.loads(data)
    return Outcome(Counter(kills), missed, series, Findings(**found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="SEED")
    parser.add_argument("--minutes", type=float, default=0.0)
    chosen = parser.parse_args()
    outcome = run(chosen.kills, chosen.processes, chosen.first, minutes=chosen.minutes)
    print(outcome.text())
    return 1 if outcome.findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
