"""Values of the trade, used by every room: directions, timeframes, contracts, quotes, refusals.

Pure and immutable. Money and prices are `Decimal`; floats appear only where pricing or analytics made them.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cached_property

import msgspec

CENT = Decimal("0.01")


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of immutable values. `gc=False`: values never form reference cycles, so the collector may skip them."""


class Direction(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def opposite(self) -> Direction:
        return Direction.SHORT if self is Direction.LONG else Direction.LONG

    @property
    def sign(self) -> int:
        """+1 for LONG, -1 for SHORT."""
        return 1 if self is Direction.LONG else -1

    @property
    def right(self) -> Right:
        """The option that is bought for this view: LONG a call, SHORT a put."""
        return Right.CALL if self is Direction.LONG else Right.PUT


class Bias(StrEnum):
    """A view that may also be absent. NEUTRAL agrees with nothing and is against nothing."""

    LONG = "LONG"
    SHORT = "SHORT"
    NEUTRAL = "NEUTRAL"


class Quality(StrEnum):
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    EXTREME = "EXTREME"

    @property
    def rank(self) -> int:
        return _QUALITY_RANK[self]


_QUALITY_RANK = {Quality.MEDIUM: 0, Quality.HIGH: 1, Quality.EXTREME: 2}


class Timeframe(StrEnum):
    """The six timeframes of the board, named by their minutes as TradingView does. Listed slowest first."""

    H4 = "240"
    H1 = "60"
    M30 = "30"
    M15 = "15"
    M5 = "5"
    M3 = "3"

    @property
    def minutes(self) -> int:
        return int(self.value)

    @property
    def label(self) -> str:
        """What a trader calls it: 4H, 1H, 30m."""
        return f"{self.minutes // 60}H" if self.minutes >= 60 else f"{self.minutes}m"


class MarketSession(StrEnum):
    OPEN = "OPEN"
    MIDDAY = "MIDDAY"
    POWER_HOUR = "POWER_HOUR"
    AFTERHOURS = "AFTERHOURS"


class Weekday(StrEnum):
    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"


class Verdict(StrEnum):
    EXECUTE = "EXECUTE"
    WAIT = "WAIT"
    SKIP = "SKIP"


class Right(StrEnum):
    CALL = "C"
    PUT = "P"


class Style(StrEnum):
    AMERICAN = "american"
    EUROPEAN = "european"


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    MARKETABLE = "MARKETABLE"
    """A marketable limit: what "market" means on an option."""
    LIMIT = "LIMIT"


class TimeInForce(StrEnum):
    DAY = "DAY"
    IOC = "IOC"


class OrderState(StrEnum):
    APPROVED = "APPROVED"
    SUBMITTING = "SUBMITTING"
    WORKING = "WORKING"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_open(self) -> bool:
        """May still be filled, as far as we know. UNKNOWN counts as open: it is left by evidence, or by a person."""
        return self in _OPEN_ORDER_STATES


_OPEN_ORDER_STATES = frozenset(
    {
        OrderState.APPROVED,
        OrderState.SUBMITTING,
        OrderState.WORKING,
        OrderState.PARTIALLY_FILLED,
        OrderState.UNKNOWN,
    }
)


class Purpose(StrEnum):
    """Why an order exists. Exits have their own lane: entry limits never block them."""

    ENTRY = "ENTRY"
    EXIT = "EXIT"


class TicketState(StrEnum):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"


class Policy(StrEnum):
    """Who approves: a person, the engine on paper, or the engine anywhere."""

    MANUAL = "manual"
    AUTO_PAPER = "auto-paper"
    AUTO = "auto"


class Bucket(StrEnum):
    """Life of the chosen contract, by its days to expiry."""

    ZERO_DTE = "0DTE"
    ONE_DTE = "1DTE"
    WEEKLY = "weekly"
    LONGER = "14D+"


class Priority(StrEnum):
    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"


class ExitAction(StrEnum):
    """What a rule that fired asks for."""

    CLOSE = "CLOSE"
    """Sent at once, nobody is asked."""
    TICKET = "TICKET"
    """A ticket for the trader, or sent by policy."""
    ALERT = "ALERT"
    """Said, not done."""


class ExitReason(StrEnum):
    """The closed set of reasons for which a position ends."""

    TARGET_1 = "TARGET_1"
    TARGET_2 = "TARGET_2"
    PROFIT_TARGET = "PROFIT_TARGET"
    STOP_LOSS = "STOP_LOSS"
    TRAILING_STOP = "TRAILING_STOP"
    TIME_STOP = "TIME_STOP"
    TIME_OF_DAY = "TIME_OF_DAY"
    MAX_HOLD = "MAX_HOLD"
    THETA_DECAY = "THETA_DECAY"
    DELTA_LIMIT = "DELTA_LIMIT"
    GAMMA_RISK = "GAMMA_RISK"
    IV_CRUSH = "IV_CRUSH"
    THESIS_BROKEN = "THESIS_BROKEN"
    RISK_MANAGEMENT = "RISK_MANAGEMENT"
    PIN_RISK = "PIN_RISK"
    EX_DIVIDEND = "EX_DIVIDEND"
    EVENT = "EVENT"
    EXPIRATION = "EXPIRATION"
    ASSIGNMENT = "ASSIGNMENT"
    EXERCISE = "EXERCISE"
    KILL_SWITCH = "KILL_SWITCH"
    BROKER_LIQUIDATION = "BROKER_LIQUIDATION"
    MANUAL = "MANUAL"


class Code(StrEnum):
    """The closed set of refusal codes. Denied is ours, rejected is the broker's."""

    # intake
    UNKNOWN_FORM = "UNKNOWN_FORM"
    NOT_JSON = "NOT_JSON"
    BAD_FIELD = "BAD_FIELD"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    TOO_DEEP = "TOO_DEEP"
    TOO_LARGE = "TOO_LARGE"
    NOT_FINITE = "NOT_FINITE"
    # around the decision
    SIGNAL_LATE = "SIGNAL_LATE"
    SIGNAL_CONTRADICTED = "SIGNAL_CONTRADICTED"
    SIGNAL_SIZE_ZERO = "SIGNAL_SIZE_ZERO"
    PRICE_MISMATCH = "PRICE_MISMATCH"
    CLOSED_DAY = "CLOSED_DAY"
    COOLING_DOWN = "COOLING_DOWN"
    DUPLICATE_ENTRY = "DUPLICATE_ENTRY"
    # contract
    NO_MARKET_DATA = "NO_MARKET_DATA"
    STALE_QUOTE = "STALE_QUOTE"
    NO_EXPIRY = "NO_EXPIRY"
    NO_LIQUID_CONTRACT = "NO_LIQUID_CONTRACT"
    ADJUSTED_CONTRACT = "ADJUSTED_CONTRACT"
    # risk
    SIZE_BELOW_ONE = "SIZE_BELOW_ONE"
    POSITION_OVER_CAP = "POSITION_OVER_CAP"
    HEAT_OVER_LIMIT = "HEAT_OVER_LIMIT"
    CONCENTRATION = "CONCENTRATION"
    DAY_BUDGET = "DAY_BUDGET"
    TOO_MANY_POSITIONS = "TOO_MANY_POSITIONS"
    BUYING_POWER = "BUYING_POWER"
    DELTA_OVER_LIMIT = "DELTA_OVER_LIMIT"
    ZERO_DTE_PREMIUM = "ZERO_DTE_PREMIUM"
    THETA_OVER_LIMIT = "THETA_OVER_LIMIT"
    VEGA_OVER_LIMIT = "VEGA_OVER_LIMIT"
    STRESS_OVER_LIMIT = "STRESS_OVER_LIMIT"
    DRAWDOWN_HALT = "DRAWDOWN_HALT"
    HALTED = "HALTED"
    SESSION_CLOSED = "SESSION_CLOSED"
    ENTRY_RATE = "ENTRY_RATE"
    PRICE_DRIFT = "PRICE_DRIFT"
    STOP_BREACHED = "STOP_BREACHED"
    STOP_TOO_TIGHT = "STOP_TOO_TIGHT"
    TARGET_PASSED = "TARGET_PASSED"
    RR_TOO_LOW = "RR_TOO_LOW"
    RULE_FAILED = "RULE_FAILED"
    # approvals and commands
    TICKET_UNKNOWN = "TICKET_UNKNOWN"
    TICKET_CLOSED = "TICKET_CLOSED"
    TICKET_EXPIRED = "TICKET_EXPIRED"
    TICKET_REPRICED = "TICKET_REPRICED"
    TICKET_JUST_CHANGED = "TICKET_JUST_CHANGED"
    REASON_MISSING = "REASON_MISSING"
    POSITION_UNKNOWN = "POSITION_UNKNOWN"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    DECISION_UNKNOWN = "DECISION_UNKNOWN"
    BAD_QUANTITY = "BAD_QUANTITY"
    NOT_HALTED = "NOT_HALTED"
    NOT_IN_DOUBT = "NOT_IN_DOUBT"
    BROKER_MAY_ANSWER = "BROKER_MAY_ANSWER"
    # orders
    OVERSELL = "OVERSELL"
    ALREADY_CLOSING = "ALREADY_CLOSING"
    ORDER_TOO_LARGE = "ORDER_TOO_LARGE"
    LEDGER_AWAY = "LEDGER_AWAY"
    BROKER_AWAY = "BROKER_AWAY"
    BROKER_REJECTED = "BROKER_REJECTED"


class Refusal(Value, frozen=True, kw_only=True):
    """A no, as a value: a closed code and its numbers, shown verbatim on screen, phone, log and ledger."""

    code: Code
    numbers: dict[str, str] = {}
    path: str = ""
    """Path of the first bad field, for input that could not be read."""
    order: tuple[str, ...] = ()
    """The numbers' names as they are said. Canonical bytes sort keys, and a refusal reads the same ever after."""

    def __post_init__(self) -> None:
        if not self.order and self.numbers:
            msgspec.structs.force_setattr(self, "order", tuple(self.numbers))

    @property
    def text(self) -> str:
        parts: list[str] = [self.code.value]
        if self.path:
            parts.append(f"at {self.path}")
        parts.extend(f"{name}={self.numbers[name]}" for name in self.order)
        return " ".join(parts)


def refuse(code: Code, /, path: str = "", **numbers: object) -> Refusal:
    """Build a refusal; numbers become text in the form that is shown."""
    return Refusal(code=code, path=path, numbers={name: str(value) for name, value in numbers.items()})


class OptionContract(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A listed option. `symbol` is the underlying's canonical ticker, `strike` dollars, `expiry` the exchange's date."""

    symbol: str
    expiry: date
    right: Right
    strike: Decimal
    multiplier: int = 100
    style: Style = Style.AMERICAN

    @cached_property
    def osi(self) -> str:
        """Unpadded OSI symbol, unique per contract: `SPY261120C00600000`."""
        return f"{self.symbol}{self.expiry:%y%m%d}{self.right.value}{int(self.strike * 1000):08d}"

    @cached_property
    def label(self) -> str:
        """As a trader reads it: `SPY 20 Nov 26 600 C`."""
        strike = format(self.strike.normalize(), "f")
        return f"{self.symbol} {self.expiry.day} {self.expiry:%b %y} {strike} {self.right.value}"


class Quote(Value, frozen=True, kw_only=True):
    """Best bid and ask known at `at` (UTC). A side without a price is None; sizes are None where unknown."""

    bid: Decimal | None
    ask: Decimal | None
    at: datetime
    bid_size: int | None = None
    ask_size: int | None = None
    source: str = ""
    """Where it came from: simulated, recorded, ib … shown beside every number."""
    synthetic: bool = False

    @property
    def two_sided(self) -> bool:
        """Both sides, neither crossed nor locked: the only kind an order may be priced from."""
        return self.bid is not None and self.ask is not None and self.bid < self.ask

    @property
    def mid(self) -> Decimal | None:
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal | None:
        if self.bid is None or self.ask is None:
            return None
        return self.ask - self.bid

    def age(self, now: datetime) -> float:
        """Seconds since this quote became known."""
        return (now - self.at).total_seconds()


class Greeks(Value, frozen=True, kw_only=True):
    """Per unit: delta per 1.00 of spot, gamma per 1.00², vega per vol point, theta per calendar day, rho per 1 %.

    All for one option on one share; multiply by quantity × multiplier for dollars. `iv` is a fraction (0.20).
    """

    iv: float
    delta: float
    gamma: float
    vega: float
    theta: float
    rho: float


def money(amount: Decimal | float | int) -> Decimal:
    """Dollars to the cent, halves away from zero."""
    return (amount if isinstance(amount, Decimal) else Decimal(repr(amount))).quantize(CENT, ROUND_HALF_UP)


def tick_down(price: Decimal, tick: Decimal = CENT) -> Decimal:
    """The price on the tick grid at or below `price`."""
    return ((price / tick).to_integral_value(ROUND_FLOOR) * tick).quantize(tick)


def tick_up(price: Decimal, tick: Decimal = CENT) -> Decimal:
    """The price on the tick grid at or above `price`."""
    return ((price / tick).to_integral_value(ROUND_CEILING) * tick).quantize(tick)
