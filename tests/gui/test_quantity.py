"""Only whole numbers of contracts are ever sent; anything else is said to be none, and turns the button off."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.domain.commands import Approve, ClosePosition, OpenTicket
from tests.gui import samples
from tests.gui.conftest import Hands
from tests.gui.test_keys import press
from widgets.panels.ticket import footnote

NOT_WHOLE = ["2.5", "0", "", "-1", "1e3", "2,5", "501", "three", "٣"]


def _type_over(qtbot: QtBot, hands: Hands, text: str) -> None:
    press(qtbot, hands, Qt.Key.Key_Backspace)  # the whole of it is selected
    for letter in text:
        press(qtbot, hands, letter)


@pytest.mark.parametrize("typed", NOT_WHOLE)
def test_a_buy_sheet_sends_no_quantity_that_was_not_typed(qtbot: QtBot, hands: Hands, typed: str) -> None:
    hands.window.show_panel("chain")
    press(qtbot, hands, Qt.Key.Key_Return)
    sheet = hands.window.sheet
    _type_over(qtbot, hands, typed)
    sheet.reason.setText("because")
    assert not sheet.go.isEnabled()
    assert "1" not in sheet.go.text()
    assert sheet.missing.isVisible()
    assert "whole number" in sheet.missing.text() or "too" in sheet.missing.text()
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    assert sheet.isVisible()
    _type_over(qtbot, hands, "") if not typed else sheet.quantity.selectAll()
    press(qtbot, hands, "7")
    assert not sheet.missing.isVisible()
    press(qtbot, hands, Qt.Key.Key_Return)
    (sent,) = hands.sent
    assert isinstance(sent, OpenTicket)
    assert sent.quantity == 7


def test_an_exit_sheet_sells_no_half_contract(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_X)
    _type_over(qtbot, hands, "1.5")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    hands.window.sheet.quantity.setValue(1)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert [type(command) for command in hands.sent] == [ClosePosition]


def test_a_ticket_is_not_changed_to_a_half(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_E)
    _type_over(qtbot, hands, "2.5")
    hands.window.approvals.reason.setText("smaller")
    assert not hands.window.approvals.send_button.isEnabled()
    assert "2.5 is not a whole number" in hands.window.approvals.notes.accessibleDescription()
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    assert "nothing was sent" in hands.window.notice.text
    hands.window.approvals.quantity.setValue(2)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Approve(by="desk", ticket="T-18207", quantity=2, reason="smaller")]


def test_up_and_down_count_contracts(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("chain")
    press(qtbot, hands, Qt.Key.Key_Return)
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Down):
        press(qtbot, hands, key)
    assert hands.window.sheet.quantity.value() == 2


def test_a_ticket_says_what_was_asked_and_what_is_allowed() -> None:
    lines = footnote(samples.ticket(asked=9999, quantity=16, sized_by="risk budget"))
    assert any("9,999 asked, 16 allowed by risk budget" in line for line in lines)
    assert any("size by risk budget" in line for line in footnote(samples.ticket(sized_by="risk budget")))
