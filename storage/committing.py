"""How appends become durable: the database takes them, or the spool until the database has them. Driven by `ledger`.

While the database keeps up it takes everything itself. Once a commit is slow or the connection is gone, all that waits
and all that comes goes to the spool, in order, and the database is given the spool's facts until it has them all; then
it takes over again. Each fact is in the database once: a commit whose answer was lost is looked up in the chain before
anything is sent again, and nothing is sent that does not follow what is there. Where there is no spool, appends wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import psycopg

from engine.ports import Head, LedgerAway, Spooled
from storage import reading
from storage.database import Database
from storage.errors import ChainForked, EngineRunning, LedgerFailed, SpoolFull
from storage.frames import Place
from storage.line import BATCH, DRAIN, Line
from storage.outage import Outage
from storage.overflow import Overflow
from storage.rows import NOTHING, Entry
from storage.watch import Watch
from storage.writing import Writer, open_writer, transient

_AGAIN = 1.0
"""Seconds until a spool that could not be written is tried again."""
_BACKOFF = (0.02, 2.0)
_PATIENCE = 30.0
"""Seconds the database may take before the connection is given up and looked into anew."""


class Committer:
    """`open` it, serve `run`, `close` it. Appends join its `line`, then `wake` it."""

    def __init__(
        self,
        database: Database,
        overflow: Overflow | None,
        *,
        heartbeat: float,
        stall: float,
        report: Callable[[str], None],
    ) -> None:
        self.line = Line(NOTHING)
        self.stored = NOTHING
        """The last fact that the database is known to have."""
        self.failure: LedgerFailed | None = None
        self.closing = False
        self._database = database
        self._overflow = overflow
        self._heartbeat, self._stall = heartbeat, stall
        self._outage = Outage(report)
        self._writer: Writer | None = None
        self._sessions: set[int] = set()
        """What the server may still hold of us: sessions we had or tried to have."""
        self._watch = Watch(stall, self._slow, self._cut)
        self._keeping = 0
        """Writes to the spool under way."""
        self._catching_up = False
        """The database is about to take over: nothing new goes to the spool."""
        self._wake, self._spool_wake = asyncio.Event(), asyncio.Event()
        self._hurry, self._ended = asyncio.Event(), asyncio.Event()
        self._running = False
        self._turns = asyncio.Lock()
        """One thing at a time with the database, also when the end comes before the beginning."""
        self._give_up_at: float | None = None
        self._delay = 0.0
        self._clash: int | None = None
        self._left_behind: LedgerAway | None = None

    @property
    def spooling(self) -> bool:
        return self._outage.since is not None

    @property
    def spooled(self) -> Spooled | None:
        if not self.spooling:
            return None
        facts = self.line.head.seq - self.stored.seq
        return Spooled(facts=facts, seconds=self._outage.seconds, reason=self._outage.reason)

    @property
    def available(self) -> bool:
        if self.failure is not None or self.closing:
            return False
        return not self._outage.problem if self.spooling else self._writer is not None

    def wake(self) -> None:
        (self._spool_wake if self.spooling else self._wake).set()

    def report_to(self, report: Callable[[str], None]) -> None:
        self._outage.report_to(report)

    async def open(self) -> None:
        """Take the engine's lock, find the head, and what an earlier run left in the spool. Raises as
        `PostgresLedger.open` does."""
        overflow = self._overflow
        try:
            try:
                self._writer = await open_writer(self._database.app, former=self._sessions)
            except psycopg.OperationalError as error:
                kept = await overflow.open() if overflow is not None else None
                begin = overflow.spool.begin if overflow is not None else None
                facts = kept.seq - begin.seq if kept and begin else 0
                wait = "1 fact waits" if facts == 1 else f"{facts} facts wait"
                left = f"; {wait} for it in the spool" if facts else ""
                raise LedgerAway(f"the database cannot be reached{left}: {error}") from error
            self.stored = self._writer.head
            self.line = Line(self.stored)
            if overflow is not None and (kept := await overflow.open()) is not None:
                await self._take_up(kept, overflow)
        except BaseException:
            await self._let_go()
            raise

    async def _take_up(self, kept: Head, overflow: Overflow) -> None:
        """The spool of an earlier run: what the database has of it already, by its head."""
        place, begin = Place(self.stored.seq, self.stored.hash), overflow.spool.begin
        if kept.seq <= place.seq:
            if await reading.hash_of(self._database.engine, kept.seq) == kept.hash:
                await overflow.clear()
                return
        elif place == begin or await overflow.holds(place):
            self.line = Line(kept)
            self._spool_from_now(f"{kept.seq - place.seq} facts of an earlier run wait in the spool")
            return
        raise ChainForked(
            f"{overflow.spool.folder}: the spool goes from fact {begin.seq if begin else 0} to fact {kept.seq}, and the "
            f"database, which ends with fact {place.seq}, is not the one it belongs to: another database, or a restored "
            "copy. Nothing was written"
        )

    async def run(self) -> None:
        """Write what is appended, until closed. Raises `LedgerFailed` (or `ChainForked`) when it cannot go on."""
        self._running = True
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                spool = tasks.create_task(self._spool_on(self._overflow), name="spool") if self._overflow else None
                try:
                    await self._work()
                finally:
                    if spool is not None:
                        spool.cancel()
        except BaseExceptionGroup as several:
            error = several.exceptions[0]
            if self.failure is None:
                self.failure = error if isinstance(error, LedgerFailed) else LedgerFailed(f"the spool failed: {error}")
                self.line.refuse(self.failure)
            raise error from None
        finally:
            self._running = False
            self._ended.set()

    async def close(self, patience: float) -> None:
        """See `PostgresLedger.close`."""
        self.closing = True
        self._give_up_at = asyncio.get_running_loop().time() + patience
        self._watch.hasten(self._give_up_at)
        self._wake.set()
        self._hurry.set()
        try:
            if self._running:
                await self._ended.wait()
            await self._work()
        finally:
            await self._let_go()
        if self._left_behind is not None:
            raise self._left_behind

    async def _let_go(self) -> None:
        self._outage.hush()
        await self._drop()
        if self._overflow is not None:
            self._overflow.close()

    # --- the database -------------------------------------------------------------------------------------------------

    @property
    def _has_work(self) -> bool:
        """While closing: as long as something is durable nowhere, or the database takes what the spool has."""
        if self.failure is not None:
            return False
        if not self.closing or self.line:
            return True
        return self.spooling and self._writer is not None and not self._is_late

    @property
    def _is_late(self) -> bool:
        return self._give_up_at is not None and asyncio.get_running_loop().time() >= self._give_up_at

    async def _work(self) -> None:
        async with self._turns:
            while self._has_work:
                await self._turn()

    async def _turn(self) -> None:
        if self.closing and self.line and self._is_late:
            await self._part()
        elif self.spooling:
            await self._attempt(self._drain)
        elif self.line:
            await self._attempt(self._commit)
        elif self._writer is None:
            await self._attempt(self._connect)
        else:
            await self._rest()

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
        """The first appends of the line in one transaction. A slow one goes on while the spool takes them, too."""
        writer = self._writer or await self._connect()
        if batch := self.line.batch():
            left = self.line.left + len(batch)
            await self._write(writer, batch)
            self.line.leave(left)

    async def _write(self, writer: Writer, batch: Sequence[Entry]) -> None:
        first = next((entry.rows[0] for entry in batch if entry.rows), None)
        if first is not None and first.prev_hash != self.stored.hash:
            raise LedgerFailed(f"fact {first.seq} does not follow fact {self.stored.seq}, the database's last")
        await writer.write(batch)
        last = next((entry.rows[-1] for entry in reversed(batch) if entry.rows), None)
        if last is not None:
            self.stored = Head(seq=last.seq, hash=last.hash, at=last.at)

    async def _connect(self) -> Writer:
        writer = await open_writer(self._database.app, former=self._sessions)
        try:
            await self._look_up(writer.head)
        except BaseException:
            await writer.close()
            raise
        self._writer = writer
        return writer

    async def _look_up(self, found: Head) -> None:
        """What of ours the database has, given its head. Raises `ChainForked` for a head that is not ours."""
        if (found.seq, found.hash) == (self.stored.seq, self.stored.hash):
            return
        place, overflow = Place(found.seq, found.hash), self._overflow
        if overflow is not None and (overflow.spool.begin == place or await overflow.holds(place)):
            self.stored = found
            return
        left = self.line.until(found)
        if left is None:
            raise ChainForked(
                f"the database ends with fact {found.seq} ({found.hash.hex()[:12]}…), which this engine did not write "
                f"after fact {self.stored.seq} ({self.stored.hash.hex()[:12]}…): another writer, or a restored copy"
            )
        self.stored = found
        self.line.leave(left)

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do one thing with the database. A database that is away costs a pause; anything worse ends the ledger."""
        try:
            until = asyncio.get_running_loop().time() + _PATIENCE
            await self._watch.over(work, min(until, self._give_up_at or until))
        except (EngineRunning, LedgerFailed) as error:
            await self._drop()
            self._fail(error if isinstance(error, LedgerFailed) else LedgerFailed(str(error)))
        except psycopg.errors.UniqueViolation as error:
            # Either our own commit whose answer was not heard, or another writer: the head in the database says which.
            await self._drop()
            if self._clash == self.stored.seq:
                self._fail(ChainForked(f"what follows fact {self.stored.seq} is taken: {error}"))
            self._clash = self.stored.seq
        except (psycopg.Error, TimeoutError, OSError, LedgerAway) as error:
            await self._drop()
            if isinstance(error, psycopg.Error) and not transient(error):
                self._fail(LedgerFailed(f"the database refuses what follows fact {self.stored.seq}: {error}"))
            await self._pause(error)
        else:
            self._delay = 0.0

    def _slow(self) -> None:
        """Whoever waits goes to the spool; so does who comes while it lasts, also behind a mere look at a quiet database."""
        if self.line and (self._writer is not None or not self.spooling):
            self._spool_from_now(f"the database takes longer than {self._stall * 1000:.0f} ms")

    def _cut(self) -> None:
        if self._writer is not None:
            self._writer.cut()

    async def _pause(self, error: Exception) -> None:
        """Wait before the next attempt, longer each time. While closing, not beyond the patience of `close`."""
        self._delay = min(max(2 * self._delay, _BACKOFF[0]), _BACKOFF[1])
        # Only what is done with files names one: then it was the spool, and not the database.
        what = "the spool cannot be read" if isinstance(error, OSError) and error.filename else "the database is away"
        reason = f"{what}: {' '.join(str(error).split()) or 'no answer'}"
        self._spool_from_now(reason)
        if not self.closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._delay)
        elif self.line and (self._overflow is None or not await self._spool_some(self._overflow)):
            await asyncio.sleep(min(self._delay, 0.1))

    async def _part(self) -> None:
        """No more time, and something is durable nowhere: the spool takes it, or it is lost and that is said."""
        if self._overflow is None or not await self._spool_some(self._overflow):
            why = self._outage.problem or self._outage.reason
            self._left_behind = LedgerAway(f"{self.line.facts} facts could not be written before closing: {why}")
            self.line.refuse(self._left_behind)

    async def _drop(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            await writer.close()

    def _fail(self, error: LedgerFailed) -> NoReturn:
        self.failure = error
        self.line.refuse(error)
        raise error

    # --- the spool ----------------------------------------------------------------------------------------------------

    def _spool_from_now(self, reason: str) -> None:
        """The database does not keep up: until it has everything, appends go to the spool."""
        self._outage.reason = reason
        if self._overflow is not None:
            self._catching_up = False
            self._spool_wake.set()
            self._outage.begin(reason)

    async def _spool_on(self, overflow: Overflow) -> None:
        """Write to the spool what waits, as long as the database does not keep up."""
        while True:
            await self._spool_wake.wait()
            self._spool_wake.clear()
            while self.spooling and self.line and not self._catching_up:
                if not await self._spool_some(overflow):
                    await asyncio.sleep(_AGAIN)

    async def _spool_some(self, overflow: Overflow) -> bool:
        """The first appends of the line in one fsync. False when the spool cannot take them now."""
        group = self.line.group()
        left = self.line.left + len(group)
        self._keeping += 1
        try:
            await overflow.keep(group, self.stored.seq)
        except (SpoolFull, OSError) as error:
            self._outage.spool_failed(f"the spool cannot be written: {error}")
            return False
        finally:
            self._keeping -= 1
            self._wake.set()
        self._outage.problem = ""
        self.line.leave(left)
        return True

    async def _drain(self) -> None:
        """Give the database what follows its head in the spool. When that was all, it takes over again."""
        overflow = self._overflow
        assert overflow is not None, "only a spool is drained"
        writer = self._writer or await self._connect()
        self._wake.clear()
        batch = await overflow.next(self.stored.seq, DRAIN)
        if batch:
            # The last of it: what comes now may wait for the database instead of going round by the spool for ever.
            self._catching_up = self.line.head.seq - self.stored.seq <= BATCH
            await self._write(writer, batch)
            with contextlib.suppress(OSError):  # files that stay are tried again; taking over says what is wrong
                await overflow.release(self.stored.seq)
        elif self._keeping:
            await self._wake.wait()
        else:
            await self._take_over(overflow)

    async def _take_over(self, overflow: Overflow) -> None:
        """The spool is empty and nobody writes to it: the database takes everything itself from here."""
        self._catching_up = True
        problem = ""
        try:
            await overflow.clear()
        except OSError as error:
            # The database has all of it, so that nobody need wait: files that stay are known as old by where they end.
            problem = f"the spool cannot be cleared: {error}"
        if (left := self.line.until(self.stored)) is not None:
            self.line.leave(left)  # they got there by the spool while somebody who was cancelled waited for it
        self._catching_up = False
        self._outage.end(problem)
