"""The ledger as a machine that fails: commits take time, stall and go away, and a crash loses what was not durable.

`Disk` is what survives: it takes an append whole or not at all. `FaultyLedger` is one life's Ledger port over it. Rows,
chain and checks are the real ones (`storage.rows`); only Postgres is missing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import Change, Head, LedgerAway, Spooled
from storage.rows import NOTHING, Entry, Row, Tail

Committed = Callable[[Sequence[AnyFact]], None]


@dataclass(slots=True)
class Batch:
    """One append on its way: its rows, and the facts they were made from."""

    entry: Entry
    facts: Sequence[AnyFact]


class Disk:
    """What is durable: rows, projections and keys, changed together."""

    def __init__(self, committed: Committed) -> None:
        self.rows: list[Row] = []
        self.projections: dict[tuple[str, str], str] = {}
        self.keys: dict[str, int] = {}
        self.head = NOTHING
        self.projected = 0
        """The last fact that changed a projection row."""
        self._committed = committed

    def commit(self, batch: Batch) -> None:
        """One transaction."""
        self.commit_entry(batch.entry)
        self._committed(batch.facts)

    def commit_entry(self, entry: Entry) -> None:
        for row in entry.rows:
            assert row.prev_hash == self.head.hash, "the chain forked"
            self.rows.append(row)
            self.head = Head(seq=row.seq, hash=row.hash, at=row.at)
        self.project(entry)
        for key, seq in entry.keys:
            self.keys.setdefault(key, seq)

    def project(self, entry: Entry) -> None:
        for change in entry.changes:
            where = (change.kind, change.key)
            self.projections.pop(where, None)
            self.projected = change.seq
            if change.body is not None:
                self.projections[where] = change.body


class FaultyLedger:
    """The Ledger port of one life. Appends share a commit, as in the real one, and are acknowledged after it."""

    def __init__(self, disk: Disk, random: Random, loop: asyncio.AbstractEventLoop) -> None:
        self.disk = disk
        self.dead = False
        """The process is gone: nothing reaches the disk any more."""
        self._random = random
        self._loop = loop
        self._tail = Tail(disk.head)
        self._queue: deque[Batch] = deque()
        self._writing = False
        self._away = False
        self._stalled_until = 0.0
        self._slow_word_until = 0.0

    # --- faults -----------------------------------------------------------------------------------------------------

    def stall(self, seconds: float) -> None:
        """Commits take this long; the ledger does not say that it is away."""
        self._stalled_until = self._loop.time() + seconds

    def slow_word(self, seconds: float) -> None:
        """Commits are done, but their acknowledgement comes late."""
        self._slow_word_until = self._loop.time() + seconds

    def leave(self) -> None:
        self._away = True

    def come_back(self) -> None:
        self._away = False
        self._write_soon()

    # --- the port ---------------------------------------------------------------------------------------------------

    @property
    def head(self) -> Head:
        return self.disk.head

    @property
    def available(self) -> bool:
        return not self._away

    @property
    def spooled(self) -> Spooled | None:
        return None

    def append(
        self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]
    ) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        if not self.dead:
            self._queue.append(Batch(self._tail.extend(facts, changes, keys, done), facts))
            self._write_soon()
        return done

    async def projections(self, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
        self._present()
        wanted = set(kinds)
        return [(kind, key, body.encode()) for (kind, key), body in self.disk.projections.items() if kind in wanted]

    async def projected(self) -> int:
        self._present()
        return self.disk.projected

    async def find(self, key: str) -> int | None:
        self._present()
        return self.disk.keys.get(key)

    async def keys(self, after: int) -> Mapping[str, int]:
        self._present()
        return {key: seq for key, seq in self.disk.keys.items() if seq > after}

    async def facts(self, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
        for row in self.disk.rows[max(after, 0) : len(self.disk.rows) if until is None else max(until, 0)]:
            await asyncio.sleep(0)
            self._present()
            yield decode_fact(row.body)

    async def story(self, seq: int) -> Sequence[AnyFact]:
        raise LedgerAway("nobody asks for stories here")

    # --- writing ----------------------------------------------------------------------------------------------------

    def _present(self) -> None:
        if self._away:
            raise LedgerAway("the ledger is away")

    def _write_soon(self) -> None:
        if self._queue and not self._writing and not self._away and not self.dead:
            self._writing = True
            wait = max(self._stalled_until - self._loop.time(), 0.0)
            self._loop.call_later(wait + self._random.choice((0.0002, 0.0005, 0.003)), self._write)

    def _write(self) -> None:
        self._writing = False
        if self.dead or self._away:
            return
        done = list(self._queue)
        self._queue.clear()
        for batch in done:
            self.disk.commit(batch)
        wait = max(self._slow_word_until - self._loop.time(), 0.0)
        self._loop.call_later(wait + 0.0001, self._acknowledge, done)

    def _acknowledge(self, done: list[Batch]) -> None:
        for batch in done:
            if not batch.entry.done.done():
                batch.entry.done.set_result(None)
        self._write_soon()
