"""Faults planted on purpose: each changes the engine or its ports while it runs, as a mistake in them would.

What they are for: a simulation that does not find them proves nothing by finding nothing. Named, small, and undone when
the context ends.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from engine.domain.entities import Order, Position
from engine.domain.events import DuplicateReceived, ReceiptRefused
from engine.intake.doors import Answer
from engine.intake.payloads import Heard
from engine.journey import clockwork, ordering, reconciling
from engine.journey.conductor import Conductor
from engine.journey.hearing import Known
from engine.journey.step import Step
from engine.orders import guard
from engine.ports import BrokerAway, BrokerReport, BrokerWord, Evidence, Filled
from engine.sessions import new_york_day
from engine.state import State
from storage.overflow import Overflow
from storage.rows import Entry
from tests.simulation.ledger import FaultyLedger
from tests.simulation.line import HostileBroker

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Planted:
    what: str
    place: Callable[[], list[Undo]]

    @contextmanager
    def plant(self) -> Iterator[None]:
        undo = self.place()
        try:
            yield
        finally:
            for one in reversed(undo):
                one()


def _set(owner: Any, name: str, value: Any) -> Undo:
    before = owner.__dict__[name]
    setattr(owner, name, value)
    return lambda: setattr(owner, name, before)


def _everywhere(function: Any, value: Any) -> list[Undo]:
    """Replace a function under every name by which a module of the engine knows it."""
    undo = []
    for name, module in sorted(sys.modules.items()):
        if name.startswith("engine."):
            for attribute, held in list(vars(module).items()):
                if held is function:
                    undo.append(_set(module, attribute, value))
    assert undo, "nothing was planted"
    return undo


# --- the faults -------------------------------------------------------------------------------------------------------


def _dedupe_skipped() -> list[Undo]:
    return [_set(Known, "original", lambda self, heard, now, window: None)]


def _acknowledged_before_commit() -> list[Undo]:
    async def hear(self: Conductor, heard: Heard) -> Answer:
        fact, durable = self.perform(lambda step: self.journey.hear(step, heard))
        if not isinstance(fact, DuplicateReceived | ReceiptRefused):
            durable.add_done_callback(lambda _: self._weigh_later(fact))
        return Answer.of(fact)

    return [_set(Conductor, "hear", hear)]


def _failed_query_is_empty() -> list[Undo]:
    real = HostileBroker.evidence

    async def evidence(self: HostileBroker) -> Evidence:
        try:
            found = await real(self)
        except BrokerAway:
            return Evidence(since=self.venue.since, open_orders=(), completed=(), executions=())
        return replace(
            found,
            open_orders=found.open_orders or (),
            completed=found.completed or (),
            executions=found.executions or (),
        )

    return [_set(HostileBroker, "evidence", evidence)]


def _fill_keyed_by_order() -> list[Undo]:
    real = reconciling._executed

    def executed(step: Step, order: Order, report: Filled) -> None:
        if not order.executions:
            real(step, order, report)

    return _everywhere(real, executed)


def _working_exit_ignored() -> list[Undo]:
    def working_exits(position: Position, orders: Any) -> list[Order]:
        return []

    def closing_orders(step: Step, position: Position) -> list[Order]:
        return []

    return [*_everywhere(guard.working_exits, working_exits), *_everywhere(ordering.closing_orders, closing_orders)]


def _halt_forgotten() -> list[Undo]:
    real = State.__dict__.get("load") or State.__mro__[1].__dict__["load"]
    owner = State if "load" in State.__dict__ else State.__mro__[1]

    def load(cls: type[State], rows: Any, *rest: Any) -> State:
        return real.__func__(cls, [row for row in rows if row[0] != "halt"], *rest)

    return [_set(owner, "load", classmethod(load))]


def _late_fill_dropped() -> list[Undo]:
    real = reconciling._executed

    def executed(step: Step, order: Order, report: Filled) -> None:
        if order.state.is_open:
            real(step, order, report)

    return _everywhere(real, executed)


def _expiry_done_before_the_work() -> list[Undo]:
    real = clockwork._expiries

    def expiries(step: Step) -> None:
        """Each expired position is looked at once, whether its settlement could be done or not."""
        everything = step.state.open_positions
        today = new_york_day(step.now)
        due = {
            key
            for key, position in everything.items()
            if position.quantity
            and position.contract.expiry <= today
            and step.now >= step.world.calendar.session(position.contract.expiry).close  # type: ignore[union-attr]
        }
        done = {key for key in due if f"settled {key}" in step.live.expiries}
        for key in sorted(due):
            step.live.expiries[f"settled {key}"] = (None, None)  # type: ignore[assignment]
        step.state.open_positions = {key: one for key, one in everything.items() if key not in done}
        try:
            real(step)
        finally:
            for key in [key for key in everything if key not in done and key not in step.state.open_positions]:
                del everything[key]
            everything.update(step.state.open_positions)
            step.state.open_positions = everything

    return [_set(clockwork, "_expiries", expiries)]


def _ids_given_out_again() -> list[Undo]:
    """Words are taken for the order that the broker's number was last given to."""
    real = HostileBroker.say

    def say(self: HostileBroker, word: BrokerWord, hold_back: bool = False) -> None:
        if not isinstance(word, BrokerReport):
            real(self, word, hold_back)
            return
        meant = next(booked for booked in reversed(self.venue.orders) if booked.ref == word.order)
        latest = next(booked for booked in reversed(self.venue.orders) if booked.broker_id == meant.broker_id)
        real(self, replace(word, order=latest.ref), hold_back)

    return [_set(HostileBroker, "say", say)]


def _partial_counted_whole() -> list[Undo]:
    real = ordering.filled

    def filled(step: Step, order: Order, report: Filled) -> None:
        real(step, order, replace(report, quantity=order.remaining))

    return _everywhere(real, filled)


def _projection_outside() -> list[Undo]:
    """The rows are written when the facts are made, in a transaction of their own."""
    append = FaultyLedger.append

    def appended(self: FaultyLedger, *made: Any) -> Any:
        done = append(self, *made)
        if not self.dead and self._queue:
            self.disk.project(self._queue[-1].entry)
        return done

    return [_set(FaultyLedger, "append", appended)]


def _spool_drained_twice() -> list[Undo]:
    """What was given to the database is not remembered, and the spool is read from its beginning again."""
    real = Overflow.next

    async def following(self: Overflow, after: int, limit: int) -> list[Entry]:
        begin = self.spool.begin
        if begin is not None and self.spool.read(after):
            self._pending.clear()
            after = begin.seq
        return await real(self, after, limit)

    return [_set(Overflow, "next", following)]


PLANTED: dict[str, Planted] = {
    "dedupe": Planted("dedupe skipped", _dedupe_skipped),
    "early-ack": Planted("acknowledgement before commit", _acknowledged_before_commit),
    "empty": Planted("a failed query read as empty", _failed_query_is_empty),
    "keyed": Planted("a fill keyed by order id", _fill_keyed_by_order),
    "second-exit": Planted("an exit that ignores a working exit", _working_exit_ignored),
    "unlatched": Planted("the kill switch not latched over a restart", _halt_forgotten),
    "twice": Planted("a spool drained twice", _spool_drained_twice),
    "late-fill": Planted("a late fill after cancel dropped", _late_fill_dropped),
    "expiry": Planted("expiry marked done before the work", _expiry_done_before_the_work),
    "ids": Planted("order ids reused after a rollback", _ids_given_out_again),
    "whole": Planted("a partial fill counted whole", _partial_counted_whole),
    "outside": Planted("a projection updated outside the transaction", _projection_outside),
}
"""By a short name for the command line."""
