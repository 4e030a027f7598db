from __future__ import annotations

import pytest

from engine.intake.limits import Bucket


def test_a_burst_is_let_in_and_then_the_average_holds() -> None:
    bucket = Bucket(rate=10, burst=3, now=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(0.1)
    assert bucket.take(100.05) == pytest.approx(0.05)
    assert bucket.take(100.11) == 0.0
    assert bucket.take(100.11) > 0


def test_waiting_never_saves_up_more_than_the_burst() -> None:
    bucket = Bucket(rate=10, burst=2, now=0.0)
    assert [bucket.take(1e6) == 0 for _ in range(3)] == [True, True, False]


def test_asking_how_long_takes_nothing() -> None:
    bucket = Bucket(rate=10, burst=1, now=0.0)
    assert bucket.wait(0.0) == bucket.wait(0.0) == bucket.take(0.0) == 0.0
    assert bucket.wait(0.0) == pytest.approx(0.1)


def test_a_rate_of_zero_switches_the_limit_off() -> None:
    bucket = Bucket(rate=0, burst=1, now=0.0)
    assert [bucket.take(0.0) for _ in range(100)] == [0.0] * 100
    assert bucket.wait(0.0) == 0.0


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    bucket = Bucket(rate=1, burst=1, now=10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) == pytest.approx(1.0)
    assert bucket.take(10.5) == pytest.approx(0.5)
