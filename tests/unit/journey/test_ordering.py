"""Order: intents before sends, and a broker that answers late, twice, out of order or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain import events as ev
from engine.domain.commands import CancelOrder, ClosePosition, HaltTrading
from engine.domain.entities import Order
from engine.domain.values import Code, Purpose, Side, refuse
from engine.journey.ordering import Intent, intend
from engine.ports import Accepted, BrokerReport, Cancelled, Expired, Filled, Rejected
from tests.builders_journey import Desk, HandBroker


def filled(desk: Desk, order: Order, quantity: int, execution: str = "", price: str = "4.60") -> Filled:
    quote = desk.market.option(order.contract)
    assert quote is not None
    return Filled(
        order=order.id,
        at=desk.now,
        execution=execution or f"{order.id}-{order.filled + quantity}",
        quantity=quantity,
        price=Decimal(price),
        fees=Decimal("1.40"),
        slippage=Decimal("0.00"),
        quote=quote,
    )


def sent() -> tuple[Desk, HandBroker, Order]:
    """An entry of two contracts that was handed over; the broker has said nothing yet."""
    broker = HandBroker()
    desk = Desk(broker=broker)
    desk.signal("240")
    desk.signal("60")
    return desk, broker, desk.order


async def test_the_intent_is_a_fact_before_the_order_is_handed_over() -> None:
    desk, broker, order = sent()
    assert [sent_.id for sent_ in broker.submitted] == [order.id]
    assert desk.kinds()[-2:] == ["OrderIntended", "OrderSubmitted"]
    assert (order.state, desk.last(ev.OrderSubmitted).broker) == ("SUBMITTING", "hand")
    assert not desk.player.perform(lambda step: desk.journey.sent(step, order.id, "hand"))
    assert len(desk.facts(ev.OrderSubmitted)) == 1


async def test_a_fill_before_the_acknowledgement_counts_and_the_late_word_changes_nothing() -> None:
    desk, _, order = sent()
    desk.say(filled(desk, order, 2))
    assert (desk.order.state, desk.position.quantity) == ("FILLED", 2)
    desk.say(Accepted(order=order.id, at=desk.now))
    assert desk.kinds()[-1] == "OrderFilled"


async def test_an_execution_that_is_told_twice_counts_once() -> None:
    desk, _, order = sent()
    report = filled(desk, order, 1)
    desk.say(report, report)
    desk.say(report)
    assert (desk.order.filled, desk.position.quantity, len(desk.facts(ev.OrderFilled))) == (1, 1, 1)
    assert desk.state.account is not None
    assert desk.state.account.cash == Decimal("100000.00") - Decimal("460.00") - Decimal("1.40")


async def test_a_fill_after_the_cancel_is_true_all_the_same() -> None:
    desk, broker, order = sent()
    desk.say(Accepted(order=order.id, at=desk.now))
    desk.command(CancelOrder(by="desk", order=order.id))
    assert broker.cancelled == [order.id]
    desk.say(Cancelled(order=order.id, at=desk.now, reason="cancelled"))
    desk.say(filled(desk, order, 2))
    assert desk.position.quantity == 2
    assert desk.order.filled == 2


async def test_more_than_was_ordered_is_never_believed() -> None:
    desk, _, order = sent()
    desk.say(filled(desk, order, 2))
    desk.say(filled(desk, order, 1, execution="ghost"))
    assert (desk.order.filled, len(desk.facts(ev.OrderFilled))) == (2, 1)


async def test_partial_fills_are_one_position_with_one_average_and_one_risk() -> None:
    desk, _, order = sent()
    desk.say(filled(desk, order, 1, price="4.60"))
    desk.say(filled(desk, desk.order, 1, price="4.70"))
    position = desk.position
    assert len(desk.state.positions) == 1
    assert (position.quantity, position.entry, position.fees) == (2, Decimal("4.65"), Decimal("2.80"))
    assert desk.ticket.sizing is not None
    assert position.risk == desk.ticket.sizing.loss_per_contract * 2


async def test_the_rest_of_a_partial_fill_is_taken_back_when_the_tickets_life_is_over() -> None:
    desk, broker, order = sent()
    desk.say(Accepted(order=order.id, at=desk.now), filled(desk, order, 1))
    desk.wait(89)
    assert broker.cancelled == []
    desk.wait(1)
    assert set(broker.cancelled) == {order.id}
    desk.say(Cancelled(order=order.id, at=desk.now, reason="cancelled"))
    assert (desk.state.orders[order.id].state, desk.position.quantity) == ("CANCELLED", 1)


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (lambda order, at: Rejected(order=order.id, at=at, refusal=refuse(Code.ORDER_TOO_LARGE)), "REJECTED"),
        (lambda order, at: Expired(order=order.id, at=at), "EXPIRED"),
        (lambda order, at: Cancelled(order=order.id, at=at, reason="broker"), "CANCELLED"),
    ],
)
async def test_an_entry_that_comes_to_nothing_leaves_nothing(word: Any, state: str) -> None:
    desk, _, order = sent()
    report: BrokerReport = word(order, desk.now)
    desk.say(report, report)
    assert (desk.order.state, desk.state.positions, desk.state.open_orders) == (state, {}, {})
    assert len([f for f in desk.player.facts if getattr(f, "order", "") == order.id]) == 3


async def test_an_entry_is_not_sent_when_trading_was_halted_in_between() -> None:
    desk, broker, _ = sent()
    desk.wait(61)
    step = desk.journey.step()
    desk.market.price(desk.now)
    contract = desk.order.contract
    intent = Intent(contract, Side.BUY, 1, Decimal("5.00"), Purpose.ENTRY, ticket=desk.ticket.id)
    order = intend(step, 1, intent)
    desk.player._keep(step)
    desk.command(HaltTrading(by="desk", reason="now"))
    handed = len(broker.submitted)
    assert not desk.player.perform(lambda later: desk.journey.sent(later, order.id, "hand"))
    assert (desk.state.orders[order.id].state, len(broker.submitted)) == ("CANCELLED", handed)


async def test_a_broker_that_speaks_of_an_order_we_never_made_is_an_error() -> None:
    desk, _, _ = sent()
    with pytest.raises(LookupError, match="O999"):
        desk.say(Accepted(order="O999", at=desk.now))


async def test_the_last_contract_sold_closes_the_books_to_the_cent() -> None:
    desk, _, order = sent()
    desk.say(filled(desk, order, 2))
    desk.command(ClosePosition(by="desk", position=desk.position.id))
    exit_ = desk.order
    desk.say(filled(desk, exit_, 1, price="5.00"))
    assert desk.facts(ev.PositionClosed) == []
    desk.say(filled(desk, desk.order, 1, price="5.10"))
    closed = desk.last(ev.PositionClosed)
    assert (closed.gross, closed.fees, closed.net) == (Decimal("90.00"), Decimal("4.20"), Decimal("85.80"))
    assert closed.average_exit == Decimal("5.05")
    assert sum(closed.attribution.values()) == closed.gross
    assert desk.state.account is not None
    assert desk.state.account.cash == Decimal("100085.80")
    assert desk.state.account.realised_today == Decimal("85.80")


async def test_an_exit_that_was_cancelled_lets_its_rule_speak_again() -> None:
    broker = HandBroker()
    desk = Desk(broker=broker)
    desk.signal("240")
    desk.signal("60")
    desk.say(filled(desk, desk.order, 2))
    desk.wait(1, spot="593")
    desk.wait(2, spot="593")
    first = desk.order
    assert first.exit_reason == "STOP_LOSS"
    desk.say(Accepted(order=first.id, at=desk.now), Cancelled(order=first.id, at=desk.now, reason="broker"))
    desk.wait(1)
    assert desk.order.id != first.id
    assert desk.order.exit_reason == "STOP_LOSS"
