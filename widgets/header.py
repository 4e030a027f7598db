"""Top of the desk: the band that says whose money and whose market, and the tape with the account's line."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPen, QResizeEvent
from PySide6.QtWidgets import QPushButton

from engine.domain.views import DecisionView, HeaderView, Tick
from widgets import numbers
from widgets.canvas import CENTRE, LEFT, RIGHT, Canvas
from widgets.theme import Look

MARKETS = {
    "SIMULATED": "SIMULATED MARKET",
    "RECORDED": "RECORDED MARKET",
    "REPLAY": "REPLAY OF A RECORDED DAY",
    "LIVE": "LIVE MARKET",
}


class Band(Canvas):
    """Full width, always there: PAPER on quiet stripes, LIVE on an inverse block. They cannot be mistaken."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "band", "Account and market")
        self.view: HeaderView | None = None

    def show_view(self, view: HeaderView) -> None:
        old, self.view = self.view, view
        if old is None or (old.account, old.market, old.now) != (view.account, view.market, view.now):
            self.describe(" · ".join(self.texts()))
            self.update()

    def texts(self) -> tuple[str, str, str]:
        view = self.view
        if view is None:
            return ("NOT CONNECTED", "NOT CONNECTED", "")
        market = MARKETS.get(view.market, f"{view.market} MARKET")
        day = view.now.astimezone(numbers.EXCHANGE)
        speed = "" if view.speed == 1 else f" {view.speed:g}{numbers.TIMES}"
        when = f"{view.market}{speed} {day:%a} {day.day} {day:%b %Y}  {numbers.clock(view.now)} NEW YORK".upper()
        return (f"{view.account} · {market}", view.account, when)

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(400), self.look.px(20))

    def draw(self, painter: QPainter) -> None:
        live = self.view is not None and self.view.account == "LIVE"
        painter.fillRect(self.rect(), self.look.colour("live" if live else "band0"))
        if not live:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self.look.colour("band1"), self.look.px(8)))
            step, tall = self.look.px(26), self.height()
            for x in range(-tall, self.width() + tall, step):
                painter.drawLine(x, tall + 4, x + tall + 8, -4)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        tone = "on_live" if live else "hi"
        room = self.rect().adjusted(self.look.px(12), 0, -self.look.px(12), 0)
        left, middle, right = (_spaced(text) for text in self.texts())
        for text, align in ((left, LEFT), (middle, CENTRE), (right, RIGHT)):
            self.put(painter, room, text, role="label", weight=600, tone=tone, align=align)


def title_of(header: HeaderView | None, tickets: int, held: int, decisions: Sequence[DecisionView]) -> str:
    """The window's title, what a task switcher shows: whose money, what waits, what is held, the newest verdict."""
    parts = [
        "Strikedesk",
        header.account if header else "",
        "HALTED" if header and header.halted else "",
        numbers.count(tickets, "ticket") if tickets else "",
        numbers.count(held, "position") if held else "",
        f"{decisions[0].symbol} {decisions[0].verdict} {decisions[0].score}" if decisions else "",
    ]
    return " · ".join(part for part in parts if part)


def _spaced(text: str) -> str:
    """Hair spaces between capitals: a band is read from across the room."""
    return "\u200a".join(text)


class Header(Canvas):
    """Symbols with their change; clock; day, budget and heat; halt. Items give way from the left block's end.

    Notification `halt_pressed`: the button, which says what it will do.
    """

    halt_pressed = Signal()

    def __init__(self, look: Look) -> None:
        super().__init__(look, "header", "Tape and account")
        self.view: HeaderView | None = None
        self.button = QPushButton("Halt…", self)
        self.button.setObjectName("header.halt")
        self.button.setAccessibleName("Halt trading")
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Space on whatever has the keyboard must never press it
        self.button.setToolTip(
            "Stops entries and cancels working ones; exits go on. Hold its keys, or press and say why."
        )
        self.button.clicked.connect(self.halt_pressed)

    def show_view(self, view: HeaderView) -> None:
        if view == self.view:
            return
        self.view = view
        self.button.setText("Resume…" if view.halted else "Halt…")
        self.button.setAccessibleName("Resume trading" if view.halted else "Halt trading")
        self.describe(
            ", ".join(f"{t.symbol} {numbers.price(t.price)}" for t in view.ticks)
            + f", day {numbers.dollars(view.day_pnl, 2, sign=True)}"
        )
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(600), self.look.px(38))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide, tall = self.look.px(78), self.look.px(25)
        self.button.setGeometry(self.width() - wide - self.look.px(10), (self.height() - tall) // 2, wide, tall)

    def draw(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), self.look.colour("surface1"))
        self.hairline(painter, 0, self.height() - 1, self.width(), self.height() - 1)
        if self.view is None:
            return
        end = self._right(painter, self.view, self.button.x() - self.look.px(16))
        x = self.look.px(12)
        for tick in self.view.ticks:
            x = self._tick(painter, tick, x, end)
        for text, tone in self._clock(self.view):
            wide = self.look.metrics().horizontalAdvance(text)
            if x + wide > end:
                break
            self.put(painter, QRect(x, 0, wide, self.height()), text, tone=tone)
            x += wide + self.look.px(16)

    def _tick(self, painter: QPainter, tick: Tick, x: int, end: int) -> int:
        change = "" if tick.change is None else numbers.change(tick.change, as_percent=True)
        stale = f"{numbers.age(tick.age)} old" if tick.stale else ""
        parts = (
            (tick.symbol, 400, "mid"),
            (numbers.price(tick.price), 600, "low" if tick.stale else "hi"),
            (stale or change, 400, "low" if tick.stale else _tone(tick.change)),
        )
        metrics = [(self.look.metrics("data", weight).horizontalAdvance(text), text) for text, weight, _ in parts]
        total = sum(wide for wide, text in metrics if text) + self.look.px(22)
        if x + total > end:
            return x
        for (text, weight, tone), (wide, _) in zip(parts, metrics, strict=True):
            if text:
                self.put(painter, QRect(x, 0, wide, self.height()), text, weight=weight, tone=tone)
                x += wide + self.look.px(6)
        return x + self.look.px(10)

    def _clock(self, view: HeaderView) -> list[tuple[str, str]]:
        if view.to_close is not None:
            found = [(f"{numbers.span(view.to_close)} to the close", "mid")]
        elif view.to_open is not None:
            found = [(f"closed, opens in {numbers.span(view.to_open)}", "mid")]
        else:
            found = []
        if view.event:
            found.append((view.event, "hi"))
        return found

    def _right(self, painter: QPainter, view: HeaderView, x: int) -> int:
        """From right to left; returns where the left block must end."""
        tall, gap = self.height(), self.look.px(16)

        def back(text: str, weight: int, tone: str, space: int) -> None:
            nonlocal x
            wide = self.look.metrics("data", weight).horizontalAdvance(text)
            self.put(painter, QRect(x - wide, 0, wide, tall), text, weight=weight, tone=tone)
            x -= wide + space

        small = self.look.px(6)
        if view.halted:
            text = f"HALTED by {view.halt_by}: {view.halt_reason}" if view.halt_reason else f"HALTED by {view.halt_by}"
            text = self.look.metrics("data", 600).elidedText(text, Qt.TextElideMode.ElideRight, self.look.px(260))
            wide = self.look.metrics("data", 600).horizontalAdvance(text) + self.look.px(16)
            block = QRect(x - wide, (tall - self.look.px(24)) // 2, wide, self.look.px(24))
            self.block(painter, block, "live", 3)
            self.put(painter, block, text, weight=600, tone="on_live", align=CENTRE)
            x -= wide + gap
        if view.heat is not None:
            back(f"of {numbers.percent(view.heat_limit, 0)}", 400, "low", small)
            back(numbers.percent(view.heat, 1), 600, "hi", small)
            back("Heat", 400, "mid", gap)
        if view.budget is not None and view.budget_used is not None:
            back(f"of {numbers.dollars(view.budget)}", 400, "low", small)
            back(numbers.dollars(view.budget_used), 600, "hi", small)
            track = QRect(x - self.look.px(80), tall // 2 - 4, self.look.px(80), 8)
            self.block(painter, track, "raised")
            used = float(view.budget_used / view.budget) if view.budget else 0.0
            filled = round(max(0.0, min(1.0, used)) * track.width())
            if filled:
                self.block(painter, QRect(track.x(), track.y(), max(2, filled), 8), "bar")
            x = track.x() - small
            back("Day budget used", 400, "mid", gap)
        back(numbers.change(view.day_pnl), 600, _tone(view.day_pnl), small)
        back("Day $", 400, "mid", gap)
        if view.equity is not None:
            back(numbers.dollars(view.equity), 600, "hi", small)
            back("Equity", 400, "mid", gap)
        return x


def _tone(value: object) -> str:
    gain = numbers.gain(value)  # type: ignore[arg-type]
    return "mid" if gain is None else "gain" if gain else "loss"
