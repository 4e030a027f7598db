"""Walks the whole ledger, first fact to last: every hash, every link, the chain beside it, the columns and the keys.

Called by `whole`. It goes in stretches. A stretch where everything is as it must be is seen to be so in a few microseconds
a fact; any other is looked at again row by row (`faults`), which says what is wrong. Both read one snapshot, on a
connection and in a thread of their own, so that an engine may be at work beside it.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import psycopg

from engine.ports import Head
from storage.dsn import connect_options, normal
from storage.report import Fault, Report
from storage.rows import GENESIS, NOTHING, key_from, stored_symbol, stored_text
from storage.verify.copied import copied
from storage.verify.faults import Place, explain
from storage.verify.headers import READERS

STRETCH = 20_000
"""Facts of a stretch."""

_FACTS = """COPY (
    SELECT seq, prev_hash, hash, at,
           ((cause IS NULL)::int + 2 * (symbol IS NULL)::int)::int2, coalesce(cause, 0), kind, coalesce(symbol, ''), body
    FROM strikedesk.ledger WHERE seq > {after} AND seq <= {until} ORDER BY seq
) TO STDOUT (FORMAT BINARY)"""
# The links of a stretch as one value, in the very bytes in which the facts bring theirs: compared at once.
_LINKS = """
SELECT string_agg('\\x00000008'::bytea || int8send(seq) || '\\x00000020'::bytea || prev_hash || '\\x00000020'::bytea || hash,
                  '' ORDER BY seq)
FROM strikedesk.chain WHERE seq > %s AND seq <= %s"""
_NEXT = """
SELECT least((SELECT min(seq) FROM strikedesk.ledger WHERE seq > %s), (SELECT min(seq) FROM strikedesk.chain WHERE seq > %s))"""
# Stretches lie in order in the tables: sorting each would cost as much as reading it.
_IN_ORDER = """
SELECT set_config(name, value, true)
FROM (VALUES ('enable_sort', 'off'), ('enable_bitmapscan', 'off'), ('max_parallel_workers_per_gather', '0')) v (name, value)"""
_KEYS = "SELECT key, seq FROM strikedesk.dedupe ORDER BY seq, key"

_FIXED = struct.Struct(">hiqi32si32siqihiqi")
"""The first six columns with their lengths, and the length of `kind`."""
_LENGTHS = (9, 8, 32, 32, 8, 2, 8)
_LENGTH = struct.Struct(">i").unpack_from
_LINK = slice(2, 2 + 84)
"""Where a fact's number and hashes stand."""
_SINCE_2000 = round((datetime(2000, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
_FIRST, _LAST = -(1 << 63), (1 << 63) - 1

Connection = psycopg.Connection[tuple[Any, ...]]


def walk(dsn: str, report: Report, heads: Sequence[Head], stop: threading.Event) -> None:
    """Check every fact; what is wrong goes into the report. `heads`: ends of the chain that were kept elsewhere.

    Ends early when `stop` is set. Raises psycopg's errors.
    """
    with psycopg.connect(normal(dsn), autocommit=False, **connect_options(dsn, "verify")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute(_IN_ORDER)
        with connection.cursor(name="keys") as keys:
            keys.itersize = STRETCH
            _Walk(connection, report, heads, _Keys(keys)).run(stop)


class _Walk:
    def __init__(self, connection: Connection, report: Report, heads: Sequence[Head], keys: _Keys) -> None:
        self._connection = connection
        self._report = report
        self._place = Place(0, GENESIS, None)
        self._heads = sorted((head for head in heads if head.seq > 0), key=lambda head: head.seq)
        self._keys = keys

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
            report.add(Fault.DEDUPE, f"key {key!r} names a fact that is not there", seq)
        for head in self._heads:
            report.add(
                Fault.HEAD, f"the ledger ends here, but fact {head.seq} was known elsewhere", place.seq, place.since
            )
        report.head = Head(seq=place.seq, hash=place.hash, at=place.since) if place.seq else NOTHING

    def _next(self, after: int) -> int | None:
        """The lowest number that comes after this one, in the ledger or in the chain."""
        row = self._connection.execute(_NEXT, [after, after]).fetchone()
        return None if row is None else row[0]

    def _stretch(self, after: int, until: int) -> None:
        keys = list(self._keys.until(until))
        expected: list[tuple[str, int]] = []
        found = self._sound(after, until, expected) if after == self._place.seq else None
        if found is not None and keys == expected:
            links, self._place = found
            self._report.facts += len(links)
            hashes = {
                one.seq: links[one.seq - after - 1][-32:] for one in self._heads if after < one.seq <= self._place.seq
            }
        else:
            hashes = explain(self._connection, (after, until), self._place, keys, self._report)
        while self._heads and self._heads[0].seq <= self._place.seq:
            head = self._heads.pop(0)
            if hashes.get(head.seq) != head.hash:
                self._report.add(Fault.HEAD, _misfit(head, hashes), head.seq, head.at)

    def _sound(self, after: int, until: int, keys: list[tuple[str, int]]) -> tuple[list[bytes], Place] | None:
        """The links of a stretch in which all is well and where it ends, and into `keys` the keys it must have; None
        for any other.

        Nothing here may be lenient: whatever is not exactly what this program writes goes to the closer look.
        """
        seq, digest = after, self._place.hash
        links: list[bytes] = []
        symbols: dict[str, bytes] = {}
        found = at = 0
        rows = copied(self._connection.pgconn, _FACTS.format(after=after, until=until))
        for data in rows:
            try:
                (
                    columns, of_seq, found, of_prev, previous, of_hash, stored, of_at, at,
                    of_flags, flags, of_cause, cause, of_kind,
                ) = _FIXED.unpack_from(data)  # fmt: skip
                seq += 1
                if (columns, of_seq, of_prev, of_hash, of_at, of_flags, of_cause) != _LENGTHS or found != seq:
                    return None
                begin = _FIXED.size + of_kind
                reader = READERS[data[_FIXED.size : begin]]
                begin += 4
                end = begin + _LENGTH(data, begin - 4)[0]
                symbol, body = data[begin:end], data[end + 4 :]
                header = reader.decode(body)
            except (struct.error, KeyError, msgspec.DecodeError, UnicodeDecodeError, ValueError):
                return None
            if previous != digest or sha256(previous + body).digest() != stored:
                return None
            digest = stored
            said = reader.symbol(header) if reader.symbol is not None else ""
            if said not in symbols:
                symbols[said] = (stored_symbol(said) or "").encode()
            if (
                header.seq != seq
                or header.fact != reader.kind
                or (header.cause or 0) != cause
                or (header.cause is None) + 2 * (not symbols[said]) != flags
                or symbols[said] != symbol
                or header.at.timestamp() != (at + _SINCE_2000) / 1_000_000
            ):
                return None
            if reader.key:
                keys.append((stored_text(key_from(header.receipt.key, seq)), seq))
            links.append(data[_LINK])
        row = self._connection.execute(_LINKS, [after, until], binary=True).fetchone()
        if not links or row is None or row[0] != b"".join(links):
            return None
        moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
        return links, Place(seq, digest, moment)


def _misfit(head: Head, hashes: dict[int, bytes]) -> str:
    if head.seq in hashes:
        return "has another hash than the one kept elsewhere"
    return "was known elsewhere and is not there"


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
