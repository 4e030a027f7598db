"""Small words that must be right: since when, who needs a hand, which bet, and a hint that goes when it is over."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.domain.views import DeskUpdate, Lamp, LampState, StoryCard, StoryStep
from tests.gui import samples
from tests.gui.conftest import Hands
from tests.gui.test_keys import press
from widgets import numbers
from widgets.panels.story import when_of
from widgets.panels.ticket import strip


def test_an_order_says_when_it_last_changed_and_how_long_ago(hands: Hands) -> None:
    model = hands.window.orders.model
    place = next(n for n, column in enumerate(model.columns) if column.title == "Since")
    said = [model.cell(row, place)[0] for row in range(model.rowCount())]
    assert said == [f"13:43 · 24{numbers.NARROW}m", f"14:07 · 4{numbers.NARROW}s", f"13:30 · 36{numbers.NARROW}m"]


@pytest.mark.parametrize(("second", "wrong"), [("P", ""), ("Z", "leads nowhere")])
def test_what_may_follow_a_chord_goes_with_the_chord(qtbot: QtBot, hands: Hands, second: str, wrong: str) -> None:
    press(qtbot, hands, Qt.Key.Key_G)
    assert "positions" in hands.window.notice.text
    press(qtbot, hands, getattr(Qt.Key, f"Key_{second}"))
    assert "P positions" not in hands.window.notice.text
    assert wrong in hands.window.notice.text
    assert hands.window.notice.isVisible() == bool(wrong)


@pytest.mark.parametrize(
    ("names", "said"),
    [(["Ledger"], "Ledger needs you"), (["Ledger", "Notice"], "Ledger and Notice need you"),
     (["Ledger", "Notice", "Loop"], "Ledger, Notice and Loop need you"), ([], "all that is set up works")],
)  # fmt: skip
def test_who_needs_a_hand_is_a_sentence(hands: Hands, names: list[str], said: str) -> None:
    health = samples.full().health
    assert health is not None
    lamps = tuple(Lamp(id=name, name=name, state=LampState.WARN, text="") for name in names)
    hands.window.apply(DeskUpdate(health=msgspec.structs.replace(health, lamps=lamps)))
    assert hands.window.health.summary == said


def test_a_step_that_did_not_come_is_not_still_to_come() -> None:
    assert when_of(StoryCard(step=StoryStep.ORDER, title="did not come")) == ""
    assert when_of(StoryCard(step=StoryStep.ORDER, title="BUY 2", at=samples.NOW)) == "14:07:32"


@pytest.mark.parametrize(
    ("bets", "group", "said"),
    [(1, "SPY/QQQ/IWM", "1st SPY long"), (2, "SPY/QQQ/IWM", "2nd in SPY/QQQ/IWM"), (2, "", "2nd SPY long")],
)
def test_the_same_bet_says_what_it_counts(bets: int, group: str, said: str) -> None:
    pairs = {name: value for name, value, _ in strip(samples.ticket(same_bets=bets, group=group))}
    assert pairs["Same bet"] == said
