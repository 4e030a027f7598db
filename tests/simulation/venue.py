"""A hostile broker: the exchange's order book and the broker's books, which outlive the engine.

It fills in part, before it acknowledges and after it cancelled, rejects, and hands out its own ids again after a restart.
What it never does is lie: its books are what happened. The way to it is `line`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from engine.domain.entities import Order
from engine.domain.values import Code, OptionContract, OrderState, OrderType, Side, refuse
from engine.ports import (
    Accepted,
    BrokerExecution,
    BrokerOrder,
    BrokerWord,
    Cancelled,
    Expired,
    Filled,
    ForeignFilled,
    Rejected,
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


Hearing = Callable[[BrokerWord, bool], None]
"""Takes a word and whether it is held back until after the next."""


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
        self.hear: Hearing | None = None
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
        if self.hear is not None:
            self.hear(word, hold_back)

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
