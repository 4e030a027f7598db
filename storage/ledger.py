"""The ledger on Postgres: the Ledger port with group commit and a spool. Opened by the app's wiring, written by the journey.

`append` only checks, chains and queues; `run` makes durable whatever is queued, so that facts in flight share a commit
(`committing`). Reads are the database's, with what only the spool has yet laid over them. It never drops a fact, never
writes one twice, and stops for good when the chain in the database is not the one it wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import Change, Head, LedgerAway, Spooled
from storage import reading
from storage.committing import Committer
from storage.database import Database
from storage.errors import LedgerFailed
from storage.overflow import Overflow
from storage.spool import Spool

STALL = 0.25
"""Seconds a commit may take before what waits goes to the spool as well."""


class PostgresLedger:
    """The Ledger port on an opened database. `open` it, serve `run` in a task group, `close` it.

    `heartbeat`: seconds between looks at a quiet database, so that `available` is true to life. `spool`: where facts go
    while a commit takes longer than `stall` seconds or the database is away; without one they wait in memory. `report`:
    told in a person's words what is wrong while spooling lasts, "" when all is well again.
    """

    def __init__(
        self,
        database: Database,
        *,
        heartbeat: float = 2.0,
        spool: Spool | None = None,
        stall: float = STALL,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._overflow = Overflow(spool) if spool is not None else None
        self._committer = Committer(database, self._overflow, heartbeat=heartbeat, stall=stall, report=report)

    @property
    def head(self) -> Head:
        return self._committer.line.head

    @property
    def available(self) -> bool:
        return self._committer.available

    @property
    def spooled(self) -> Spooled | None:
        return self._committer.spooled

    @property
    def waiting(self) -> int:
        """Facts that are queued and not yet durable."""
        return self._committer.line.facts

    def report_to(self, report: Callable[[str], None]) -> None:
        """Tell another from now on."""
        self._committer.report_to(report)

    async def open(self) -> None:
        """Take the engine's lock, find the head, and what an earlier run left in the spool.

        Raises `EngineRunning` when another engine has it, `LedgerAway` when the database cannot be reached, `ChainForked`
        when the spool is another database's, `SpoolDamaged`.
        """
        await self._committer.open()

    def append(
        self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]
    ) -> asyncio.Future[None]:
        """See the port. Raises `ValueError` for facts that do not follow, and queues nothing then; raises the
        `LedgerFailed` that ended the ledger when it has ended."""
        if self._committer.failure is not None:
            raise self._committer.failure
        if self._committer.closing:
            raise LedgerFailed("the ledger is closed")
        done = self._committer.line.join(facts, changes, keys)
        self._committer.wake()
        return done

    async def run(self) -> None:
        """Write what is appended, until closed. Raises `LedgerFailed` (or `ChainForked`) when it cannot go on."""
        await self._committer.run()

    async def close(self, patience: float = 5.0) -> None:
        """Write what is queued, then let the database go. Works whether or not `run` was ended before. What the
        database does not take within `patience` seconds stays in the spool for the next start: `spooled` says how much.

        Raises `LedgerAway` when facts are left that are durable nowhere; their futures get it, too.
        """
        await self._committer.close(patience)

    # --- reads: the database's, and over them what only the spool has ---------------------------------------------------

    async def projections(self, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
        if self._overflow is None or not self._committer.spooling:
            return await reading.projections(self._database.engine, kinds)
        overlay, kinds = self._overflow.overlay, list(kinds)
        stored, head = await reading.projections_and_head(self._database.engine, kinds)
        return overlay.over(stored, head, kinds)

    async def projected(self) -> int:
        overlay = self._overflow.overlay if self._overflow is not None else None
        stored = await reading.projected(self._database.engine)
        return max(stored, overlay.projected) if overlay is not None else stored

    async def keys(self, after: int) -> Mapping[str, int]:
        overlay = self._overflow.overlay if self._overflow is not None else None
        stored = await reading.keys(self._database.engine, after)
        return {**overlay.keys_after(after), **stored} if overlay is not None else stored

    async def find(self, key: str) -> int | None:
        found = self._overflow.overlay.find(key) if self._overflow is not None else None
        try:
            stored = await reading.find(self._database.engine, key)
        except LedgerAway:
            if found is None:
                raise
            return found
        return found if stored is None else stored

    async def facts(self, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
        last = self.head.seq if until is None else min(until, self.head.seq)
        after = max(after, 0)
        if not self._committer.spooling:
            async for fact in reading.facts(self._database.engine, after, until):
                yield fact
            return
        while after < last:
            begun = after
            if after < self._committer.stored.seq:
                async for fact in reading.facts(self._database.engine, after, last):
                    yield fact
                    after = fact.seq
            async for fact in self._of_spool(after, last):
                yield fact
                after = fact.seq
            if after == begun and after >= self._committer.stored.seq:
                return

    async def _of_spool(self, after: int, last: int) -> AsyncIterator[AnyFact]:
        """Facts that follow `after`, as far as the spool has them without a gap."""
        assert self._overflow is not None, "only with a spool facts are not in the database"
        while after < last and (rows := await self._overflow.rows(after)):
            for row in rows:
                if row.seq > last:
                    return
                yield decode_fact(row.body)
                after = row.seq

    async def story(self, seq: int) -> Sequence[AnyFact]:
        begin = self._committer.stored.seq
        if not self._committer.spooling or self.head.seq == begin:
            return await reading.story(self._database.engine, seq)
        # What only the spool has leads by its causes back into the database, or begins in the spool.
        causes = {fact.seq: fact.cause async for fact in self.facts(begin)}
        while (cause := causes.get(seq)) is not None:
            seq = cause
        story = {} if seq in causes else {one.seq: one for one in await reading.story(self._database.engine, seq)}
        if seq not in causes and not story:
            return []
        async for fact in self.facts(begin):
            if fact.seq == seq or fact.cause in story:
                story[fact.seq] = fact
        return [story[key] for key in sorted(story)]
