"""Reads of the ledger's tables, each short and on a pooled connection. Called by `ledger` and by the commands that look
at a ledger without writing to it.

Ranges are read in pages by seq: facts never change, so pages are as good as a cursor, and a reader that stops half way
leaves nothing open on the server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import LedgerAway
from storage.rows import Row, plain_text, stored_text

PAGE = 250
"""Facts a page: decoding one takes a millisecond or two, which the screen does not notice."""

_PROJECTIONS = text(
    "SELECT kind, key, body FROM strikedesk.projection WHERE kind = ANY (:kinds) ORDER BY seq, place, kind, key"
)
_HEAD = text("SELECT coalesce(max(seq), 0) FROM strikedesk.chain")
_HASH = text("SELECT hash FROM strikedesk.chain WHERE seq = :seq")
_HASHES = text("SELECT seq, hash FROM strikedesk.chain WHERE seq = ANY (:seqs)")
_PROJECTED = text("SELECT coalesce(max(seq), 0) FROM strikedesk.projection")
_KEYS = text("SELECT key, seq FROM strikedesk.dedupe WHERE seq > :after")
_KEY = text("SELECT seq FROM strikedesk.dedupe WHERE key = :key")
_ROWS = text(
    "SELECT seq, at, kind, cause, symbol, body, hash, prev_hash FROM strikedesk.ledger"
    " WHERE seq > :after AND seq <= :until ORDER BY seq LIMIT :page"
)
# A story is a few rows found by index, whatever the planner believes of a table it has not analysed yet.
_BY_INDEX = text(
    "SELECT set_config(name, 'off', true) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) name"
)
_STORY = text("""
WITH RECURSIVE up (seq, cause) AS (
    SELECT seq, cause FROM strikedesk.ledger WHERE seq = :seq
    UNION
    SELECT l.seq, l.cause FROM up JOIN strikedesk.ledger l ON l.seq = up.cause
), down (seq) AS (
    SELECT min(seq) FROM up
    UNION
    SELECT l.seq FROM down JOIN strikedesk.ledger l ON l.cause = down.seq
)
SELECT l.body FROM strikedesk.ledger l WHERE l.seq IN (SELECT seq FROM down) ORDER BY l.seq""")
_LAST = (1 << 63) - 1


@asynccontextmanager
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A pooled connection; a database that is away, or cannot be asked for want of files or memory here, becomes
    `LedgerAway`."""
    try:
        async with engine.connect() as connection:
            yield connection
    except (OperationalError, InterfaceError) as error:
        raise LedgerAway(f"the database is away: {error.orig}") from error
    except PoolTimeout as error:
        raise LedgerAway(f"the database is busy: {error}") from error
    except OSError as error:
        raise LedgerAway(f"the database cannot be asked now: {error.strerror or error}") from error


async def projections(engine: AsyncEngine, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
    async with session(engine) as connection:
        found = await connection.execute(_PROJECTIONS, {"kinds": [stored_text(kind) for kind in kinds]})
        return [(plain_text(kind), plain_text(key), body.encode()) for kind, key, body in found]


async def projections_and_head(engine: AsyncEngine, kinds: Iterable[str]) -> tuple[list[tuple[str, str, bytes]], int]:
    """The rows of these kinds and the last fact that is in the database, both of one moment."""
    async with session(engine) as connection:
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        head = int((await connection.execute(_HEAD)).scalar_one())
        found = await connection.execute(_PROJECTIONS, {"kinds": [stored_text(kind) for kind in kinds]})
        return [(plain_text(kind), plain_text(key), body.encode()) for kind, key, body in found], head


async def all_projections(engine: AsyncEngine) -> Sequence[tuple[str, str, str]]:
    """Every row `(kind, key, body)` as stored."""
    async with session(engine) as connection:
        found = await connection.execute(text("SELECT kind, key, body FROM strikedesk.projection"))
        return [(kind, key, body) for kind, key, body in found]


async def keys(engine: AsyncEngine, after: int) -> Mapping[str, int]:
    async with session(engine) as connection:
        return {plain_text(key): seq for key, seq in await connection.execute(_KEYS, {"after": after})}


async def find(engine: AsyncEngine, key: str) -> int | None:
    """The fact that brought a key."""
    async with session(engine) as connection:
        seq: int | None = (await connection.execute(_KEY, {"key": stored_text(key)})).scalar()
        return seq


async def hash_of(engine: AsyncEngine, seq: int) -> bytes | None:
    """The hash of a fact, as the chain has it."""
    async with session(engine) as connection:
        digest: bytes | None = (await connection.execute(_HASH, {"seq": seq})).scalar()
        return digest


async def hashes_of(engine: AsyncEngine, seqs: Iterable[int]) -> Mapping[int, bytes]:
    """The hashes of these facts, as far as the chain has them."""
    async with session(engine) as connection:
        found = await connection.execute(_HASHES, {"seqs": [seq for seq in seqs if 0 < seq <= _LAST]})
        return {int(seq): bytes(digest) for seq, digest in found}


async def projected(engine: AsyncEngine) -> int:
    """The last fact that changed a projection row; 0 where there is none."""
    async with session(engine) as connection:
        return int((await connection.execute(_PROJECTED)).scalar_one())


async def pages(engine: AsyncEngine, after: int = 0, until: int | None = None) -> AsyncIterator[list[Row]]:
    """Rows with after < seq <= until, in order, up to `PAGE` at a time."""
    last = _LAST if until is None else until
    while after < last:
        async with session(engine) as connection:
            found = await connection.execute(_ROWS, {"after": after, "until": last, "page": PAGE})
            page = [Row(*row) for row in found]
        if page:
            yield page
            after = page[-1].seq
        if len(page) < PAGE:
            return


async def facts(engine: AsyncEngine, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
    async for page in pages(engine, after, until):
        for row in page:
            yield decode_fact(row.body)


async def story(engine: AsyncEngine, seq: int) -> Sequence[AnyFact]:
    async with session(engine) as connection:
        await connection.execute(_BY_INDEX)
        return [decode_fact(body) for (body,) in await connection.execute(_STORY, {"seq": seq})]
