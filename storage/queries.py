"""Questions to a ledger of any size: facts by time, symbol, decision, strategy, outcome, reason and words, a page at a time.

Called by the API and by `ledger find`. Pages are keyed by seq, so that a page costs the same however deep it lies and
none shifts when facts are added. What is newer than the search table reaches (`indexed`) is not found yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.domain.findable import Question
from storage.follower import PART
from storage.reading import session
from storage.rows import Row

MAX_PAGE = 1_000
NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Facts of one page, in the order asked for. `next` is the key of the page after it; None at the end."""

    rows: list[Row] = field(default_factory=list)
    next: int | None = None
    indexed: int = 0
    """The last fact that could be found; what is newer is being filled in."""


async def find(
    engine: AsyncEngine, question: Question, *, key: int | None = None, limit: int = 100, newest_first: bool = True
) -> Page:
    """One page of facts. `key` is what the page before gave as `next`; None begins at the newest (or oldest).

    Raises `ValueError` for a limit out of bounds, `LedgerAway` without the database.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"limit {limit}: 1 to {MAX_PAGE}")
    async with session(engine) as connection:
        if question.everything:
            return await _plain(connection, key, limit, newest_first)
        indexed = await _indexed(connection)
        low, high = await _bounds(connection, question, indexed)
        if key is not None:
            low, high = (low, min(high, key - 1)) if newest_first else (max(low, key + 1), high)
        found = await _search(connection, question, low, high, limit, newest_first)
        rows = await _rows(connection, found, newest_first)
    return Page(rows, found[-1] if len(found) == limit else None, indexed)


async def find_all(engine: AsyncEngine, question: Question, page: int = MAX_PAGE) -> AsyncIterator[list[Row]]:
    """Every fact that answers, oldest first, in pages: for exports."""
    key: int | None = None
    while True:
        found = await find(engine, question, key=key, limit=page, newest_first=False)
        if found.rows:
            yield found.rows
        if found.next is None:
            return
        key = found.next


async def _plain(connection: AsyncConnection, key: int | None, limit: int, newest_first: bool) -> Page:
    """No condition: the ledger itself answers, the newest facts too."""
    sign, order = ("<", "DESC") if newest_first else (">", "ASC")
    start = key if key is not None else (NEWEST if newest_first else 0)
    found = await connection.execute(
        text(f"SELECT {_COLUMNS} FROM strikedesk.ledger WHERE seq {sign} :key ORDER BY seq {order} LIMIT :limit"),
        {"key": start, "limit": limit},
    )
    rows = [Row(*row) for row in found]
    head = await connection.execute(text("SELECT coalesce(max(seq), 0) FROM strikedesk.chain"))
    return Page(rows, rows[-1].seq if len(rows) == limit else None, head.scalar_one())


async def _indexed(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT coalesce(max(seq), 0) FROM strikedesk.search"))).scalar_one())


async def _bounds(connection: AsyncConnection, question: Question, indexed: int) -> tuple[int, int]:
    """Time becomes seq: it never goes back in a ledger, so that the first fact of a time bounds all others."""
    low, high = 1, indexed
    if question.since is not None:
        found = await connection.execute(_FIRST, {"at": question.since})
        low = found.scalar_one_or_none() or indexed + 1
    if question.until is not None:
        found = await connection.execute(_FIRST, {"at": question.until})
        first_after = found.scalar_one_or_none()
        high = indexed if first_after is None else first_after - 1
    return low, high


_FIRST = text("SELECT seq FROM strikedesk.search WHERE at >= :at ORDER BY at, seq LIMIT 1")


async def _search(
    connection: AsyncConnection, question: Question, low: int, high: int, limit: int, newest_first: bool
) -> list[int]:
    """Seqs of a page. One partition after the other: each is small enough that any plan for it is quick."""
    found: list[int] = []
    if low > high:
        return found
    where, values = _conditions(question)
    statement = text(
        f"SELECT seq FROM strikedesk.search WHERE seq BETWEEN :low AND :high AND {where}"
        f" ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT :limit"
    )
    parts = range(low // PART, high // PART + 1)
    for part in reversed(parts) if newest_first else parts:
        span = {"low": max(low, part * PART), "high": min(high, (part + 1) * PART - 1)}
        rows = await connection.execute(statement, {**values, **span, "limit": limit - len(found)})
        found += [seq for (seq,) in rows]
        if len(found) == limit:
            break
    return found


def _conditions(question: Question) -> tuple[str, dict[str, Any]]:
    where: list[str] = []
    values: dict[str, Any] = {}
    for name in ("symbol", "decision", "strategy", "outcome", "reason"):
        value = getattr(question, name)
        if value is not None:
            where.append(f"{name} = :{name}")
            values[name] = value
    if question.kinds:
        where.append("kind = ANY (:kinds)")
        values["kinds"] = list(question.kinds)
    if question.text.strip():
        whole, begun = question.words
        if not whole and begun is None:
            return "false", {}  # only signs: no fact has them as a word
        quoted = ["'" + word.replace("'", "''") + "'" for word in (*whole, *([begun] if begun else ()))]
        if begun is not None:
            quoted[-1] += ":*"
        where.append("words @@ CAST(:words AS tsquery)")
        values["words"] = " & ".join(quoted)
    return " AND ".join(where) or "true", values


async def _rows(connection: AsyncConnection, seqs: list[int], newest_first: bool) -> list[Row]:
    if not seqs:
        return []
    found = await connection.execute(_BY_SEQ, {"seqs": seqs})
    return sorted((Row(*row) for row in found), key=lambda row: row.seq, reverse=newest_first)


_COLUMNS = "seq, at, kind, cause, symbol, body, hash, prev_hash"
_BY_SEQ = text(f"SELECT {_COLUMNS} FROM strikedesk.ledger WHERE seq = ANY (:seqs)")
