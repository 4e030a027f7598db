"""The status bar's lamps: filled works, hollow is not set up, a word in a frame warns, an inverse word is broken."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QToolTip

from engine.domain.views import Lamp, LampState
from widgets.canvas import CENTRE, RIGHT, Canvas
from widgets.theme import Look


class Lamps(Canvas):
    """Notification `pressed`: somebody wants to see more."""

    pressed = Signal()

    def __init__(self, look: Look) -> None:
        super().__init__(look, "lamps", "What works")
        self.lamps: tuple[Lamp, ...] = ()
        self.hint = ""
        self._places: list[tuple[QRect, Lamp]] = []

    def show_lamps(self, lamps: tuple[Lamp, ...]) -> None:
        if lamps != self.lamps:
            self.lamps = lamps
            self.describe(", ".join(f"{lamp.name} {lamp.state.value} {lamp.text}" for lamp in lamps))
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(400), self.look.px(24))

    def draw(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), self.look.colour("surface1"))
        self.hairline(painter, 0, 0, self.width(), 0)
        self._places.clear()
        x, tall = self.look.px(12), self.height()
        order = {LampState.BAD: 0, LampState.WARN: 1, LampState.OK: 2, LampState.OFF: 3}
        for lamp in sorted(self.lamps, key=lambda lamp: order[lamp.state] if order[lamp.state] < 2 else 2):
            text = f"{lamp.name} {lamp.text}".strip()
            wide = self.look.metrics("label").horizontalAdvance(text)
            if x + wide + self.look.px(90) > self.width():
                break
            start = x
            x = self._mark(painter, lamp, x)
            self.put(painter, QRect(x, 0, wide, tall), text, role="label", tone="hi" if _loud(lamp) else "mid")
            x += wide + self.look.px(16)
            self._places.append((QRect(start, 0, x - start, tall), lamp))
        wide = self.look.metrics("label").horizontalAdvance(self.hint)
        if x + wide < self.width() - self.look.px(12):
            room = QRect(self.width() - wide - self.look.px(12), 0, wide, tall)
            self.put(painter, room, self.hint, role="label", tone="low", align=RIGHT)

    def _mark(self, painter: QPainter, lamp: Lamp, x: int) -> int:
        middle, size = self.height() // 2, self.look.px(7)
        if _loud(lamp):
            bad = lamp.state is LampState.BAD
            word = "DOWN" if bad else "WARN"
            wide = self.look.metrics("label", 600).horizontalAdvance(word) + self.look.px(10)
            box = QRect(x, middle - self.look.px(8), wide, self.look.px(16))
            if bad:
                self.block(painter, box, "live", 2)
            else:
                self.outline(painter, box, "hi", 2)
            self.put(painter, box, word, role="label", weight=600, tone="on_live" if bad else "hi", align=CENTRE)
            return x + wide + self.look.px(6)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dot = QRect(x, middle - size // 2, size, size)
        if lamp.state is LampState.OK:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.look.colour("mid"))
        else:
            painter.setPen(QPen(self.look.colour("low"), 1.3))
            painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(dot)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        return x + size + self.look.px(6)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.pressed.emit()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            for place, lamp in self._places:
                if place.contains(event.pos()):
                    QToolTip.showText(event.globalPos(), "\n".join(p for p in (lamp.detail, lamp.todo) if p), self)
                    return True
        return super().event(event)


def _loud(lamp: Lamp) -> bool:
    return lamp.state in (LampState.WARN, LampState.BAD)
