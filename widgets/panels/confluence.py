"""The board: symbol × timeframe, what stands there and how long it still counts; phase and trend; what is within reach."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QHelpEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QScrollArea, QToolTip

from engine.domain.values import Bias, Direction, Quality, Timeframe
from engine.domain.views import ConfluenceCell, ConfluenceRow, ConfluenceView
from widgets import numbers
from widgets.canvas import CENTRE, RIGHT, Canvas
from widgets.states import Panel
from widgets.theme import Look

SHORT_QUALITY = {Quality.MEDIUM: "MED", Quality.HIGH: "HIGH", Quality.EXTREME: "EXT"}


def compact(seconds: float) -> str:
    """What is left of a cell's life, short enough for the cell: `3.9 h`, `41 m`, `50 s`."""
    if seconds >= 5940:
        return f"{seconds / 3600:.1f}{numbers.NARROW}h"
    if seconds >= 60:
        return f"{int(seconds // 60)}{numbers.NARROW}m"
    return f"{int(seconds)}{numbers.NARROW}s"


class Board(Canvas):
    """The painted grid. Notification `chosen`: a symbol."""

    chosen = Signal(str)

    def __init__(self, look: Look) -> None:
        super().__init__(look, "confluence.board", "Confluence by symbol and timeframe")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.rows: tuple[ConfluenceRow, ...] = ()
        self.enough = 60
        self.symbol = ""

    def show_rows(self, rows: tuple[ConfluenceRow, ...], enough: int) -> None:
        if rows == self.rows and enough == self.enough:
            return
        self.enough = enough
        if len(rows) != len(self.rows):
            self.rows = rows
            self.updateGeometry()
        self.rows = rows
        self.describe("; ".join(f"{r.symbol} {r.score} {r.leaning or 'no side'}" for r in rows))
        self.update()

    def choose(self, symbol: str) -> None:
        if symbol != self.symbol and (not symbol or any(row.symbol == symbol for row in self.rows)):
            self.symbol = symbol
            self.update()

    # geometry, in one place

    @property
    def _head(self) -> int:
        return self.look.px(36)

    @property
    def _block(self) -> int:
        return self.look.px(60)

    def _cell(self, row: int, place: int) -> QRect:
        left, right = self.look.px(50), self.look.px(64)
        each = (self.width() - left - right) // 6
        y = self._head + row * self._block
        return QRect(left + place * each + 1, y + 1, each - self.look.px(3), self.look.px(38))

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(340), self._head + max(1, len(self.rows)) * self._block)

    # painting

    def draw(self, painter: QPainter) -> None:
        pad, half = self.look.px(8), self._head // 2
        weights = {cell.timeframe: cell.weight for row in self.rows[:1] for cell in row.cells}
        for place, timeframe in enumerate(Timeframe):
            box = self._cell(0, place)
            upper, lower = QRect(box.x(), 2, box.width(), half - 2), QRect(box.x(), half, box.width(), half - 2)
            self.put(painter, upper, timeframe.label, role="label", weight=500, tone="mid", align=CENTRE)
            self.put(painter, lower, str(weights.get(timeframe, "")), role="label", tone="low", align=CENTRE)
        edge = self.width() - pad
        self.put(painter, QRect(edge - 60, 2, 60, half - 2), "Score", role="label", weight=500, tone="mid", align=RIGHT)
        self.put(painter, QRect(edge - 60, half, 60, half - 2), "of 100", role="label", tone="low", align=RIGHT)
        for number, row in enumerate(self.rows):
            self._row(painter, number, row)

    def _row(self, painter: QPainter, number: int, row: ConfluenceRow) -> None:
        pad, top = self.look.px(8), self._head + number * self._block
        if row.symbol == self.symbol:
            painter.fillRect(QRect(0, top - 1, self.width(), self._block - 2), self.look.colour("selected"))
            mark = self.look.colour("focus" if self.hasFocus() else "line_focus")
            painter.fillRect(QRect(0, top - 1, self.look.px(2), self._block - 2), mark)
        tall = self.look.px(38)
        self.put(painter, QRect(pad, top, self.look.px(38), tall), row.symbol, weight=600)
        for place, cell in enumerate(row.cells):
            self._draw_cell(painter, self._cell(number, place), cell)
        edge = self.width() - pad
        side = row.leaning
        score = QRect(edge - self.look.px(52), top, self.look.px(52), self.look.px(24))
        text = f"{row.score} {numbers.UP if side is Direction.LONG else numbers.DOWN}" if side else numbers.NONE
        tone = "low" if side is None else "gain" if side is Direction.LONG else "loss"
        self.put(painter, score, text, role="title", weight=600, tone=tone, align=RIGHT)
        track = QRect(edge - self.look.px(44), top + self.look.px(26), self.look.px(44), self.look.px(3))
        painter.fillRect(track, self.look.colour("line"))
        painter.fillRect(QRect(track.x(), track.y(), track.width() * row.score // 100, track.height()), self.ink("bar"))
        tick = track.x() + track.width() * self.enough // 100
        painter.fillRect(QRect(tick, track.y() - 2, 1, track.height() + 4), self.ink("hi"))
        line = QRect(pad, top + self.look.px(39), self.width() - 2 * pad, self.look.px(17))
        self.put(painter, line, context(row), role="label", tone="low", elide=True)

    def _draw_cell(self, painter: QPainter, box: QRect, cell: ConfluenceCell) -> None:
        if cell.direction is None or cell.quality is None:
            self.block(painter, box, "surface2", 3)
            self.put(painter, box, numbers.NONE, role="label", tone="faint", align=CENTRE)
            return
        long = cell.direction is Direction.LONG
        self.block(painter, box, "surface2" if self.dim else "gain_wash" if long else "loss_wash", 3)
        third = self.look.px(17)
        text = f"{numbers.UP if long else numbers.DOWN}\u2009{SHORT_QUALITY[cell.quality]}"
        upper = QRect(box.x(), box.y() + 1, box.width(), third)
        self.put(painter, upper, text, role="label", weight=500, tone="gain" if long else "loss", align=CENTRE)
        lower = QRect(box.x(), box.y() + third - 1, box.width(), third)
        self.put(painter, lower, compact(cell.seconds), role="label", tone="mid", align=CENTRE)
        track = QRect(box.x() + 4, box.bottom() - self.look.px(3), box.width() - 8, self.look.px(2))
        painter.fillRect(track, self.look.colour("line"))
        left = QRect(track.x(), track.y(), round(track.width() * max(0.0, min(1.0, cell.left))), track.height())
        painter.fillRect(left, self.ink("mid"))

    # hands

    def step(self, by: int) -> None:
        symbols = [row.symbol for row in self.rows]
        if symbols:
            here = symbols.index(self.symbol) + by if self.symbol in symbols else 0
            self._pick(symbols[max(0, min(len(symbols) - 1, here))])

    def _pick(self, symbol: str) -> None:
        self.symbol = symbol
        self.update()
        self.chosen.emit(symbol)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        number = (int(event.position().y()) - self._head) // self._block
        if 0 <= number < len(self.rows):
            self._pick(self.rows[number].symbol)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            spot = event.pos()
            for number, row in enumerate(self.rows):
                for place, cell in enumerate(row.cells):
                    if self._cell(number, place).contains(spot):
                        QToolTip.showText(event.globalPos(), explain(row, cell), self)
                        return True
        return super().event(event)


def context(row: ConfluenceRow) -> str:
    """The line under a symbol: guard first, then what is missing, trend, phase."""
    parts = [row.guard] if row.guard else []
    if row.missing:
        parts.append(row.missing)
    if row.blocked:
        parts.append(row.blocked)
    if row.trend:
        side = {Bias.LONG: " long", Bias.SHORT: " short"}.get(row.trend_bias or Bias.NEUTRAL, "")
        parts.append(f"Trend {row.trend} {row.trend_count}{side}")
    if row.phase:
        score = "" if row.phase_score is None else f" {row.phase_score:.0f}"
        parts.append(f"Phase {row.phase.replace('_', ' ')}{score}")
    return " · ".join(parts) or "No signal, no trend, no phase is active"


def explain(row: ConfluenceRow, cell: ConfluenceCell) -> str:
    """The tooltip of a cell."""
    if cell.direction is None or cell.quality is None:
        return f"{row.symbol} {cell.timeframe.label}: nothing active"
    ai = "" if cell.ai_score is None else f", AI score {cell.ai_score:.1f}"
    return (
        f"{row.symbol} {cell.timeframe.label}: {cell.direction} {cell.quality}{ai}\n"
        f"counts for another {numbers.span(cell.seconds)} ({cell.left:.0%} of its life)"
    )


class ConfluencePanel(Panel):
    id = "confluence"
    title = "Confluence"
    buttons = {"panel.welcome": "Show the steps", "welcome.test": "Send two test alerts"}  # noqa: RUF012

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.board = Board(look)
        self.area = QScrollArea()
        self.area.setObjectName("confluence.area")
        self.area.setAccessibleName(self.title)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(self.board)
        self.area.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.box.addWidget(self.area)
        self.board.chosen.connect(self.symbol_chosen)

    def show_view(self, view: ConfluenceView) -> None:
        self.board.show_rows(view.rows, view.enough)
        self.show_face(view.face, bool(view.rows))
        reach = " · ".join(f"{row.symbol} {row.reachable}" for row in view.rows[:4])
        self.summarise(f"within reach {reach}" if reach else "")

    def follow(self, symbol: str) -> None:
        self.board.choose(symbol)

    def step(self, by: int) -> None:
        self.board.step(by)

    def why_current(self) -> None:
        if self.board.symbol:
            self.why_asked.emit(self.board.symbol, None)

    open_current = why_current

    def focus_first(self) -> None:
        if not self.board.symbol:
            self.board.step(0)
        self.board.setFocus(Qt.FocusReason.ShortcutFocusReason)
