"""When the exchange is open: sessions, half days, holidays, and the parts of a day a signal is weighed by.

Every room may ask it. It reads no clock: the moment is always passed in. The days come from a table in resources
(see packaging/make_calendar.py), never from arithmetic, because holidays are decided by people.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine.domain.values import MarketSession, Value, Weekday

NEW_YORK = ZoneInfo("America/New_York")
OPENS = time(9, 30)
CLOSES = time(16, 0)
CLOSES_EARLY = time(13, 0)
OPTIONS_AFTER = timedelta(minutes=15)
"""SPY, QQQ and IWM options are quoted this much longer than their underlying's session."""

_HOUR = timedelta(hours=1)
_NEW_YORK_BEHIND = 5
"""Hours that New York is behind UTC at most: from then on the dates are the same. Asked often, so the zone is left out."""
_DAY = timedelta(days=1)
_WEEKDAYS: tuple[Weekday | None, ...] = (*Weekday, None, None)
_TABLE = Path(__file__).resolve().parent.parent / "resources" / "calendar" / "xnys.json"


class CalendarError(ValueError):
    """A day outside the calendar's table, or a table that cannot be read; the message names which."""


class Session(Value, frozen=True, kw_only=True):
    """One regular session, UTC. `close` is 16:00 New York, 13:00 on half days; `options_close` is 15 minutes later."""

    day: date
    open: datetime
    close: datetime
    options_close: datetime

    @property
    def early(self) -> bool:
        """A half day."""
        return self.close - self.open < timedelta(hours=6)


def session_on(day: date, *, early: bool = False) -> Session:
    """The session of a day that is known to trade."""
    opens = datetime.combine(day, OPENS, NEW_YORK).astimezone(UTC)
    closes = datetime.combine(day, CLOSES_EARLY if early else CLOSES, NEW_YORK).astimezone(UTC)
    return Session(day=day, open=opens, close=closes, options_close=closes + OPTIONS_AFTER)


def new_york_day(moment: datetime) -> date:
    """The date in New York at `moment`."""
    if moment.tzinfo is UTC and moment.hour >= _NEW_YORK_BEHIND:
        return moment.date()
    return moment.astimezone(NEW_YORK).date()


def weekday_of(day: date) -> Weekday | None:
    """Monday to Friday; None on a weekend."""
    return _WEEKDAYS[day.weekday()]


class Calendar:
    """The sessions of one exchange between two days. A day outside them is a `CalendarError`, never a guess."""

    def __init__(self, first: date, last: date, closures: frozenset[date], early_closes: frozenset[date]) -> None:
        self.first = first
        self.last = last
        self._closures = closures
        self._early = early_closes
        self._days = [
            day
            for day in (first + timedelta(days=step) for step in range((last - first).days + 1))
            if day.weekday() < 5 and day not in closures
        ]
        self._known: dict[date, Session | None] = {}

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Calendar:
        """A calendar from the shipped table: `first`, `last`, `closures`, `early_closes`, all ISO dates."""
        try:
            first, last = date.fromisoformat(table["first"]), date.fromisoformat(table["last"])
            closures = frozenset(map(date.fromisoformat, table["closures"]))
            early = frozenset(map(date.fromisoformat, table["early_closes"]))
        except KeyError as error:
            raise CalendarError(f"calendar table has no {error.args[0]!r}") from error
        except (TypeError, ValueError) as error:
            raise CalendarError(f"calendar table: {error}") from error
        return cls(first, last, closures, early)

    def session(self, day: date) -> Session | None:
        """The session of a day; None when the exchange is closed all day."""
        try:
            return self._known[day]
        except KeyError:
            self._check(day)
        closed = day.weekday() >= 5 or day in self._closures
        found = None if closed else session_on(day, early=day in self._early)
        self._known[day] = found
        return found

    def session_at(self, moment: datetime) -> Session | None:
        """The session of the New York day of `moment`, begun or not."""
        return self.session(new_york_day(moment))

    def is_open(self, moment: datetime) -> bool:
        """Regular session: from the open up to, but not at, the close."""
        session = self.session_at(moment)
        return session is not None and session.open <= moment < session.close

    def next_session(self, day: date) -> Session:
        """The first session after `day`."""
        self._check(day)
        index = bisect_right(self._days, day)
        if index == len(self._days):
            raise self._outside(day + _DAY)
        return self._trading(self._days[index])

    def previous_session(self, day: date) -> Session:
        """The last session before `day`."""
        self._check(day)
        index = bisect_right(self._days, day - _DAY)
        if index == 0:
            raise self._outside(day - _DAY)
        return self._trading(self._days[index - 1])

    def next_open(self, moment: datetime) -> datetime:
        """The first opening at or after `moment`."""
        day = new_york_day(moment)
        session = self.session(day)
        if session is not None and moment <= session.open:
            return session.open
        return self.next_session(day).open

    def sessions_between(self, a: date, b: date) -> int:
        """How many sessions begin after day `a` up to and with day `b`: 0 on the day itself, 1 on the next trading
        day. Negative when `b` lies before `a`."""
        self._check(a)
        self._check(b)
        return bisect_right(self._days, b) - bisect_right(self._days, a)

    def market_session(self, moment: datetime) -> MarketSession:
        """The part of the day: OPEN is the first hour, POWER_HOUR the last hour before that day's close, MIDDAY what
        lies between, AFTERHOURS everything else. On a half day MIDDAY is 10:30–12:00 and POWER_HOUR 12:00–13:00."""
        session = self.session_at(moment)
        if session is None or not session.open <= moment < session.close:
            return MarketSession.AFTERHOURS
        if moment < session.open + _HOUR:
            return MarketSession.OPEN
        return MarketSession.MIDDAY if moment < session.close - _HOUR else MarketSession.POWER_HOUR

    def weekday(self, moment: datetime) -> Weekday | None:
        """New York's weekday, holiday or not; None on a weekend."""
        return weekday_of(new_york_day(moment))

    def _trading(self, day: date) -> Session:
        session = self.session(day)
        assert session is not None
        return session

    def _check(self, day: date) -> None:
        if not self.first <= day <= self.last:
            raise self._outside(day)

    def _outside(self, day: date) -> CalendarError:
        return CalendarError(f"{day} is outside the calendar, which knows {self.first} to {self.last}")


def load_calendar(path: Path) -> Calendar:
    """The calendar of a table file. Raises `CalendarError` naming the file when it cannot be read."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CalendarError(f"{path}: {error}") from error
    if not isinstance(table, dict):
        raise CalendarError(f"{path}: not a calendar table")
    try:
        return Calendar.from_table(table)
    except CalendarError as error:
        raise CalendarError(f"{path}: {error}") from error


@cache
def new_york_calendar() -> Calendar:
    """The shipped calendar of the New York exchanges, read once. Found beside the engine, in a frozen app too."""
    return load_calendar(_TABLE)
