"""Which market and which clock a start gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.options import Options, UsageError
from app.wiring import Asked, ask, open_market
from engine.clock import ExchangeClock, SystemClock

OPEN = datetime(2015, 12, 24, 14, 30, tzinfo=UTC)


def asked(home: Path, **overrides: str) -> Asked:
    overrides = {f"market.{name}": value for name, value in overrides.items()}
    return ask(Options(home=home, overrides=overrides), with_secrets=False)


@pytest.fixture
def day(data: Path) -> str:
    return f"recorded:{data}/option_day/GOOG_20151224"


def near(moment: datetime, expected: datetime) -> bool:
    """The clock runs on while the test looks."""
    return expected <= moment < expected + timedelta(minutes=5)


def test_a_recording_starts_at_its_open_although_more_was_recorded(tmp_path: Path, day: str) -> None:
    clock, market = open_market(asked(tmp_path, source=day), None)
    assert market.instants()[0] < OPEN  # type: ignore[union-attr]
    assert near(clock.now(), OPEN)


def test_a_recording_starts_where_it_is_told_or_where_the_ledger_ended(tmp_path: Path, day: str) -> None:
    told = OPEN + timedelta(hours=1)
    clock, _ = open_market(asked(tmp_path, source=day, start=told.isoformat()), None)
    assert near(clock.now(), told)
    clock, _ = open_market(asked(tmp_path, source=day, start=told.isoformat()), told + timedelta(hours=1))
    assert near(clock.now(), told + timedelta(hours=1))


def test_only_a_recording_runs_faster(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="speed: 60 is for a recorded market"):
        open_market(asked(tmp_path, speed="60"), None)


@pytest.mark.parametrize(("start", "why"), [("noon", "no ISO time"), ("2015-12-24T15:00:00", "no time zone")])
def test_a_start_that_is_no_moment_is_refused(tmp_path: Path, day: str, start: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        open_market(asked(tmp_path, source=day, start=start), None)


class HandWall(SystemClock):
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def test_a_fast_clock_runs_so_many_times_as_fast_and_keeps_what_it_skipped() -> None:
    wall, night = HandWall(), OPEN + timedelta(minutes=10)

    def skip(moment: datetime) -> datetime:
        return moment if moment < night or moment >= night + timedelta(hours=8) else night + timedelta(hours=8)

    clock = ExchangeClock(OPEN, wall, skip, 60.0)
    assert clock.now() == OPEN
    wall.moment += timedelta(seconds=5)
    assert clock.now() == OPEN + timedelta(minutes=5)
    wall.moment += timedelta(seconds=6)
    assert clock.now() == night + timedelta(hours=8)
    wall.moment += timedelta(seconds=1)
    assert clock.now() == night + timedelta(hours=8, minutes=1)
    assert clock.wall() == wall.moment


def test_waits_are_measured_by_a_reading_that_no_clock_set_forward_and_no_closed_hour_moves() -> None:
    wall, night = HandWall(), OPEN + timedelta(minutes=10)

    def skip(moment: datetime) -> datetime:
        return moment if moment < night else moment + timedelta(hours=8)

    clock = ExchangeClock(OPEN, wall, skip)
    before = clock.monotonic()
    wall.moment += timedelta(hours=3)
    assert clock.now() > OPEN + timedelta(hours=10)
    assert 0 <= clock.monotonic() - before < 3600
