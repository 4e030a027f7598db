"""Lets old market history go: partitions beyond their time are detached, then dropped. Called by the nightly job.

Facts are never touched: only tables of the history's own schema that are named as its days are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import psycopg
from psycopg import sql

from storage.dsn import connect
from storage.history import SCHEMA, Kind

_DAYS = """
SELECT c.relname FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r' AND c.relname ~ '^[a-z]+_[0-9]{8}$'
ORDER BY c.relname"""
_NAME = re.compile(r"^([a-z]+)_(\d{4})(\d{2})(\d{2})$")


async def prune(dsn: str, now: datetime, keep: Mapping[Kind, int]) -> list[str]:
    """Remove the days of each kind that lie more than `keep` days back, as the owner; the names of what went.

    A day somebody reads is left for the next night: nobody waits for this. A day that was detached and not dropped (a
    crash between the two) goes as well.
    """
    gone = []
    async with await connect(dsn, "retention") as owner:
        names = [name for (name,) in await (await owner.execute(_DAYS, [SCHEMA])).fetchall()]
        await owner.execute("SET lock_timeout = '2s'")
        for name in names:
            kind, day = _parts(name)
            if kind is None or day is None or day >= now.date() - timedelta(days=keep[kind]):
                continue
            place, parent = sql.Identifier(SCHEMA, name), sql.Identifier(SCHEMA, kind.value)
            try:
                if await _attached(owner, name):
                    await owner.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(parent, place))
                await owner.execute(sql.SQL("DROP TABLE {}").format(place))
            except psycopg.errors.LockNotAvailable:
                continue
            gone.append(name)
    return gone


async def _attached(owner: psycopg.AsyncConnection[tuple[object, ...]], name: str) -> bool:
    row = await (
        await owner.execute(
            "SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(%s))", [f"{SCHEMA}.{name}"]
        )
    ).fetchone()
    return row is not None and bool(row[0])


def _parts(name: str) -> tuple[Kind | None, date | None]:
    """Kind and day of a partition's name; None for a table that is none of ours."""
    found = _NAME.match(name)
    if found is None or found[1] not in {kind.value for kind in Kind}:
        return None, None
    try:
        return Kind(found[1]), date(int(found[2]), int(found[3]), int(found[4]))
    except ValueError:
        return None, None
