"""The option chain: strikes down the middle, calls left and puts right, the money between two lines of them.

It shows one expiry of one symbol. Which one is the trader's choice, kept here as `asked`; `app` looks and brings the view. Enter asks for a
ticket of the chosen side, Space says why a vol is missing or a quote is odd.
"""

from __future__ import annotations

from datetime import date

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent

from engine.domain.views import ChainExpiry, ChainRow, ChainSide, ChainView
from widgets import numbers
from widgets.canvas import CENTRE, Canvas
from widgets.panels.chain_columns import CALL, COLUMNS, NOT_TOLD, PUT, STRIKE, reasons
from widgets.states import Panel
from widgets.table import TableModel, TableView
from widgets.theme import Look


class ChainTable(TableView[ChainRow]):
    """The table with the money's line over it, and the side that Enter would take."""

    spread = True

    def __init__(self, look: Look, model: TableModel[ChainRow]) -> None:
        super().__init__(look, model, "chain.table", "Option chain")
        self.side = CALL
        self.money: float | None = None
        self.setVerticalScrollMode(self.ScrollMode.ScrollPerItem)

    def set_side(self, side: str) -> None:
        if side != self.side:
            self.side = side
            self.viewport().update()

    def set_money(self, money: float | None) -> None:
        if money != self.money:
            self.money = money
            self.viewport().update()

    def line(self) -> int | None:
        """Where the money's line is, pixels from the top; None without one in the listed strikes."""
        rows = self.table.rows
        if self.money is None or not rows or not float(rows[0].strike) <= self.money <= float(rows[-1].strike):
            return None
        number = next((n for n, row in enumerate(rows) if float(row.strike) > self.money), len(rows) - 1)
        return self.rowViewportPosition(number)

    def centre(self) -> None:
        """Bring the money to the middle of the panel, and choose the strike nearest to it."""
        rows = self.table.rows
        number = next((n for n, row in enumerate(rows) if row.nearest), None)
        if number is not None:
            self.selectRow(number)
            self.scrollTo(self.table.index(number, STRIKE), self.ScrollHint.PositionAtCenter)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        try:
            y = self.line()
            if y is not None:
                painter.fillRect(QRect(0, y, self.viewport().width(), 1), self.look.colour("mid"))
            self._draw_side(painter)
        finally:
            painter.end()

    def _draw_side(self, painter: QPainter) -> None:
        """A bar under the quote that Enter would take."""
        index = self.currentIndex()
        if not self._selected(index):
            return
        first = STRIKE - 3 if self.side == CALL else STRIKE + 1
        left = self.columnViewportPosition(first)
        right = self.columnViewportPosition(first + 2) + self.columnWidth(first + 2)
        bottom = self.rowViewportPosition(index.row()) + self.rowHeight(index.row())
        thick = self.look.px(2)
        painter.fillRect(QRect(left + 4, bottom - thick, right - left - 8, thick), self.look.colour("focus" if self.hasFocus() else "line_focus"))  # fmt: skip


class ChainHead(Canvas):
    """The expiries to choose from, and the expiry's own figures. Notification `picked`: an expiry was clicked."""

    picked = Signal(object)

    def __init__(self, look: Look) -> None:
        super().__init__(look, "chain.head", "Expiries and figures")
        self.view = ChainView()
        self.day: date | None = None
        self._boxes: list[tuple[QRect, date]] = []
        self.figures: tuple[tuple[str, str], ...] = ()

    def show_view(self, view: ChainView, day: date | None) -> None:
        if (view.expiries, view.expiry, day) != (self.view.expiries, self.view.expiry, self.day) or figures(
            view
        ) != self.figures:
            self.figures = figures(view)
            self.view, self.day = view, day
            self.describe(", ".join(f"{name} {value}" for name, value in self.figures))
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(300), self.look.px(50))

    def draw(self, painter: QPainter) -> None:
        self._boxes.clear()
        row = self.look.px(24)
        self._draw_expiries(painter, row)
        x, pad, gap = self.look.px(10), self.look.px(5), self.look.px(16)
        for name, value in self.figures:
            label = self.look.metrics("label").horizontalAdvance(name)
            wide = label + pad + self.look.metrics("data", 600).horizontalAdvance(value)
            if x + wide > self.width() - pad:
                break  # the least important are last
            self.put(painter, QRect(x, row, label + 1, row), name, role="label", tone="low")
            self.put(painter, QRect(x + label + pad, row, wide - label, row), value, weight=600)
            x += wide + gap
        self.hairline(painter, 0, self.height() - 1, self.width(), self.height() - 1)

    def _draw_expiries(self, painter: QPainter, row: int) -> None:
        shown = self.view.expiries
        current = self.day or self.view.expiry
        place = next((n for n, one in enumerate(shown) if one.day == current), 0)
        widths = [
            self.look.metrics("label", 600).horizontalAdvance(expiry_text(one)) + self.look.px(14) for one in shown
        ]
        pad = self.look.px(6)
        first, last = fitting(widths, place, self.width() - 2 * pad - self.look.px(28))
        x = pad
        if first:
            x += self.put(painter, QRect(x, 0, self.look.px(12), row), "‹", tone="mid") + self.look.px(3)
        for number in range(first, last):
            one, box = shown[number], QRect(x, self.look.px(3), widths[number], row - self.look.px(5))
            chosen = one.day == current
            if chosen:
                self.block(painter, box, "selected", 3)
            self.put(
                painter,
                box,
                expiry_text(one),
                role="label",
                weight=600 if chosen else 400,
                tone="hi" if chosen else "mid",
                align=CENTRE,
            )
            self._boxes.append((box, one.day))
            x += widths[number]
        if last < len(shown):
            self.put(painter, QRect(x + self.look.px(3), 0, self.look.px(12), row), "›", tone="mid")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        at: QPoint = event.position().toPoint()
        for box, day in self._boxes:
            if box.contains(at):
                self.picked.emit(day)


def expiry_text(one: ChainExpiry) -> str:
    """`20 Nov 0d`; the year where it is another one."""
    return (
        f"{one.day.day} {one.day:%b}{one.day: %y} {one.dte}d"
        if one.dte > 330
        else f"{one.day.day} {one.day:%b} {one.dte}d"
    )


def fitting(widths: list[int], place: int, room: int) -> tuple[int, int]:
    """The stretch of these that fits and has `place` near its middle."""
    if not widths:
        return 0, 0
    first = last = place
    used = widths[place]
    last += 1
    while True:
        if last < len(widths) and (last - place <= place - first or first == 0) and used + widths[last] <= room:
            used += widths[last]
            last += 1
        elif first > 0 and used + widths[first - 1] <= room:
            first -= 1
            used += widths[first]
        elif last < len(widths) and used + widths[last] <= room:
            used += widths[last]
            last += 1
        else:
            return first, last


def figures(view: ChainView) -> tuple[tuple[str, str], ...]:
    """The expiry's own figures, the most important first."""
    if view.expiry is None or view.forward is None:
        return ()
    move = "" if view.move is None else f"±{numbers.plain(view.move)} ({numbers.percent(view.move / view.forward, 1)})"
    found = [
        ("Spot", numbers.price(view.spot)),
        ("Forward", numbers.plain(view.forward)),
        ("ATM IV", numbers.NONE if view.vol is None else numbers.percent(view.vol, 1)),
        ("1σ move", move or numbers.NONE),
        ("25Δ skew", numbers.NONE if view.skew is None else f"{numbers.signed(view.skew * 100, 1)}{numbers.NARROW}pt"),
        ("Rate", numbers.percent(view.rate, 2)),
        ("Carry", numbers.percent(view.carry, 2) if view.carry is not None else _no_carry(view)),
        ("Findings", "; ".join(view.findings) or "none"),
    ]
    return tuple(found)


def _no_carry(view: ChainView) -> str:
    today = any(one.day == view.expiry and one.dte == 0 for one in view.expiries)
    return f"{NOT_TOLD}, {'0DTE' if today else 'under a day'}"


class ChainSides(Canvas):
    """Over the titles of the columns: whose they are. It follows the columns' places."""

    def __init__(self, look: Look, table: ChainTable) -> None:
        super().__init__(look, "chain.sides", "Calls left, puts right of the strike")
        self.table = table
        table.horizontalHeader().sectionResized.connect(lambda *_: self.update())
        table.horizontalHeader().geometriesChanged.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(300), self.look.px(20))

    def halves(self) -> tuple[QRect, QRect]:
        """Rooms left and right of the strike."""
        left = self.table.columnViewportPosition(STRIKE)
        right = left + self.table.columnWidth(STRIKE)
        return QRect(0, 0, left, self.height()), QRect(right, 0, self.table.viewport().width() - right, self.height())

    def draw(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), self.look.colour("surface1"))
        for name, room in zip(("CALLS", "PUTS"), self.halves(), strict=True):
            self.put(painter, room, name, role="label", weight=600, tone="mid", align=CENTRE)
            inset = self.look.px(8)
            self.hairline(painter, room.left() + inset, self.height() - 1, room.right() - inset, self.height() - 1)


class ChainPanel(Panel):
    """Notification `ticket_wanted`: a ticket for the contract of this row and side is asked for."""

    id = "chain"
    title = "Chain"
    ticket_wanted = Signal(object, object)

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.view = ChainView()
        self.symbol = ""
        self.day: date | None = None
        self._centred: tuple[str, date | None] = ("", None)
        self.head = ChainHead(look)
        self.model = TableModel[ChainRow](COLUMNS, lambda row: row.strike)
        self.table = ChainTable(look, self.model)
        self.table.setMinimumHeight(1)
        self.box.addWidget(self.head)
        self.box.addWidget(ChainSides(look, self.table))
        self.box.addWidget(self.table, 1)
        self.content.setFocusProxy(self.table)
        self.head.picked.connect(self.pick)
        self.table.opened.connect(lambda _: self.open_current())
        self.table.clicked.connect(lambda index: self.table.set_side(CALL if index.column() < STRIKE else PUT))

    @property
    def asked(self) -> tuple[str, date | None]:
        """What should be shown: a symbol (empty: any), and an expiry (None: the soonest)."""
        return self.symbol, self.day

    def show_view(self, view: ChainView) -> None:
        self.view = view
        self.head.show_view(view, self.day)
        self.model.flush(view.rows)
        self.table.set_money(view.forward)
        self.show_face(view.face, bool(view.rows))
        self.title_words()
        here = (view.symbol, view.expiry)
        if view.rows and here != self._centred:
            self._centred = here
            self.table.centre()

    def title_words(self) -> None:
        view = self.view
        if view.expiry is None:
            self.summarise(view.symbol or "no symbol")
            return
        hidden = f" · {len(view.rows)} of {view.strikes} strikes" if len(view.rows) < view.strikes else ""
        self.summarise(
            f"{view.symbol} {view.expiry.day} {view.expiry:%b %y}{hidden} · {view.model}, {view.source} · mid {numbers.age(view.age)}"
        )

    # -- what keys do

    def follow(self, symbol: str) -> None:
        """Another symbol was chosen on the desk."""
        if symbol:
            if symbol != (self.symbol or self.view.symbol):
                self.day = None
            self.symbol = symbol

    def pick(self, day: date) -> None:
        self.day = day
        self.head.show_view(self.view, day)

    def turn_expiry(self, by: int) -> None:
        """The next or the previous expiry."""
        days = [one.day for one in self.view.expiries]
        current = self.day or self.view.expiry
        if current not in days:
            return
        place = days.index(current) + by
        if 0 <= place < len(days):
            self.pick(days[place])
        else:
            self.said.emit("There is no later expiry" if by > 0 else "There is no sooner expiry")

    def turn_symbol(self) -> None:
        """The next of the watched symbols."""
        symbols = self.view.symbols
        if symbols:
            current = self.symbol or self.view.symbol
            place = symbols.index(current) + 1 if current in symbols else 0
            self.symbol, self.day = symbols[place % len(symbols)], None

    def take_side(self, side: str) -> None:
        self.table.set_side(side)

    @property
    def current(self) -> tuple[ChainRow, ChainSide] | None:
        """The chosen strike, and the contract of the chosen side."""
        row = self.table.current
        if row is None:
            return None
        side = row.call if self.table.side == CALL else row.put
        return None if side is None else (row, side)

    def step(self, by: int) -> None:
        self.table.step(by)

    def open_current(self) -> None:
        found = self.current
        if found is None:
            self.said.emit("No contract is selected")
        else:
            self.ticket_wanted.emit(*found)

    def why_current(self) -> None:
        found = self.current
        if found is None:
            self.said.emit("No contract is selected")
            return
        row, side = found
        name = f"{self.view.symbol} {row.strike:f} {self.table.side}"
        self.said.emit(f"{name}: {reasons(side) or 'nothing odd about it'}")

    def focus_first(self) -> None:
        self.table.setFocus(Qt.FocusReason.ShortcutFocusReason)
