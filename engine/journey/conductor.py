"""The conductor plays the story live: one step at a time on the loop, facts to the ledger, effects after their commit.

It owns no rule. It answers the doors (webhook, HTTP, desk), wakes the clock, and hands orders to the broker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from time import perf_counter
from typing import Protocol, TypeVar, runtime_checkable

import structlog
from msgspec.structs import replace

from engine.domain import events as ev
from engine.domain.commands import Command, Done
from engine.domain.events import AnyFact
from engine.intake.doors import Answer
from engine.intake.payloads import Heard
from engine.journey.behind import behind, refused
from engine.journey.enquiry import Enquiry
from engine.journey.handing import hand_over
from engine.journey.pulse import Pulse
from engine.journey.step import Step
from engine.journey.story import Journey
from engine.ports import Broker, BrokerWord, Ledger, LedgerAway

T = TypeVar("T")
log = structlog.get_logger("conductor")

PATIENCE = 2.5
"""Seconds a sender waits for its receipt's commit: TradingView hangs up after 3."""

SLICE = 12
"""Positions looked at in one step of the watch."""

YIELD = 0.1
"""Seconds that one round of the watch lets waiting signals go first: exits wait no longer than that."""

PAUSE = 0.005
"""Seconds between two symbols that are warmed up: signals go first."""

QUIET = 0.025
"""Seconds that weighing may wait for the senders to be answered first, when many come at once."""


@runtime_checkable
class Matching(Protocol):
    """A broker that lives in this process and tries its resting orders when told (the paper broker)."""

    def match(self) -> None: ...


Watcher = Callable[[Sequence[AnyFact]], None]


class Conductor:
    def __init__(
        self,
        journey: Journey,
        ledger: Ledger,
        broker: Broker,
        interval: float,
        play: Callable[[datetime], None] | None = None,
    ) -> None:
        """`interval`: seconds between two looks at the market; `play` moves a recorded market on to a moment."""
        self.journey = journey
        self.ledger = ledger
        self.broker = broker
        self._matching = broker if isinstance(broker, Matching) else None
        self.pulse = Pulse()
        self._interval = interval
        self._play = play
        self._unweighed: deque[tuple[float, AnyFact]] = deque()
        self._wake = asyncio.Event()
        self._hearing = 0
        self._handing = 0
        """Steps whose effects wait for their commit."""
        self._reports: deque[BrokerWord] = deque()
        self._stepping = self._stopping = False
        self._last: asyncio.Future[None] | None = None
        self._watchers: list[Watcher] = []
        self._report: Callable[[str], None] = lambda _: None
        self._complained: set[tuple[Watcher, type[Exception]]] = set()
        """What went wrong in whom and was reported: not again at every step."""
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enquiry = Enquiry(journey, broker, self.perform)
        journey.meet(broker)
        broker.connect(self._reported)

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with the facts of every step, after they were folded (screen, logs). Its error is a problem to
        show: facts and orders do not depend on who looks on."""
        self._watchers.append(watcher)

    def report_to(self, report: Callable[[str], None]) -> None:
        """Tell what is wrong with a watcher, in a person's words."""
        self._report = report

    # --- one step -------------------------------------------------------------------------------------------------

    def perform(self, work: Callable[[Step], T]) -> tuple[T, asyncio.Future[None]]:
        """Do one step now; the future is done when its facts are durable.

        If the work fails half way, the facts it made are true already (they were folded) and go to the ledger all the
        same; then the error goes on to the caller.
        """
        assert not self._stepping, "steps never nest: effects and reports wait for their turn"
        self._stepping = True
        started = perf_counter()
        self.journey.live.behind = behind(self.ledger, self.journey.world.settings.ledger)
        step = self.journey.step()
        try:
            result = work(step)
        finally:
            self._stepping = False
            durable = self._keep(step)
            self.pulse.note_step(perf_counter() - started, len(step.facts))
            self._enquiry.wake_if_asked()
        return result, durable

    def _keep(self, step: Step) -> asyncio.Future[None]:
        if not step.facts:
            return self._after_last(step)
        durable = self.ledger.append(step.facts, self.journey.state.drain(), step.keys)
        self._last = durable
        if step.effects:
            self._handing += 1
            durable.add_done_callback(lambda future: self._release(future, step))
        else:
            durable.add_done_callback(self._check)
        reached = self._milestones(step.facts)
        if reached:
            durable.add_done_callback(lambda _: self._note(reached))
        for watcher in self._watchers:
            self._show(watcher, step.facts)
        return durable

    def _show(self, watcher: Watcher, facts: Sequence[AnyFact]) -> None:
        try:
            watcher(facts)
        except Exception as error:
            if (watcher, type(error)) in self._complained:
                return
            self._complained.add((watcher, type(error)))
            name = getattr(watcher, "__qualname__", type(watcher).__name__)
            seqs = f"{facts[0].seq} to {facts[-1].seq}"
            log.exception("watcher_failed", name=name, facts=seqs)
            self._report(f"facts {seqs} were not shown by {name}: {type(error).__name__}: {error}")

    def _after_last(self, step: Step) -> asyncio.Future[None]:
        """A step that made no facts: its effects wait for what is being committed, so that a cancel cannot overtake its
        own order. While the ledger is away a cancel does not wait: what lowers the risk is never blocked."""
        durable = self._last
        if durable is None or durable.done() or not self.ledger.available:
            durable = asyncio.get_running_loop().create_future()
            durable.set_result(None)
        if step.effects:
            self._handing += 1
            durable.add_done_callback(lambda future: self._release(future, step))
        return durable

    def stop(self) -> None:
        """Nothing is handed over any more: intents that become durable now are cancelled at the next start."""
        self._stopping = True

    def _milestones(self, facts: Sequence[AnyFact]) -> list[tuple[str, int]]:
        """Which receipts were decided or filled by these facts."""
        reached: list[tuple[str, int]] = []
        for fact in facts:
            if isinstance(fact, ev.DecisionMade) and fact.cause is not None:
                reached.append(("decided", fact.cause))
            elif isinstance(fact, ev.OrderFilled):
                order = self.journey.state.orders.get(fact.order)
                ticket = self.journey.state.tickets.get(order.ticket) if order is not None and order.ticket else None
                if ticket is not None and ticket.trigger is not None:
                    reached.append(("filled", ticket.trigger))
        return reached

    def _note(self, reached: list[tuple[str, int]]) -> None:
        now = perf_counter()
        self.pulse.milestones.extend((name, seq, now) for name, seq in reached)

    def _check(self, durable: asyncio.Future[None]) -> bool:
        """True if it is durable. A ledger that cannot go on ends the engine: nothing may be done that is not kept."""
        if durable.cancelled():
            return False
        error = durable.exception()
        if error is not None:
            self._end_with(error)
        return error is None

    def _release(self, durable: asyncio.Future[None], step: Step) -> None:
        """The intent is durable: hand it over. The broker's first words come back at once and make the next step."""
        self._handing -= 1
        if not self._check(durable) or self._stopping:
            return

        def all_of_it(next_step: Step) -> None:
            for effect in step.effects:
                try:
                    hand_over(self.journey, self.broker, next_step, effect)
                except Exception as error:
                    # The others must not be lost with it. Then the engine ends: a restart is the recovery.
                    log.exception("effect_failed", effect=repr(effect))
                    self._end_with(error)
            self._drain(next_step)

        self._guarded(all_of_it)

    def _guarded(self, work: Callable[[Step], None]) -> None:
        """A step nobody waits for (a callback): its error ends the engine instead of vanishing in the loop."""
        try:
            self.perform(work)
        except Exception as error:
            log.exception("step_failed")
            self._end_with(error)

    def _end_with(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _reported(self, report: BrokerWord) -> None:
        self._reports.append(report)
        if not self._stepping:
            asyncio.get_running_loop().call_soon(self._take_reports)

    def _take_reports(self) -> None:
        if self._reports and not self._stopping:
            self._guarded(self._drain)

    def _drain(self, step: Step) -> None:
        while self._reports:
            # One at a time: what was not told yet is not lost with a report that fails.
            self.journey.report(step, [self._reports.popleft()])

    # --- doors ----------------------------------------------------------------------------------------------------

    async def hear(self, heard: Heard) -> Answer:
        """Keep a receipt, answer when it is durable, decide afterwards."""
        if not self.ledger.available or not await self._sure(heard):
            return Answer.away()
        self._hearing += 1
        try:
            fact, durable = self.perform(lambda step: self.journey.hear(step, heard))
            self.pulse.last_receipt = asyncio.get_running_loop().time()
            if isinstance(fact, ev.SignalReceived | ev.PhaseReceived | ev.TrendReceived | ev.ExitNoticeReceived):
                durable.add_done_callback(lambda _: self._weigh_later(fact))
            try:
                async with asyncio.timeout(PATIENCE):
                    await asyncio.shield(durable)
            except (TimeoutError, LedgerAway):
                return Answer.away()
        finally:
            self._hearing -= 1
        return Answer.of(fact)

    async def _sure(self, heard: Heard) -> bool:
        """Whether it can be known if this receipt repeats an old one: the ledger is asked for those of long ago."""
        known = self.journey.known
        if known.unsure(heard, self.journey.clock.wall()):
            try:
                async with asyncio.timeout(PATIENCE):
                    original = await self.ledger.find(heard.key)
            except (TimeoutError, LedgerAway):
                return False
            if original is not None:
                known.keys[heard.key] = original
        return True

    def _weigh_later(self, fact: AnyFact) -> None:
        """A receipt is durable: its sender is answered first, then it is weighed."""
        self._unweighed.append((asyncio.get_running_loop().time(), fact))
        self._wake.set()

    async def command(self, command: Command) -> Done:
        """Carry out a command; the answer comes when it is durable.

        While the ledger is away what adds risk is refused, and once the database is too far behind. A halt, a close or a
        cancel counts at once: its facts go to the spool, or wait in order where there is none; a halt stops every entry
        that waits with them, a cancel reaches the broker.
        """
        no = refused(command, self.ledger)
        if no is not None:
            return Done(ok=False, refusal=no)
        done, durable = self.perform(lambda step: self.journey.command(step, command))
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(durable)
        except TimeoutError:
            return replace(done, durable=False)
        return done

    # --- the long tasks -------------------------------------------------------------------------------------------

    async def open(self, version: str, market: str) -> None:
        """Recovery and the first facts of this run. Receipts left undecided by a crash are weighed first."""
        state = self.journey.state
        self.broker.restore(list(state.open_orders.values()))
        _, durable = self.perform(lambda step: self.journey.open(step, version, market))
        await asyncio.shield(durable)
        await self._enquiry.at_first()
        waiting = set(self.journey.unweighed())
        if waiting:
            async for fact in self.ledger.facts(after=min(waiting) - 1, until=max(waiting)):
                if fact.seq in waiting:
                    self._unweighed.append((0.0, fact))
            self._wake.set()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._weigh_on(), name="weigh")
            tasks.create_task(self._watch_on(), name="watch")
            tasks.create_task(self._fail(), name="ledger failure")
            tasks.create_task(self._warm_up(), name="warm up")
            tasks.create_task(self._enquiry.run(), name="enquiry")

    async def _fail(self) -> None:
        await self._failure

    async def _weigh_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unweighed:
                heard_at, fact = self._unweighed[0]
                if self._hearing > 1 and loop.time() - heard_at < QUIET:
                    await asyncio.sleep(0.001)
                    continue
                self._unweighed.popleft()
                self.pulse.weighing = len(self._unweighed)
                self._weigh(fact)
                await asyncio.sleep(0)

    def _weigh(self, fact: AnyFact) -> None:
        try:
            self.perform(lambda step: self.journey.weigh(step, fact))
        except Exception as error:
            # A receipt that cannot be weighed must not stop the others, nor come back at every restart: the failure
            # is a fact of its own, shown like any refusal, and nothing is entered.
            log.exception("weighing_failed", seq=fact.seq)
            text = f"{type(error).__name__}: {error}"
            self.perform(lambda step: self.journey.give_up(step, fact, text))

    async def _watch_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if self._play is not None:
                self._play(self.journey.clock.now())
            self.perform(self._moment)
            held = self.journey.held()
            yielded = asyncio.get_running_loop().time() + YIELD
            for first in range(0, len(held), SLICE):
                await asyncio.sleep(0)
                # Signals that wait go first, for a bounded time.
                while self.busy and asyncio.get_running_loop().time() < yielded:  # noqa: ASYNC110 - bounded
                    await asyncio.sleep(0.001)
                ids = [position.id for position in held[first : first + SLICE]]
                self.perform(lambda step, ids=ids: self._watch_some(step, ids))  # type: ignore[misc]
            self.perform(self.journey.tend)

    @property
    def busy(self) -> bool:
        """A signal is on its way: being kept, waiting to be weighed, or its order waiting for its commit."""
        return bool(self._unweighed or self._hearing or self._handing)

    def _watch_some(self, step: Step, ids: Sequence[str]) -> None:
        """A slice of the positions, as they are now: some may have closed since the moment began."""
        now = self.journey.state.open_positions
        self.journey.watch(step, [now[key] for key in ids if key in now])

    async def _warm_up(self) -> None:
        for symbol in self.journey.world.quotes.symbols():
            self.journey.warm(symbol)
            await asyncio.sleep(PAUSE)
        self.pulse.warm = True

    def _moment(self, step: Step) -> None:
        """The order of events at one instant: expiries and clock rules, fills, marks, exits."""
        self.journey.advance(step)
        if self._matching is not None:
            self._matching.match()
        self._drain(step)

    async def settle(self) -> None:
        """Wait until nothing is left to weigh and all facts so far are durable (shutdown, smoke runs and tests)."""
        while self._unweighed or self._reports:  # noqa: ASYNC110 - a process is asked, there is no event to wait for
            await asyncio.sleep(0.005)
        await self.durable()

    async def durable(self) -> None:
        """Wait until every fact made so far is committed; releasing effects may have made more meanwhile."""
        while self._last is not None and not self._last.done():
            await asyncio.shield(self._last)
