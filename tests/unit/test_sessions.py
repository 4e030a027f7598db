from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from engine.domain.values import MarketSession, Weekday
from engine.sessions import NEW_YORK, Calendar, CalendarError, load_calendar, new_york_calendar, new_york_day

CALENDAR = new_york_calendar()
CLOSED = {
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
}
SMALL = {"first": "2026-11-23", "last": "2026-11-30", "closures": ["2026-11-26"], "early_closes": ["2026-11-27"]}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("year", CLOSED)
def test_every_weekday_closure_of_the_year_is_known_and_no_other(year: int) -> None:
    days = [date.fromordinal(n) for n in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())]
    closed = [f"{day:%m-%d}" for day in days if day.weekday() < 5 and CALENDAR.session(day) is None]
    assert closed == CLOSED[year].split()


@pytest.mark.parametrize("day", ["2026-11-27", "2026-12-24", "2015-12-24"])
def test_a_half_day_closes_at_one_in_new_york(day: str) -> None:
    session = CALENDAR.session(date.fromisoformat(day))
    assert session is not None
    assert session.early
    assert session.close == at(f"{day}T18:00")
    assert session.options_close == at(f"{day}T18:15")


def test_a_summer_session_is_four_hours_behind_utc_and_a_winter_one_five() -> None:
    summer, winter = CALENDAR.session(date(2026, 7, 1)), CALENDAR.session(date(2026, 12, 1))
    assert summer is not None
    assert winter is not None
    assert (summer.open, summer.close) == (at("2026-07-01T13:30"), at("2026-07-01T20:00"))
    assert (winter.open, winter.close) == (at("2026-12-01T14:30"), at("2026-12-01T21:00"))
    assert not winter.early


def test_two_half_days_in_2026() -> None:
    days = [date.fromordinal(n) for n in range(date(2026, 1, 1).toordinal(), date(2027, 1, 1).toordinal())]
    assert [day for day in days if (one := CALENDAR.session(day)) and one.early] == [
        date(2026, 11, 27),
        date(2026, 12, 24),
    ]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T14:29:59", False),
        ("2026-11-20T14:30", True),
        ("2026-11-20T20:59:59.999999", True),
        ("2026-11-20T21:00", False),
        ("2026-11-27T18:00", False),
        ("2026-11-27T17:59", True),
        ("2026-11-26T16:00", False),
        ("2026-11-21T16:00", False),
    ],
)
def test_open_means_from_the_open_up_to_the_close(moment: str, expected: bool) -> None:
    assert CALENDAR.is_open(at(moment)) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T14:29:59", MarketSession.AFTERHOURS),
        ("2026-11-20T14:30", MarketSession.OPEN),
        ("2026-11-20T15:29:59", MarketSession.OPEN),
        ("2026-11-20T15:30", MarketSession.MIDDAY),
        ("2026-11-20T19:59:59", MarketSession.MIDDAY),
        ("2026-11-20T20:00", MarketSession.POWER_HOUR),
        ("2026-11-20T21:00", MarketSession.AFTERHOURS),
        ("2026-11-27T15:29", MarketSession.OPEN),
        ("2026-11-27T16:59", MarketSession.MIDDAY),
        ("2026-11-27T17:00", MarketSession.POWER_HOUR),
        ("2026-11-27T18:00", MarketSession.AFTERHOURS),
        ("2026-11-26T16:00", MarketSession.AFTERHOURS),
        ("2026-11-22T16:00", MarketSession.AFTERHOURS),
    ],
)
def test_the_part_of_the_day_follows_that_days_own_close(moment: str, expected: MarketSession) -> None:
    assert CALENDAR.market_session(at(moment)) is expected


def test_the_session_of_a_moment_is_that_of_new_yorks_day() -> None:
    late = CALENDAR.session_at(at("2026-11-21T01:00"))
    assert late is not None
    assert late.day == date(2026, 11, 20)


def test_the_weekday_is_new_yorks_and_none_on_a_weekend() -> None:
    assert CALENDAR.weekday(at("2026-11-21T02:00")) is Weekday.FRIDAY
    assert CALENDAR.weekday(at("2026-11-21T12:00")) is None
    assert CALENDAR.weekday(at("2026-11-26T12:00")) is Weekday.THURSDAY


def test_the_neighbours_of_a_day_skip_weekends_and_holidays() -> None:
    assert CALENDAR.next_session(date(2026, 11, 25)).day == date(2026, 11, 27)
    assert CALENDAR.next_session(date(2026, 11, 27)).day == date(2026, 11, 30)
    assert CALENDAR.previous_session(date(2026, 11, 27)).day == date(2026, 11, 25)
    assert CALENDAR.previous_session(date(2026, 11, 22)).day == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T10:00", "2026-11-20T14:30"),
        ("2026-11-20T14:30", "2026-11-20T14:30"),
        ("2026-11-20T14:30:01", "2026-11-23T14:30"),
        ("2026-11-26T15:00", "2026-11-27T14:30"),
    ],
)
def test_the_next_open_is_this_mornings_or_that_of_the_next_session(moment: str, expected: str) -> None:
    assert CALENDAR.next_open(at(moment)) == at(expected)


@pytest.mark.parametrize(
    ("a", "b", "count"),
    [
        ("2026-11-20", "2026-11-20", 0),
        ("2026-11-20", "2026-11-22", 0),
        ("2026-11-20", "2026-11-23", 1),
        ("2026-11-25", "2026-11-30", 2),
        ("2026-11-30", "2026-11-25", -2),
        ("2026-01-01", "2026-12-31", 251),
    ],
)
def test_sessions_between_two_days_count_the_last_and_not_the_first(a: str, b: str, count: int) -> None:
    assert CALENDAR.sessions_between(date.fromisoformat(a), date.fromisoformat(b)) == count


@pytest.mark.parametrize("day", [date(2009, 12, 31), date(2029, 1, 1)])
def test_a_day_outside_the_table_is_an_error_that_names_the_table(day: date) -> None:
    with pytest.raises(CalendarError, match=f"{day} is outside the calendar, which knows 2010-01-01 to 2028-12-31"):
        CALENDAR.session(day)
    with pytest.raises(CalendarError):
        CALENDAR.sessions_between(date(2026, 1, 2), day)


def test_there_is_no_session_beyond_the_ends_of_the_table() -> None:
    calendar = Calendar.from_table(SMALL)
    with pytest.raises(CalendarError, match="2026-12-01"):
        calendar.next_session(date(2026, 11, 30))
    with pytest.raises(CalendarError, match="2026-11-22"):
        calendar.previous_session(date(2026, 11, 23))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"closures": None}, "closures|iterable"),
        ({"first": "yesterday"}, "yesterday"),
    ],
)
def test_a_table_with_a_wrong_value_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(CalendarError, match=message):
        Calendar.from_table(SMALL | change)


def test_a_table_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    with pytest.raises(CalendarError, match=r"table\.json"):
        load_calendar(path)
    path.write_text("{")
    with pytest.raises(CalendarError, match=r"table\.json"):
        load_calendar(path)
    path.write_text("[]")
    with pytest.raises(CalendarError, match=r"table\.json: not a calendar table"):
        load_calendar(path)
    path.write_text(json.dumps({key: value for key, value in SMALL.items() if key != "early_closes"}))
    with pytest.raises(CalendarError, match=r"table\.json: calendar table has no 'early_closes'"):
        load_calendar(path)
    path.write_text(json.dumps(SMALL))
    assert load_calendar(path).session(date(2026, 11, 26)) is None


def test_the_day_in_new_york_is_the_zones_at_every_hour_of_a_year() -> None:
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    edges = [hour - timedelta(microseconds=1) for hour in hours]
    for moment in (*hours, *edges):
        assert new_york_day(moment) == moment.astimezone(NEW_YORK).date()
