"""The engine's ports: what it needs from the world, in the words of the domain.

Each has an in-memory twin that demo, replay and tests share, and one contract test that every implementation passes.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from engine.domain.chain import Chain
from engine.domain.entities import Order
from engine.domain.events import AnyFact
from engine.domain.values import OptionContract, OrderState, Quote, Refusal, Side, Value


class Clock(Protocol):
    def now(self) -> datetime:
        """The engine's time (UTC): the exchange's time it lives by. Never goes back."""
        ...

    def wall(self) -> datetime:
        """This machine's time (UTC): only for what the outside world stamps (HMAC, lateness of a sender)."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment of this process: runs while this machine does, whatever its or the exchange's time
        is set to. For waits; two readings of different processes mean nothing together."""
        ...


class Change(Value, frozen=True, kw_only=True):
    """One projection row after a fact: the whole entity, canonical. `body` None removes the row."""

    kind: str
    key: str
    body: bytes | None


class Head(Value, frozen=True, kw_only=True):
    """The end of the chain: seq 0 and 32 zero bytes before the first fact."""

    seq: int
    hash: bytes
    at: datetime | None
    """Engine time of the last fact."""


class LedgerAway(Exception):
    """The database cannot be reached now. Nothing was acknowledged; senders should try again."""


class Spooled(Value, frozen=True, kw_only=True):
    """The database is slow or away: facts are durable in the local spool and wait there, in order, to be moved over."""

    facts: int
    """Durable in the spool and not known to be in the database."""
    seconds: float
    """Since the database last kept up."""
    reason: str
    """In a person's words."""


class Ledger(Protocol):
    """Append-only and hash-chained, one writer. Facts in flight share a commit."""

    @property
    def head(self) -> Head:
        """The last durable fact: in the database or in the spool."""
        ...

    @property
    def available(self) -> bool:
        """False while no fact can be made durable, neither in the database nor in a spool: intake answers 503 and no
        risk is added."""
        ...

    @property
    def spooled(self) -> Spooled | None:
        """What is durable in the spool only; None while the database keeps up."""
        ...

    def append(self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]) -> Future[None]:
        """Queue facts (seq contiguous with what was queued before), the projection rows they change, and new dedupe
        keys (key -> seq). Done when all are durable together: committed, or in the fsynced spool of a database that is
        slow or away. Where there is no spool, or it is full, the future waits; facts are kept in order and written
        once they can be."""
        ...

    async def projections(self, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
        """Current rows `(kind, key, canonical body)` of these kinds, in the order they were last changed."""
        ...

    async def projected(self) -> int:
        """The last fact that changed a projection row; 0 before the first. What came after it changed none, or its
        changes are missing: a start folds those few facts again."""
        ...

    async def keys(self, after: int) -> Mapping[str, int]:
        """Dedupe keys whose seq is greater than `after`."""
        ...

    async def find(self, key: str) -> int | None:
        """The fact that brought this dedupe key, however long ago. Raises `LedgerAway` when that cannot be known."""
        ...

    def facts(self, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
        """Facts with after < seq <= until, in order."""
        ...

    async def story(self, seq: int) -> Sequence[AnyFact]:
        """The whole story a fact belongs to: up its causes to the first, and down to everything that came of it, in
        order. Empty when there is no such fact."""
        ...


class BrokerAway(Exception):
    """The broker cannot be asked now. What it knows is unknown, not empty."""


class BrokerWord(Value, frozen=True, kw_only=True, tag_field="report", tag=True):
    """Anything a broker says by itself. `at` is the broker's moment where it gives one, else ours (UTC)."""

    at: datetime


class BrokerReport(BrokerWord, frozen=True, kw_only=True):
    """The broker's word about one of our orders, named by our id.

    Words may come late, twice and in any order: a fill before its acknowledgement, a fill after a cancel. They may also
    be lost, but only with the connection: every loss is followed by `Disconnected`.
    """

    order: str


class Accepted(BrokerReport, frozen=True, kw_only=True):
    pass


class Filled(BrokerReport, frozen=True, kw_only=True):
    """One execution, keyed by `execution`: the same one may be reported again and counts once."""

    execution: str
    quantity: int
    price: Decimal
    fees: Decimal
    slippage: Decimal
    quote: Quote


class Cancelled(BrokerReport, frozen=True, kw_only=True):
    """It works no more. Executions from before may still be on their way, and they count."""

    reason: str


class Rejected(BrokerReport, frozen=True, kw_only=True):
    refusal: Refusal


class Expired(BrokerReport, frozen=True, kw_only=True):
    pass


class Disconnected(BrokerWord, frozen=True, kw_only=True):
    """The way to the broker is broken (1100, a closed socket). What was handed over or said around this moment may be
    lost; orders that rest at the broker go on resting, and may be filled, without a word."""

    reason: str


class Reconnected(BrokerWord, frozen=True, kw_only=True):
    """The way is there: at first, and after each `Disconnected`. `data_lost` is 1101 (subscriptions must be made again),
    False is 1102. In both cases words of the gap are lost, and evidence is asked for before anything is sent."""

    data_lost: bool = False


class BrokerOrder(Value, frozen=True, kw_only=True):
    """One order as the broker's books have it, ours or not."""

    order: str
    """Our id, which the broker keeps beside its own (orderRef); empty where the order is not ours."""
    broker_id: str
    """The broker's own id: for a person's eye. Never a key, for it may be given out again after a restart of theirs."""
    what: str
    """OSI symbol of the contract; for anything else what the broker calls it."""
    side: Side
    quantity: int
    filled: int
    state: OrderState
    """WORKING or PARTIALLY_FILLED among the open orders; FILLED, CANCELLED, REJECTED or EXPIRED among the completed."""
    limit: Decimal | None = None
    reason: str = ""

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


class BrokerExecution(Value, frozen=True, kw_only=True):
    """One execution as the broker's books have it, ours or not. `price` per share, `fees` dollars."""

    execution: str
    order: str
    """Our id; empty where the order was not ours."""
    at: datetime
    what: str
    side: Side
    quantity: int
    price: Decimal
    fees: Decimal


class ForeignFilled(BrokerWord, frozen=True, kw_only=True):
    """An execution in our account that no order of ours made: by phone, by another program, an exercise."""

    execution: BrokerExecution


class Evidence(Value, frozen=True, kw_only=True):
    """What the broker's books say, asked for in this order: open orders, completed orders, executions. So an order that
    ends while it asks is in one of them, and every fill that an order shows is among the executions.

    A part that could not be had, or not whole, is None: unknown, never empty. What is there counts all the same.
    """

    since: datetime
    """Completed orders and executions from this moment on are all here (UTC). Absence proves nothing about an older one."""
    open_orders: tuple[BrokerOrder, ...] | None
    completed: tuple[BrokerOrder, ...] | None
    executions: tuple[BrokerExecution, ...] | None

    @property
    def complete(self) -> bool:
        return self.open_orders is not None and self.completed is not None and self.executions is not None


Sink = Callable[[BrokerWord], None]


class Broker(Protocol):
    """Where orders go. Calls only hand over; what happened comes back through the sink, possibly more than once.

    Our id is the only key of an order and the execution's id the only key of a fill. A broker's adapter carries our id
    to the broker and back, made unique to this ledger where the account is shared, and keeps no other memory: after a
    restart of either side the books can be asked by it.

    No call raises because the way to the broker is broken: what is handed over then is lost, as on the way.
    """

    name: str
    durable_handover: bool
    """The broker outlives this process: that an order is about to be handed over must be durable before it is, for after
    a crash only evidence can tell whether it was. It speaks `Reconnected` before anything is sent to it. False for a
    broker inside this process, which dies with it: there the intent being durable is enough."""
    settle_seconds: float
    """How long what is handed over may be on its way, by `Clock.monotonic`. An order handed over longer than this before
    evidence was asked for, and in no part of that complete evidence, did not arrive and never will."""

    def connect(self, sink: Sink) -> None: ...

    def submit(self, order: Order) -> None:
        """Hand over an order whose intent is durable. `order.id` is ours and makes a resend harmless."""
        ...

    def replace(self, order_id: str, limit: Decimal) -> None:
        """New limit for a working order. An order that does not work there is left alone, and nothing new is made."""
        ...

    def cancel(self, order_id: str) -> None:
        """Cancel whatever works under our id, should there be two of it. Nothing there: nothing happens."""
        ...

    def restore(self, orders: Sequence[Order]) -> None:
        """After a restart: the orders we believe to be open, with what was filled so far. Sends nothing."""
        ...

    async def evidence(self) -> Evidence:
        """Ask for the broker's books. Raises `BrokerAway` when it cannot be asked; the caller sets the time limit and
        may cancel. Words that arrive meanwhile go to the sink as always."""
        ...


class Quotes(Protocol):
    """The newest market data known now. Lookups never block and never invent: None means not known."""

    source: str
    """simulated, recorded, …: shown on every band and number."""
    max_age: float
    """Seconds after which this source's quotes are stale, at most."""

    def underlying(self, symbol: str) -> Quote | None: ...

    def option(self, contract: OptionContract) -> Quote | None: ...

    def chain(self, symbol: str) -> Chain | None:
        """Snapshot of the whole chain now."""
        ...

    def find(self, osi: str) -> OptionContract | None:
        """The listed contract of an OSI symbol."""
        ...

    def symbols(self) -> Sequence[str]: ...

    def official_close(self, symbol: str, day: date) -> Decimal | None:
        """The closing price that options of that day settle against, once it is known."""
        ...


class Messenger(Protocol):
    """Brings words to the trader, away from this machine."""

    async def tell(self, subject: str, text: str) -> None:
        """Take a message over. Returns when a crash cannot lose it any more; delivery comes later, in order. Raises
        `OSError` when it cannot be kept."""
        ...
