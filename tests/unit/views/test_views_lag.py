"""The loop's lamp: what lasts is said, what passes is not, and it does not flicker."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.views.lag import AGAIN, ENDS, LATE, SPREAD, TURNS, WINDOW, Lag

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
    assert at + SPREAD <= said[0] <= at + SPREAD + 1
    assert lag.worst == LATE + 60
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


@pytest.mark.parametrize("before", [0, 10, 300])
@pytest.mark.parametrize("between", [0, 20, 49, 74])
def test_two_late_turns_are_no_news_however_far_apart_and_however_soon(before: int, between: int) -> None:
    assert play(Lag(), [0.0] * before + [150.0] + [0.0] * between + [150.0] + [0.0] * 400)[1] == []


@pytest.mark.parametrize(
    ("late_at", "said"),
    [
        ((0.5, 1.5, 2.5), True),
        ((0.5, 0.6, 2.5), True),
        ((0.5, 2.4, 2.49), False),  # a hiccup or two
        ((0.0, 3.0, 5.0), True),
        ((0.0, 3.0, 5.1), False),  # never three in the window
        ((0.5, 0.6, 0.7, 0.8, 0.9, 1.0), False),
    ],
)
def test_it_takes_three_late_turns_over_two_seconds_of_five(late_at: tuple[float, ...], said: bool) -> None:
    lag = Lag()
    moments = sorted({number / 10 for number in range(80)} - set(late_at) | set(late_at))
    seen = []
    for at in moments:
        lag.note(at, LATE + 1 if at in late_at else LATE)
        seen.append(lag.late)
    assert (len(late_at) >= TURNS, any(seen)) == (True, said)
    assert not said or moments[seen.index(True)] == late_at[-1]


def test_turns_of_seconds_each_are_said_though_few_fit_into_the_window() -> None:
    _, ((at, late),) = play(Lag(), [4000.0] * 10)
    assert late
    assert at == pytest.approx(3 * (4 + TURN))


@pytest.mark.parametrize("phase", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
def test_after_the_end_it_takes_new_late_turns(phase: float) -> None:
    """Single late turns go on while it ends: those were told with it, and one more of them begins nothing."""
    lag = Lag()
    at, _ = play(lag, [150.0] * 40)
    last = at + phase
    while lag.late:
        at += TURN
        single = at - last >= 2.6
        last = at if single else last
        lag.note(at, 150.0 if single else 0.0)
    assert play(lag, [150.0, 0.0, 150.0, *[0.0] * 20], at)[1] == []


def test_while_it_waits_to_end_the_figure_is_that_of_the_turns_now() -> None:
    lag = Lag()
    at, _ = play(lag, [150.0] * 40)
    figures = []
    while lag.late:
        figures.append(lag.worst)
        at += TURN
        lag.note(at, 7.0)
    assert (figures[0], figures[-1]) == (150.0, 7.0)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=400))
def test_it_never_changes_its_mind_faster_than_it_may(lateness: list[float]) -> None:
    changes = play(Lag(), lateness)[1]
    moments = [0.0, *(moment for moment, _ in changes)]
    for before, (after, late) in zip(moments, changes, strict=False):
        assert after - before >= (SPREAD if late else ENDS) - 1e-9
