"""What the facts add up to: tickets, orders, positions, the account. Frozen; a fold replaces them, nothing mutates them.

Each entity is one projection row, keyed by `(kind, key)`; `engine.state` says which fact changes which entity.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from engine.domain.signals import ActivePhase, ActiveSignal, ActiveTrend, Decision
from engine.domain.values import (
    Bucket,
    Direction,
    ExitReason,
    Greeks,
    OptionContract,
    OrderState,
    OrderType,
    Purpose,
    Quote,
    Refusal,
    Side,
    TicketState,
    TimeInForce,
    Value,
)


class RuleVerdict(Value, frozen=True, kw_only=True):
    """One rule's answer at one moment, with the numbers that made it."""

    rule: str
    passed: bool
    value: str
    limit: str
    refusal: Refusal | None = None
    reduces_to: int | None = None
    """Quantity this rule would still allow, where it reduces instead of denying."""


class ExitPlan(Value, frozen=True, kw_only=True):
    """What will end the position; the underlying's prices are the signal's, the premium's are fractions of the entry."""

    stop_fraction: Decimal
    """Stop when the premium has lost this fraction (0.50)."""
    profit_fraction: Decimal
    underlying_stop: Decimal | None = None
    target_1: Decimal | None = None
    target_2: Decimal | None = None
    decision_stop: Decimal | None = None
    decision_target_1: Decimal | None = None
    decision_target_2: Decimal | None = None


class Sizing(Value, frozen=True, kw_only=True):
    """How the quantity came about. Dollars."""

    quantity: int
    recommended: int
    risk_budget: Decimal
    loss_per_contract: Decimal
    confidence_factor: Decimal
    regime_factor: Decimal
    reductions: dict[str, str] = {}
    capped_by: str = ""
    """The rule that set the quantity; empty when the decision's own number did."""


class Neighbour(Value, frozen=True, kw_only=True):
    """A contract that was looked at and not chosen, and why."""

    contract: OptionContract
    delta: float | None
    bid: Decimal | None
    ask: Decimal | None
    why: str


class Ticket(Value, frozen=True, kw_only=True):
    """An order waiting for a yes: everything a person needs to answer in five seconds."""

    id: str
    purpose: Purpose
    symbol: str
    direction: Direction
    contract: OptionContract
    side: Side
    quantity: int
    limit: Decimal
    quote: Quote
    """The quote it was last priced from."""
    opened: datetime
    changed: datetime
    expires: datetime
    state: TicketState = TicketState.PENDING
    decision: int | None = None
    trigger: int | None = None
    position: str | None = None
    bucket: Bucket | None = None
    plan: ExitPlan | None = None
    sizing: Sizing | None = None
    max_loss: Decimal = Decimal(0)
    """Dollars lost at the stop, with half the spread and fees."""
    break_even: Decimal | None = None
    greeks: Greeks | None = None
    verdicts: tuple[RuleVerdict, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    notes: tuple[str, ...] = ()
    """What the guards want seen: HTF_CONFLICT …, said in words with both values."""
    by_hand: bool = False
    """A person opened it (override, manual): the guards around the engine's own entries are not asked again."""
    manual: bool = False
    """Never approved by policy: a guard wants a person."""
    own_limit: bool = False
    """The limit is a person's: it is sent as it stands and rests where the market does not meet it."""
    reprices: int = 0
    exit_reason: ExitReason | None = None
    answered_by: str = ""
    reason: str = ""


class Order(Value, frozen=True, kw_only=True):
    """One order and how far it got. `limit` is None only before a marketable order was priced."""

    id: str
    contract: OptionContract
    side: Side
    quantity: int
    type: OrderType
    limit: Decimal | None
    tif: TimeInForce
    purpose: Purpose
    created: datetime
    state: OrderState = OrderState.APPROVED
    filled: int = 0
    average: Decimal | None = None
    fees: Decimal = Decimal(0)
    ticket: str | None = None
    position: str | None = None
    exit_reason: ExitReason | None = None
    attempts: int = 0
    """How often it was re-priced."""
    executions: tuple[str, ...] = ()
    """Execution ids counted so far: the same one may be reported again and counts once."""
    refusal: Refusal | None = None
    updated: datetime | None = None
    submitted: datetime | None = None
    """When it was last noted that it is about to be handed over, which comes after; None: it never was."""

    @property
    def remaining(self) -> int:
        return self.quantity - self.filled


class Attribution(Value, frozen=True, kw_only=True):
    """What the P&L so far came from: sums in dollars, and the point the next step starts from."""

    quantity: int
    multiplier: int
    at: datetime
    underlying: Decimal | None
    greeks: Greeks | None
    delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0


class Position(Value, frozen=True, kw_only=True):
    """A long option position from its first fill to its last. Prices per share, the rest dollars."""

    id: str
    symbol: str
    direction: Direction
    contract: OptionContract
    quantity: int
    """Contracts held now; 0 when closed."""
    bought: int
    sold: int
    entry: Decimal
    """Average price paid, per share."""
    proceeds: Decimal
    """Dollars received for what was sold."""
    fees: Decimal
    opened: datetime
    ticket: str
    plan: ExitPlan
    bucket: Bucket
    risk: Decimal
    """Dollars at risk at entry: what one R is."""
    decision: int | None = None
    trigger: int | None = None
    entry_underlying: Decimal | None = None
    entry_greeks: Greeks | None = None
    half_taken: bool = False
    """Target 1 was reached and half was sold: the rest's stop is at break-even."""
    armed: bool = False
    """The trailing stop is armed."""
    best: Decimal | None = None
    """Best confirmed mid since entry, per share."""
    worst: Decimal | None = None
    closed: datetime | None = None
    exit_reason: ExitReason | None = None
    average_exit: Decimal | None = None
    attribution: Attribution | None = None
    thesis_broken: str = ""
    """Why the reason to hold it is gone; empty while it stands."""
    last_mark: Decimal | None = None
    """The last mark that was kept, per share: what it is worth after a restart, until new quotes come."""
    last_bid: Decimal | None = None
    """What it would have brought then, per share."""
    booked_net: Decimal | None = None
    """Net the account's day already counts of it, dollars; None until it was closed once."""

    @property
    def is_open(self) -> bool:
        return self.closed is None

    @property
    def cost(self) -> Decimal:
        """Dollars paid for all that was bought, without fees."""
        return self.entry * self.bought * self.contract.multiplier

    @property
    def gross(self) -> Decimal:
        """Realised dollars on what was sold, before fees."""
        return self.proceeds - self.entry * self.sold * self.contract.multiplier


class Account(Value, frozen=True, kw_only=True):
    """Cash and the counters the risk rules read. Dollars."""

    cash: Decimal
    peak_equity: Decimal
    session: date | None = None
    """Trading day the day figures belong to."""
    prior_equity: Decimal
    """Equity at the prior close: day P&L is counted from it."""
    realised_today: Decimal = Decimal(0)
    """Net of fees."""
    entries_today: int = 0
    loss_streak: int = 0
    """Losses in a row worse than -0.25 R."""


class Halt(Value, frozen=True, kw_only=True):
    """The kill switch: latched, in the ledger, undone only by a person with a reason."""

    latched: bool
    by: str
    reason: str
    since: datetime
    accepted_drawdown: Decimal = Decimal(0)
    """Drawdown at which a person resumed: entries halt again further down, until a new peak."""
    accepted_peak: Decimal = Decimal(0)
    """The peak that drawdown was counted from."""
    flatten: bool = False
    """While latched, whatever is held is closed, until nothing is."""


class BrokerLink(Value, frozen=True, kw_only=True):
    """The way to a broker outside this process, and whether our books agree with its own."""

    broker: str
    connected: bool
    reconciled: bool
    since: datetime
    changed: int
    """Seq of the fact that last broke or made the connection: an answer to a question from before it proves less."""
    reason: str = ""
    foreign: tuple[str, ...] = ()
    """Orders and executions that are not ours and were recorded, newest last."""

    @property
    def ready(self) -> bool:
        """Orders may be sent."""
        return self.connected and self.reconciled


class SymbolBoard(Value, frozen=True, kw_only=True):
    """Everything active for one symbol, and the last thing the engine said about it."""

    symbol: str
    signals: tuple[ActiveSignal, ...] = ()
    phases: tuple[ActivePhase, ...] = ()
    trend: ActiveTrend | None = None
    decision: Decision | None = None
    decision_seq: int | None = None
    contradicted_until: datetime | None = None
    """An opposite newcomer was superseded: no entries until one of the two expires."""
    contradicted_by: int | None = None
    stopped_out: datetime | None = None
    stopped_direction: Direction | None = None
    """Of the newest stop-out, whichever way."""
    stopped_long: datetime | None = None
    stopped_short: datetime | None = None

    def stopped(self, direction: Direction) -> datetime | None:
        """When a position of that direction was last stopped out."""
        own = self.stopped_long if direction is Direction.LONG else self.stopped_short
        if own is None and self.stopped_direction is direction:
            return self.stopped_out  # a row from before each direction was kept by itself
        return own


class Heard(Value, frozen=True, kw_only=True):
    """One receipt and what became of it: the row of the signals panel."""

    seq: int
    at: datetime
    kind: str
    symbol: str
    text: str
    """`SPY 5m LONG HIGH`."""
    outcome: str
    """`EXECUTE`, `WAIT`, `superseded`, a refusal's text …"""
    score: int | None = None
    decision: int | None = None
    ticket: str | None = None
    weighed: bool = False
