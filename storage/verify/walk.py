"""Walks the whole ledger, first fact to last: every hash, every link, the chain beside it, the columns and the keys.

Called by `whole`. It goes in stretches. A stretch where everything is as it must be is seen to be so in a few microseconds
a fact; any other is looked at again row by row (`faults`), which says what is wrong. Both read one snapshot, on a
connection and in a thread of their own, so that an engine may be at work beside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from engine.ports import Head
from storage.dsn import connect_options, normal
from storage.heads import counted
from storage.report import Fault, Report
from storage.rows import GENESIS, NOTHING, plain_text
from storage.verify.copied import copied
from storage.verify.faults import Place, explain
from storage.verify.stretch import FACTS, LINKS, Stretch, sound

STRETCH = 20_000
"""Facts of a stretch."""

_NEXT = """
SELECT least((SELECT min(seq) FROM strikedesk.ledger WHERE seq > %s), (SELECT min(seq) FROM strikedesk.chain WHERE seq > %s))"""
# Stretches lie in order in the tables: sorting each would cost as much as reading it.
_IN_ORDER = """
SELECT set_config(name, value, true)
FROM (VALUES ('enable_sort', 'off'), ('enable_bitmapscan', 'off'), ('max_parallel_workers_per_gather', '0')) v (name, value)"""
_KEYS = "SELECT key, seq FROM strikedesk.dedupe ORDER BY seq, key"

_FIRST, _LAST = -(1 << 63), (1 << 63) - 1

Connection = psycopg.Connection[tuple[Any, ...]]


def walk(dsn: str, report: Report, heads: Sequence[Head], stop: threading.Event) -> None:
    """Check every fact; what is wrong goes into the report. `heads`: ends of the chain that were kept elsewhere.

    Ends early when `stop` is set. Raises psycopg's errors.
    """
    with _opened(dsn) as connection, _opened(dsn) as beside, ThreadPoolExecutor(1) as aside:
        # Both see the same moment, so that the links of a stretch are put together while its facts are read.
        (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        beside.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        connection.execute(_IN_ORDER)
        beside.execute(_IN_ORDER)
        with connection.cursor(name="keys") as keys:
            keys.itersize = STRETCH

            def links(after: int, until: int) -> Future[bytes | None]:
                return aside.submit(_links, beside, after, until)

            _Walk(connection, report, heads, _Keys(keys), links).run(stop)


def _opened(dsn: str) -> Connection:
    connection = psycopg.connect(normal(dsn), autocommit=False, **connect_options(dsn, "verify"))
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def _links(connection: Connection, after: int, until: int) -> bytes | None:
    row = connection.execute(LINKS, [after, until], binary=True).fetchone()
    return None if row is None else row[0]


class _Walk:
    def __init__(
        self,
        connection: Connection,
        report: Report,
        heads: Sequence[Head],
        keys: _Keys,
        links: Callable[[int, int], Future[bytes | None]],
    ) -> None:
        self._connection = connection
        self._report = report
        self._place = Place(0, GENESIS, None)
        self._heads = sorted((head for head in heads if head.seq > 0), key=lambda head: head.seq)
        self._others: list[Head] = []
        """Heads that are not what the ledger has there."""
        self._keys = keys
        self._links = links

    def run(self, stop: threading.Event) -> None:
        after = self._next(_FIRST)
        while after is not None and not stop.is_set():
            # A number below 1 is none a fact can have; the stretch that begins there is looked at closely.
            begin = after - 1
            until = min(begin + STRETCH, _LAST)
            self._stretch(begin, until)
            after = self._next(until)
        report, place = self._report, self._place
        for key, seq in self._keys.until(_LAST):
            report.add(Fault.DEDUPE, f"key {plain_text(key)!r} names a fact that is not there", seq)
        # In the order of their facts: the first that does not fit is where the ledger and what was kept part.
        self._misfit(self._others, "has another hash than the one kept elsewhere")
        if self._heads:
            ends = f"the ledger ends here, but fact {self._heads[0].seq} was known elsewhere"
            self._misfit(self._heads, ends, (place.seq, place.since))
        report.head = Head(seq=place.seq, hash=place.hash, at=place.since) if place.seq else NOTHING

    def _next(self, after: int) -> int | None:
        """The lowest number that comes after this one, in the ledger or in the chain."""
        row = self._connection.execute(_NEXT, [after, after]).fetchone()
        return None if row is None else row[0]

    def _stretch(self, after: int, until: int) -> None:
        keys = list(self._keys.until(until))
        found = self._sound(after, until) if after == self._place.seq else None
        if found is not None and keys == found.keys:
            self._place = Place(after + len(found.links), found.hash, found.at)
            self._report.facts += len(found.links)
            hashes = {one.seq: found.hash_of(one.seq) for one in self._heads if one.seq <= self._place.seq}
        else:
            hashes = explain(self._connection, (after, until), self._place, keys, self._report)
        while self._heads and self._heads[0].seq <= self._place.seq:
            head = self._heads.pop(0)
            if hashes.get(head.seq) != head.hash:
                self._others.append(head)

    def _misfit(self, heads: Sequence[Head], text: str, where: tuple[int, datetime | None] | None = None) -> None:
        if heads:
            later = (
                f"; {counted(len(heads) - 1)} kept after it {'does' if len(heads) == 2 else 'do'} not fit either"
                if len(heads) > 1
                else ""
            )
            self._report.add(Fault.HEAD, text + later, *(where or (heads[0].seq, heads[0].at)))

    def _sound(self, after: int, until: int) -> Stretch | None:
        """What a stretch in which facts and chain are as they must be says; None for any other."""
        links = self._links(after, until)
        found = sound(copied(self._connection.pgconn, FACTS.format(after=after, until=until)), after, self._place.hash)
        return found if found is not None and links.result() == b"".join(found.links) else None


class _Keys:
    """The dedupe keys in the order of their facts, read on as the walk goes."""

    def __init__(self, cursor: psycopg.ServerCursor[tuple[Any, ...]]) -> None:
        self._rows = iter(cursor.execute(_KEYS))
        self._ahead: tuple[str, int] | None = next(self._rows, None)

    def until(self, seq: int) -> Iterator[tuple[str, int]]:
        """Those that are left and belong to facts up to this one."""
        while self._ahead is not None and self._ahead[1] <= seq:
            ahead, self._ahead = self._ahead, next(self._rows, None)
            yield ahead
