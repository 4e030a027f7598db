"""The real storage on the virtual clock: committer, line, spool and recovery as they are, only the database server is played.

`Server` takes the batches that the real `Writer` would send, checks what the tables' keys would check, and fails as servers
do: it is away, slow, or its answer is lost after the commit. The spool is the real one, its files in memory where the
machine has a folder for that; its thread is replaced by turns of the loop, and a crash may leave a torn frame.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import psycopg

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import Head, LedgerAway
from storage import committing, reading
from storage.ledger import PostgresLedger
from storage.overflow import Overflow
from storage.rows import NOTHING, Entry, Row, plain_text, stored_text
from storage.spool import Spool
from tests.simulation.ledger import Committed, Disk
from tests.simulation.loop import Timeline

T = TypeVar("T")
MEMORY = Path("/dev/shm")
STALL = 0.25


class Durable:
    """Every fact that is durable somewhere, once and in order: in the server, or in the spool and later in the server."""

    def __init__(self, committed: Committed) -> None:
        self.rows: list[Row] = []
        self.head = NOTHING
        self._committed = committed

    def note(self, rows: Sequence[Row]) -> None:
        """These were made durable. What was before has to be the same now."""
        new: list[AnyFact] = []
        for row in rows:
            if row.seq <= len(self.rows):
                assert self.rows[row.seq - 1].hash == row.hash, f"fact {row.seq} became another"
            else:
                assert row.prev_hash == self.head.hash, f"fact {row.seq} does not follow {self.head.seq}"
                self.rows.append(row)
                self.head = Head(seq=row.seq, hash=row.hash, at=row.at)
                new.append(decode_fact(row.body))
        if new:
            self._committed(new)


class Server:
    """The database. Its tables outlive every engine."""

    def __init__(self, timeline: Timeline, random: Random, durable: Durable, noted: Callable[[str], None]) -> None:
        self.app = self.engine = self
        """What storage takes for an address and a pool."""
        self.disk = Disk(lambda _: None)
        self.durable = durable
        self.up = True
        self.slow_until = 0.0
        self.lose_answers = 0
        """Commits from now on whose answer does not arrive."""
        self.under_way = 0
        """Statements that were sent and are not done: the engine's lock is held until they are."""
        self.noted = noted
        self._timeline = timeline
        self._random = random

    def present(self) -> None:
        if not self.up:
            raise LedgerAway("the server is away")

    async def take(self, entries: Sequence[Entry]) -> None:
        """One statement of the writer's: done on the server whether or not the engine lives to hear of it."""
        if not self.up:
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        wait = max(self.slow_until - self._timeline.time, 0.0) + self._random.choice((0.0002, 0.0005, 0.003))
        self.under_way += 1

        def done() -> None:
            self.under_way -= 1
            arrived = self.up or self._random.random() < 0.5
            if arrived:
                self._insert(entries)
            heard = arrived and self.up
            if heard and self.lose_answers:
                self.lose_answers -= 1
                self.noted("answer of a commit lost")
                heard = False
            if not answer.done() and not answer.get_loop().is_closed():
                answer.set_result(heard)

        self._timeline.after(wait, done)
        if not await answer:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    def _insert(self, entries: Sequence[Entry]) -> None:
        rows = [row for entry in entries for row in entry.rows]
        if rows and rows[0].prev_hash != self.disk.head.hash:
            self.noted("commit refused by its key")
            return  # its unique keys refuse the whole statement; the writer finds out by the head
        for entry in entries:
            self.disk.commit_entry(entry)
        self.durable.note(rows)


class PlayedWriter:
    """What the real `Writer` is to the committer."""

    def __init__(self, server: Server) -> None:
        self.head = server.disk.head
        self.pid = 1
        self._server = server

    async def write(self, entries: Sequence[Entry]) -> None:
        await self._server.take(entries)

    async def ping(self) -> None:
        if not self._server.up:
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    def cut(self) -> None:
        """A played server is never silent for so long."""

    async def close(self) -> None:
        return


async def open_writer(server: Server, *, former: set[int] | None = None) -> PlayedWriter:
    while server.under_way:  # noqa: ASYNC110 - the server sends no word of it
        await asyncio.sleep(0.01)  # the lock is the former session's until its statement is done
    await asyncio.sleep(0.002)
    if not server.up:
        raise psycopg.OperationalError("connection refused")
    return PlayedWriter(server)


class TurnOverflow(Overflow):
    """The real one without its thread: what it did there takes a turn of the loop. `dead`: its process is gone."""

    dead = False

    def __init__(self, spool: Spool, durable: Durable, noted: Callable[[str], None]) -> None:
        super().__init__(spool)
        self._durable = durable
        self._noted = noted

    async def _in_thread(self, work: Callable[[], T]) -> T:
        await asyncio.sleep(0.0004)
        if self.dead:
            raise asyncio.CancelledError
        return work()

    def _write(self, entries: Sequence[Entry], stored: int) -> tuple[list[Entry], bool]:
        written, anew = super()._write(entries, stored)
        if written:
            self._noted("spooled")
            self._durable.note([row for entry in written for row in entry.rows])
        return written, anew

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
            self.spool.close()


class ServedLedger(PostgresLedger):
    """The real ledger of one life, and the faults that may befall it."""

    def __init__(self, server: Server, folder: Path, random: Random) -> None:
        super().__init__(server, heartbeat=2.0, stall=STALL)  # type: ignore[arg-type]  # a server that is played
        self._server = server
        self._random = random
        self.turns = TurnOverflow(Spool(folder), server.durable, server.noted)
        self._overflow = self.turns
        self._committer._overflow = self.turns

    @property
    def dead(self) -> bool:
        return self.turns.dead

    @dead.setter
    def dead(self, gone: bool) -> None:
        """The process is gone, and with it its hold on the spool; a frame may be half written."""
        self.turns.dead = gone
        folder = self.turns.spool.folder
        # Who had not opened it yet has cut off no torn frame, and certainly written no other one behind it.
        opened = self.turns.spool._lock is not None
        self.turns.close()
        files = sorted(folder.glob("*.spool"))
        if files and self._random.random() < 0.3 and opened:
            data = files[-1].read_bytes()
            if len(data) > 40:
                self._server.noted("torn frame")
                files[-1].write_bytes(data + data[: self._random.randint(1, min(len(data) - 1, 200))])

    def stall(self, seconds: float) -> None:
        self._server.slow_until = self._server._timeline.time + seconds

    def slow_word(self, seconds: float) -> None:
        """The answer of a commit is lost, which is the worst way to be slow."""
        self._server.lose_answers = 1

    def leave(self) -> None:
        self._server.up = False

    def come_back(self) -> None:
        self._server.up = True


def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="spool-", dir=MEMORY if MEMORY.is_dir() else None))


def forget(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)


# --- what is read from the server -------------------------------------------------------------------------------------


async def _projections(server: Server, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
    server.present()
    wanted = {stored_text(kind) for kind in kinds}
    return [
        (plain_text(kind), plain_text(key), body.encode())
        for (kind, key), body in server.disk.projections.items()
        if kind in wanted
    ]


async def _projections_and_head(server: Server, kinds: Iterable[str]) -> tuple[list[tuple[str, str, bytes]], int]:
    return list(await _projections(server, kinds)), server.disk.head.seq


async def _projected(server: Server) -> int:
    server.present()
    return server.disk.projected


async def _keys(server: Server, after: int) -> Mapping[str, int]:
    server.present()
    return {plain_text(key): seq for key, seq in server.disk.keys.items() if seq > after}


async def _find(server: Server, key: str) -> int | None:
    server.present()
    return server.disk.keys.get(stored_text(key))


async def _hash_of(server: Server, seq: int) -> bytes | None:
    server.present()
    return server.disk.rows[seq - 1].hash if 0 < seq <= len(server.disk.rows) else None


async def _facts(server: Server, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
    server.present()
    for row in server.disk.rows[after:until]:
        yield decode_fact(row.body)


@contextmanager
def played() -> Iterator[None]:
    """Put the server in the place of the statements that ask a real one."""
    places: list[tuple[Any, str, Any]] = [
        (committing, "open_writer", open_writer),
        (reading, "projections", _projections),
        (reading, "projections_and_head", _projections_and_head),
        (reading, "projected", _projected),
        (reading, "keys", _keys),
        (reading, "find", _find),
        (reading, "hash_of", _hash_of),
        (reading, "facts", _facts),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, value in places:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
