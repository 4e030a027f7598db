"""The appends that wait in line to become durable: checked and chained, in order. Used by `committing`; knows no database."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence

from engine.domain.events import AnyFact
from engine.ports import Change, Head
from storage.rows import Entry, Tail

BATCH = 500
"""Facts a commit takes at most: more would keep the event loop busy for too long."""
DRAIN = 1_000
"""The same for what the spool has: as many facts are many commits fewer."""
GROUP = (2_000, 8 << 20)
"""Facts and bytes that one fsync of the spool takes at most, so that nobody waits long for the others."""


class Line:
    """Appends join at the end and leave at the front, when they are durable; `head` is the last that did."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.left = 0
        """How many appends have left."""
        self._tail = Tail(head)
        self._waiting: deque[Entry] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def facts(self) -> int:
        return sum(len(entry.rows) for entry in self._waiting)

    def join(
        self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]
    ) -> asyncio.Future[None]:
        """Raises `ValueError` for what does not follow, and nothing joins then."""
        entry = self._tail.extend(facts, changes, keys, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        return entry.done

    def batch(self) -> list[Entry]:
        """The first appends that one commit takes. They stay."""
        return self._first(BATCH, None)

    def group(self) -> list[Entry]:
        """The first appends that one fsync takes. They stay."""
        return self._first(*GROUP)

    def _first(self, facts: int, size: int | None) -> list[Entry]:
        taken: list[Entry] = []
        for entry in self._waiting:
            facts -= len(entry.rows)
            if size is not None:
                size -= sum(len(row.body) for row in entry.rows)
            if taken and (facts < 0 or (size is not None and size < 0)):
                break
            taken.append(entry)
        return taken

    def until(self, head: Head) -> int | None:
        """How many appends will have left when the one that ends there has; None when none ends there."""
        for count, entry in enumerate(self._waiting, 1):
            if entry.rows and (entry.rows[-1].seq, entry.rows[-1].hash) == (head.seq, head.hash):
                return self.left + count
        return None

    def leave(self, left: int) -> None:
        """These are durable: as many as make it `left` in all. Those who wait for them are told."""
        while self.left < left and self._waiting:
            entry = self._waiting.popleft()
            self.left += 1
            if entry.rows:
                row = entry.rows[-1]
                self.head = Head(seq=row.seq, hash=row.hash, at=row.at)
            if not entry.done.done():
                entry.done.set_result(None)

    def refuse(self, error: Exception) -> None:
        """Nothing that waits will become durable: say so to all."""
        while self._waiting:
            entry = self._waiting.popleft()
            self.left += 1
            if not entry.done.done():
                entry.done.set_exception(error)
