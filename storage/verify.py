"""Proves that the ledger is whole: every fact there once, unchanged, in order, guarded, and out of reach of the engine.

Called by `ledger verify` and after a restore. It reads one snapshot, so an engine may be at work meanwhile; it writes
nothing. A tail cut off from both the ledger and the chain cannot be seen from inside: hand in the head known from
elsewhere (`known`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

import msgspec
import psycopg

from engine.domain import events as ev
from engine.domain.canonical import decode_fact
from engine.ports import Head, LedgerAway
from storage import roles
from storage.database import Database
from storage.dsn import Connection, connect
from storage.report import Fault, Report
from storage.rows import GENESIS, NOTHING, link, plain_text, symbol_of

_ROWS = """COPY (
    SELECT coalesce(l.seq, c.seq), l.at, l.kind, l.cause, l.symbol, l.body, l.hash, l.prev_hash, c.hash, c.prev_hash
    FROM strikedesk.ledger l FULL JOIN strikedesk.chain c ON c.seq = l.seq ORDER BY 1
) TO STDOUT (FORMAT BINARY)"""
_TYPES = ["int8", "timestamptz", "text", "int8", "text", "text", "bytea", "bytea", "bytea", "bytea"]
_BREATH = 200
"""Rows between two chances for the rest of the program."""

_TABLES = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhparent IS NOT NULL,
       ARRAY(SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND p.proname = 'refuse_change'
               AND p.pronamespace = c.relnamespace)::text[]
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = to_regclass('strikedesk.ledger')
WHERE c.relnamespace = to_regnamespace('strikedesk') AND c.relkind IN ('r', 'p')
  AND (c.relname = ANY (%s) OR c.relname LIKE 'ledger\\_%%' OR i.inhparent IS NOT NULL)
ORDER BY c.relname"""
_GUARDS = ("no_change", "no_truncate")
_ACCEPTED = (ev.SignalReceived, ev.PhaseReceived, ev.TrendReceived, ev.ExitNoticeReceived)


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


async def verify(database: Database, known: Head | None = None) -> Report:
    """Check everything; what is wrong is in the report, which is `ok` when nothing is.

    `known`: a head that was kept off the database. Raises `LedgerAway` when the database cannot be reached.
    """
    report = Report()
    try:
        async with await connect(database.app, "verify", autocommit=False) as connection:
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await connection.set_read_only(True)
            await _check_facts(connection, report, known)
            await _check_guards(connection, report)
        await _check_rights(database, report)
    except psycopg.OperationalError as error:
        raise LedgerAway(f"the database is away: {error}") from error
    return report


# --- facts ----------------------------------------------------------------------------------------------------------


async def _check_facts(connection: Connection, report: Report, known: Head | None) -> None:
    keys = await _dedupe(connection)
    last, digest, since = 0, GENESIS, None
    head = NOTHING
    async with connection.cursor().copy(_ROWS) as copy:
        copy.set_types(_TYPES)
        async for values in copy.rows():
            row = _Stored(*values)
            if row.seq > last + 1:
                gone = f"{last + 1} to {row.seq - 1} are" if row.seq > last + 2 else f"{last + 1} is"
                report.add(Fault.MISSING, f"{gone} in neither ledger nor chain", last + 1, since)
                digest = row.prev_hash or row.chain_prev or digest  # reported once, not for every fact that follows
            if row.seq == last:
                report.add(Fault.DOUBLED, "is in the ledger more than once", row.seq, row.at)
                continue
            _check_row(row, digest, since, report)
            if row.body is not None:
                _check_body(row, keys, report)
                report.facts += 1
            if known is not None and row.seq == known.seq and row.hash != known.hash:
                report.add(Fault.HEAD, "has another hash than the one kept elsewhere", row.seq, row.at)
            last, digest, since = row.seq, row.hash or row.chain_hash or digest, row.at or since
            head = Head(seq=last, hash=digest, at=since)
            if row.seq % _BREATH == 0:
                await asyncio.sleep(0)
    if known is not None and known.seq > last:
        report.add(Fault.HEAD, f"the ledger ends here, but fact {known.seq} was known elsewhere", last, since)
    for seq in sorted(seq for seq in keys if seq > last or seq < 1):
        report.add(Fault.DEDUPE, f"key {next(iter(keys[seq]))!r} names a fact that is not there", seq)
    report.head = head


def _check_row(row: _Stored, digest: bytes, since: datetime | None, report: Report) -> None:
    """One row against its predecessor and the chain table."""
    if row.body is None or row.hash is None or row.prev_hash is None:
        report.add(Fault.MISSING, "was removed from the ledger; the chain still names it", row.seq, since)
        return
    if row.chain_hash is None:
        report.add(Fault.CHAIN, "is missing in the chain", row.seq, row.at)
    elif (row.chain_hash, row.chain_prev) != (row.hash, row.prev_hash):
        report.add(Fault.CHAIN, "has another hash in the chain than in the ledger", row.seq, row.at)
    if row.prev_hash != digest:
        report.add(Fault.UNLINKED, "does not follow the fact before it", row.seq, row.at)
    if link(row.prev_hash, row.body.encode()) != row.hash:
        report.add(Fault.ALTERED, "was changed after it was written", row.seq, row.at)


def _check_body(row: _Stored, keys: dict[int, set[str]], report: Report) -> None:
    """The columns beside the text, and the dedupe key of a receipt."""
    assert row.body is not None
    try:
        fact = decode_fact(row.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        report.add(Fault.UNREADABLE, f"cannot be read: {error}", row.seq, row.at)
        return
    said = (fact.seq, fact.at, fact.kind, fact.cause, symbol_of(fact))
    stored = (row.seq, row.at, row.kind, row.cause, row.symbol)
    names = ("seq", "at", "kind", "cause", "symbol")
    for name, in_text, in_column in zip(names, said, stored, strict=True):
        if in_text != in_column:
            report.add(Fault.COLUMNS, f"{name} is {in_column} in its column and {in_text} in its text", row.seq, row.at)
    if isinstance(fact, _ACCEPTED):
        # A body without a time of its own may come again later: then its key names its place.
        expected = {fact.receipt.key, f"{fact.receipt.key}@{fact.seq}"}
        found = keys.get(row.seq, set())
        if not found & expected:
            report.add(
                Fault.DEDUPE, "its dedupe key is missing: the same receipt could be acted on again", row.seq, row.at
            )
        for key in found - expected:
            report.add(Fault.DEDUPE, f"key {key!r} is not the key of its receipt", row.seq, row.at)


async def _dedupe(connection: Connection) -> dict[int, set[str]]:
    keys: dict[int, set[str]] = defaultdict(set)
    for key, seq in await (await connection.execute("SELECT key, seq FROM strikedesk.dedupe")).fetchall():
        keys[seq].add(plain_text(key))
    return keys


# --- guards, rights -------------------------------------------------------------------------------------------------


async def _check_guards(connection: Connection, report: Report) -> None:
    """Every table of facts, and every partition, with its triggers on for everyone (ALWAYS)."""
    found = await (await connection.execute(_TABLES, [list(roles.GUARDED)])).fetchall()
    tables = {name for name, *_ in found}
    for name in set(roles.GUARDED) - tables:
        report.add(Fault.GUARD, f"table {name} is missing")
    partitions = 0
    for name, bound, attached, triggers in found:
        for guard in _GUARDS:
            if guard not in triggers:
                report.add(Fault.GUARD, f"trigger {guard} of {name} is missing or not ENABLE ALWAYS")
        if attached:
            partitions += 1
            if bound == "DEFAULT":
                report.add(Fault.GUARD, f"partition {name} takes whatever no month has: facts could hide in it")
        elif name not in roles.GUARDED:
            report.add(Fault.GUARD, f"table {name} was detached from the ledger")
    report.notes.append(f"{partitions} monthly partitions")


async def _check_rights(database: Database, report: Report) -> None:
    """What the roles may do; and what could not be arranged at the start."""
    wrong = list(database.problems)
    async with await connect(database.app, "verify") as connection:
        wrong += await roles.excess_rights(connection)
    if database.reader != database.app:
        async with await connect(database.reader, "verify") as connection:
            wrong += await roles.excess_rights(connection, reader=True)
    for text in dict.fromkeys(wrong):
        report.add(Fault.RIGHTS, text)
