"""The keyboard is on a panel that is seen, from the first moment and after every change; no button takes it by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from engine.domain.commands import HaltTrading
from engine.domain.views import DeskUpdate, PositionsView, TicketsView
from tests.gui import samples
from tests.gui.conftest import Hands
from tests.gui.test_keys import CTRL, press
from widgets.docks import LAYOUTS
from widgets.sight import MAIN
from widgets.theme import Look
from widgets.window import DeskWindow

LAYOUT_KEYS = dict(zip(LAYOUTS, (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3, Qt.Key.Key_4), strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_window_that_comes_to_the_front_hands_the_keyboard_to_a_panel(
    qtbot: QtBot, look: Look, tmp_path: Path, layout: str
) -> None:
    sent: list[object] = []
    window = DeskWindow(sent.append, lambda _: None, tmp_path / "state.ini", ACTIONS, look, layout)
    try:
        window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        qtbot.wait(5)
        assert window.active_panel == MAIN[layout]
        window.apply(samples.full())
        for key in (Qt.Key.Key_Space, Qt.Key.Key_Return):
            target = window.focusWidget()
            assert target is not None
            QTest.keyClick(target, key)
            assert not window.sheet.isVisible() or layout == "chain"
        assert sent == []
    finally:
        window.close_now()
        window.deleteLater()


def test_tab_never_comes_to_a_button_that_acts(qtbot: QtBot, hands: Hands) -> None:
    window = hands.window
    window.apply(samples.empty())
    for layout in LAYOUTS:
        window.arrange(layout)
        qtbot.wait(5)
        for _ in range(40):
            press(qtbot, hands, Qt.Key.Key_Tab)
            focus = window.focusWidget()
            assert not isinstance(focus, QAbstractButton) or focus.objectName().startswith("welcome."), (
                focus.objectName()
            )


def test_enter_on_a_halt_that_was_just_asked_leaves_it(qtbot: QtBot, hands: Hands) -> None:
    hands.window.header.button.click()
    assert hands.window.sheet.isVisible()
    press(qtbot, hands, Qt.Key.Key_Return)
    assert not hands.window.sheet.isVisible()
    assert hands.sent == []
    hands.window.header.button.click()
    qtbot.waitUntil(lambda: "⏎" in hands.window.sheet.leave.text())
    assert "⏎" not in hands.window.sheet.go.text()
    press(qtbot, hands, Qt.Key.Key_Tab)
    qtbot.waitUntil(lambda: "⏎" in hands.window.sheet.go.text())
    assert "⏎" not in hands.window.sheet.leave.text()
    press(qtbot, hands, "news")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [HaltTrading(by="desk", reason="news")]


@pytest.mark.parametrize("before", ["chain", "story", "approvals"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_hands_the_keyboard_to_its_main_panel(qtbot: QtBot, hands: Hands, layout: str, before: str) -> None:
    hands.window.show_panel(before)
    press(qtbot, hands, LAYOUT_KEYS[layout], CTRL)
    assert hands.window.active_panel == MAIN[layout]
    qtbot.wait(20)
    assert hands.window.docks.visible(MAIN[layout])
    assert hands.window.active_panel == MAIN[layout]


def test_keys_after_a_change_of_layout_mean_what_is_seen(qtbot: QtBot, hands: Hands) -> None:
    window = hands.window
    window.show_panel("signals")
    signal = window.signals.current
    for key in (Qt.Key.Key_G, Qt.Key.Key_N):
        press(qtbot, hands, key)
    press(qtbot, hands, Qt.Key.Key_4, CTRL)
    qtbot.wait(20)
    row = window.chain.table.currentIndex().row()
    press(qtbot, hands, Qt.Key.Key_Down)
    press(qtbot, hands, Qt.Key.Key_Space)
    assert window.chain.table.currentIndex().row() == row + 1
    assert window.signals.current is signal
    assert hands.stories == []
    assert not window.docks.visible("decision")


def test_a_panel_behind_a_tab_loses_the_keyboard_to_the_one_in_front(qtbot: QtBot, hands: Hands) -> None:
    window = hands.window
    window.show_panel("chain")
    row = window.chain.table.currentIndex().row()
    window.docks.reveal("log")  # as a click on its tab
    qtbot.wait(20)
    press(qtbot, hands, Qt.Key.Key_Down)
    assert window.active_panel == "log"
    assert window.chain.table.currentIndex().row() == row


@pytest.mark.parametrize("reading", [False, True])
def test_the_story_of_a_trade_that_was_just_closed_is_one_chord_away(qtbot: QtBot, hands: Hands, reading: bool) -> None:
    window, view = hands.window, samples.positions()
    window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_X)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.stories == []
    if reading:
        window.show_panel("story")
    window.apply(DeskUpdate(positions=PositionsView(rows=view.rows[1:])))
    window.apply(DeskUpdate(positions=PositionsView(rows=view.rows[2:])))  # ended by itself: nobody asked
    assert hands.stories == ([] if reading else [17000])


def test_an_empty_panel_has_the_keyboard_too(qtbot: QtBot, hands: Hands) -> None:
    hands.window.apply(DeskUpdate(positions=PositionsView(face=samples.empty().positions.face), tickets=TicketsView(face=samples.empty().tickets.face)))  # type: ignore[union-attr]  # fmt: skip
    for name in ("positions", "approvals"):
        hands.window.show_panel(name)
        assert hands.window.active_panel == name
