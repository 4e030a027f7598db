"""A broker outside this process: its line breaks, its words are late, its books are read, and nothing is sold twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from engine.domain import events as ev
from engine.domain.commands import Approve, CancelOrder, ClosePosition, HaltTrading, OpenTicket
from engine.domain.entities import Order
from engine.domain.values import Code, OrderState, Policy, Side
from engine.ports import Accepted, Cancelled, Disconnected, Evidence, Filled, ForeignFilled
from engine.state import KINDS, State
from tests.builders_journey import Desk
from tests.fakes.far_broker import SETTLES, FarBroker
from tests.unit.journey.test_recovery import the_same

CALL = "SPY261125C00600000"


def far(desk: Desk) -> FarBroker:
    assert isinstance(desk.broker, FarBroker)
    return desk.broker


def met(policy: Policy = Policy.AUTO_PAPER) -> Desk:
    """A desk that has met its broker and read its books."""
    desk = Desk(policy=policy, far=True)
    raise_line(desk)
    read(desk)
    return desk


def raise_line(desk: Desk) -> None:
    far(desk).raise_line()
    desk.listen()


def drop(desk: Desk) -> None:
    far(desk).drop("1100")
    desk.listen()


def read(desk: Desk) -> None:
    desk.reconcile(far(desk).books())


def calm(desk: Desk) -> None:
    """What is sent arrives, what is said is heard."""
    while far(desk).sent or far(desk).words:
        far(desk).calm()
        desk.listen()


def sent(desk: Desk) -> Order:
    """An entry that has reached the broker."""
    desk.signal("240")
    desk.signal("60")
    calm(desk)
    return desk.order


def holding(quantity: int = 2) -> Desk:
    """A desk that holds what it bought; nothing is in doubt."""
    desk = met()
    order = sent(desk)
    assert order.quantity == quantity
    far(desk).fill(order.id, price="4.00")
    calm(desk)
    assert desk.position.quantity == quantity
    return desk


def close(desk: Desk, quantity: int | None = None) -> Order:
    assert desk.command(ClosePosition(by="desk", position=desk.position.id, quantity=quantity)).ok
    return desk.order


async def again(desk: Desk, after: float = 1.0) -> Desk:
    """Our process died; the exchange did not."""
    broker = FarBroker(desk.clock, far(desk).exchange)
    later = await desk.again(after=after, broker=broker)
    broker.clock = later.clock
    return later


# --- the start ----------------------------------------------------------------------------------------------------------


async def test_before_the_books_are_read_no_risk_is_added_and_the_refusal_says_why() -> None:
    desk = Desk(far=True)
    assert desk.facts(ev.BrokerDisconnected)[0].reason == "the engine started"
    desk.signal("240")
    desk.signal("60")
    assert desk.denied == ("BROKER_AWAY", "guard")
    assert "line=no line" in desk.last(ev.EntryDenied).refusal.text
    raise_line(desk)
    done = desk.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="x"))
    assert done.refusal is not None
    assert (done.refusal.code, done.refusal.numbers["line"]) == (Code.BROKER_AWAY, "books not read")
    assert far(desk).handed == []
    read(desk)
    assert desk.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="x", approve=True)).ok
    assert far(desk).handed == [desk.order.id]


async def test_a_ticket_that_waits_stays_open_while_the_broker_is_away() -> None:
    desk = met(Policy.MANUAL)
    ticket = desk.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="x")).created
    drop(desk)
    done = desk.command(Approve(by="http", ticket=ticket))
    assert done.refusal is not None
    assert done.refusal.code is Code.BROKER_AWAY
    assert desk.ticket.state == "PENDING"
    raise_line(desk)
    read(desk)
    assert desk.command(Approve(by="http", ticket=ticket)).ok


async def test_books_that_are_not_whole_do_not_open_the_line() -> None:
    desk = Desk(far=True)
    raise_line(desk)
    for part in ("open_orders", "completed", "executions"):
        far(desk).hidden = frozenset({part})
        read(desk)
        assert not desk.journey.ready
    far(desk).hidden = frozenset()
    read(desk)
    assert desk.journey.ready


async def test_an_answer_from_before_the_line_broke_again_does_not_open_it() -> None:
    desk = Desk(far=True)
    raise_line(desk)
    asked, books = desk.journey.question(), far(desk).books()
    drop(desk)
    raise_line(desk)
    desk.reconcile(books, asked)
    assert not desk.journey.ready
    read(desk)
    assert desk.journey.ready


async def test_a_ledger_whose_orders_are_at_one_broker_opens_at_no_other() -> None:
    desk = met()
    with pytest.raises(ValueError, match="are at far, not at paper"):
        await desk.again(after=1.0)


async def test_what_is_known_of_the_line_is_the_same_from_rows_and_from_facts() -> None:
    desk = holding()
    drop(desk)
    raise_line(desk)
    far(desk).execute_for_another("x1", "AAPL", Side.BUY, 100)
    read(desk)
    loaded = State.load(await desk.ledger.projections(KINDS), desk.ledger.head.seq, desk.ledger.head.at)
    folded = State()
    async for fact in desk.ledger.facts():
        folded.apply(fact)
    assert the_same(loaded, desk.state)
    assert the_same(folded, desk.state)
    assert loaded.link == folded.link == desk.state.link


# --- entries ------------------------------------------------------------------------------------------------------------


async def test_what_filled_while_the_line_was_broken_is_adopted_once() -> None:
    desk = met()
    order = sent(desk)
    drop(desk)
    assert desk.order.state is OrderState.UNKNOWN
    far(desk).fill(order.id, price="4.00")
    raise_line(desk)
    read(desk)
    assert (desk.order.state, desk.position.quantity, desk.position.entry) == ("FILLED", 2, Decimal("4.00"))
    assert desk.last(ev.BrokerReconciled).adopted == 1
    account = desk.state.account
    assert account is not None
    assert account.cash == Decimal(100_000) - 800 - Decimal("1.30")
    read(desk)
    (execution,) = far(desk).exchange.executions
    quote = desk.last(ev.OrderFilled).quote
    desk.say(
        Filled(
            order=order.id, at=desk.now, execution=execution.execution, quantity=2, price=Decimal(4), fees=Decimal(0),
            slippage=Decimal(0), quote=quote,
        )
    )  # fmt: skip
    assert len(desk.facts(ev.OrderFilled)) == 1
    assert quote.mid is None, "nobody knows the quote it met"


async def test_an_acknowledgement_from_before_the_gap_settles_no_doubt() -> None:
    desk = met()
    order = sent(desk)
    drop(desk)
    raise_line(desk)
    desk.say(Accepted(order=order.id, at=desk.now))
    assert desk.order.state is OrderState.UNKNOWN
    read(desk)
    assert desk.order.state is OrderState.WORKING


async def test_an_entry_lost_on_the_way_is_cancelled_once_it_cannot_be_on_its_way() -> None:
    desk = met()
    desk.signal("240")
    desk.signal("60")
    assert (desk.order.state, far(desk).handed) == (OrderState.SUBMITTING, [desk.order.id])
    drop(desk)
    raise_line(desk)
    read(desk)
    assert desk.order.state is OrderState.UNKNOWN
    assert desk.last(ev.BrokerReconciled).unresolved == (desk.order.id,)
    assert desk.journey.ready, "one doubt does not stop the rest"
    desk.wait(SETTLES)
    read(desk)
    assert desk.order.state is OrderState.CANCELLED
    assert desk.last(ev.OrderCancelled).reason == "never arrived at the broker"
    assert far(desk).handed == [desk.order.id]


async def test_an_order_on_its_way_is_not_lost_by_a_clock_that_leaps() -> None:
    """The exchange skips closed hours, or its clock is set forward: what was sent is still on its way."""
    desk = met()
    desk.signal("240")
    desk.signal("60")
    order = desk.order
    desk.clock.leap(desk.now + timedelta(seconds=60))
    desk.look()
    assert desk.order.state is OrderState.SUBMITTING, "nobody had the time to answer"
    read(desk)
    assert desk.order.state is OrderState.SUBMITTING
    on_its_way = far(desk).sent[:]
    drop(desk)
    raise_line(desk)
    desk.clock.leap(desk.now + timedelta(seconds=60))
    read(desk)
    assert desk.order.state is OrderState.UNKNOWN
    far(desk).sent[:0] = on_its_way  # it had left before the line broke
    far(desk).arrive()
    read(desk)
    assert (desk.order.id, desk.order.state) == (order.id, OrderState.WORKING)


async def test_after_a_start_the_wait_begins_anew_with_the_line() -> None:
    desk = met()
    desk.signal("240")
    desk.signal("60")
    desk.wait(SETTLES - 0.1)
    later = await again(desk, after=3600)
    later.wait(2 * SETTLES)  # without a line
    raise_line(later)
    read(later)
    later.wait(SETTLES - 0.1)
    read(later)
    assert later.order.state is OrderState.UNKNOWN
    later.wait(0.1)
    read(later)
    assert later.order.state is OrderState.CANCELLED


async def test_an_order_in_doubt_at_two_starts_waits_anew_each_time() -> None:
    desk = met()
    desk.signal("240")
    desk.signal("60")
    drop(desk)
    later = await again(desk, after=3600)
    raise_line(later)
    read(later)
    assert later.order.state is OrderState.UNKNOWN
    later.wait(SETTLES)
    read(later)
    assert later.order.state is OrderState.CANCELLED


async def test_an_order_that_gets_no_word_is_in_doubt_although_the_line_never_broke() -> None:
    desk = met()
    desk.signal("240")
    desk.signal("60")
    far(desk).arrive()
    far(desk).words.clear()
    desk.wait(SETTLES - 0.1)
    assert desk.order.state is OrderState.SUBMITTING
    desk.wait(0.1)
    assert desk.order.state is OrderState.UNKNOWN
    read(desk)
    assert desk.order.state is OrderState.WORKING


async def test_an_order_handed_over_before_a_crash_is_settled_by_the_books_alone() -> None:
    desk = met()
    order = sent(desk)
    far(desk).fill(order.id, 1, "4.00")
    later = await again(desk)
    assert later.order.state is OrderState.UNKNOWN
    assert far(later).handed == []
    raise_line(later)
    read(later)
    assert (later.order.state, later.position.quantity) == (OrderState.PARTIALLY_FILLED, 1)
    far(later).fill(order.id, 1, "4.00")
    calm(later)
    assert (later.order.state, later.position.quantity) == ("FILLED", 2)
    assert len(later.state.positions) == 1


async def test_a_part_filled_while_in_doubt_leaves_the_rest_in_doubt() -> None:
    desk = met()
    order = sent(desk)
    drop(desk)
    raise_line(desk)
    far(desk).fill(order.id, 1, "4.00")
    calm(desk)
    assert (desk.order.state, desk.order.filled) == (OrderState.UNKNOWN, 1)


async def test_one_that_works_though_it_was_over_is_taken_back() -> None:
    desk = met()
    order = sent(desk)
    desk.say(Cancelled(order=order.id, at=desk.now, reason="by mistake"))
    assert desk.order.state is OrderState.CANCELLED
    read(desk)
    assert desk.order.state is OrderState.UNKNOWN
    assert desk.last(ev.OrderReappeared).was == "CANCELLED"
    calm(desk)
    read(desk)
    assert desk.order.state is OrderState.CANCELLED
    assert not far(desk).exchange.orders[order.id].works


# --- exits --------------------------------------------------------------------------------------------------------------


async def test_an_exit_waits_for_the_line_and_goes_first_at_the_price_of_then() -> None:
    desk = holding()
    drop(desk)
    order = close(desk)
    desk.wait(30, vol=0.10)
    assert (desk.order.id, desk.order.state, desk.order.attempts) == (order.id, OrderState.APPROVED, 0)
    assert order.id not in far(desk).handed
    raise_line(desk)
    assert order.id not in far(desk).handed
    read(desk)
    assert far(desk).handed[-1] == order.id
    bid = desk.market.option(desk.position.contract)
    assert bid is not None
    assert bid.bid is not None
    assert desk.order.limit is not None
    assert desk.order.limit < bid.bid
    assert desk.order.limit != order.limit


async def test_an_exit_that_waits_can_be_taken_back_without_the_broker() -> None:
    desk = holding()
    drop(desk)
    order = close(desk)
    assert desk.command(CancelOrder(by="desk", order=order.id)).ok
    assert desk.order.state is OrderState.CANCELLED
    raise_line(desk)
    read(desk)
    assert order.id not in far(desk).handed


async def test_all_of_it_is_wanted_while_a_part_waits_for_the_line() -> None:
    desk = holding()
    drop(desk)
    part = close(desk, 1)
    whole = close(desk)
    assert (desk.state.orders[part.id].state, whole.quantity) == (OrderState.CANCELLED, 2)


async def test_no_second_exit_is_sent_while_the_first_is_in_doubt() -> None:
    desk = holding()
    order = close(desk)
    calm(desk)
    drop(desk)
    raise_line(desk)
    assert desk.state.orders[order.id].state is OrderState.UNKNOWN
    done = desk.command(ClosePosition(by="desk", position=desk.position.id))
    assert done.refusal is not None
    assert (done.refusal.code, done.refusal.numbers["state"]) == (Code.ALREADY_CLOSING, "UNKNOWN")
    far(desk).fill(order.id, price="4.10")
    read(desk)
    assert desk.position.quantity == 0
    assert far(desk).handed.count(order.id) == 1


async def test_a_cancel_is_confirmed_while_a_fill_is_on_its_way_and_the_fill_wins() -> None:
    """The word says cancelled; the books know an execution that we have not heard of. Nothing is sold twice."""
    desk = holding()
    order = close(desk)
    calm(desk)
    far(desk).fill(order.id, 1, "4.10")
    desk.command(CancelOrder(by="desk", order=order.id))
    far(desk).arrive()
    far(desk).hear(1)  # the cancel is heard before the fill
    desk.listen()
    assert desk.order.state is OrderState.UNKNOWN
    assert not desk.command(ClosePosition(by="desk", position=desk.position.id)).ok
    read(desk)
    assert (desk.order.state, desk.order.filled, desk.position.quantity) == (OrderState.CANCELLED, 1, 1)
    rest = close(desk)
    assert rest.quantity == 1
    calm(desk)
    assert len(desk.facts(ev.OrderFilled)) == 2


async def test_an_exit_that_never_arrived_is_asked_for_anew() -> None:
    desk = holding()
    order = close(desk)
    drop(desk)
    raise_line(desk)
    read(desk)
    assert far(desk).handed.count(order.id) == 1
    desk.wait(SETTLES)
    read(desk)
    assert desk.state.orders[order.id].state is OrderState.CANCELLED
    assert (desk.order.id != order.id, desk.order.quantity, desk.order.exit_reason) == (True, 2, order.exit_reason)
    assert far(desk).handed[-1] == desk.order.id


async def test_an_exit_that_was_lost_in_a_crash_is_asked_for_anew() -> None:
    desk = holding()
    order = close(desk)
    later = await again(desk)
    raise_line(later)
    later.wait(SETTLES)
    read(later)
    assert later.state.orders[order.id].state is OrderState.CANCELLED
    assert far(later).handed == [later.order.id]
    calm(later)
    far(later).fill(later.order.id, price="4.00")
    calm(later)
    assert later.position.quantity == 0


async def test_a_cancel_that_was_lost_with_the_line_is_sent_again() -> None:
    desk = holding()
    order = close(desk)
    calm(desk)
    desk.command(CancelOrder(by="desk", order=order.id))
    drop(desk)
    raise_line(desk)
    read(desk)
    calm(desk)
    assert not far(desk).exchange.orders[order.id].works


async def test_an_expired_contract_is_not_settled_while_an_exit_of_it_may_have_filled() -> None:
    desk = holding()
    expiry = desk.position.contract.expiry
    close_ = datetime(expiry.year, expiry.month, expiry.day, 21, 0, tzinfo=UTC)
    desk.until(close_ - timedelta(minutes=1))
    order = desk.order
    assert order.side is Side.SELL
    calm(desk)
    drop(desk)
    desk.market.put_close("SPY", expiry, Decimal(610))
    desk.until(close_ + timedelta(hours=1))
    assert (desk.order.id, desk.order.state) == (order.id, OrderState.UNKNOWN)
    assert not desk.facts(ev.ContractSettled)
    far(desk).fill(order.id, 1, "4.10")
    far(desk).expire(order.id)
    raise_line(desk)
    read(desk)
    desk.look()
    assert (desk.last(ev.ContractSettled).quantity, desk.order.state) == (1, OrderState.EXPIRED)
    assert not desk.state.open_positions


# --- the kill switch ----------------------------------------------------------------------------------------------------


async def test_a_halt_outlives_a_crash_with_an_entry_in_doubt_and_takes_it_back() -> None:
    desk = met()
    order = sent(desk)
    desk.command(HaltTrading(by="desk", reason="enough", flatten=True))
    far(desk).sent.clear()  # the cancel is lost
    later = await again(desk)
    halt = later.state.halt
    assert halt is not None
    assert (halt.latched, halt.flatten) == (True, True)
    raise_line(later)
    read(later)
    later.wait(3)
    far(later).arrive(5)
    assert far(later).exchange.orders[order.id].state is OrderState.CANCELLED
    calm(later)
    assert later.state.orders[order.id].state is OrderState.CANCELLED


async def test_what_a_halted_entry_had_bought_meanwhile_is_flattened() -> None:
    desk = met()
    order = sent(desk)
    desk.command(HaltTrading(by="desk", reason="enough", flatten=True))
    far(desk).sent.clear()
    far(desk).fill(order.id, price="4.00")
    later = await again(desk)
    raise_line(later)
    read(later)
    later.wait(1)
    calm(later)
    assert later.order.side is Side.SELL
    assert far(later).handed == [later.order.id]


# --- what is not ours ---------------------------------------------------------------------------------------------------


async def test_what_others_trade_in_the_account_is_recorded_once_and_not_counted() -> None:
    desk = holding()
    account = desk.state.account
    far(desk).execute_for_another("x1", "AAPL", Side.BUY, 100)
    for _ in range(2):
        read(desk)
        desk.say(ForeignFilled(at=desk.now, execution=far(desk).exchange.executions[-1]))
    (fact,) = desk.facts(ev.ForeignExecutionSeen)
    assert (fact.execution, fact.what, fact.quantity, fact.why) == ("x1", "AAPL", 100, "not ours")
    assert desk.state.account == account
    assert desk.state.halt is None, "somebody may trade by phone"


async def test_executions_that_our_own_order_cannot_explain_halt_trading() -> None:
    desk = holding()
    (mine,) = far(desk).exchange.executions
    far(desk).execute_for_another("x2", mine.what, Side.BUY, 1, order=mine.order)
    read(desk)
    (fact,) = desk.facts(ev.ForeignExecutionSeen)
    assert fact.why == "more than was ordered"
    halt = desk.state.halt
    assert halt is not None
    assert halt.latched
    assert desk.position.quantity == 2


async def test_an_execution_said_of_another_order_this_time_counts_once() -> None:
    desk = holding()
    first = desk.order.id
    exit_ = close(desk)
    fill = desk.last(ev.OrderFilled)
    desk.say(
        Filled(
            order=exit_.id, at=desk.now, execution=fill.execution, quantity=1, price=Decimal(4), fees=Decimal(0),
            slippage=Decimal(0), quote=fill.quote,
        )
    )  # fmt: skip
    assert desk.position.quantity == 2
    assert first != exit_.id


async def test_a_word_about_an_order_we_do_not_know_asks_for_the_books() -> None:
    desk = met()
    desk.journey.live.ask = False
    desk.say(Accepted(order="O999", at=desk.now))
    assert desk.journey.live.ask


async def test_a_broker_in_this_process_has_no_line() -> None:
    desk = Desk()
    with pytest.raises(TypeError, match="no Disconnected"):
        desk.say(Disconnected(at=desk.now, reason="1100"))


async def test_orders_of_others_are_shown_once() -> None:
    desk = met()
    order = sent(desk)
    strange = far(desk).exchange.orders[order.id].seen()
    far(desk).exchange.strangers = [
        type(strange)(order="", broker_id="1", what="AAPL", side=Side.BUY, quantity=5, filled=0, state=strange.state)
    ]
    read(desk)
    read(desk)
    assert [fact.what for fact in desk.facts(ev.ForeignOrderSeen)] == ["AAPL"]


def test_books_are_whole_only_with_every_part() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    whole = Evidence(since=now, open_orders=(), completed=(), executions=())
    assert whole.complete
    assert not Evidence(since=now, open_orders=(), completed=(), executions=None).complete
