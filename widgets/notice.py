"""One line that says what a key did, or why it did not: over the lamps, for a few seconds, never in the way of a hand."""

from __future__ import annotations

from PySide6.QtCore import QElapsedTimer, QRect, QSize, Qt, QTimer
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QWidget

from widgets.canvas import CENTRE, Canvas
from widgets.theme import Look

STAYS_MS = 6000


class Notice(Canvas):
    """Attributes: text, what it says now."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(look, "notice", "Notice")
        self.setParent(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.text = ""
        self._loud = False
        self._hold_ms = 0
        self._held = QElapsedTimer()
        self._gone = QTimer(self)
        self._gone.setSingleShot(True)
        self._gone.timeout.connect(self.clear)
        self._frame = QTimer(self)
        self._frame.setInterval(33)
        self._frame.timeout.connect(self.update)
        self.hide()

    def say(self, text: str, stays: int = STAYS_MS, *, loud: bool = False) -> None:
        self._end_hold()
        self._show(text, loud)
        self._gone.start(stays)

    def hold(self, text: str, milliseconds: int) -> None:
        """While a dangerous key is held: what will be sent, and how long still."""
        self._show(text, True)
        self._gone.stop()
        self._hold_ms = milliseconds
        self._held.start()
        if not self.look.reduced_motion:
            self._frame.start()

    def clear(self) -> None:
        self._end_hold()
        self._gone.stop()
        self.text = ""
        self.hide()

    def _end_hold(self) -> None:
        self._hold_ms = 0
        self._frame.stop()

    def _show(self, text: str, loud: bool) -> None:
        self.text, self._loud = text, loud
        self.describe(text)
        self.place()
        self.show()
        self.raise_()
        self.update()

    def place(self) -> None:
        parent = self.parentWidget()
        if parent is None or not self.text:
            return
        wide = min(parent.width() - 40, self.look.metrics("data", 600).horizontalAdvance(self.text) + self.look.px(40))
        tall = self.look.px(32)
        self.setGeometry((parent.width() - wide) // 2, parent.height() - tall - self.look.px(30), wide, tall)

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(300), self.look.px(32))

    def draw(self, painter: QPainter) -> None:
        box = self.rect()
        self.block(painter, box, "live" if self._loud else "raised", 4)
        if not self._loud:
            self.outline(painter, box, "line_focus", 4)
        room = box.adjusted(self.look.px(12), 0, -self.look.px(12), 0)
        tone = "on_live" if self._loud else "hi"
        self.put(painter, room, self.text, weight=600, tone=tone, align=CENTRE, elide=True)
        if self._hold_ms:
            done = min(1.0, self._held.elapsed() / self._hold_ms)
            track = QRect(4, box.bottom() - 4, round((box.width() - 8) * done), 3)
            painter.fillRect(track, self.look.colour("on_live"))
