"""Dated rates: which day's curve, what between the tenors, and what a broken table says."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from app.rates import rate_table
from engine.pricing.rates import RateError, flat_curve, parse_rate_table

HEAD = "# a comment\ndate,1m,3m\n"


def test_the_latest_curve_known_on_the_day_is_used_and_says_how_old_it_is() -> None:
    table = parse_rate_table(HEAD + "2026-01-02,4.00,4.10\n2026-01-09,4.20,4.30\n")
    assert table.curve(date(2026, 1, 8)).day == date(2026, 1, 2)
    assert table.curve(date(2026, 1, 9)).day == date(2026, 1, 9)
    late = table.curve(date(2026, 3, 1))
    assert late.age(date(2026, 3, 1)) == 51
    with pytest.raises(RateError, match="begins on 2026-01-02"):
        table.curve(date(2026, 1, 1))


def test_rates_are_continuous_linear_between_tenors_and_flat_beyond() -> None:
    curve = parse_rate_table(HEAD + "2026-01-02,4.00,5.00\n").curve(date(2026, 1, 2))
    short, long = 2 * np.log(1.02), 2 * np.log(1.025)
    assert curve.rate([0.0, 1 / 12, 0.25, 9.0]) == pytest.approx([short, short, long, long])
    assert float(curve.rate(1 / 6)) == pytest.approx((short + long) / 2)
    assert float(flat_curve(date(2026, 1, 2), -0.01).rate(3.0)) == -0.01


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("date,1m,9m\n", "line 1"),
        (HEAD + "2026-01-02,4.00\n", "line 3: a yield is missing"),
        (HEAD + "2026-01-02,4.00,x\n", "line 3"),
        (HEAD + "2026-01-02,4.00,nan\n", "line 3"),
        (HEAD + "yesterday,4.00,4.00\n", "line 3"),
    ],
)
def test_a_broken_table_names_its_line(text: str, says: str) -> None:
    with pytest.raises(RateError, match=says):
        parse_rate_table(text)


def test_the_shipped_table_reaches_from_2014_to_this_autumn_and_is_plausible() -> None:
    table = rate_table()
    assert table.first == date(2014, 1, 3)
    assert table.last >= date(2026, 10, 9)
    assert float(table.curve(date(2021, 6, 1)).rate(0.25)) < 0.001
    assert float(table.curve(date(2023, 9, 14)).rate(0.25)) == pytest.approx(0.0547, abs=1e-4)
