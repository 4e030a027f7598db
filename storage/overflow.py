"""Where the ledger's appends go while the database is slow or away: the spool behind a thread, and what is in it at hand.

Called by `ledger`, which decides when. Writing and reading happen in one thread of its own, so that no fsync stops the
loop. The projection rows and keys of what waits are kept in memory as well: a start reads them over the database's own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from engine.ports import Head, LedgerAway
from storage.frames import Kept, Place
from storage.rows import Entry, Row, StoredChange, plain_text, stored_text
from storage.spool import Spool

T = TypeVar("T")
_PAGE = 250
"""Facts that are read at a time: decoding them keeps the interpreter for a few milliseconds."""


class Overlay:
    """What the spool's appends changed: rows and keys that lie over the database's."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], StoredChange] = {}
        self.keys: dict[str, int] = {}
        self.projected = 0

    def add(self, changes: Iterable[StoredChange], keys: Iterable[tuple[str, int]]) -> None:
        for change in changes:
            self.rows.pop((change.kind, change.key), None)  # so that a changed row moves to the end
            self.rows[change.kind, change.key] = change
            self.projected = change.seq
        for key, seq in keys:
            self.keys.setdefault(key, seq)

    def over(
        self, stored: Sequence[tuple[str, str, bytes]], head: int, kinds: Iterable[str]
    ) -> list[tuple[str, str, bytes]]:
        """The database's rows of these kinds as of fact `head`, with the later ones of the spool in their place, in the
        order they were last changed."""
        wanted = {stored_text(kind) for kind in kinds}
        mine = {where: change for where, change in self.rows.items() if change.kind in wanted and change.seq > head}
        found = [row for row in stored if (stored_text(row[0]), stored_text(row[1])) not in mine]
        return found + [
            (plain_text(change.kind), plain_text(change.key), change.body.encode())
            for change in mine.values()
            if change.body is not None
        ]

    def keys_after(self, after: int) -> dict[str, int]:
        return {plain_text(key): seq for key, seq in self.keys.items() if seq > after}

    def find(self, key: str) -> int | None:
        return self.keys.get(stored_text(key))


class Overflow:
    """The spool of a running ledger. `open` it with the database's head, `close` it."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.overlay = Overlay()
        self._thread: ThreadPoolExecutor | None = None
        self._pending: deque[Kept] = deque()
        """Read from the spool, in order, and not yet in the database."""

    async def open(self) -> Head | None:
        """Find what an earlier run left: the end of it, None where there is nothing. Raises as `Spool.open` does."""
        self._thread = ThreadPoolExecutor(1, "spool")
        try:
            await self._in_thread(self.spool.open)
            return await self._look_through()
        except BaseException:
            self.close()
            raise

    async def _look_through(self) -> Head | None:
        """Everything in it once, from the beginning: the rows and keys, and the last fact."""
        begin, head = self.spool.begin, None
        if begin is None:
            return None
        after = begin.seq
        while kept := await self._in_thread(lambda after=after: self.spool.read(after, _PAGE)):  # type: ignore[misc]
            for one in kept:
                self.overlay.add(one.changes, one.keys)
            last = kept[-1].rows[-1]
            head, after = Head(seq=last.seq, hash=last.hash, at=last.at), last.seq
        return head

    def close(self) -> None:
        """Wait for what is being written, and let the files go."""
        if self._thread is not None:
            self._thread.submit(self.spool.close)
            self._thread.shutdown()
            self._thread = None

    # --- in -----------------------------------------------------------------------------------------------------------

    async def keep(self, entries: Sequence[Entry], stored: int) -> None:
        """Make these appends durable, in order; the database has every fact up to `stored`. What is in the spool
        already is not written again. Raises as `Spool.write` does, and keeps none of them then."""
        kept, anew = await self._in_thread(lambda: self._write(entries, stored))
        if anew:
            self.overlay = Overlay()
        for entry in kept:
            self.overlay.add(entry.changes, entry.keys)

    def _write(self, entries: Sequence[Entry], stored: int) -> tuple[list[Entry], bool]:
        """What had to be written, and whether the spool began anew for it."""
        end = self.spool.end
        new = [one for one in entries if one.rows and (end is None or one.rows[-1].seq > end.seq)]
        if not new:
            return [], False
        first = new[0].rows[0]
        before = Place(first.seq - 1, first.prev_hash)
        # A slow commit may have taken the appends between the spool's end and these: then it has the spool's, too.
        anew = end is not None and end != before and end.seq <= stored
        if anew:
            self.spool.clear()
        self.spool.write(new, before)
        return new, anew

    # --- out ----------------------------------------------------------------------------------------------------------

    async def next(self, after: int, limit: int) -> list[Entry]:
        """The appends that follow fact `after`, up to `limit` facts; none when the database has them all."""
        self._forget(after)
        if self._pending and self._pending[0].rows[0].seq > after + 1:
            self._pending.clear()  # another server has less than the one before: what follows its end is read anew
        while sum(len(kept.rows) for kept in self._pending) < limit and await self._fill(after, limit):
            self._forget(after)
        nobody: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # they were told already
        batch: list[Entry] = []
        facts = 0
        for kept in self._pending:
            facts += len(kept.rows)
            if batch and facts > limit:
                break
            batch.append(Entry(kept.rows, kept.changes, kept.keys, nobody))
        return batch

    def _forget(self, stored: int) -> None:
        while self._pending and self._pending[0].rows[-1].seq <= stored:
            self._pending.popleft()

    async def _fill(self, after: int, facts: int) -> bool:
        after = max(after, self._pending[-1].rows[-1].seq if self._pending else 0)
        kept = await self._in_thread(lambda: self.spool.read(after, facts))
        self._pending.extend(kept)
        return bool(kept)

    async def holds(self, place: Place) -> bool:
        """Whether an append in the spool ends there: then a database that ends there has it and all before it."""
        kept = await self._in_thread(lambda: self.spool.read(place.seq - 1))
        return any((one.rows[-1].seq, one.rows[-1].hash) == place for one in kept)

    async def rows(self, after: int) -> list[Row]:
        """Some facts that follow `after`, in order; none where the spool does not have the next. Raises `LedgerAway` when
        the file cannot be read now, `SpoolDamaged`."""
        try:
            kept = await self._in_thread(lambda: self.spool.read(after, _PAGE))
        except OSError as error:
            raise LedgerAway(f"the spool cannot be read now: {error.strerror or error}") from error
        found = [row for one in kept for row in one.rows if row.seq > after]
        return found if found and found[0].seq == after + 1 else []

    async def release(self, seq: int) -> None:
        """The database has every fact up to `seq`."""
        await self._in_thread(lambda: self.spool.release(seq))

    async def clear(self) -> None:
        """The database has it all."""
        await self._in_thread(self.spool.clear)
        self.overlay = Overlay()
        self._pending.clear()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        assert self._thread is not None, "the spool is open"
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
