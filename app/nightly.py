"""What an engine does once a night: a proved backup of its ledger, and old market history goes. In processes of their own
and at a low priority.

Called by the lifecycle. It never touches the ledger itself, and an engine stops without waiting for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import structlog

from app.paths import program
from app.wiring import Asked
from engine.ports import Clock, LedgerAway
from storage.backup import Backup, backups, owner
from storage.database import Database
from storage.patience import ANSWER, within

log = structlog.get_logger("nightly")

NEW_YORK = ZoneInfo("America/New_York")
MISSED = timedelta(hours=26)
"""A newest backup older than this means that a night was missed: the machine was off."""
SETTLING = timedelta(minutes=10)
"""A missed night is made up for this long after the start, when the start is over."""
_LOOK = 30.0
_POLL = 0.2
_NICENESS = 10
_LEAVE = 3.0
"""Seconds it has for an orderly end when the engine stops."""


def next_run(now: datetime, last: datetime | None, at: time) -> datetime:
    """When the next backup is due (UTC): the next `at` of New York's clock, or soon when a night was missed."""
    if last is None or now - last > MISSED:
        return now + SETTLING
    local = now.astimezone(NEW_YORK)
    due = local.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    # A day later by the wall clock, not 24 hours later: the clock may change in between.
    return (due if due > local else due + timedelta(days=1)).astimezone(now.tzinfo)


async def nightly(asked: Asked, clock: Clock, report: Callable[[str], None], database: Database) -> None:
    """Serve until cancelled. `database`: whose backups in the folder count. `report` is told what went wrong, and with an
    empty text that all is well again."""
    settings = asked.settings.backup
    if not settings.nightly:
        return
    at = time.fromisoformat(settings.at)
    newest = await _newest(asked.backups, report, database)
    due = next_run(clock.wall(), newest.made if newest is not None else None, at)
    failed = False
    while True:
        # Short looks instead of one long sleep: a laptop sleeps too, and its clock goes on.
        while clock.wall() < due:  # noqa: ASYNC110 - a clock sets no event
            await asyncio.sleep(_LOOK)
        folder = ["--set", f"backup.folder={asked.backups}", "--set", f"backup.keep={settings.keep}"]
        problem = await run_work(asked, "backup", *folder)
        if problem:
            report(f"the nightly backup failed: {problem}")
        elif failed:
            report("")
        failed = bool(problem)
        history = asked.settings.history
        kept = ["--set", f"history.days={history.days}", "--set", f"history.body_days={history.body_days}"]
        await run_work(asked, "prune", *kept)
        due = next_run(clock.wall(), clock.wall(), at)


async def _newest(folder: Path, report: Callable[[str], None], database: Database) -> Backup | None:
    """The last backup of this ledger. While the database or the folder does not answer, that is told and asked again."""
    told = ""
    while True:
        try:
            mine = await within(ANSWER, owner(database, folder))
            made = await asyncio.to_thread(backups, folder, mine)
            break
        except (LedgerAway, OSError) as error:
            if str(error) != told:
                told = str(error)
                report(f"the nightly backup cannot be planned yet: {told}")
        await asyncio.sleep(_LOOK)
    if told:
        report("")
    return made[0][1] if made else None


async def run_work(asked: Asked, work: str, *more: str) -> str:
    """One `db` command. Empty when it was done, else what it said."""
    command = [*program(), "db", work, "--home", str(asked.home.root), *more]
    with tempfile.TemporaryFile() as said:
        child = _start(command, said)
        try:
            while child.poll() is None:  # noqa: ASYNC110 - a child process sets no event
                await asyncio.sleep(_POLL)
        except BaseException:
            # As Ctrl-C on all of it: the dump ends, too, so that nothing waits for it; its own server is taken along.
            os.killpg(child.pid, signal.SIGINT)
            if not await asyncio.shield(asyncio.to_thread(_ended, child)):
                os.killpg(child.pid, signal.SIGKILL)  # what it leaves is removed with a later backup
                child.wait()
                log.warning("not_ended", work=work)
            raise
        said.seek(0)
        words = " ".join(said.read().decode(errors="replace").split())
    log.info(work, says=words, code=child.returncode)
    return words[-500:] if child.returncode else ""


def _ended(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(_LEAVE)
    except subprocess.TimeoutExpired:
        return False
    return True


def _start(command: list[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
    )
    os.setpriority(os.PRIO_PROCESS, child.pid, _NICENESS)
    return child
