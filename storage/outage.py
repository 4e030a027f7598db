"""Since when the database has not kept up, why, and who is told. Kept by `committing`; it decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

NOTICE = 1.0
"""Seconds of it before a person is told: a single slow commit is nobody's business."""


class Outage:
    """`begin` and `end` it; `tell` says what is new. `report` hears words for a person, "" when all is well again."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.since: float | None = None
        """Loop time at which it began; None while the database keeps up."""
        self.reason = ""
        self.problem = ""
        """What is wrong with the spool."""
        self._report, self._reported = report, ""
        self._notice: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """How long it has lasted; 0 while there is none."""
        return 0.0 if self.since is None else asyncio.get_running_loop().time() - self.since

    def begin(self, reason: str) -> None:
        """It begins, or goes on for another reason."""
        self.reason = reason
        if self.since is None:
            loop = asyncio.get_running_loop()
            self.since = loop.time()
            self._notice = loop.call_later(NOTICE, self.tell)
        self.tell()

    def end(self, problem: str = "") -> None:
        """The database has everything. `problem`: what is still wrong with the spool."""
        self.hush()
        self.since, self.reason, self.problem = None, "", problem
        self.tell()

    def spool_failed(self, problem: str) -> None:
        self.problem = problem
        self.tell()

    def report_to(self, report: Callable[[str], None]) -> None:
        """Tell another from now on."""
        self._report, self._reported = report, ""
        self.tell()

    def tell(self) -> None:
        """A person hears of it once it has lasted, whenever the reason changes, and when all is well again."""
        if self.since is None:
            text = self.problem
        elif self.seconds >= 0.9 * NOTICE:
            text = f"{self.problem or 'facts go to the spool'}; {self.reason}"
        else:
            return
        if text != self._reported:
            self._reported = text
            self._report(text)

    def hush(self) -> None:
        """Nothing is told by itself any more."""
        if self._notice is not None:
            self._notice.cancel()
            self._notice = None
