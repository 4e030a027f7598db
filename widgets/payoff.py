"""The payoff of one ticket: at expiry (solid) and now (dashed) over the underlying, with spot, break-even and one σ."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy

from engine.domain.views import PayoffPoint, TicketView
from widgets import numbers
from widgets.canvas import CENTRE, LEFT, RIGHT, Canvas
from widgets.theme import Look

Place = Callable[[float], float]
"""Where a value stands, pixels."""


class Payoff(Canvas):
    def __init__(self, look: Look) -> None:
        super().__init__(look, "approvals.payoff", "Payoff")
        self.ticket: TicketView | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMaximumHeight(look.px(230))

    def show_ticket(self, ticket: TicketView) -> None:
        old, self.ticket = self.ticket, ticket
        if old is None or (old.payoff, old.spot, old.expected_move) != (
            ticket.payoff, ticket.spot, ticket.expected_move,
        ):  # fmt: skip
            self.describe(
                f"most that can be lost {numbers.dollars(self._worst())}, break-even {numbers.price(ticket.break_even)}"
            )
            self.update()

    def _worst(self) -> float:
        return min((point.expiry for point in self.ticket.payoff), default=0.0) if self.ticket else 0.0

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(160), self.look.px(74))

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(240), self.look.px(140))

    def draw(self, painter: QPainter) -> None:
        ticket = self.ticket
        if ticket is None or len(ticket.payoff) < 2:
            return
        points, line = ticket.payoff, self.look.px(16)
        pad = self.look.px(10)
        plot = QRect(pad, line + 4, self.width() - 2 * pad, self.height() - 2 * line - 8)
        low, high = points[0].spot, points[-1].spot
        values = [value for p in points for value in (p.expiry, p.now) if value is not None]
        bottom, top = min(values), max(values)
        room = (top - bottom) or 1.0
        bottom, top = bottom - room * 0.06, top + room * 0.04

        def x(spot: float) -> float:
            return plot.x() + (spot - low) / (high - low) * plot.width()

        def y(value: float) -> float:
            return plot.bottom() - (value - bottom) / (top - bottom) * plot.height()

        spot = float(ticket.spot) if ticket.spot is not None else None
        if spot is not None and ticket.expected_move:
            left, right = max(low, spot - ticket.expected_move), min(high, spot + ticket.expected_move)
            painter.fillRect(
                QRect(round(x(left)), plot.y(), round(x(right) - x(left)), plot.height()), self.look.colour("surface2")
            )
        self.hairline(painter, plot.x(), round(y(0)), plot.right(), round(y(0)), "line_focus")
        if spot is not None and low <= spot <= high:
            painter.setPen(QPen(self.look.colour("low"), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(x(spot), plot.y()), QPointF(x(spot), plot.bottom()))
        self._curve(painter, points, x, y)
        self._words(painter, ticket, plot, line, x, low, high)

    def _curve(self, painter: QPainter, points: tuple[PayoffPoint, ...], x: Place, y: Place) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        now = [QPointF(x(p.spot), y(p.now)) for p in points if p.now is not None]
        if len(now) > 1:
            painter.setPen(QPen(self.ink("mid"), 1, Qt.PenStyle.DashLine))
            painter.drawPolyline(QPolygonF(now))
        painter.setPen(QPen(self.ink("hi"), 1.6))
        painter.drawPolyline(QPolygonF([QPointF(x(p.spot), y(p.expiry)) for p in points]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _words(
        self, painter: QPainter, ticket: TicketView, plot: QRect, line: int, x: Place, low: float, high: float
    ) -> None:
        head = QRect(plot.x(), 0, plot.width(), line)
        said = "at expiry (solid), now (dashed)" if ticket.payoff[0].now is not None else "at expiry"
        sigma = " · ±1σ shaded" if ticket.expected_move else ""
        self.put(painter, head, f"{said}{sigma}", role="label", tone="low")
        best = ticket.payoff[-1] if ticket.payoff[-1].expiry >= ticket.payoff[0].expiry else ticket.payoff[0]
        text = f"{numbers.dollars(best.expiry, sign=True)} at {numbers.price(round(best.spot, 2))}"
        self.put(painter, head, text, role="label", tone="gain" if best.expiry > 0 else "loss", align=RIGHT)
        foot = QRect(plot.x(), plot.bottom() + 2, plot.width(), line)
        worst = numbers.dollars(self._worst(), sign=True)
        self.put(painter, foot, f"{worst} at worst", role="label", tone="loss", align=LEFT)
        if ticket.break_even is not None and low <= float(ticket.break_even) <= high:
            middle = round(x(float(ticket.break_even)))
            text = f"break-even {numbers.price(ticket.break_even)}"
            wide = self.look.metrics("label").horizontalAdvance(text) + 2
            at = max(foot.x() + self.look.px(110), min(middle - wide // 2, foot.right() - wide))
            self.put(painter, QRect(at, foot.y(), wide, line), text, role="label", tone="mid", align=CENTRE)
            self.hairline(painter, middle, plot.bottom() - 4, middle, plot.bottom(), "hi")
