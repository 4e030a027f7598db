"""Structures a trader knows: their break-evens, what they can make and lose, at expiry exactly and before it by search."""

from __future__ import annotations

from math import inf, isclose

import numpy as np
import pytest

from engine.pricing.payoff import expiry_days, outline, profit
from engine.pricing.scenarios import Legs, legs

SPOT, MONTH = 100.0, 30 / 365


def book(*rows: tuple[str, float, float, float], t: float = MONTH) -> Legs:
    """Rows of (C, P or S, strike, quantity, paid per share)."""
    return legs(
        spot=SPOT, t=t, vol=0.25, rate=0.04, carry=0.01,
        strike=[strike for _, strike, _, _ in rows], quantity=[q for _, _, q, _ in rows], entry=[paid for *_, paid in rows],
        is_call=[kind == "C" for kind, *_ in rows], is_share=[kind == "S" for kind, *_ in rows],
        multiplier=[1.0 if kind == "S" else 100.0 for kind, *_ in rows],
    )  # fmt: skip


TABLE = {
    "long call": ([("C", 100, 1, 3.0)], (103.0,), inf, -300),
    "short call": ([("C", 100, -1, 3.0)], (103.0,), 300, -inf),
    "long put": ([("P", 100, 2, 3.0)], (97.0,), 19_400, -600),
    "short put": ([("P", 100, -1, 3.0)], (97.0,), 300, -9_700),
    "bull call vertical": ([("C", 100, 1, 3.0), ("C", 105, -1, 1.2)], (101.8,), 320, -180),
    "bear put vertical": ([("P", 100, 1, 3.0), ("P", 95, -1, 1.2)], (98.2,), 320, -180),
    "credit put vertical": ([("P", 95, -1, 1.5), ("P", 90, 1, 0.6)], (94.1,), 90, -410),
    "iron condor": (
        [("P", 90, 1, 0.4), ("P", 95, -1, 1.2), ("C", 105, -1, 1.1), ("C", 110, 1, 0.3)], (93.4, 106.6), 160, -340,
    ),
    "butterfly": ([("C", 95, 1, 6.5), ("C", 100, -2, 3.0), ("C", 105, 1, 1.0)], (96.5, 103.5), 350, -150),
    "straddle": ([("C", 100, 1, 3.0), ("P", 100, 1, 2.8)], (94.2, 105.8), inf, -580),
    "strangle sold": ([("C", 105, -1, 1.2), ("P", 95, -1, 1.1)], (92.7, 107.3), 230, -inf),
    "ratio call spread": ([("C", 100, 1, 3.0), ("C", 105, -2, 1.2)], (100.6, 109.4), 440, -inf),
    "back spread": ([("C", 100, -1, 3.0), ("C", 105, 2, 1.2)], (100.6, 109.4), inf, -440),
    "covered call": ([("S", 0, 100, 100.0), ("C", 105, -1, 1.2)], (98.8,), 620, -9_880),
    "shares": ([("S", 0, 10, 95.0)], (95.0,), inf, -950),
    "a box that costs nothing": ([("C", 95, 1, 5.0), ("C", 100, -1, 2.0), ("P", 95, -1, 2.0), ("P", 100, 1, 4.0)], (0.0,), 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_at_expiry_every_structure_is_what_the_textbook_says(name: str) -> None:
    rows, break_evens, most, least = TABLE[name]
    seen = outline(book(*rows))
    assert seen.exact
    assert seen.break_evens == pytest.approx(break_evens, abs=1e-9)
    assert seen.max_profit == pytest.approx(most, abs=1e-9)
    assert seen.max_loss == pytest.approx(least, abs=1e-9)
    words = [word for word, amount in (("profit", most), ("loss", least)) if abs(amount) == inf]
    assert seen.unbounded == " and ".join(words)
    for root in seen.break_evens:
        assert profit(book(*rows), root) == pytest.approx(0, abs=1e-9)


def test_the_first_price_at_which_the_most_is_made_or_lost_is_named() -> None:
    seen = outline(book(("C", 95, 1, 6.5), ("C", 100, -2, 3.0), ("C", 105, 1, 1.0)))
    assert (seen.max_profit_at, seen.max_loss_at) == (100, 0)
    assert outline(book(("C", 100, 1, 3.0))).max_profit_at == inf
    assert outline(book(("C", 100, -1, 3.0))).max_loss_at == inf


def test_profit_at_expiry_is_intrinsic_value_less_what_was_paid() -> None:
    prices = np.linspace(0, 250, 501)
    made = profit(book(("C", 100, 3, 2.5), ("P", 90, -2, 1.0)), prices)
    assert made == pytest.approx(300 * (np.maximum(prices - 100, 0) - 2.5) - 200 * (np.maximum(90 - prices, 0) - 1.0))


def test_before_expiry_a_long_call_breaks_even_nearer_and_loses_less() -> None:
    call = book(("C", 100, 1, 3.0))
    now, later = outline(call, 0.0), outline(call, 29.0)
    assert not now.exact
    assert 100 < now.break_evens[0] < later.break_evens[0] < 103
    assert profit(call, now.break_evens[0], 0.0) == pytest.approx(0, abs=1e-7)
    assert (now.max_profit, now.unbounded) == (inf, "profit")
    assert now.max_loss == pytest.approx(-300, abs=1e-6)


def calendar(short: float = -1.0, *, american: bool = True) -> Legs:
    return legs(
        spot=SPOT, strike=[100.0, 100.0], t=[MONTH, 3 * MONTH], vol=[0.25, 0.24], rate=0.04, carry=0.01, is_call=True,
        american=american, quantity=[short, 1.0], entry=[2.95, 5.2],
    )  # fmt: skip


def test_a_calendar_is_looked_at_when_its_first_leg_expires() -> None:
    legs_ = calendar()
    seen = outline(legs_)
    assert seen.days == pytest.approx(30)
    assert expiry_days(legs_) == pytest.approx(30)
    assert not seen.exact
    low, high = seen.break_evens
    assert low < 100 < high
    assert profit(legs_, [low, high]) == pytest.approx([0, 0], abs=1e-6)
    prices = np.linspace(60, 160, 20_001)
    made = profit(legs_, prices)
    assert seen.max_profit == pytest.approx(made.max(), abs=1e-3)
    assert seen.max_profit_at == pytest.approx(prices[made.argmax()], abs=0.02)
    assert seen.max_profit >= made.max() - 1e-9
    assert seen.unbounded == ""
    assert seen.max_loss <= made.min() + 1e-9
    assert -400 < seen.max_loss < -200


def test_a_european_calendar_loses_without_bound_where_dividends_are_paid_on_the_way() -> None:
    assert outline(calendar(american=False)).unbounded == "loss"


def test_a_double_calendar_has_four_break_evens() -> None:
    double = legs(
        spot=SPOT, strike=[92.0, 92.0, 108.0, 108.0], t=[MONTH, 2 * MONTH] * 2, vol=0.25, is_call=[False, False, True, True],
        quantity=[-1.0, 1.0] * 2, entry=[0.4, 1.4, 0.6, 1.9],
    )  # fmt: skip
    seen = outline(double)
    assert len(seen.break_evens) == 4
    assert profit(double, np.array(seen.break_evens)) == pytest.approx(np.zeros(4), abs=1e-6)


def test_values_at_a_price_of_nothing_are_the_limits() -> None:
    put = legs(spot=SPOT, strike=[100.0, 100.0], t=1.0, vol=0.3, rate=0.05, is_call=False, american=[True, False],
               quantity=1.0, multiplier=1.0, entry=0.0)  # fmt: skip
    assert isclose(float(profit(put, 0.0, 0.0)), 100 + 100 * np.exp(-0.05))


def test_legs_of_two_underlyings_have_no_common_payoff() -> None:
    two = legs(spot=[100.0, 200.0], strike=[100.0, 200.0], t=MONTH, vol=0.2, is_call=True, quantity=1.0)
    for ask in (outline, lambda legs_: profit(legs_, 100.0)):
        with pytest.raises(ValueError, match="one underlying"):
            ask(two)
