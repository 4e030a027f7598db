"""An order that the broker's books cannot tell any more: a person says what became of it, once nobody else can."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain import events as ev
from engine.domain.commands import ClosePosition, SettleOrder
from engine.domain.entities import Order
from engine.domain.values import Code, OrderState, Quote, Refusal
from engine.ports import Filled
from engine.state import KINDS, State
from tests.builders_journey import Desk
from tests.fakes.far_broker import SETTLES
from tests.unit.journey.test_reconciling import again, calm, close, drop, far, holding, met, raise_line, read, sent
from tests.unit.journey.test_recovery import the_same

WHY = "the broker's statement of Friday"


def old(desk: Desk) -> Order:
    """The newest order, in doubt and older than the books by now."""
    order = desk.order
    drop(desk)
    desk.wait(2 * SETTLES)
    far(desk).exchange.opened = desk.now
    far(desk).exchange.orders.pop(order.id, None)
    far(desk).exchange.executions.clear()
    raise_line(desk)
    read(desk)
    assert desk.state.orders[order.id].state is OrderState.UNKNOWN
    return desk.state.orders[order.id]


def entry() -> tuple[Desk, Order]:
    desk = met()
    sent(desk)
    return desk, old(desk)


def said(order: Order, **fields: object) -> SettleOrder:
    return SettleOrder(**{"by": "http", "order": order.id, "reason": WHY, **fields})  # type: ignore[arg-type]


async def rebuilt(desk: Desk) -> None:
    """What the rows say and what a fold from zero says is what the desk knows."""
    loaded = State.load(await desk.ledger.projections(KINDS), desk.ledger.head.seq, desk.ledger.head.at)
    folded = State()
    async for fact in desk.ledger.facts():
        folded.apply(fact)
    assert the_same(loaded, desk.state)
    assert the_same(folded, desk.state)


def refused(desk: Desk, command: SettleOrder) -> Refusal:
    done = desk.command(command)
    assert done.refusal is not None
    assert desk.last(ev.CommandRefused).target == command.order
    return done.refusal


async def test_an_entry_that_was_never_filled_is_over_by_a_persons_word() -> None:
    desk, order = entry()
    cash = desk.state.account
    assert desk.command(said(order)).ok
    word = desk.last(ev.OrderSettledByHand)
    assert (word.order, word.by, word.reason, word.quantity, word.cause) == (
        order.id,
        "http",
        WHY,
        0,
        int(order.id[1:]),
    )
    assert desk.last(ev.OrderCancelled).reason == f"by hand: {WHY}"
    assert desk.state.orders[order.id].state is OrderState.CANCELLED
    assert (desk.state.account, desk.state.positions) == (cash, {})
    assert refused(desk, said(order)).code is Code.NOT_IN_DOUBT, "once"
    await rebuilt(desk)


async def test_what_was_filled_is_held_and_paid_for_as_if_the_broker_had_said_it() -> None:
    desk, order = entry()
    assert desk.state.account is not None
    before = desk.state.account.cash
    assert desk.command(said(order, quantity=1, price=Decimal("2.10"), fees=Decimal("0.70"))).ok
    fill = desk.last(ev.OrderFilled)
    assert (fill.quantity, fill.price, fill.fees, fill.quote.source) == (1, Decimal("2.10"), Decimal("0.70"), "hand")
    assert desk.position.quantity == 1
    assert before - desk.state.account.cash == Decimal("210.70")
    assert (desk.state.orders[order.id].state, desk.state.orders[order.id].filled) == (OrderState.CANCELLED, 1)
    await rebuilt(desk)


async def test_all_of_it_was_filled() -> None:
    desk, order = entry()
    assert desk.command(said(order, quantity=order.quantity, price=order.limit)).ok
    assert desk.state.orders[order.id].state is OrderState.FILLED
    assert desk.last(ev.OrderFilled).fees > 0, "by the fee table where nobody says"
    assert not desk.facts(ev.OrderCancelled)
    await rebuilt(desk)


async def test_an_exit_that_was_filled_closes_its_position() -> None:
    desk = holding()
    close(desk)
    calm(desk)
    order = old(desk)
    assert desk.command(said(order, quantity=2, price=Decimal("4.40"))).ok
    assert desk.position.quantity == 0
    assert desk.last(ev.PositionClosed).average_exit == Decimal("4.40")
    await rebuilt(desk)


async def test_an_exit_that_was_not_filled_lets_another_go_and_sends_none_itself() -> None:
    desk = holding()
    close(desk)
    calm(desk)
    order = old(desk)
    assert not desk.command(ClosePosition(by="desk", position=desk.position.id)).ok
    assert desk.command(said(order)).ok
    assert desk.order.id == order.id
    assert close(desk).id != order.id
    await rebuilt(desk)


async def test_the_brokers_word_of_what_a_person_told_is_not_counted_again_and_halts() -> None:
    desk, order = entry()
    assert desk.command(said(order, quantity=1, price=Decimal("2.10"))).ok
    quote = Quote(bid=None, ask=None, at=desk.now, source="far")
    desk.say(
        Filled(
            order=order.id, at=desk.now, execution="late", quantity=1, price=Decimal("2.10"), fees=Decimal(0),
            slippage=Decimal(0), quote=quote,
        )
    )  # fmt: skip
    assert desk.position.quantity == 1
    assert desk.last(ev.ForeignExecutionSeen).why == "a person told what was filled of this order"
    assert desk.state.halt is not None
    assert desk.state.halt.latched


async def test_after_a_start_the_books_are_read_before_a_person_is_believed() -> None:
    desk, order = entry()
    later = await again(desk)
    assert refused(later, said(order)).code is Code.BROKER_AWAY
    raise_line(later)
    read(later)
    assert later.command(said(order)).ok


# --- refused ------------------------------------------------------------------------------------------------------------


async def test_an_order_that_is_not_in_doubt_is_the_brokers() -> None:
    desk = met()
    order = sent(desk)
    refusal = refused(desk, said(order))
    assert (refusal.code, refusal.numbers["state"]) == (Code.NOT_IN_DOUBT, "WORKING")
    assert refused(desk, SettleOrder(by="http", order="O999", reason=WHY)).code is Code.ORDER_UNKNOWN


async def test_while_the_broker_can_still_answer_it_is_asked() -> None:
    desk = met()
    order = sent(desk)
    drop(desk)
    assert refused(desk, said(order)).code is Code.BROKER_AWAY
    raise_line(desk)
    assert refused(desk, said(order)).code is Code.BROKER_AWAY
    far(desk).exchange.orders.pop(order.id)
    read(desk)
    assert desk.state.orders[order.id].state is OrderState.UNKNOWN
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER, "it may be on its way"


async def test_one_that_works_though_it_is_older_than_the_books_is_the_brokers() -> None:
    desk = met()
    order = sent(desk)
    far(desk).fill(order.id, 1, "2.10")
    drop(desk)
    desk.wait(2 * SETTLES)
    far(desk).exchange.opened = desk.now
    far(desk).exchange.executions.clear()
    raise_line(desk)
    read(desk)
    assert desk.state.orders[order.id].state is OrderState.UNKNOWN
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER
    far(desk).exchange.orders[order.id].state = OrderState.CANCELLED
    read(desk)
    assert desk.command(said(order, quantity=1, price=Decimal("2.10"))).ok


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reason": "  "}, Code.REASON_MISSING),
        ({"quantity": -1}, Code.BAD_QUANTITY),
        ({"quantity": 99, "price": Decimal(1)}, Code.BAD_QUANTITY),
        ({"quantity": 1}, Code.BAD_FIELD),
        ({"price": Decimal(1)}, Code.BAD_FIELD),
        ({"quantity": 1, "price": Decimal(0)}, Code.BAD_FIELD),
        ({"quantity": 1, "price": Decimal(99)}, Code.BAD_FIELD),
    ],
)
async def test_what_cannot_have_been_is_refused(fields: dict[str, object], code: Code) -> None:
    desk, order = entry()
    seq = desk.state.last_seq
    assert refused(desk, said(order, **fields)).code is code
    assert [fact.seq for fact in desk.facts(ev.OrderSettledByHand)] == []
    assert desk.state.orders[order.id] is order
    assert desk.state.last_seq == seq + 1


async def test_more_than_is_held_was_not_sold() -> None:
    desk = holding()
    close(desk)
    calm(desk)
    far(desk).fill(desk.order.id, 1, "4.10")
    calm(desk)
    order = old(desk)
    assert refused(desk, said(order, quantity=2, price=Decimal("4.40"))).code is Code.BAD_QUANTITY
    assert desk.command(said(order, quantity=1, price=Decimal("4.40"))).ok
