"""The ledger in memory: replays, demos and tests. The same order, checks and hashes as the real one; gone with the process.

`hold` lets a test take it away and bring it back, as a database goes and comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import Change, Head, LedgerAway, Spooled
from storage.rows import NOTHING, Entry, Row, Tail, plain_text, stored_text


class MemoryLedger:
    """The Ledger port without a database. Facts are durable at once, as far as memory can be."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        """Every row, in order: what the real table would hold."""
        self._head = NOTHING
        self._tail = Tail(NOTHING)
        self._projections: dict[tuple[str, str], str] = {}
        self._keys: dict[str, int] = {}
        self._effects: dict[int, list[int]] = {}
        self._projected = 0
        self._held: deque[Entry] = deque()
        self._away = self._spooling = False
        self._away_since = 0.0

    @property
    def head(self) -> Head:
        return self._head

    @property
    def available(self) -> bool:
        return not self._away or self._spooling

    @property
    def spooled(self) -> Spooled | None:
        if not self._spooling:
            return None
        seconds = asyncio.get_running_loop().time() - self._away_since
        return Spooled(facts=sum(len(entry.rows) for entry in self._held), seconds=seconds, reason="taken away")

    def append(
        self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]
    ) -> asyncio.Future[None]:
        entry = self._tail.extend(facts, changes, keys, asyncio.get_running_loop().create_future())
        self._held.append(entry)
        if not self._away:
            self._commit()
        elif self._spooling:
            self._durable(entry)
        return entry.done

    def hold(self, away: bool, *, spool: bool = False) -> None:
        """Take the ledger away (appends wait, reads fail), or bring it back (what waited is written, in order). With a
        `spool` appends are durable meanwhile, as in a file; reads fail all the same."""
        if away and not self._away:
            self._away_since = asyncio.get_running_loop().time()
        self._away, self._spooling = away, away and spool
        if not away:
            self._commit()
        elif spool:
            for entry in self._held:
                self._durable(entry)

    def _commit(self) -> None:
        while self._held:
            entry = self._held.popleft()
            for row in entry.rows:
                self.rows.append(row)
                if row.cause is not None:
                    self._effects.setdefault(row.cause, []).append(row.seq)
            for change in entry.changes:
                where = (change.kind, change.key)
                self._projections.pop(where, None)  # so that a changed row moves to the end
                if change.body is not None:
                    self._projections[where] = change.body
                self._projected = change.seq
            for key, seq in entry.keys:
                self._keys.setdefault(key, seq)
            self._durable(entry)

    def _durable(self, entry: Entry) -> None:
        if entry.rows and entry.rows[-1].seq > self._head.seq:
            last = entry.rows[-1]
            self._head = Head(seq=last.seq, hash=last.hash, at=last.at)
        if not entry.done.done():
            entry.done.set_result(None)

    def _present(self) -> None:
        if self._away:
            raise LedgerAway("the ledger is away")

    async def projections(self, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
        self._present()
        wanted = {stored_text(kind) for kind in kinds}
        return [
            (plain_text(kind), plain_text(key), body.encode())
            for (kind, key), body in self._projections.items()
            if kind in wanted
        ]

    async def projected(self) -> int:
        self._present()
        return self._projected

    async def keys(self, after: int) -> Mapping[str, int]:
        self._present()
        return {plain_text(key): seq for key, seq in self._keys.items() if seq > after}

    async def find(self, key: str) -> int | None:
        self._present()
        return self._keys.get(stored_text(key))

    async def facts(self, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
        self._present()
        for row in self.rows[max(after, 0) : len(self.rows) if until is None else max(until, 0)]:
            yield decode_fact(row.body)

    async def story(self, seq: int) -> Sequence[AnyFact]:
        self._present()
        if not 0 < seq <= len(self.rows):
            return []
        while (cause := self.rows[seq - 1].cause) is not None:
            seq = cause
        found, grown = {seq}, [seq]
        while grown:
            grown = [effect for known in grown for effect in self._effects.get(known, ())]
            found.update(grown)
        return [decode_fact(self.rows[number - 1].body) for number in sorted(found)]
