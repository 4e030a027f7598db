"""What the desk offers: lines of the palette, what may follow a chord's first key, the question before an exit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine.domain.views import ChainRow, ChainSide, ChainView, PositionRow
from widgets import numbers
from widgets.action import Actions
from widgets.ask import Question
from widgets.palette import Entry

if TYPE_CHECKING:
    from widgets.window import DeskWindow


def palette_entries(desk: DeskWindow) -> list[Entry]:
    """Every action but the ones that only go somewhere, then every panel."""
    entries = [
        Entry(action.id, action.title, action.menu, action.keys_text, partial(desk.do, action), action.when(desk))
        for action in desk.registry
        if action.menu != "Go" and action.id != "desk.palette"
    ]
    for panel in desk.panels.values():
        name = f"panel.{panel.id}"
        keys = desk.registry[name].keys_text if name in desk.registry else ""
        entries.append(Entry(name, panel.title, "panel", keys, partial(desk.show_panel, panel.id)))
    return entries


def chord_words(actions: Actions, first: str) -> str:
    """What may follow the first key of a chord."""
    parts = [
        f"{key.split()[1]} {action.title.removeprefix('Go to ')}"
        for action in actions
        for key in action.keys
        if key.startswith(f"{first} ")
    ]
    return " · ".join(parts)


def exit_question(row: PositionRow) -> Question:
    """What would be sent for a position, and how many."""
    mark = "" if row.mark is None else f", mark {numbers.price(row.mark)} ({numbers.age(row.age)} old)"
    return Question(
        title=f"Sell {row.contract}",
        text=f"{numbers.count(row.quantity, 'contract')} held, market {numbers.market(row.bid, row.ask)}{mark}.\n"
        f"Unrealised {numbers.dollars(row.pnl, 2, sign=True)}. Sent as a marketable limit.",
        verb="Sell {quantity}",
        quantity=row.quantity,
        maximum=row.quantity,
    )


def buy_question(view: ChainView, row: ChainRow, side: ChainSide) -> Question:
    """A ticket for one contract of the chain."""
    right = "C" if side is row.call else "P"
    day = f"{view.expiry.day} {view.expiry:%b %y}" if view.expiry is not None else ""
    vol = "n/a" if side.iv is None else numbers.percent(side.iv, 1)
    return Question(
        title=f"Buy {view.symbol} {day} {row.strike:f} {right}",
        text=f"Market {numbers.market(side.bid, side.ask)}, IV {vol}, delta {numbers.plain(side.delta)} ({view.model}, {view.source}).\n"
        "A ticket opens for your quantity; every rule sees it, and it waits for approval.",
        verb="Open a ticket for {quantity}",
        quantity=1,
        maximum=500,
        reason="Why? (needed)",
        reason_needed=True,
    )
