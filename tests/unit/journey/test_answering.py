"""Answer: close, cancel, halt and resume; what may not be done is refused with its numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain import events as ev
from engine.domain.commands import Approve, CancelOrder, ClosePosition, Command, HaltTrading, OpenTicket, ResumeTrading
from engine.domain.values import Code, Policy
from engine.journey import answering
from tests.builders_journey import Desk, HandBroker


def code_of(desk: Desk, command: Command) -> Code | None:
    done = desk.command(command)
    return done.refusal.code if done.refusal is not None else None


async def test_a_position_is_closed_whole_by_hand() -> None:
    desk = Desk()
    position = desk.bought()
    done = desk.command(ClosePosition(by="desk", position=position.id))
    assert done.ok
    assert desk.closed()[0][0] == "MANUAL"
    assert (desk.position.quantity, desk.order.purpose, desk.order.quantity) == (0, "EXIT", 2)
    assert desk.state.open_positions == {}
    assert desk.journey.live.marks == {}


async def test_a_part_is_closed_and_the_rest_is_held() -> None:
    desk = Desk()
    position = desk.bought()
    assert desk.command(ClosePosition(by="desk", position=position.id, quantity=1)).ok
    assert (desk.position.quantity, desk.position.sold, desk.position.closed) == (1, 1, None)
    assert code_of(desk, ClosePosition(by="desk", position=position.id, quantity=2)) is Code.BAD_QUANTITY
    assert code_of(desk, ClosePosition(by="desk", position=position.id, quantity=0)) is Code.BAD_QUANTITY


async def test_only_one_closer_works_at_a_time_and_never_more_than_is_held() -> None:
    desk = Desk()
    position = desk.bought()
    desk.quote(position.contract, None, "9.99")
    assert desk.command(ClosePosition(by="desk", position=position.id)).ok
    assert code_of(desk, ClosePosition(by="http", position=position.id)) is Code.ALREADY_CLOSING
    assert [order.purpose for order in desk.state.open_orders.values()] == ["EXIT"]


async def test_all_of_it_is_closed_although_a_smaller_exit_works_once_that_is_taken_back() -> None:
    desk = Desk()
    position = desk.bought()
    desk.quote(position.contract, None, "9.99")
    assert desk.command(ClosePosition(by="desk", position=position.id, quantity=1)).ok
    smaller = desk.order
    assert desk.command(ClosePosition(by="http", position=position.id)).ok
    assert desk.state.orders[smaller.id].state == "CANCELLED"
    assert [(o.quantity, o.purpose) for o in desk.state.open_orders.values()] == [(position.quantity, "EXIT")]


async def test_what_is_not_open_cannot_be_closed_or_cancelled() -> None:
    desk = Desk()
    assert code_of(desk, ClosePosition(by="desk", position="P9")) is Code.POSITION_UNKNOWN
    assert code_of(desk, CancelOrder(by="desk", order="O9")) is Code.ORDER_UNKNOWN
    assert desk.last(ev.CommandRefused).target == "O9"
    desk.bought()
    assert code_of(desk, CancelOrder(by="desk", order=desk.order.id)) is Code.ORDER_UNKNOWN


async def test_closing_takes_the_rest_of_the_entry_back_first() -> None:
    desk = Desk({"account.cash": "1000000"}, policy=Policy.MANUAL)
    desk.market.size = 1
    desk.market.price(desk.now)
    desk.signal("240", contracts=4)
    desk.signal("60", contracts=4)
    desk.command(Approve(by="http", ticket=desk.ticket.id))
    entry = desk.order
    assert (entry.state, entry.filled, entry.remaining) == ("PARTIALLY_FILLED", 1, 4)
    desk.command(ClosePosition(by="desk", position=desk.position.id))
    assert desk.state.orders[entry.id].state == "CANCELLED"
    assert (desk.position.quantity, desk.position.bought) == (0, 1)


async def test_a_working_order_is_cancelled_by_hand() -> None:
    desk = Desk()
    call = "SPY261125C00600000"
    desk.command(OpenTicket(by="x", contract=call, quantity=1, limit=Decimal("5.00"), reason="x", approve=True))
    order = desk.order
    assert order.state == "WORKING"
    assert desk.command(CancelOrder(by="desk", order=order.id)).ok
    assert desk.order.state == "CANCELLED"


async def test_a_halt_blocks_entries_cancels_working_ones_and_lets_exits_pass() -> None:
    desk = Desk()
    position = desk.bought()
    desk.wait(61)
    call = "SPY261125C00600000"
    desk.command(OpenTicket(by="x", contract=call, quantity=1, limit=Decimal("5.00"), reason="x", approve=True))
    resting = desk.order
    done = desk.command(HaltTrading(by="desk", reason="news"))
    halt = desk.last(ev.TradingHalted)
    assert (done.ok, done.seq, halt.flatten) == (True, halt.seq, False)
    assert desk.state.orders[resting.id].state == "CANCELLED"
    assert desk.state.open_positions
    again = desk.command(HaltTrading(by="http", reason="again"))
    assert (again.ok, again.seq, len(desk.facts(ev.TradingHalted))) == (True, None, 1)
    assert desk.state.halt is not None
    assert (desk.state.halt.by, desk.state.halt.reason) == ("desk", "news")
    assert desk.command(ClosePosition(by="desk", position=position.id)).ok
    assert desk.position.quantity == 0


async def test_a_flatten_closes_everything_that_is_held() -> None:
    desk = Desk()
    desk.bought()
    desk.command(HaltTrading(by="desk", reason="out", flatten=True))
    assert desk.closed()[0][0] == "KILL_SWITCH"
    assert desk.state.open_positions == {}


async def test_a_flatten_overtakes_an_exit_that_sells_only_a_part_and_takes_the_rest() -> None:
    desk = Desk()
    position = desk.bought()
    desk.quote(position.contract, None, "9.99")
    desk.command(ClosePosition(by="desk", position=position.id, quantity=1))
    part = desk.order
    desk.command(HaltTrading(by="desk", flatten=True))
    assert desk.state.orders[part.id].state == "CANCELLED"
    assert desk.position.quantity == 2
    desk.quote(position.contract, "4.40", "4.44")
    desk.look()
    assert desk.position.quantity == 0
    assert desk.closed()[0][0] == "KILL_SWITCH"
    desk.wait(10)
    assert len(desk.facts(ev.PositionClosed)) == 1


async def test_a_flatten_that_comes_after_the_halt_is_kept_and_survives_a_restart() -> None:
    broker = HandBroker()
    desk = Desk(broker=broker)
    desk.signal("240")
    desk.signal("60")
    from tests.unit.journey.test_ordering import filled

    desk.say(filled(desk, desk.order, 2))
    desk.command(HaltTrading(by="desk", reason="news"))
    desk.command(HaltTrading(by="http", flatten=True))
    assert desk.state.halt is not None
    assert (desk.state.halt.flatten, desk.state.halt.reason) == (True, "news")
    assert desk.order.exit_reason == "KILL_SWITCH"
    later = await desk.again(after=30, broker=HandBroker())
    assert later.state.halt is not None
    assert later.state.halt.flatten


async def test_a_flatten_waits_for_the_market_to_open_and_does_not_hammer_a_broker_that_refuses() -> None:
    from datetime import UTC, datetime

    from engine.domain.values import refuse
    from engine.ports import Rejected
    from tests.unit.journey.test_ordering import filled

    broker = HandBroker()
    desk = Desk(broker=broker)
    monthly = "SPY261230C00600000"
    assert desk.command(OpenTicket(by="x", contract=monthly, quantity=1, reason="x", approve=True)).ok
    desk.say(filled(desk, desk.order, 1))
    desk.until(datetime(2026, 11, 20, 22, 0, tzinfo=UTC))
    desk.command(HaltTrading(by="desk", flatten=True))
    assert len(broker.submitted) == 1
    desk.until(datetime(2026, 11, 23, 14, 30, 1, tzinfo=UTC))
    assert len(broker.submitted) == 2
    desk.say(Rejected(order=desk.order.id, at=desk.now, refusal=refuse(Code.NO_MARKET_DATA)))
    desk.wait(1)
    assert len(broker.submitted) == 2
    desk.wait(5)
    assert len(broker.submitted) == 3


@pytest.mark.parametrize(
    ("by", "reason", "code"),
    [("policy", "x", Code.HALTED), ("desk", " ", Code.REASON_MISSING), ("desk", "calm again", None)],
)
async def test_only_a_person_with_a_reason_resumes(by: str, reason: str, code: Code | None) -> None:
    desk = Desk()
    assert code_of(desk, ResumeTrading(by=by, reason=reason)) is Code.NOT_HALTED
    desk.command(HaltTrading(by="desk"))
    assert desk.last(ev.TradingHalted).reason == "halted by hand"
    assert code_of(desk, ResumeTrading(by=by, reason=reason)) is code
    assert desk.state.halt is not None
    assert desk.state.halt.latched is (code is not None)


async def test_a_resume_remembers_the_drawdown_that_was_accepted() -> None:
    desk = Desk(
        {
            "account.cash": "3000",
            "risk.max_risk": "1",
            "risk.base_risk": "1",
            "risk.max_position": "1",
            "risk.max_heat": "0.2",
            "risk.symbol_heat": "1",
            "risk.group_heat": "1",
            "risk.day_budget": "1",
            "risk.max_delta_dollars": "100",
            "risk.max_stress": "1",
            "risk.max_stress_rare": "1",
        }
    )
    desk.bought(contracts=1)
    desk.wait(1, spot="590")
    assert desk.state.halt is not None
    assert (desk.state.halt.latched, desk.state.halt.reason) == (True, "drawdown from the peak")
    desk.command(ResumeTrading(by="desk", reason="accepted"))
    assert desk.state.halt.accepted_drawdown > Decimal("0.1")
    assert desk.state.halt.accepted_peak == Decimal("3000.00")
    desk.wait(1)
    assert not desk.state.halt.latched


async def test_a_thing_that_is_no_command_is_a_mistake_of_the_caller() -> None:
    desk = Desk()
    with pytest.raises(TypeError, match="Order is not a command"):
        answering.answer(desk.journey.step(), type("Order", (), {})())


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (Approve(by="x", ticket="T1"), "T1"),
        (ClosePosition(by="x", position="P1"), "P1"),
        (CancelOrder(by="x", order="O1"), "O1"),
        (OpenTicket(by="x", contract="C", quantity=1, reason=""), "C"),
        (HaltTrading(by="x"), ""),
    ],
)
def test_a_refused_command_names_what_it_was_about(command: Command, target: str) -> None:
    assert answering.target_of(command) == target
