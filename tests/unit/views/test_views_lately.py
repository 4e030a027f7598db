"""The worst of the last minute, forgotten after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.views.lately import Lately


def test_nothing_noted_is_nothing() -> None:
    assert Lately().worst(5.0) == 0.0


@pytest.mark.parametrize(
    ("notes", "at", "worst"),
    [
        ([(0, 9.0), (10, 3.0)], 20, 9.0),
        ([(0, 9.0), (10, 3.0)], 60, 9.0),
        ([(0, 9.0), (10, 3.0)], 60.1, 3.0),
        ([(0, 3.0), (10, 9.0)], 61, 9.0),
        ([(0, 9.0), (10, 9.0)], 65, 9.0),
        ([(0, 9.0)], 61, 0.0),
    ],
)
def test_the_worst_of_the_last_minute(notes: list[tuple[float, float]], at: float, worst: float) -> None:
    lately = Lately()
    for when, figure in notes:
        lately.note(when, figure)
    assert lately.worst(at) == worst


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 100)), max_size=60), st.floats(0, 200))
def test_it_is_the_maximum_of_the_window(steps: list[tuple[float, float]], more: float) -> None:
    lately, now, all_ = Lately(), 0.0, []
    for wait, figure in steps:
        now += wait
        lately.note(now, figure)
        all_.append((now, figure))
    now += more
    assert lately.worst(now) == max((figure for at, figure in all_ if at >= now - 60), default=0.0)
