"""What a position is worth now. Called on every quote and clock tick; the mark stays in memory.

A mark is the mid of a quote one may believe. While the quote is not to be believed the last price stays, marked
stale; exits trust no stale mark. Never a fact by itself: the journey decides which marks are kept.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.domain.entities import Position
from engine.domain.marks import Mark
from engine.domain.values import Greeks, Quote, money

NARROW = Decimal("0.04")
"""A spread up to this is believed whatever share of a low mid it is."""


def reliable(quote: Quote | None, now: datetime, max_age: float, max_spread: Decimal) -> bool:
    """Two-sided, not older than `max_age` seconds, and no wider than `max_spread` of mid or 0.04."""
    if quote is None or not quote.two_sided or quote.age(now) > max_age:
        return False
    assert quote.mid is not None
    assert quote.spread is not None
    return quote.spread <= max(max_spread * quote.mid, NARROW)


def mark(
    position: Position,
    quote: Quote | None,
    underlying: Decimal | None,
    greeks: Greeks | None,
    now: datetime,
    previous: Mark | None,
    *,
    max_age: float,
    max_spread: Decimal,
) -> Mark:
    """The position's mark at `now`. `greeks` are per unit, at this quote; the last known stay where there are none.

    Extremes are carried on from the previous mark, or the position after a restart; raising them is the exit
    monitor's work, because only confirmed prices count.
    """
    trusted = reliable(quote, now, max_age, max_spread)
    if trusted and quote is not None and quote.mid is not None:
        price = quote.mid
    else:
        price = previous.price if previous is not None else _known(position.last_mark, position.entry)
    return Mark(
        position=position.id,
        at=now,
        quote=quote,
        price=price,
        model=False,
        underlying=underlying if underlying is not None else (previous.underlying if previous else None),
        greeks=greeks if greeks is not None else (previous.greeks if previous else None),
        unrealised=unrealised(position, price),
        best=previous.best if previous else _known(position.best, position.entry),
        worst=previous.worst if previous else _known(position.worst, position.entry),
        stale=not trusted,
    )


def unrealised(position: Position, price: Decimal) -> Decimal:
    """Dollars on what is still held, before fees, to the cent."""
    return money((price - position.entry) * position.quantity * position.contract.multiplier)


def _known(extreme: Decimal | None, entry: Decimal) -> Decimal:
    return extreme if extreme is not None else entry
