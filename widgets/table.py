"""Tables of live rows: columns are declared, text is made once a flush, only the cells that changed are announced.

Every list panel declares columns and calls `TableModel.flush(rows)`. Sorting happens here, at most once a flush; the
selection stays with its row's key. It never measures all rows and never sorts through a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QEnterEvent, QFocusEvent, QMouseEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from widgets.canvas import DIMMED, LEFT, MIDDLE, RIGHT
from widgets.theme import Look

Row = TypeVar("Row")
Index = QModelIndex | QPersistentModelIndex
_TOP = QModelIndex()
PAD = 4
"""Left and right of a cell's text, pixels at 100 %."""


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
    """Columns with the highest number are hidden first when there is no room; 0 always stays."""
    elide: bool = False
    """Its text may be elided; the tooltip has it whole."""
    stretch: bool = False
    """Takes the room that is left; its text may be elided, and is whole in the tooltip."""
    detail: Callable[[Row], str] | None = None
    """Quieter words after the text."""
    bar: Callable[[Row], float | None] | None = None
    """A gauge under the text, 0 to 1."""
    spoken: Callable[[Row], str] | None = None


Cell = tuple[str, str, str, float | None]
"""Text, tone, detail, bar."""


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
        text, _, detail, _ = self._cells[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{text} {detail}" if detail else text
        column = self.columns[index.column()]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            said = column.spoken(self._rows[index.row()]) if column.spoken else f"{text} {detail}".strip()
            return f"{column.title}: {said}" if column.title else said
        if role == Qt.ItemDataRole.ToolTipRole:
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
            self._reshape(keys, ordered)
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


class _Header(QHeaderView):
    """Titles in the label font, on the same edge as their figures; a sorted one is barred above (rising) or below."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.look = look
        self.setSectionsClickable(True)
        self.setHighlightSections(False)
        self.setMinimumSectionSize(8)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.look.px(24))

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        model = self.model()
        assert isinstance(model, TableModel)
        column = model.columns[section]
        painter.fillRect(rect, self.look.colour("surface1"))
        painter.setPen(self.look.colour("line"))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        text = column.title
        pad = self.look.px(PAD)
        painter.setFont(self.look.font("label", 500))
        painter.setPen(self.look.colour("low"))
        painter.drawText(rect.adjusted(pad, 0, -pad, 0), column.align | MIDDLE | Qt.TextFlag.TextSingleLine, text)
        if self.isSortIndicatorShown() and self.sortIndicatorSection() == section and column.sort:
            down = self.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder
            edge = rect.bottom() - 1 if down else rect.top()
            painter.fillRect(QRect(rect.x() + pad, edge, rect.width() - 2 * pad, 2), self.look.colour("mid"))


class _Paint(QStyledItemDelegate):
    """Paints a cell from the text made at flush: one look-up, no style engine."""

    def __init__(self, look: Look, view: TableView[Any]) -> None:
        super().__init__(view)
        self.look, self.view = look, view

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        view, look = self.view, self.look
        model = view.table
        text, tone, detail, bar = model.cell(index.row(), index.column())
        column = model.columns[index.column()]
        rect: QRect = option.rect
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, look.colour("selected"))
            if view.logical_first == index.column():
                mark = look.colour("focus" if view.hasFocus() else "line_focus")
                painter.fillRect(QRect(rect.x(), rect.y(), look.px(2), rect.height()), mark)
        pad = look.px(PAD)
        room = rect.adjusted(pad, 0, -pad, 0)
        if view.dim and tone in DIMMED:
            tone = "low"
        if column.stretch or column.elide:
            text, detail = self._elide(text, detail, column.weight, room.width())
        painter.setFont(look.font("data", column.weight))
        painter.setPen(look.colour(tone))
        if detail:
            width = look.metrics("data", column.weight).horizontalAdvance(text + " ")
            painter.drawText(room, LEFT | MIDDLE | Qt.TextFlag.TextSingleLine, text)
            painter.setFont(look.font())
            painter.setPen(look.colour("low"))
            painter.drawText(room.adjusted(width, 0, 0, 0), LEFT | MIDDLE | Qt.TextFlag.TextSingleLine, detail)
        else:
            painter.drawText(room, column.align | MIDDLE | Qt.TextFlag.TextSingleLine, text)
        if bar is not None:
            track = QRect(room.x(), rect.bottom() - look.px(3), room.width(), look.px(2))
            painter.fillRect(track, look.colour("line"))
            filled = round(max(0.0, min(1.0, bar)) * track.width())
            painter.fillRect(QRect(track.x(), track.y(), filled, track.height()), look.colour("bar"))

    def _elide(self, text: str, detail: str, weight: int, width: int) -> tuple[str, str]:
        metrics = self.look.metrics("data", weight)
        right = Qt.TextElideMode.ElideRight
        used = metrics.horizontalAdvance(text + " ") if detail else metrics.horizontalAdvance(text)
        if used > width:
            return metrics.elidedText(text, right, width), ""
        return text, self.look.metrics().elidedText(detail, right, width - used) if detail else ""


class TableView(QTableView, Generic[Row]):
    """A table with our paint.

    Notifications:
        chosen: the row that is now current, or None.
        opened: a row was double-clicked or Enter was pressed on it.
    """

    chosen = Signal(object)
    opened = Signal(object)

    def __init__(self, look: Look, model: TableModel[Row], name: str, label: str) -> None:
        super().__init__()
        self.look, self.table = look, model
        self.dim = False
        self.logical_first = 0
        self.setObjectName(name)
        self.setAccessibleName(label)
        self.setModel(model)
        header = _Header(look, self)
        header.setObjectName(f"{name}.columns")
        header.setAccessibleName(f"{label}: columns")
        self.verticalHeader().setObjectName(f"{name}.rows")
        self.verticalHeader().setAccessibleName(f"{label}: rows")
        self.setHorizontalHeader(header)
        self.verticalHeader().hide()
        self.setItemDelegate(_Paint(look, self))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setCornerButtonEnabled(False)
        header.sectionClicked.connect(self._header_clicked)
        self.doubleClicked.connect(lambda index: self.opened.emit(model.row(index.row())))
        self.selectionModel().currentRowChanged.connect(self._current_changed)
        look.changed.connect(self._look_changed)
        self._look_changed()

    def set_dim(self, dim: bool) -> None:
        if dim != self.dim:
            self.dim = dim
            self.viewport().update()

    @property
    def current(self) -> Row | None:
        """The selected row."""
        index = self.currentIndex()
        return self.table.row(index.row()) if index.isValid() else None

    def choose(self, key: Hashable) -> bool:
        """Select the row of this key; False if it is not there."""
        number = self.table.number_of(key)
        if number is None:
            return False
        self.selectRow(number)
        return True

    def step(self, by: int) -> None:
        """Next or previous row; the first one when none is selected."""
        rows = self.table.rowCount()
        if rows:
            index = self.currentIndex()
            number = max(0, min(rows - 1, index.row() + by)) if index.isValid() else 0
            self.selectRow(number)
            self.scrollTo(self.table.index(number, self.logical_first))

    def cut_text(self) -> list[str]:
        """Texts of visible cells and titles that do not fit: what the tests keep empty."""
        found = []
        pad = 2 * self.look.px(PAD)
        for place, column in enumerate(self.table.columns):
            if self.isColumnHidden(place):
                continue
            room = self.columnWidth(place) - pad + 1
            if self.look.metrics("label", 500).horizontalAdvance(column.title) > room:
                found.append(column.title)
            if column.stretch or column.elide:
                continue
            for number in range(self.table.rowCount()):
                text, _, detail, _ = self.table.cell(number, place)
                width = self.look.metrics("data", column.weight).horizontalAdvance(text + (" " if detail else ""))
                if width + self.look.metrics().horizontalAdvance(detail) > room:
                    found.append(f"{text} {detail}")
        return found

    # -- Qt

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def enterEvent(self, event: QEnterEvent) -> None:
        self.table.order_held = True
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self.table.order_held = False
        super().leaveEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if not self.currentIndex().isValid() and self.table.rowCount():
            self.selectRow(0)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    def _current_changed(self, index: QModelIndex, before: QModelIndex) -> None:
        self.chosen.emit(self.table.row(index.row()) if index.isValid() else None)

    def _header_clicked(self, section: int) -> None:
        header = self.horizontalHeader()
        if self.table.columns[section].sort is None:
            return
        again = header.isSortIndicatorShown() and header.sortIndicatorSection() == section
        descending = header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder
        if again and not descending:  # the third click gives the panel's own order back
            header.setSortIndicatorShown(False)
            self.table.sort(-1)
            return
        order = Qt.SortOrder.AscendingOrder if again else Qt.SortOrder.DescendingOrder
        header.setSortIndicatorShown(True)
        header.setSortIndicator(section, order)
        self.table.sort(section, order)

    def _look_changed(self) -> None:
        row = self.look.space("row")
        self.verticalHeader().setMinimumSectionSize(row)
        self.verticalHeader().setDefaultSectionSize(row)
        self._fit()
        self.viewport().update()

    def _fit(self) -> None:
        """Widths from the declared samples; what does not fit is hidden whole, never cut."""
        columns, pad = self.table.columns, 2 * self.look.px(PAD) + 2
        widths = [
            max(
                self.look.metrics("data", column.weight).horizontalAdvance(column.sample),
                self.look.metrics("label", 500).horizontalAdvance(column.title),
            )
            + pad
            for column in columns
        ]
        room = self.viewport().width()
        shown = set(range(len(columns)))
        for place in sorted((p for p in shown if columns[p].drop), key=lambda p: -columns[p].drop):
            if sum(widths[p] for p in shown) <= room:
                break
            shown.discard(place)
        spare = max(0, room - sum(widths[p] for p in shown))
        stretching = [p for p in shown if columns[p].stretch] or [min(shown)]
        for place in range(len(columns)):
            self.setColumnHidden(place, place not in shown)
            extra = spare // len(stretching) if place in stretching else 0
            self.setColumnWidth(place, widths[place] + extra)
        self.logical_first = min(shown)
