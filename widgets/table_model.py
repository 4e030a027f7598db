"""Columns are declared, text is made once a flush, only the cells that changed are announced: the model of every table.

`widgets.table` shows it. Sorting happens here, at most once a flush; it never measures and never paints.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from widgets.canvas import MIDDLE, RIGHT

Row = TypeVar("Row")
Index = QModelIndex | QPersistentModelIndex
_TOP = QModelIndex()


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column: what it says, how wide its widest text is, and how it gives way when the panel is narrow."""

    title: str
    text: Callable[[Row], str]
    sample: str
    align: Qt.AlignmentFlag = RIGHT
    tone: Callable[[Row], str] | str = "hi"
    weight: int = 400
    help: str = ""
    sort: Callable[[Row], Any] | None = None
    """What to compare; the column cannot be sorted without."""
    drop: int = 0
    """Columns with the highest number are hidden first when there is no room, equal ones together; 0 always stays."""
    elide: bool = False
    """Its text may be elided; the tooltip has it whole."""
    stretch: bool = False
    """Takes the room that is left; its text may be elided, and is whole in the tooltip."""
    detail: Callable[[Row], str] | None = None
    """Quieter words after the text."""
    bar: Callable[[Row], float | None] | None = None
    """A gauge under the text, 0 to 1."""
    spoken: Callable[[Row], str] | None = None
    ground: Callable[[Row], str] | None = None
    """Colour behind the cell, by its token; nothing where it is empty."""
    tip: Callable[[Row], str] | None = None
    """What the pointer reads of this one cell, before the column's help."""


Cell = tuple[str, str, str, float | None, str]
"""Text, tone, detail, bar, ground."""


class TableModel(QAbstractTableModel, Generic[Row]):
    """Rows by key. `flush` replaces them all and announces no more than what changed."""

    def __init__(self, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self._key = key
        self._rows: list[Row] = []
        self._keys: list[Hashable] = []
        self._cells: list[tuple[Cell, ...]] = []
        self._sorted: tuple[int, bool] | None = None
        self.reshaping = False
        """True while rows come and go: what is current then was not chosen by anyone."""
        self.order_held = False
        """True while the pointer is over a sorted table: rows do not jump under it."""

    # -- Qt

    def rowCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _TOP) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        text, _, detail, _, _ = self._cells[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{text} {detail}" if detail else text
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            said = column.spoken(self._rows[index.row()]) if column.spoken else f"{text} {detail}".strip()
            return f"{column.title}: {said}" if column.title else said
        if role == Qt.ItemDataRole.ToolTipRole:
            tip = column.tip(self._rows[index.row()]) if column.tip else ""
            if tip:
                return tip
            return f"{text} {detail}".strip() if column.stretch or column.elide else column.help or None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return column.align | MIDDLE
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.help or None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{column.title}, {column.help}" if column.help else column.title
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Remember the order and apply it now; later flushes keep it."""
        if 0 <= column < len(self.columns) and self.columns[column].sort is not None:
            self._sorted = (column, order is Qt.SortOrder.DescendingOrder)
        else:
            self._sorted = None
        self.flush(list(self._rows), resort=True)

    # -- ours

    def cell(self, row: int, column: int) -> Cell:
        return self._cells[row][column]

    def row(self, number: int) -> Row:
        return self._rows[number]

    def number_of(self, key: Hashable) -> int | None:
        return self._keys.index(key) if key in self._keys else None

    @property
    def rows(self) -> Sequence[Row]:
        return self._rows

    def flush(self, rows: Sequence[Row], *, resort: bool = False) -> None:
        """Show these rows. Text is made for rows that differ from the ones shown, and for no others."""
        ordered = self._ordered(rows, resort)
        keys = [self._key(row) for row in ordered]
        if keys != self._keys:
            self.reshaping = True
            self._reshape(keys, ordered)
            self.reshaping = False
        for number, (new, old) in enumerate(zip(ordered, self._rows, strict=True)):
            if new is not old and new != old:
                self._replace(number, new)

    def _ordered(self, rows: Sequence[Row], resort: bool) -> list[Row]:
        if self._sorted is None:
            return list(rows)
        if self.order_held and not resort:
            place = {key: number for number, key in enumerate(self._keys)}
            return sorted(rows, key=lambda row: place.get(self._key(row), len(place)))
        column, descending = self._sorted
        value = self.columns[column].sort
        assert value is not None
        known = [(value(row), row) for row in rows]
        there = [pair for pair in known if pair[0] is not None]
        there.sort(key=lambda pair: pair[0], reverse=descending)
        return [row for _, row in there] + [row for found, row in known if found is None]

    def _replace(self, number: int, row: Row) -> None:
        old, new = self._cells[number], self._make(row)
        self._rows[number], self._cells[number] = row, new
        changed = [place for place, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
        for _, run in groupby(enumerate(changed), lambda pair: pair[1] - pair[0]):
            places = [place for _, place in run]
            self.dataChanged.emit(self.index(number, places[0]), self.index(number, places[-1]))

    def _make(self, row: Row) -> tuple[Cell, ...]:
        return tuple(
            (
                column.text(row),
                column.tone if isinstance(column.tone, str) else column.tone(row),
                column.detail(row) if column.detail else "",
                column.bar(row) if column.bar else None,
                column.ground(row) if column.ground else "",
            )
            for column in self.columns
        )

    def _reshape(self, keys: list[Hashable], rows: list[Row]) -> None:
        """Remove what went, move what stayed, insert what came: in steps a view can follow with its selection."""
        wanted = set(keys)
        for number in range(len(self._keys) - 1, -1, -1):
            if self._keys[number] not in wanted:
                self.beginRemoveRows(_TOP, number, number)
                del self._keys[number], self._rows[number], self._cells[number]
                self.endRemoveRows()
        here = set(self._keys)
        stayed = [key for key in keys if key in here]
        if stayed != self._keys:
            self._permute(stayed)
        number = 0
        while number < len(keys):
            if number < len(self._keys) and self._keys[number] == keys[number]:
                number += 1
                continue
            last = number
            while last + 1 < len(keys) and keys[last + 1] not in here:
                last += 1
            self.beginInsertRows(_TOP, number, last)
            self._keys[number:number] = keys[number : last + 1]
            self._rows[number:number] = rows[number : last + 1]
            self._cells[number:number] = [self._make(row) for row in rows[number : last + 1]]
            self.endInsertRows()
            number = last + 1

    def _permute(self, keys: list[Hashable]) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        keys_before = [self._keys[index.row()] for index in before]
        place = {key: number for number, key in enumerate(self._keys)}
        self._rows = [self._rows[place[key]] for key in keys]
        self._cells = [self._cells[place[key]] for key in keys]
        self._keys = list(keys)
        new = {key: number for number, key in enumerate(keys)}
        after = [self.index(new[key], index.column()) for key, index in zip(keys_before, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()
