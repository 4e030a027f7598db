"""The command palette: plain words find symbols, panels and actions; `>` finds actions only. Recent ones come first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget

from widgets.canvas import LEFT
from widgets.overlay import Overlay
from widgets.table import Column, TableModel, TableView
from widgets.theme import Look

MOST = 80
"""Entries shown at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the palette can do. `why_not` is shown instead of doing it."""

    id: str
    title: str
    kind: str
    keys: str
    run: Callable[[], None]
    why_not: str = ""


def rank(query: str, title: str) -> float | None:
    """How well `query` fits `title`, lower is better; None when its letters are not all there in order.

    Letters that follow each other or start a word count for more.
    """
    at, cost, previous = 0, 0.0, -2
    lowered = title.lower()
    for letter in query.lower():
        if letter == " ":
            continue
        found = lowered.find(letter, at)
        if found < 0:
            return None
        word_start = found == 0 or not lowered[found - 1].isalnum()
        cost += 0.0 if found == previous + 1 else 0.5 if word_start else 2.0 + 0.02 * (found - at)
        previous, at = found, found + 1
    return cost + 0.01 * len(title)


def matches(query: str, entries: Sequence[Entry], recent: Sequence[str]) -> list[Entry]:
    """The entries to show, best first."""
    only_actions = query.startswith(">")
    words = query.removeprefix(">").strip()
    place = {name: number for number, name in enumerate(recent)}
    found = []
    for number, entry in enumerate(entries):
        if only_actions and entry.kind in ("symbol", "panel"):
            continue
        cost = rank(words, entry.title) if words else 0.0
        if cost is not None:
            found.append((cost + min(place.get(entry.id, 40), 40) * 0.02, number, entry))
    return [entry for _, _, entry in sorted(found, key=lambda item: item[:2])[:MOST]]


COLUMNS = (
    Column[Entry]("", lambda e: e.title, "…", LEFT, lambda e: "low" if e.why_not else "hi", stretch=True,
                  detail=lambda e: e.why_not),
    Column[Entry]("", lambda e: e.kind, "Positions", LEFT, "low", drop=1),
    Column[Entry]("", lambda e: e.keys, "Ctrl+Shift+H", tone="mid"),
)  # fmt: skip


class Palette(Overlay):
    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(look, parent, "palette", "Command palette", 620, top=90)
        self.column.setContentsMargins(10, 10, 10, 10)
        self.entries: Sequence[Entry] = ()
        self.recent: list[str] = []
        self.line = QLineEdit()
        self.line.setObjectName("palette.line")
        self.line.setAccessibleName("Find an action, a panel or a symbol")
        self.line.setPlaceholderText("Find an action, a panel or a symbol   (> actions only)")
        self.model = TableModel[Entry](COLUMNS, lambda entry: entry.id)
        self.view = TableView[Entry](look, self.model, "palette.list", "Found")
        self.view.horizontalHeader().hide()
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setMinimumHeight(look.px(380))
        self.view.opened.connect(lambda _: self._go())
        self.line.textChanged.connect(lambda _: self._find())
        self.column.addWidget(self.line)
        self.column.addWidget(self.view)

    def open_with(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.line.clear()
        self._find()
        self.open()
        self.line.setFocus(Qt.FocusReason.PopupFocusReason)

    def _find(self) -> None:
        self.model.flush(matches(self.line.text(), self.entries, self.recent))
        if self.model.rowCount():
            self.view.selectRow(0)
            self.view.scrollToTop()

    def _go(self) -> None:
        entry = self.view.current
        if entry is None:
            return
        self.recent = [entry.id, *(name for name in self.recent if name != entry.id)][:20]
        self.close_overlay()
        entry.run()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_PageDown, Qt.Key.Key_PageUp):
            by = 12 if key in (Qt.Key.Key_PageDown, Qt.Key.Key_PageUp) else 1
            self.view.step(by if key in (Qt.Key.Key_Down, Qt.Key.Key_PageDown) else -by)
            event.accept()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._go()
            event.accept()
        else:
            super().keyPressEvent(event)
