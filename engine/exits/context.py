"""What an exit rule may know besides the position and its mark. Made by the journey once per position and moment."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from engine.domain.entities import Order, Position, Ticket
from engine.domain.values import Quote, Value
from engine.sessions import Calendar, new_york_day


class ExitContext(Value, frozen=True, kw_only=True):
    now: datetime
    today: date
    opens: datetime
    """Of today's session."""
    closes: datetime
    """16:00 New York, 13:00 on half days: the T of the expiry ladder."""
    nights: int
    """Calendar days to the next session: 1, over a weekend 3."""
    sessions_held: int
    """Sessions begun since the entry's: 0 on its day."""
    underlying: Quote | None = None
    """Fresh, or None: rules on the underlying rest while it is stale."""
    underlying_last: Decimal | None = None
    """Last trade, where the source knows it."""
    halted: bool = False
    """Trading in the option or its underlying is halted by the exchange."""
    working: Order | None = None
    """The exit order of this position that may still fill."""
    ticket: Ticket | None = None
    """The exit ticket of this position that waits for an answer."""
    armed: bool = False
    """The trailing stop is armed; filled in by the monitor."""
    iv_before: float | None = None
    """Implied volatility `exits.iv_minutes` ago; filled in by the monitor."""


def exit_context(
    position: Position,
    now: datetime,
    calendar: Calendar,
    *,
    underlying: Quote | None = None,
    underlying_last: Decimal | None = None,
    halted: bool = False,
    working: Order | None = None,
    ticket: Ticket | None = None,
) -> ExitContext | None:
    """The context at `now`, or None while options do not trade: then nothing is evaluated and nothing is sent."""
    session = calendar.session_at(now)
    if session is None or not session.open <= now < session.options_close:
        return None
    return ExitContext(
        now=now,
        today=session.day,
        opens=session.open,
        closes=session.close,
        nights=(calendar.next_session(session.day).day - session.day).days,
        sessions_held=calendar.sessions_between(new_york_day(position.opened), session.day),
        underlying=underlying,
        underlying_last=underlying_last,
        halted=halted,
        working=working,
        ticket=ticket,
    )
