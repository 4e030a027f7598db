"""Write resources/calendar/xnys.json, the table that engine/sessions.py reads, from the exchange_calendars library.

Run by hand, in an environment of its own, when a year is to be added or an exchange announces a closure:
`python packaging/make_calendar.py [FIRST_YEAR LAST_YEAR]`. The running program needs neither the library nor pandas.
"""

from __future__ import annotations

import json
import sys
from datetime import date, time, timedelta
from pathlib import Path

import exchange_calendars  # type: ignore[import-not-found,unused-ignore]

TARGET = Path(__file__).resolve().parent.parent / "resources" / "calendar" / "xnys.json"


def table(first: date, last: date) -> dict[str, object]:
    """Closures (weekdays only) and early closes of the New York exchanges, both ends included.

    Raises `ValueError` for a close that is neither 16:00 nor 13:00 in New York: the sessions know only these two.
    """
    calendar = exchange_calendars.get_calendar("XNYS", start=first.isoformat(), end=last.isoformat())
    schedule = calendar.schedule
    open_days = {stamp.date() for stamp in schedule.index}
    early = []
    for stamp, close in schedule["close"].items():
        at = close.tz_convert("America/New_York").time()
        if at == time(13):
            early.append(stamp.date())
        elif at != time(16):
            raise ValueError(f"{stamp.date()} closes at {at}")
    days = (first + timedelta(days=step) for step in range((last - first).days + 1))
    closures = [day for day in days if day.weekday() < 5 and day not in open_days]
    return {
        "exchange": "XNYS",
        "source": f"exchange_calendars {exchange_calendars.__version__}",
        "first": first.isoformat(),
        "last": last.isoformat(),
        "closures": [day.isoformat() for day in closures],
        "early_closes": [day.isoformat() for day in early],
    }


def main() -> None:
    first, last = (int(year) for year in (sys.argv[1:3] or ("2010", "2028")))
    made = table(date(first, 1, 1), date(last, 12, 31))
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
