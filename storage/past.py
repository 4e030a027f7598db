"""The state of any past moment: the snapshot before it, and the facts between. Called by the API and `ledger past`.

Read-only: nothing of the past is ever changed, and the fold works on a state of its own.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import psycopg

from engine.domain.canonical import decode_fact
from engine.ports import LedgerAway
from storage.database import Database
from storage.dsn import connect
from storage.follower import Folding, newest_snapshot

_PAGE = 500
_SLICE = 20
"""Facts between two chances for the rest of the program."""
_FACTS = "SELECT seq, at, body FROM strikedesk.ledger WHERE seq > %s ORDER BY seq LIMIT %s"


async def fold_until(
    database: Database, folding: Folding, *, at: datetime | None = None, seq: int | None = None
) -> tuple[int, datetime | None]:
    """Bring `folding` to the state after the last fact not later than `at`, or after fact `seq`. Seq and engine time of
    that fact; 0 and None before the first. Raises `ValueError` unless exactly one of both is given, `LedgerAway` without
    the database."""
    if (at is None) == (seq is None):
        raise ValueError("a past state is asked for by its time or by its fact")
    try:
        return await _fold(database.reader, folding, at, seq)
    except psycopg.OperationalError as error:
        raise LedgerAway(f"the database is away: {error}") from error
    except OSError as error:
        raise LedgerAway(f"the database cannot be asked now: {error.strerror or error}") from error


async def _fold(dsn: str, folding: Folding, at: datetime | None, seq: int | None) -> tuple[int, datetime | None]:
    async with await connect(dsn, "past") as connection:
        snapshot = await newest_snapshot(connection, at=at, seq=seq)
        folding.load(snapshot.rows, snapshot.seq, snapshot.at)
        done, moment = snapshot.seq, snapshot.at
        while True:
            page = await (await connection.execute(_FACTS, [done, _PAGE], prepare=True)).fetchall()
            for number, told, body in page:
                if (at is not None and told > at) or (seq is not None and number > seq):
                    return done, moment
                folding.apply(decode_fact(body))
                done, moment = number, told
                if not number % _SLICE:
                    await asyncio.sleep(0)
            if len(page) < _PAGE:
                return done, moment
