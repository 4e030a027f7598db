"""Figures in words: signs, arrows, ages and countdowns as a trader reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from widgets import numbers as n

D = Decimal


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (n.plain(D("1234.5")), "1,234.50"),
        (n.plain(D("-3")), "−3.00"),
        (n.plain(D("-0.004")), "0.00"),
        (n.plain(D("0.005")), "0.01"),
        (n.plain(None), "—"),
        (n.plain(-1234.567, 1), "−1,234.6"),
        (n.price(D("4.875")), "4.875"),
        (n.price(D("4.8")), "4.80"),
        (n.price(None), "—"),
        (n.signed(D("1.2")), "+1.20"),
        (n.signed(D("-1.2")), "−1.20"),
        (n.signed(D("0.001")), "0.00"),
        (n.signed(None), "—"),
        (n.dollars(D("1954.4")), "$1,954"),
        (n.dollars(D("-188")), "−$188"),
        (n.dollars(D("412.6"), 2, sign=True), "+$412.60"),
        (n.dollars(D("-0.3")), "$0"),
        (n.dollars(None), "—"),
        (n.percent(0.034, 1), "3.4\u202f%"),
        (n.percent(-0.5, 0, sign=True), "−50\u202f%"),
        (n.percent(None), "—"),
        (n.change(0.0031, as_percent=True), "▲\u2009+0.31\u202f%"),
        (n.change(D("-65")), "▼\u2009−65.00"),
        (n.change(0.00001, as_percent=True), "0.00\u202f%"),
        (n.change(None), "—"),
        (n.market(D("4.86"), None), "4.86 × —"),
        (n.count(1, "contract"), "1 contract"),
        (n.count(2000, "fact"), "2,000 facts"),
        (n.count(2, "entry", "entries"), "2 entries"),
        (n.words("PARTIALLY_FILLED"), "partially filled"),
        (n.spoken(D("-3"), "dollars"), "loss 3.00 dollars"),
        (n.spoken(0, "dollars"), "no change 0.00 dollars"),
        (n.spoken(None, "dollars"), "not known"),
        (n.arrow(0), ""),
        (n.arrow(2), "▲"),
        (n.arrow(-2), "▼"),
    ],
)
def test_figures(made: str, shown: str) -> None:
    assert made == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (14, "14 s"), (59.4, "59 s"), (59.6, "59 s"),
        (60, "1 m"), (3599, "59 m"), (7500, "2 h 5 m"), (7200, "2 h"), (86400 * 4, "4 d"), (86400 + 7200, "1 d 2 h"),
        (None, "—"),
    ],
)  # fmt: skip
def test_ages(seconds: float | None, shown: str) -> None:
    assert n.age(seconds).replace("\u202f", " ") == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (31, "0:31"),
        (30.2, "0:31"),
        (0.01, "0:01"),
        (0, "0:00"),
        (-4, "0:00"),
        (245, "4:05"),
        (3729, "1:02:09"),
        (None, "—"),
    ],
)
def test_countdowns_reach_zero_only_when_it_is_over(seconds: float | None, shown: str) -> None:
    assert n.countdown(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.004, "+4 ms"), (0.9999, "+1.0 s"), (1.9, "+1.9 s"), (180, "+3 m"), (None, "")]
)
def test_steps_of_a_story(seconds: float | None, shown: str) -> None:
    assert n.later(seconds).replace("\u202f", " ") == shown


def test_the_clock_is_the_exchanges() -> None:
    moment = datetime(2026, 11, 20, 19, 6, 58, tzinfo=UTC)
    assert n.clock(moment) == "14:06:58"
    assert n.clock(moment, seconds=False) == "14:06"
    assert n.clock(None) == "—"
    assert n.local(moment).startswith("2026-11-2")
    assert n.local(None) == ""


def test_gain_is_neither_at_nothing() -> None:
    assert n.gain(D(1)) is True
    assert n.gain(D(-1)) is False
    assert n.gain(D(0)) is None
    assert n.gain(None) is None
