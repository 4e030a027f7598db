"""What the desk offers: lines of the palette, what may follow a chord's first key, the question before an exit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
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


def exit_question(row: PositionRow, held: int | None = None) -> Question:
    """What would be sent for a position, and how many. `held`: what is held now, where that may have changed; 0 when it is over."""
    mark = "" if row.mark is None else f", mark {numbers.price(row.mark)} ({numbers.age(row.age)} old)"
    return Question(
        title=f"Sell {row.contract}",
        text=f"{numbers.count(row.quantity, 'contract')} held, market {numbers.market(row.bid, row.ask)}{mark}.\n"
        f"Unrealised {numbers.dollars(row.pnl, 2, sign=True)}. Sent as a marketable limit.",
        verb="Sell {quantity}",
        warning="" if held is None or held else "It is not held any more: there is nothing to sell.",
        quantity=row.quantity,
        maximum=row.quantity,
    )


def buy_question(view: ChainView, row: ChainRow, side: ChainSide, now: datetime | None) -> Question:
    """A ticket for one contract of the chain, by its market of this moment."""
    right = "C" if side is row.call else "P"
    day = f"{view.expiry.day} {view.expiry:%b %y}" if view.expiry is not None else ""
    vol = "n/a" if side.iv is None else numbers.percent(side.iv, 1)
    return Question(
        title=f"Buy {view.symbol} {day} {row.strike:f} {right}",
        text=f"{quote_words(side)}\n{_quoted(view, side, now)} · IV {vol} · delta {numbers.plain(side.delta)} ({view.model})\n"
        "A ticket opens for your quantity; every rule sees it, and it waits for approval.",
        verb="Open a ticket for {quantity}",
        warning=_market_warning(view, side, now),
        quantity=1,
        maximum=500,
        reason="Why? (needed)",
        reason_needed=True,
    )


def quote_words(side: ChainSide) -> str:
    """`Bid 4.86 · ask 4.90 · mid 4.88`, a missing side as a dash."""
    return f"Bid {numbers.price(side.bid)} · ask {numbers.price(side.ask)} · mid {numbers.price(side.mid)}"


def _age(side: ChainSide, now: datetime | None) -> float | None:
    return None if side.at is None or now is None else max(0.0, (now - side.at).total_seconds())


def _span(seconds: float) -> str:
    """Whole seconds: the desk's clock shows no finer."""
    return f"under 1{numbers.NARROW}s" if seconds < 1 else numbers.span(seconds)


def _quoted(view: ChainView, side: ChainSide, now: datetime | None) -> str:
    old = _age(side, now)
    return view.source if old is None else f"{view.source}, {_span(old)} old"


def _market_warning(view: ChainView, side: ChainSide, now: datetime | None) -> str:
    """What is wrong with the market that is shown: too old, or a side is missing."""
    old = _age(side, now)
    if old is not None and view.age_limit is not None and old > view.age_limit:
        return f"STALE: no new quote for {_span(old)}. A ticket is refused until there is one."
    if side.bid is None or side.ask is None:
        return "There is no two-sided market: a ticket is refused until there is one."
    return ""


def contract_shown(view: ChainView, osi: str) -> tuple[ChainRow, ChainSide] | None:
    """The row and side of a contract, None where the view does not have it."""
    for row in view.rows:
        for side in (row.call, row.put):
            if side is not None and side.osi == osi:
                return row, side
    return None


def live_buy(desk: DeskWindow, row: ChainRow, side: ChainSide) -> Callable[[], Question]:
    """Makes the question of a contract by the chain that the desk shows at each call."""
    found = (desk.chain.view, row, side)

    def ask() -> Question:
        nonlocal found
        shown = contract_shown(desk.chain.view, side.osi)
        if shown is not None:
            found = (desk.chain.view, *shown)
        # A contract that the chain lost keeps its last quote, which grows old before everybody's eyes.
        return buy_question(*found, desk.now)

    return ask


def live_exit(desk: DeskWindow, row: PositionRow) -> Callable[[], Question]:
    """Makes the question before an exit by what is held and quoted at each call."""
    last = row

    def ask() -> Question:
        nonlocal last
        now = next((one for one in desk.positions.model.rows if one.id == row.id), None)
        last = now or last
        return exit_question(last, now.quantity if now is not None else 0)

    return ask
