"""Why: the verdict, every multiplier as a bar on one scale, what it was made from, and what would have changed it."""

from __future__ import annotations

import math

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from engine.domain.values import Direction, Verdict
from engine.domain.views import DecisionsView, DecisionView, Factor
from widgets import numbers
from widgets.canvas import RIGHT, Canvas, Line, Prose
from widgets.handbutton import HandButton
from widgets.states import Panel
from widgets.theme import Look

SCALE = (0.5, 2.5)
"""Ends of the bars' common, logarithmic scale; × 1.00 stands at the same place in every row."""


class Verdicts(Canvas):
    """The first line: the word, the side and score, the multiplier and what it makes."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "decision.verdict", "Verdict")
        self.view: DecisionView | None = None

    def show_view(self, view: DecisionView) -> None:
        if view != self.view:
            self.view = view
            self.describe(f"{view.symbol} {view.verdict} {view.direction or ''} score {view.score}. {view.reason}")
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(200), self.look.px(40))

    def draw(self, painter: QPainter) -> None:
        view = self.view
        if view is None:
            return
        pad, tall = self.look.px(10), self.height()
        word = "DENIED" if view.denial else view.verdict.value
        used = self.put(painter, QRect(pad, 0, self.look.px(120), tall), word, role="big", weight=600)
        side = view.direction or view.leaning
        x = pad + used + self.look.px(10)
        text, tone = f"score {view.score}", "mid"
        if side:
            mark = numbers.UP if side is Direction.LONG else numbers.DOWN
            text = f"{mark} {side.value} {view.score}"
            tone = "gain" if side is Direction.LONG else "loss"
        self.put(painter, QRect(x, 1, self.look.px(110), tall), text, weight=600, tone=tone)
        if view.final is not None and view.verdict is not Verdict.WAIT:
            made = numbers.count(view.contracts, "contract") if view.contracts else "no contracts"
            right = QRect(self.width() - self.look.px(150) - pad, 0, self.look.px(150), tall)
            upper = right.adjusted(0, self.look.px(4), 0, -tall // 2)
            self.put(painter, upper, f"{numbers.TIMES} {view.final:.2f}", role="title", weight=600, align=RIGHT)
            raw = "" if view.raw is None else f"raw {view.raw:.2f} · "
            lower = right.adjusted(0, tall // 2, 0, -self.look.px(3))
            self.put(painter, lower, f"{raw}{made}", role="label", tone="low", align=RIGHT)


class Factors(Canvas):
    """One row a multiplier; bars grow from × 1.00 to either side."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "decision.factors", "Multipliers")
        self.factors: tuple[Factor, ...] = ()

    def show_factors(self, factors: tuple[Factor, ...]) -> None:
        if factors != self.factors:
            self.factors = factors
            self.describe(", ".join(f"{f.name} times {f.value:.2f}" for f in factors))
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(200), len(self.factors) * self.look.px(17) + self.look.px(4))

    def _x(self, value: float, left: int, width: int) -> int:
        low, high = math.log(SCALE[0]), math.log(SCALE[1])
        at = (math.log(max(SCALE[0], min(SCALE[1], value))) - low) / (high - low)
        return left + round(at * width)

    def draw(self, painter: QPainter) -> None:
        pad, row = self.look.px(10), self.look.px(17)
        names, values = self.look.px(146), self.look.px(56)
        left, width = pad + names, self.width() - 2 * pad - names - values
        neutral = self._x(1.0, left, width)
        for number, factor in enumerate(self.factors):
            y = number * row
            plain = math.isclose(factor.value, 1.0)
            self.put(painter, QRect(pad, y, names - 6, row), factor.name, role="label", tone="mid")
            track = QRect(left, y + row // 2 - 3, width, 6)
            self.block(painter, track, "raised")
            at = self._x(factor.value, left, width)
            bar = QRect(min(at, neutral), track.y(), max(2, abs(at - neutral)), 6)
            if not plain:
                painter.fillRect(bar, self.ink("bar"))
            text = QRect(self.width() - pad - values, y, values, row)
            tone = "low" if plain else "hi"
            self.put(painter, text, f"{numbers.TIMES} {factor.value:.2f}", weight=600, tone=tone, align=RIGHT)
        bottom = len(self.factors) * row - 3
        if self.factors:
            self.hairline(painter, neutral, 3, neutral, bottom, "line_focus")


class DecisionPanel(Panel):
    """Follows the chosen symbol; without one it shows the newest decision."""

    id = "decision"
    title = "Decision"
    buttons = {"panel.welcome": "Show the steps", "welcome.test": "Send two test alerts"}  # noqa: RUF012

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.rows: tuple[DecisionView, ...] = ()
        self.symbol = ""
        self.shown: DecisionView | None = None
        self.verdict, self.factors = Verdicts(look), Factors(look)
        self.reason = Prose(look, "decision.reason", "Reason")
        self.changes = Prose(look, "decision.changes", "What would have changed it, and what it was made from")
        self.override = HandButton("Override…   O")
        self.override.setObjectName("decision.override")
        self.override.setAccessibleName("Override this decision")
        self.override.clicked.connect(lambda: self.action_asked.emit("decision.override"))
        page = QWidget()
        page.setObjectName("decision.page")
        page.setAccessibleName("Decision")
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 6)
        column.setSpacing(2)
        for widget in (self.verdict, self.reason, self.factors, self.changes):
            column.addWidget(widget)
        column.addWidget(self.override, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        self.area = QScrollArea()
        self.area.setObjectName("decision.area")
        self.area.setAccessibleName(self.title)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(page)
        self.box.addWidget(self.area)

    def show_view(self, view: DecisionsView) -> None:
        self.rows = view.rows
        self.show_face(view.face, bool(view.rows))
        self._show()

    def follow(self, symbol: str) -> None:
        """Show this symbol's decision; the newest of all without one."""
        if symbol != self.symbol:
            self.symbol = symbol
            self._show()

    def _show(self) -> None:
        view = next((row for row in self.rows if row.symbol == self.symbol), None)
        if view is None:
            if self.symbol and self.rows:
                self._none()
                return
            view = self.rows[0] if self.rows else None
        if view is None:
            self.summarise("")
            self.shown = None
            return
        trigger = f" · by the {view.trigger} {view.by}" if view.trigger else f" · by {view.by}"
        newest = self.rows[0].symbol
        newer = f"{newest} is newer: Esc · " if self.symbol and newest != view.symbol else ""
        self.summarise(f"{newer}{view.symbol} · {numbers.clock(view.at)}{trigger} · engine {view.engine_version}")
        if view == self.shown:
            return
        self.shown = view
        self.area.show()
        self.verdict.setVisible(True)
        self.verdict.show_view(view)
        self.factors.show_factors(view.factors)
        self.factors.setVisible(bool(view.factors))
        self.reason.show_lines(reason_lines(view))
        self.changes.show_lines(change_lines(view))
        self.override.setVisible(view.overridable)

    def _none(self) -> None:
        self.shown = None
        self.summarise(f"{self.symbol} · no decision yet")
        self.verdict.setVisible(False)
        self.factors.setVisible(False)
        self.override.setVisible(False)
        none = f"{self.symbol} has had no decision yet: each accepted signal, phase and trend makes one."
        self.reason.show_lines(((none, "mid", 400),))
        self.changes.show_lines(())

    def step(self, by: int) -> None:
        symbols = [row.symbol for row in self.rows]
        if symbols:
            here = symbols.index(self.shown.symbol) + by if self.shown else 0
            self.symbol_chosen.emit(symbols[max(0, min(len(symbols) - 1, here))])

    def open_current(self) -> None:
        if self.shown:
            self.story_asked.emit(self.shown.seq)

    why_current = open_current

    def focus_first(self) -> None:
        self.area.setFocus(Qt.FocusReason.ShortcutFocusReason)


def reason_lines(view: DecisionView) -> tuple[Line, ...]:
    """The denial verbatim, then the engine's reason."""
    denial = ((f"Denied by {view.stage or 'a rule'}: {view.denial}", "hi", 600),) if view.denial else ()
    return (*denial, (view.reason, "mid", 400)) if view.reason else denial


def change_lines(view: DecisionView) -> tuple[Line, ...]:
    """What would have changed it, then what it was made from."""
    lines: list[Line] = [(text, "mid", 400) for text in view.counterfactuals]
    if view.inputs:
        lines.append(("Made from " + " · ".join(view.inputs), "low", 400))
    if view.assumed:
        lines.append(("Not sent, filled by our rules: " + ", ".join(view.assumed), "low", 400))
    return tuple(lines)
