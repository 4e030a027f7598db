"""When the nightly backup is due."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from app.nightly import SETTLING, next_run

AT = time(18, 30)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        pytest.param("2026-11-20T15:00", "2026-11-19T23:31", "2026-11-20T23:30", id="this evening, winter"),
        pytest.param("2026-07-20T15:00", "2026-07-19T22:31", "2026-07-20T22:30", id="this evening, summer"),
        pytest.param("2026-11-20T23:30", "2026-11-20T23:30", "2026-11-21T23:30", id="just made: tomorrow"),
        pytest.param("2026-10-31T22:31", "2026-10-31T22:30", "2026-11-01T23:30", id="clocks go back overnight"),
        pytest.param("2026-03-07T23:31", "2026-03-07T23:30", "2026-03-08T22:30", id="clocks go forward overnight"),
    ],
)
def test_it_is_due_at_the_set_hour_of_new_york(now: str, last: str, due: str) -> None:
    assert next_run(utc(now), utc(last), AT) == utc(due)


@pytest.mark.parametrize("last", [None, utc("2026-11-18T23:30")])
def test_a_missed_night_is_made_up_for_soon_after_the_start(last: datetime | None) -> None:
    now = utc("2026-11-20T15:00")
    assert next_run(now, last, AT) == now + SETTLING


def test_a_backup_of_last_night_waits_for_tonight() -> None:
    now = utc("2026-11-20T23:29")
    assert next_run(now, now - timedelta(hours=24), AT) == utc("2026-11-20T23:30")
