"""Facts: one frozen class per thing that happened, in the past tense. Never edited, never deleted; a correction is a new fact.

`seq` is the place in the ledger, `at` the engine's time (UTC, microseconds), `cause` the seq of the fact that led here.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Union

from engine.domain.entities import Neighbour, RuleVerdict, Sizing, Ticket
from engine.domain.signals import ActivePhase, ActiveSignal, ActiveTrend, Decision, ExitNotice, Phase, Signal, Trend
from engine.domain.values import (
    Direction,
    ExitAction,
    ExitReason,
    Greeks,
    OptionContract,
    OrderType,
    Priority,
    Purpose,
    Quote,
    Refusal,
    Side,
    TimeInForce,
    Value,
)


class Fact(Value, frozen=True, kw_only=True, tag_field="fact", tag=True):
    """Base of all facts."""

    seq: int
    at: datetime
    cause: int | None = None

    @property
    def kind(self) -> str:
        return type(self).__name__


class Receipt(Value, frozen=True, kw_only=True):
    """What a sender posted, kept whatever became of it."""

    key: str
    """Dedupe key."""
    kind: str
    """signal, phase, trend, exit, or unknown."""
    raw: str
    """The body, cut at 8 KiB; bytes that are no UTF-8 appear escaped."""
    sha256: str
    """Of the whole body."""
    wall: datetime
    """This machine's clock at arrival."""
    door: str = "webhook"
    remote: str = ""


# --- life of the engine: outside the journey's digest -------------------------------------------------------------


class EngineStarted(Fact, frozen=True, kw_only=True):
    version: str
    engine_version: str
    market: str
    policy: str
    account: str = "PAPER"
    settings: dict[str, str] = {}


class EngineStopped(Fact, frozen=True, kw_only=True):
    reason: str


# --- hear ----------------------------------------------------------------------------------------------------------


class SignalReceived(Fact, frozen=True, kw_only=True):
    receipt: Receipt
    signal: Signal
    late: float
    """Seconds between the bar's close and arrival, both on real clocks."""


class PhaseReceived(Fact, frozen=True, kw_only=True):
    receipt: Receipt
    phase: Phase


class TrendReceived(Fact, frozen=True, kw_only=True):
    receipt: Receipt
    trend: Trend


class ExitNoticeReceived(Fact, frozen=True, kw_only=True):
    receipt: Receipt
    notice: ExitNotice


class ReceiptRefused(Fact, frozen=True, kw_only=True):
    receipt: Receipt
    refusal: Refusal
    status: int
    """The HTTP answer: 400, 413 or 422."""


class DuplicateReceived(Fact, frozen=True, kw_only=True):
    receipt: Receipt
    original: int


# --- weigh ---------------------------------------------------------------------------------------------------------


class SignalPlaced(Fact, frozen=True, kw_only=True):
    """The board took it."""

    active: ActiveSignal
    replaced: int | None = None


class SignalSuperseded(Fact, frozen=True, kw_only=True):
    """The board kept what it had: an unexpired signal of the same timeframe and at least the same quality."""

    symbol: str
    source: int
    kept: int
    contradicts: bool
    """The newcomer pointed the other way."""
    until: datetime | None = None
    """For a contradiction: when the first of the two expires."""


class SignalSetAside(Fact, frozen=True, kw_only=True):
    """Kept as a receipt, not put on the board (weekend, holiday)."""

    symbol: str
    source: int
    refusal: Refusal


class PhasePlaced(Fact, frozen=True, kw_only=True):
    active: ActivePhase


class TrendPlaced(Fact, frozen=True, kw_only=True):
    active: ActiveTrend


class InputsExpired(Fact, frozen=True, kw_only=True):
    """What left the board at one instant."""

    symbol: str
    signals: tuple[int, ...] = ()
    phases: tuple[int, ...] = ()
    trends: tuple[int, ...] = ()


# --- decide --------------------------------------------------------------------------------------------------------


class DecisionMade(Fact, frozen=True, kw_only=True):
    """With all its inputs, so that it can be made again bit for bit."""

    symbol: str
    by: str
    """signal, phase, trend or expiry."""
    trigger: int | None
    """Seq of the accepted, aligned signal whose arrival caused it."""
    signals: tuple[ActiveSignal, ...]
    phases: tuple[ActivePhase, ...]
    trends: tuple[ActiveTrend, ...]
    decision: Decision


class EntryDenied(Fact, frozen=True, kw_only=True):
    """An EXECUTE that does not become a ticket, or a ticket that was refused at approval."""

    symbol: str
    decision: int | None
    trigger: int | None
    refusal: Refusal
    stage: str
    """guard, contract, size, risk or approval."""
    verdicts: tuple[RuleVerdict, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    sizing: Sizing | None = None
    ticket: str | None = None


# --- approve -------------------------------------------------------------------------------------------------------


class TicketOpened(Fact, frozen=True, kw_only=True):
    ticket: Ticket


class TicketRepriced(Fact, frozen=True, kw_only=True):
    ticket: str
    limit: Decimal
    quote: Quote
    expires: datetime


class TicketApproved(Fact, frozen=True, kw_only=True):
    ticket: str
    by: str
    """desk, http, policy …"""
    reason: str = ""
    quantity: int
    limit: Decimal
    quote: Quote
    verdicts: tuple[RuleVerdict, ...] = ()


class TicketRejected(Fact, frozen=True, kw_only=True):
    ticket: str
    by: str
    reason: str = ""


class TicketExpired(Fact, frozen=True, kw_only=True):
    ticket: str


class DecisionOverridden(Fact, frozen=True, kw_only=True):
    """A person executes what the engine would not, or changes what it recommends. Both are in the ledger."""

    decision: int
    by: str
    reason: str
    changes: dict[str, str] = {}


class CommandRefused(Fact, frozen=True, kw_only=True):
    command: str
    target: str
    by: str
    refusal: Refusal
    reason: str = ""
    """Why the person wanted it."""


# --- order, fill ---------------------------------------------------------------------------------------------------


class OrderIntended(Fact, frozen=True, kw_only=True):
    """Durable before anything is sent."""

    order: str
    contract: OptionContract
    side: Side
    quantity: int
    type: OrderType
    limit: Decimal | None
    tif: TimeInForce
    purpose: Purpose
    ticket: str | None = None
    position: str | None = None
    exit_reason: ExitReason | None = None


class OrderSubmitted(Fact, frozen=True, kw_only=True):
    """Handed to the broker."""

    order: str
    broker: str


class OrderAccepted(Fact, frozen=True, kw_only=True):
    order: str


class OrderRepriced(Fact, frozen=True, kw_only=True):
    order: str
    limit: Decimal
    attempt: int


class OrderFilled(Fact, frozen=True, kw_only=True):
    """One execution. `quote` is the one known at that moment, which the price obeys."""

    order: str
    execution: str
    quantity: int
    price: Decimal
    fees: Decimal
    slippage: Decimal
    """Per share, against the touch; 0 for a resting limit."""
    quote: Quote
    underlying: Decimal | None
    greeks: Greeks | None = None
    position: str
    """The position it opens, adds to or reduces."""


class OrderCancelled(Fact, frozen=True, kw_only=True):
    order: str
    reason: str


class OrderRejected(Fact, frozen=True, kw_only=True):
    order: str
    refusal: Refusal


class OrderExpired(Fact, frozen=True, kw_only=True):
    order: str


class OrderDenied(Fact, frozen=True, kw_only=True):
    """Refused by us after the intent: it never reached a broker."""

    order: str
    refusal: Refusal


class OrderDoubted(Fact, frozen=True, kw_only=True):
    """What became of it is unknown until the broker's books say so: it may be working, filled, or never have arrived."""

    order: str
    reason: str


class OrderReappeared(Fact, frozen=True, kw_only=True):
    """The broker's books show it working though it was over for us. It may fill again until it is taken back."""

    order: str
    was: str
    """The state we had it in."""


class OrderSettledByHand(Fact, frozen=True, kw_only=True):
    """A person said what became of an order that the broker's books could not tell. `OrderFilled` and `OrderCancelled`
    follow, as they follow evidence."""

    order: str
    by: str
    reason: str
    quantity: int
    """Contracts said to be filled beyond what was known."""
    price: Decimal | None
    fees: Decimal | None


# --- the broker's line and books -------------------------------------------------------------------------------------


class BrokerDisconnected(Fact, frozen=True, kw_only=True):
    """The way to the broker is broken, or this process has not found it yet. No risk is added from here on."""

    broker: str
    reason: str


class BrokerConnected(Fact, frozen=True, kw_only=True):
    """The way is there. Nothing is sent before the books were read."""

    broker: str
    data_lost: bool


class BrokerReconciled(Fact, frozen=True, kw_only=True):
    """The broker's whole books were read and ours agree with them, but for the orders named."""

    broker: str
    adopted: int
    """Executions that we had not heard of."""
    unresolved: tuple[str, ...] = ()
    """Orders that are still in doubt."""


class ForeignOrderSeen(Fact, frozen=True, kw_only=True):
    """An order in our account that is not ours, or does not fit ours: shown, never traded."""

    broker_id: str
    order: str
    """The id of ours that it names; empty where it names none."""
    what: str
    side: Side
    quantity: int
    filled: int
    why: str


class ForeignExecutionSeen(Fact, frozen=True, kw_only=True):
    """An execution in our account that no order of ours explains: not in our cash nor our positions."""

    execution: str
    order: str
    what: str
    side: Side
    quantity: int
    price: Decimal
    fees: Decimal
    executed: datetime
    why: str


# --- hold, exit ----------------------------------------------------------------------------------------------------


class PositionMarked(Fact, frozen=True, kw_only=True):
    """A mark worth keeping: once a minute, and at every exit decision."""

    position: str
    mark: Decimal
    bid: Decimal | None
    ask: Decimal | None
    underlying: Decimal | None
    greeks: Greeks | None
    unrealised: Decimal
    best: Decimal
    worst: Decimal
    armed: bool


class ExitTriggered(Fact, frozen=True, kw_only=True):
    position: str
    rule: str
    reason: ExitReason
    priority: Priority
    action: ExitAction
    quantity: int
    numbers: dict[str, str]
    """What the rule saw and its limit, as shown."""


class PositionClosed(Fact, frozen=True, kw_only=True):
    position: str
    reason: ExitReason
    gross: Decimal
    fees: Decimal
    net: Decimal
    r: Decimal
    """Net / risk at entry."""
    average_exit: Decimal
    held_seconds: float
    best: Decimal
    worst: Decimal
    attribution: dict[str, Decimal]
    """delta, gamma, vega, theta, residual (dollars); the parts and the residual sum to gross."""


class ContractSettled(Fact, frozen=True, kw_only=True):
    """An expired contract that was still held: settled at intrinsic against the official close."""

    position: str
    contract: OptionContract
    quantity: int
    settlement: Decimal
    """The underlying's price it was settled against."""
    price: Decimal
    """Intrinsic value per share."""
    fees: Decimal


# --- account, risk -------------------------------------------------------------------------------------------------


class AccountOpened(Fact, frozen=True, kw_only=True):
    cash: Decimal


class SessionOpened(Fact, frozen=True, kw_only=True):
    """A trading day began: its day budget counts from this equity."""

    session: date
    equity: Decimal


class EquityMarked(Fact, frozen=True, kw_only=True):
    equity: Decimal
    cash: Decimal


class TradingHalted(Fact, frozen=True, kw_only=True):
    by: str
    reason: str
    numbers: dict[str, str] = {}
    flatten: bool = False
    """Also close everything that is held."""


class TradingResumed(Fact, frozen=True, kw_only=True):
    by: str
    reason: str
    accepted_drawdown: Decimal = Decimal(0)
    """Fraction below the peak that the person accepted, and the peak it was counted from: it does not halt again."""
    accepted_peak: Decimal = Decimal(0)


class BiasFlipped(Fact, frozen=True, kw_only=True):
    """The thesis of open positions broke: opposite EXECUTE, superseded opposite, or an exit notice."""

    symbol: str
    against: Direction
    """Positions of this direction lost their reason."""
    positions: tuple[str, ...] = ()
    """Which were open; a sender's exit notice is kept even when there are none."""
    why: str


AnyFact = Union[
    EngineStarted, EngineStopped,
    SignalReceived, PhaseReceived, TrendReceived, ExitNoticeReceived, ReceiptRefused, DuplicateReceived,
    SignalPlaced, SignalSuperseded, SignalSetAside, PhasePlaced, TrendPlaced, InputsExpired,
    DecisionMade, EntryDenied,
    TicketOpened, TicketRepriced, TicketApproved, TicketRejected, TicketExpired, DecisionOverridden, CommandRefused,
    OrderIntended, OrderSubmitted, OrderAccepted, OrderRepriced, OrderFilled, OrderCancelled, OrderRejected,
    OrderExpired, OrderDenied, OrderDoubted, OrderReappeared, OrderSettledByHand,
    BrokerDisconnected, BrokerConnected, BrokerReconciled, ForeignOrderSeen, ForeignExecutionSeen,
    PositionMarked, ExitTriggered, PositionClosed, ContractSettled,
    AccountOpened, SessionOpened, EquityMarked, TradingHalted, TradingResumed, BiasFlipped,
]  # fmt: skip
"""Every fact there is: what a ledger row decodes to."""

LIFECYCLE = (EngineStarted, EngineStopped)
RECEIPTS = (SignalReceived, PhaseReceived, TrendReceived, ExitNoticeReceived, ReceiptRefused, DuplicateReceived)
