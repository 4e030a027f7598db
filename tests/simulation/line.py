"""The Broker port of one life: a bad line to the venue. Whatever is said or handed over on it may come late, or not at all.

It speaks late, twice and out of order, loses the line (1100) with whatever was on it, comes back with or without its data
(1101, 1102), and answers questions about the books slowly, in part, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random

from engine.domain.entities import Order
from engine.ports import BrokerAway, BrokerWord, Disconnected, Evidence, Filled, Reconnected, Sink
from tests.simulation.loop import Timeline
from tests.simulation.venue import SETTLES, Venue


@dataclass(slots=True)
class Line:
    """One engine's connection. `broken` counts how often it broke: what was on it then is lost, mostly."""

    up: bool = False
    broken: int = 0
    dead: bool = False
    """The engine at the other end is gone."""


@dataclass(slots=True)
class HostileBroker:
    """The Broker port of one life: a line to the venue, and what happens on it."""

    venue: Venue
    timeline: Timeline
    now: Callable[[], datetime]
    random: Random
    noted: Callable[[str], None]
    handed: Callable[[Order], None]
    line: Line = field(default_factory=Line)
    name: str = "hostile"
    durable_handover: bool = True
    settle_seconds: float = SETTLES
    told: list[tuple[float, str, str]] = field(default_factory=list)
    """Fills that this engine was told of and that were not checked yet: when, order, execution."""
    _sink: Sink | None = None
    _last: float = 0.0

    # --- the port ---------------------------------------------------------------------------------------------------

    def connect(self, sink: Sink) -> None:
        self._sink = sink
        self.timeline.after(self.random.choice((0.05, 0.05, 2.0)), lambda: self._come_up(data_lost=False))

    def submit(self, order: Order) -> None:
        if self.line.dead:
            return
        self.venue.handed[order.id] += 1
        self.handed(order)
        self._carry(lambda: self.venue.take(order))

    def replace(self, order_id: str, limit: Decimal) -> None:
        self._carry(lambda: self.venue.change(order_id, limit))

    def cancel(self, order_id: str) -> None:
        self._carry(lambda: self.venue.take_back(order_id))

    def restore(self, orders: Sequence[Order]) -> None:
        """The venue keeps its own books."""

    async def evidence(self) -> Evidence:
        """The books, part by part, while the exchange goes on."""
        deaf = 0.0 if self.venue.quiet else self.venue.temper.deaf
        slow = not self.venue.quiet and self.random.random() < deaf / 2
        if slow:
            self.noted("slow evidence")
        parts: list[object] = []
        for ask in (self.venue.open_orders, self.venue.completed, self.venue.all_executions):
            broken = self.line.broken
            await asyncio.sleep(self.random.choice((3.0, 8.0, 30.0)) if slow else self.random.uniform(0.01, 0.2))
            if not self.line.up or self.line.broken != broken:
                self.noted("evidence while disconnected")
                raise BrokerAway("no line")
            if self.random.random() < deaf / 3:
                if self.random.random() < 0.5:
                    self.noted("failed evidence")
                    raise BrokerAway("error 162")
                self.noted("evidence in part")
                parts.append(None)
            else:
                parts.append(ask())
        open_orders, completed, executions = parts
        return Evidence(
            since=self.venue.since,
            open_orders=open_orders,  # type: ignore[arg-type]
            completed=completed,  # type: ignore[arg-type]
            executions=executions,  # type: ignore[arg-type]
        )

    # --- the line ---------------------------------------------------------------------------------------------------

    def _carry(self, arrive: Callable[[], None]) -> None:
        """Our word is on its way. It is lost if the line is down, and perhaps if it breaks meanwhile."""
        if self.line.dead:
            return
        if not self.line.up:
            self.noted("handed over while disconnected")
            return
        broken = self.line.broken
        late = not self.venue.quiet and self.random.random() < self.venue.temper.late
        lost = self.random.random() < 0.5

        def there() -> None:
            if (self.line.broken != broken or self.line.dead) and lost:
                self.noted("handed over and lost")
                return
            arrive()

        self.timeline.after(self.random.uniform(0.5, SETTLES * 0.8) if late else self.random.uniform(0.001, 0.1), there)

    def say(self, word: BrokerWord, hold_back: bool = False) -> None:
        if self.line.dead:
            return
        if not self.line.up:
            self.noted("word lost while disconnected")
            return
        quiet, temper = self.venue.quiet, self.venue.temper
        late = hold_back or (not quiet and self.random.random() < temper.late)
        delay = self.random.uniform(0.5, 6.0) if late else self.random.uniform(0.001, 0.08)
        if late:
            self.noted("late word")
        self._on_its_way(word, delay)
        if not quiet and self.random.random() < temper.doubled:
            self.noted("doubled word")
            self._on_its_way(word, delay + self.random.uniform(0.0, 5.0))

    def _on_its_way(self, word: BrokerWord, delay: float) -> None:
        broken = self.line.broken
        lost = self.random.random() < 0.7
        due = self.timeline.time + delay
        if due < self._last:
            self.noted("reordered words")
        self._last = max(self._last, due)

        def there() -> None:
            if self.line.dead:
                return
            if self.line.broken != broken and (lost or not self.line.up):
                self.noted("dropped word")
                return
            self._hand(word)

        self.timeline.after(delay, there)

    def _hand(self, word: BrokerWord) -> None:
        if not self.line.dead and self._sink is not None:
            if isinstance(word, Filled):
                self.told.append((self.timeline.time, word.order, word.execution))
            self._sink(word)

    def break_line(self) -> None:
        """1100."""
        if self.line.up and not self.line.dead:
            self.noted("1100 disconnected")
            self.line.up = False
            self.line.broken += 1
            self._hand(Disconnected(at=self.now(), reason="1100"))

    def mend(self, *, data_lost: bool) -> None:
        """1101 or 1102."""
        if self._sink is not None and not self.line.up and not self.line.dead:
            self.noted("1101 data lost" if data_lost else "1102 data kept")
            self._come_up(data_lost=data_lost)

    def _come_up(self, *, data_lost: bool) -> None:
        if not self.line.up and not self.line.dead:
            self.line.up = True
            self._hand(Reconnected(at=self.now(), data_lost=data_lost))
