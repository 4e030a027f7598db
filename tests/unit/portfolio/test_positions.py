"""Positions as a fold over executions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.domain.entities import Order, Sizing
from engine.domain.events import ContractSettled, PositionMarked
from engine.domain.values import ExitReason, Side
from engine.portfolio.positions import (
    Oversold,
    position_after_buy,
    position_after_mark,
    position_after_sell,
    position_after_settlement,
)
from tests.builders_trading import GREEKS, NOON, WEEKLY, d, filled, order, position, seconds, ticket


def sale(reason: ExitReason | None = ExitReason.STOP_LOSS) -> Order:
    return order(Side.SELL, exit_reason=reason)


def test_the_first_fill_opens_with_the_tickets_plan() -> None:
    opened = position_after_buy(None, filled(2, "2.04", fees="1.40"), ticket())
    assert (opened.id, opened.quantity, opened.bought, opened.sold) == ("P9", 2, 2, 0)
    assert (opened.entry, opened.fees, opened.opened) == (d("2.04"), d("1.40"), NOON)
    assert (opened.plan, opened.bucket) == (ticket().plan, ticket().bucket)
    assert (opened.decision, opened.trigger, opened.ticket) == (3, 2, "T5")
    assert (opened.entry_underlying, opened.entry_greeks) == (d(600), GREEKS)
    assert (opened.best, opened.worst) == (d("2.04"), d("2.04"))
    assert opened.risk == d("211.00")
    assert opened.is_open


def test_more_fills_average_the_entry_and_raise_the_risk() -> None:
    first = position_after_buy(None, filled(1, "2.00", fees="1.05"), ticket(3))
    both = position_after_buy(first, filled(2, "2.03", fees="0.41"), ticket(3))
    assert (both.quantity, both.bought, both.entry) == (3, 3, d("2.02"))
    assert both.fees == d("1.46")
    assert both.risk == d("316.50")
    assert both.cost == d("606.00")


def test_an_average_that_does_not_divide_loses_no_cent() -> None:
    held = position_after_buy(None, filled(1, "2.01"), ticket())
    held = position_after_buy(held, filled(2, "2.02"), ticket())
    assert held.cost.quantize(d("0.01")) == d("605.00")


@pytest.mark.parametrize(
    ("sizing", "max_loss", "risk"), [(None, "300.00", "150.00"), (None, "0", "204.00"), ("0", "300.00", "150.00")]
)
def test_without_sizing_one_r_is_its_share_of_the_stated_loss_or_the_premium(
    sizing: str | None, max_loss: str, risk: str
) -> None:
    sized = None
    if sizing is not None:
        sized = Sizing(
            quantity=2, recommended=2, risk_budget=d(0), loss_per_contract=d(sizing), confidence_factor=d(1),
            regime_factor=d(1),
        )  # fmt: skip
    opened = position_after_buy(None, filled(1, "2.04"), ticket(2, sizing=sized, max_loss=d(max_loss)))
    assert opened.risk == d(risk)


@pytest.mark.parametrize("missing", ["plan", "bucket"])
def test_nothing_is_held_without_a_way_out(missing: str) -> None:
    with pytest.raises(ValueError, match="no exit plan or bucket"):
        position_after_buy(None, filled(1, "2.04"), ticket(**{missing: None}))


def test_a_part_sold_leaves_the_rest_open() -> None:
    after = position_after_sell(position(4), filled(3, "2.50", fees="2.10"), sale())
    assert (after.quantity, after.sold, after.proceeds, after.fees) == (1, 3, d("750.00"), d("2.10"))
    assert (after.average_exit, after.exit_reason, after.half_taken) == (d("2.50"), None, False)


def test_the_last_sale_leaves_the_orders_reason() -> None:
    half = position_after_sell(position(4), filled(2, "3.00"), sale(ExitReason.TARGET_1))
    assert half.half_taken
    rest = position_after_sell(half, filled(2, "2.00"), sale(ExitReason.STOP_LOSS))
    assert (rest.quantity, rest.exit_reason, rest.average_exit) == (0, ExitReason.STOP_LOSS, d("2.50"))
    assert rest.half_taken
    assert rest.gross == d("200.00")


def test_one_contract_at_target_one_is_gone_whole() -> None:
    after = position_after_sell(position(1), filled(1, "3.00"), sale(ExitReason.TARGET_1))
    assert (after.quantity, after.half_taken, after.exit_reason) == (0, False, ExitReason.TARGET_1)


def test_a_sale_without_a_reason_was_made_by_hand() -> None:
    after = position_after_sell(position(1), filled(1, "3.00"), sale(None))
    assert after.exit_reason is ExitReason.MANUAL


@pytest.mark.parametrize("quantity", [5, 0, -1])
def test_more_than_is_held_is_refused_loudly(quantity: int) -> None:
    with pytest.raises(Oversold, match="with 4 held"):
        position_after_sell(position(4), filled(quantity, "2.50"), sale())


def settled(quantity: int, price: str) -> ContractSettled:
    return ContractSettled(
        seq=11,
        at=datetime(2026, 11, 25, 21, 0, tzinfo=UTC),
        position="P9",
        contract=WEEKLY,
        quantity=quantity,
        settlement=d("603.50"),
        price=d(price),
        fees=d(0),
    )


def test_settled_at_intrinsic_it_ends_as_expiration() -> None:
    after = position_after_settlement(position(4), settled(4, "3.50"))
    assert (after.quantity, after.proceeds, after.exit_reason) == (0, d("1400.00"), ExitReason.EXPIRATION)
    assert after.gross == d("600.00")


def test_settled_in_part_it_goes_on() -> None:
    after = position_after_settlement(position(4), settled(1, "3.50"))
    assert (after.quantity, after.exit_reason) == (3, None)


def test_more_than_is_held_cannot_be_settled() -> None:
    with pytest.raises(Oversold):
        position_after_settlement(position(4), settled(5, "3.50"))


@pytest.mark.parametrize(("before", "now", "after"), [(False, True, True), (True, False, True), (False, False, False)])
def test_a_mark_keeps_the_extremes_and_never_disarms(before: bool, now: bool, after: bool) -> None:
    fact = PositionMarked(
        seq=12, at=NOON + seconds(60), position="P9", mark=d("2.60"), bid=d("2.59"), ask=d("2.61"), underlying=None,
        greeks=None, unrealised=d(240), best=d("2.70"), worst=d("1.90"), armed=now,
    )  # fmt: skip
    marked = position_after_mark(position(4, armed=before), fact)
    assert (marked.best, marked.worst, marked.armed) == (d("2.70"), d("1.90"), after)


def test_a_late_entry_fill_opens_what_was_sold_out_again() -> None:
    gone = position_after_sell(position(1), filled(1, "3.00"), sale())
    again = position_after_buy(gone, filled(1, "2.10"), ticket(2))
    assert (again.quantity, again.bought, again.exit_reason, again.closed) == (1, 2, None, None)
