"""A hostile broker: the exchange's order book behind it, which outlives the engine, and the bad line between them.

It speaks late, twice and out of order, fills in part, before it acknowledges and after it cancelled, rejects, loses the
line (1100) with whatever was on it, comes back with or without its data (1101, 1102), hands out its own ids again after
a restart, and answers questions about its books slowly, in part, or not at all. What it never does is lie: its books are
what happened, and a word is only lost together with the line.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random

from engine.domain.entities import Order
from engine.domain.values import Code, OptionContract, OrderState, OrderType, Side, refuse
from engine.ports import (
    Accepted,
    BrokerAway,
    BrokerExecution,
    BrokerOrder,
    BrokerWord,
    Cancelled,
    Disconnected,
    Evidence,
    Expired,
    Filled,
    ForeignFilled,
    Reconnected,
    Rejected,
    Sink,
)
from engine.sessions import Calendar
from tests.simulation.loop import Timeline
from tests.simulation.market import HostileMarket

OPEN = (OrderState.WORKING, OrderState.PARTIALLY_FILLED)
SETTLES = 4.0
"""Seconds that a handed-over order may be on its way."""
FEE = Decimal("0.70")


@dataclass(slots=True)
class Booked:
    """One order in the exchange's book."""

    ref: str
    """Our id, as it was handed over."""
    broker_id: str
    contract: OptionContract
    side: Side
    quantity: int
    type: OrderType
    limit: Decimal | None
    state: OrderState = OrderState.WORKING
    filled: int = 0
    reason: str = ""
    acknowledged: bool = False
    """The word of it was said (it may have been lost)."""

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


@dataclass(slots=True)
class Execution:
    id: str
    ref: str
    contract: OptionContract
    side: Side
    quantity: int
    price: Decimal
    fees: Decimal
    at: datetime


@dataclass(slots=True)
class Line:
    """One engine's connection. `broken` counts how often it broke: what was on it then is lost, mostly."""

    up: bool = False
    broken: int = 0
    dead: bool = False
    """The engine at the other end is gone."""


@dataclass(slots=True)
class Temper:
    """How bad a run's broker is: probabilities."""

    late: float
    doubled: float
    fill_first: float
    rejects: float
    partial: float
    races: float
    brisk: float
    """What could trade does, each time it is tried."""
    deaf: float
    """A question about the books fails."""


class Venue:
    """The exchange and the broker's books. `said` hands a word to whichever engine is connected."""

    def __init__(
        self,
        timeline: Timeline,
        market: HostileMarket,
        now: Callable[[], datetime],
        calendar: Calendar,
        random: Random,
        noted: Callable[[str], None],
    ) -> None:
        self.orders: list[Booked] = []
        self.executions: list[Execution] = []
        self.foreign: list[BrokerExecution] = []
        """Executions in the account that no order of ours made."""
        self.handed: Counter[str] = Counter()
        """How often each of our ids was handed over, arrived or not."""
        self.since = now()
        self.quiet = False
        self.adapter: HostileBroker | None = None
        self.arrived: Callable[[], None] = lambda: None
        """Called whenever the book changed, to be judged."""
        self._timeline = timeline
        self._market = market
        self._now = now
        self._calendar = calendar
        self._random = random
        self._noted = noted
        self._next_id = 1
        self._given: set[int] = set()
        self.temper = Temper(
            late=random.choice((0.02, 0.15, 0.4)),
            doubled=random.choice((0.0, 0.1, 0.3)),
            fill_first=random.choice((0.05, 0.4)),
            rejects=random.choice((0.0, 0.05, 0.15)),
            partial=random.choice((0.1, 0.5, 0.8)),
            races=random.choice((0.1, 0.5)),
            brisk=random.choice((0.15, 0.4, 0.8)),
            deaf=random.choice((0.05, 0.3)),
        )

    def held(self) -> Counter[OptionContract]:
        """Contracts in the account, by the executions."""
        found: Counter[OptionContract] = Counter()
        for execution in self.executions:
            found[execution.contract] += execution.quantity * execution.side.sign
        return +found

    def roll_back(self) -> None:
        """The gateway restarted and forgot which ids it gave out."""
        self._next_id = max(1, self._next_id - self._random.randint(1, 6))

    def trade_elsewhere(self) -> None:
        """Somebody trades in the same account by telephone: nothing of ours."""
        contract = self._random.choice(self._market.contracts("NVDA"))
        execution = BrokerExecution(
            execution=f"X{len(self.foreign) + 1}",
            order="",
            at=self._now(),
            what=contract.osi,
            side=Side.BUY,
            quantity=self._random.randint(1, 3),
            price=Decimal("1.25"),
            fees=FEE,
        )
        self.foreign.append(execution)
        self._say(ForeignFilled(at=execution.at, execution=execution))

    # --- orders arrive ----------------------------------------------------------------------------------------------

    def take(self, order: Order) -> None:
        number, self._next_id = self._next_id, self._next_id + 1
        if number in self._given:
            self._noted("broker id given out again")
        self._given.add(number)
        booked = Booked(
            ref=order.id,
            broker_id=str(number),
            contract=order.contract,
            side=order.side,
            quantity=order.quantity,
            type=order.type,
            limit=order.limit,
        )
        self.orders.append(booked)
        self.arrived()
        session = self._calendar.session_at(self._now())
        if session is None or not session.open <= self._now() < session.options_close:
            self._reject(booked, "closed")
        elif not self.quiet and self._random.random() < self.temper.rejects:
            self._noted("rejected")
            self._reject(booked, "no reason given")
        elif not self.quiet and self._random.random() < self.temper.fill_first:
            self.match(booked, eager=True)
            if booked.filled:
                self._noted("fill before acknowledgement")
            self._acknowledge(booked)
        else:
            self._acknowledge(booked)
            self._perhaps(booked)

    def change(self, ref: str, limit: Decimal) -> None:
        for booked in self._open(ref):
            booked.limit = limit
            self._perhaps(booked)

    def take_back(self, ref: str) -> None:
        for booked in self._open(ref):
            race = not self.quiet and self._random.random() < self.temper.races
            before = booked.filled
            if race:
                self.match(booked, eager=True, hold_back=True)
            if booked.state in OPEN:
                if booked.filled > before:
                    self._noted("late fill after cancel")
                self._end(booked, OrderState.CANCELLED, "cancelled by us")

    def _open(self, ref: str) -> list[Booked]:
        return [booked for booked in self.orders if booked.ref == ref and booked.state in OPEN]

    def _acknowledge(self, booked: Booked) -> None:
        booked.acknowledged = True
        self._say(Accepted(order=booked.ref, at=self._now()))

    def _reject(self, booked: Booked, why: str) -> None:
        booked.state, booked.reason = OrderState.REJECTED, why
        refusal = refuse(Code.SESSION_CLOSED if why == "closed" else Code.BUYING_POWER, broker=why)
        self._say(Rejected(order=booked.ref, at=self._now(), refusal=refusal))

    def _end(self, booked: Booked, state: OrderState, reason: str) -> None:
        booked.state, booked.reason = state, reason
        if state is OrderState.CANCELLED:
            self._say(Cancelled(order=booked.ref, at=self._now(), reason=reason))
        elif state is OrderState.EXPIRED:
            self._say(Expired(order=booked.ref, at=self._now()))

    # --- the exchange works -----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Try what rests, and let what outlived its session expire."""
        now = self._now()
        session = self._calendar.session_at(now)
        over = session is None or not session.open <= now < session.options_close
        for booked in self.orders:
            if booked.state not in OPEN:
                continue
            if over:
                self._noted("expired at the exchange")
                self._end(booked, OrderState.EXPIRED, "end of day")
            else:
                self._perhaps(booked)

    def _perhaps(self, booked: Booked) -> None:
        if self.quiet or self._random.random() < self.temper.brisk:
            self.match(booked)

    def match(self, booked: Booked, *, eager: bool = False, hold_back: bool = False) -> None:
        """Fill what the true market gives. `hold_back`: the word of it comes after the next one (a late fill)."""
        quote = self._market.true_quote(booked.contract)
        if quote is None or quote.bid is None or quote.ask is None or booked.state not in OPEN:
            return
        price = quote.ask if booked.side is Side.BUY else quote.bid
        if booked.limit is not None and (price > booked.limit if booked.side is Side.BUY else price < booked.limit):
            return
        quantity = booked.remaining
        if quantity > 1 and not self.quiet and (eager or self._random.random() < self.temper.partial):
            quantity = self._random.randint(1, quantity - 1)
            self._noted("partial fill")
        execution = Execution(
            id=f"E{len(self.executions) + 1}",
            ref=booked.ref,
            contract=booked.contract,
            side=booked.side,
            quantity=quantity,
            price=price,
            fees=FEE * quantity,
            at=self._now(),
        )
        self.executions.append(execution)
        booked.filled += quantity
        booked.state = OrderState.FILLED if not booked.remaining else OrderState.PARTIALLY_FILLED
        self._say(
            Filled(
                order=booked.ref,
                at=execution.at,
                execution=execution.id,
                quantity=quantity,
                price=price,
                fees=execution.fees,
                slippage=Decimal(0),
                quote=quote,
            ),
            hold_back=hold_back,
        )

    def _say(self, word: BrokerWord, *, hold_back: bool = False) -> None:
        if self.adapter is not None:
            self.adapter.say(word, hold_back=hold_back)

    # --- the books --------------------------------------------------------------------------------------------------

    def open_orders(self) -> tuple[BrokerOrder, ...]:
        return tuple(_in_book(booked) for booked in self.orders if booked.state in OPEN)

    def completed(self) -> tuple[BrokerOrder, ...]:
        return tuple(_in_book(booked) for booked in self.orders if booked.state not in OPEN)

    def all_executions(self) -> tuple[BrokerExecution, ...]:
        ours = tuple(
            BrokerExecution(
                execution=one.id,
                order=one.ref,
                at=one.at,
                what=one.contract.osi,
                side=one.side,
                quantity=one.quantity,
                price=one.price,
                fees=one.fees,
            )
            for one in self.executions
        )
        return ours + tuple(self.foreign)


def _in_book(booked: Booked) -> BrokerOrder:
    return BrokerOrder(
        order=booked.ref,
        broker_id=booked.broker_id,
        what=booked.contract.osi,
        side=booked.side,
        quantity=booked.quantity,
        filled=booked.filled,
        state=booked.state,
        limit=booked.limit,
        reason=booked.reason,
    )


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

    def say(self, word: BrokerWord, *, hold_back: bool = False) -> None:
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
        if not self.line.up and not self.line.dead:
            self.noted("1101 data lost" if data_lost else "1102 data kept")
            self._come_up(data_lost=data_lost)

    def _come_up(self, *, data_lost: bool) -> None:
        if not self.line.up and not self.line.dead:
            self.line.up = True
            self._hand(Reconnected(at=self.now(), data_lost=data_lost))
