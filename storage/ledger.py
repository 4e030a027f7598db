"""The ledger on Postgres: the Ledger port with group commit. Opened by the app's wiring, written by the journey.

`append` only checks, chains and queues; one task (`run`) commits whatever is queued, so that facts in flight share a
commit. While the database is away facts wait in order; once it is back they are written, exactly once: a commit whose
answer was lost is looked up in the chain before it is sent again. It never drops a fact, never writes one twice, and
stops for good when the chain in the database is not the one it wrote.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NoReturn

import psycopg

from engine.domain.events import AnyFact
from engine.ports import Change, Head, LedgerAway, Spooled
from storage import reading
from storage.database import Database
from storage.errors import ChainForked, EngineRunning, LedgerFailed
from storage.rows import NOTHING, Entry, Tail
from storage.writing import Writer, open_writer, transient

BATCH = 500
"""Facts a commit takes at most: more would keep the event loop busy for too long."""
_BACKOFF = (0.02, 2.0)
_PATIENCE = 30.0
"""Seconds a commit may take before the connection is given up and looked into anew."""


class PostgresLedger:
    """The Ledger port on an opened database. `open` it, serve `run` in a task group, `close` it.

    `heartbeat`: seconds between looks at a quiet database, so that `available` is true to life.
    """

    def __init__(self, database: Database, *, heartbeat: float = 2.0) -> None:
        self._database = database
        self._heartbeat = heartbeat
        self._head = NOTHING
        self._tail = Tail(NOTHING)
        self._queue: deque[Entry] = deque()
        self._writer: Writer | None = None
        self._former = 0
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._closing = False
        self._give_up_at: float | None = None
        self._delay = 0.0
        self._clash: int | None = None
        self._failure: LedgerFailed | None = None
        self._left_behind: LedgerAway | None = None

    @property
    def head(self) -> Head:
        return self._head

    @property
    def available(self) -> bool:
        return self._writer is not None and self._failure is None and not self._closing

    @property
    def spooled(self) -> Spooled | None:
        return None

    @property
    def waiting(self) -> int:
        """Facts that are queued and not yet durable."""
        return sum(len(entry.rows) for entry in self._queue)

    async def open(self) -> None:
        """Take the engine's lock and find the head.

        Raises `EngineRunning` when another engine has it, `LedgerAway` when the database cannot be reached.
        """
        try:
            self._writer = await open_writer(self._database.app)
        except psycopg.OperationalError as error:
            raise LedgerAway(f"the database cannot be reached: {error}") from error
        self._head = self._writer.head
        self._tail = Tail(self._head)

    def append(
        self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]
    ) -> asyncio.Future[None]:
        """See the port. Raises `ValueError` for facts that do not follow, and queues nothing then; raises the
        `LedgerFailed` that ended the ledger when it has ended."""
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise LedgerFailed("the ledger is closed")
        entry = self._tail.extend(facts, changes, keys, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self._wake.set()
        return entry.done

    async def run(self) -> None:
        """Write what is appended, until closed. Raises `LedgerFailed` (or `ChainForked`) when it cannot go on."""
        self._running = True
        self._ended.clear()
        try:
            while self._queue or not self._closing:
                if self._queue:
                    await self._attempt(self._commit)
                elif self._writer is None:
                    await self._attempt(self._connect)
                else:
                    await self._rest()
        finally:
            self._running = False
            self._ended.set()

    async def close(self, patience: float = 5.0) -> None:
        """Write what is queued, then let the database go. Works whether or not `run` was ended before.

        Raises `LedgerAway` when facts are left that could not be written within `patience` seconds; their futures
        get it, too.
        """
        self._closing = True
        self._give_up_at = time.monotonic() + patience
        self._wake.set()
        try:
            if self._running:
                await self._ended.wait()
            while self._queue and self._failure is None:
                await self._attempt(self._commit)
        finally:
            await self._drop()
        if self._left_behind is not None:
            raise self._left_behind

    # --- reads ------------------------------------------------------------------------------------------------------

    async def projections(self, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
        return await reading.projections(self._database.engine, kinds)

    async def projected(self) -> int:
        return await reading.projected(self._database.engine)

    async def find(self, key: str) -> int | None:
        return await reading.find(self._database.engine, key)

    async def keys(self, after: int) -> Mapping[str, int]:
        return await reading.keys(self._database.engine, after)

    def facts(self, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
        return reading.facts(self._database.engine, after, until)

    async def story(self, seq: int) -> Sequence[AnyFact]:
        return await reading.story(self._database.engine, seq)

    # --- writing ----------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Sleep until there is work; look whether the quiet database is still there meanwhile."""
        self._wake.clear()
        try:
            async with asyncio.timeout(self._heartbeat):
                await self._wake.wait()
        except TimeoutError:
            await self._attempt(self._ping)

    async def _ping(self) -> None:
        assert self._writer is not None
        await self._writer.ping()

    async def _commit(self) -> None:
        if self._writer is None:
            await self._connect()
        if self._writer is not None and (batch := self._next_batch()):
            await self._writer.write(batch)
            self._written(len(batch))

    async def _connect(self) -> None:
        writer = await open_writer(self._database.app, former=self._former)
        try:
            self._written(self._found_written(writer.head))
        except BaseException:
            await writer.close()
            raise
        self._writer = writer

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do one thing with the database. A database that is away costs a pause; anything worse ends the ledger."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await work()
        except (EngineRunning, ChainForked) as error:
            await self._drop()
            self._fail(error if isinstance(error, ChainForked) else LedgerFailed(str(error)))
        except psycopg.errors.UniqueViolation as error:
            # Either our own commit whose answer was not heard, or another writer: the head in the database says which.
            await self._drop()
            if self._clash == self._head.seq:
                self._fail(ChainForked(f"what follows fact {self._head.seq} is taken: {error}"))
            self._clash = self._head.seq
        except (psycopg.Error, TimeoutError, OSError) as error:
            await self._drop()
            if isinstance(error, psycopg.Error) and not transient(error):
                self._fail(LedgerFailed(f"the database refuses what follows fact {self._head.seq}: {error}"))
            await self._pause(error)
        else:
            self._delay = 0.0

    async def _pause(self, error: Exception) -> None:
        """Wait before the next attempt, longer each time. While closing, not beyond the patience of `close`."""
        self._delay = min(max(2 * self._delay, _BACKOFF[0]), _BACKOFF[1])
        if self._give_up_at is None:
            await asyncio.sleep(self._delay)
        elif time.monotonic() < self._give_up_at:
            await asyncio.sleep(min(self._delay, 0.1))
        else:
            self._left_behind = LedgerAway(f"{self.waiting} facts could not be written before closing: {error}")
            self._refuse(self._left_behind)

    def _next_batch(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        for entry in self._queue:
            size += len(entry.rows)
            if batch and size > BATCH:
                break
            batch.append(entry)
        return batch

    def _written(self, count: int) -> None:
        """The first `count` appends of the queue are durable."""
        for _ in range(count):
            entry = self._queue.popleft()
            if entry.rows:
                last = entry.rows[-1]
                self._head = Head(seq=last.seq, hash=last.hash, at=last.at)
            if not entry.done.done():
                entry.done.set_result(None)

    def _found_written(self, found: Head) -> int:
        """How many appends of the queue the database has already, given its head."""
        if (found.seq, found.hash) == (self._head.seq, self._head.hash):
            return 0
        for count, entry in enumerate(self._queue, 1):
            if entry.rows and (entry.rows[-1].seq, entry.rows[-1].hash) == (found.seq, found.hash):
                return count
        raise ChainForked(
            f"the database ends with fact {found.seq} ({found.hash.hex()[:12]}…), which this engine did not write after "
            f"fact {self._head.seq} ({self._head.hash.hex()[:12]}…): another writer, or a restored copy"
        )

    async def _drop(self) -> None:
        if self._writer is not None:
            self._former = self._writer.pid
            writer, self._writer = self._writer, None
            await writer.close()

    def _fail(self, error: LedgerFailed) -> NoReturn:
        self._failure = error
        self._refuse(error)
        raise error

    def _refuse(self, error: Exception) -> None:
        """Nothing that is queued will be written: say so to all who wait."""
        while self._queue:
            entry = self._queue.popleft()
            if not entry.done.done():
                entry.done.set_exception(error)
