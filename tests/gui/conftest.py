"""The desk off screen: a window that records what it sends, with hands to press its keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from engine.domain.commands import Command
from tests.gui import samples
from widgets.theme import Look
from widgets.window import DeskWindow


class Hands:
    """A window, what it sent, which stories it asked for, and a clock that the test moves."""

    def __init__(self, look: Look, state: Path) -> None:
        self.sent: list[Command] = []
        self.stories: list[int] = []
        self.seconds = 1000.0
        self.look = look
        self.window = DeskWindow(
            self.sent.append, self.stories.append, state, ACTIONS, look, monotonic=lambda: self.seconds
        )


@pytest.fixture
def look(qapp: QApplication) -> Look:
    look = Look()
    look.apply(qapp)
    return look


@pytest.fixture
def hands(qtbot: QtBot, look: Look, tmp_path: Path) -> Iterator[Hands]:
    hands = Hands(look, tmp_path / "state.ini")
    window = hands.window
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.docks.reset()
    qtbot.wait(5)  # docks take their sizes when control returns to the loop
    window.apply(samples.full())
    hands.seconds += 10
    yield hands
    window.close_now()
    window.deleteLater()
