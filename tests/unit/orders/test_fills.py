"""What one quote gives one order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain.entities import Order
from engine.domain.values import ExitReason, OrderType, Quote, Side
from engine.orders.fills import Fill, fill, shown, slippage_fraction, takes, usable
from engine.settings import PaperSettings
from tests.builders_trading import NOON, d, order, quote, seconds

PAPER = PaperSettings()
OFF = PaperSettings(slippage=Decimal(0), slippage_100=Decimal(0), slippage_step=Decimal(0))


def given(
    made: Order,
    book: Quote,
    *,
    resting: bool = False,
    available: int | None = 1000,
    near_edge: bool = False,
    settings: PaperSettings = PAPER,
) -> Fill | None:
    return fill(
        made,
        book,
        resting=resting,
        bound=made.limit,
        available=available,
        near_edge=near_edge,
        settings=settings,
    )


@pytest.mark.parametrize(
    ("book", "age", "expected"),
    [
        (quote("2.00", "2.04"), 5.0, True),
        (quote("2.00", "2.04"), 5.001, False),
        (quote("2.00", "2.00"), 0.0, False),
        (quote("2.05", "2.04"), 0.0, False),
        (quote(None, "2.04"), 0.0, False),
        (quote("2.00", None), 0.0, False),
        (None, 0.0, False),
    ],
)
def test_only_a_fresh_two_sided_quote_is_usable(book: Quote | None, age: float, expected: bool) -> None:
    assert usable(book, age, 5.0) is expected


@pytest.mark.parametrize(
    ("quantity", "fraction"),
    [(1, "0.005"), (100, "0.02"), (200, "0.025"), (500, "0.04"), (150, "0.0225")],
)
def test_slippage_grows_with_the_order(quantity: int, fraction: str) -> None:
    assert slippage_fraction(quantity, PAPER, doubled=False) == d(fraction)
    assert slippage_fraction(quantity, PAPER, doubled=True) == 2 * d(fraction)


def test_slippage_is_straight_up_to_a_hundred() -> None:
    assert slippage_fraction(34, PAPER, doubled=False) == d("0.01")


@pytest.mark.parametrize(
    ("remaining", "available", "taken"),
    [(10, 4, 4), (4, 10, 4), (4, 0, 0), (50, None, 50), (51, None, 43), (60, None, 51), (70, None, 60), (1, None, 1)],
)
def test_no_more_than_is_shown(remaining: int, available: int | None, taken: int) -> None:
    assert takes(remaining, available, PAPER) == taken


def test_a_buy_looks_at_the_ask_and_a_sale_at_the_bid() -> None:
    book = quote("2.00", "2.04", NOON, bid_size=3, ask_size=8)
    assert shown(book, Side.BUY) == 8
    assert shown(book, Side.SELL) == 3


@pytest.mark.parametrize(
    ("side", "quantity", "price", "slippage"),
    [
        (Side.BUY, 1, "2.06", "0.02"),  # 2.04 × 1.005 = 2.0502, up
        (Side.SELL, 1, "1.99", "0.01"),  # 2.00 × 0.995 = 1.99
        (Side.BUY, 100, "2.09", "0.05"),  # 2.0808 up
        (Side.SELL, 100, "1.96", "0.04"),
    ],
)
def test_a_marketable_order_pays_the_touch_and_slippage(side: Side, quantity: int, price: str, slippage: str) -> None:
    found = given(order(side, quantity), quote("2.00", "2.04"))
    assert found == Fill(quantity=quantity, price=d(price), slippage=d(slippage))


@pytest.mark.parametrize("reason", [ExitReason.STOP_LOSS, ExitReason.TRAILING_STOP])
def test_a_stop_out_pays_double(reason: ExitReason) -> None:
    found = given(order(Side.SELL, 1, exit_reason=reason), quote("2.00", "2.04"))
    assert found is not None
    assert found.price == d("1.98")


def test_near_the_bell_it_pays_double_but_not_fourfold() -> None:
    stopped = order(Side.SELL, 1, exit_reason=ExitReason.STOP_LOSS)
    for made in (order(Side.SELL, 1), stopped):
        found = given(made, quote("2.00", "2.04"), near_edge=True)
        assert found is not None
        assert found.price == d("1.98")


def test_a_target_pays_the_plain_slippage() -> None:
    found = given(order(Side.SELL, 1, exit_reason=ExitReason.TARGET_1), quote("2.00", "2.04"))
    assert found is not None
    assert found.price == d("1.99")


def test_a_sale_is_never_below_a_cent() -> None:
    found = given(order(Side.SELL, 100), quote("0.01", "0.02"))
    assert found is not None
    assert found.price == d("0.01")


def test_a_bid_of_nothing_buys_nothing() -> None:
    assert given(order(Side.SELL, 1), quote("0.00", "0.02")) is None


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        (Side.BUY, "2.03", None),
        (Side.BUY, "2.04", "2.04"),
        (Side.BUY, "2.05", "2.05"),
        (Side.BUY, "2.06", "2.06"),
        (Side.BUY, "2.50", "2.06"),
        (Side.SELL, "2.01", None),
        (Side.SELL, "2.00", "2.00"),
        (Side.SELL, "1.99", "1.99"),
        (Side.SELL, "1.50", "1.99"),
    ],
)
@pytest.mark.parametrize("kind", list(OrderType))
def test_a_limit_is_the_worst_price(kind: OrderType, side: Side, limit: str, price: str | None) -> None:
    found = given(order(side, 1, limit, type=kind), quote("2.00", "2.04"))
    assert (found.price if found else None) == (d(price) if price else None)


@pytest.mark.parametrize(("side", "book"), [(Side.BUY, quote("1.90", "1.95")), (Side.SELL, quote("2.10", "2.14"))])
def test_a_limit_that_rested_is_met_at_its_own_price(side: Side, book: Quote) -> None:
    found = given(order(side, 1, "2.00", type=OrderType.LIMIT), book, resting=True)
    assert found == Fill(quantity=1, price=d("2.00"), slippage=d(0))


def test_with_slippage_off_the_touch_is_the_price() -> None:
    bought = given(order(Side.BUY, 100), quote("2.00", "2.04"), settings=OFF)
    sold = given(order(Side.SELL, 100), quote("2.00", "2.04"), settings=OFF)
    assert (bought, sold) == (
        Fill(quantity=100, price=d("2.04"), slippage=d(0)),
        Fill(quantity=100, price=d("2.00"), slippage=d(0)),
    )


def test_nothing_shown_nothing_filled() -> None:
    assert given(order(), quote("2.00", "2.04"), available=0) is None


def test_only_what_is_left_fills() -> None:
    found = given(order(quantity=5, filled=3), quote("2.00", "2.04"), available=10)
    assert found is not None
    assert found.quantity == 2


def test_age_is_counted_from_when_a_quote_became_known() -> None:
    assert quote("2.00", "2.04").age(NOON + seconds(3)) == 3.0
