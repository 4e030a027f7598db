"""The conductor, live: effects after their commit, none lost, none late, and what a stalled ledger may not hold up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from engine.domain import events as ev
from engine.domain.commands import (
    Approve,
    CancelOrder,
    ClosePosition,
    HaltTrading,
    OpenTicket,
    Reject,
    ResumeTrading,
)
from engine.domain.events import AnyFact
from engine.domain.values import Code, Policy, refuse
from engine.journey import conductor as conducting
from engine.journey.conductor import Conductor
from engine.journey.step import Step
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


async def test_who_looks_on_ends_nothing_and_is_reported_once() -> None:
    """A screen or a log that fails must not end the engine, nor keep the others from seeing, nor a commit from being heard."""
    broker = HandBroker()
    on = stage(broker)
    said: list[str] = []
    seen: list[AnyFact] = []

    def fails(facts: Sequence[AnyFact]) -> None:
        raise ValueError("no such colour")

    on.conductor.report_to(said.append)
    on.conductor.watch(fails)
    on.conductor.watch(seen.extend)
    order = await on.bought()
    await on.bought()
    assert broker.submitted[0].id == order
    assert len(broker.submitted) == 2
    assert seen == on.facts
    (words,) = said
    assert "fails: ValueError: no such colour" in words


async def test_a_step_that_fails_says_so_although_who_looks_on_fails_too() -> None:
    on = stage()
    on.conductor.watch(lambda facts: [][1])

    def half_done(step: Step) -> None:
        step.emit(ev.CommandRefused, command="x", target="", by="x", refusal=NO)
        raise KeyError("the step's own")

    with pytest.raises(KeyError, match="the step's own"):
        on.conductor.perform(half_done)


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


# --- a database that is behind its spool ----------------------------------------------------------------------------------


def behind_now(on: Stage, monkeypatch: pytest.MonkeyPatch, facts: int = 1) -> None:
    """The database is away, and so far behind that no risk is added."""
    limits = on.desk.settings.ledger.model_copy(update={"risk_facts": facts})
    world = replace(on.desk.journey.world, settings=on.desk.settings.model_copy(update={"ledger": limits}))
    monkeypatch.setattr(on.desk.journey, "world", world)
    on.desk.ledger.hold(True, spool=True)
    on.conductor.perform(lambda step: step.emit(ev.CommandRefused, command="x", target="", by="x", refusal=NO))


NO = refuse(Code.LEDGER_AWAY)


async def test_what_the_spool_has_is_durable_orders_go_and_everybody_is_answered() -> None:
    broker = HandBroker()
    on = stage(broker)
    on.desk.ledger.hold(True, spool=True)
    await on.bought()
    assert len(broker.submitted) == 1
    heard = await on.conductor.hear(on.desk.understood(on.desk.body()))
    assert heard.status == 202


async def test_far_behind_no_order_adds_risk_and_every_exit_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    on = stage()
    await on.bought()
    position = next(iter(on.desk.state.open_positions))
    opened = await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
    behind_now(on, monkeypatch)
    for command in (
        Approve(by="http", ticket=opened.created),
        OpenTicket(by="http", contract=CALL, quantity=1, reason="test"),
        ResumeTrading(by="desk", reason="test"),
    ):
        no = await on.conductor.command(command)
        assert no.refusal is not None
        assert no.refusal.code is Code.LEDGER_AWAY
    assert (await on.conductor.command(Reject(by="http", ticket=opened.created, reason="no"))).ok
    assert (await on.conductor.command(ClosePosition(by="desk", position=position))).ok
    await on.settle()
    assert not on.desk.state.open_positions
    assert (await on.conductor.command(HaltTrading(by="desk", reason="enough"))).ok


async def test_what_is_refused_far_behind_leaves_the_facts_of_any_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    on = stage()
    behind_now(on, monkeypatch)
    on.facts.clear()
    await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="like it"))
    await on.conductor.command(ResumeTrading(by="desk", reason="all well"))
    said = [
        (type(fact), fact.refusal.code) for fact in on.facts if isinstance(fact, ev.EntryDenied | ev.CommandRefused)
    ]
    assert said == [
        (ev.EntryDenied, Code.LEDGER_AWAY),
        (ev.CommandRefused, Code.LEDGER_AWAY),
        (ev.CommandRefused, Code.LEDGER_AWAY),
    ]
    assert [fact.reason for fact in on.facts if isinstance(fact, ev.CommandRefused)] == ["like it", "all well"]
    assert not on.desk.state.open_orders
    assert not on.desk.state.pending_tickets


async def test_far_behind_working_entries_are_taken_back_and_waiting_ones_are_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = HandBroker()
    on = stage(broker)
    working = await on.bought()
    opened = await on.conductor.command(OpenTicket(by="http", contract=CALL, quantity=1, reason="test"))
    on.desk.ledger.hold(True)
    on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=opened.created)))
    behind_now(on, monkeypatch)
    await on.settle()
    assert len(broker.submitted) == 1
    assert on.why_cancelled() == ["the ledger is behind"]
    on.conductor.perform(on.desk.journey.advance)
    await on.settle()
    assert broker.cancelled == [working]


async def test_a_decision_to_buy_is_denied_while_the_database_is_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    on = stage()
    behind_now(on, monkeypatch)
    for timeframe in ("240", "60"):
        fact, _ = on.conductor.perform(
            lambda step, timeframe=timeframe: on.desk.journey.hear(
                step, on.desk.understood(on.desk.body(timeframe=timeframe))
            )
        )
        on.conductor.perform(lambda step, fact=fact: on.desk.journey.weigh(step, fact))
    denied = [fact.refusal.code for fact in on.facts if isinstance(fact, ev.EntryDenied)]
    assert denied == [Code.LEDGER_AWAY]
    on.desk.ledger.hold(False)
    assert on.desk.ledger.spooled is None


# --- receipts of long ago ---------------------------------------------------------------------------------------------------


async def test_a_receipt_too_old_to_be_remembered_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    on = stage()
    heard = on.desk.understood(on.desk.body())
    first = await on.conductor.hear(heard)
    known = on.desk.journey.known
    known.keys.clear()  # as after a restart on a long ledger
    known.since = on.desk.now + timedelta(days=1)
    on.desk.ledger.hold(True, spool=True)
    assert (await on.conductor.hear(heard)).status == 503, "it cannot be known now"
    on.desk.ledger.hold(False)
    again = await on.conductor.hear(heard)
    assert (again.status, again.body["duplicate_of"]) == (200, first.body["receipt"])
    on.desk.ledger.hold(True, spool=True)
    assert (await on.conductor.hear(heard)).status == 200, "it is remembered now"
    on.desk.ledger.hold(False)
    never = await on.conductor.hear(on.desk.understood(on.desk.body(timeframe="240")))
    assert never.status == 202
