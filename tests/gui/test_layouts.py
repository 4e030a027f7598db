"""Layouts that stay what they are: whichever was there before, and whatever was brought to sight in them."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint
from pytestqt.qtbot import QtBot

from app.actions import ACTIONS
from tests.gui import samples
from tests.gui.conftest import Hands
from widgets.docks import LAYOUTS, Docks
from widgets.theme import Look
from widgets.window import DeskWindow

ROUGH = 3
"""Pixels that a place may differ by."""
SHOWN = {
    "trade": {"confluence", "decision", "signals", "positions", "orders", "approvals", "exits", "greeks", "story"},
    "review": {"signals", "story", "decision", "log", "greeks"},
    "quiet": {"positions", "approvals", "exits", "greeks"},
    "chain": {"chain", "approvals", "positions", "greeks"},
}

Places = dict[str, tuple[int, int, int, int]]


def places(docks: Docks) -> Places:
    """What can be seen, and where."""
    return {
        name: (dock.x(), dock.y(), dock.width(), dock.height())
        for name, dock in docks.docks.items()
        if docks.visible(name)
    }


def change(qtbot: QtBot, docks: Docks, name: str) -> Places:
    docks.arrange(name)
    qtbot.wait(20)  # docks take their sizes when control returns to the loop
    return places(docks)


def same(one: Places, other: Places) -> bool:
    return one.keys() == other.keys() and all(
        abs(a - b) <= ROUGH for name in one for a, b in zip(one[name], other[name], strict=True)
    )


def covered(docks: Docks) -> list[tuple[str, str]]:
    """Panels that lie over one another, are cut off, or have windows of their own."""
    found = []
    seen = [name for name in docks.docks if docks.visible(name)]
    for place, name in enumerate(seen):
        dock = docks.docks[name]
        if dock.isWindow() or not docks.rect().contains(dock.geometry()):
            found.append((name, ""))
        found += [
            (name, other) for other in seen[place + 1 :] if dock.geometry().intersects(docks.docks[other].geometry())
        ]
    return found


def test_a_layout_is_the_same_each_time_whichever_was_there_before(qtbot: QtBot, hands: Hands) -> None:
    docks = hands.window.docks
    first = {name: change(qtbot, docks, name) for name in LAYOUTS}
    assert {name: set(found) for name, found in first.items()} == SHOWN
    for one, other in permutations(LAYOUTS, 2):
        for name in (one, other, one, other):
            found = change(qtbot, docks, name)
            assert same(found, first[name]), (one, other, name, found, first[name])
            assert covered(docks) == []


def test_a_layout_left_in_the_same_moment_comes_back_as_designed(qtbot: QtBot, hands: Hands) -> None:
    docks = hands.window.docks
    designed = {name: change(qtbot, docks, name) for name in LAYOUTS}
    docks.reset()
    for name in (*LAYOUTS, *LAYOUTS):
        docks.arrange(name)
    for name in LAYOUTS:
        assert same(change(qtbot, docks, name), designed[name]), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_panel_that_is_brought_to_sight_takes_a_place_among_the_others(
    qtbot: QtBot, hands: Hands, layout: str
) -> None:
    docks = hands.window.docks
    for name in docks.docks:
        docks.arrange(layout, fresh=True)
        qtbot.wait(5)
        before = set(places(docks))
        hands.window.show_panel(name)
        qtbot.wait(5)
        after = set(places(docks))
        assert name in after
        assert covered(docks) == []
        assert len(after) == len(before), "one in front of another, which keeps its tab"
        for hidden in before - after:
            assert docks.docks[hidden] in docks.tabifiedDockWidgets(docks.docks[name])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_first_start_shows_its_steps_inside_the_window(
    qtbot: QtBot, look: Look, tmp_path: Path, layout: str
) -> None:
    window = DeskWindow(lambda _: None, lambda _: None, tmp_path / "desk.ini", ACTIONS, look, layout)
    try:
        window.show()
        window.docks.reveal("welcome")  # as the bridge does, before anything is painted
        qtbot.wait(20)
        window.apply(samples.empty())
        qtbot.wait(5)
        dock = window.docks.docks["welcome"]
        assert not dock.isWindow()
        assert window.docks.visible("welcome")
        assert dock.mapTo(window.docks, QPoint(0, 0)).y() > 0
        assert covered(window.docks) == []
        assert len(places(window.docks)) == len(SHOWN[layout])
    finally:
        window.close_now()
        window.deleteLater()
