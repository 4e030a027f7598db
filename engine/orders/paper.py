"""The paper broker: the Broker port over whatever Quotes there are. Honest, deterministic, restartable.

The wiring makes it; the journey submits, and calls `match` after every market batch and clock tick. It never asks for
a quote of the future: an order takes the newest quote known when it arrives, what rests is tried on later ones.
Every report reaches the sink before the call returns, so a sink must queue, not act. It lives and dies with this
process: what it did before, only the ledger knows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from engine.domain.averages import average_after
from engine.domain.entities import Order
from engine.domain.values import (
    Code,
    OptionContract,
    OrderState,
    OrderType,
    Quote,
    Refusal,
    Side,
    TimeInForce,
    refuse,
)
from engine.orders.fees import Bill, FeeTable, bill_after, bill_of
from engine.orders.fills import fill, shown, usable
from engine.ports import (
    Accepted,
    BrokerExecution,
    BrokerOrder,
    BrokerReport,
    Cancelled,
    Clock,
    Evidence,
    Expired,
    Filled,
    Quotes,
    Rejected,
    Sink,
)
from engine.sessions import Calendar, Session, new_york_day
from engine.settings import Settings

EDGE = timedelta(minutes=5)
"""The first and last minutes of a session, in which slippage doubles."""

BOOKS = 10_000
"""Completed orders, and executions, that its books go back."""


@dataclass(slots=True)
class _Working:
    order: Order
    bound: Decimal | None
    """Worst price it may trade at."""
    session: Session | None
    """The session it lives in; None when it was placed on no trading day."""
    bill: Bill
    seen: Quote | None = None
    """The newest quote it was tried on."""
    filled_on: Quote | None = None
    resting: bool = False
    """A usable quote left some of it: from now on it is met at its own limit."""


class PaperBroker:
    """See the module. Slippage, sizes and ages come from `settings`, fees from `table`."""

    name = "paper"
    durable_handover = False
    settle_seconds = 0.0

    def __init__(self, quotes: Quotes, clock: Clock, calendar: Calendar, settings: Settings, table: FeeTable) -> None:
        self._quotes = quotes
        self._clock = clock
        self._calendar = calendar
        self._settings = settings
        self._table = table
        self._sink: Sink | None = None
        self._working: dict[str, _Working] = {}
        self._done: set[str] = set()
        self._taken: dict[tuple[OptionContract, Side], tuple[Quote, int]] = {}
        self._since = clock.now()
        self._completed: deque[tuple[datetime, BrokerOrder]] = deque()
        self._executions: deque[BrokerExecution] = deque()

    def connect(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def working(self) -> Sequence[str]:
        """Ids of the orders that rest, oldest first."""
        return tuple(self._working)

    def submit(self, order: Order) -> None:
        """Take an order: accepted and filled at once as far as the newest quote allows, or rejected. The same id
        again does nothing, whatever became of it."""
        if order.id in self._working or order.id in self._done:
            return
        now = self._clock.now()
        refusal = self._refusal(order, now)
        if refusal is not None:
            self._done.add(order.id)
            self._finish(order, Rejected(order=order.id, at=now, refusal=refusal))
            return
        self._working[order.id] = _Working(
            order=order, bound=order.limit, session=self._calendar.session_at(now), bill=Bill()
        )
        self._report(Accepted(order=order.id, at=now))
        self._arrive(order.id, now)

    def replace(self, order_id: str, limit: Decimal) -> None:
        """A new limit, tried at once on the newest quote. An order that no longer rests is left alone."""
        working = self._working.get(order_id)
        if working is None:
            return
        working.order = msgspec.structs.replace(working.order, limit=limit)
        working.bound = limit
        working.seen = None
        working.resting = False
        self._arrive(order_id, self._clock.now())

    def cancel(self, order_id: str) -> None:
        """Cancel what rests. An order that no longer rests is left alone: its last report stands."""
        if order_id in self._working:
            self._close(order_id, Cancelled(order=order_id, at=self._clock.now(), reason="cancelled"))

    def restore(self, orders: Sequence[Order]) -> None:
        """Take up orders after a restart, oldest first. Those that were being handed over are accepted now; those only
        approved were never sent and are left to be submitted. What filled is kept, so execution ids go on."""
        now = self._clock.now()
        for order in orders:
            if order.state is OrderState.APPROVED or order.id in self._working:
                continue
            if not order.state.is_open:
                self._done.add(order.id)
                continue
            session = self._calendar.session_at(order.created)
            self._working[order.id] = _Working(
                order=order,
                bound=_bound_after_restart(order),
                session=session,
                bill=bill_of(self._table, new_york_day(order.created), order),
                resting=order.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED),
            )
            if order.state in (OrderState.SUBMITTING, OrderState.UNKNOWN):
                self._report(Accepted(order=order.id, at=now))

    async def evidence(self) -> Evidence:
        """The books of this process, always whole: from its start, or as far back as they go, on."""
        return Evidence(
            since=self._since,
            open_orders=tuple(_booked(working.order) for working in self._working.values()),
            completed=tuple(order for _, order in self._completed),
            executions=tuple(self._executions),
        )

    def match(self, now: datetime | None = None) -> None:
        """Expire what outlived its session, and try the rest, oldest first, on quotes they have not met yet. `now` is
        the clock's unless told."""
        now = now if now is not None else self._clock.now()
        for order_id in tuple(self._working):
            working = self._working[order_id]
            if working.session is None or now >= working.session.options_close:
                self._close(order_id, Expired(order=order_id, at=now))
            else:
                self._try(working, now)

    # --- one order ----------------------------------------------------------------------------------------------------

    def _refusal(self, order: Order, now: datetime) -> Refusal | None:
        limit = self._settings.paper.max_quantity
        if order.quantity > limit:
            return refuse(Code.ORDER_TOO_LARGE, quantity=order.quantity, limit=limit)
        if order.quantity < 1:
            return refuse(Code.BAD_QUANTITY, quantity=order.quantity)
        if order.limit is not None and order.limit <= 0:
            return refuse(Code.OUT_OF_RANGE, path="limit", limit=order.limit)
        if order.type is OrderType.LIMIT and order.limit is None:
            return refuse(Code.BAD_FIELD, path="limit", type=order.type)
        session = self._calendar.session_at(now)
        if session is None or now >= session.options_close:
            return refuse(Code.SESSION_CLOSED, at=now.isoformat())
        if order.contract.expiry < session.day:
            return refuse(Code.NO_MARKET_DATA, expired=order.contract.expiry)
        return None

    def _arrive(self, order_id: str, now: datetime) -> None:
        working = self._working[order_id]
        self._try(working, now)
        if order_id in self._working and working.order.tif is TimeInForce.IOC:
            self._close(order_id, Cancelled(order=order_id, at=now, reason="immediate or cancel"))

    def _try(self, working: _Working, now: datetime) -> None:
        session = working.session
        order = working.order
        if session is None or not session.open <= now < session.options_close:
            return
        quote = self._quotes.option(order.contract)
        if quote is None or quote == working.seen:
            return
        working.seen = quote
        if not usable(quote, quote.age(now), self._max_age(order.contract, session.day)):
            return
        found = fill(
            order,
            quote,
            resting=working.resting,
            bound=working.bound,
            available=self._available(working, quote),
            near_edge=now < session.open + EDGE or now >= session.close - EDGE,
            settings=self._settings.paper,
        )
        working.resting = True
        if found is None:
            return
        self._take(order, quote, found.quantity)
        bill = bill_after(
            self._table, session.day, order.side, found.quantity, found.price, working.bill, order.contract.multiplier
        )
        filled = order.filled + found.quantity
        report = Filled(
            order=order.id,
            at=now,
            execution=f"{order.id}-{filled}",
            quantity=found.quantity,
            price=found.price,
            fees=bill.billed - working.bill.billed,
            slippage=found.slippage,
            quote=quote,
        )
        working.order = msgspec.structs.replace(
            order,
            filled=filled,
            average=average_after(order.average, order.filled, found.price, found.quantity),
            fees=order.fees + report.fees,
        )
        self._executions.append(_execution(order, report))
        if len(self._executions) > BOOKS:
            self._since = max(self._since, self._executions.popleft().at + datetime.resolution)
        working.bill = bill
        working.filled_on = quote
        if order.type is OrderType.MARKETABLE:
            working.bound = found.price
        if working.order.remaining:
            self._report(report)
        else:
            self._close(order.id, report)

    def _available(self, working: _Working, quote: Quote) -> int | None:
        order = working.order
        size = shown(quote, order.side)
        if size is None:
            # nothing says how much is there: an order takes its share of such a quote once
            return 0 if working.filled_on == quote else None
        last, taken = self._taken.get((order.contract, order.side), (quote, 0))
        return size - taken if last == quote else size

    def _take(self, order: Order, quote: Quote, quantity: int) -> None:
        key = (order.contract, order.side)
        last, taken = self._taken.get(key, (quote, 0))
        self._taken[key] = (quote, quantity + (taken if last == quote else 0))

    def _max_age(self, contract: OptionContract, day: date) -> float:
        """Seconds; the source's own word and the setting for its kind, whichever is stricter."""
        setting = self._settings.market.quote_age(self._quotes.source, zero_dte=contract.expiry == day)
        return min(self._quotes.max_age, setting)

    def _close(self, order_id: str, report: BrokerReport) -> None:
        working = self._working.pop(order_id)
        self._done.add(order_id)
        self._finish(working.order, report)

    def _finish(self, order: Order, report: BrokerReport) -> None:
        self._completed.append((report.at, _booked(order, report)))
        if len(self._completed) > BOOKS:
            self._since = max(self._since, self._completed.popleft()[0] + datetime.resolution)
        self._report(report)

    def _report(self, report: BrokerReport) -> None:
        if self._sink is None:
            raise RuntimeError("the paper broker was used before connect()")
        self._sink(report)


def _booked(order: Order, last: BrokerReport | None = None) -> BrokerOrder:
    """An order as the books have it: while it works, or with the word that ended it."""
    state, reason = OrderState.PARTIALLY_FILLED if order.filled else OrderState.WORKING, ""
    match last:
        case Filled():
            state = OrderState.FILLED
        case Cancelled(reason=reason):
            state = OrderState.CANCELLED
        case Rejected(refusal=refusal):
            state, reason = OrderState.REJECTED, refusal.text
        case Expired():
            state = OrderState.EXPIRED
    return BrokerOrder(
        order=order.id,
        broker_id=order.id,
        what=order.contract.osi,
        side=order.side,
        quantity=order.quantity,
        filled=order.filled,
        state=state,
        limit=order.limit,
        reason=reason,
    )


def _execution(order: Order, report: Filled) -> BrokerExecution:
    return BrokerExecution(
        execution=report.execution,
        order=order.id,
        at=report.at,
        what=order.contract.osi,
        side=order.side,
        quantity=report.quantity,
        price=report.price,
        fees=report.fees,
    )


def _bound_after_restart(order: Order) -> Decimal | None:
    """Where a marketable order filled in part and was not priced anew since, its rest stays near what it paid."""
    if order.type is OrderType.MARKETABLE and order.average is not None and not order.attempts:
        return order.average
    return order.limit
