"""How many contracts: a line that takes what is typed as it is, and has a number only when that is a whole one in range.

Used by the sheets and by a ticket's change. It never guesses: `2.5` is not 25, and nothing is not 1.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QLineEdit


class QuantityField(QLineEdit):
    """Notification textChanged: look at `value` and `problem` again. Up and Down count."""

    def __init__(self) -> None:
        super().__init__()
        self._least, self._most = 1, 100_000
        self.setMaxLength(24)

    def set_range(self, least: int, most: int) -> None:
        self._least, self._most = least, most

    def setValue(self, value: int) -> None:
        """Shown without thousands, so that it may be typed over."""
        self.setText(str(value))

    def value(self) -> int | None:
        """Contracts; None for anything but a whole number in range."""
        number = self._whole()
        return number if number is not None and self._least <= number <= self._most else None

    def problem(self) -> str:
        """Why there is no value; empty when there is one."""
        number = self._whole()
        if number is None:
            typed = self.text().strip()
            return f"{typed} is not a whole number of contracts" if typed else "How many contracts? A whole number"
        if number < self._least:
            return f"{number:,} is too few: {self._least:,} contract is the least"
        if number > self._most:
            return f"{number:,} is too many: {self._most:,} at most here"
        return ""

    def _whole(self) -> int | None:
        typed = self.text().strip()
        return int(typed) if typed.isascii() and typed.isdigit() else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        by = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(Qt.Key(event.key()))
        if by is None:
            super().keyPressEvent(event)
            return
        self._count(by)
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A wheel that turns over it changes nothing: a quantity is typed or counted."""
        event.ignore()

    def _count(self, by: int) -> None:
        number = self._whole()
        if number is not None:
            self.setValue(max(self._least, min(self._most, number + by)))
            self.selectAll()
