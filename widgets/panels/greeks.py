"""The whole book: each figure against its limit, and the same by symbol. Units are in the names."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize
from PySide6.QtGui import QHelpEvent, QPainter
from PySide6.QtWidgets import QToolTip

from engine.domain.views import Gauge, GreeksView, SymbolGreeks
from widgets import numbers
from widgets.canvas import LEFT, RIGHT, Canvas, Prose
from widgets.states import Panel
from widgets.table import Column, TableModel, TableView
from widgets.theme import Look

NEAR = 0.8
"""From this share of a limit the figure is said to be near it."""


def gauge_text(gauge: Gauge) -> str:
    if gauge.unit == "%":
        return numbers.percent(gauge.value, gauge.decimals)
    if gauge.unit == "$":
        return numbers.dollars(gauge.value, gauge.decimals)
    return numbers.plain(gauge.value, gauge.decimals)


def limit_text(gauge: Gauge) -> str:
    if gauge.limit is None:
        return ""
    if gauge.unit == "%":
        return numbers.percent(gauge.limit, gauge.decimals)
    return numbers.plain(gauge.limit, gauge.decimals)


class Gauges(Canvas):
    def __init__(self, look: Look) -> None:
        super().__init__(look, "greeks.gauges", "Book against its limits")
        self.gauges: tuple[Gauge, ...] = ()

    def show_gauges(self, gauges: tuple[Gauge, ...]) -> None:
        if gauges != self.gauges:
            grown = len(gauges) != len(self.gauges)
            self.gauges = gauges
            self.describe(", ".join(f"{g.name} {gauge_text(g)} of {limit_text(g) or 'no limit'}" for g in gauges))
            if grown:
                self.updateGeometry()
            self.update()

    @property
    def _row(self) -> int:
        return self.look.px(22)

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(220), len(self.gauges) * self._row + self.look.px(8))

    def draw(self, painter: QPainter) -> None:
        pad, row, top = self.look.px(10), self._row, self.look.px(4)
        names, values, limits = self.look.px(112), self.look.px(78), self.look.px(74)
        left = pad + names
        width = max(self.look.px(20), self.width() - 2 * pad - names - values - limits)
        for number, gauge in enumerate(self.gauges):
            y = top + number * row
            self.put(painter, QRect(pad, y, names, row), gauge.name, role="label", tone="mid")
            fraction = gauge.fraction
            if gauge.limit is not None:
                self.block(painter, QRect(left, y + row // 2 - 3, width, 6), "raised")
                filled = round(min(1.0, fraction or 0.0) * width)
                if filled:
                    near = fraction is not None and fraction >= NEAR
                    self.block(painter, QRect(left, y + row // 2 - 3, max(2, filled), 6), "hi" if near else "bar")
            at = left + width
            value, over = QRect(at, y, values, row), fraction is not None and fraction >= 1
            tone = "low" if gauge.value is None else "hi"
            self.put(painter, value, gauge_text(gauge), weight=600, tone=tone, align=RIGHT)
            limit = QRect(at + values, y, limits, row)
            text = f"OVER {limit_text(gauge)}" if over else limit_text(gauge)
            self.put(painter, limit, text, role="label", tone="hi" if over else "low", align=RIGHT)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            number = (event.pos().y() - self.look.px(4)) // self._row
            if 0 <= number < len(self.gauges) and self.gauges[number].help:
                QToolTip.showText(event.globalPos(), self.gauges[number].help, self)
                return True
        return super().event(event)


COLUMNS = (
    Column[SymbolGreeks]("Symbol", lambda r: r.symbol, "GOOGL", LEFT, weight=600, stretch=True, sort=lambda r: r.symbol),
    Column[SymbolGreeks]("Δ $", lambda r: numbers.plain(r.delta_dollars, 0), "−1,000,000", tone="mid",
                         help="Dollars of the underlying", sort=lambda r: r.delta_dollars),
    Column[SymbolGreeks]("Γ $ / 1 %", lambda r: numbers.plain(r.gamma_dollars, 0), "−100,000", tone="mid", drop=2,
                         help="Change of delta dollars for 1 % of the underlying", sort=lambda r: r.gamma_dollars),
    Column[SymbolGreeks]("Θ close", lambda r: numbers.plain(r.theta, 0), "−1,000", tone="mid", drop=1, help="Dollars to the close",
                         sort=lambda r: r.theta),
    Column[SymbolGreeks]("Vega", lambda r: numbers.plain(r.vega, 0), "1,000", tone="mid", drop=3,
                         help="Dollars per vol point", sort=lambda r: r.vega),
    Column[SymbolGreeks]("P&L $", lambda r: numbers.change(r.pnl, 0), "▲ +10,000",
                         tone=lambda r: "gain" if r.pnl > 0 else "loss" if r.pnl < 0 else "mid", weight=500,
                         help="Unrealised, dollars", sort=lambda r: r.pnl,
                         spoken=lambda r: numbers.spoken(r.pnl, "dollars")),
)  # fmt: skip


class GreeksPanel(Panel):
    id = "greeks"
    title = "Greeks"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.gauges = Gauges(look)
        self.model = TableModel[SymbolGreeks](COLUMNS, lambda row: row.symbol)
        self.view = TableView[SymbolGreeks](look, self.model, "greeks.table", "Greeks by symbol")
        self.view.setMinimumHeight(1)
        self.box.addWidget(self.gauges)
        self.box.addWidget(self.view, 1)
        self.by = Prose(look, "greeks.by", "Where the Greeks are from")
        self.box.addWidget(self.by)
        self.content.setFocusProxy(self.view)
        self.view.chosen.connect(lambda row: self.symbol_chosen.emit(row.symbol) if row else None)

    def show_view(self, view: GreeksView) -> None:
        self.gauges.show_gauges(view.gauges)
        self.model.flush(view.symbols)
        self.show_face(view.face, bool(view.gauges))
        used = [(g.fraction, g.name) for g in view.gauges if g.fraction is not None]
        most = max(used, default=None)
        self.summarise(f"most used: {most[1]} {numbers.percent(most[0], 0)}" if most else "book, against limits")
        by = f"mid {numbers.age(view.age)} · {view.greeks_by}" if view.greeks_by else ""
        self.by.show_lines(((by, "low", 400),) if by else ())

    def step(self, by: int) -> None:
        self.view.step(by)
