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
from engine.domain.values import OptionContract, Quote, Refusal, Value


class Clock(Protocol):
    def now(self) -> datetime:
        """The engine's time (UTC): the exchange's time it lives by. Never goes back."""
        ...

    def wall(self) -> datetime:
        """This machine's time (UTC): only for what the outside world stamps (HMAC, lateness of a sender)."""
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


class Ledger(Protocol):
    """Append-only and hash-chained, one writer. Facts in flight share a commit."""

    @property
    def head(self) -> Head:
        """The last durable fact."""
        ...

    @property
    def available(self) -> bool:
        """False while the database is away: intake answers 503 and no risk is added."""
        ...

    def append(self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int]) -> Future[None]:
        """Queue facts (seq contiguous with what was queued before), the projection rows they change, and new dedupe
        keys (key -> seq). Done when all are committed together. While the database is away the future waits; facts
        are kept in order and written once it is back."""
        ...

    async def projections(self, kinds: Iterable[str]) -> Sequence[tuple[str, str, bytes]]:
        """Current rows `(kind, key, canonical body)` of these kinds, in the order they were last changed."""
        ...

    async def keys(self, after: int) -> Mapping[str, int]:
        """Dedupe keys whose seq is greater than `after`."""
        ...

    def facts(self, after: int = 0, until: int | None = None) -> AsyncIterator[AnyFact]:
        """Facts with after < seq <= until, in order."""
        ...

    async def story(self, seq: int) -> Sequence[AnyFact]:
        """The whole story a fact belongs to: up its causes to the first, and down to everything that came of it, in
        order. Empty when there is no such fact."""
        ...


class BrokerReport(Value, frozen=True, kw_only=True, tag_field="report", tag=True):
    """The broker's word about one of our orders."""

    order: str
    at: datetime


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
    reason: str


class Rejected(BrokerReport, frozen=True, kw_only=True):
    refusal: Refusal


class Expired(BrokerReport, frozen=True, kw_only=True):
    pass


Sink = Callable[[BrokerReport], None]


class Broker(Protocol):
    """Where orders go. Calls only hand over; what happened comes back through the sink, possibly more than once."""

    name: str

    def connect(self, sink: Sink) -> None: ...

    def submit(self, order: Order) -> None:
        """Hand over an order whose intent is durable. `order.id` is ours and makes a resend harmless."""
        ...

    def replace(self, order_id: str, limit: Decimal) -> None:
        """New limit for a working order."""
        ...

    def cancel(self, order_id: str) -> None: ...

    def restore(self, orders: Sequence[Order]) -> None:
        """After a restart: the orders we believe to be open, with what was filled so far."""
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
