"""The player drives the story through recorded time: the conductor's twin without a loop, in the stated order of events.

At one instant: bar closes, bar opens, expiries and clock rules, signals in file order, manual orders, fills, marks, exits.
Effects are released at once: in a replay nothing can fail between the intent and the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from engine.clock import SetClock
from engine.domain.commands import Command, Done
from engine.domain.events import AnyFact
from engine.intake.payloads import Heard
from engine.journey.conductor import Matching
from engine.journey.handing import hand_over
from engine.journey.step import Step
from engine.journey.story import Journey
from engine.market.recording import RecordedMarket
from engine.ports import Broker, BrokerWord, Ledger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that comes in at its own time: a webhook body or a manual order, in file order."""

    at: datetime
    line: int
    where: str = ""
    """File and line, for a person."""
    body: bytes | None = None
    command: Callable[[Journey], Command] | None = None
    """Made when it is due, because it may name a position that does not exist yet."""


class Player:
    def __init__(
        self,
        journey: Journey,
        ledger: Ledger,
        broker: Broker,
        clock: SetClock,
        market: RecordedMarket,
        read: Callable[[bytes, datetime], Heard],
    ) -> None:
        self.journey = journey
        self.facts: list[AnyFact] = []
        self.answers: list[tuple[Arrival, Done]] = []
        self._ledger = ledger
        self._broker = broker
        self._clock = clock
        self._market = market
        self._read = read
        self._reports: list[BrokerWord] = []
        self._last: asyncio.Future[None] | None = None
        journey.meet(broker)
        broker.connect(self._reports.append)

    def perform(self, work: Callable[[Step], T]) -> T:
        step = self.journey.step()
        result = work(step)
        self._keep(step)
        while step.effects:
            effects = step.effects
            step = self.journey.step()
            for effect in effects:
                hand_over(self.journey, self._broker, step, effect)
            self._drain(step)
            self._keep(step)
        return result

    def _keep(self, step: Step) -> None:
        if step.facts:
            self._last = self._ledger.append(step.facts, self.journey.state.drain(), step.keys)
            self.facts.extend(step.facts)

    def _drain(self, step: Step) -> None:
        while self._reports:
            reports = list(self._reports)
            self._reports.clear()
            self.journey.report(step, reports)

    def instants(self, arrivals: Sequence[Arrival]) -> Iterator[tuple[datetime, list[Arrival]]]:
        """Every instant of the day in order, with what arrives at it."""
        due: dict[datetime, list[Arrival]] = {}
        for arrival in arrivals:
            due.setdefault(arrival.at, []).append(arrival)
        recorded = self._market.instants()
        last = max(recorded) if recorded else None
        for instant in sorted({*recorded, *due}):
            if last is None or instant <= last:
                yield instant, due.get(instant, [])

    def play(self, instant: datetime, arrivals: Sequence[Arrival]) -> None:
        """One instant, in the stated order."""
        self._clock.set(instant)
        self._market.advance(instant)
        self.perform(self.journey.advance)
        for arrival in arrivals:
            self._arrive(arrival)
        self.perform(self._fills)
        self.perform(lambda step: self.journey.watch(step, self.journey.held()))
        self.perform(self.journey.tend)

    def _arrive(self, arrival: Arrival) -> None:
        journey = self.journey
        if arrival.body is not None:
            heard = self._read(arrival.body, arrival.at)
            fact = self.perform(lambda step: journey.hear(step, heard))
            row = journey.state.heard.get(fact.seq)
            if row is not None and not row.weighed:
                self.perform(lambda step: journey.weigh(step, fact))
        elif arrival.command is not None:
            command = arrival.command(journey)
            self.answers.append((arrival, self.perform(lambda step: journey.command(step, command))))

    def _fills(self, step: Step) -> None:
        if isinstance(self._broker, Matching):
            self._broker.match()
        self._drain(step)

    async def durable(self) -> None:
        """Wait until everything played so far is in the ledger."""
        if self._last is not None:
            await self._last
