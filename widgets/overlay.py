"""Something asked or shown over the desk without a window of its own: no nested loop, nothing behind it can be pressed."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QFrame, QVBoxLayout, QWidget

from widgets.theme import Look


class Overlay(QWidget):
    """Covers its parent with a scrim and shows `box` on it. Esc or a press beside it closes.

    Notification `closed`: it is gone and the focus is back where it was.
    """

    closed = Signal()

    def __init__(self, look: Look, parent: QWidget, name: str, label: str, width: int, top: int | None = None) -> None:
        super().__init__(parent)
        self.look, self._width, self._top = look, width, top
        self.setObjectName(name)
        self.setAccessibleName(label)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.box = QFrame(self)
        self.box.setObjectName(f"{name}.box")
        self.box.setAccessibleName(label)
        self.column = QVBoxLayout(self.box)
        self.column.setContentsMargins(16, 14, 16, 14)
        self.column.setSpacing(8)
        self._before: QWidget | None = None
        parent.installEventFilter(self)
        self.hide()

    def open(self) -> None:
        if not self.isVisible():
            self._before = QApplication.focusWidget()
        self.place()
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_overlay(self) -> None:
        if self.isVisible():
            self.hide()
            before, self._before = self._before, None
            if before is not None and before.isVisible():
                before.setFocus(Qt.FocusReason.PopupFocusReason)
            self.closed.emit()

    def place(self) -> None:
        parent = self.parentWidget()
        if parent is None:
            return
        self.setGeometry(parent.rect())
        width = min(self.look.px(self._width), self.width() - 24)
        self.box.setFixedWidth(width)
        self.column.activate()
        height = (
            self.column.heightForWidth(width) if self.column.hasHeightForWidth() else self.column.sizeHint().height()
        )
        height = min(max(height, self.column.minimumSize().height()), self.height() - 24)
        top = (self.height() - height) // 3 if self._top is None else self.look.px(self._top)
        self.box.setGeometry((self.width() - width) // 2, top, width, height)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab stays inside."""
        inside = [w for w in self.box.findChildren(QWidget) if w.isVisible() and w.isEnabled()]
        inside = [w for w in inside if w.focusProxy() is None]  # a spin box's own line hands the keyboard back to it
        stops = [w for w in inside if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
        if stops:
            here = self.focusWidget()
            place = stops.index(here) if here in stops else -1
            stops[(place + (1 if forward else -1)) % len(stops)].setFocus(Qt.FocusReason.TabFocusReason)
        return True

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self.place()
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if not self.box.geometry().contains(event.position().toPoint()):
            self.close_overlay()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_overlay()
        event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.look.colour("scrim"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self.look.colour("line_focus"), 1))
        painter.setBrush(self.look.colour("surface2"))
        painter.drawRoundedRect(self.box.geometry().toRectF().adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.end()
