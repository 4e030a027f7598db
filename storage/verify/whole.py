"""The whole check: every fact there once, unchanged, in order, guarded, and out of reach of the engine.

Called by `ledger verify`, after a restore and in the proof of a backup. It writes nothing, and an engine may be at work
meanwhile. A tail cut off from both the ledger and the chain, or a chain rewritten to its end, cannot be seen from inside:
hand in the heads that are known from elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import psycopg

from engine.ports import Head, LedgerAway
from storage.database import Database
from storage.dsn import connect
from storage.heads import HeadFile, counted, origin_of
from storage.report import Fault, Report
from storage.verify.guards import check_guards
from storage.verify.rights import check_rights
from storage.verify.walk import walk


async def verify(database: Database, known: Head | None = None, *, heads: Path | None = None) -> Report:
    """Check everything; what is wrong is in the report, which is `ok` when nothing is.

    `known`: an end of the chain that was kept off the database; `heads`: a file of them. Raises `LedgerAway` when the
    database cannot be reached, `OSError` when the file cannot be read.
    """
    report = Report()
    stop = threading.Event()
    kept = [known] if known is not None else []
    try:
        if heads is not None:
            kept += await _fitting(database, HeadFile(heads), report)
        await asyncio.to_thread(walk, database.app, report, kept, stop)
        async with await connect(database.app, "verify") as connection:
            await check_guards(connection, report)
        await check_rights(database, report)
    except psycopg.OperationalError as error:
        raise LedgerAway(f"the database is away: {error}") from error
    finally:
        stop.set()  # who was cancelled does not wait for the end of the walk
    return report


async def _fitting(database: Database, file: HeadFile, report: Report) -> list[Head]:
    """The heads of the file that are of this ledger; the first that is not goes into the report."""
    found, damaged = await asyncio.to_thread(file.read)
    origin = await origin_of(database)
    strangers = [one for one in found if origin and one.origin != origin]
    if strangers:
        first = strangers[0].head
        report.add(
            Fault.HEAD,
            f"the head in {file.path.name} is of another ledger, or this one was rewritten from its first fact"
            f" ({len(strangers)} of {counted(len(found))})",
            first.seq,
            first.at,
        )
    if damaged:
        lines = ", ".join(map(str, damaged[:5])) + (" …" if len(damaged) > 5 else "")
        report.notes.append(f"lines {lines} of {file.path.name} are not whole and were passed over")
    fitting = [one.head for one in found if not origin or one.origin == origin]
    if not found:
        # Asked for and not done: a check that compares nothing must not say that all is well.
        report.add(Fault.HEAD, f"{file.path.name} holds no head to compare with")
    report.notes.append(f"compared with {counted(len(fitting))} of {file.path.name}")
    return fitting
