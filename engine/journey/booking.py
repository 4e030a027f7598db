"""The book as the risk rules read it: what is held, what waits for an answer, what is still working."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from engine.domain.entities import Position
from engine.domain.values import Purpose
from engine.journey.clockwork import equity_now
from engine.journey.step import Step
from engine.risk.book import Book, Exposure, exposure_of_order, exposure_of_position, exposure_of_ticket
from engine.sessions import new_york_day

SECOND = timedelta(seconds=1)


def book_of(step: Step) -> Book:
    state = step.state
    assert state.account is not None, "an account is opened before the first entry"
    today = new_york_day(step.now)
    exposures: list[Exposure] = []
    recent: dict[str, datetime] = {}
    exposures += [_held(step, position, today) for position in state.open_positions.values()]
    for ticket in state.pending_tickets.values():
        if ticket.purpose is Purpose.ENTRY:
            exposures.append(exposure_of_ticket(ticket, _spot(step, ticket.symbol), today, step.terms(ticket.contract)))
    for order in state.open_orders.values():
        if order.purpose is Purpose.ENTRY and order.ticket is not None:
            ticket = state.tickets[order.ticket]
            exposures.append(
                exposure_of_order(order, ticket, _spot(step, ticket.symbol), today, step.terms(order.contract))
            )
    window = step.settings.risk.duplicate_seconds
    for order in reversed(state.orders.values()):
        if (step.now - order.created).total_seconds() > window:
            break
        if order.purpose is Purpose.ENTRY:
            recent.setdefault(order.contract.osi, order.created)
    step.live.entries[:] = [at for at in step.live.entries if step.now - at < SECOND]
    return Book(
        now=step.now,
        account=state.account,
        equity=equity_now(step),
        calendar=step.world.calendar,
        exposures=tuple(exposures),
        halt=state.halt,
        entries_last_second=len(step.live.entries),
        used_triggers=used_triggers(step),
        recent_entries=recent,
    )


def _held(step: Step, position: Position, today: date) -> Exposure:
    """Worked out once per change or mark: every entry asks for all of them."""
    mark = step.live.marks.get(position.id)
    known = step.live.exposures.get(position.id)
    if known is not None and known[0] is position and known[1] is mark and known[2] == today:
        return known[3]
    exposure = exposure_of_position(
        position,
        mark.price if mark is not None else position.last_mark or position.entry,
        mark.greeks if mark is not None else position.entry_greeks,
        mark.underlying if mark is not None else position.entry_underlying,
        today,
        step.settings.risk,
        step.terms(position.contract),
    )
    step.live.exposures[position.id] = (position, mark, today, exposure)
    return exposure


def used_triggers(step: Step) -> frozenset[int]:
    """Signals that made a ticket already: each may only once. The ticket's row stays while its signal is active."""
    return frozenset(t.trigger for t in step.state.tickets.values() if t.trigger is not None)


def _spot(step: Step, symbol: str) -> Decimal | None:
    quote = step.world.quotes.underlying(symbol)
    return quote.mid if quote is not None else None
