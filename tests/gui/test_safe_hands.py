"""What must never happen by a key that meant something else: nothing is sent by Space, twice by one hold, or unseen."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.domain.commands import ClosePosition
from tests.gui.conftest import Hands
from tests.gui.test_keys import SHIFT, press
from widgets.action import HOLD_MS
from widgets.keys import REST_MS


@pytest.mark.parametrize("before", [(), ("A", "Escape"), ("E", "Escape"), ("A", "Escape", "G", "P", "G", "A")])
def test_space_on_a_ticket_sends_nothing(qtbot: QtBot, hands: Hands, before: tuple[str, ...]) -> None:
    hands.window.show_panel("approvals")
    for key in before:
        press(qtbot, hands, getattr(Qt.Key, f"Key_{key}"))
    press(qtbot, hands, Qt.Key.Key_Space)
    assert hands.sent == []


def test_space_on_an_armed_ticket_sends_nothing(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_A)
    press(qtbot, hands, Qt.Key.Key_Space)
    assert hands.sent == []


def test_a_hold_fires_once_however_long_the_key_stays_down(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    target = hands.window.focusWidget()
    assert target is not None
    QTest.keyPress(target, Qt.Key.Key_X, SHIFT)
    qtbot.wait(HOLD_MS + 50)
    assert len(hands.sent) == 1
    for _ in range(4):  # a key that repeats by itself, as a display without a mark for it reports it
        QTest.keyRelease(target, Qt.Key.Key_X, SHIFT)
        QTest.keyPress(target, Qt.Key.Key_X, SHIFT)
        qtbot.wait(HOLD_MS // 2)
    assert len(hands.sent) == 1
    QTest.keyRelease(target, Qt.Key.Key_X, SHIFT)
    qtbot.wait(REST_MS + 50)
    QTest.keyPress(target, Qt.Key.Key_X, SHIFT)
    qtbot.wait(HOLD_MS + 50)
    assert len([command for command in hands.sent if isinstance(command, ClosePosition)]) == 2
    QTest.keyRelease(target, Qt.Key.Key_X, SHIFT)


def test_the_row_a_key_acts_on_is_always_seen(qtbot: QtBot, hands: Hands) -> None:
    panel = hands.window.positions
    panel.view.clearSelection()
    assert panel.current is None, "a current row that nobody sees is no choice"
    hands.window.show_panel("positions")
    assert panel.current is not None
    assert panel.view.selectionModel().hasSelection()
    press(qtbot, hands, Qt.Key.Key_J)
    assert panel.view.currentIndex().row() == 1
