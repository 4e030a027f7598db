"""Tickets that wait for a yes. A arms it and Enter sends; R rejects; E changes the quantity; Esc steps back.

Nothing moves under a key: a ticket that changed less than 400 ms before Enter is not sent, and the panel says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from engine.domain.commands import Approve, Reject
from engine.domain.values import Purpose
from engine.domain.views import TicketsView, TicketView
from widgets import numbers
from widgets.canvas import Pairs, Prose
from widgets.handbutton import HandButton
from widgets.panels.barred import Bar
from widgets.panels.ticket import Headline, footnote, heading, strip
from widgets.payoff import Payoff
from widgets.quantity import QuantityField
from widgets.states import Panel
from widgets.theme import Look

HOLD = 0.4
"""Seconds a ticket must have stood still before Enter counts."""


class Mode(StrEnum):
    LOOK = "look"
    APPROVE = "approve"
    REJECT = "reject"
    CHANGE = "change"


class ApprovalsPanel(Panel):
    """Notification `asking`: the symbol of the ticket that came in front, or nothing when none waits any more."""

    asking = Signal(str)
    id = "approvals"
    title = "Approve"
    buttons = {"panel.welcome": "Show the steps", "welcome.test": "Send two test alerts"}  # noqa: RUF012

    def __init__(self, look: Look, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(look)
        self.monotonic = monotonic
        self.tickets: tuple[TicketView, ...] = ()
        self.ticket: TicketView | None = None
        self.mode = Mode.LOOK
        self.waiting: set[str] = set()
        """Tickets we answered and have not heard about."""
        self.bar: Bar | None = None
        """Why no entry is taken now; exits are."""
        self._steady_since = -HOLD
        self._build()

    def _build(self) -> None:
        self.headline, self.payoff = Headline(self.look), Payoff(self.look)
        self.strip_view = Pairs(self.look, "approvals.strip", "Ticket in five seconds")
        self.notes = Prose(self.look, "approvals.notes", "Guards")
        self.foot = Prose(self.look, "approvals.footnote", "Book and rules")
        self.form = QWidget()
        self.form.setObjectName("approvals.form")
        self.form.setAccessibleName("Answer")
        self.quantity, self.reason = QuantityField(), QLineEdit()
        self.quantity.setObjectName("approvals.quantity")
        self.quantity.setAccessibleName("Contracts")
        self.quantity.textChanged.connect(lambda _: self._words())
        self.reason.setObjectName("approvals.reason")
        self.reason.setAccessibleName("Reason")
        row = QHBoxLayout(self.form)
        row.setContentsMargins(10, 4, 10, 4)
        row.addWidget(self.quantity)
        row.addWidget(self.reason, 1)
        self.send_button = self._button("send", "Send this order", "")
        self.send_button.setProperty("go", True)
        self.reject_button = self._button("reject", "Reject this ticket", "Reject   R")
        self.change_button = self._button("change", "Change the quantity", "Change   E")
        self.send_button.clicked.connect(self._clicked_send)
        self.reject_button.clicked.connect(self.reject)
        self.change_button.clicked.connect(self.change)
        hands = QHBoxLayout()
        hands.setContentsMargins(10, 4, 10, 10)
        hands.setSpacing(6)
        hands.addWidget(self.send_button, 2)
        hands.addWidget(self.reject_button, 1)
        hands.addWidget(self.change_button, 1)
        page = QWidget()
        page.setObjectName("approvals.page")
        page.setAccessibleName("Ticket")
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.strip_view, self.notes, self.payoff, self.foot):
            column.addWidget(widget)
        column.addStretch(1)
        column.setStretch(2, 100)
        area = QScrollArea()
        area.setObjectName("approvals.area")
        area.setAccessibleName("Ticket")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(page)
        self.box.addWidget(self.headline)
        self.box.addWidget(area, 1)
        self.box.addWidget(self.form)
        self.box.addLayout(hands)
        self.content.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.form.hide()

    def _button(self, name: str, label: str, text: str) -> HandButton:
        button = HandButton(text)
        button.setObjectName(f"approvals.{name}")
        button.setAccessibleName(label)
        button.setMinimumHeight(self.look.px(30))
        return button

    # -- what is shown

    def show_view(self, view: TicketsView) -> None:
        self.tickets = view.rows
        self.waiting &= {ticket.id for ticket in view.rows}
        here = next((t for t in view.rows if self.ticket and t.id == self.ticket.id), None)
        self._show(here or (view.rows[0] if view.rows else None))
        self.show_face(view.face, bool(view.rows))
        if self.ticket is None:
            self.summarise({"manual": "you approve"}.get(view.policy, f"policy {view.policy} approves"))

    def _show(self, ticket: TicketView | None) -> None:
        old, self.ticket = self.ticket, ticket
        if ticket is None:
            if old is not None:
                self.symbol_chosen.emit("")  # nothing is asked any more: board and decision follow the newest again
            if old is not None:
                self.asking.emit("")
            self._set_mode(Mode.LOOK)
            return
        if old is None or _orders_differ(old, ticket):
            self._steady_since = self.monotonic()
            if old is None or old.id != ticket.id:
                self.asking.emit(ticket.symbol)
                self._set_mode(Mode.LOOK)
                self.quantity.setValue(ticket.quantity)
                self.reason.clear()
        place = self.tickets.index(ticket) + 1
        more = f"{place} of {len(self.tickets)}, J and K for the others" if len(self.tickets) > 1 else "1 waiting"
        self.summarise(f"{more} · expires in {numbers.countdown(ticket.expires_in)}")
        self.headline.show_ticket(ticket)
        self.strip_view.show_pairs(strip(ticket))
        self.payoff.show_ticket(ticket)
        self.payoff.setVisible(len(ticket.payoff) > 1)
        self._words()

    def _lines(self, ticket: TicketView) -> None:
        bar = self.barred
        notes = [(note, "hi", 500) for note in ticket.notes]
        if self._quantity() is None:
            notes.insert(0, (self.quantity.problem(), "hi", 600))
        if bar is not None:
            notes.insert(0, (f"{bar.word}: {bar.why}", "hi", 600))
        self.notes.show_lines(tuple(notes))
        self.foot.show_lines(tuple((line, "low", 400) for line in footnote(ticket, bar.word if bar else "")))

    @property
    def barred(self) -> Bar | None:
        """What the ticket in front would be refused for, whatever its rules said."""
        return self.bar if self.ticket is not None and self.ticket.purpose is Purpose.ENTRY else None

    def set_bar(self, bar: Bar | None) -> None:
        if bar != self.bar:
            self.bar = bar
            self._words()

    def _words(self) -> None:
        if self.ticket is None:
            return
        self._lines(self.ticket)
        number = self._quantity()
        contracts = "No valid quantity" if number is None else numbers.count(number, "contract")
        gone = self.ticket.id in self.waiting
        armed = self.mode is not Mode.LOOK
        if self.mode is Mode.REJECT:
            text = "Reject this ticket   ⏎"
        elif gone:
            text = f"Sent {contracts}…"
        elif self.barred is not None:
            text = f"Not now: {self.barred.word.lower()}"
        elif number is None:
            text = contracts
        else:
            verb = "Send" if self.ticket.purpose is Purpose.ENTRY else "Sell"
            text = f"{verb} {contracts}   {'⏎' if armed else 'A'}"
        self.send_button.setText(text)
        sendable = number is not None and self.barred is None
        self.send_button.setEnabled(not gone and (sendable or self.mode is Mode.REJECT))
        self.send_button.setAccessibleDescription(heading(self.ticket))

    def _quantity(self) -> int | None:
        assert self.ticket is not None
        return self.quantity.value() if self.mode is Mode.CHANGE else self.ticket.quantity

    def _set_mode(self, mode: Mode) -> None:
        self.mode = mode
        if self.send_button.property("armed") != (mode is not Mode.LOOK):
            self.send_button.setProperty("armed", mode is not Mode.LOOK)
            self.send_button.style().unpolish(self.send_button)
            self.send_button.style().polish(self.send_button)
        self.form.setVisible(mode in (Mode.REJECT, Mode.CHANGE))
        self.quantity.setVisible(mode is Mode.CHANGE)
        needed = "Why another quantity? (needed)" if mode is Mode.CHANGE else "Why not? (optional)"
        self.reason.setPlaceholderText(needed)
        self._words()

    # -- hands

    def approve(self) -> None:
        """A: arm it. Enter sends."""
        if self._ready() and self._open():
            self.focus_first()
            self._set_mode(Mode.APPROVE)

    def reject(self) -> None:
        """R: the reason field; Enter sends the no."""
        if self._ready():
            self.reason.clear()
            self._set_mode(Mode.REJECT)
            self.reason.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def change(self) -> None:
        """E: quantity, then reason; Enter sends the changed yes."""
        if self._ready() and self._open():
            assert self.ticket is not None
            self.quantity.setValue(self.ticket.quantity)
            self._set_mode(Mode.CHANGE)
            self.quantity.setFocus(Qt.FocusReason.ShortcutFocusReason)
            self.quantity.selectAll()

    def _ready(self) -> bool:
        self.raised.emit()
        if self.ticket is None:
            self.said.emit("No ticket is waiting")
        elif self.ticket.id in self.waiting:
            self.said.emit("This ticket was answered; the engine's word is on its way")
        else:
            return True
        return False

    def _open(self) -> bool:
        """Nothing is armed that would be refused anyway."""
        bar = self.barred
        if bar is not None:
            self.said.emit(f"{bar.word}: {bar.why}")
        return bar is None

    def step_back(self) -> None:
        """Esc, or the keyboard went elsewhere."""
        if self.mode is not Mode.LOOK:
            self._set_mode(Mode.LOOK)

    def _clicked_send(self) -> None:
        if self.mode not in (Mode.REJECT, Mode.CHANGE):
            self.focus_first()
        if self.mode is Mode.LOOK:
            self._set_mode(Mode.APPROVE)
        self.confirm()

    def confirm(self) -> None:
        """Enter: send what is armed, unless the ticket changed under the key."""
        ticket = self.ticket
        if ticket is None or self.mode is Mode.LOOK or ticket.id in self.waiting:
            return
        if self.mode is Mode.REJECT:
            self._answer(Reject(by="desk", ticket=ticket.id, reason=self.reason.text().strip()))
            return
        if not self._open():
            return
        stood = self.monotonic() - self._steady_since
        if stood < HOLD:
            self.said.emit(
                f"The ticket changed {numbers.age(stood)} ago: nothing was sent. Look, then press Enter again"
            )
            return
        if self._quantity() is None:
            self.said.emit(f"{self.quantity.problem()}: nothing was sent")
            return
        if self.mode is Mode.APPROVE or self.quantity.value() == ticket.quantity:
            self._answer(Approve(by="desk", ticket=ticket.id))
            return
        reason = self.reason.text().strip()
        if not reason:
            self.said.emit("Another quantity needs a reason; both go into the ledger")
            self.reason.setFocus(Qt.FocusReason.ShortcutFocusReason)
            return
        self._answer(Approve(by="desk", ticket=ticket.id, quantity=self.quantity.value(), reason=reason))

    def _answer(self, command: Approve | Reject) -> None:
        self.waiting.add(command.ticket)
        self._set_mode(Mode.LOOK)
        self.commanded.emit(command)

    def answered(self) -> None:
        """The engine answered a command: what was refused may be tried again."""
        self.waiting.clear()
        self._words()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.mode is not Mode.LOOK:
            if not event.isAutoRepeat():
                self.confirm()
        elif event.key() == Qt.Key.Key_Escape and self.mode is not Mode.LOOK:
            self.focus_first()
            self.step_back()
        else:
            super().keyPressEvent(event)

    def step(self, by: int) -> None:
        if self.ticket and len(self.tickets) > 1:
            ids = [ticket.id for ticket in self.tickets]
            place = max(0, min(len(ids) - 1, ids.index(self.ticket.id) + by))
            self._show(self.tickets[place])
            self.symbol_chosen.emit(self.tickets[place].symbol)

    def open_current(self) -> None:
        """Enter without A: open the story of what led here."""
        if self.ticket:
            seq = self.ticket.trigger if self.ticket.trigger is not None else self.ticket.decision
            if seq is not None:
                self.story_asked.emit(seq)

    def why_current(self) -> None:
        if self.ticket:
            self.why_asked.emit(self.ticket.symbol, self.ticket.decision)


def _orders_differ(old: TicketView, new: TicketView) -> bool:
    """What a person would be sending has changed: another ticket, price, quantity or contract."""
    return (old.id, old.limit, old.quantity, old.contract) != (new.id, new.limit, new.quantity, new.contract)
