"""A broker across a line that the test holds: what is sent arrives when the test says, what it says is heard when the test
says, in the order it says, or is lost with the line. Its books are the truth, and outlive any engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from engine.domain.entities import Order
from engine.domain.values import Code, OrderState, Quote, Side, refuse
from engine.ports import (
    Accepted,
    BrokerAway,
    BrokerExecution,
    BrokerOrder,
    BrokerWord,
    Cancelled,
    Clock,
    Disconnected,
    Evidence,
    Expired,
    Filled,
    Reconnected,
    Rejected,
    Sink,
)

FEE = Decimal("0.65")
SETTLES = 5.0


@dataclass(slots=True)
class Booked:
    """One order in the books."""

    order: Order
    broker_id: str
    state: OrderState = OrderState.WORKING
    filled: int = 0
    reason: str = ""

    @property
    def works(self) -> bool:
        return self.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)

    @property
    def remaining(self) -> int:
        return self.order.quantity - self.filled

    def seen(self) -> BrokerOrder:
        return BrokerOrder(
            order=self.order.id,
            broker_id=self.broker_id,
            what=self.order.contract.osi,
            side=self.order.side,
            quantity=self.order.quantity,
            filled=self.filled,
            state=self.state,
            limit=self.order.limit,
            reason=self.reason,
        )


@dataclass
class Exchange:
    """The broker's own side: its books."""

    opened: datetime
    orders: dict[str, Booked] = field(default_factory=dict)
    """By our id: a resend is harmless."""
    executions: list[BrokerExecution] = field(default_factory=list)
    strangers: list[BrokerOrder] = field(default_factory=list)
    """Orders of somebody else in the account."""
    next_id: int = 1

    def net(self, what: str) -> int:
        """Contracts held, by the executions of our orders."""
        return sum(e.quantity * e.side.sign for e in self.executions if e.what == what and e.order in self.orders)

    def books(self) -> Evidence:
        seen = [booked.seen() for booked in self.orders.values()] + self.strangers
        works = (OrderState.WORKING, OrderState.PARTIALLY_FILLED)
        return Evidence(
            since=self.opened,
            open_orders=tuple(order for order in seen if order.state in works),
            completed=tuple(order for order in seen if order.state not in works),
            executions=tuple(self.executions),
        )


class FarBroker:
    """One connection of one process of ours to the exchange."""

    name = "far"
    durable_handover = True
    settle_seconds = SETTLES

    def __init__(self, clock: Clock, exchange: Exchange | None = None) -> None:
        self.clock = clock
        self.exchange = exchange or Exchange(clock.now())
        self.up = False
        self.sent: list[tuple[datetime, str, Order | str, Decimal | None]] = []
        """On their way to the broker: when, what, of which order."""
        self.words: list[BrokerWord] = []
        """On their way to us."""
        self.handed: list[str] = []
        """Ids handed over, each time."""
        self.restored: list[str] = []
        self.away = False
        """It cannot be asked."""
        self.hidden: frozenset[str] = frozenset()
        """Parts of the books that it does not give."""
        self._sink: Sink | None = None

    # --- the port -----------------------------------------------------------------------------------------------------

    def connect(self, sink: Sink) -> None:
        self._sink = sink

    def submit(self, order: Order) -> None:
        self.handed.append(order.id)
        self._send("submit", order)

    def replace(self, order_id: str, limit: Decimal) -> None:
        self._send("replace", order_id, limit)

    def cancel(self, order_id: str) -> None:
        self._send("cancel", order_id)

    def restore(self, orders: Sequence[Order]) -> None:
        self.restored += [order.id for order in orders]

    async def evidence(self) -> Evidence:
        return self.books()

    # --- the line -----------------------------------------------------------------------------------------------------

    def books(self) -> Evidence:
        if self.away or not self.up:
            raise BrokerAway("no answer")
        books = self.exchange.books()
        return Evidence(
            since=books.since,
            open_orders=None if "open_orders" in self.hidden else books.open_orders,
            completed=None if "completed" in self.hidden else books.completed,
            executions=None if "executions" in self.hidden else books.executions,
        )

    def drop(self, reason: str = "1100") -> None:
        """The line breaks: what is on it is lost."""
        self.sent.clear()
        self.words.clear()
        self.up = False
        self._say(Disconnected(at=self.clock.now(), reason=reason))

    def raise_line(self, *, data_lost: bool = False) -> None:
        self.up = True
        self._say(Reconnected(at=self.clock.now(), data_lost=data_lost))

    def arrive(self, count: int = 1) -> None:
        """The oldest of what was sent reaches the exchange, in order."""
        for _ in range(min(count, len(self.sent))):
            _, what, of, limit = self.sent.pop(0)
            if isinstance(of, Order):
                self._take(of)
            elif what == "cancel":
                self._cancel(of)
            else:
                self._replace(of, limit)

    def hear(self, place: int = 0, *, keep: bool = False) -> None:
        """One of the words on their way is heard, not always the oldest; kept, it will be heard again."""
        if self.words:
            place %= len(self.words)
            self._say(self.words[place] if keep else self.words.pop(place))

    def calm(self) -> None:
        """Everything that is on the line arrives, and everything is heard."""
        while self.sent or self.words:
            self.arrive(len(self.sent))
            self.hear()

    def _send(self, what: str, of: Order | str, limit: Decimal | None = None) -> None:
        if self.up:
            self.sent.append((self.clock.now(), what, of, limit))

    def _tell(self, word: BrokerWord) -> None:
        if self.up:
            self.words.append(word)

    def _say(self, word: BrokerWord) -> None:
        assert self._sink is not None
        self._sink(word)

    # --- the exchange -------------------------------------------------------------------------------------------------

    def fill(self, order_id: str, quantity: int | None = None, price: str = "") -> None:
        booked = self.exchange.orders[order_id]
        count = min(quantity or booked.remaining, booked.remaining)
        if not booked.works or not count:
            return
        made = booked.order
        booked.filled += count
        booked.state = OrderState.PARTIALLY_FILLED if booked.remaining else OrderState.FILLED
        execution = BrokerExecution(
            execution=f"{booked.broker_id}.{len(self.exchange.executions)}",
            order=order_id,
            at=self.clock.now(),
            what=made.contract.osi,
            side=made.side,
            quantity=count,
            price=Decimal(price) if price else made.limit or Decimal(1),
            fees=FEE * count,
        )
        self.exchange.executions.append(execution)
        self._tell(
            Filled(
                order=order_id, at=execution.at, execution=execution.execution, quantity=count, price=execution.price,
                fees=execution.fees, slippage=Decimal(0), quote=Quote(bid=None, ask=None, at=execution.at, source="far"),
            )
        )  # fmt: skip

    def expire(self, order_id: str) -> None:
        booked = self.exchange.orders[order_id]
        if booked.works:
            booked.state = OrderState.EXPIRED
            self._tell(Expired(order=order_id, at=self.clock.now()))

    def execute_for_another(self, execution: str, what: str, side: Side, quantity: int, order: str = "") -> None:
        """Somebody else trades in the account."""
        self.exchange.executions.append(
            BrokerExecution(
                execution=execution, order=order, at=self.clock.now(), what=what, side=side, quantity=quantity,
                price=Decimal(1), fees=FEE,
            )
        )  # fmt: skip

    def _take(self, order: Order) -> None:
        if order.id in self.exchange.orders:
            return
        booked = Booked(order, str(self.exchange.next_id))
        self.exchange.next_id += 1
        self.exchange.orders[order.id] = booked
        if order.quantity > 1000:
            refusal = refuse(Code.ORDER_TOO_LARGE, quantity=order.quantity)
            booked.state, booked.reason = OrderState.REJECTED, refusal.text
            self._tell(Rejected(order=order.id, at=self.clock.now(), refusal=refusal))
        else:
            self._tell(Accepted(order=order.id, at=self.clock.now()))

    def _cancel(self, order_id: str) -> None:
        booked = self.exchange.orders.get(order_id)
        if booked is not None and booked.works:
            booked.state, booked.reason = OrderState.CANCELLED, "cancelled"
            self._tell(Cancelled(order=order_id, at=self.clock.now(), reason="cancelled"))

    def _replace(self, order_id: str, limit: Decimal | None) -> None:
        booked = self.exchange.orders.get(order_id)
        if booked is not None and booked.works and limit is not None:
            booked.order = replace(booked.order, limit=limit)
