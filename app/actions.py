"""Everything a person can do on the desk, declared once: title, menu, key, when it is possible, what it sends.

Keys are read from `resources/keymap.toml`; a key that is used twice stops the import. Menus, palette, cheat sheet and
the manual's table are made from `ACTIONS`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

from engine.domain.commands import ClosePosition, HaltTrading, Override, ResumeTrading
from widgets import numbers
from widgets.action import HOLD_MS, Action, Actions
from widgets.ask import Question
from widgets.theme import PAIRS, RESOURCES
from widgets.window import DeskWindow

KEYMAP: dict[str, list[str]] = tomllib.loads((RESOURCES / "keymap.toml").read_text("utf-8"))["keys"]


def _action(name: str, title: str, menu: str, run: Callable[[Any], None], **more: Any) -> Action:
    return Action(name, title, menu, run, keys=tuple(KEYMAP.get(name, ())), **more)


# --- when is it possible -------------------------------------------------------------------------------------------


def _has_ticket(desk: DeskWindow) -> str:
    return "" if desk.approvals.ticket else "No ticket is waiting"


def _has_position(desk: DeskWindow) -> str:
    if desk.position:
        return ""
    return "Select a position first (G P, then J and K)" if desk.positions.model.rowCount() else "No position is open"


def _has_override(desk: DeskWindow) -> str:
    view = desk.decision.shown
    if view is None:
        return "No decision is shown"
    return "" if view.overridable else f"{view.symbol} {view.verdict}: there is nothing to override"


def _is_halted(desk: DeskWindow) -> str:
    return "" if desk.header_view and desk.header_view.halted else "Trading is not halted"


def _not_halted(desk: DeskWindow) -> str:
    return "Trading is halted already" if desk.header_view and desk.header_view.halted else ""


# --- what it does --------------------------------------------------------------------------------------------------


def _close_now(desk: DeskWindow) -> None:
    row = desk.position
    if row:
        desk.send(ClosePosition(by="desk", position=row.id))
        desk.say(f"Closing {row.quantity} {row.contract}")


def _close_preview(desk: DeskWindow) -> str:
    row = desk.position
    return (
        f"Keep holding: sell {row.quantity} {row.contract} at once, market {numbers.market(row.bid, row.ask)}"
        if row
        else ""
    )


def _halt(desk: DeskWindow) -> None:
    desk.send(HaltTrading(by="desk", reason="halted by key"))


def _ask_halt(desk: DeskWindow) -> None:
    desk.ask(
        Question(
            "Halt trading",
            "Entries stop and working entries are cancelled. Exits go on. It survives a restart; only a person resumes.",
            "Halt now",
            reason="Why? (optional)",
            danger=True,
        ),
        lambda answer: desk.send(HaltTrading(by="desk", reason=answer.reason or "halted on the desk")),
    )


def _flatten(desk: DeskWindow) -> None:
    desk.send(HaltTrading(by="desk", reason="flattened by key", flatten=True))


def _flatten_preview(desk: DeskWindow) -> str:
    rows = desk.positions.model.rows
    held = sum(row.quantity for row in rows)
    return f"Keep holding: halt, and sell {numbers.count(held, 'contract')} in {numbers.count(len(rows), 'position')}"


def _ask_flatten(desk: DeskWindow) -> None:
    rows = desk.positions.model.rows
    lines = "\n".join(f"sell {row.quantity} {row.contract}  {numbers.market(row.bid, row.ask)}" for row in rows[:10])
    desk.ask(
        Question(
            "Halt and flatten all",
            lines or "No position is open.",
            "Halt and sell everything",
            reason="Why? (optional)",
            danger=True,
        ),
        lambda answer: desk.send(HaltTrading(by="desk", reason=answer.reason or "flattened on the desk", flatten=True)),
    )


def _resume(desk: DeskWindow) -> None:
    view = desk.header_view
    why = f"Halted by {view.halt_by}: {view.halt_reason}" if view else ""
    desk.ask(
        Question("Resume trading", why, "Resume", reason="Why is it safe again? (needed)", reason_needed=True),
        lambda answer: desk.send(ResumeTrading(by="desk", reason=answer.reason)),
    )


def _override(desk: DeskWindow) -> None:
    view = desk.decision.shown
    if view is None:
        return
    said = f"Denied: {view.denial}" if view.denial else f"{view.verdict}: {view.reason}"
    desk.ask(
        Question(
            f"Override {view.symbol} {view.leaning or view.direction or ''}".strip(),
            f"{said}\nA ticket opens for your quantity; every rule still sees it. Both are in the ledger.",
            "Open a ticket for {quantity}",
            quantity=max(1, view.contracts),
            reason="Why? (needed)",
            reason_needed=True,
        ),
        lambda answer: desk.send(
            Override(by="desk", decision=view.seq, reason=answer.reason, quantity=answer.quantity)
        ),
    )


def _back(desk: DeskWindow) -> None:
    desk.approvals.step_back()
    desk.notice.clear()
    desk.follow("")


def _other_theme(desk: DeskWindow) -> None:
    desk.look.set(theme="light" if desk.look.theme == "dark" else "dark")


def _other_pair(desk: DeskWindow) -> None:
    desk.look.set(pair=PAIRS[(PAIRS.index(desk.look.pair) + 1) % len(PAIRS)])
    desk.say(f"Gain and loss are {desk.look.pair.replace('-', ' and ')}")


def _scale(by: int) -> Callable[[DeskWindow], None]:
    def run(desk: DeskWindow) -> None:
        desk.look.set(scale=desk.look.scale + by)
        desk.say(f"Text {desk.look.scale} %")

    return run


def _layout(name: str) -> Callable[[DeskWindow], None]:
    return lambda desk: desk.arrange(name)


def _panel(name: str) -> Callable[[DeskWindow], None]:
    return lambda desk: desk.show_panel(name)


TRADE, ROWS, VIEW, GO, DESK = "Trade", "Rows", "View", "Go", "Desk"

ACTIONS = Actions(
    (
        _action("desk.palette", "Find anything…", DESK, lambda desk: desk.open_palette()),
        _action("desk.keys", "Keys", DESK, lambda desk: desk.cheat_sheet.open()),
        _action("desk.back", "Step back; decisions follow the newest", DESK, _back),
        _action("welcome.test", "Send two test alerts", DESK, lambda desk: desk.asked.emit("welcome.test")),
        _action("desk.quit", "Quit", DESK, lambda desk: desk.close()),
        _action("ticket.approve", "Approve the ticket (then Enter)", TRADE, lambda desk: desk.approvals.approve(), when=_has_ticket),
        _action("ticket.reject", "Reject the ticket (then Enter)", TRADE, lambda desk: desk.approvals.reject(), when=_has_ticket),
        _action("ticket.change", "Change the ticket's quantity", TRADE, lambda desk: desk.approvals.change(), when=_has_ticket),
        _action("decision.override", "Override the decision…", TRADE, _override, when=_has_override),
        _action("position.exit", "Exit ticket…", TRADE, lambda desk: desk.exit_ticket(), when=_has_position),
        _action("position.close", "Close the position at once", TRADE, _close_now, when=_has_position, preview=_close_preview,
                danger=True, hold=HOLD_MS, asks=lambda desk: desk.exit_ticket()),
        _action("order.cancel", "Cancel the order", TRADE, lambda desk: desk.orders.cancel_current(), panel="orders"),
        _action("desk.halt", "Halt trading", TRADE, _halt, when=_not_halted, danger=True, hold=HOLD_MS, asks=_ask_halt,
                preview=lambda _: "Keep holding: halt. Entries stop, working entries are cancelled"),
        _action("desk.flatten", "Halt and flatten all", TRADE, _flatten, danger=True, hold=HOLD_MS, asks=_ask_flatten,
                preview=_flatten_preview),
        _action("desk.resume", "Resume trading…", TRADE, _resume, when=_is_halted),
        _action("rows.next", "Next row", ROWS, lambda desk: desk.panel.step(1), repeat=True),
        _action("rows.previous", "Previous row", ROWS, lambda desk: desk.panel.step(-1), repeat=True),
        _action("rows.open", "Open its story; in chain, a buy ticket", ROWS, lambda desk: desk.panel.open_current()),
        _action("rows.why", "Say why", ROWS, lambda desk: desk.panel.why_current()),
        _action("chain.calls", "Take the calls", ROWS, lambda desk: desk.chain.take_side("call"), panel="chain"),
        _action("chain.puts", "Take the puts", ROWS, lambda desk: desk.chain.take_side("put"), panel="chain"),
        _action("chain.sooner", "Sooner expiry", ROWS, lambda desk: desk.chain.turn_expiry(-1), panel="chain", repeat=True),
        _action("chain.later", "Later expiry", ROWS, lambda desk: desk.chain.turn_expiry(1), panel="chain", repeat=True),
        _action("chain.symbol", "Next symbol", ROWS, lambda desk: desk.chain.turn_symbol(), panel="chain"),
        _action("chain.money", "Back to the money", ROWS, lambda desk: desk.chain.table.centre(), panel="chain"),
        _action("layout.trade", "Trade layout", VIEW, _layout("trade")),
        _action("layout.review", "Review layout", VIEW, _layout("review")),
        _action("layout.quiet", "Quiet layout", VIEW, _layout("quiet")),
        _action("layout.chain", "Chain layout", VIEW, _layout("chain")),
        _action("layout.reset", "Reset this and all layouts", VIEW, lambda desk: desk.docks.reset()),
        _action("view.theme", "Dark or light", VIEW, _other_theme),
        _action("view.pair", "Colours of gain and loss", VIEW, _other_pair),
        _action("view.larger", "Larger text", VIEW, _scale(10)),
        _action("view.smaller", "Smaller text", VIEW, _scale(-10)),
        *(
            _action(f"panel.{name}", f"Go to {title}", GO, _panel(name))
            for name, title in (
                ("signals", "signals"), ("positions", "positions"), ("orders", "orders"), ("exits", "exits"),
                ("decision", "decision"), ("approvals", "approvals"), ("confluence", "confluence"), ("chain", "chain"), ("greeks", "Greeks"),
                ("story", "story"), ("health", "health"), ("log", "log"), ("welcome", "welcome"),
            )
        ),
    )
)  # fmt: skip
"""All of them."""
