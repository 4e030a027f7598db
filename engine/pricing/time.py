"""Time to expiry: when a contract stops living, and how many years that is from now, to the second.

Called wherever a contract is priced. The calendar is passed in, the moment too. Beside calendar time stands a clock of
variance: minutes of a session count in full, nights, weekends and holidays little, scheduled events extra. A smile is
interpolated between expiries on that clock; a vol quoted on one clock converts exactly to the other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import ArrayLike

from engine.pricing.european import FloatArray
from engine.sessions import CLOSES, NEW_YORK, Calendar, CalendarError, Session, new_york_day, session_on

SECONDS_A_YEAR = 365.0 * 86400.0


def expiry_moment(expiry: date, calendar: Calendar) -> datetime:
    """UTC moment at which a PM-settled contract of that day expires: the close of that day's session.

    A listed expiry that is no session (a Saturday of old monthlies, a holiday) expires at the close before it.
    Raises `CalendarError` for a day the calendar does not know.
    """
    session = calendar.session(expiry)
    return (session if session is not None else calendar.previous_session(expiry)).close


def year_fraction(now: datetime, moment: datetime) -> float:
    """Years of 365 days from `now` to `moment`, to the microsecond; 0 once it is past."""
    return max((moment - now).total_seconds(), 0.0) / SECONDS_A_YEAR


def expiry_close(expiry: date, calendar: Calendar) -> datetime:
    """As `expiry_moment`, and 16:00 New York on days past the calendar's end, which listed contracts reach."""
    try:
        return expiry_moment(expiry, calendar)
    except CalendarError:
        return datetime.combine(expiry, CLOSES, NEW_YORK).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """Something scheduled that moves the underlying: `sessions` is the variance it adds, in ordinary sessions' worth."""

    at: datetime
    sessions: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class ClockWeights:
    """Variance of a minute outside the session, as a share of a minute inside it.

    The defaults give a night about 29 % of a weekday's variance and a weekend day about 8 %, which is what the literature
    on opening against closing returns of US index funds finds (French and Roll 1986, and later studies of the night):
    parameters, to be set anew where a market's own history says otherwise.
    """

    night: float = 0.15
    """Minutes of a session's New York day before its open and after its close."""
    closed: float = 0.03
    """Minutes of a day without a session: weekends and holidays."""


_SESSION_MINUTES = 390.0
_DAY_MINUTES = 1440.0
_SESSIONS_A_YEAR = 252.0


class VarianceClock:
    """Years of variance between two moments. A year of 252 full sessions and 113 closed days is one year.

    Sessions on days past the calendar's end are weekdays 9:30 to 16:00: expiries reach further than holidays are known.
    """

    def __init__(self, calendar: Calendar, weights: ClockWeights | None = None, events: Sequence[Event] = ()) -> None:
        self._calendar = calendar
        self._weights = weights if weights is not None else ClockWeights()
        if self._weights.night < 0 or self._weights.closed < 0:
            raise ValueError("a minute cannot weigh less than nothing")
        if any(not event.sessions >= 0 for event in events):
            raise ValueError("an event cannot take variance away")
        self._session_day = _SESSION_MINUTES + (_DAY_MINUTES - _SESSION_MINUTES) * self._weights.night
        self._year = _SESSIONS_A_YEAR * self._session_day + (
            (365.0 - _SESSIONS_A_YEAR) * _DAY_MINUTES * self._weights.closed
        )
        self._events = sorted(events, key=lambda event: event.at)
        self._event_times = [event.at for event in self._events]
        self._event_sums = np.concatenate([[0.0], np.cumsum([event.sessions for event in self._events])])
        self._days: dict[date, float] = {}

    @property
    def weights(self) -> ClockWeights:
        return self._weights

    def years(self, now: datetime, moment: datetime) -> float:
        """Variance years from `now` to `moment`; 0 once it is past. Events after `now` up to and at `moment` count."""
        if moment <= now:
            return 0.0
        before, until = bisect_right(self._event_times, now), bisect_right(self._event_times, moment)
        extra = float(self._event_sums[until] - self._event_sums[before]) * self._session_day
        return (self._minutes(now, moment) + extra) / self._year

    def year_fractions(self, now: datetime, moments: Sequence[datetime]) -> FloatArray:
        """`years` of many moments."""
        return np.array([self.years(now, moment) for moment in moments], np.float64)

    def _minutes(self, now: datetime, moment: datetime) -> float:
        """Weighted minutes between, summed day by day from `now`, so that nothing asked before changes a bit of it."""
        first, last = new_york_day(now), new_york_day(moment)
        total = self._within(last, moment) - self._within(first, now)
        for step in range((last - first).days):
            total += self._day_minutes(first + timedelta(days=step))
        return total

    def _day_minutes(self, day: date) -> float:
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = self._within(day, _midnight(day + timedelta(days=1)))
        return known

    def _within(self, day: date, moment: datetime) -> float:
        """Weighted minutes of one New York day from its midnight to `moment`."""
        passed = (moment - _midnight(day)).total_seconds() / 60.0
        session = self._session(day)
        if session is None:
            return passed * self._weights.closed
        live = (min(max(moment, session.open), session.close) - session.open).total_seconds() / 60.0
        return live + (passed - live) * self._weights.night

    def _session(self, day: date) -> Session | None:
        try:
            return self._calendar.session(day)
        except CalendarError:
            return session_on(day) if day.weekday() < 5 else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), NEW_YORK).astimezone(UTC)


def to_clock(vol: ArrayLike, t: ArrayLike, clock_years: ArrayLike) -> FloatArray:
    """The vol per variance year of a vol per calendar year: the same total variance. NaN where no clock time is left."""
    return _reclocked(vol, t, clock_years)


def to_calendar(vol: ArrayLike, t: ArrayLike, clock_years: ArrayLike) -> FloatArray:
    """The vol per calendar year of a vol per variance year; the inverse of `to_clock`."""
    return _reclocked(vol, clock_years, t)


def _reclocked(vol: ArrayLike, years_from: ArrayLike, years_to: ArrayLike) -> FloatArray:
    source, target = np.asarray(years_from, np.float64), np.asarray(years_to, np.float64)
    alive = target > 0
    ratio = np.sqrt(np.where(alive, source, np.nan) / np.where(alive, target, 1.0))
    return np.asarray(np.asarray(vol, np.float64) * ratio)
