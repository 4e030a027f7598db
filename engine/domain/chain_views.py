"""Rows of the option chain panel. Re-exported by `engine.domain.views`, where everybody imports them from."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from engine.domain.faces import View
from engine.domain.values import Value


class ChainSide(Value, frozen=True, kw_only=True):
    """One contract of a strike. Prices per share; Greeks as in `Greeks`, rounded to what the panel shows."""

    osi: str
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    """Of a two-sided quote that is neither crossed nor locked."""
    iv: float | None
    """Of the mid, a fraction; None where there is none, and `why` says so."""
    why: str = ""
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    """Dollars per calendar day and share."""
    vega: float | None = None
    """Dollars per vol point and share."""
    open_interest: int | None = None
    volume: int | None = None
    in_the_money: bool = False
    stale: float | None = None
    """Age of a quote that is too old, seconds; None while it is fresh."""
    at: datetime | None = None
    """When its quote was made; None where that is not known."""
    marks: tuple[str, ...] = ()
    """What is odd about it, in words: a stale, crossed or impossible price."""


class ChainRow(Value, frozen=True, kw_only=True):
    """One strike."""

    strike: Decimal
    call: ChainSide | None
    put: ChainSide | None
    nearest: bool = False
    """The strike nearest to the forward."""


class ChainExpiry(Value, frozen=True, kw_only=True):
    day: date
    dte: int
    """Calendar days from the exchange's today."""


class ChainView(View, frozen=True, kw_only=True):
    """One expiry of one symbol."""

    symbol: str = ""
    symbols: tuple[str, ...] = ()
    """All that may be looked at."""
    expiry: date | None = None
    expiries: tuple[ChainExpiry, ...] = ()
    rows: tuple[ChainRow, ...] = ()
    """Strikes around the forward, rising."""
    strikes: int = 0
    """Listed strikes; more than rows where the far ones are left out."""
    spot: Decimal | None = None
    forward: float | None = None
    vol: float | None = None
    """At-the-money vol, a fraction."""
    move: float | None = None
    """One standard deviation of the underlying until the expiry, dollars."""
    skew: float | None = None
    """Vol of the 25 delta call less that of the put, a fraction; None where the quotes shown do not reach so far."""
    rate: float = 0.0
    carry: float | None = 0.0
    """A fraction a year; None so near to the expiry that a cent of the forward would be per cents of it."""
    model: str = ""
    """`American, parity forward`."""
    source: str = ""
    age: float | None = None
    """Seconds since the newest quote of the expiry."""
    age_limit: float | None = None
    """Seconds from which a quote of this expiry is too old to buy by."""
    findings: tuple[str, ...] = ()
    """What contradicts itself in the expiry's quotes."""
