"""A ticket that would be refused says so before Enter, and a refusal speaks in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.domain.commands import Approve, Done, Reject
from engine.domain.values import Code, Purpose, Side, refuse
from engine.domain.views import DeskUpdate, HealthView, Outage, TicketsView
from tests.gui import samples
from tests.gui.conftest import Hands
from tests.gui.test_keys import press
from widgets.refusals import SENTENCES, refusal_words


def _outage(grave: bool) -> DeskUpdate:
    health = samples.full().health
    assert health is not None
    word = "NO NEW ENTRIES" if grave else "LEDGER BEHIND"
    outage = Outage(word=word, grave=grave, since=samples.NOW, lasts=60.0, facts=11, goes_on="exits, closes, cancels and halts go on",
                    stops="new entries are refused" if grave else "new entries stop at 20 s or 2,000 facts")  # fmt: skip
    return DeskUpdate(health=msgspec.structs.replace(health, outage=outage))


def _halt() -> DeskUpdate:
    return DeskUpdate(header=samples.header(halted=True, halt_by="desk", halt_reason="news"))


@pytest.mark.parametrize(("update", "word"), [(lambda: _outage(True), "NO NEW ENTRIES"), (_halt, "HALTED")])
def test_an_entry_that_would_be_refused_cannot_be_sent_and_says_why(
    qtbot: QtBot, hands: Hands, update: Callable[[], DeskUpdate], word: str
) -> None:
    panel = hands.window.approvals
    press(qtbot, hands, Qt.Key.Key_A)
    hands.window.apply(update())  # while it is armed
    assert not panel.send_button.isEnabled()
    assert word.lower() in panel.send_button.text()
    assert word in panel.notes.accessibleDescription()
    assert "passed before" in panel.foot.accessibleDescription()
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == []
    assert word in hands.window.notice.text
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_A, Qt.Key.Key_Return, Qt.Key.Key_E):
        press(qtbot, hands, key)
    assert hands.sent == []
    assert panel.mode == "look"
    press(qtbot, hands, Qt.Key.Key_R)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert [type(command) for command in hands.sent] == [Reject]


def test_when_entries_are_possible_again_it_can_be_sent(qtbot: QtBot, hands: Hands) -> None:
    hands.window.apply(_outage(True))
    health = samples.full().health
    assert health is not None
    hands.window.apply(DeskUpdate(health=HealthView(lamps=health.lamps)))
    assert hands.window.approvals.send_button.text().startswith("Send ")
    press(qtbot, hands, Qt.Key.Key_A)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert [type(command) for command in hands.sent] == [Approve]


def test_an_exit_goes_out_whatever_bars_entries(qtbot: QtBot, hands: Hands) -> None:
    hands.window.apply(_outage(True))
    out = samples.ticket(id="T-9", purpose=Purpose.EXIT, side=Side.SELL)
    hands.window.apply(DeskUpdate(tickets=TicketsView(rows=(out,))))
    hands.seconds += 10
    press(qtbot, hands, Qt.Key.Key_A)
    press(qtbot, hands, Qt.Key.Key_Return)
    assert hands.sent == [Approve(by="desk", ticket="T-9")]


def test_a_ledger_that_is_only_behind_bars_nothing(hands: Hands) -> None:
    hands.window.apply(_outage(False))
    assert hands.window.approvals.send_button.isEnabled()


def test_a_refusal_is_a_sentence_with_its_numbers_and_its_code(hands: Hands) -> None:
    hands.window.show_answer(Done(ok=False, refusal=refuse(Code.LEDGER_AWAY, facts=9, seconds=21)))
    words = "the ledger does not keep up, so no new risk is taken: facts 9, seconds 21 · LEDGER_AWAY"
    assert hands.window.notice.text == f"Denied: {words}"


def test_every_code_has_a_sentence_of_its_own() -> None:
    assert set(SENTENCES) == set(Code)
    assert len(set(SENTENCES.values())) == len(SENTENCES)
    assert (
        refusal_words(refuse(Code.BAD_FIELD, "limit", tick="0.01"))
        == "a field cannot be used at limit: tick 0.01 · BAD_FIELD"
    )
