"""All keys on one page, made from the declared actions."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QLabel, QWidget

from widgets.action import Action, Actions, native
from widgets.canvas import RIGHT, Canvas
from widgets.overlay import Overlay
from widgets.theme import Look

COLUMNS = 3


class KeyPage(Canvas):
    def __init__(self, look: Look, actions: Actions) -> None:
        super().__init__(look, "cheatsheet.page", "All keys")
        self.columns = _balance({menu: [a for a in items if a.keys] for menu, items in actions.menus().items()})
        self.describe(", ".join(f"{_keys(action)} {action.does}" for action in actions if action.keys))

    def sizeHint(self) -> QSize:
        rows = max(sum(len(items) + 2 for _, items in column) for column in self.columns)
        return QSize(self.look.px(800), rows * self.look.px(21))

    def draw(self, painter: QPainter) -> None:
        gap, row = self.look.px(36), self.look.px(21)
        each = (self.width() - gap * (COLUMNS - 1)) // COLUMNS
        for place, column in enumerate(self.columns):
            x, y = place * (each + gap), 0
            for menu, items in column:
                self.put(painter, QRect(x, y, each, row), menu, role="title", weight=600)
                self.hairline(painter, x, y + row - 1, x + each, y + row - 1)
                y += row + 2
                for action in items:
                    hold = "hold " if action.hold else ""
                    keys = hold + _keys(action)
                    room = QRect(x, y, each, row)
                    self.put(painter, room, action.does, tone="mid")
                    self.put(painter, room, keys, weight=600, align=RIGHT)
                    y += row
                y += row // 2


def _keys(action: Action) -> str:
    return "  ".join(native(key) for key in action.keys)


def _balance(menus: dict[str, list[Action]]) -> list[list[tuple[str, list[Action]]]]:
    """Menus in columns of about the same height, in their order."""
    columns: list[list[tuple[str, list[Action]]]] = [[] for _ in range(COLUMNS)]
    heights = [0] * COLUMNS
    for menu, items in sorted(menus.items(), key=lambda pair: -len(pair[1])):
        if items:
            place = heights.index(min(heights))
            columns[place].append((menu, items))
            heights[place] += len(items) + 2
    return columns


class CheatSheet(Overlay):
    def __init__(self, look: Look, parent: QWidget, actions: Actions) -> None:
        super().__init__(look, parent, "cheatsheet", "Keys", 1040)
        self.title = QLabel("Keys")
        self.title.setFont(look.font("head", 600))
        self.foot = QLabel("Letters are dead while you type. Esc closes this.")
        self.foot.setFont(look.font("label"))
        self.column.addWidget(self.title)
        self.column.addWidget(KeyPage(look, actions))
        self.column.addWidget(self.foot)
