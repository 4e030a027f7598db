"""Keys that are really pressed become the right commands, and nothing else does."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS, KEYMAP
from engine.domain.commands import Approve, CancelOrder, ClosePosition, HaltTrading, Override, Reject, ResumeTrading
from engine.domain.views import DeskUpdate, TicketsView
from tests.gui import samples
from tests.gui.conftest import Hands
from widgets.action import HOLD_MS, Action, Actions
from widgets.cheatsheet import KeyPage
from widgets.theme import Look

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
ROOT = Path(__file__).resolve().parents[2]


def press(
    qtbot: QtBot, hands: Hands, key: Qt.Key | str, modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    """Press and release where the keyboard is."""
    target = hands.window.focusWidget() or hands.window
    if isinstance(key, str) and len(key) > 1:
        QTest.keyClicks(target, key)
    else:
        QTest.keyClick(target, key, modifiers)


def test_approving_takes_two_presses(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_A)
    assert hands.sent == []
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Approve(by="desk", ticket="T-18207")]


def test_enter_without_a_opens_the_story_and_sends_nothing(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    assert hands.stories == [17000]


def test_enter_that_is_pressed_twice_sends_once(qtbot: QtBot, hands: Hands) -> None:
    for key in (Qt.Key.Key_A, Qt.Key.Key_Return, Qt.Key.Key_Return, Qt.Key.Key_A, Qt.Key.Key_Return):
        press(qtbot, hands, key)
    assert len(hands.sent) == 1


def test_a_ticket_that_changed_under_the_key_is_not_sent_and_says_so(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_A)
    changed = samples.ticket(limit=samples.D("4.95"))
    hands.window.apply(DeskUpdate(tickets=TicketsView(rows=(changed,))))
    hands.seconds += 0.3
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    assert "nothing was sent" in hands.window.notice.text
    hands.seconds += 0.11
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Approve(by="desk", ticket="T-18207")]


def test_another_ticket_in_its_place_is_not_armed(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_A)
    hands.window.apply(DeskUpdate(tickets=TicketsView(rows=(samples.ticket(id="T-9"),))))
    hands.seconds += 5
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []


def test_a_refused_ticket_may_be_sent_again(qtbot: QtBot, hands: Hands) -> None:
    from engine.domain.commands import Done
    from engine.domain.values import Code, refuse

    press(qtbot, hands, Qt.Key.Key_A)
    press(qtbot, hands, Qt.Key.Key_Return)
    hands.window.show_answer(Done(ok=False, refusal=refuse(Code.HEAT_OVER_LIMIT, heat="8.4%", limit="8%")))
    assert "heat 8.4%, limit 8% · HEAT_OVER_LIMIT" in hands.window.notice.text
    press(qtbot, hands, Qt.Key.Key_A)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert len(hands.sent) == 2


def test_reject_needs_no_reason_but_takes_one(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_R)
    press(qtbot, hands, "too wide")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Reject(by="desk", ticket="T-18207", reason="too wide")]


def test_letters_are_dead_while_a_reason_is_typed(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_R)
    press(qtbot, hands, "axojk?")
    assert hands.window.approvals.reason.text() == "axojk?"
    assert hands.sent == []
    assert not hands.window.overlay_open


def test_another_quantity_needs_a_reason(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_E)
    press(qtbot, hands, Qt.Key.Key_2)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    assert hands.window.focusWidget() is hands.window.approvals.reason
    press(qtbot, hands, "half size")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Approve(by="desk", ticket="T-18207", quantity=2, reason="half size")]


def test_escape_disarms(qtbot: QtBot, hands: Hands) -> None:
    for key in (Qt.Key.Key_A, Qt.Key.Key_Escape, Qt.Key.Key_Return):
        press(qtbot, hands, key)
    assert hands.sent == []


def test_leaving_the_panel_disarms(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_A)
    hands.window.show_panel("signals")
    assert hands.window.approvals.mode == "look"


def test_exit_ticket_sells_what_it_says(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_J)
    press(qtbot, hands, Qt.Key.Key_X)
    assert "QQQ 28 Nov 26 600 C" in hands.window.sheet.title.text()
    assert hands.sent == []
    press(qtbot, hands, Qt.Key.Key_1)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [ClosePosition(by="desk", position="P-2", quantity=1)]


def test_an_exit_sheet_shows_the_market_of_now_and_says_when_it_is_over(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_J)
    press(qtbot, hands, Qt.Key.Key_X)
    sheet, view = hands.window.sheet, samples.positions()
    rows = tuple(
        msgspec.structs.replace(row, bid=Decimal("9.20"), ask=Decimal("9.30")) if row.id == "P-2" else row
        for row in view.rows
    )
    hands.window.apply(DeskUpdate(positions=msgspec.structs.replace(view, rows=rows)))
    assert "market 9.20 × 9.30" in sheet.text.text()
    assert sheet.warning.text() == ""
    rows = tuple(row for row in rows if row.id != "P-2")
    hands.window.apply(DeskUpdate(positions=msgspec.structs.replace(view, rows=rows)))
    assert "not held any more" in sheet.warning.text()


def test_nothing_behind_a_sheet_hears_a_key(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_X)
    press(qtbot, hands, Qt.Key.Key_F, CTRL | SHIFT)
    press(qtbot, hands, Qt.Key.Key_A)
    hands.window.do_by_id("desk.flatten")
    assert hands.sent == []
    assert "Answer what is asked first" in hands.window.notice.text
    press(qtbot, hands, Qt.Key.Key_Escape)
    assert not hands.window.overlay_open
    assert hands.window.active_panel == "positions"


@pytest.mark.parametrize(
    ("key", "modifiers", "command"),
    [
        (Qt.Key.Key_X, SHIFT, ClosePosition(by="desk", position="P-1")),
        (Qt.Key.Key_H, CTRL | SHIFT, HaltTrading(by="desk", reason="halted by key")),
        (Qt.Key.Key_F, CTRL | SHIFT, HaltTrading(by="desk", reason="flattened by key", flatten=True)),
    ],
)
def test_dangerous_keys_are_held(
    qtbot: QtBot, hands: Hands, key: Qt.Key, modifiers: Qt.KeyboardModifier, command: object
) -> None:
    hands.window.show_panel("positions")
    target = hands.window.focusWidget() or hands.window
    QTest.keyClick(target, key, modifiers)
    assert hands.sent == []
    assert "nothing was sent" in hands.window.notice.text
    QTest.keyPress(target, key, modifiers)
    assert hands.window.keys.held is not None
    assert hands.window.keys.held.hold == HOLD_MS == 400
    assert hands.sent == []
    qtbot.waitUntil(lambda: bool(hands.sent), timeout=5000)
    QTest.keyRelease(target, key, modifiers)
    assert hands.sent == [command]


def test_a_modifier_that_comes_up_lets_go(qtbot: QtBot, hands: Hands) -> None:
    target = hands.window.focusWidget() or hands.window
    QTest.keyPress(target, Qt.Key.Key_H, CTRL | SHIFT)
    QTest.keyRelease(target, Qt.Key.Key_Control)
    assert hands.window.keys.held is None


def test_override_asks_for_quantity_and_reason(qtbot: QtBot, hands: Hands) -> None:
    hands.window.follow("IWM")
    press(qtbot, hands, Qt.Key.Key_O)
    press(qtbot, hands, Qt.Key.Key_3)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    press(qtbot, hands, "range break")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Override(by="desk", decision=18100, reason="range break", quantity=3)]


def test_an_execute_cannot_be_overridden(qtbot: QtBot, hands: Hands) -> None:
    hands.window.follow("SPY")
    press(qtbot, hands, Qt.Key.Key_O)
    assert not hands.window.overlay_open
    assert "nothing to override" in hands.window.notice.text


def test_resume_needs_a_reason(qtbot: QtBot, hands: Hands) -> None:
    hands.window.apply(DeskUpdate(header=samples.header(halted=True, halt_by="desk", halt_reason="news")))
    press(qtbot, hands, Qt.Key.Key_R, CTRL | SHIFT)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    press(qtbot, hands, "news is out")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [ResumeTrading(by="desk", reason="news is out")]


def test_delete_cancels_a_working_order_only(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("orders")
    press(qtbot, hands, Qt.Key.Key_Delete)
    assert hands.sent == [CancelOrder(by="desk", order="O-1")]
    for _ in range(2):
        press(qtbot, hands, Qt.Key.Key_J)
    press(qtbot, hands, Qt.Key.Key_Delete)
    assert len(hands.sent) == 1
    assert "already filled" in hands.window.notice.text
    hands.window.show_panel("positions")
    press(qtbot, hands, Qt.Key.Key_Delete)
    assert len(hands.sent) == 1


@pytest.mark.parametrize(("key", "panel"), [("S", "signals"), ("P", "positions"), ("O", "orders"), ("E", "exits"),
                                            ("D", "decision"), ("A", "approvals"), ("H", "health"), ("C", "confluence")])  # fmt: skip
def test_chords_go_to_panels(qtbot: QtBot, hands: Hands, key: str, panel: str) -> None:
    press(qtbot, hands, Qt.Key.Key_G)
    press(qtbot, hands, key)
    assert hands.window.active_panel == panel
    assert hands.sent == []


def test_space_says_why(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("signals")
    press(qtbot, hands, Qt.Key.Key_Space)
    assert hands.window.decision.shown is not None
    assert hands.window.decision.shown.symbol == "SPY"
    press(qtbot, hands, Qt.Key.Key_J)
    press(qtbot, hands, Qt.Key.Key_Space)
    assert hands.stories == [18192]


def test_palette_finds_and_does(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, Qt.Key.Key_K, CTRL)
    press(qtbot, hands, "review")
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.window.docks.layout_name == "review"
    assert not hands.window.overlay_open


def test_cheat_sheet_opens_and_closes(qtbot: QtBot, hands: Hands) -> None:
    press(qtbot, hands, "?")
    assert hands.window.cheat_sheet.isVisible()
    press(qtbot, hands, Qt.Key.Key_Escape)
    assert not hands.window.cheat_sheet.isVisible()


def test_cheat_sheet_says_what_is_different_in_the_chain(hands: Hands) -> None:
    page = hands.window.cheat_sheet.findChild(KeyPage)
    assert isinstance(page, KeyPage)
    said = page.accessibleDescription()
    assert "Enter Open its story; in chain, a buy ticket," in said
    assert "[ Sooner expiry (in chain)," in said


def test_layouts_change_and_are_kept(qtbot: QtBot, hands: Hands, tmp_path: Path) -> None:
    press(qtbot, hands, Qt.Key.Key_3, CTRL)
    assert hands.window.docks.layout_name == "quiet"
    assert hands.window.docks.docks["signals"].isHidden()
    hands.window.save_state()
    again = Hands(hands.look, tmp_path / "state.ini")
    qtbot.addWidget(again.window)
    assert again.window.docks.layout_name == "quiet"
    again.window.close_now()


def test_a_remembered_light_desk_starts_with_readable_sheets(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> None:
    (tmp_path / "light.ini").write_text("[look]\ntheme=light\n")
    look = Look()
    look.apply(qapp)
    again = Hands(look, tmp_path / "light.ini")
    qtbot.addWidget(again.window)
    again.window.show()
    again.window.apply(samples.full())
    again.window.exit_ticket()
    qtbot.wait(5)
    title = again.window.sheet.title
    assert look.theme == "light"
    assert title.palette().color(title.foregroundRole()) == look.colour("hi")
    again.window.close_now()


def test_closing_is_said_once_and_waits_for_leave(qtbot: QtBot, hands: Hands) -> None:
    said = []
    hands.window.closing.connect(lambda: said.append(True))
    hands.window.close()
    hands.window.close()
    assert said == [True]
    assert hands.window.isVisible()


def test_a_key_that_is_used_twice_is_an_error() -> None:
    def action(name: str, key: str, panel: str = "") -> Action:
        return Action(name, name, "Menu", lambda _: None, keys=(key,), panel=panel)

    with pytest.raises(ValueError, match="key of both"):
        Actions((action("a", "J"), action("b", "J")))
    with pytest.raises(ValueError, match="declared twice"):
        Actions((action("a", "J"), action("a", "K")))
    with pytest.raises(ValueError, match="start of a chord"):
        Actions((action("a", "G"), action("b", "G S")))
    assert Actions((action("a", "J", "orders"), action("b", "J", "exits"))).for_key("J", "exits") is not None


def test_every_key_of_the_map_belongs_to_an_action() -> None:
    assert set(KEYMAP) == {action.id for action in ACTIONS if action.keys}


def test_no_nested_loops_anywhere() -> None:
    for folder in ("widgets", "app"):
        for path in (ROOT / folder).rglob("*.py"):
            code = re.sub(r'""".*?"""|#.*', "", path.read_text("utf-8"), flags=re.DOTALL)
            assert not re.search(r"\.exec_?\(|processEvents\(", code), path
