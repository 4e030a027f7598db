"""Recovery: after a crash the ledger alone says what was, and nothing is done twice or forgotten."""

from __future__ import annotations

from decimal import Decimal

from engine.domain import events as ev
from engine.domain.commands import Approve, ClosePosition, OpenTicket
from engine.domain.values import OrderState, Policy, Purpose, Side
from engine.journey.ordering import Intent, intend
from engine.ports import Accepted
from engine.state import KINDS, State
from tests.builders_journey import Desk, HandBroker
from tests.unit.journey.test_ordering import filled

CALL = "SPY261125C00600000"


def the_same(a: State, b: State) -> bool:
    """Equal in content and in order: what is walked through in order must come in the same one."""
    pairs = [
        (a.account, b.account),
        (a.halt, b.halt),
        (a.boards, b.boards),
        (list(a.tickets.items()), list(b.tickets.items())),
        (list(a.orders.items()), list(b.orders.items())),
        (list(a.positions.items()), list(b.positions.items())),
        (list(a.heard.items()), list(b.heard.items())),
        (set(a.open_orders), set(b.open_orders)),
        (set(a.open_positions), set(b.open_positions)),
        (set(a.pending_tickets), set(b.pending_tickets)),
        (a.last_seq, b.last_seq),
        (a.last_at, b.last_at),
    ]
    return all(one == other for one, other in pairs)


async def test_the_state_of_the_rows_is_the_state_of_the_facts() -> None:
    desk = Desk()
    desk.bought()
    desk.wait(30)
    desk.command(OpenTicket(by="x", contract=CALL, quantity=1, reason="x"))
    desk.wait(61)
    desk.signal("240", "SHORT", late=1)
    desk.command(ClosePosition(by="x", position=next(iter(desk.state.positions)), quantity=1))
    loaded = State.load(await desk.ledger.projections(KINDS), desk.ledger.head.seq, desk.ledger.head.at)
    assert the_same(loaded, desk.state)
    folded = State()
    async for fact in desk.ledger.facts():
        folded.apply(fact)
    assert the_same(folded, desk.state)


async def test_an_intent_that_was_never_handed_over_is_cancelled_and_not_sent_late() -> None:
    desk = Desk()
    desk.bought()
    position = desk.position
    step = desk.journey.step()
    entry = intend(step, 1, Intent(position.contract, Side.BUY, 1, Decimal("5.00"), Purpose.ENTRY, ticket="T10"))
    exit_ = intend(
        step, 1, Intent(position.contract, Side.SELL, 2, Decimal("4.00"), Purpose.EXIT, position=position.id)
    )
    desk.player._keep(step)
    broker = HandBroker()
    later = await desk.again(after=5, broker=broker)
    for order in (entry, exit_):
        assert later.state.orders[order.id].state is OrderState.CANCELLED
    assert [fact.reason for fact in later.facts(ev.OrderCancelled)] == ["not sent before the engine stopped"] * 2
    assert broker.submitted == []
    assert later.command(ClosePosition(by="desk", position=position.id)).ok


async def test_an_order_that_was_handed_over_stays_open_and_is_restored_at_the_broker() -> None:
    desk = Desk(broker=HandBroker())
    desk.signal("240")
    desk.signal("60")
    order = desk.order
    desk.say(Accepted(order=order.id, at=desk.now), filled(desk, order, 1))
    broker = HandBroker()
    later = await desk.again(after=5, broker=broker)
    assert broker.restored == [order.id]
    assert broker.submitted == []
    later.say(filled(later, later.order, 1), filled(later, order, 1))
    assert (later.order.state, later.position.quantity) == ("FILLED", 2)
    assert len(later.state.positions) == 1


async def test_a_receipt_that_was_kept_but_not_weighed_is_weighed_after_the_restart() -> None:
    desk = Desk()
    desk.signal("240")
    fact = desk.hear(desk.body("60"))
    later = await desk.again(after=20)
    assert later.journey.unweighed() == [fact.seq]
    later.weigh(fact)
    assert later.journey.unweighed() == []
    assert later.ticket.trigger == fact.seq
    assert later.position.quantity == 2


async def test_a_ticket_is_still_waiting_after_a_restart_and_runs_out_at_its_time() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    later = await desk.again(after=30)
    assert later.ticket.state == "PENDING"
    too_late = await later.again(after=91)
    assert too_late.ticket.state == "EXPIRED"
    assert not too_late.command(Approve(by="http", ticket=too_late.ticket.id)).ok


async def test_a_ticket_that_waits_may_be_approved_after_a_restart() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    later = await desk.again(after=30)
    assert later.command(Approve(by="http", ticket=later.ticket.id)).ok
    assert later.ticket.state == "APPROVED"


async def test_what_expired_while_nobody_looked_is_applied_before_anything_else_and_time_never_goes_back() -> None:
    desk = Desk()
    desk.bought()
    later = await desk.again(after=2 * 3600)
    assert later.kinds()[:3] == ["EngineStarted", "InputsExpired", "DecisionMade"]
    assert later.last(ev.DecisionMade).by == "expiry"
    times = [fact.at for fact in later.player.facts]
    assert times == sorted(times)


async def test_the_same_contract_is_still_asked_about_after_a_restart_although_older_orders_were_touched_later() -> (
    None
):
    desk = Desk()
    desk.command(OpenTicket(by="x", contract=CALL, quantity=1, limit=Decimal("5.00"), reason="x", approve=True))
    desk.wait(61)
    desk.command(OpenTicket(by="x", contract="SPY261125C00604000", quantity=1, reason="x", approve=True))
    desk.wait(30)
    assert desk.state.orders[next(iter(desk.state.orders))].state == "CANCELLED"
    later = await desk.again(after=5)
    later.command(OpenTicket(by="x", contract="SPY261125C00604000", quantity=1, reason="x"))
    assert any("DUPLICATE_ENTRY" in note for note in later.ticket.notes)


async def test_the_account_is_opened_once() -> None:
    desk = Desk()
    later = await desk.again(after=5)
    assert later.kinds() == ["EngineStarted"]
    assert later.state.account == desk.state.account
