"""Ground of everything that is painted by hand: text that knows when it was cut, and one way to look stale.

Panels build on `Canvas`; `widgets.table` shares `cut_text`. It never keeps a view, only what its subclass draws.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from widgets.theme import Look

LEFT = Qt.AlignmentFlag.AlignLeft
RIGHT = Qt.AlignmentFlag.AlignRight
CENTRE = Qt.AlignmentFlag.AlignHCenter
MIDDLE = Qt.AlignmentFlag.AlignVCenter
DIMMED = frozenset({"hi", "mid", "gain", "loss", "bar", "focus"})


class Canvas(QWidget):
    """A painted widget.

    Attributes:
        cut: texts that did not fit at the last paint; the tests keep it empty.
        dim: stale values stay readable but lose strength and colour.
    """

    def __init__(self, look: Look, name: str, label: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.look = look
        self.setObjectName(name)
        self.setAccessibleName(label)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.cut: list[str] = []
        self._dim = False
        look.changed.connect(self._look_changed)

    @property
    def dim(self) -> bool:
        return self._dim

    @dim.setter
    def dim(self, value: bool) -> None:
        if value != self._dim:
            self._dim = value
            self.update()

    def _look_changed(self) -> None:
        self.updateGeometry()
        self.update()

    def ink(self, tone: str) -> QColor:
        return self.look.colour("low" if self._dim and tone in DIMMED else tone)

    def describe(self, text: str) -> None:
        """What a screen reader says of the picture."""
        if text != self.accessibleDescription():
            self.setAccessibleDescription(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(80), self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        self.cut.clear()
        painter = QPainter(self)
        try:
            self.draw(painter)
        finally:
            painter.end()

    def draw(self, painter: QPainter) -> None:
        """Paint everything; the painter is open and at (0, 0)."""

    def put(
        self,
        painter: QPainter,
        rect: QRect,
        text: str,
        *,
        role: str = "data",
        weight: int = 400,
        tone: str = "hi",
        align: Qt.AlignmentFlag = LEFT,
        elide: bool = False,
    ) -> int:
        """One line of text in `rect`, vertically centred. Returns its width in pixels."""
        metrics = self.look.metrics(role, weight)
        width = metrics.horizontalAdvance(text)
        if width > rect.width() + 1:
            if elide:
                text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
            else:
                self.cut.append(text)
        painter.setFont(self.look.font(role, weight))
        painter.setPen(self.ink(tone))
        painter.drawText(rect, align | MIDDLE | Qt.TextFlag.TextSingleLine, text)
        return width

    def hairline(self, painter: QPainter, x1: int, y1: int, x2: int, y2: int, tone: str = "line") -> None:
        pen = QPen(self.look.colour(tone), 1)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawLine(x1, y1, x2, y2)

    def block(self, painter: QPainter, rect: QRect | QRectF, tone: str, radius: float = 2) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.ink(tone))
        painter.drawRoundedRect(rect, radius, radius)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def outline(self, painter: QPainter, rect: QRect, tone: str = "line", radius: float = 3) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self.look.colour(tone), 1))
        painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def chip(self, painter: QPainter, x: int, middle: int, text: str, tone: str = "mid") -> int:
        """An outlined word; returns its width with the gap after it."""
        metrics = self.look.metrics("label", 500)
        width, height = metrics.horizontalAdvance(text) + self.look.px(10), self.look.px(17)
        rect = QRect(x, middle - height // 2, width, height)
        if rect.right() > self.width():
            self.cut.append(text)
        self.outline(painter, rect, "line_focus")
        self.put(painter, rect, text, role="label", weight=500, tone=tone, align=CENTRE)
        return width + self.look.px(6)


class Pairs(Canvas):
    """Names and values in fixed places: nothing moves when a figure changes.

    `columns` side by side; a value that is `None` tone is plain, True gains, False loses.
    """

    def __init__(self, look: Look, name: str, label: str, columns: int = 2) -> None:
        super().__init__(look, name, label)
        self.columns = columns
        self.pairs: tuple[tuple[str, str, bool | None], ...] = ()

    def show_pairs(self, pairs: tuple[tuple[str, str, bool | None], ...]) -> None:
        if pairs != self.pairs:
            grown = len(pairs) != len(self.pairs)
            self.pairs = pairs
            self.describe(", ".join(f"{name} {value}" for name, value, _ in pairs))
            if grown:
                self.updateGeometry()
            self.update()

    def text_of(self, name: str) -> str:
        """The value shown under `name`."""
        return next(value for known, value, _ in self.pairs if known == name)

    def sizeHint(self) -> QSize:
        rows = -(-len(self.pairs) // self.columns)
        return QSize(self.look.px(200), rows * self.look.px(20) + self.look.px(10))

    def draw(self, painter: QPainter) -> None:
        pad, gap, row = self.look.px(10), self.look.px(16), self.look.px(20)
        each = (self.width() - 2 * pad - gap * (self.columns - 1)) // self.columns
        for place, (name, value, gain) in enumerate(self.pairs):
            x = pad + place % self.columns * (each + gap)
            y = self.look.px(5) + place // self.columns * row
            used = self.put(painter, QRect(x, y, each, row), name, role="label", tone="low")
            room = QRect(x + used + self.look.px(6), y, each - used - self.look.px(6), row)
            tone = "hi" if gain is None else "gain" if gain else "loss"
            self.put(painter, room, value, weight=600, tone=tone, align=RIGHT)


Line = tuple[str, str, int]
"""Text, tone, weight."""


class Prose(Canvas):
    """A few wrapped lines in the label font, each with its tone: reasons, notes, footnotes."""

    def __init__(self, look: Look, name: str, label: str) -> None:
        super().__init__(look, name, label)
        self.lines: tuple[Line, ...] = ()

    def show_lines(self, lines: tuple[Line, ...]) -> None:
        if lines != self.lines:
            self.lines = lines
            self.describe(" ".join(text for text, _, _ in lines))
            self.setVisible(bool(lines))
            self._grow()
            self.update()

    @property
    def text(self) -> str:
        return "\n".join(text for text, _, _ in self.lines)

    def _heights(self, width: int) -> list[int]:
        room = QRect(0, 0, max(10, width - 2 * self.look.px(10)), 10_000)
        flags = int(LEFT | Qt.AlignmentFlag.AlignTop) | int(Qt.TextFlag.TextWordWrap)
        return [
            self.look.metrics("label", weight).boundingRect(room, flags, text).height() + self.look.px(2)
            for text, _, weight in self.lines
        ]

    def _needed(self, width: int) -> int:
        return sum(self._heights(width)) + self.look.px(6) if self.lines else 0

    def _grow(self) -> None:
        """Height follows width by hand: layouts inside scroll areas ask for it too late."""
        self.setFixedHeight(self._needed(self.width()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._grow()

    def _look_changed(self) -> None:
        super()._look_changed()
        self._grow()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(160), self._needed(self.width()))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(80), self._needed(self.width()))

    def draw(self, painter: QPainter) -> None:
        pad, y = self.look.px(10), self.look.px(3)
        for (text, tone, weight), tall in zip(self.lines, self._heights(self.width()), strict=True):
            painter.setFont(self.look.font("label", weight))
            painter.setPen(self.ink(tone))
            room = QRect(pad, y, self.width() - 2 * pad, tall)
            painter.drawText(room, int(LEFT | Qt.AlignmentFlag.AlignTop) | int(Qt.TextFlag.TextWordWrap), text)
            y += tall
