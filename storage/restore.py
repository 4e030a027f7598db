"""Puts a backup in the place of a ledger that is not in use. Called by `db restore` only, while no engine runs.

Nothing is lost by it: what was in the database is renamed and stays there. The restored ledger is verified before it
counts; one that does not hold is taken out again and the former one put back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from engine.ports import LedgerAway
from storage.backup import Backup, digest, load, read_page
from storage.database import open_database, revision
from storage.dsn import SCHEMA, Connection, connect, normal, shown
from storage.errors import BackupFailed, DatabaseError, EngineRunning
from storage.report import Report
from storage.verify import verify
from storage.writing import ENGINE_LOCK

_OTHERS = """
SELECT coalesce(nullif(application_name, ''), 'a program of ' || coalesce(usename, '?'))
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name NOT LIKE 'strikedesk supervisor %%'
ORDER BY backend_start"""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    report: Report
    """The check of the ledger that is there now."""
    page: Backup | None
    """What the backup said of itself, where its page is there."""
    former: str | None
    """The schema that holds what was there before; None when there was nothing."""


async def restore(dsn: str, file: Path, now: datetime, *, app_dsn: str | None = None) -> Restored:
    """Replace the ledger of this owner's address by a backup, bring it to this version, and verify it.

    Raises `EngineRunning` when somebody uses the database, `BackupFailed` when the file is no sound backup; the
    database is as it was then.
    """
    page = _checked(file)
    try:
        owner = await connect(normal(dsn), "restore")
    except (psycopg.OperationalError, ValueError) as error:
        raise LedgerAway(f"the database cannot be reached: {error}") from error
    async with owner:
        await _alone(owner, dsn)
        former = await _set_aside(owner, now)
        try:
            await load(dsn, file)
            report = await _examine(dsn, app_dsn, page)
        except BaseException:
            await _put_back(owner, former)
            raise
    return Restored(report, page, former)


def _checked(file: Path) -> Backup | None:
    if not file.is_file():
        raise BackupFailed(f"{file}: there is no such file")
    page = read_page(file)
    if page is not None and digest(file) != page.sha256:
        raise BackupFailed(f"{file}: its bytes are not those that were backed up (SHA-256 differs)")
    return page


async def _alone(owner: Connection, dsn: str) -> None:
    """Hold the engine's lock for as long as `owner` is open, and see that nobody else is connected."""
    row = await (await owner.execute("SELECT pg_try_advisory_lock(%s)", [ENGINE_LOCK])).fetchone()
    others = [name for (name,) in await (await owner.execute(_OTHERS)).fetchall()]
    if row is None or not row[0] or others:
        who = ", ".join(others) or "an engine"
        raise EngineRunning(f"{shown(dsn)} is in use by {who}: stop it first, a ledger is never replaced under anyone")


async def _set_aside(owner: Connection, now: datetime) -> str | None:
    """Rename the schema that is there. One without a single fact holds nothing and is dropped."""
    there = await (await owner.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SCHEMA])).fetchone()
    if there is None or not there[0]:
        return None
    if await revision(owner) is not None:
        either = f"SELECT EXISTS (SELECT FROM {SCHEMA}.chain) OR EXISTS (SELECT FROM {SCHEMA}.ledger)"
        row = await (await owner.execute(either)).fetchone()
        if row is not None and not row[0]:
            await owner.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
            return None
    former = f"{SCHEMA}_before_{now:%Y%m%d_%H%M%S}"
    await owner.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(SCHEMA), sql.Identifier(former)))
    return former


async def _put_back(owner: Connection, former: str | None) -> None:
    await owner.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    if former is not None:
        await owner.execute(
            sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(former), sql.Identifier(SCHEMA))
        )


async def _examine(dsn: str, app_dsn: str | None, page: Backup | None) -> Report:
    try:
        database = await open_database(dsn, app_dsn=app_dsn)
    except DatabaseError as error:
        raise BackupFailed(f"the backup cannot be used here: {error}") from error
    try:
        report = await verify(database)
    finally:
        await database.close()
    if not report.ok:
        raise BackupFailed(f"the backup does not verify: {report.problems[0]}")
    head = report.head
    if page is not None and (report.facts, head.hash.hex() if head else "") != (page.facts, page.head):
        raise BackupFailed(f"the backup holds {report.facts} facts with another end than its page says ({page.facts})")
    return report
