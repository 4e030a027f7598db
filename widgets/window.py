"""The desk's window: band, tape, panels, lamps; it draws updates, turns keys into commands and shows the answers.

`app.desktop` makes it, gives it a way to send commands and feeds it updates. It never awaits, never knows the engine,
and never closes by itself: closing is announced once, and `app` hides it when everything has stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QVBoxLayout, QWidget

from engine.domain.commands import ClosePosition, Command, Done, OpenTicket
from engine.domain.views import ChainRow, ChainSide, DeskUpdate, HeaderView, PositionRow
from widgets import remembered
from widgets.action import Action, Actions
from widgets.ask import Answer, Question, Sheet
from widgets.cheatsheet import CheatSheet
from widgets.closed import Closed, tell_closed
from widgets.docks import Docks
from widgets.header import Band, Header, title_of
from widgets.keys import Keys
from widgets.lamps import Lamps
from widgets.menus import fill_menus
from widgets.notice import Notice
from widgets.offers import chord_words, live_buy, live_exit, palette_entries
from widgets.outage import OutageStrip
from widgets.overlay import Overlay
from widgets.palette import Entry, Palette
from widgets.panels.approvals import ApprovalsPanel
from widgets.panels.barred import bar_of
from widgets.panels.chain import ChainPanel
from widgets.panels.confluence import ConfluencePanel
from widgets.panels.decision import DecisionPanel
from widgets.panels.exits import ExitsPanel
from widgets.panels.greeks import GreeksPanel
from widgets.panels.health import HealthPanel
from widgets.panels.log import LogPanel
from widgets.panels.orders import OrdersPanel
from widgets.panels.positions import PositionsPanel
from widgets.panels.signals import SignalsPanel
from widgets.panels.story import StoryPanel
from widgets.panels.welcome import WelcomePanel
from widgets.refusals import refusal_words
from widgets.sight import main_panel, take_main
from widgets.states import Panel
from widgets.theme import Look

Send = Callable[[Command], None]
_KINDS = {"O": "order", "T": "ticket", "P": "position"}
"""What an id names, by its first letter."""


class DeskWindow(QMainWindow):
    """Notifications: closing (the trader wants to leave; said once), asked (the id of an action that `app` carries out)."""

    closing = Signal()
    asked = Signal(str)

    def __init__(
        self,
        send: Send,
        open_story: Callable[[int], None],
        state_path: Path,
        actions: Actions,
        look: Look,
        layout: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.send_command, self.open_story = send, open_story
        self.registry, self.look = actions, look
        self.state_path = state_path
        self.header_view: HeaderView | None = None
        self.symbol = self.asked_symbol = ""
        self.may_close = self._closing_said = False
        self.closed = Closed()
        self.setObjectName("window")
        self.setWindowTitle("Strikedesk")
        self.setAccessibleName("Strikedesk")
        self.setMinimumSize(1024, 640)
        remembered.restore_look(state_path, look)
        self._panels(monotonic)
        self._body()
        fill_menus(self)
        self.keys = Keys(self)
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        app.installEventFilter(self.keys)
        app.focusChanged.connect(self._focus_changed)
        look.changed.connect(self._look_changed)
        self.resize(1680, 1050)
        remembered.restore(state_path, self, self.docks, layout)
        main_panel(self).take_keyboard()

    # -- made once

    def _panels(self, monotonic: Callable[[], float]) -> None:
        look = self.look
        self.signals, self.confluence, self.decision = SignalsPanel(look), ConfluencePanel(look), DecisionPanel(look)
        self.approvals, self.orders = ApprovalsPanel(look, monotonic), OrdersPanel(look)
        self.positions, self.greeks, self.exits = PositionsPanel(look), GreeksPanel(look), ExitsPanel(look)
        self.story, self.health, self.log = StoryPanel(look), HealthPanel(look), LogPanel(look)
        self.chain, self.welcome = ChainPanel(look), WelcomePanel(look)
        self.panels: dict[str, Panel] = {
            panel.id: panel
            for panel in (
                self.confluence, self.decision, self.signals, self.positions, self.orders, self.approvals,
                self.exits, self.greeks, self.story, self.chain, self.health, self.log, self.welcome,
            )
        }  # fmt: skip
        self.approvals.asking.connect(self._asking)
        self.chain.ticket_wanted.connect(self.buy)
        for panel in self.panels.values():
            panel.commanded.connect(self.send)
            panel.story_asked.connect(self.show_story)
            panel.symbol_chosen.connect(self.follow)
            panel.why_asked.connect(self.explain)
            panel.action_asked.connect(self.do_by_id)
            panel.said.connect(self.say)
            panel.raised.connect(lambda name=panel.id: self.docks.reveal(name))

    def _body(self) -> None:
        desk = QWidget()
        desk.setObjectName("desk")
        desk.setAccessibleName("Desk")
        column = QVBoxLayout(desk)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.band, self.header, self.lamps = Band(self.look), Header(self.look), Lamps(self.look)
        self.outage = OutageStrip(self.look)
        self.docks = Docks(self.look, self.panels)
        inner = QVBoxLayout()
        inner.setContentsMargins(4, 4, 4, 4)
        inner.addWidget(self.docks)
        column.addWidget(self.band)
        column.addWidget(self.header)
        column.addWidget(self.outage)
        column.addLayout(inner, 1)
        column.addWidget(self.lamps)
        self.setCentralWidget(desk)
        self.notice = Notice(self.look, desk)
        self.sheet, self.palette_view = Sheet(self.look, desk), Palette(self.look, desk)
        self.cheat_sheet = CheatSheet(self.look, desk, self.registry)
        self.header.halt_pressed.connect(lambda: self.do_by_id("desk.resume" if self._halted else "desk.halt"))
        for place in (self.lamps, self.outage):
            place.pressed.connect(lambda: self.show_panel("health"))

    # -- what comes in

    def apply(self, update: DeskUpdate) -> None:
        """Draw what changed."""
        if update.header is not None:
            self.header_view = update.header
            self.band.show_view(update.header)
            self.header.show_view(update.header)
        parts: tuple[tuple[Any, Callable[[Any], None]], ...] = (
            (update.signals, self.signals.show_view),
            (update.confluence, self.confluence.show_view),
            (update.decisions, self.decision.show_view),
            (update.tickets, self.approvals.show_view),
            (update.orders, self.orders.show_view),
            (update.positions, self.positions.show_view),
            (update.greeks, self.greeks.show_view),
            (update.exits, self.exits.show_view),
            (update.chain, self.chain.show_view),
            (update.log, self.log.show_view),
            (update.story, self.story.show_view),
            (update.welcome, self.welcome.show_view),
        )
        for view, draw in parts:
            if view is not None:
                draw(view)
        if update.health is not None:
            self.health.show_view(update.health)
            self.lamps.show_lamps(update.health.lamps)
            self.outage.show_outage(update.health.outage)
        if update.health is not None or update.header is not None:
            self.approvals.set_bar(bar_of(self.header_view, self.outage.outage))
        tell_closed(self)
        self.sheet.renew()
        title = title_of(
            self.header_view, len(self.approvals.tickets), self.positions.model.rowCount(), self.decision.rows
        )
        if title != self.windowTitle():
            self.setWindowTitle(title)

    def show_answer(self, done: Done) -> None:
        """The engine's answer to a command: a refusal is shown verbatim."""
        self.approvals.answered()
        if done.refusal:
            self.say(f"Denied: {refusal_words(done.refusal)}")
        elif done.created:
            self.say(f"Done: {_KINDS.get(done.created[:1], '')} {done.created}".replace("  ", " "))

    def say(self, text: str) -> None:
        self.notice.say(text)

    # -- what goes out

    def send(self, command: Command) -> None:
        self.closed.sent(command)
        tell_closed(self)
        self.send_command(command)

    def do_by_id(self, name: str) -> None:
        """Do an action of the desk, or hand an unknown one to `app`."""
        if name in self.registry:
            self.do(self.registry[name])
        else:
            self.asked.emit(name)

    def do(self, action: Action) -> None:
        """Run an action from a key, a menu, a button or the palette. What must be held is asked instead."""
        why_not = "Answer what is asked first, or leave it with Esc" if self.overlay_open else action.when(self)
        if why_not:
            self.say(why_not)
        elif action.hold and action.asks:
            action.asks(self)
        else:
            action.run(self)

    # -- where the keyboard is

    @property
    def active_panel(self) -> str:
        focus = QApplication.focusWidget()
        while focus is not None and not isinstance(focus, Panel):
            focus = focus.parentWidget()
        return focus.id if focus is not None else ""

    @property
    def panel(self) -> Panel:
        """The panel that has the keyboard; the layout's main one when none has."""
        return self.panels.get(self.active_panel) or main_panel(self)

    @property
    def overlay_open(self) -> bool:
        return any(overlay.isVisible() for overlay in self.overlays)

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        return (self.sheet, self.palette_view, self.cheat_sheet)

    def owns(self, widget: QWidget) -> bool:
        """Whether a key that went to this widget is ours: the window or one of its detached panels."""
        window = widget.window()
        return window is self or self.isAncestorOf(window)

    def panel_takes(self, key: str) -> bool:
        """An armed ticket answers Enter and Esc itself."""
        armed = self.active_panel == self.approvals.id and self.approvals.mode != "look"
        return armed and key in ("Return", "Esc")

    def _focus_changed(self, old: QWidget | None, new: QWidget | None) -> None:
        if new is None or not self.owns(new):
            return
        self.docks.set_active(self.active_panel)
        if self.active_panel != self.approvals.id and not self.overlay_open:
            self.approvals.step_back()

    def arrange(self, layout: str) -> None:
        """Change to a layout, and hand the keyboard to its main panel."""
        self.docks.arrange(layout)
        take_main(self)

    def show_panel(self, name: str) -> None:
        self.docks.reveal(name)
        self.panels[name].take_keyboard()

    def show_story(self, seq: int) -> None:
        self.docks.reveal(self.story.id)
        self.open_story(seq)

    def follow(self, symbol: str) -> None:
        """A symbol was chosen anywhere: the board and the decision follow. Without one they show what the ticket in front
        asks about, or the newest. The chain only follows a person: it must not change under a key that means its row."""
        self.symbol = symbol
        self.chain.follow(symbol)
        self._follow()

    def _asking(self, symbol: str) -> None:
        """Another ticket came in front: what it asks about is shown. It lets go of an older choice, not the other way."""
        self.asked_symbol = symbol
        if symbol:
            self.symbol = ""
        self._follow()

    def _follow(self) -> None:
        symbol = self.symbol or self.asked_symbol
        self.confluence.follow(symbol)
        self.decision.follow(symbol)

    def explain(self, symbol: str, decision: int | None) -> None:
        """Space: the decision as it stands when it is the one meant, else the story that holds it."""
        self.follow(symbol)
        shown = self.decision.shown
        if decision is None or (shown is not None and shown.seq == decision):
            self.docks.reveal(self.decision.id)
        else:
            self.show_story(decision)

    @property
    def position(self) -> PositionRow | None:
        """The selected position; the only one when there is only one."""
        row = self.positions.current
        rows = self.positions.model.rows
        return row or (rows[0] if len(rows) == 1 else None)

    @property
    def _halted(self) -> bool:
        return self.header_view is not None and self.header_view.halted

    def ask(self, question: Question | Callable[[], Question], then: Callable[[Answer], None]) -> None:
        """A sheet; nothing happens when the trader leaves it. A question that is made anew follows the market while it is asked."""
        live = None if isinstance(question, Question) else question
        first = question if isinstance(question, Question) else question()
        self.sheet.ask(first, lambda answer: then(answer) if answer else None, live)

    def open_palette(self) -> None:
        entries = palette_entries(self)
        for row in self.confluence.board.rows:
            entries.append(Entry(f"symbol.{row.symbol}", row.symbol, "symbol", "", partial(self.follow, row.symbol)))
        self.palette_view.open_with(entries)

    def chord_help(self, first: str) -> str:
        """What may follow the first key of a chord."""
        return chord_words(self.registry, first)

    # -- window

    def _look_changed(self) -> None:
        self.notice.place()
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.notice.place()

    def save_state(self) -> None:
        """Geometry, look and layouts into the state file."""
        remembered.save(self.state_path, self, self.docks, self.look)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.may_close:
            event.accept()
            return
        event.ignore()
        if not self._closing_said:
            self._closing_said = True
            self.save_state()
            self.say("Closing: the engine stops in order…")
            self.closing.emit()

    def close_now(self) -> None:
        """`app` has stopped everything."""
        if self.may_close:
            return
        if not self._closing_said:  # a signal from outside ended it
            self.save_state()
        self.may_close = True
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.removeEventFilter(self.keys)
            app.focusChanged.disconnect(self._focus_changed)
        self.close()

    def buy(self, row: ChainRow, side: ChainSide) -> None:
        """Enter on the chain: what a ticket would ask for. Every rule still sees it, and it waits for approval like any other."""
        self.ask(
            live_buy(self, row, side),
            lambda answer: self._open_ticket(side.osi, answer),
        )

    def _open_ticket(self, contract: str, answer: Answer) -> None:
        assert answer.quantity is not None, "a sheet that asks for a quantity answers with one"
        self.send(OpenTicket(by="desk", contract=contract, quantity=answer.quantity, reason=answer.reason))

    def exit_ticket(self) -> None:
        """X: what would be sent for the selected position, and how many."""
        row = self.position
        if row is None:
            self.say("No position is selected")
            return
        self.ask(
            live_exit(self, row),
            lambda answer: self.send(ClosePosition(by="desk", position=row.id, quantity=answer.quantity)),
        )

    @property
    def now(self) -> datetime | None:
        """The engine's time, to the second."""
        return self.header_view.now if self.header_view is not None else None
