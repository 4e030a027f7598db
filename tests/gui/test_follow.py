"""What the desk follows, remembers and says by itself."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtCore import QSettings, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.domain.values import ExitAction
from engine.domain.views import DecisionsView, DeskUpdate, ExitsView, PositionsView, SignalsView, TicketsView
from tests.gui import samples
from tests.gui.conftest import Hands
from widgets.theme import Look


def press(hands: Hands, *keys: Qt.Key) -> None:
    for key in keys:
        QTest.keyClick(hands.window.focusWidget() or hands.window, key)


def newest(hands: Hands, symbol: str) -> None:
    """A new decision of that symbol."""
    rows = samples.decisions().rows
    row = next(row for row in rows if row.symbol == symbol)
    newer = msgspec.structs.replace(row, seq=99_000)
    rest = tuple(row for row in rows if row.symbol != symbol)
    hands.window.apply(DeskUpdate(decisions=DecisionsView(rows=(newer, *rest))))


def test_the_decision_follows_the_newest_until_a_symbol_is_chosen(qtbot: QtBot, hands: Hands) -> None:
    decision = hands.window.decision
    hands.window.apply(DeskUpdate(tickets=TicketsView()))
    newest(hands, "IWM")
    assert decision.shown is not None
    assert decision.shown.symbol == "IWM"
    hands.window.show_panel("signals")  # its first row is selected by no one's choice
    assert hands.window.signals.current is not None
    newest(hands, "QQQ")
    assert decision.shown.symbol == "QQQ"
    press(hands, Qt.Key.Key_J, Qt.Key.Key_K)
    assert decision.shown.symbol == "SPY"
    newest(hands, "IWM")
    assert decision.shown.symbol == "SPY"
    assert decision.summary.startswith("IWM is newer: Esc")
    press(hands, Qt.Key.Key_Escape)
    assert decision.shown.symbol == "IWM"
    assert hands.window.confluence.board.symbol == ""


def test_while_a_ticket_waits_its_decision_is_shown(hands: Hands) -> None:
    window, ticket = hands.window, samples.ticket()
    newest(hands, "IWM")
    assert window.decision.shown is not None
    assert window.decision.shown.symbol == ticket.symbol == "SPY"
    window.follow("IWM")
    assert window.decision.shown.symbol == "IWM"
    other = msgspec.structs.replace(ticket, id="T-9", symbol="QQQ")
    window.apply(DeskUpdate(tickets=TicketsView(rows=(other,))))
    assert window.decision.shown.symbol == "QQQ"
    window.apply(DeskUpdate(tickets=TicketsView()))
    assert window.decision.shown.symbol == "IWM"


def test_a_row_that_goes_takes_no_one_along(qtbot: QtBot, hands: Hands) -> None:
    hands.window.show_panel("positions")
    press(hands, Qt.Key.Key_J)
    assert hands.window.symbol == "QQQ"
    rows = tuple(row for row in samples.positions().rows if row.symbol != "QQQ")
    hands.window.apply(DeskUpdate(positions=PositionsView(rows=rows)))
    assert hands.window.symbol == "QQQ"


def test_theme_pair_and_scale_are_there_after_the_next_start(hands: Hands, tmp_path: Path, qtbot: QtBot) -> None:
    hands.look.set(theme="light", pair="blue-orange", scale=120)
    hands.window.close_now()
    look = Look()
    again = Hands(look, tmp_path / "state.ini")
    qtbot.addWidget(again.window)
    assert (look.theme, look.pair, look.scale) == ("light", "blue-orange", 120)
    again.window.close_now()


def test_a_look_that_means_nothing_is_passed_over(hands: Hands, tmp_path: Path, qtbot: QtBot) -> None:
    settings = QSettings(str(tmp_path / "other.ini"), QSettings.Format.IniFormat)
    for name, value in (("theme", "mauve"), ("pair", "a-b"), ("scale", "²")):
        settings.setValue(f"look/{name}", value)
    settings.sync()
    look = Look()
    again = Hands(look, tmp_path / "other.ini")
    qtbot.addWidget(again.window)
    assert (look.theme, look.pair, look.scale) == ("dark", "teal-vermilion", 100)
    again.window.close_now()


def test_the_title_says_the_most_important(hands: Hands) -> None:
    window = hands.window
    assert window.windowTitle() == "Strikedesk · PAPER · 1 ticket · 4 positions · SPY EXECUTE 82"
    window.apply(DeskUpdate(header=samples.header(halted=True), tickets=TicketsView(), positions=PositionsView()))
    assert window.windowTitle() == "Strikedesk · PAPER · HALTED · SPY EXECUTE 82"


def test_tab_moves_from_quantity_to_reason_to_the_buttons_and_round(hands: Hands) -> None:
    hands.window.follow("IWM")
    press(hands, Qt.Key.Key_O)
    sheet = hands.window.sheet
    stops = [sheet.reason, sheet.go, sheet.leave, sheet.quantity]
    for stop in stops:
        press(hands, Qt.Key.Key_Tab)
        assert hands.window.focusWidget() is stop
    QTest.keyClick(hands.window.focusWidget(), Qt.Key.Key_Backtab)
    assert hands.window.focusWidget() is sheet.leave


def test_the_exits_title_counts_alerts_and_names_what_acts(hands: Hands) -> None:
    rows = tuple(
        msgspec.structs.replace(row, fired=row.action is ExitAction.ALERT)
        for row in sorted(samples.exits().rows, key=lambda row: row.action is ExitAction.ALERT)
    )
    hands.window.apply(DeskUpdate(exits=ExitsView(rows=rows)))
    alerts = sum(row.fired for row in rows)
    assert alerts >= 1
    assert hands.window.exits.summary.startswith(f"nearest: {rows[0].rule} ")
    assert hands.window.exits.summary.endswith(f"{alerts} alert{'s' if alerts > 1 else ''}")


def test_a_signal_of_another_day_shows_its_day(hands: Hands) -> None:
    row = msgspec.structs.replace(samples.signals().rows[0], today=False)
    hands.window.apply(DeskUpdate(signals=SignalsView(rows=(row,))))
    assert hands.window.signals.model.index(0, 0).data() == "20 Nov"


def test_a_recording_that_runs_faster_says_so_in_the_band(hands: Hands) -> None:
    hands.window.apply(DeskUpdate(header=samples.header(market="RECORDED", speed=60.0)))
    left, _, right = hands.window.band.texts()
    assert left == "PAPER · RECORDED MARKET"
    assert right.startswith("RECORDED 60× FRI 20 NOV 2026")
