"""One step of the journey: its moment, the facts it makes, and the effects to release once they are durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from engine.domain.chain import Chain
from engine.domain.entities import Position, SymbolBoard
from engine.domain.events import AnyFact, Fact
from engine.domain.marks import Mark
from engine.domain.values import ExitReason, OptionContract, Policy, Refusal
from engine.exits.monitor import Confirmation
from engine.market.bars import BarBook
from engine.market.parity import Parity
from engine.orders.fees import FeeTable
from engine.ports import Quotes
from engine.pricing.terms import Terms
from engine.risk.book import Exposure
from engine.sessions import Calendar
from engine.settings import Settings
from engine.state import State

F = TypeVar("F", bound=Fact)
ASK_AGAIN = timedelta(seconds=2)
"""A cancel that brought no word is asked for again after this."""


@dataclass(frozen=True, slots=True)
class World:
    """What the story needs to know besides its own past. Quotes and bars answer for the step's moment."""

    settings: Settings
    calendar: Calendar
    quotes: Quotes
    bars: BarBook
    fees: FeeTable
    policy: Policy
    paper: bool = True
    recorded: bool = False
    """Recorded minute data: every bar counts as a confirming quote, and quotes may be a minute old."""
    parity: Parity | None = None
    """Forwards by expiry; without it options are priced on the spot and the settings' rate."""


@dataclass(frozen=True, slots=True)
class Far:
    """A broker outside this process: its name, and how many seconds what is handed over may be on its way."""

    name: str
    settle: float


@dataclass(slots=True)
class Live:
    """What is watched but not remembered: made again from quotes after a restart."""

    marks: dict[str, Mark] = field(default_factory=dict)
    confirmations: dict[str, Confirmation] = field(default_factory=dict)
    marked: dict[str, datetime] = field(default_factory=dict)
    """When each position's mark last went to the ledger."""
    entries: list[datetime] = field(default_factory=list)
    """Entry intents of the last second, for the rate rule."""
    expiries: dict[str, tuple[SymbolBoard, datetime | None]] = field(default_factory=dict)
    """Each board as it was last looked at, and when something next leaves it."""
    taken_back: dict[str, datetime] = field(default_factory=dict)
    """Orders whose cancel was asked for, and when: the broker is not asked again at every tick."""
    wishes: dict[str, ExitReason] = field(default_factory=dict)
    """Positions that a person wants closed as soon as the smaller or slower exit that works is taken back."""
    exposures: dict[str, tuple[Position, Mark | None, date, Exposure]] = field(default_factory=dict)
    """What each position exposes, as of its last change or mark."""
    far: Far | None = None
    """Set when the broker is outside this process: it is sent to only while the line to it is ready."""
    met: float | None = None
    """When this process first heard from it, by the monotonic clock."""
    ask: bool = False
    """Something happened that only the broker's books can explain."""
    handing: dict[str, None] = field(default_factory=dict)
    """Orders about to be handed over, which is or becomes durable, and are not yet: they cannot be at the broker."""
    handed: dict[str, float] = field(default_factory=dict)
    """When orders without an answer were handed over, by the monotonic clock: the exchange's may skip hours at once."""
    changed: dict[str, float] = field(default_factory=dict)
    """When open orders at a broker outside this process last changed, or it last spoke of them, in this process, by the
    monotonic clock."""
    beyond: frozenset[str] = frozenset()
    """Orders in doubt that the latest books, whole and read over this line, cannot tell of: only a person can. Whatever
    happens to an order or is said of it takes it out."""
    behind: Refusal | None = None
    """Why no order adds risk now: the ledger's database has been behind for too long."""
    equity: Decimal | None = None
    equity_marked: datetime | None = None


class Effect(Protocol):
    """Something to do in the world, only after the facts that decided it are durable."""


@dataclass(frozen=True, slots=True)
class Send:
    order: str


@dataclass(frozen=True, slots=True)
class Submit:
    """That the order is about to be handed over is durable."""

    order: str


@dataclass(frozen=True, slots=True)
class Replace:
    order: str
    limit: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    order: str


@dataclass(slots=True)
class Step:
    """Facts are folded as they are made, so the next line of the story already sees them."""

    now: datetime
    state: State
    world: World
    live: Live
    monotonic: float = 0.0
    """The clock's reading that cannot leap, for waits."""
    facts: list[AnyFact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return self.world.settings

    def terms(self, contract: OptionContract) -> Terms:
        """The terms on which a contract is priced now."""
        parity = self.world.parity
        if parity is None:
            return Terms(self.settings.contracts.rate)
        return parity.terms(self.world.quotes, contract.symbol, contract.expiry, self.now)

    def chain_terms(self, chain: Chain, expiry: date) -> Terms:
        """The same for who has the chain at hand."""
        parity = self.world.parity
        return Terms(self.settings.contracts.rate) if parity is None else parity.of_chain(chain, expiry, self.now)

    def emit(self, kind: type[F], /, cause: int | None = None, **fields: Any) -> F:
        """Make a fact, fold it, keep it for the ledger."""
        at = self.now if self.state.last_at is None else max(self.now, self.state.last_at)
        fact = kind(seq=self.state.last_seq + 1, at=at, cause=cause, **fields)
        self.state.apply(fact)  # type: ignore[arg-type]  # AnyFact is the closed union of all Fact classes
        self.facts.append(fact)  # type: ignore[arg-type]
        if self.live.far is not None:
            self.note_change(getattr(fact, "order", ""))
        return fact

    def note_change(self, order: str) -> None:
        """Something happened to an order at a broker outside this process, or was said of it: what its books said
        before is old."""
        self.live.beyond -= {order}
        if order in self.state.open_orders:
            self.live.changed[order] = self.monotonic
        else:
            self.live.changed.pop(order, None)

    def take_back(self, order: str) -> None:
        """Ask the broker to cancel an order; asked again only when it has been silent for a while."""
        asked = self.live.taken_back.get(order)
        if asked is None or self.now - asked >= ASK_AGAIN:
            self.live.taken_back[order] = self.now
            self.effects.append(Cancel(order))

    def next_id(self, prefix: str) -> str:
        """Id of the entity the next fact gives birth to: derived from its seq, never random."""
        return f"{prefix}{self.state.last_seq + 1}"


Numbers = Mapping[str, str]
