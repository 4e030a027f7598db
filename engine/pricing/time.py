"""Time to expiry: when a contract stops living, and how many years that is from now, to the second.

Called wherever a contract is priced. The calendar is passed in, the moment too.
"""

from __future__ import annotations

from datetime import date, datetime

from engine.sessions import Calendar

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
