"""Takes the chain's head off the database: to a file and to the messenger, after the first facts of a run, every so many
facts, at the close, at the stop.

Called by the lifecycle. What was kept is what `ledger verify --head` compares with. A file that cannot be written is shown
among the problems and tried again; no fact waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path

from app.options import VERSION
from app.wiring import Asked
from engine.ports import Clock, Ledger, LedgerAway, Messenger
from engine.sessions import Calendar, new_york_day
from storage.database import Database
from storage.heads import HeadFile, KeptHead, head_line, origin_of

LOOK = 1.0
"""Seconds between two looks at the head."""


def heads_file(asked: Asked) -> Path:
    """Where the heads of this installation are kept."""
    told = asked.settings.ledger.head_file
    return Path(told).expanduser().absolute() if told else asked.home.heads


class HeadKeeper:
    """Keeps heads of one ledger. `every`: facts between two; `report` is told what went wrong, empty when it is well."""

    def __init__(
        self,
        ledger: Ledger,
        database: Database,
        file: HeadFile,
        messenger: Messenger,
        *,
        every: int,
        report: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._file = file
        self._messenger = messenger
        self._every = every
        self._report = report
        self._origin = ""
        self._problem = ""
        self._kept = 0
        """The last fact whose head was kept."""

    async def run(self, clock: Clock, calendar: Calendar) -> None:
        """Serve until cancelled."""
        closed = _closed(clock, calendar)
        while True:
            await asyncio.sleep(LOOK)
            now = _closed(clock, calendar)
            # The first of a run at once: from then on the ledger has a witness, and a file that cannot be written is known.
            due = self._kept == 0 or now != closed or self._ledger.head.seq - self._kept >= self._every
            if due and await self.keep():
                closed = now

    async def keep(self) -> bool:
        """Keep the head as it is now, if there is anything new. False when it could not be kept, or not yet: facts that
        only the spool has are not in the chain."""
        head = self._ledger.head
        if self._ledger.spooled is not None:
            return False
        if head.seq <= self._kept:
            return True
        try:
            self._origin = self._origin or await origin_of(self._database)
            kept = KeptHead(head, self._origin, VERSION)
            await asyncio.to_thread(self._file.append, kept)
            await self._messenger.tell("ledger head", head_line(kept))
        except (OSError, LedgerAway) as error:
            self._tell(f"the head of the ledger could not be kept: {error}")
            return False
        self._tell("")
        self._kept = head.seq
        return True

    def _tell(self, problem: str) -> None:
        """Say a problem once, and once that it is over."""
        if problem != self._problem:
            self._problem = problem
            self._report(problem)


def _closed(clock: Clock, calendar: Calendar) -> tuple[date, bool]:
    """The trading day it is, and whether its close is over: what differs from the last look when a day has closed."""
    now = clock.now()
    session = calendar.session_at(now)
    return new_york_day(now), session is not None and now >= session.close
