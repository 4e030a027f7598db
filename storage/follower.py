"""Follows the ledger and keeps what finds facts: the search table, and snapshots of the fold for past states.

Run by the engine beside the journey, and by `ledger index` at full speed. Everything it writes follows from the facts
and can be made again; it never holds an append up and never touches a fact. The fold is handed in, so that this page
knows nothing of the engine's state.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import psycopg

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.domain.findable import Findable
from engine.ports import Change
from storage.dsn import Connection, connect
from storage.writing import transient

PART = 250_000
"""Facts of one search partition; the number stands in its migration, too."""
SNAPSHOT_EVERY = 20_000
"""Facts between two snapshots: a past state is never further away than this from one."""
FOLLOWER_LOCK = 7236838012058
_PAGE = 1_000
_PAUSES = (0.25, 10.0)
_SLICE = 20
"""Facts between two chances for the rest of the program."""

_FACTS = "SELECT seq, at, kind, body FROM strikedesk.ledger WHERE seq > %s ORDER BY seq LIMIT %s"
_COLUMNS = "seq, at, kind, symbol, decision, strategy, outcome, reason, words"
_TYPES = ("int8", "timestamptz", "text", "text", "text", "text", "text", "text", "text")
StateRow = tuple[str, str, bytes]


class Folding(Protocol):
    """The fold, one fact after the other, as the engine does it."""

    def load(self, rows: Iterable[StateRow], seq: int, at: datetime | None) -> None:
        """Begin with a state: its projection rows after fact `seq`."""
        ...

    def apply(self, fact: AnyFact) -> Sequence[Change]:
        """Fold a fact; the rows it changed."""
        ...

    def finding(self, fact: AnyFact) -> Findable:
        """What a fact that was just folded is found by."""
        ...


class Snapshot(NamedTuple):
    """A state of the past: the projection rows after fact `seq`."""

    seq: int
    at: datetime | None
    rows: list[StateRow]


NO_SNAPSHOT = Snapshot(0, None, [])


class Follower:
    """Follows one ledger as the engine's role. `resting` says when the engine has better things to do."""

    def __init__(
        self, dsn: str, folding: Folding, *, resting: Callable[[], bool] = lambda: True, every: int = SNAPSHOT_EVERY
    ) -> None:
        self.seq = 0
        """The last fact that can be found."""
        self._dsn = dsn
        self._folding = folding
        self._resting = resting
        self._every = every
        self._rows: dict[tuple[str, str], bytes] = {}
        self._parts: set[int] = set()
        self._snapped = 0
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Serve until cancelled. A database that is away is tried again, less and less often."""
        pause = _PAUSES[0]
        while True:
            await asyncio.sleep(pause)
            try:
                while await self.step(politely=True):
                    pass
                pause = _PAUSES[0]
            except (psycopg.Error, OSError) as error:  # a second follower waits, too
                await self.close()
                if isinstance(error, psycopg.Error) and not transient(error):
                    raise
                pause = min(2 * pause, _PAUSES[1])

    async def catch_up(self, report: Callable[[int], None] = lambda seq: None) -> int:
        """Everything there is, at full speed; the last fact that can be found then."""
        while await self.step():
            report(self.seq)
        return self.seq

    async def step(self, *, politely: bool = False) -> bool:
        """One page of facts. False when there was none. Raises psycopg's errors when the database is away."""
        if self._connection is None:
            await self._open()
        assert self._connection is not None
        page = await (await self._connection.execute(_FACTS, [self.seq, _PAGE], prepare=True)).fetchall()
        if not page:
            return False
        rows: list[tuple[Any, ...]] = []
        for number, (seq, at, kind, body) in enumerate(page):
            rows.append(self._row(seq, at, kind, decode_fact(body)))
            if politely and number % _SLICE == _SLICE - 1:
                await self._give_way()
        await self._write(rows, page[-1][1])
        self.seq = page[-1][0]
        return True

    async def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    def _fold(self, fact: AnyFact) -> None:
        for change in self._folding.apply(fact):
            if change.body is None:
                self._rows.pop((change.kind, change.key), None)
            else:
                self._rows[change.kind, change.key] = change.body

    def _row(self, seq: int, at: datetime, kind: str, fact: AnyFact) -> tuple[Any, ...]:
        self._fold(fact)
        found = self._folding.finding(fact)
        words = " ".join(_quoted(word) for word in found.words)
        return seq, at, kind, found.symbol, found.decision, found.strategy, found.outcome, found.reason, words

    async def _write(self, rows: Sequence[tuple[Any, ...]], at: datetime) -> None:
        """A page and the snapshot that is due after it, in one transaction: a crash repeats both or neither."""
        assert self._connection is not None
        for part in {row[0] // PART for row in rows} - self._parts:
            await self._connection.execute("SELECT strikedesk.make_search_part(%s)", [part])
            self._parts.add(part)
        last = rows[-1][0]
        due = last - self._snapped >= self._every
        body = await asyncio.to_thread(_packed, self._rows) if due else b""
        async with self._connection.transaction(), self._connection.cursor() as cursor:
            # A tsvector has no binary input of its own worth writing: its text form is what COPY takes.
            async with cursor.copy(f"COPY strikedesk.search ({_COLUMNS}) FROM STDIN") as copy:
                for row in rows:
                    await copy.write_row(row)
            if due:
                await cursor.execute(
                    "INSERT INTO strikedesk.snapshot (seq, at, body) VALUES (%s, %s, %s)", [last, at, body]
                )
        if due:
            self._snapped = last

    async def _give_way(self) -> None:
        await asyncio.sleep(0)
        for _ in range(20):
            if self._resting():
                return
            await asyncio.sleep(0.005)

    async def _open(self) -> None:
        """Take the place of the one follower there may be, and go on where the last one was. Raises `BlockingIOError` when
        another program has it."""
        self._connection = await connect(self._dsn, "follower")
        row = await (await self._connection.execute("SELECT pg_try_advisory_lock(%s)", [FOLLOWER_LOCK])).fetchone()
        if row is None or not row[0]:
            await self.close()
            raise BlockingIOError("another program follows this ledger")
        row = await (await self._connection.execute("SELECT coalesce(max(seq), 0) FROM strikedesk.search")).fetchone()
        indexed = int(row[0]) if row else 0
        snapshot = await newest_snapshot(self._connection, seq=indexed)
        self._folding.load(snapshot.rows, snapshot.seq, snapshot.at)
        self._rows = {(kind, key): body for kind, key, body in snapshot.rows}
        self._snapped = snapshot.seq
        self._parts.clear()
        # From the snapshot to where the search ends the facts are only folded.
        seq = snapshot.seq
        while seq < indexed:
            page = await (await self._connection.execute(_FACTS, [seq, min(_PAGE, indexed - seq)])).fetchall()
            for number, (_, _, _, body) in enumerate(page):
                self._fold(decode_fact(body))
                if number % _SLICE == _SLICE - 1:
                    await asyncio.sleep(0)
            seq = page[-1][0]
        self.seq = indexed


async def newest_snapshot(connection: Connection, *, seq: int | None = None, at: datetime | None = None) -> Snapshot:
    """The newest snapshot not after fact `seq`, or not after a moment; `NO_SNAPSHOT` before the first."""
    where, value = ("at <= %s", at) if at is not None else ("seq <= %s", seq)
    row = await (
        await connection.execute(
            f"SELECT seq, at, body FROM strikedesk.snapshot WHERE {where} ORDER BY seq DESC LIMIT 1", [value]
        )
    ).fetchone()
    if row is None:
        return NO_SNAPSHOT
    return Snapshot(row[0], row[1], await asyncio.to_thread(_unpacked, row[2]))


# A state is some megabytes: packed on the loop it would hold everything up.


def _packed(rows: dict[tuple[str, str], bytes]) -> bytes:
    return zlib.compress(json.dumps([(kind, key, body.decode()) for (kind, key), body in rows.items()]).encode(), 6)


def _unpacked(body: bytes) -> list[StateRow]:
    return [(kind, key, row.encode()) for kind, key, row in json.loads(zlib.decompress(body))]


def _quoted(word: str) -> str:
    """A word as tsvector's text form takes it."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
