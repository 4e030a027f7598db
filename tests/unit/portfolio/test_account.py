"""Cash, counters and equity."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain.entities import Account
from engine.domain.events import (
    AccountOpened,
    ContractSettled,
    EquityMarked,
    PositionClosed,
    SessionOpened,
)
from engine.domain.values import ExitReason, Quote, Side
from engine.portfolio.account import (
    account_after_close,
    account_after_equity,
    account_after_fill,
    account_after_intent,
    account_after_session,
    account_after_settlement,
    account_opened,
    day_pnl,
    drawdown,
    equity,
    liquidation_price,
)
from tests.builders_trading import FRIDAY, NOON, WEEKLY, d, filled, intended, mark, order, position, quote

ACCOUNT = account_opened(AccountOpened(seq=1, at=NOON, cash=d("100000.00")))


def closed(net: str, r: str) -> PositionClosed:
    return PositionClosed(
        seq=20, at=NOON, position="P9", reason=ExitReason.STOP_LOSS, gross=d(net), fees=d(0), net=d(net), r=d(r),
        average_exit=d(1), held_seconds=60.0, best=d(2), worst=d(1), attribution={},
    )  # fmt: skip


def test_it_opens_at_its_peak() -> None:
    assert (ACCOUNT.cash, ACCOUNT.peak_equity, ACCOUNT.prior_equity) == (d("100000.00"),) * 3


def test_a_buy_costs_and_a_sale_brings_and_fees_always_cost() -> None:
    bought = account_after_fill(ACCOUNT, filled(2, "2.04", fees="1.40"), order(Side.BUY))
    assert bought.cash == d("99590.60")
    sold = account_after_fill(bought, filled(2, "2.04", fees="1.42"), order(Side.SELL))
    assert sold.cash == d("99997.18")


def test_a_settlement_brings_intrinsic_value() -> None:
    fact = ContractSettled(
        seq=9, at=NOON, position="P9", contract=WEEKLY, quantity=4, settlement=d("603.50"), price=d("3.50"), fees=d("1")
    )
    assert account_after_settlement(ACCOUNT, fact).cash == d("101399.00")


def test_entries_are_counted_when_intended_and_exits_are_not() -> None:
    once = account_after_intent(ACCOUNT, intended(order(Side.BUY)))
    assert once.entries_today == 1
    assert account_after_intent(once, intended(order(Side.SELL))) == once


@pytest.mark.parametrize(
    ("net", "r", "before", "after"),
    [
        ("-100.01", "-0.2501", 2, 3),
        ("-100.00", "-0.25", 2, 2),
        ("-1.00", "-0.01", 2, 2),
        ("0.00", "0", 2, 2),
        ("0.01", "0.0001", 2, 0),
    ],
)
def test_the_streak_counts_real_losses_and_ends_with_a_win(net: str, r: str, before: int, after: int) -> None:
    account = Account(cash=d(0), peak_equity=d(0), prior_equity=d(0), loss_streak=before, realised_today=d(10))
    found = account_after_close(account, closed(net, r))
    assert found.loss_streak == after
    assert found.realised_today == d(10) + d(net)


def test_a_position_that_closes_again_adds_only_the_difference_and_its_streak_is_counted_once() -> None:
    account = Account(cash=d(0), peak_equity=d(0), prior_equity=d(0))
    first = account_after_close(account, closed("-100.00", "-0.50"))
    again = account_after_close(first, closed("-140.00", "-0.70"), d("-100.00"))
    assert (again.realised_today, again.loss_streak) == (d("-140.00"), 1)
    up = account_after_close(again, closed("20.00", "0.10"), d("-140.00"))
    assert (up.realised_today, up.loss_streak) == (d("20.00"), 1)


def test_a_new_session_counts_from_its_equity_but_the_streak_goes_on() -> None:
    account = Account(
        cash=d(5), peak_equity=d(100), prior_equity=d(90), realised_today=d(7), entries_today=3, loss_streak=2
    )
    opened = account_after_session(account, SessionOpened(seq=2, at=NOON, session=FRIDAY, equity=d(120)))
    assert opened == Account(cash=d(5), peak_equity=d(120), prior_equity=d(120), session=FRIDAY, loss_streak=2)


@pytest.mark.parametrize(("now", "peak"), [("99000", "100000.00"), ("101000", "101000")])
def test_the_peak_only_rises(now: str, peak: str) -> None:
    fact = EquityMarked(seq=2, at=NOON, equity=d(now), cash=d(0))
    assert account_after_equity(ACCOUNT, fact).peak_equity == d(peak)


def test_equity_counts_longs_at_the_bid() -> None:
    marks = {"P9": mark("2.50", quote=quote("2.45", "2.55"))}
    assert equity(ACCOUNT, [position(4)], marks) == d("100980.00")


@pytest.mark.parametrize(
    ("marks", "value"),
    [
        ({}, "2.00"),
        ({"P9": mark("2.50", stale=True)}, "2.50"),
        ({"P9": mark("2.50", quote=None)}, "2.50"),
        ({"P9": mark("2.50", quote=quote(None, "2.55"))}, "2.50"),
    ],
)
def test_without_a_bid_to_believe_the_last_good_price_counts(marks: dict[str, object], value: str) -> None:
    assert equity(ACCOUNT, [position(4)], marks) == d("100000.00") + 400 * d(value)  # type: ignore[arg-type]


def test_the_days_result_is_against_the_prior_close() -> None:
    assert day_pnl(ACCOUNT, d("99100.00")) == d("-900.00")


@pytest.mark.parametrize(("now", "part"), [("95000", "0.05"), ("100000", "0"), ("110000", "0")])
def test_drawdown_is_a_fraction_of_the_peak(now: str, part: str) -> None:
    assert drawdown(ACCOUNT, d(now)) == d(part)


def test_an_account_that_never_had_anything_has_no_drawdown() -> None:
    assert drawdown(Account(cash=d(0), peak_equity=d(0), prior_equity=d(0)), Decimal(0)) == 0


@pytest.mark.parametrize(
    ("book", "price", "worth"),
    [
        (quote("0.35", "0.50"), "0.44", "0.35"),
        (quote("0.35", "0.50"), "0.30", "0.30"),
        (quote(None, "0.50"), "0.44", "0"),
        (None, "0.44", "0.44"),
    ],
)
def test_a_quote_unusable_for_long_counts_the_worse_of_mark_and_bid(book: Quote | None, price: str, worth: str) -> None:
    lost = mark(price, quote=book, stale=True, unreliable=True, model=True)
    assert liquidation_price(position(4), lost) == d(worth)
    assert liquidation_price(position(4), mark("2.45", quote=book, stale=True)) == d("2.45")
