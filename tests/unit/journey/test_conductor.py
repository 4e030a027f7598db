"""The conductor, live: effects after their commit, none lost, none late, and what a stalled ledger may not hold up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.domain import events as ev
from engine.domain.commands import Approve, CancelOrder, ClosePosition, HaltTrading, OpenTicket
from engine.domain.events import AnyFact
from engine.domain.values import Code, Policy
from engine.journey import conductor as conducting
from engine.journey.conductor import Conductor
from tests.builders_journey import Desk, HandBroker

CALL = "SPY261125C00600000"


@dataclass
class Stage:
    desk: Desk
    conductor: Conductor
    facts: list[AnyFact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.conductor.watch(self.facts.extend)

    def why_cancelled(self) -> list[str]:
        return [fact.reason for fact in self.facts if isinstance(fact, ev.OrderCancelled)]

    async def settle(self) -> None:
        """Let callbacks of commits and what they release run."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def bought(self) -> str:
        """A manual ticket for one call, approved; the order's id."""
        done = await self.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
        assert done.ok, done.text
        answered = await self.conductor.command(Approve(by="http", ticket=done.created))
        assert answered.ok, answered.text
        await self.settle()
        return answered.created

    def order(self, key: str) -> str:
        return str(self.desk.state.orders[key].state)


def stage(broker: HandBroker | None = None) -> Stage:
    desk = Desk({"account.cash": "1000000"}, policy=Policy.MANUAL, broker=broker)
    return Stage(desk, Conductor(desk.journey, desk.ledger, desk.broker, 0.25))


async def test_an_order_is_handed_over_only_after_its_intent_is_durable() -> None:
    broker = HandBroker()
    on = stage(broker)
    opened = await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
    on.desk.ledger.hold(True)
    on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=opened.created)))
    await on.settle()
    assert broker.submitted == []
    on.desk.ledger.hold(False)
    await on.settle()
    assert [order.quantity for order in broker.submitted] == [1]


async def test_a_cancel_that_makes_no_fact_of_its_own_reaches_the_broker() -> None:
    broker = HandBroker()
    on = stage(broker)
    order = await on.bought()
    assert (await on.conductor.command(CancelOrder(by="desk", order=order))).ok
    await on.settle()
    assert broker.cancelled == [order]


async def test_what_is_left_of_an_entry_is_taken_back_after_its_life() -> None:
    broker = HandBroker()
    on = stage(broker)
    order = await on.bought()
    on.desk.clock.set(on.desk.now + timedelta(seconds=301))
    on.conductor.perform(on.desk.journey.advance)
    await on.settle()
    assert broker.cancelled == [order]
    on.conductor.perform(on.desk.journey.advance)
    await on.settle()
    assert broker.cancelled == [order], "a silent broker is not asked again at every tick"


async def test_an_entry_whose_commit_came_late_is_not_sent() -> None:
    broker = HandBroker()
    on = stage(broker)
    opened = await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
    on.desk.ledger.hold(True)
    done, _ = on.conductor.perform(
        lambda step: on.desk.journey.command(step, Approve(by="http", ticket=opened.created))
    )
    on.desk.clock.set(on.desk.now + timedelta(minutes=10))
    on.desk.ledger.hold(False)
    await on.settle()
    assert broker.submitted == []
    assert on.why_cancelled() == ["too late to send"]
    assert on.order(done.created) == "CANCELLED"


async def test_a_halt_counts_while_the_ledger_is_away_and_stops_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "PATIENCE", 0.01)
    broker = HandBroker()
    on = stage(broker)
    opened = await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
    on.desk.ledger.hold(True)
    on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=opened.created)))
    refused = await on.conductor.command(Approve(by="http", ticket=opened.created))
    assert refused.refusal is not None
    assert refused.refusal.code is Code.LEDGER_AWAY
    halted = await on.conductor.command(HaltTrading(by="desk", reason="enough"))
    assert (halted.ok, halted.durable) == (True, False)
    on.desk.ledger.hold(False)
    await on.settle()
    assert broker.submitted == []
    assert on.why_cancelled() == ["halted before it was sent"]


async def test_a_close_is_taken_while_the_ledger_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conducting, "PATIENCE", 0.01)
    on = stage()
    await on.bought()
    position = next(iter(on.desk.state.open_positions))
    on.desk.ledger.hold(True)
    done = await on.conductor.command(ClosePosition(by="desk", position=position))
    assert (done.ok, done.durable, done.text) == (True, False, "done, not yet in the ledger")
    on.desk.ledger.hold(False)
    await on.settle()
    assert not on.desk.state.open_positions


async def test_an_effect_that_fails_ends_the_engine_but_takes_no_other_with_it() -> None:
    class Broken(HandBroker):
        def cancel(self, order_id: str) -> None:
            raise RuntimeError("no line")

    broker = Broken()
    on = stage(broker)
    order = await on.bought()

    def two(step: object) -> None:
        step.take_back(order)  # type: ignore[attr-defined]
        on.desk.journey.command(step, HaltTrading(by="desk", reason="x"))  # type: ignore[arg-type]

    on.conductor.perform(two)
    await on.settle()
    running = asyncio.create_task(on.conductor.run())
    with pytest.raises(BaseExceptionGroup) as failed:
        await asyncio.wait_for(running, 2)
    assert failed.group_contains(RuntimeError, match="no line")


async def test_after_stop_nothing_is_handed_over() -> None:
    broker = HandBroker()
    on = stage(broker)
    opened = await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
    on.desk.ledger.hold(True)
    on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=opened.created)))
    on.conductor.stop()
    on.desk.ledger.hold(False)
    await on.settle()
    assert broker.submitted == []
