"""Live values that are not facts: a position's mark now, and how far each of its exits is. Kept in memory, replaced on every quote."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.domain.values import ExitAction, ExitReason, Greeks, Priority, Quote, Value


class ExitDistance(Value, frozen=True, kw_only=True):
    """One exit rule of one position, as the exits panel shows it: the nearest first."""

    rule: str
    """`stop −50 %`, `target 1`, `clock T−15` …"""
    reason: ExitReason
    priority: Priority
    action: ExitAction
    distance: str
    """`36 pt`, `1 h 22 m`, `not armed`: text, because each rule has its own unit."""
    nearness: float
    """0 = fires now, 1 = as far as at entry or further: sorts the rules and draws the gauge."""
    fired: bool
    level: str = ""
    """Where it fires: `2.44`, `658.90`, `15:45`."""
    owner: str = "us"
    numbers: dict[str, str] = {}
    quantity: int = 0
    """Contracts it would close, once fired."""


class Mark(Value, frozen=True, kw_only=True):
    """What a position is worth now. Prices per share, the rest dollars for the whole position."""

    position: str
    at: datetime
    quote: Quote | None
    price: Decimal
    """Mid of the last usable quote, or the model's value when `model`."""
    model: bool
    underlying: Decimal | None
    greeks: Greeks | None
    """Per unit (see `Greeks`)."""
    unrealised: Decimal
    best: Decimal
    worst: Decimal
    exits: tuple[ExitDistance, ...] = ()
    stale: bool = False
    """The quote is not to be believed: old, one-sided, too wide."""
    stale_since: datetime | None = None
    """Since when, without a believable quote in between; None while there is one, and while options do not trade."""
    unreliable: bool = False
    """So for `exits.unreliable_seconds`: the price is the model's where there is one, and equity counts the worse."""
    vol: float | None = None
    """Implied volatility of the last believable quote, a fraction: what the model's value is worked out at."""
