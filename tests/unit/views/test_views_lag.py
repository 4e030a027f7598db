"""The loop's lamp: what lasts is said, what passes is not, and it does not flicker."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.views.lag import AGAIN, BEGINS, ENDS, LATE, WINDOW, Lag

TURN = 0.04


def play(lag: Lag, lateness: Iterable[float], at: float = 0.0) -> tuple[float, list[tuple[float, bool]]]:
    """Turns one after another; when it changed its mind."""
    changes = []
    for late in lateness:
        at += TURN + late / 1000
        before = lag.late
        lag.note(at, late)
        if lag.late != before:
            changes.append((at, lag.late))
    return at, changes


@pytest.mark.parametrize("late", [150.0, 400.0])
def test_single_late_turns_are_no_news(late: float) -> None:
    lag = Lag()
    turns = [late if number % 140 == 139 else 5.0 for number in range(2000)]
    assert play(lag, turns)[1] == []


def test_turns_within_the_limit_are_no_news_however_many() -> None:
    assert play(Lag(), [LATE] * 500)[1] == []


def test_what_lasts_is_said_once_and_taken_back_when_it_is_over() -> None:
    lag = Lag()
    at, before = play(lag, [5.0] * 200)
    began, (said,) = play(lag, [LATE + 60] * 100, at)
    assert before == []
    assert said[1]
    assert at + BEGINS <= said[0] <= at + BEGINS + 1
    assert lag.p99 == LATE + 60
    over, (gone,) = play(lag, [5.0] * 500, began)
    assert not gone[1]
    assert began + ENDS <= gone[0] <= began + ENDS + WINDOW + 1
    assert over > gone[0]


def test_between_the_two_limits_it_stays_as_it_is() -> None:
    between = (LATE + AGAIN) / 2
    lag = Lag()
    at, _ = play(lag, [LATE * 2] * 50)
    assert lag.late
    at, changes = play(lag, [between] * 400, at)
    assert (lag.late, changes) == (True, [])
    calm = Lag()
    assert play(calm, [between] * 400)[1] == []


def test_a_moment_without_it_begins_the_count_anew() -> None:
    lag = Lag()
    lag.note(0.0, 500.0)
    lag.note(WINDOW + 0.1, 5.0)  # the first is forgotten
    lag.note(WINDOW + 0.2, 500.0)
    lag.note(WINDOW + 0.2 + BEGINS - 0.1, 500.0)
    assert not lag.late
    lag.note(WINDOW + 0.2 + BEGINS, 500.0)
    assert lag.late


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=400))
def test_it_never_changes_its_mind_faster_than_it_may(lateness: list[float]) -> None:
    changes = play(Lag(), lateness)[1]
    moments = [0.0, *(moment for moment, _ in changes)]
    for before, (after, late) in zip(moments, changes, strict=False):
        assert after - before >= (BEGINS if late else ENDS) - 1e-9
