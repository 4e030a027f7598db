"""Never more is sold than is held; and what a marketable order may reach for."""

from __future__ import annotations

import pytest

from engine.domain.marketable import marketable_limit
from engine.domain.values import Code, OrderState, Purpose, Side
from engine.orders.guard import closing_allowed, half_of, working_exits
from tests.builders_trading import d, order, position, quote


def code(refusal: object) -> Code | None:
    return None if refusal is None else refusal.code  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("held", "quantity", "expected"),
    [
        (4, 4, None),
        (4, 1, None),
        (4, 5, Code.OVERSELL),
        (4, 0, Code.BAD_QUANTITY),
        (4, -1, Code.BAD_QUANTITY),
        (0, 1, Code.POSITION_UNKNOWN),
    ],
)
def test_closing_what_is_held(held: int, quantity: int, expected: Code | None) -> None:
    assert code(closing_allowed(position(held), [], quantity)) is expected


def test_closing_nothing_known() -> None:
    assert code(closing_allowed(None, [], 1)) is Code.POSITION_UNKNOWN


def test_oversell_says_both_numbers() -> None:
    refusal = closing_allowed(position(4), [], 5)
    assert refusal is not None
    assert refusal.text == "OVERSELL quantity=5 held=4"


@pytest.mark.parametrize("state", [state for state in OrderState if state.is_open])
def test_a_second_closer_waits_while_the_first_may_still_fill(state: OrderState) -> None:
    refusal = closing_allowed(position(4), [order(Side.SELL, 1, state=state)], 1)
    assert refusal is not None
    assert refusal.text == f"ALREADY_CLOSING order=O7 state={state} working=1"


@pytest.mark.parametrize("state", [state for state in OrderState if not state.is_open])
def test_a_finished_closer_is_out_of_the_way(state: OrderState) -> None:
    assert closing_allowed(position(4), [order(Side.SELL, 4, state=state)], 4) is None


def test_other_orders_do_not_stand_in_the_way() -> None:
    others = [
        order(Side.SELL, 4, position="P1"),
        order(Side.BUY, 4),
        order(Side.SELL, 4, purpose=Purpose.ENTRY),
    ]
    assert working_exits(position(4), others) == []
    assert closing_allowed(position(4), others, 4) is None


@pytest.mark.parametrize(
    ("bid", "ask", "attempt", "limit"),
    [
        ("2.00", "2.10", 0, "1.89"),  # 5 % of 2.05 = 0.1025, away from us: 1.8975 down
        ("2.00", "2.10", 1, "1.79"),
        ("2.00", "2.10", 2, "1.59"),
        ("2.00", "2.10", 9, "1.59"),
        ("0.20", "0.22", 0, "0.18"),  # two ticks are more than 5 %
        ("0.02", "0.03", 0, "0.01"),
        ("0.01", "0.05", 2, "0.01"),
        (None, "0.05", 0, "0.01"),
        ("1.00", None, 0, "0.95"),
    ],
)
def test_a_marketable_sale_reaches_below_the_bid(bid: str | None, ask: str | None, attempt: int, limit: str) -> None:
    assert marketable_limit(Side.SELL, quote(bid, ask), attempt) == d(limit)


def test_a_marketable_buy_reaches_above_the_ask() -> None:
    assert marketable_limit(Side.BUY, quote("2.00", "2.10")) == d("2.21")
    assert marketable_limit(Side.BUY, quote("2.00", "2.10"), 1) == d("2.31")


def test_without_the_side_to_trade_against_there_is_no_price() -> None:
    assert marketable_limit(Side.BUY, quote("2.00", None)) is None
    assert marketable_limit(Side.SELL, quote(None, None)) is None


def test_a_nickel_tick_rounds_away_from_us() -> None:
    assert marketable_limit(Side.SELL, quote("3.00", "3.10"), tick=d("0.05")) == d("2.80")
    assert marketable_limit(Side.BUY, quote("3.00", "3.10"), tick=d("0.05")) == d("3.30")


@pytest.mark.parametrize(("held", "half"), [(1, 1), (2, 1), (3, 2), (4, 2), (7, 4)])
def test_half_rounds_up_and_one_goes_whole(held: int, half: int) -> None:
    assert half_of(held) == half
