"""Questions to a ledger of any size: facts by time, symbol, decision, strategy, outcome, reason and words, a page at a time.

Called by the API and by `ledger find`. Pages are keyed by seq, so that a page costs the same however deep it lies and
none shifts when facts are added. The search goes through windows of facts that grow, newest (or oldest) first: what is
frequent is found in the first, what is rare by its index in a few. A page that would take too long ends early and says how
far it looked. What is newer than the search table reaches (`indexed`) is not found yet.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.domain.findable import Question
from storage.follower import PART
from storage.reading import session
from storage.rows import Row

MAX_PAGE = 1_000
NEWEST = (1 << 63) - 1
BUDGET = 0.03
"""Seconds after which a page ends with what it has; the next one goes on where it stopped."""
_FIRST_WINDOW, _GROWTH = 2_000, 4


@dataclass(frozen=True, slots=True)
class Page:
    """Facts of one page, in the order asked for."""

    rows: list[Row] = field(default_factory=list)
    next: int | None = None
    """The key of the page after it; None at the end. A page may have fewer rows than asked for, even none, and a next."""
    indexed: int = 0
    """The last fact that could be found; what is newer is being filled in."""


async def find(
    engine: AsyncEngine,
    question: Question,
    *,
    key: int | None = None,
    limit: int = 100,
    newest_first: bool = True,
    budget: float = BUDGET,
) -> Page:
    """One page of facts. `key` is what the page before gave as `next`; None begins at the newest (or oldest).

    Raises `ValueError` for a limit out of bounds, `LedgerAway` without the database.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"limit {limit}: 1 to {MAX_PAGE}")
    until = time.monotonic() + budget
    async with session(engine) as connection:
        if question.everything:
            return await _plain(connection, key, limit, newest_first)
        indexed = await _indexed(connection)
        low, high = await _bounds(connection, question, indexed)
        if key is not None:
            low, high = (low, min(high, key - 1)) if newest_first else (max(low, key + 1), high)
        found, reached = await _search(connection, question, low, high, limit, newest_first, until)
        rows = await _rows(connection, found, newest_first)
    return Page(rows, reached, indexed)


async def find_all(engine: AsyncEngine, question: Question, page: int = MAX_PAGE) -> AsyncIterator[list[Row]]:
    """Every fact that answers, oldest first, in pages: for exports."""
    key: int | None = None
    while True:
        found = await find(engine, question, key=key, limit=page, newest_first=False, budget=1.0)
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


# --- where to look ----------------------------------------------------------------------------------------------------
# Each statement says the bounds of the one partition it needs as plain numbers, so that the planner looks at no other:
# planning for all of them would take longer than the answer.


def _within(number: int) -> str:
    return f"seq >= {number * PART} AND seq < {(number + 1) * PART}"


async def _indexed(connection: AsyncConnection) -> int:
    newest = (await connection.execute(_NEWEST_PART)).scalar_one_or_none()
    if newest is None:
        return 0
    number = int(newest)
    while number >= 0:  # a partition may have been made and not been filled yet
        found = await connection.execute(text(f"SELECT max(seq) FROM strikedesk.search WHERE {_within(number)}"))
        last = found.scalar_one()
        if last is not None:
            return int(last)
        number -= 1
    return 0


_NEWEST_PART = text(
    "SELECT max(substr(c.relname, 8)) FROM pg_class c"
    " WHERE c.relnamespace = to_regnamespace('strikedesk') AND c.relispartition AND c.relname ~ '^search_[0-9]{6}$'"
    " AND c.relkind = 'r'"
)


async def _bounds(connection: AsyncConnection, question: Question, indexed: int) -> tuple[int, int]:
    """Time becomes seq: it never goes back in a ledger, so that the first fact of a time bounds all others."""
    low, high = 1, indexed
    if question.since is not None:
        low = await _first_from(connection, question.since, indexed)
    if question.until is not None:
        high = await _first_from(connection, question.until, indexed) - 1
    return low, high


async def _first_from(connection: AsyncConnection, at: datetime, indexed: int) -> int:
    """The first fact not before a moment; one beyond the last where there is none."""
    first, last = 0, indexed // PART
    while first < last:  # the last partition that begins before the moment
        middle = (first + last + 1) // 2
        found = await connection.execute(
            text(f"SELECT at FROM strikedesk.search WHERE {_within(middle)} ORDER BY seq LIMIT 1")
        )
        begins = found.scalar_one_or_none()
        if begins is not None and begins < at:
            first = middle
        else:
            last = middle - 1
    for number in (first, first + 1):
        if number * PART > indexed:
            break
        found = await connection.execute(
            text(f"SELECT seq FROM strikedesk.search WHERE {_within(number)} AND at >= :at ORDER BY at, seq LIMIT 1"),
            {"at": at},
        )
        seq = found.scalar_one_or_none()
        if seq is not None:
            return int(seq)
    return indexed + 1


def _windows(low: int, high: int, newest_first: bool) -> Iterator[tuple[int, int]]:
    """Ranges of facts, each within one partition, growing."""
    size = _FIRST_WINDOW
    while low <= high:
        if newest_first:
            start = max(low, high - size + 1, high // PART * PART)
            yield start, high
            high = start - 1
        else:
            end = min(high, low + size - 1, low // PART * PART + PART - 1)
            yield low, end
            low = end + 1
        size = min(size * _GROWTH, PART)


async def _search(
    connection: AsyncConnection,
    question: Question,
    low: int,
    high: int,
    limit: int,
    newest_first: bool,
    until: float,
) -> tuple[list[tuple[int, datetime]], int | None]:
    """(seq, at) of a page, and the key of the next one."""
    found: list[tuple[int, datetime]] = []
    where, values = _conditions(question)
    if where == "false":
        return found, None
    for start, end in _windows(low, high, newest_first):
        # OFFSET 0 keeps the limit out of the plan: with it, the planner bets on finding enough soon, and a rare word
        # makes it read everything.
        statement = text(
            f"SELECT seq, at FROM (SELECT seq, at FROM strikedesk.search"
            f" WHERE {_within(start // PART)} AND seq BETWEEN :low AND :high AND {where} OFFSET 0) found"
            f" ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT :limit"
        )
        rows = await connection.execute(statement, {**values, "low": start, "high": end, "limit": limit - len(found)})
        found += [(seq, at) for seq, at in rows]
        if len(found) == limit:
            return found, found[-1][0]
        last = start <= low if newest_first else end >= high
        if not last and time.monotonic() > until:
            return found, start if newest_first else end
    return found, None


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


async def _rows(connection: AsyncConnection, found: list[tuple[int, datetime]], newest_first: bool) -> list[Row]:
    if not found:
        return []
    first, last = sorted((found[0], found[-1]))
    values = {"seqs": [seq for seq, _ in found], "since": first[1], "until": last[1]}
    rows = await connection.execute(_BY_SEQ, values)
    return sorted((Row(*row) for row in rows), key=lambda row: row.seq, reverse=newest_first)


_COLUMNS = "seq, at, kind, cause, symbol, body, hash, prev_hash"
# The times leave out the months it cannot be in.
_BY_SEQ = text(f"SELECT {_COLUMNS} FROM strikedesk.ledger WHERE at BETWEEN :since AND :until AND seq = ANY (:seqs)")
