"""One line under the header while the ledger does not keep up: since when, what waits, what goes on, what is refused.

It takes its own room and gives it back; nothing is laid over the panels. Text and paint only.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Signal
from PySide6.QtGui import QMouseEvent, QPainter

from engine.domain.views import Outage
from widgets import numbers
from widgets.canvas import CENTRE, Canvas
from widgets.theme import Look


def outage_words(outage: Outage) -> str:
    """`the ledger does not keep up since 14:02:11 (2 m) · 1,204 facts wait, safe on this disk · exits go on · …`."""
    wait = "waits" if outage.facts == 1 else "wait"
    waiting = f"{numbers.count(outage.facts, 'fact')} {wait}, safe on this disk" if outage.facts else ""
    since = f"the ledger does not keep up since {numbers.clock(outage.since)} ({numbers.age(outage.lasts)})"
    return " · ".join(part for part in (since, waiting, outage.goes_on, outage.stops) if part)


class OutageStrip(Canvas):
    """Hidden while all is well. Notification `pressed`: somebody wants to see more."""

    pressed = Signal()

    def __init__(self, look: Look) -> None:
        super().__init__(look, "outage", "The ledger does not keep up")
        self.outage: Outage | None = None
        self.hide()

    def show_outage(self, outage: Outage | None) -> None:
        if outage == self.outage:
            return
        self.outage = outage
        if outage is not None:
            words = outage_words(outage)
            self.describe(f"{outage.word}: {words}")
            self.setToolTip("\n".join(part for part in (words, outage.reason) if part))
        self.setVisible(outage is not None)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(400), self.look.px(30))

    def draw(self, painter: QPainter) -> None:
        outage = self.outage
        if outage is None:
            return
        tall, pad = self.height(), self.look.px(12)
        painter.fillRect(self.rect(), self.look.colour("raised"))
        wide = self.look.metrics("data", 600).horizontalAdvance(outage.word) + self.look.px(16)
        box = QRect(pad, (tall - self.look.px(20)) // 2, wide, self.look.px(20))
        if outage.grave:
            self.block(painter, box, "live", 3)
        else:
            self.outline(painter, box, "hi", 3)
        self.put(painter, box, outage.word, weight=600, tone="on_live" if outage.grave else "hi", align=CENTRE)
        left = box.right() + pad
        self.put(painter, QRect(left, 0, self.width() - left - pad, tall), outage_words(outage), weight=500, elide=True)
        self.hairline(painter, 0, tall - 1, self.width(), tall - 1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.pressed.emit()
