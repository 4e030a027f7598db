"""Frozen rows that panels draw, queries return and messages word: what a person needs to see, as values, not yet text.

`engine.views` builds them from state; `widgets` turns them into text and colour. They hold no Qt and no formatting:
money and prices are `Decimal`, ratios are floats (0.08 is 8 %), ages and times left are seconds.
A view that equals the one before costs the screen nothing, so ages are rounded where they are made.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.domain.chain_views import (
    ChainExpiry as ChainExpiry,
)
from engine.domain.chain_views import (
    ChainRow as ChainRow,
)
from engine.domain.chain_views import (
    ChainSide as ChainSide,
)
from engine.domain.chain_views import (
    ChainView as ChainView,
)
from engine.domain.faces import (
    FULL as FULL,
)
from engine.domain.faces import (
    Face as Face,
)
from engine.domain.faces import (
    FaceKind as FaceKind,
)
from engine.domain.faces import (
    HealthView as HealthView,
)
from engine.domain.faces import (
    Lamp as Lamp,
)
from engine.domain.faces import (
    LampState as LampState,
)
from engine.domain.faces import (
    LedgerRow as LedgerRow,
)
from engine.domain.faces import (
    LogRow as LogRow,
)
from engine.domain.faces import (
    LogView as LogView,
)
from engine.domain.faces import (
    Outage as Outage,
)
from engine.domain.faces import (
    Point as Point,
)
from engine.domain.faces import (
    StoryCard as StoryCard,
)
from engine.domain.faces import (
    StoryStep as StoryStep,
)
from engine.domain.faces import (
    StoryView as StoryView,
)
from engine.domain.faces import (
    View as View,
)
from engine.domain.faces import (
    WelcomeStep as WelcomeStep,
)
from engine.domain.faces import (
    WelcomeView as WelcomeView,
)
from engine.domain.ticket_views import (
    Impact as Impact,
)
from engine.domain.ticket_views import (
    PayoffPoint as PayoffPoint,
)
from engine.domain.ticket_views import (
    TicketsView as TicketsView,
)
from engine.domain.ticket_views import (
    TicketView as TicketView,
)
from engine.domain.values import (
    Bias,
    Direction,
    ExitAction,
    OrderState,
    Priority,
    Purpose,
    Quality,
    Side,
    Timeframe,
    Value,
    Verdict,
)

# --- hear ----------------------------------------------------------------------------------------------------------


class SignalRow(Value, frozen=True, kw_only=True):
    """One receipt and what became of it."""

    seq: int
    at: datetime
    kind: str
    """signal, phase, trend, exit, unknown."""
    symbol: str
    text: str
    """`SPY 5m LONG`."""
    direction: Direction | None = None
    quality: Quality | None = None
    score: int | None = None
    outcome: str = ""
    decision: int | None = None
    ticket: str | None = None
    position: str | None = None
    today: bool = True
    """It came on the exchange's day of now."""


class SignalsView(View, frozen=True, kw_only=True):
    rows: tuple[SignalRow, ...] = ()
    """Newest first."""
    today: int = 0
    heard_ago: float | None = None
    """Seconds since anything was heard."""


# --- weigh, decide -------------------------------------------------------------------------------------------------


class ConfluenceCell(Value, frozen=True, kw_only=True):
    """One symbol and timeframe: what stands there and how much of its life is left."""

    timeframe: Timeframe
    weight: int
    """Points it gives to the score."""
    direction: Direction | None = None
    quality: Quality | None = None
    ai_score: float | None = None
    left: float = 0.0
    """Fraction of its validity that is left."""
    seconds: float = 0.0
    """The same in seconds."""
    source: int | None = None


class ConfluenceRow(Value, frozen=True, kw_only=True):
    symbol: str
    cells: tuple[ConfluenceCell, ...]
    """Six, slowest first."""
    score: int
    leaning: Direction | None
    reachable: int
    """Highest score the leaning could have now: what is held firmly against it cannot count."""
    blocked: str = ""
    """What keeps it from 100."""
    missing: str = ""
    """The next step: `30m makes 97`."""
    phase: str = ""
    """`1H ENTER_ACCUMULATION`."""
    phase_score: float | None = None
    trend: str = ""
    """`STRONG`."""
    trend_count: str = ""
    """`6/8`."""
    trend_bias: Bias | None = None
    verdict: Verdict | None = None
    guard: str = ""
    """A guard that bars entries now, in words."""


class ConfluenceView(View, frozen=True, kw_only=True):
    rows: tuple[ConfluenceRow, ...] = ()
    enough: int = 60
    """The score from which the engine may execute."""


class Factor(Value, frozen=True, kw_only=True):
    """One multiplier of the decision."""

    name: str
    value: float
    low: float
    """Smallest and largest the rules know: the ends of its bar."""
    high: float
    neutral: float = 1.0


class DecisionView(Value, frozen=True, kw_only=True):
    """Why the engine said what it said."""

    seq: int
    at: datetime
    symbol: str
    verdict: Verdict
    direction: Direction | None
    leaning: Direction | None
    score: int
    by: str
    """signal, phase, trend or expiry."""
    trigger: str = ""
    """`5m`: the timeframe of the signal that caused it."""
    reason: str = ""
    factors: tuple[Factor, ...] = ()
    raw: float | None = None
    final: float | None = None
    contracts: int = 0
    inputs: tuple[str, ...] = ()
    counterfactuals: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    denial: str = ""
    """A refusal's text, verbatim."""
    stage: str = ""
    overridable: bool = False
    engine_version: str = ""


class DecisionsView(View, frozen=True, kw_only=True):
    rows: tuple[DecisionView, ...] = ()
    """Newest first, one a symbol."""


# --- orders, positions, exits --------------------------------------------------------------------------------------


class OrderRow(Value, frozen=True, kw_only=True):
    id: str
    contract: str
    symbol: str
    side: Side
    quantity: int
    filled: int
    state: OrderState
    limit: Decimal | None
    average: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    age: float | None
    purpose: Purpose
    why: str
    """`entry`, `TARGET_1` …"""
    working: float
    """Seconds since it was made; of a finished one, how long it took."""
    changed: datetime | None = None
    """Its last change or fill; before any, when it was made."""
    since: float = 0.0
    """Seconds since then: to a minute seconds, then minutes."""
    attempts: int = 0
    refusal: str = ""
    position: str | None = None
    seq: int | None = None
    """A fact of its story."""

    @property
    def is_open(self) -> bool:
        return self.state.is_open


class OrdersView(View, frozen=True, kw_only=True):
    rows: tuple[OrderRow, ...] = ()


class PositionRow(Value, frozen=True, kw_only=True):
    id: str
    contract: str
    symbol: str
    direction: Direction
    dte: int
    quantity: int
    entry: Decimal
    mark: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    age: float | None
    stale: bool
    model: bool
    """The mark is the model's value, not a quote's mid."""
    pnl: Decimal | None
    pnl_fraction: float | None
    r: float | None
    """Profit in units of the risk at entry."""
    delta: float | None
    gamma: float | None
    vega: Decimal | None
    """Dollars per vol point, the whole position."""
    theta: Decimal | None
    """Dollars to the session's close, the whole position."""
    mfe: float | None
    mae: float | None
    """Best and worst mark since entry, fractions of the entry."""
    next_exit: str = ""
    nearness: float | None = None
    iv: float | None = None
    """Implied vol behind the Greeks, a fraction."""
    greeks_by: str = ""
    """Where the Greeks are from: `American, parity forward, simulated`; empty without any."""
    closing: int = 0
    """Contracts in working closing orders."""
    decision: int | None = None
    trigger: int | None = None


class PositionsView(View, frozen=True, kw_only=True):
    rows: tuple[PositionRow, ...] = ()
    delta_dollars: Decimal | None = None
    theta: Decimal | None = None
    pnl: Decimal | None = None
    age: float | None = None
    """Oldest mark, seconds."""


class ExitRow(Value, frozen=True, kw_only=True):
    position: str
    contract: str
    rule: str
    level: str
    distance: str
    nearness: float
    owner: str
    action: ExitAction
    priority: Priority
    fired: bool = False

    @property
    def key(self) -> str:
        return f"{self.position}/{self.rule}"


class ExitsView(View, frozen=True, kw_only=True):
    rows: tuple[ExitRow, ...] = ()
    more: int = 0
    """Rules further away than the last row."""


class Gauge(Value, frozen=True, kw_only=True):
    """One figure of the book against its limit."""

    name: str
    value: Decimal | None
    limit: Decimal | None = None
    unit: str = "$"
    decimals: int = 0
    help: str = ""

    @property
    def fraction(self) -> float | None:
        if self.value is None or not self.limit:
            return None
        return float(abs(self.value / self.limit))


class SymbolGreeks(Value, frozen=True, kw_only=True):
    symbol: str
    delta_dollars: Decimal
    gamma_dollars: Decimal
    theta: Decimal
    vega: Decimal
    pnl: Decimal


class GreeksView(View, frozen=True, kw_only=True):
    gauges: tuple[Gauge, ...] = ()
    symbols: tuple[SymbolGreeks, ...] = ()
    age: float | None = None
    """Oldest quote behind the Greeks, seconds."""
    greeks_by: str = ""
    """Where they are from; several where positions differ."""


# --- the whole desk ---------------------------------------------------------------------------------------------


class Tick(Value, frozen=True, kw_only=True):
    """One symbol of the tape."""

    symbol: str
    price: Decimal | None
    change: float | None
    """Against the prior close, or the session's first quote where that is unknown; a fraction."""
    age: float | None = None
    stale: bool = False


class HeaderView(Value, frozen=True, kw_only=True):
    """The band, the tape and the account's line."""

    account: str
    """PAPER or LIVE."""
    market: str
    """SIMULATED, RECORDED, REPLAY or LIVE."""
    speed: float = 1.0
    """Seconds of the exchange a second."""
    now: datetime
    """The exchange's time (UTC)."""
    ticks: tuple[Tick, ...] = ()
    session: str = ""
    """`OPEN`, `MIDDAY`, `closed` …"""
    to_close: float | None = None
    to_open: float | None = None
    event: str = ""
    equity: Decimal | None = None
    day_pnl: Decimal | None = None
    budget_used: Decimal | None = None
    budget: Decimal | None = None
    heat: float | None = None
    """Loss of everything at its stop, fraction of equity."""
    heat_limit: float | None = None
    halted: bool = False
    halt_by: str = ""
    halt_reason: str = ""
    policy: str = "manual"


class DeskUpdate(Value, frozen=True, kw_only=True):
    """What changed since the last flush; None leaves a panel as it is."""

    header: HeaderView | None = None
    signals: SignalsView | None = None
    confluence: ConfluenceView | None = None
    decisions: DecisionsView | None = None
    tickets: TicketsView | None = None
    orders: OrdersView | None = None
    positions: PositionsView | None = None
    greeks: GreeksView | None = None
    exits: ExitsView | None = None
    chain: ChainView | None = None
    health: HealthView | None = None
    log: LogView | None = None
    story: StoryView | None = None
    welcome: WelcomeView | None = None


PANELS = (
    "signals", "confluence", "decisions", "tickets", "orders", "positions", "greeks", "exits", "chain", "health",
    "log", "story", "welcome",
)  # fmt: skip
"""Fields of `DeskUpdate` that are panels."""
