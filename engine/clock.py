"""Clocks behind the Clock port: the machine's own, one that tests and replays set, and one that may run shifted."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, for live markets. The only place that may read it."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place where the wall clock enters

    def wall(self) -> datetime:
        return self.now()

    def monotonic(self) -> float:
        return time.monotonic()


class SetClock:
    """A clock that stands still until it is set: replays and tests. It refuses to go back."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)
        self._passed = 0.0

    def now(self) -> datetime:
        return self._now

    def wall(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._passed

    def set(self, moment: datetime) -> None:
        """Let time pass until `moment`; an earlier one is an error, for time in a ledger never goes back."""
        before = self._now
        self.leap(moment)
        self._passed += (self._now - before).total_seconds()

    def leap(self, moment: datetime) -> None:
        """Go on to `moment` without time passing: closed hours that are skipped, a clock that is set forward."""
        if moment < self._now:
            raise ValueError(f"clock was asked to go back from {self._now} to {moment}")
        self._now = moment.astimezone(UTC)


class ExchangeClock:
    """A simulated or recorded exchange's time: runs with the machine's clock from `start`, `speed` times as fast, and
    skips the hours it is closed.

    `skip` maps a raw moment (`start` plus elapsed time plus skips so far) to itself while the exchange is open, or to
    the next opening. So the market is alive at any hour of the day, and time still only goes forward.
    """

    def __init__(
        self, start: datetime, wall: SystemClock, skip: Callable[[datetime], datetime], speed: float = 1.0
    ) -> None:
        self._wall = wall
        self._skip = skip
        self._speed = speed
        self._began = wall.now()
        self._start = skip(start.astimezone(UTC))

    def now(self) -> datetime:
        raw = self._start + (self._wall.now() - self._began) * self._speed
        moment = self._skip(raw)
        if moment != raw:
            self._start += moment - raw
        return moment

    def wall(self) -> datetime:
        return self._wall.now()

    def monotonic(self) -> float:
        return self._wall.monotonic()
