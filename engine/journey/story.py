"""The story, in order. A signal is heard, weighed, decided, risk-checked, approved, sent, filled, held, exited.

`Journey` is synchronous and does nothing to the world: each method is one step that makes facts, folds them into the
state, and names the effects to release once the facts are durable. The conductor (live) and the replay call the same
methods in the same order, so what is true of one is true of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.domain import events as ev
from engine.domain.commands import Command, Done
from engine.domain.entities import Position
from engine.domain.values import Code, Timeframe, refuse
from engine.intake.payloads import Heard
from engine.journey import answering, clockwork, exiting, hearing, holding, ordering, reconciling, weighing
from engine.journey.hearing import Known
from engine.journey.step import Far, Live, Step, World
from engine.orders.reconcile import Asked
from engine.ports import Broker, BrokerReport, BrokerWord, Clock, Evidence
from engine.state import State


class Journey:
    def __init__(self, world: World, state: State, clock: Clock, known: Known) -> None:
        self.world = world
        self.state = state
        self.clock = clock
        self.known = known
        self.live = Live()

    def step(self) -> Step:
        return Step(
            now=self.clock.now(),
            state=self.state,
            world=self.world,
            live=self.live,
            monotonic=self.clock.monotonic(),
        )

    def meet(self, broker: Broker) -> None:
        """Who will be sent to: one outside this process is reconciled with before the first order."""
        link = self.state.link
        if link is not None and link.broker != broker.name:
            raise ValueError(f"this ledger's orders are at {link.broker}, not at {broker.name}")
        if broker.durable_handover:
            self.live.far = Far(broker.name, broker.settle_seconds)

    def open(self, step: Step, version: str, market: str) -> None:
        """The first facts of a run: who starts, with what; a new ledger also opens its paper account."""
        clockwork.open_engine(step, version, market)

    def hear(self, step: Step, heard: Heard) -> ev.AnyFact:
        """1. A receipt is kept. Nothing is decided yet: the sender is answered first."""
        clockwork.advance(step)
        return hearing.hear(step, heard, self.known, self.clock)

    def weigh(self, step: Step, fact: ev.AnyFact) -> None:
        """2. The receipt goes on the board, the frozen engine decides, and an EXECUTE becomes a ticket, or says why not."""
        clockwork.advance(step)
        weighing.weigh(step, fact)

    def give_up(self, step: Step, fact: ev.AnyFact, error: str) -> None:
        """2b. A receipt whose weighing failed: denied, and said so."""
        row = self.state.heard.get(fact.seq)
        step.emit(
            ev.EntryDenied,
            cause=fact.seq,
            symbol=row.symbol if row is not None else "",
            decision=None,
            trigger=fact.seq,
            refusal=refuse(Code.RULE_FAILED, error=error),
            stage="guard",
        )

    def advance(self, step: Step) -> None:
        """3. The clock: expiries on the board, tickets that ran out, a new session, contracts that expired."""
        clockwork.advance(step)

    def command(self, step: Step, command: Command) -> Done:
        """4. A person answers, closes, cancels, halts."""
        clockwork.advance(step)
        done = answering.answer(step, command)
        if done.refusal is not None:
            step.emit(
                ev.CommandRefused,
                command=type(command).__name__,
                target=answering.target_of(command),
                by=command.by,
                refusal=done.refusal,
                reason=answering.reason_of(command),
            )
        return done

    def sent(self, step: Step, order: str, broker: str) -> bool:
        """5. A durable intent is about to be handed to the broker. False when it must not be sent any more."""
        return ordering.submitted(step, order, broker)

    def handed(self, step: Step, order: str) -> bool:
        """5b. That it is about to be handed over is durable, too: it goes. False when it must not any more, or not yet."""
        return ordering.handed(step, order)

    def withdrawn(self, step: Step, order: str) -> bool:
        """5c. A cancel is about to go out. True when its order never went, and is over here."""
        withdrawn = ordering.withdrawn(step, order)
        if withdrawn:
            exiting.fulfil(step)
        return withdrawn

    def report(self, step: Step, reports: Sequence[BrokerWord]) -> None:
        """6. The broker's word: accepted, filled, cancelled. Fills open, grow, shrink and close positions."""
        for report in reports:
            if self.live.far is not None:
                reconciling.heard(step, report)
            elif isinstance(report, BrokerReport):
                ordering.reported(step, report)
            else:
                raise TypeError(f"a broker in this process has no {type(report).__name__}")
        exiting.fulfil(step)

    @property
    def ready(self) -> bool:
        """Orders may be sent: the broker is in this process, or the line to it is up and its books were read."""
        return ordering.ready(self.step())

    def question(self, wanted: bool = False) -> Asked | None:
        """6b. What the broker's books are asked for now; None when nothing is in doubt and they are not `wanted`
        otherwise, or when nobody could be asked."""
        return reconciling.question(self.step(), wanted)

    def reconcile(self, step: Step, asked: Asked, evidence: Evidence) -> None:
        """6c. The books were read: executions are adopted, doubts settled, what waited goes out, exits first."""
        reconciling.reconciled(step, asked, evidence)
        exiting.fulfil(step)

    def held(self) -> list[Position]:
        """Positions to be watched."""
        return holding.held(self.step())

    def watch(self, step: Step, positions: Sequence[Position]) -> None:
        """7. New quotes: positions are marked, and exits fire."""
        holding.watch(step, positions)

    def tend(self, step: Step) -> None:
        """8. Working exits are chased, equity is kept, halts latch."""
        reconciling.tend(step)
        holding.tend(step)

    def warm(self, symbol: str) -> None:
        """Have a symbol's bars and chain ready before its first signal: a cold start costs tens of milliseconds."""
        self.world.bars.facts_for(symbol, Timeframe.H1, self.clock.now())
        self.world.quotes.chain(symbol)

    def unweighed(self) -> list[int]:
        """Receipts that were durable before a crash, and not yet decided: taken up first after a restart."""
        return [row.seq for row in self.state.heard.values() if not row.weighed]
