"""The whole check: every fact there once, unchanged, in order, guarded, and out of reach of the engine.

Called by `ledger verify`, after a restore and in the proof of a backup. It writes nothing, and an engine may be at work
meanwhile. A tail cut off from both the ledger and the chain, or a chain rewritten to its end, cannot be seen from inside:
hand in the heads that are known from elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import psycopg

from engine.ports import Head, LedgerAway
from storage.database import Database
from storage.dsn import connect
from storage.report import Report
from storage.verify.guards import check_guards
from storage.verify.rights import check_rights
from storage.verify.walk import walk


async def verify(database: Database, known: Head | None = None, *, heads: Sequence[Head] = ()) -> Report:
    """Check everything; what is wrong is in the report, which is `ok` when nothing is.

    `known`, `heads`: ends of the chain that were kept off the database. Raises `LedgerAway` when it cannot be reached.
    """
    report = Report()
    stop = threading.Event()
    try:
        await asyncio.to_thread(walk, database.app, report, [*heads, *([known] if known else [])], stop)
        async with await connect(database.app, "verify") as connection:
            await check_guards(connection, report)
        await check_rights(database, report)
    except psycopg.OperationalError as error:
        raise LedgerAway(f"the database is away: {error}") from error
    finally:
        stop.set()  # who was cancelled does not wait for the end of the walk
    return report
