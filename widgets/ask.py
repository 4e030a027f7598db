"""Sheets: a question with at most a quantity and a reason, answered by Enter, left by Esc. `await ask(...)` instead of exec().

What a question says of a market moves while it is asked: `renew` looks again and changes the words, never what was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from widgets.overlay import Overlay
from widgets.quantity import QuantityField
from widgets.theme import Look


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `verb` is the button's: it may use {quantity}."""

    title: str
    text: str
    verb: str
    warning: str = ""
    """Said under the text and louder: what is wrong with the market that is shown."""
    quantity: int | None = None
    """Asked for, starting here, when given."""
    maximum: int = 100_000
    reason: str = ""
    """The reason field's hint; no field when empty."""
    reason_needed: bool = False
    danger: bool = False
    """Enter leaves it, until someone went to the reason or the button on purpose."""


@dataclass(frozen=True, slots=True)
class Answer:
    quantity: int | None
    reason: str


class Sheet(Overlay):
    """One sheet for all questions; a new question replaces the one before, which counts as left."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(look, parent, "sheet", "Question", 460)
        self.question: Question | None = None
        self._then: Callable[[Answer | None], None] | None = None
        self._look_again: Callable[[], Question] | None = None
        self.title, self.text, self.missing, self.warning = QLabel(), QLabel(), QLabel(), QLabel()
        for words in (self.text, self.warning):
            words.setWordWrap(True)
        self.quantity, self.reason = QuantityField(), QLineEdit()
        self.quantity.setObjectName("sheet.quantity")
        self.quantity.setAccessibleName("Contracts")
        self.quantity.textChanged.connect(lambda _: self._words())
        self.reason.setObjectName("sheet.reason")
        self.reason.setAccessibleName("Reason")
        self.go, self.leave = QPushButton(), QPushButton("Leave   Esc")
        self.go.setObjectName("sheet.go")
        self.go.setAccessibleName("Do it")
        self.go.setProperty("go", True)
        self.leave.setObjectName("sheet.leave")
        self.leave.setAccessibleName("Leave without doing anything")
        self.leave.installEventFilter(self)
        self.go.clicked.connect(self.accept)
        self.leave.clicked.connect(self.close_overlay)
        form = QFormLayout()
        form.setContentsMargins(0, 2, 0, 2)
        form.addRow("Contracts", self.quantity)
        form.addRow("Reason", self.reason)
        self.form = form
        hands = QHBoxLayout()
        hands.addWidget(self.go, 2)
        hands.addWidget(self.leave, 1)
        for widget in (self.title, self.text, self.warning):
            self.column.addWidget(widget)
        self.column.addLayout(form)
        self.column.addWidget(self.missing)
        self.column.addLayout(hands)
        self.closed.connect(lambda: self._end(None))
        look.changed.connect(self._restyle)
        self._restyle()

    def ask(
        self,
        question: Question,
        then: Callable[[Answer | None], None],
        look_again: Callable[[], Question] | None = None,
    ) -> None:
        """Show the question; `then` gets the answer, or None when the trader left. `look_again` asks it in the words of now."""
        self._end(None)
        self._then, self._look_again = then, look_again
        self._show_words(question)
        self._say_missing("")
        self.form.setRowVisible(self.quantity, question.quantity is not None)
        self.form.setRowVisible(self.reason, bool(question.reason))
        self.quantity.set_range(1, question.maximum)
        self.quantity.setValue(question.quantity or 1)
        self.reason.clear()
        self.reason.setPlaceholderText(question.reason)
        self._words()
        self.open()
        first = self.quantity if question.quantity is not None else self.reason if question.reason else self.go
        if question.danger:
            first = self.leave
        first.setFocus(Qt.FocusReason.PopupFocusReason)
        self.quantity.selectAll()

    def renew(self) -> None:
        """Say the question in the words of now. What was typed and what has the keyboard stay."""
        if self._look_again is None or not self.isVisible():
            return
        question = self._look_again()
        if question != self.question:
            self._show_words(question)
            self.place()

    def _show_words(self, question: Question) -> None:
        self.question = question
        self.title.setText(question.title)
        self.text.setText(question.text)
        self.warning.setText(question.warning)
        self.warning.setVisible(bool(question.warning))
        self.setAccessibleDescription(". ".join(p for p in (question.title, question.text, question.warning) if p))

    def accept(self) -> None:
        """Enter."""
        question = self.question
        if question is None:
            return
        if question.quantity is not None and self.quantity.value() is None:
            self.quantity.setFocus(Qt.FocusReason.OtherFocusReason)
            return  # the line under it says why
        reason = self.reason.text().strip()
        if question.reason_needed and not reason:
            self._say_missing("A reason is needed: it goes into the ledger.")
            self.reason.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        answer = Answer(self.quantity.value() if question.quantity is not None else None, reason)
        then, self._then = self._then, None
        self.close_overlay()
        if then:
            then(answer)

    def _end(self, answer: Answer | None) -> None:
        then, self._then, self._look_again = self._then, None, None
        if then:
            then(answer)

    def _say_missing(self, text: str) -> None:
        """The line over the buttons: what is still needed, or nothing."""
        if text != self.missing.text() or self.missing.isHidden() != (not text):
            self.missing.setText(text)
            self.missing.setVisible(bool(text))
            if self.isVisible():
                self.place()

    def _words(self) -> None:
        if self.question:
            asked = self.question.quantity is not None
            number = self.quantity.value()
            self.go.setEnabled(number is not None or not asked)
            if asked:
                self._say_missing(self.quantity.problem())
            text = self.question.verb.format(quantity="—" if number is None else f"{number:,}")
            leaving = self.leave.hasFocus()  # the mark stands where Enter goes
            self.go.setText(text if leaving else f"{text}   ⏎")
            self.leave.setText("Leave   ⏎" if leaving else "Leave   Esc")
            self.go.setAccessibleName(text)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is not self.leave:
            return super().eventFilter(watched, event)
        if event.type() in (QEvent.Type.FocusIn, QEvent.Type.FocusOut):
            QTimer.singleShot(0, self, self._words)  # once it has the keyboard, or has it no more
        return False

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat() and not self.leave.hasFocus():
                self.accept()
            elif self.leave.hasFocus():
                self.close_overlay()
            event.accept()
            return
        super().keyPressEvent(event)

    def _restyle(self) -> None:
        for label, tone, role, weight in (
            (self.title, "hi", "head", 600),
            (self.text, "mid", "data", 400),
            (self.missing, "hi", "label", 600),
            (self.warning, "hi", "data", 600),
        ):
            palette = label.palette()
            palette.setColor(label.foregroundRole(), self.look.colour(tone))
            label.setPalette(palette)
            label.setFont(self.look.font(role, weight))


async def ask(sheet: Sheet, question: Question) -> Answer | None:
    """The same for coroutines: waits without a nested event loop."""
    future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
    sheet.ask(question, lambda answer: None if future.done() else future.set_result(answer))
    return await future
