"""What a position is worth now. Called on every quote and clock tick; the mark stays in memory.

A mark is the mid of a quote one may believe. While the quote is not to be believed the last price stays, marked
stale; exits trust no stale mark. When that has lasted for `unreliable_after` seconds, the model's value takes its place:
a position is not without a stop because nobody quotes it. Never a fact by itself: the journey decides which marks are
kept.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from math import inf

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


def known_vol(position: Position, previous: Mark | None) -> float | None:
    """Implied volatility of the last believable quote; after a restart the last that was kept, else the entry's."""
    if previous is not None and previous.vol is not None:
        return previous.vol
    kept = position.attribution.greeks if position.attribution is not None else None
    greeks = kept or position.entry_greeks
    return greeks.iv if greeks is not None else None


def stale_since(previous: Mark | None, trusted: bool, now: datetime) -> datetime | None:
    """Since when no quote could be believed."""
    if trusted:
        return None
    return previous.stale_since if previous is not None and previous.stale_since is not None else now


def unreliable(previous: Mark | None, trusted: bool, now: datetime, after: float) -> bool:
    """No quote could be believed for `after` seconds."""
    since = stale_since(previous, trusted, now)
    return since is not None and (now - since).total_seconds() >= after


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
    unreliable_after: float = inf,
    model: Decimal | None = None,
) -> Mark:
    """The position's mark at `now`. `greeks` are per unit, at this quote; the last known stay where there are none.

    `model` is what the option is worth by the model, per share; None where the underlying has no fresh price or no
    volatility is known. It counts only once quotes were unusable for `unreliable_after` seconds, and never for more
    than somebody asks: an old or a wide ask may make the mark too low, never too high. Nor for less than a fresh bid
    of a market with two sides, for that can be had.

    Extremes are carried on from the previous mark, or the position after a restart; raising them is the exit
    monitor's work, because only confirmed prices count.
    """
    trusted = reliable(quote, now, max_age, max_spread)
    lost = unreliable(previous, trusted, now, unreliable_after)
    if trusted and quote is not None and quote.mid is not None:
        price = quote.mid
    elif lost and model is not None:
        price = _between(model, quote, now, max_age)
    else:
        price = previous.price if previous is not None else _known(position.last_mark, position.entry)
    vol = greeks.iv if trusted and greeks is not None else known_vol(position, previous)
    return Mark(
        position=position.id,
        at=now,
        quote=quote,
        price=price,
        model=lost and model is not None,
        underlying=underlying if underlying is not None else (previous.underlying if previous else None),
        greeks=greeks if greeks is not None else (previous.greeks if previous else None),
        unrealised=unrealised(position, price),
        best=previous.best if previous else _known(position.best, position.entry),
        worst=previous.worst if previous else _known(position.worst, position.entry),
        stale=not trusted,
        stale_since=stale_since(previous, trusted, now),
        unreliable=lost,
        vol=vol,
    )


def _between(model: Decimal, quote: Quote | None, now: datetime, max_age: float) -> Decimal:
    if quote is None:
        return model
    if quote.two_sided and quote.bid is not None and quote.age(now) <= max_age:
        model = max(model, quote.bid)
    return min(model, quote.ask) if quote.ask else model


def unrealised(position: Position, price: Decimal) -> Decimal:
    """Dollars on what is still held, before fees, to the cent."""
    return money((price - position.entry) * position.quantity * position.contract.multiplier)


def _known(extreme: Decimal | None, entry: Decimal) -> Decimal:
    return extreme if extreme is not None else entry
