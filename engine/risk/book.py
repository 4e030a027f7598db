"""What the risk rules read: the book as it stands, and the entry that is proposed.

The journey builds both for every assessment. What only waits (open tickets, working entries) counts like what is held,
so that fifty signals of one second do not each see an empty book.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

import msgspec

from engine.domain.entities import Account, ExitPlan, Halt, Order, Position, Ticket
from engine.domain.values import (
    Bucket,
    Direction,
    Greeks,
    OptionContract,
    Quote,
    Timeframe,
    Value,
)
from engine.pricing.terms import Terms
from engine.sessions import Calendar, new_york_day
from engine.settings import RiskSettings

ONE = Decimal(1)
INDEX_GROUP = ("SPY", "QQQ", "IWM")
"""Moves as one: concentration counts the three together."""


class Exposure(Value, frozen=True, kw_only=True):
    """One open position, open ticket or working entry. Dollars for the whole of it."""

    key: str
    """Id of the position, ticket or order."""
    symbol: str
    direction: Direction
    contract: OptionContract
    quantity: int
    value: Decimal
    """At the mark; for what waits, what it will cost."""
    risk: Decimal
    """Lost from here if its stop is reached."""
    delta_dollars: Decimal
    """Signed, beta-weighted to SPY."""
    expires_today: bool
    structure: str
    """Ticket it came from: what is filled and what still works of one entry is one structure."""
    waiting: bool = False
    """A ticket or a working entry: its money is still in cash."""
    trigger: int | None = None
    greeks: Greeks | None = None
    """Per unit, at its mark; for what waits, at its ticket's quote."""
    underlying: Decimal | None = None
    """Price of the underlying, where known."""
    terms: Terms = Terms(0.04)
    """On which it is priced."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The account and everything open in it at `now`. Dollars."""

    now: datetime
    account: Account
    equity: Decimal
    """Cash and longs at the bid."""
    calendar: Calendar
    exposures: tuple[Exposure, ...] = ()
    halt: Halt | None = None
    entries_last_second: int = 0
    used_triggers: frozenset[int] = frozenset()
    """Triggers that already made a ticket or an entry."""
    recent_entries: Mapping[str, datetime] = {}
    """OSI symbol and moment of the last entry order of each contract."""

    @property
    def day_loss(self) -> Decimal:
        """Dollars lost since the prior close; 0 on a winning day."""
        return max(self.account.prior_equity - self.equity, Decimal(0))

    @property
    def drawdown(self) -> Decimal:
        """Fraction below the peak; 0 at a peak."""
        return drawdown(self.account, self.equity)

    def without(self, key: str | None) -> Book:
        """The book as it would be without one ticket or order: what that one itself is judged against."""
        if key is None or all(e.key != key for e in self.exposures):
            return self
        return msgspec.structs.replace(self, exposures=tuple(e for e in self.exposures if e.key != key))


class Proposal(Value, frozen=True, kw_only=True):
    """An entry that is asked for. Prices per share, `round_trip_fees` dollars per contract for buying and selling."""

    symbol: str
    direction: Direction
    contract: OptionContract
    bucket: Bucket
    quote: Quote
    underlying: Quote
    limit: Decimal
    """What will be paid at most, per share."""
    greeks: Greeks | None
    expiry: datetime
    """Moment the contract expires, UTC."""
    plan: ExitPlan
    recommended: int
    """Contracts the decision (or the person) asks for."""
    round_trip_fees: Decimal
    final_multiplier: Decimal | None = None
    """The decision's; None for a person's own ticket, which only the largest risk per trade bounds."""
    multiplier_factor: Decimal = ONE
    """What the guards leave of the multiplier (CLOCK_MISMATCH)."""
    size_factor: Decimal = ONE
    """What the guards leave of the quantity (HTF_CONFLICT)."""
    confidence_factor: Decimal | None = None
    """0.5 to 1; None where no source is configured, which counts as 1."""
    regime_factor: Decimal | None = None
    at_most: int | None = None
    """A quantity that was already shown: never more than this."""
    terms: Terms = Terms(0.04)
    """On which it is priced."""
    signal_price: Decimal | None = None
    atr: Decimal | None = None
    """ATR(14) of the trigger's timeframe: our bars', else as sent."""
    own_atr: bool = False
    """The ATR is from our bars."""
    timeframe: Timeframe | None = None
    trigger: int | None = None
    ticket: str | None = None
    """Its own ticket when it is assessed again at approval."""
    underlying_moved: float | None = None
    """Fraction the underlying moved since the option's quote changed, where known."""
    beta: Decimal = ONE
    """To SPY."""
    quantity: int = 0
    """Set by the manager: the quantity the limits are checked for."""
    loss: Decimal = Decimal(0)
    """Set by the manager: dollars lost per contract at the stop."""

    @property
    def spot(self) -> Decimal:
        """Mid of the underlying. Raises ValueError where it has none: the freshness rule comes before."""
        if self.underlying.mid is None:
            raise ValueError(f"{self.symbol} has no two-sided quote")
        return self.underlying.mid

    @property
    def half_spread(self) -> Decimal:
        """Of the option, per share; 0 where the quote is one-sided."""
        return (self.quote.spread or Decimal(0)) / 2

    @property
    def paid(self) -> Decimal:
        """What it will most likely cost per share: the ask, or the limit where that is lower. What the trade may lose and
        gain is counted from here; what it may cost, from the limit."""
        return self.limit if self.quote.ask is None else min(self.limit, self.quote.ask)

    @property
    def cost(self) -> Decimal:
        """Dollars for one contract at the limit, without fees."""
        return self.limit * self.contract.multiplier

    @property
    def delta_dollars(self) -> Decimal:
        """Of one contract, signed and beta-weighted; a delta of 1 where the Greeks are n/a."""
        delta = Decimal(repr(self.greeks.delta)) if self.greeks else Decimal(self.direction.sign)
        return delta * self.contract.multiplier * self.spot * self.beta


def drawdown(account: Account, equity: Decimal) -> Decimal:
    """Fraction below the account's peak; 0 at a peak or above."""
    if account.peak_equity <= 0:
        return Decimal(0)
    return max(ONE - equity / account.peak_equity, Decimal(0))


def exposure_of_position(
    position: Position,
    mark: Decimal,
    greeks: Greeks | None,
    underlying: Decimal | None,
    today: date,
    settings: RiskSettings,
    terms: Terms,
    beta: Decimal = ONE,
) -> Exposure:
    """A held position at its mark. Risk runs down to its premium stop: to break-even once half was taken."""
    share = stop_share(position.bucket, position.plan, settings)
    stop = position.entry if position.half_taken else position.entry * (ONE - share)
    units = position.quantity * position.contract.multiplier
    return Exposure(
        key=position.id,
        symbol=position.symbol,
        direction=position.direction,
        contract=position.contract,
        quantity=position.quantity,
        value=mark * units,
        risk=max(mark - stop, Decimal(0)) * units,
        delta_dollars=_delta_dollars(greeks, position.direction, underlying, units, beta),
        expires_today=position.contract.expiry <= today,
        structure=position.ticket,
        trigger=position.trigger,
        greeks=greeks,
        underlying=underlying,
        terms=terms,
    )


def exposure_of_ticket(
    ticket: Ticket, underlying: Decimal | None, today: date, terms: Terms, beta: Decimal = ONE
) -> Exposure:
    """An entry ticket that may still be answered with yes."""
    units = ticket.quantity * ticket.contract.multiplier
    return Exposure(
        key=ticket.id,
        symbol=ticket.symbol,
        direction=ticket.direction,
        contract=ticket.contract,
        quantity=ticket.quantity,
        value=ticket.limit * units,
        risk=ticket.max_loss,
        delta_dollars=_delta_dollars(ticket.greeks, ticket.direction, underlying, units, beta),
        expires_today=ticket.contract.expiry <= today,
        structure=ticket.id,
        waiting=True,
        trigger=ticket.trigger,
        greeks=ticket.greeks,
        underlying=underlying,
        terms=terms,
    )


def exposure_of_order(
    order: Order, ticket: Ticket, underlying: Decimal | None, today: date, terms: Terms, beta: Decimal = ONE
) -> Exposure:
    """What is still unfilled of an approved entry; what was filled is a position."""
    remaining = order.remaining
    units = remaining * order.contract.multiplier
    share = Decimal(remaining) / ticket.quantity if ticket.quantity else Decimal(0)
    return Exposure(
        key=order.id,
        symbol=ticket.symbol,
        direction=ticket.direction,
        contract=order.contract,
        quantity=remaining,
        value=(order.limit if order.limit is not None else ticket.limit) * units,
        risk=ticket.max_loss * share,
        delta_dollars=_delta_dollars(ticket.greeks, ticket.direction, underlying, units, beta),
        expires_today=order.contract.expiry <= today,
        structure=ticket.id,
        waiting=True,
        trigger=ticket.trigger,
        greeks=ticket.greeks,
        underlying=underlying,
        terms=terms,
    )


def stop_share(bucket: Bucket, plan: ExitPlan, settings: RiskSettings) -> Decimal:
    """Fraction of the premium that counts as lost at the stop."""
    counted = settings.stop_premium_0dte if bucket is Bucket.ZERO_DTE else settings.stop_premium
    return max(counted, plan.stop_fraction)


def expires_on(proposal: Proposal, book: Book) -> bool:
    """The proposed contract expires today."""
    return proposal.contract.expiry <= new_york_day(book.now)


def same_group(a: str, b: str) -> bool:
    """One bet: the same symbol, or both of the index group."""
    return a == b or (a in INDEX_GROUP and b in INDEX_GROUP)


def same_bets(book: Book, symbol: str, direction: Direction) -> int:
    """How many open or waiting entries already make this bet: its direction, in its symbol or group."""
    return structures(e for e in book.exposures if e.direction is direction and same_group(e.symbol, symbol))


def structures(exposures: Iterable[Exposure]) -> int:
    """How many separate entries these are: a part that is held and a part that still works are one."""
    return len({e.structure for e in exposures})


def day_budget_used(book: Book) -> Decimal:
    """Dollars of the day budget that are spoken for: lost today, at the stops of what expires today, and what waits."""
    return book.day_loss + sum((e.risk for e in book.exposures if e.expires_today or e.waiting), Decimal(0))


def day_budget_left(book: Book, settings: RiskSettings) -> Decimal:
    """Dollars a further trade may lose today; never below 0."""
    return max(settings.day_budget * book.equity - day_budget_used(book), Decimal(0))


def _delta_dollars(
    greeks: Greeks | None, direction: Direction, underlying: Decimal | None, units: int, beta: Decimal
) -> Decimal:
    if underlying is None:
        return Decimal(0)
    delta = Decimal(repr(greeks.delta)) if greeks else Decimal(direction.sign)
    return delta * units * underlying * beta
