"""Views of a ticket that waits for a yes: the five-second strip, the payoff, the book after it.

Re-exported by `engine.domain.views`, where everybody imports them from.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.domain.entities import Neighbour, RuleVerdict
from engine.domain.faces import View
from engine.domain.values import Direction, Purpose, Side, Value


class PayoffPoint(Value, frozen=True, kw_only=True):
    """Profit in dollars at one price of the underlying, at expiry and now."""

    spot: float
    expiry: float
    now: float | None = None


class Impact(Value, frozen=True, kw_only=True):
    """One figure of the whole book before and after this order."""

    name: str
    before: Decimal
    after: Decimal
    decimals: int = 0
    unit: str = ""


class TicketView(Value, frozen=True, kw_only=True):
    """Everything a person needs to answer in five seconds, in fixed places."""

    id: str
    purpose: Purpose
    symbol: str
    direction: Direction
    side: Side
    quantity: int
    contract: str
    """`SPY 26 Nov 26 662 C`."""
    dte: int
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int | None
    ask_size: int | None
    age: float | None
    source: str
    synthetic: bool
    limit: Decimal
    mid_ticks: int | None
    """Ticks from mid to our limit; positive pays more than mid."""
    max_loss: Decimal
    loss_fraction: float | None
    budget_left: Decimal | None
    """Day budget left after this trade loses."""
    stop_fraction: float | None
    """Premium stop as a loss: 0.50."""
    stop_underlying: Decimal | None
    stop_atr: float | None
    stop_dollars: Decimal | None
    break_even: Decimal | None
    move_used: float | None
    """Distance to break-even over the move expected until the close."""
    to_close: float | None
    event: str
    """`FOMC minutes in 22 m`; empty when none is known."""
    same_bets: int
    """Open positions and tickets on the same symbol and side, this one included."""
    expires_in: float
    life: float
    """Fraction of its life that is left."""
    changed: datetime
    decision: int | None = None
    trigger: int | None = None
    position: str | None = None
    spot: Decimal | None = None
    strike: Decimal | None = None
    expected_move: float | None = None
    """One standard deviation of the underlying until expiry, dollars."""
    odds: float | None = None
    """Probability that the underlying ends beyond break-even, by the contract's own vol: what the options say, no forecast."""
    touch: float | None = None
    """Probability that it is there at least once until expiry."""
    targets: str = ""
    notes: tuple[str, ...] = ()
    manual: bool = False
    verdicts: tuple[RuleVerdict, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    impacts: tuple[Impact, ...] = ()
    payoff: tuple[PayoffPoint, ...] = ()
    cancels: str = ""
    """What takes it back by itself."""
    sized_by: str = ""
    group: str = ""
    """Symbols that count as the same bet together, `SPY/QQQ/IWM`; empty where the symbol is alone."""
    asked: int | None = None
    """Contracts that were asked for, where that is not the quantity; `sized_by` says what changed it."""
    reprices: int = 0
    exit_reason: str = ""


class TicketsView(View, frozen=True, kw_only=True):
    rows: tuple[TicketView, ...] = ()
    """The one that expires first is first."""
    policy: str = "manual"
