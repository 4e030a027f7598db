"""One signal's whole story as linked cards: heard, decided, ruled, approved, ordered, filled, ended. Facts below, verbatim."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPolygon, QResizeEvent
from PySide6.QtWidgets import QScrollArea

from engine.domain.views import LedgerRow, Point, StoryCard, StoryView
from widgets import numbers
from widgets.canvas import LEFT, RIGHT, Canvas
from widgets.states import Panel
from widgets.table import Column, TableModel, TableView
from widgets.theme import Look


class Cards(Canvas):
    """The chain, left to right; wraps into rows of equal cards where the panel is narrow."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "story.cards", "Story, step by step")
        self.cards: tuple[StoryCard, ...] = ()
        self._tall = 0

    def show_cards(self, cards: tuple[StoryCard, ...]) -> None:
        if cards != self.cards:
            self.cards = cards
            self.describe(". ".join(f"{card.step}: {card.title}" for card in cards))
            self.updateGeometry()
            self.update()

    def _columns(self, width: int) -> int:
        return max(1, min(len(self.cards) or 1, (width - self.look.px(8)) // self.look.px(196)))

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        columns = self._columns(width)
        rows = [self.cards[at : at + columns] for at in range(0, len(self.cards), columns)]
        return sum(self._height(row) + self.look.px(8) for row in rows) + self.look.px(8)

    def sizeHint(self) -> QSize:
        width = max(self.width(), self.look.px(400))
        return QSize(self.look.px(400), self.heightForWidth(width))

    def _height(self, row: tuple[StoryCard, ...]) -> int:
        most = max((len(card.points) for card in row), default=0)
        return self.look.px(48) + most * self.look.px(17) + self.look.px(8)

    def draw(self, painter: QPainter) -> None:
        gap, pad = self.look.px(14), self.look.px(8)
        columns = self._columns(self.width())
        each = (self.width() - 2 * pad - gap * (columns - 1)) // columns
        y = pad
        for at in range(0, len(self.cards), columns):
            row = self.cards[at : at + columns]
            tall = self._height(row)
            for place, card in enumerate(row):
                box = QRect(pad + place * (each + gap), y, each, tall)
                self._card(painter, box, card)
                if at + place + 1 < len(self.cards):
                    self._link(painter, box, gap, place + 1 < columns)
            y += tall + self.look.px(8)

    def _link(self, painter: QPainter, box: QRect, gap: int, along: bool) -> None:
        if not along:
            return
        x, middle = box.right() + gap // 2, box.y() + self.look.px(13)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.look.colour("line_focus"))
        painter.drawPolygon(QPolygon([QRect(x - 2, middle - 4, 1, 1).topLeft(), QRect(x - 2, middle + 4, 1, 1).topLeft(),
                                      QRect(x + 4, middle, 1, 1).topLeft()]))  # fmt: skip

    def _card(self, painter: QPainter, box: QRect, card: StoryCard) -> None:
        there = card.at is not None
        self.block(painter, box, "surface2" if there else "surface1", 3)
        self.outline(painter, box, "hi" if card.stopped else "line")
        pad, line = self.look.px(8), self.look.px(17)
        inner = box.adjusted(pad, 0, -pad, 0)
        head = QRect(inner.x(), box.y() + self.look.px(5), inner.width(), line)
        self.put(painter, head, card.step.value, role="label", weight=600, tone="low")
        self.put(painter, head, when_of(card), role="label", tone="low", align=RIGHT)
        title = QRect(inner.x(), head.bottom() + 1, inner.width(), self.look.px(19))
        self.put(painter, title, card.title, weight=600, tone="hi" if there else "low", elide=True)
        y = box.y() + self.look.px(48)
        for point in card.points:
            self._point(painter, QRect(inner.x(), y, inner.width(), line), point)
            y += line

    def _point(self, painter: QPainter, room: QRect, point: Point) -> None:
        used = self.put(painter, room, point.name, role="label", tone="low", elide=True)
        tone = "mid" if point.gain is None else "gain" if point.gain else "loss"
        rest = room.adjusted(min(used, room.width()) + self.look.px(6), 0, 0, 0)
        self.put(painter, rest, point.value, role="label", weight=500, tone=tone, align=RIGHT, elide=True)


def when_of(card: StoryCard) -> str:
    """Time of day and how long after the step before; nothing for a step that is not there: its title says why."""
    return "" if card.at is None else f"{numbers.clock(card.at)}  {numbers.later(card.after)}".strip()


COLUMNS = (
    Column[LedgerRow]("Seq", lambda r: f"{r.seq:,}", "000,000", tone="low", help="Place in the ledger"),
    Column[LedgerRow]("Cause", lambda r: "" if r.cause is None else f"{r.cause:,}", "000,000", tone="low",
                      help="The fact that led here", drop=1),
    Column[LedgerRow]("Time", lambda r: numbers.clock(r.at), "00:00:00", tone="low", help="New York"),
    Column[LedgerRow]("Fact", lambda r: r.kind, "DecisionOverridden", LEFT, weight=600),
    Column[LedgerRow]("What it says", lambda r: r.text, "…", LEFT, "mid", stretch=True),
)  # fmt: skip


class StoryPanel(Panel):
    id = "story"
    title = "Story"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.cards = Cards(look)
        self.area = QScrollArea()
        self.area.setObjectName("story.area")
        self.area.setAccessibleName("Story")
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(self.cards)
        self.model = TableModel[LedgerRow](COLUMNS, lambda row: row.seq)
        self.view = TableView[LedgerRow](look, self.model, "story.facts", "Facts of this story")
        self.box.addWidget(self.area)
        self.box.addWidget(self.view, 1)
        self.content.setFocusProxy(self.view)

    def show_view(self, view: StoryView) -> None:
        self.cards.show_cards(view.cards)
        self.model.flush(view.facts)
        self.show_face(view.face, bool(view.cards))
        self.summarise(" · ".join(part for part in (view.title, view.outcome) if part))
        self._share()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share()

    def _share(self) -> None:
        """The cards get what they need, the facts what is left, but not less than a quarter."""
        needed = self.cards.heightForWidth(self.area.viewport().width()) + 2
        self.area.setFixedHeight(min(needed, max(60, self.content.height() * 3 // 4)))

    def step(self, by: int) -> None:
        self.view.step(by)
