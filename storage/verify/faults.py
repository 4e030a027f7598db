"""Says what is wrong with a stretch of the ledger, row by row: which fact, what was done to it, since when.

Called by `walk` for the stretches that are not as they must be. Slower than the walk, and never lenient either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import psycopg

from engine.domain.canonical import decode_fact
from storage.report import Fault, Report
from storage.rows import key_of, link, plain_text, stored_text, symbol_of

_ROWS = """COPY (
    SELECT coalesce(l.seq, c.seq), l.at, l.kind, l.cause, l.symbol, l.body, l.hash, l.prev_hash, c.hash, c.prev_hash
    FROM (SELECT * FROM strikedesk.ledger WHERE seq > {after} AND seq <= {until}) l
    FULL JOIN (SELECT * FROM strikedesk.chain WHERE seq > {after} AND seq <= {until}) c ON c.seq = l.seq ORDER BY 1
) TO STDOUT (FORMAT BINARY)"""
_TYPES = ["int8", "timestamptz", "text", "int8", "text", "text", "bytea", "bytea", "bytea", "bytea"]


@dataclass(slots=True)
class Place:
    """How far the walk has come."""

    seq: int
    hash: bytes
    since: datetime | None
    """Engine time of the last fact that could be read."""


class _Stored(NamedTuple):
    seq: int
    at: datetime | None
    kind: str | None
    cause: int | None
    symbol: str | None
    body: str | None
    hash: bytes | None
    prev_hash: bytes | None
    chain_hash: bytes | None
    chain_prev: bytes | None


def explain(
    connection: psycopg.Connection[tuple[Any, ...]],
    between: tuple[int, int],
    place: Place,
    keys: Sequence[tuple[str, int]],
    report: Report,
) -> dict[int, bytes]:
    """Look at the facts with after < seq <= until one by one and move `place` on; their hashes by number.

    `keys`: the dedupe keys, as stored, that name facts of this stretch.
    """
    named: dict[int, set[str]] = defaultdict(set)
    for key, seq in keys:
        named[seq].add(key)
    hashes: dict[int, bytes] = {}
    with connection.cursor().copy(_ROWS.format(after=between[0], until=between[1]).encode()) as copy:
        copy.set_types(_TYPES)
        for values in copy.rows():
            row = _Stored(*values)
            found = named.pop(row.seq, set())
            if row.seq < 1:
                report.add(Fault.UNLINKED, "has a number that no fact can have", row.seq, row.at)
                continue
            if row.seq > place.seq + 1:
                first, last = place.seq + 1, row.seq - 1
                gone = f"{first} to {last} are" if last > first else f"{first} is"
                report.add(Fault.MISSING, f"{gone} in neither ledger nor chain", first, place.since)
                # reported once, not for every fact that follows
                place.hash = row.prev_hash or row.chain_prev or place.hash
            if row.seq == place.seq:
                report.add(Fault.DOUBLED, "is in the ledger more than once", row.seq, row.at)
                continue
            _check_row(row, place, report)
            if row.body is not None:
                _check_body(row, row.body, found, report)
                report.facts += 1
            place.seq, place.since = row.seq, row.at or place.since
            place.hash = row.hash or row.chain_hash or place.hash
            hashes[row.seq] = place.hash
    for seq, left in sorted(named.items()):
        report.add(Fault.DEDUPE, f"key {plain_text(min(left))!r} names a fact that is not there", seq)
    return hashes


def _check_row(row: _Stored, place: Place, report: Report) -> None:
    """One row against its predecessor and the chain table."""
    if row.body is None or row.hash is None or row.prev_hash is None:
        report.add(Fault.MISSING, "was removed from the ledger; the chain still names it", row.seq, place.since)
        return
    if row.chain_hash is None:
        report.add(Fault.CHAIN, "is missing in the chain", row.seq, row.at)
    elif (row.chain_hash, row.chain_prev) != (row.hash, row.prev_hash):
        report.add(Fault.CHAIN, "has another hash in the chain than in the ledger", row.seq, row.at)
    if row.prev_hash != place.hash:
        report.add(Fault.UNLINKED, "does not follow the fact before it", row.seq, row.at)
    if link(row.prev_hash, row.body.encode()) != row.hash:
        report.add(Fault.ALTERED, "was changed after it was written", row.seq, row.at)


def _check_body(row: _Stored, body: str, keys: set[str], report: Report) -> None:
    """The columns beside the text, and the dedupe key of a receipt."""
    try:
        fact = decode_fact(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        report.add(Fault.UNREADABLE, f"cannot be read: {error}", row.seq, row.at)
        return
    said = (fact.seq, fact.at, fact.kind, fact.cause, symbol_of(fact))
    stored = (row.seq, row.at, row.kind, row.cause, row.symbol)
    names = ("seq", "at", "kind", "cause", "symbol")
    for name, in_text, in_column in zip(names, said, stored, strict=True):
        if in_text != in_column:
            report.add(Fault.COLUMNS, f"{name} is {in_column} in its column and {in_text} in its text", row.seq, row.at)
    key = key_of(fact)
    if key is not None and stored_text(key) not in keys:
        report.add(Fault.DEDUPE, "its dedupe key is missing: the same receipt could be acted on again", row.seq, row.at)
    for other in sorted(keys - {"" if key is None else stored_text(key)}):
        report.add(Fault.DEDUPE, f"key {plain_text(other)!r} is not a key it brings", row.seq, row.at)
