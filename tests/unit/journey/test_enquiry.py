"""The conductor and a broker outside this process: nothing goes before it is durable that it will, and doubts are asked
about until nothing is in doubt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from engine.domain import events as ev
from engine.domain.commands import Approve, CancelOrder, ClosePosition, OpenTicket
from engine.domain.events import AnyFact
from engine.domain.values import OrderState, Policy
from engine.journey import enquiry
from engine.journey.conductor import Conductor
from engine.ports import Evidence
from tests.builders_journey import Desk
from tests.fakes.far_broker import FarBroker

CALL = "SPY261125C00600000"


class SlowBroker(FarBroker):
    """Answers when the test lets it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.clock)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def evidence(self) -> Evidence:
        self.asked += 1
        await self.may_answer.wait()
        return self.books()


@dataclass
class Stage:
    desk: Desk
    broker: SlowBroker
    conductor: Conductor
    facts: list[AnyFact]

    async def until(self, true: object) -> None:
        """A few turns of the loop, until it is so."""
        assert callable(true)
        for _ in range(400):
            if true():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("it never came to be")

    async def turns(self, count: int = 10) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def ticket(self) -> str:
        done = await self.conductor.command(OpenTicket(by="http", contract=CALL, quantity=2, reason="x"))
        assert done.ok, done.text
        return done.created

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def state(self) -> OrderState:
        return self.desk.order.state


def made() -> Stage:
    desk = Desk({"account.cash": "1000000"}, policy=Policy.MANUAL)
    broker = SlowBroker(desk)
    facts: list[AnyFact] = []
    conductor = Conductor(desk.journey, desk.ledger, broker, 0.05)
    conductor.watch(facts.extend)
    return Stage(desk, broker, conductor, facts)


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Stage]:
    """Opened, with its line up, and serving."""
    stage.broker.raise_line()
    await stage.conductor.open("test", "hand")
    task = asyncio.create_task(stage.conductor.run())
    try:
        yield stage
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_books_are_read_before_the_start_is_over() -> None:
    async with running(made()) as on:
        assert on.desk.journey.ready
        assert on.kinds()[-1] == "BrokerReconciled"
        assert on.broker.asked == 1


async def test_a_start_without_a_line_goes_on_and_reads_the_books_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enquiry, "OPENING", 0.02)
    on = made()
    await on.conductor.open("test", "hand")
    assert not on.desk.journey.ready
    async with running(on):
        await on.until(lambda: on.desk.journey.ready)


async def test_that_an_order_goes_is_durable_before_it_goes() -> None:
    async with running(made()) as on:
        ticket = await on.ticket()
        on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=ticket)))
        submitted: list[int] = []
        on.conductor.watch(lambda facts: submitted.extend(f.seq for f in facts if isinstance(f, ev.OrderSubmitted)))
        assert on.broker.handed == []
        # the intent commits now; from here on the ledger is away, and so is the note that it is about to be sent
        on.desk.ledger.hold(True)
        await on.until(lambda: submitted)
        await on.turns()
        assert on.broker.handed == []
        assert on.state() is OrderState.SUBMITTING
        on.desk.ledger.hold(False)
        await on.until(lambda: on.broker.handed)
        assert on.desk.ledger.head.seq >= submitted[0]


async def test_one_that_waits_to_go_can_be_taken_back_and_never_goes() -> None:
    async with running(made()) as on:
        ticket = await on.ticket()
        on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=ticket)))
        on.desk.ledger.hold(True)
        await on.until(lambda: on.state() is OrderState.SUBMITTING)
        order = on.desk.order.id
        on.conductor.perform(lambda step: on.desk.journey.command(step, CancelOrder(by="desk", order=order)))
        on.desk.ledger.hold(False)
        await on.until(lambda: on.state() is OrderState.CANCELLED)
        await on.turns()
        assert on.broker.handed == []


async def test_one_that_waits_to_go_when_the_line_breaks_is_not_in_doubt() -> None:
    async with running(made()) as on:
        ticket = await on.ticket()
        on.conductor.perform(lambda step: on.desk.journey.command(step, Approve(by="http", ticket=ticket)))
        on.desk.ledger.hold(True)
        await on.until(lambda: on.state() is OrderState.SUBMITTING)
        on.broker.drop()
        await on.turns()
        on.desk.ledger.hold(False)
        await on.until(lambda: on.state() is OrderState.CANCELLED)
        assert "OrderDoubted" not in on.kinds()
        assert on.broker.handed == []
        reasons = [fact.reason for fact in on.facts if isinstance(fact, ev.OrderCancelled)]
        assert reasons == ["the broker is away"]


async def test_an_exit_that_waits_to_go_when_the_line_breaks_goes_after_it_and_once() -> None:
    async with running(made()) as on:
        ticket = await on.ticket()
        assert (await on.conductor.command(Approve(by="http", ticket=ticket))).ok
        await on.until(lambda: on.broker.handed)
        on.broker.arrive()
        on.broker.fill(on.desk.order.id, price="4.00")
        on.broker.calm()
        await on.until(lambda: on.desk.state.open_positions)
        position = on.desk.position.id
        on.conductor.perform(lambda step: on.desk.journey.command(step, ClosePosition(by="desk", position=position)))
        exit_ = on.desk.order.id
        on.desk.ledger.hold(True)
        await on.until(lambda: on.state() is OrderState.SUBMITTING)
        on.broker.drop()
        await on.turns()
        on.desk.ledger.hold(False)
        await on.turns()
        assert exit_ not in on.broker.handed
        on.broker.raise_line()
        await on.until(lambda: exit_ in on.broker.handed)
        await on.turns(50)
        assert on.broker.handed.count(exit_) == 1


async def test_a_failed_question_leaves_the_doubt_and_is_put_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enquiry, "AGAIN", 0.01)
    async with running(made()) as on:
        ticket = await on.ticket()
        assert (await on.conductor.command(Approve(by="http", ticket=ticket))).ok
        await on.until(lambda: on.broker.handed)
        on.broker.arrive()
        on.broker.away = True
        before = on.broker.asked
        on.broker.drop()
        on.broker.raise_line()
        await on.until(lambda: on.broker.asked >= before + 3)
        assert (on.state(), on.desk.journey.ready) == (OrderState.UNKNOWN, False)
        on.broker.away = False
        await on.until(lambda: on.state() is OrderState.WORKING)
        assert on.desk.journey.ready


async def test_an_answer_that_takes_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enquiry, "ANSWER", 0.01)
    monkeypatch.setattr(enquiry, "AGAIN", 0.01)
    async with running(made()) as on:
        on.broker.may_answer.clear()
        before = on.broker.asked
        on.broker.drop()
        on.broker.raise_line()
        await on.until(lambda: on.broker.asked >= before + 2)
        assert not on.desk.journey.ready
        on.broker.may_answer.set()
        await on.until(lambda: on.desk.journey.ready)


async def test_an_old_doubt_is_asked_about_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enquiry, "AGAIN", 0.01)
    monkeypatch.setattr(enquiry, "LONGEST", 0.02)
    async with running(made()) as on:
        ticket = await on.ticket()
        assert (await on.conductor.command(Approve(by="http", ticket=ticket))).ok
        await on.until(lambda: on.broker.handed)
        on.broker.drop()  # it never arrived, and may be on its way as long as the clock stands
        on.broker.raise_line()
        before = on.broker.asked
        await on.until(lambda: on.broker.asked >= before + 4)
        assert on.state() is OrderState.UNKNOWN
        assert on.desk.journey.ready


async def test_a_broker_in_this_process_is_not_asked() -> None:
    desk = Desk(policy=Policy.MANUAL)
    conductor = Conductor(desk.journey, desk.ledger, desk.broker, 0.05)
    await conductor.open("test", "hand")
    assert desk.journey.question(wanted=True) is None
    assert desk.journey.ready
