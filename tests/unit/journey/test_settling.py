"""An order that the broker's books cannot tell any more: a person says what became of it, once nobody else can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from engine.domain import events as ev
from engine.domain.commands import ClosePosition, SettleOrder
from engine.domain.entities import Order
from engine.domain.values import Code, OrderState, Quote, Refusal
from engine.orders.fees import FeeTable, fees
from engine.ports import Accepted, BrokerExecution, BrokerWord, Filled, ForeignFilled
from engine.sessions import new_york_day
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
    assert refused(later, said(order)).code is Code.BROKER_MAY_ANSWER, "the process before may just have sent it"
    later.wait(2 * SETTLES)
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


def younger(desk: Desk) -> None:
    """The broker's day begins: its books know nothing from before."""
    far(desk).exchange.opened = desk.now
    far(desk).exchange.executions.clear()


def exit_that_waited() -> tuple[Desk, Order]:
    """An exit that was wanted while the line was away, and went when it was back: the books began in between."""
    desk = holding()
    drop(desk)
    order = close(desk)
    desk.wait(60)
    younger(desk)
    desk.wait(60)
    raise_line(desk)
    read(desk)
    desk.listen()
    assert far(desk).handed[-1] == order.id
    return desk, desk.state.orders[order.id]


async def test_an_exit_that_is_on_its_way_is_nobodys_to_settle_though_it_is_older_than_the_books() -> None:
    desk, order = exit_that_waited()
    read(desk)
    assert refused(desk, said(order)).code is Code.NOT_IN_DOUBT
    calm(desk)
    far(desk).fill(order.id, price="4.40")
    calm(desk)
    assert (desk.position.quantity, desk.state.orders[order.id].state) == (0, OrderState.FILLED)


async def test_an_exit_that_was_just_handed_over_is_not_settled_and_not_sold_twice() -> None:
    desk = holding()
    order = close(desk)
    far(desk).exchange.opened = desk.now.replace(microsecond=1)
    read(desk)
    assert refused(desk, said(order)).code is Code.NOT_IN_DOUBT
    assert not desk.command(ClosePosition(by="desk", position=desk.position.id)).ok
    calm(desk)
    far(desk).fill(order.id, price="4.40")
    calm(desk)
    assert (far(desk).exchange.net(order.contract.osi), desk.position.quantity) == (0, 0)


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_exit_that_was_lost_in_the_time_of_the_books_is_sent_anew(restarted: bool) -> None:
    """However long it had waited before it went; and after a restart, too, when it went is known."""
    desk, order = exit_that_waited()
    far(desk).sent.clear()
    if restarted:
        desk = await again(desk)
        raise_line(desk)
    desk.wait(2 * SETTLES)
    read(desk)
    desk.wait(2 * SETTLES)
    read(desk)
    assert desk.state.orders[order.id].state is OrderState.CANCELLED
    assert desk.order.id != order.id
    assert far(desk).handed[-1] == desk.order.id
    await rebuilt(desk)


async def test_one_that_went_after_the_books_began_but_was_noted_before_is_a_persons() -> None:
    """Nobody knows that it went later: nothing is sent anew by itself."""
    desk = holding()
    order = close(desk)
    far(desk).sent.clear()
    desk.wait(1)
    younger(desk)
    desk.wait(2 * SETTLES)
    read(desk)
    desk.wait(2 * SETTLES)
    read(desk)
    assert (desk.order.id, desk.order.state) == (order.id, OrderState.UNKNOWN)
    assert desk.command(said(order)).ok


def settled_anew(desk: Desk, order: Order) -> None:
    """It was spoken of: only whole books that were read since let a person speak again."""
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER
    read(desk)
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER, "more of it may be on its way"
    desk.wait(2 * SETTLES)
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER, "time alone is no answer"
    read(desk)
    assert desk.command(said(order)).ok


def twice(order: Order, desk: Desk) -> BrokerWord:
    """Its first execution, told again."""
    return Filled(
        order=order.id, at=desk.now, execution=order.executions[0], quantity=1, price=Decimal("2.10"), fees=Decimal(0),
        slippage=Decimal(0), quote=Quote(bid=None, ask=None, at=desk.now, source="far"),
    )  # fmt: skip


def strange(order: Order, desk: Desk) -> BrokerWord:
    """An execution that names it and is said to be nobody's of ours."""
    execution = BrokerExecution(
        execution="x1", order=order.id, at=desk.now, what=order.contract.osi, side=order.side, quantity=1,
        price=Decimal("2.10"), fees=Decimal(0),
    )  # fmt: skip
    return ForeignFilled(at=desk.now, execution=execution)


def accepted(order: Order, desk: Desk) -> BrokerWord:
    return Accepted(order=order.id, at=desk.now)


@pytest.mark.parametrize("word", [accepted, twice, strange])
@pytest.mark.parametrize("asked_before", [False, True])
async def test_a_word_of_it_takes_it_from_a_person_until_the_books_were_read_again(
    word: Callable[[Order, Desk], BrokerWord], asked_before: bool
) -> None:
    """Even one that is no news, and books that were asked for before it do not count."""
    desk = met()
    sent(desk)
    far(desk).fill(desk.order.id, 1, "2.10")
    calm(desk)
    order = old(desk)
    asked, books = desk.journey.question(), far(desk).books()
    desk.journey.live.ask = False
    for _ in range(2):
        desk.say(word(order, desk))
    assert desk.journey.live.ask, "the books are asked for at once"
    if asked_before:
        desk.reconcile(books, asked)
    settled_anew(desk, order)


@pytest.mark.parametrize("filled", [0, 1])
async def test_books_in_part_that_show_it_take_it_from_a_person(filled: int) -> None:
    """At work, or filled as no execution says."""
    desk = holding()
    close(desk)
    calm(desk)
    booked = far(desk).exchange.orders[desk.order.id]
    order = old(desk)
    booked.filled = filled
    far(desk).exchange.orders[order.id] = booked
    far(desk).hidden = frozenset({"executions"})
    read(desk)
    if not filled:
        assert desk.state.orders[order.id].state is OrderState.WORKING
        far(desk)._cancel(order.id)
        far(desk).hear()
        desk.listen()
    assert desk.state.orders[order.id].state is OrderState.UNKNOWN
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER
    far(desk).exchange.orders.pop(order.id)
    read(desk)
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER, "those books are not whole"
    far(desk).hidden = frozenset()
    desk.wait(2 * SETTLES)
    read(desk)
    assert desk.command(said(order)).ok


async def test_an_exit_whose_cancel_is_said_before_its_fill_is_not_sold_twice() -> None:
    desk = holding()
    order = close(desk)
    calm(desk)
    exchange = far(desk).exchange
    booked, bought = exchange.orders[order.id], list(exchange.executions)
    old(desk)
    exchange.orders[order.id], exchange.executions[:] = booked, bought
    far(desk).hidden = frozenset({"completed"})
    read(desk)
    far(desk).fill(order.id, 1, "4.40")
    far(desk)._cancel(order.id)
    far(desk).hear(len(far(desk).words) - 1)
    desk.listen()
    assert desk.state.orders[order.id].state is OrderState.UNKNOWN
    assert refused(desk, said(order)).code is Code.BROKER_MAY_ANSWER
    assert not desk.command(ClosePosition(by="desk", position=desk.position.id)).ok
    calm(desk)
    assert exchange.net(order.contract.osi) == desk.position.quantity == 1


async def test_a_part_that_a_person_tells_adds_to_the_orders_bill() -> None:
    """The least commission counts once."""
    desk = met()
    sent(desk)
    far(desk).fill(desk.order.id, 1, "2.10")
    calm(desk)
    order = old(desk)
    table, day = desk.journey.world.fees, new_york_day(order.created)
    whole = fees(table, day, order.side, 2, Decimal("2.10"))
    one = fees(table, day, order.side, 1, Decimal("2.10"))
    assert desk.command(said(order, quantity=1, price=Decimal("2.10"))).ok
    charged = desk.last(ev.OrderFilled).fees
    assert desk.last(ev.OrderSettledByHand).fees == charged
    assert charged == whole - order.fees
    assert charged < one, "the minimum would have counted twice"


async def test_the_fees_are_those_of_the_orders_day_in_new_york() -> None:
    """A person speaks in the evening, when the date of UTC is tomorrow's already, and so are its fees."""
    desk, order = entry()
    world = desk.journey.world
    today = new_york_day(order.created)
    dearer = tuple(
        msgspec.structs.replace(row, rate=row.rate + 5, valid_from=today + timedelta(days=1))
        for row in world.fees.in_force(today)
    )
    desk.journey.world = replace(world, fees=FeeTable(rows=(*dearer, *world.fees.rows)))
    desk.wait(8 * 3600)
    read(desk)
    assert desk.now.date() > today
    assert desk.command(said(order, quantity=1, price=Decimal("2.10"))).ok
    assert desk.last(ev.OrderFilled).fees == fees(world.fees, today, order.side, 1, Decimal("2.10"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reason": "  "}, Code.REASON_MISSING),
        ({"quantity": -1}, Code.BAD_QUANTITY),
        ({"quantity": 99, "price": Decimal(1)}, Code.BAD_QUANTITY),
        ({"quantity": 1}, Code.BAD_FIELD),
        ({"price": Decimal(1)}, Code.BAD_FIELD),
        ({"fees": Decimal("1.50")}, Code.BAD_FIELD),
        ({"fees": Decimal(0)}, Code.BAD_FIELD),
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
