"""Ground of the panels that are one table: drawing, stepping, and keeping the chosen row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from PySide6.QtCore import Qt

from engine.domain.views import Face
from widgets.states import Panel
from widgets.table import Column, TableModel, TableView
from widgets.theme import Look

Row = TypeVar("Row")


class RowsPanel(Panel, Generic[Row]):
    """One table. Subclasses declare columns and say what opening a row means."""

    def __init__(self, look: Look, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable]) -> None:
        super().__init__(look)
        self.model = TableModel[Row](columns, key)
        self.view = TableView[Row](look, self.model, f"{self.id}.table", self.title)
        self.box.addWidget(self.view, 1)
        self.content.setFocusProxy(self.view)
        self.view.opened.connect(lambda _: self.open_current())
        self.view.chosen.connect(self._chosen)

    def show_rows(self, face: Face, rows: Sequence[Row]) -> None:
        self.model.flush(rows)
        self.show_face(face, bool(rows))

    def _chosen(self, row: Row | None) -> None:
        symbol = getattr(row, "symbol", "")
        if symbol:
            self.symbol_chosen.emit(symbol)

    @property
    def current(self) -> Row | None:
        return self.view.current

    def step(self, by: int) -> None:
        self.view.step(by)

    def focus_first(self) -> None:
        self.view.setFocus(Qt.FocusReason.ShortcutFocusReason)
