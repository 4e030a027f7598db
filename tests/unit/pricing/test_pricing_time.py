"""The clock of variance: sessions in full, nights and closed days little, events extra, and exact conversion both ways."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from engine.pricing.time import (
    ClockWeights,
    Event,
    VarianceClock,
    expiry_close,
    expiry_moment,
    to_calendar,
    to_clock,
    year_fraction,
)
from engine.sessions import new_york_calendar

CALENDAR = new_york_calendar()
CLOCK = VarianceClock(CALENDAR)
WEDNESDAY_OPEN = datetime(2026, 11, 18, 14, 30, tzinfo=UTC)
WEDNESDAY_CLOSE = datetime(2026, 11, 18, 21, 0, tzinfo=UTC)
DAY = CLOCK.years(WEDNESDAY_CLOSE, WEDNESDAY_CLOSE + timedelta(days=1))
"""A night and a session."""


def test_a_session_minute_counts_more_than_a_night_minute_more_than_a_weekends() -> None:
    live = CLOCK.years(WEDNESDAY_OPEN, WEDNESDAY_OPEN + timedelta(minutes=60))
    night = CLOCK.years(WEDNESDAY_CLOSE, WEDNESDAY_CLOSE + timedelta(minutes=60))
    saturday = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
    weekend = CLOCK.years(saturday, saturday + timedelta(minutes=60))
    assert night == pytest.approx(0.15 * live, rel=1e-9)
    assert weekend == pytest.approx(0.03 * live, rel=1e-9)


def test_a_year_of_the_clock_is_nearly_a_year() -> None:
    for start in (WEDNESDAY_OPEN, datetime(2025, 3, 3, 18, tzinfo=UTC)):
        assert CLOCK.years(start, start + timedelta(days=365)) == pytest.approx(1.0, abs=0.02)


def test_the_last_hours_of_the_day_are_counted_by_session_minutes() -> None:
    noon = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
    whole = CLOCK.years(WEDNESDAY_OPEN, WEDNESDAY_CLOSE)
    assert CLOCK.years(noon, WEDNESDAY_CLOSE) == pytest.approx(whole * 240 / 390, rel=1e-9)


def test_a_half_day_ends_at_one() -> None:
    friday = expiry_moment(date(2026, 11, 27), CALENDAR)
    assert CLOCK.years(datetime(2026, 11, 27, 14, 30, tzinfo=UTC), friday) == pytest.approx(
        CLOCK.years(WEDNESDAY_OPEN, WEDNESDAY_OPEN + timedelta(minutes=210)), rel=1e-9
    )


def test_a_holiday_is_worth_a_weekend_day() -> None:
    thanksgiving = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
    saturday = datetime(2026, 11, 28, 5, 0, tzinfo=UTC)
    day = timedelta(days=1)
    assert CLOCK.years(thanksgiving, thanksgiving + day) == pytest.approx(
        CLOCK.years(saturday, saturday + day), rel=1e-9
    )


def test_the_clock_adds_up_whatever_was_asked_before() -> None:
    """Parts sum to the whole, and an earlier question afterwards does not change a later one."""
    clock = VarianceClock(CALENDAR)
    late = clock.years(WEDNESDAY_CLOSE, WEDNESDAY_CLOSE + timedelta(days=40))
    cuts = [WEDNESDAY_OPEN - timedelta(days=20) + timedelta(hours=7.3 * step) for step in range(200)]
    parts = sum(clock.years(a, b) for a, b in pairwise(cuts))
    assert parts == pytest.approx(clock.years(cuts[0], cuts[-1]), rel=1e-12)
    assert clock.years(WEDNESDAY_CLOSE, WEDNESDAY_CLOSE + timedelta(days=40)) == late
    assert clock.years(cuts[5], cuts[4]) == 0.0


def test_a_change_to_winter_time_costs_an_hour_of_a_closed_day() -> None:
    saturday, sunday = datetime(2026, 10, 31, 4, tzinfo=UTC), datetime(2026, 11, 1, 4, tzinfo=UTC)
    monday = datetime(2026, 11, 2, 5, tzinfo=UTC)
    assert CLOCK.years(sunday, monday) == pytest.approx(CLOCK.years(saturday, sunday) * 25 / 24, rel=1e-9)


def test_an_event_adds_its_sessions_worth_once_it_lies_ahead() -> None:
    meeting = datetime(2026, 12, 9, 19, 0, tzinfo=UTC)
    clock = VarianceClock(CALENDAR, events=[Event(meeting, 1.5, "rate decision")])
    before, after = meeting - timedelta(hours=1), meeting + timedelta(hours=1)
    extra = clock.years(before, after) - CLOCK.years(before, after)
    assert extra == pytest.approx(1.5 * DAY, rel=1e-9)
    assert clock.years(before, meeting) - CLOCK.years(before, meeting) == pytest.approx(1.5 * DAY, rel=1e-9)
    assert clock.years(meeting, after) == CLOCK.years(meeting, after)


def test_weights_are_parameters_and_all_ones_is_the_calendar() -> None:
    plain = VarianceClock(CALENDAR, ClockWeights(night=1.0, closed=1.0))
    for days in (0.1, 3.7, 200):
        moment = WEDNESDAY_OPEN + timedelta(days=days)
        assert plain.years(WEDNESDAY_OPEN, moment) == pytest.approx(year_fraction(WEDNESDAY_OPEN, moment), rel=1e-12)
    with pytest.raises(ValueError, match="less than nothing"):
        VarianceClock(CALENDAR, ClockWeights(night=-0.1))
    with pytest.raises(ValueError, match="take variance away"):
        VarianceClock(CALENDAR, events=[Event(WEDNESDAY_OPEN, float("nan"))])


def test_a_vol_converts_both_ways_and_keeps_its_variance() -> None:
    moments = [WEDNESDAY_OPEN + timedelta(days=days) for days in (0.2, 1, 3, 30)]
    t = np.array([year_fraction(WEDNESDAY_OPEN, moment) for moment in moments])
    clock = CLOCK.year_fractions(WEDNESDAY_OPEN, moments)
    vol = np.array([0.12, 0.15, 0.2, 0.4])
    there = to_clock(vol, t, clock)
    assert there**2 * clock == pytest.approx(vol**2 * t, rel=1e-14)
    assert to_calendar(there, t, clock) == pytest.approx(vol, rel=1e-14)
    assert np.isnan(to_clock(0.2, 0.0, 0.0))


def test_expiries_past_the_calendars_end_close_at_four_and_still_count() -> None:
    far = date(2029, 1, 19)
    close = expiry_close(far, CALENDAR)
    assert close == datetime(2029, 1, 19, 21, 0, tzinfo=UTC)
    assert CLOCK.years(datetime(2028, 12, 20, 21, tzinfo=UTC), close) == pytest.approx(30 / 365, rel=0.15)
