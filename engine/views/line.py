"""The broker's lamp: the line to one outside this process, its books, and what is in doubt or not ours. Read by the desk."""

from __future__ import annotations

from engine.domain.values import OrderState
from engine.domain.views import Lamp, LampState
from engine.views.seen import Seen, age


def broker_lamps(seen: Seen) -> list[Lamp]:
    """One lamp, or none for a broker in this process, which is always there."""
    link = seen.state.link
    if link is None:
        return []
    doubts = [order.id for order in seen.state.open_orders.values() if order.state is OrderState.UNKNOWN]
    since = age((seen.now - link.since).total_seconds())
    notes = [f"{len(doubts)} in doubt: {', '.join(doubts[:5])}"] if doubts else []
    notes += [f"{len(link.foreign)} not ours: {link.foreign[-1]}"] if link.foreign else []
    if not link.connected:
        state, text = LampState.BAD, "away"
        todo = "No entries; exits go first when it is back"
        notes.insert(0, link.reason)
    elif not link.reconciled:
        state, text, todo = LampState.WARN, "reading books", "No entries before its books are read"
    else:
        state = LampState.WARN if notes else LampState.OK
        text, todo = "connected", "Ask the broker about what is not ours" if link.foreign else ""
    return [Lamp(id="broker", name="Broker", state=state, text=text, detail="; ".join(notes) or link.broker,
                 todo=todo, age=since)]  # fmt: skip
