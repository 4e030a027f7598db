"""The view of live rows: painted by hand, widths from declared samples, the selection kept with its row.

Every list panel declares columns and calls `TableModel.flush(rows)`. It never measures all rows and never sorts through
a proxy; columns without room are hidden whole, never cut.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Generic, TypeVar

from PySide6.QtCore import (
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

from widgets.canvas import DIMMED, LEFT, MIDDLE
from widgets.table_model import Column as Column
from widgets.table_model import TableModel as TableModel
from widgets.theme import Look

Row = TypeVar("Row")
Index = QModelIndex | QPersistentModelIndex
PAD = 4
"""Left and right of a cell's text, pixels at 100 %."""


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
        text, tone, detail, bar, ground = model.cell(index.row(), index.column())
        column = model.columns[index.column()]
        rect: QRect = option.rect
        if ground:
            painter.fillRect(rect, look.colour(ground))
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
        chosen: the row that someone made current, or None.
        opened: a row was double-clicked or Enter was pressed on it.
    """

    chosen = Signal(object)
    opened = Signal(object)
    spread: ClassVar[bool] = False
    """Room that is left goes to all columns alike; else to those that stretch, or the first."""

    def __init__(self, look: Look, model: TableModel[Row], name: str, label: str) -> None:
        super().__init__()
        self.look, self.table = look, model
        self.dim = False
        self.logical_first = 0
        self._by_itself = False
        """A row is selected by no one's choice, so that nothing follows it."""
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
        return self.table.row(index.row()) if self._selected(index) else None

    def _selected(self, index: QModelIndex) -> bool:
        """Current and seen to be: Qt gives a table that takes the focus a current row that nobody sees."""
        return index.isValid() and self.selectionModel().isRowSelected(index.row())

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
            number = max(0, min(rows - 1, index.row() + by)) if self._selected(index) else 0
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
                text, _, detail, _, _ = self.table.cell(number, place)
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
        self._by_itself = True  # the view's own focusInEvent makes a row current, too
        super().focusInEvent(event)
        if not self._selected(self.currentIndex()) and self.table.rowCount():
            self.selectRow(0)
        self._by_itself = False
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    def _current_changed(self, index: QModelIndex, before: QModelIndex) -> None:
        if not self._by_itself and not self.table.reshaping:
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
        for number in sorted({column.drop for column in columns if column.drop}, reverse=True):
            if sum(widths[p] for p in shown) <= room:
                break
            shown -= {p for p in shown if columns[p].drop == number}
        spare = max(0, room - sum(widths[p] for p in shown))
        stretching = list(shown) if self.spread else [p for p in shown if columns[p].stretch] or [min(shown)]
        for place in range(len(columns)):
            self.setColumnHidden(place, place not in shown)
            extra = spare // len(stretching) if place in stretching else 0
            self.setColumnWidth(place, widths[place] + extra)
        self.logical_first = min(shown)
