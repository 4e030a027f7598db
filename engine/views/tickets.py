"""A pending ticket as a person answers it in five seconds: the market now, what it risks, what the book becomes."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from engine.domain.entities import Ticket
from engine.domain.values import Purpose, Right, Style, Timeframe
from engine.domain.views import Face, FaceKind, Impact, PayoffPoint, TicketsView, TicketView
from engine.pricing import probability, styles
from engine.pricing.time import SECONDS_A_YEAR, expiry_moment
from engine.risk.book import INDEX_GROUP, Book, day_budget_left, same_bets
from engine.sessions import new_york_day
from engine.views.seen import Seen, age

POINTS = 49
"""Prices of the underlying at which the payoff is drawn."""


def tickets_view(seen: Seen) -> TicketsView:
    """All pending tickets, the one that expires first is first."""
    pending = sorted(seen.state.pending_tickets.values(), key=lambda ticket: (ticket.expires, ticket.id))
    policy = seen.settings.approvals.policy.value
    what = "No ticket is waiting." if policy == "manual" else f"No ticket is waiting: policy {policy} approves."
    empty = Face(kind=FaceKind.EMPTY, what=what, then="An EXECUTE with a trigger opens one. A arms it, Enter sends.")
    return TicketsView(
        rows=tuple(ticket_view(seen, ticket) for ticket in pending), policy=policy, face=Face() if pending else empty
    )


def ticket_view(seen: Seen, ticket: Ticket) -> TicketView:
    quote = seen.quotes.option(ticket.contract) or ticket.quote
    spot_quote = seen.quotes.underlying(ticket.symbol)
    spot = spot_quote.mid if spot_quote is not None else None
    book = seen.book.without(ticket.id) if seen.book is not None else None
    plan, units = ticket.plan, ticket.quantity * ticket.contract.multiplier
    life = (ticket.expires - ticket.changed).total_seconds()
    remaining = (ticket.expires - seen.now).total_seconds()
    entry = ticket.purpose is Purpose.ENTRY
    odds, touch = _odds(seen, ticket, spot) if entry else (None, None)
    targets = [f"{t:.2f}" for t in (plan.target_1, plan.target_2) if t is not None] if plan else []
    return TicketView(
        id=ticket.id,
        purpose=ticket.purpose,
        symbol=ticket.symbol,
        direction=ticket.direction,
        side=ticket.side,
        quantity=ticket.quantity,
        contract=ticket.contract.label,
        dte=(ticket.contract.expiry - new_york_day(seen.now)).days,
        bid=quote.bid,
        ask=quote.ask,
        bid_size=quote.bid_size,
        ask_size=quote.ask_size,
        age=age(quote.age(seen.now)),
        source=quote.source,
        synthetic=quote.synthetic,
        limit=ticket.limit,
        mid_ticks=None if quote.mid is None else round((ticket.limit - quote.mid) * 100),
        max_loss=ticket.max_loss,
        loss_fraction=float(ticket.max_loss / book.equity) if book is not None and book.equity > 0 else None,
        budget_left=_budget_after(seen, book, ticket) if entry else None,
        stop_fraction=float(plan.stop_fraction) if plan else None,
        stop_underlying=plan.underlying_stop if plan else None,
        stop_atr=_stop_atr(seen, ticket, spot),
        stop_dollars=-plan.stop_fraction * ticket.limit * units if plan else None,
        break_even=ticket.break_even,
        move_used=_move_used(seen, ticket, spot),
        to_close=seen.to_close,
        event="",
        same_bets=1 + (same_bets(book, ticket.symbol, ticket.direction) if book is not None else 0),
        expires_in=float(math.ceil(max(0.0, remaining))),
        life=round(remaining / life, 2) if life > 0 else 0.0,
        changed=ticket.changed,
        decision=ticket.decision,
        trigger=ticket.trigger,
        position=ticket.position,
        spot=spot,
        strike=ticket.contract.strike,
        expected_move=_expected_move(seen, ticket, spot),
        odds=odds,
        touch=touch,
        targets=" · ".join(targets),
        notes=ticket.notes,
        manual=ticket.manual,
        verdicts=ticket.verdicts,
        neighbours=ticket.neighbours,
        impacts=_impacts(book, ticket, spot) if entry else (),
        payoff=payoff(seen, ticket, spot) if entry else (),
        cancels=_cancels(seen) if entry else "the position ending otherwise, or its time",
        sized_by=_sized_by(ticket),
        group="/".join(INDEX_GROUP) if ticket.symbol in INDEX_GROUP else "",
        asked=_asked(ticket),
        reprices=ticket.reprices,
        exit_reason=ticket.exit_reason.value if ticket.exit_reason else "",
    )


def _sized_by(ticket: Ticket) -> str:
    """What set the quantity: the rule that cut it, else who wished for it."""
    if ticket.sizing is None:
        return ""
    return ticket.sizing.capped_by or ("hand" if ticket.by_hand else "the decision")


def _asked(ticket: Ticket) -> int | None:
    """What the decision or the person wished for, where the ticket has another quantity."""
    asked = ticket.sizing.recommended if ticket.sizing is not None else ticket.quantity
    return None if asked == ticket.quantity else asked


def _budget_after(seen: Seen, book: Book | None, ticket: Ticket) -> Decimal | None:
    return None if book is None else day_budget_left(book, seen.settings.risk) - ticket.max_loss


def _trigger_timeframe(seen: Seen, ticket: Ticket) -> Timeframe:
    """That of the signal that asked for it, as long as its row is kept; else the hour the rules look at."""
    heard = seen.state.heard.get(ticket.trigger) if ticket.trigger is not None else None
    words = heard.text.split() if heard is not None and heard.kind == "signal" else []
    return next((timeframe for timeframe in Timeframe if timeframe.label in words[1:2]), Timeframe.H1)


def _stop_atr(seen: Seen, ticket: Ticket, spot: Decimal | None) -> float | None:
    """How far the stop in the underlying is, in ATR(14) of the trigger's timeframe."""
    stop = ticket.plan.underlying_stop if ticket.plan is not None else None
    if stop is None or spot is None:
        return None
    atr = seen.atr(ticket.symbol, _trigger_timeframe(seen, ticket))
    return round(abs(float(spot - stop)) / atr, 1) if atr else None


def _cancels(seen: Seen) -> str:
    drift = seen.settings.approvals.drift
    return f"its time or any rule on Enter; a drift over {drift * 100:.0f}\u202f% re-prices it first"


def _vol(ticket: Ticket) -> float | None:
    return ticket.greeks.iv if ticket.greeks is not None and ticket.greeks.iv > 0 else None


def _expected_move(seen: Seen, ticket: Ticket, spot: Decimal | None) -> float | None:
    """One standard deviation of the underlying until expiry: spot × vol × √t. Dollars."""
    vol = _vol(ticket)
    if vol is None or spot is None:
        return None
    seconds = (expiry_moment(ticket.contract.expiry, seen.calendar) - seen.now).total_seconds()
    return round(float(spot) * vol * math.sqrt(max(0.0, seconds) / SECONDS_A_YEAR), 2)


def _move_used(seen: Seen, ticket: Ticket, spot: Decimal | None) -> float | None:
    """Distance to break-even in standard deviations until expiry."""
    move = _expected_move(seen, ticket, spot)
    if not move or spot is None or ticket.break_even is None:
        return None
    return round(abs(float(ticket.break_even - spot)) / move, 2)


def _odds(seen: Seen, ticket: Ticket, spot: Decimal | None) -> tuple[float | None, float | None]:
    """Risk-neutral probabilities to end beyond break-even, and to touch it on the way."""
    vol, there = _vol(ticket), ticket.break_even
    seconds = (expiry_moment(ticket.contract.expiry, seen.calendar) - seen.now).total_seconds()
    if vol is None or spot is None or there is None or there <= 0 or seconds <= 0:
        return None, None
    t, terms = seconds / SECONDS_A_YEAR, seen.terms(ticket.contract)
    start = float(spot) * terms.basis
    forward = start * math.exp((terms.rate - terms.carry) * t)
    below = float(probability.Lognormal(forward, vol, t).below(float(there)))
    touch = float(probability.of_touch(start, float(there), t, terms.rate, terms.carry, vol))
    return round(1 - below if ticket.contract.right is Right.CALL else below, 2), round(touch, 2)


def _impacts(book: Book | None, ticket: Ticket, spot: Decimal | None) -> tuple[Impact, ...]:
    """The book's delta dollars and heat, before and after."""
    if book is None or book.equity <= 0:
        return ()
    heat = sum((e.risk for e in book.exposures), Decimal(0)) / book.equity * 100
    after = heat + ticket.max_loss / book.equity * 100
    found = [Impact(name="heat", before=round(heat, 1), after=round(after, 1), decimals=1, unit="%")]
    if spot is not None and ticket.greeks is not None:
        before = sum((e.delta_dollars for e in book.exposures), Decimal(0))
        added = Decimal(repr(ticket.greeks.delta)) * spot * ticket.quantity * ticket.contract.multiplier
        found.insert(0, Impact(name="Δ $", before=Decimal(round(before)), after=Decimal(round(before + added))))
    return tuple(found)


def payoff(seen: Seen, ticket: Ticket, spot: Decimal | None) -> tuple[PayoffPoint, ...]:
    """Profit of the whole ticket at expiry and now, over ± 2.5 standard deviations. Dollars, before fees.

    The underlying is rounded to dimes, so that the curve stands still while the quote flickers.
    """
    vol, move = _vol(ticket), _expected_move(seen, ticket, spot)
    if spot is None or vol is None or not move:
        return ()
    middle, strike, paid = round(float(spot), 1), float(ticket.contract.strike), float(ticket.limit)
    wide = max(2.5 * move, abs(float(ticket.break_even or strike) - middle) * 1.3)
    spots = np.linspace(middle - wide, middle + wide, POINTS)
    is_call = ticket.contract.right is Right.CALL
    intrinsic = np.maximum(spots - strike if is_call else strike - spots, 0.0)
    seconds = (expiry_moment(ticket.contract.expiry, seen.calendar) - seen.now).total_seconds()
    t = math.ceil(max(60.0, seconds) / 60) * 60 / SECONDS_A_YEAR
    terms = seen.terms(ticket.contract)
    american = ticket.contract.style is Style.AMERICAN
    now = styles.price(spots * terms.basis, strike, t, terms.rate, terms.carry, vol, is_call, american)
    units = ticket.quantity * ticket.contract.multiplier
    return tuple(
        PayoffPoint(
            spot=round(float(s), 2), expiry=round((float(i) - paid) * units), now=round((float(n) - paid) * units)
        )
        for s, i, n in zip(spots, intrinsic, now, strict=True)
    )
