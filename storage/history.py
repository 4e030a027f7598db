"""Market history: quotes, bars, flow and raw bodies, kept by day in batches; and which shapes payloads have had.

Fed by the app beside the journey. It never holds the journey up: what comes is queued, copied to the database a few
times a second, and when the database is away the oldest of it is let go and counted. Facts are not kept here, and
nothing that decides reads from here.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg

from engine.domain.shapes import digest_of, drift, shape_of
from storage.dsn import Connection, connect
from storage.writing import transient

SCHEMA = "strikedesk_market"
LIMIT = 200_000
"""Rows that wait at most; beyond it the oldest go."""
PERIOD = 0.5
"""Seconds between two batches."""
MAX_SHAPES = 200
"""Shapes that are kept of one endpoint: a sender who invents names must not fill the disk."""
_BATCH = 20_000
_PAUSES = (0.5, 30.0)


class Kind(StrEnum):
    QUOTE = "quote"
    BAR = "bar"
    FLOW = "flow"
    BODY = "body"


class QuoteRow(NamedTuple):
    """One quote. `osi` is empty for the underlying itself; `at` when it was sampled, `known_at` when it last changed."""

    at: datetime
    known_at: datetime
    symbol: str
    osi: str
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int | None
    ask_size: int | None
    source: str


class BarRow(NamedTuple):
    """One completed bar; `at` its start, `ends` when it became known, `timeframe` minutes, prices in dollars."""

    at: datetime
    ends: datetime
    symbol: str
    timeframe: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    source: str


class FlowRow(NamedTuple):
    """One item of a flow feed as it came; `key` is the source's own id."""

    at: datetime
    source: str
    key: str
    symbol: str
    body: str


class BodyRow(NamedTuple):
    """One raw answer; see `raw`."""

    at: datetime
    source: str
    endpoint: str
    status: int
    sha256: bytes
    size: int
    packed: bytes


Row = QuoteRow | BarRow | FlowRow | BodyRow

_KINDS: dict[type[Any], Kind] = {QuoteRow: Kind.QUOTE, BarRow: Kind.BAR, FlowRow: Kind.FLOW, BodyRow: Kind.BODY}
_TYPES = {
    Kind.QUOTE: ("timestamptz", "timestamptz", "text", "text", "numeric", "numeric", "int4", "int4", "text"),
    Kind.BAR: ("timestamptz", "timestamptz", "text", "int4", "float8", "float8", "float8", "float8", "int8", "text"),
    Kind.FLOW: ("timestamptz", "text", "text", "text", "text"),
    Kind.BODY: ("timestamptz", "text", "text", "int4", "bytea", "int4", "bytea"),
}


def raw(at: datetime, source: str, endpoint: str, status: int, body: bytes) -> BodyRow:
    """A raw answer, packed for keeping."""
    return BodyRow(at, source, endpoint, status, sha256(body).digest(), len(body), zlib.compress(body, 6))


class Drift(NamedTuple):
    """A payload had a shape its endpoint never had before. Both are empty for the first payload of all."""

    source: str
    endpoint: str
    came: tuple[str, ...]
    went: tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    shape: tuple[str, ...]
    first: datetime
    last: datetime
    unsaved: int = 0
    """Times it was seen that the database does not know of yet."""


@dataclass(slots=True)
class Counts:
    """What became of the rows: for health and tests."""

    kept: int = 0
    lost: int = 0
    """Let go because the database was away for too long."""
    refused: int = 0
    """Rows the database could not hold."""


@dataclass(slots=True)
class History:
    """Queue and writer of one engine. `run` it in a task group; `add` and `noticed` return at once."""

    dsn: str
    limit: int = LIMIT
    counts: Counts = field(default_factory=Counts)
    _waiting: deque[Row] = field(default_factory=deque)
    _shapes: dict[tuple[str, str, bytes], _Seen] = field(default_factory=dict)
    _latest: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _days: set[tuple[Kind, date]] = field(default_factory=set)
    _connection: Connection | None = None

    def add(self, rows: Sequence[Row]) -> None:
        """Queue rows; the oldest go when too many wait."""
        self._waiting.extend(rows)
        while len(self._waiting) > self.limit:
            self._waiting.popleft()
            self.counts.lost += 1

    def noticed(self, at: datetime, source: str, endpoint: str, payload: Any) -> Drift | None:
        """Note the shape of a decoded payload. A `Drift` when its endpoint has had others, but never this one."""
        shape = shape_of(payload)
        before = self._latest.get((source, endpoint))
        self._latest[source, endpoint] = shape
        where = (source, endpoint, digest_of(shape))
        seen = self._shapes.get(where)
        if seen is not None:
            seen.last = max(seen.last, at)
            seen.unsaved += 1
            return None
        if sum(known[:2] == where[:2] for known in self._shapes) < MAX_SHAPES:
            self._shapes[where] = _Seen(shape, at, at, 1)
        return None if before is None else Drift(source, endpoint, *drift(before, shape))

    async def open(self) -> None:
        """Know the shapes of earlier runs, so that only new ones are drifts. Raises psycopg's errors."""
        self._connection = await connect(self.dsn, "history", autocommit=True)
        rows = await self._connection.execute(
            f"SELECT source, endpoint, sha256, first_at, last_at, paths FROM {SCHEMA}.shape ORDER BY last_at"
        )
        for source, endpoint, digest, first, last, paths in await rows.fetchall():
            shape = tuple(paths.split("\n"))
            self._shapes[source, endpoint, digest] = _Seen(shape, first, last)
            self._latest[source, endpoint] = shape

    async def run(self) -> None:
        """Copy what waits until cancelled. A database that is away is tried again, less and less often."""
        pause = PERIOD
        while True:
            await asyncio.sleep(pause)
            try:
                await self.flush()
                pause = PERIOD
            except (psycopg.Error, OSError) as error:
                await self._drop()
                if isinstance(error, psycopg.Error) and not transient(error):
                    raise
                pause = min(max(2 * pause, _PAUSES[0]), _PAUSES[1])

    async def flush(self) -> None:
        """Copy everything that waits now. Raises psycopg's errors when the database is away; nothing is lost by it."""
        if self._connection is None:
            self._connection = await connect(self.dsn, "history", autocommit=True)
        while self._waiting:
            # Taken out at once: while it is copied the oldest of what waits may be let go.
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._copy(batch)
            except BaseException:
                self._waiting.extendleft(reversed(batch))
                raise
        await self._keep_shapes()

    async def close(self, patience: float = 2.0) -> None:
        """Copy what waits, then let the database go; what cannot be copied in `patience` seconds is lost and counted."""
        try:
            async with asyncio.timeout(patience):
                await self.flush()
        except (psycopg.Error, TimeoutError, OSError):
            self.counts.lost += len(self._waiting)
            self._waiting.clear()
        finally:
            await self._drop()

    async def _copy(self, batch: list[Row]) -> None:
        """One batch in one transaction, so that a broken connection in its middle copies nothing twice."""
        assert self._connection is not None
        by_kind: dict[Kind, list[Row]] = {}
        for row in batch:
            by_kind.setdefault(_KINDS[type(row)], []).append(row)
        await self._make_days(by_kind)
        refused = 0
        async with self._connection.transaction():
            for kind, rows in by_kind.items():
                if not await self._copy_kind(kind, rows):
                    # One row that cannot be held must not take the others along.
                    refused += sum([not await self._copy_kind(kind, [row]) for row in rows])
        self.counts.kept += len(batch) - refused
        self.counts.refused += refused

    async def _make_days(self, by_kind: dict[Kind, list[Row]]) -> None:
        assert self._connection is not None
        for kind, rows in by_kind.items():
            for day in {row.at.astimezone(UTC).date() for row in rows} - {day for of, day in self._days if of is kind}:
                await self._connection.execute(f"SELECT {SCHEMA}.make_day(%s, %s)", [kind.value, day])
                self._days.add((kind, day))

    async def _copy_kind(self, kind: Kind, rows: Sequence[Row]) -> bool:
        """False when the database cannot hold one of them; then it has none of them."""
        assert self._connection is not None
        columns = ", ".join(rows[0]._fields)
        try:
            async with (
                self._connection.transaction(),
                self._connection.cursor() as cursor,
                cursor.copy(f"COPY {SCHEMA}.{kind.value} ({columns}) FROM STDIN (FORMAT BINARY)") as copy,
            ):
                copy.set_types(_TYPES[kind])
                for row in rows:
                    await copy.write_row(row)
        except (psycopg.DataError, UnicodeEncodeError):
            return False
        return True

    async def _keep_shapes(self) -> None:
        assert self._connection is not None
        for where, seen in list(self._shapes.items()):
            count = seen.unsaved
            if not count:
                continue
            await self._connection.execute(
                f"INSERT INTO {SCHEMA}.shape AS s (source, endpoint, sha256, first_at, last_at, seen, paths)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (source, endpoint, sha256) DO UPDATE"
                " SET last_at = greatest(s.last_at, excluded.last_at), seen = s.seen + excluded.seen",
                [*where, seen.first, seen.last, count, "\n".join(seen.shape)],
            )
            seen.unsaved -= count

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()
