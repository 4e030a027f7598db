"""The one connection that writes the ledger: it holds the engine's lock and commits batches, each in one statement.

Called by `ledger`. A batch is facts, chain, keys and projection rows in one SQL statement, which is one transaction and
one round trip. The lock belongs to the same session as the commits: whoever has lost the lock cannot write any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import psycopg
from psycopg.types.array import ListBinaryDumper
from psycopg.types.numeric import Int4, Int8

from engine.ports import Head, LedgerAway
from storage.dsn import Connection, connect, shown
from storage.errors import ChainForked, EngineRunning
from storage.rows import NOTHING, Entry, Row, StoredChange

ENGINE_LOCK = 7236838012055
AHEAD = timedelta(days=7)
"""How long before a month begins its partition is made."""
_SMALL = 8
"""Up to this many rows a batch is sent as plain values, which is quicker than arrays."""
_LOCK_TRIES, _LOCK_PAUSE = 40, 0.05

_HEAD = """
SELECT c.seq, c.hash, l.at, l.hash FROM strikedesk.chain c LEFT JOIN strikedesk.ledger l ON l.seq = c.seq
ORDER BY c.seq DESC LIMIT 1"""
_HOLDER = """
SELECT pid, coalesce(nullif(a.application_name, ''), 'a program of ' || coalesce(a.usename, '?')),
       coalesce(a.client_addr::text, 'this machine'),
       coalesce(to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'some time')
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = %s
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_MONTHS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'strikedesk.ledger'::regclass AND c.relname ~ '^ledger_[0-9]{6}$'"""


class Writer:
    """A session that holds the engine's lock. Make it with `open_writer`; after any database error, `close` it."""

    def __init__(self, connection: Connection, head: Head, months: set[tuple[int, int]]) -> None:
        self.head = head
        """The end of the chain in the database when this session began."""
        self.pid = connection.info.backend_pid
        self.connection = connection
        """The session of the lock, for who writes in bulk under it."""
        self._cursor = psycopg.AsyncRawCursor(connection)  # its statements need no parsing on our side
        self._months = months

    async def write(self, entries: Sequence[Entry]) -> None:
        """Commit these appends together. Raises psycopg's errors; whether it was committed is then for `head` to say."""
        rows = [row for entry in entries for row in entry.rows]
        keys = [key for entry in entries for key in entry.keys]
        latest = {(change.kind, change.key): change for entry in entries for change in entry.changes}
        upserts = [change for change in latest.values() if change.body is not None]
        removed = [change for change in latest.values() if change.body is None]
        if rows:
            for moment in {(at.year, at.month): at for at in (row.at.astimezone(UTC) for row in rows)}.values():
                await self.prepare_months(moment)
        small = max(len(rows), len(keys), len(upserts)) <= _SMALL
        query, values = _small(rows, keys, upserts, removed) if small else _large(rows, keys, upserts, removed)
        await self._cursor.execute(query, values, prepare=True)

    async def replace_projections(self, rows: Sequence[StoredChange]) -> None:
        """All projection rows become these, in one transaction."""
        async with self.connection.transaction(), self.connection.cursor() as cursor:
            await cursor.execute("DELETE FROM strikedesk.projection")
            async with cursor.copy("COPY strikedesk.projection (kind, key, seq, place, body) FROM STDIN") as copy:
                for row in rows:
                    await copy.write_row(row)

    async def ping(self) -> None:
        await self.connection.execute("SELECT 1", prepare=True)

    def cut(self) -> None:
        """Break the connection off: who waits for its answer gets an error at once, however silent the server is."""
        if not self.connection.closed:
            # A line that was broken already cannot be broken again.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        await self.connection.close()

    async def prepare_months(self, at: datetime) -> None:
        """Partitions for the month of a fact and, when it nears, the next: none may be missing when it begins."""
        for moment in (at.astimezone(UTC), (at + AHEAD).astimezone(UTC)):
            if (moment.year, moment.month) not in self._months:
                await self.connection.execute("SELECT strikedesk.make_partition(%s)", [moment.date()])
                self._months.add((moment.year, moment.month))


async def open_writer(dsn: str, *, former: set[int] | None = None) -> Writer:
    """Connect, take the engine's lock and read the head. `former` are the sessions we had or tried to have before, which
    the server may not have noticed to be gone; this one's is added.

    Raises `EngineRunning` when another engine holds the lock, `ChainForked` when the last fact and the chain differ.
    """
    connection = await connect(dsn, "engine")
    connection.prepared_max = 500
    connection.adapters.register_dumper(list, ListBinaryDumper)  # four times as quick as text
    former = set() if former is None else former
    try:
        # The statements are few and always the same: planning them anew each time would cost more than the commit.
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        before = set(former)
        former.add(connection.info.backend_pid)
        await _lock(connection, dsn, before)
        former.intersection_update({connection.info.backend_pid})
        row = await (await connection.execute(_HEAD)).fetchone()
        if row is None:
            head = NOTHING
        else:
            seq, digest, at, in_ledger = row
            if in_ledger != digest:
                raise ChainForked(
                    f"fact {seq}, the last of the chain, is {'another' if in_ledger else 'missing'} in the ledger"
                )
            head = Head(seq=seq, hash=digest, at=at)
        names = [name for (name,) in await (await connection.execute(_MONTHS)).fetchall()]
        months = {(int(name[-6:-2]), int(name[-2:])) for name in names}
    except BaseException:
        await connection.close()
        raise
    return Writer(connection, head, months)


async def _lock(connection: Connection, dsn: str, former: set[int]) -> None:
    for attempt in range(_LOCK_TRIES):
        row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [ENGINE_LOCK])).fetchone()
        if row is not None and row[0]:
            return
        if former and attempt == 0:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY (%s) AND usename = current_user"
                " AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()",
                [list(former)],
            )
        await asyncio.sleep(_LOCK_PAUSE)
    holder = await (await connection.execute(_HOLDER, [ENGINE_LOCK])).fetchone()
    if former and (not holder or holder[0] in former):  # stuck in a commit, say
        raise LedgerAway("the server has not given up our former session yet")
    who = "{} from {}, since {}".format(*holder[1:]) if holder else "a session that has just gone"
    raise EngineRunning(f"Strikedesk is already running on this database ({shown(dsn)}): {who}")


# --- the statement --------------------------------------------------------------------------------------------------
# Types are always the same (no NULL, fixed integer sizes), so that each shape of batch is prepared once.


def _statement(ledger: str, chain: str, dedupe: str, projection: str, removed: str) -> str:
    """One statement from its parts; each source is a VALUES list or an unnest, empty when there are no such rows."""
    parts = []
    if ledger:
        parts.append(
            "f AS (INSERT INTO strikedesk.ledger (seq, at, kind, cause, symbol, body, hash, prev_hash)"
            f" SELECT seq, at, kind, nullif(cause, 0), nullif(symbol, ''), body, hash, prev_hash FROM {ledger}"
            " v (seq, at, kind, cause, symbol, body, hash, prev_hash))"
        )
        parts.append(f"c AS (INSERT INTO strikedesk.chain (seq, prev_hash, hash) SELECT * FROM {chain} v)")
    if dedupe:
        parts.append(f"d AS (INSERT INTO strikedesk.dedupe (key, seq) SELECT * FROM {dedupe} v ON CONFLICT DO NOTHING)")
    if projection:
        parts.append(
            f"p AS (INSERT INTO strikedesk.projection (kind, key, seq, place, body) SELECT * FROM {projection} v"
            " ON CONFLICT (kind, key) DO UPDATE"
            " SET seq = excluded.seq, place = excluded.place, body = excluded.body)"
        )
    if removed:
        parts.append(
            f"r AS (DELETE FROM strikedesk.projection p USING {removed} v (kind, key)"
            " WHERE p.kind = v.kind AND p.key = v.key)"
        )
    return f"WITH {', '.join(parts)} SELECT" if parts else "SELECT"


_LEDGER = ("bigint", "timestamptz", "text", "bigint", "text", "text", "bytea", "bytea")
_CHAIN = ("bigint", "bytea", "bytea")
_DEDUPE = ("text", "bigint")
_PROJECTION = ("text", "text", "bigint", "integer", "text")
_REMOVED = ("text", "text")


@cache
def _small_statement(rows: int, keys: int, upserts: int, removed: bool) -> str:
    number = count(1)

    def values(types: Sequence[str], times: int) -> str:
        tuples = (f"({', '.join(f'${next(number)}::{kind}' for kind in types)})" for _ in range(times))
        return f"(VALUES {', '.join(tuples)})" if times else ""

    def arrays(types: Sequence[str], there: bool) -> str:
        return f"unnest({', '.join(f'${next(number)}::{kind}[]' for kind in types)})" if there else ""

    return _statement(
        values(_LEDGER, rows), values(_CHAIN, rows), values(_DEDUPE, keys), values(_PROJECTION, upserts),
        arrays(_REMOVED, removed),
    )  # fmt: skip


@cache
def _large_statement(rows: bool, keys: bool, upserts: bool, removed: bool) -> str:
    number = count(1)

    def arrays(types: Sequence[str], there: bool) -> str:
        return f"unnest({', '.join(f'${next(number)}::{kind}[]' for kind in types)})" if there else ""

    return _statement(
        arrays(_LEDGER, rows), arrays(_CHAIN, rows), arrays(_DEDUPE, keys), arrays(_PROJECTION, upserts),
        arrays(_REMOVED, removed),
    )  # fmt: skip


def _small(
    rows: Sequence[Row],
    keys: Sequence[tuple[str, int]],
    upserts: Sequence[StoredChange],
    removed: Sequence[StoredChange],
) -> tuple[str, list[Any]]:
    values: list[Any] = []
    for row in rows:
        cause, symbol = Int8(row.cause or 0), row.symbol or ""
        values += (Int8(row.seq), row.at, row.kind, cause, symbol, row.body, row.hash, row.prev_hash)
    for row in rows:
        values += (Int8(row.seq), row.prev_hash, row.hash)
    for key, seq in keys:
        values += (key, Int8(seq))
    for change in upserts:
        values += (change.kind, change.key, Int8(change.seq), Int4(change.place), change.body)
    values += _removed(removed)
    return _small_statement(len(rows), len(keys), len(upserts), bool(removed)), values


def _large(
    rows: Sequence[Row],
    keys: Sequence[tuple[str, int]],
    upserts: Sequence[StoredChange],
    removed: Sequence[StoredChange],
) -> tuple[str, list[Any]]:
    values: list[Any] = []
    if rows:
        seqs, hashes, previous = [row.seq for row in rows], [row.hash for row in rows], [row.prev_hash for row in rows]
        values += (seqs, [row.at for row in rows], [row.kind for row in rows], [row.cause or 0 for row in rows])
        values += ([row.symbol or "" for row in rows], [row.body for row in rows], hashes, previous)
        values += (seqs, previous, hashes)
    if keys:
        values += ([key for key, _ in keys], [seq for _, seq in keys])
    if upserts:
        values += ([change.kind for change in upserts], [change.key for change in upserts])
        values += ([change.seq for change in upserts], [change.place for change in upserts])
        values += ([change.body for change in upserts],)
    values += _removed(removed)
    return _large_statement(bool(rows), bool(keys), bool(upserts), bool(removed)), values


def _removed(removed: Sequence[StoredChange]) -> list[Any]:
    return [[change.kind for change in removed], [change.key for change in removed]] if removed else []


def transient(error: psycopg.Error) -> bool:
    """Whether the database may take the same batch later: it is away, full, starting, stopping, or not the primary."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.errors.ReadOnlySqlTransaction)
