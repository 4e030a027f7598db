"""The chain: every cell says what its contract says, keys move over strikes, sides and expiries, Enter asks for a ticket."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.domain.commands import OpenTicket
from engine.domain.views import ChainExpiry, ChainRow, ChainSide, ChainView, DeskUpdate
from tests.gui import samples
from tests.gui.conftest import Hands
from widgets import numbers
from widgets.panels.chain import ChainPanel, ChainSides, figures, fitting
from widgets.panels.chain_columns import CALL, PUT, STRIKE

KEYS = Qt.Key


def press(hands: Hands, key: Qt.Key | str) -> None:
    if isinstance(key, str):
        QTest.keyClicks(hands.window.focusWidget() or hands.window, key)
    else:
        QTest.keyClick(hands.window.focusWidget() or hands.window, key)


@pytest.fixture
def panel(hands: Hands, qtbot: QtBot) -> ChainPanel:
    hands.window.show_panel("chain")
    qtbot.wait(5)
    hands.window.chain.table.centre()
    return hands.window.chain


def texts(panel: ChainPanel, strike: int) -> dict[str, str]:
    """What the row of a strike says, by side and title."""
    model = panel.model
    number = model.number_of(Decimal(strike))
    assert number is not None
    return {
        f"{'' if place == STRIKE else CALL if place < STRIKE else PUT} {column.title}".strip(): model.cell(
            number, place
        )[0]
        for place, column in enumerate(model.columns)
    }


@pytest.mark.parametrize("strike", [640, 650, 662, 668, 680])
def test_every_cell_says_what_its_contract_says(panel: ChainPanel, strike: int) -> None:
    said, row = texts(panel, strike), next(r for r in panel.view.rows if r.strike == strike)
    assert said["Strike"] == str(strike)
    for side, one in ((CALL, row.call), (PUT, row.put)):
        assert one is not None
        for title, value, decimals in (
            ("Δ", one.delta, 2),
            ("Γ", one.gamma, 3),
            ("Θ", one.theta, 2),
            ("Vega", one.vega, 2),
        ):
            assert said[f"{side} {title}"] == numbers.plain(value, decimals)
        for title, price in (("Bid", one.bid), ("Mid", one.mid), ("Ask", one.ask)):
            assert said[f"{side} {title}"] == numbers.price(price)
        assert said[f"{side} OI"] == f"{one.open_interest:,}"
        assert said[f"{side} Vol"] == f"{one.volume:,}"
        vol = "n/a" if one.iv is None else numbers.percent(one.iv, 1)
        assert said[f"{side} IV"] == vol + (f"{numbers.NARROW}†" if one.marks else "")


def test_what_is_in_the_money_stands_on_its_own_ground_and_stale_quotes_fade(panel: ChainPanel) -> None:
    model, bid, put_bid = panel.model, STRIKE - 3, STRIKE + 1
    low, high, stale = (model.number_of(Decimal(strike)) for strike in (650, 680, 668))
    assert low is not None
    assert high is not None
    assert stale is not None
    assert (model.cell(low, bid)[4], model.cell(low, put_bid)[4]) == ("surface2", "")
    assert (model.cell(high, bid)[4], model.cell(high, put_bid)[4]) == ("", "surface2")
    assert (model.cell(stale, bid)[1], model.cell(low, bid)[1]) == ("low", "hi")


def test_the_money_is_between_the_strikes_around_the_forward(panel: ChainPanel) -> None:
    table, number = panel.table, panel.model.number_of(Decimal(662))
    assert number is not None
    assert table.line() == table.rowViewportPosition(number)  # forward 661.74
    table.set_money(None)
    assert table.line() is None
    table.set_money(10_000.0)
    assert table.line() is None


def test_keys_go_over_strikes_and_sides(hands: Hands, panel: ChainPanel) -> None:
    assert panel.current is not None
    assert panel.current[0].strike == 662
    press(hands, "j")
    assert panel.current[0].strike == 663
    press(hands, "k")
    press(hands, "k")
    assert panel.current[0].strike == 661
    assert panel.current[1] is panel.current[0].call
    press(hands, KEYS.Key_Right)
    assert panel.current[1] is panel.current[0].put
    press(hands, KEYS.Key_Left)
    assert panel.current[1] is panel.current[0].call
    press(hands, "m")
    assert panel.current[0].strike == 662


def test_brackets_ask_for_other_expiries_and_say_where_they_end(hands: Hands, panel: ChainPanel) -> None:
    assert panel.asked == ("", None)  # a ticket in front moves the board and the decision, never the chain
    press(hands, "]")
    assert panel.asked == ("", date(2026, 11, 27))
    hands.window.follow("SPY")  # which it shows already
    assert panel.asked == ("SPY", date(2026, 11, 27))
    press(hands, "[")
    press(hands, "[")
    assert panel.asked == ("SPY", date(2026, 11, 25))
    panel.pick(date(2026, 11, 20))
    press(hands, "[")
    assert panel.asked == ("SPY", date(2026, 11, 20))
    assert "no sooner expiry" in hands.window.notice.text


def test_an_expiry_is_chosen_with_the_pointer(panel: ChainPanel, qtbot: QtBot) -> None:
    panel.head.grab()
    box, day = panel.head._boxes[2]
    qtbot.mouseClick(panel.head, Qt.MouseButton.LeftButton, pos=box.center())
    assert panel.day == day
    panel.head.grab()
    qtbot.mouseClick(panel.head, Qt.MouseButton.LeftButton, pos=QPoint(2, panel.head.height() - 2))
    assert panel.day == day


def test_it_follows_the_symbol_of_the_desk_and_its_own_key(hands: Hands, panel: ChainPanel) -> None:
    panel.pick(date(2026, 11, 27))
    hands.window.follow("IWM")
    assert panel.asked == ("IWM", None)
    press(hands, "s")
    assert panel.asked == ("SPY", None)
    press(hands, "s")
    assert panel.asked == ("QQQ", None)


def test_enter_asks_and_only_a_reasoned_answer_sends_a_ticket(hands: Hands, panel: ChainPanel) -> None:
    press(hands, KEYS.Key_Right)
    press(hands, KEYS.Key_Return)
    sheet = hands.window.sheet
    assert sheet.question is not None
    assert sheet.question.title == "Buy SPY 26 Nov 26 662 P"
    assert "Bid 4.91 · ask 4.98 · mid 4.945" in sheet.question.text
    sheet.quantity.setValue(3)
    sheet.accept()
    assert hands.sent == []  # no reason, no ticket
    sheet.reason.setText("hedge")
    sheet.accept()
    assert hands.sent == [OpenTicket(by="desk", contract="SPY261126P00662000", quantity=3, reason="hedge")]


def market_moves(hands: Hands, seconds: int, **quote: object) -> None:
    """The desk hears of a later moment, and of another quote of the 662 call."""
    view = hands.window.chain.view
    now = samples.NOW + timedelta(seconds=seconds)
    rows = tuple(
        msgspec.structs.replace(row, call=msgspec.structs.replace(row.call, **quote))
        if row.strike == 662 and row.call is not None
        else row
        for row in view.rows
    )
    hands.window.apply(DeskUpdate(header=samples.header(now=now), chain=msgspec.structs.replace(view, rows=rows)))


def test_a_buy_sheet_shows_the_market_of_now_with_its_source_and_age(hands: Hands, panel: ChainPanel) -> None:
    market_moves(hands, 1)
    press(hands, KEYS.Key_Return)
    sheet = hands.window.sheet
    sheet.quantity.setValue(4)
    sheet.reason.setText("half typed")
    assert f"simulated, 2{numbers.NARROW}s old" in sheet.text.text()
    market_moves(
        hands, 3, bid=Decimal("4.70"), ask=Decimal("4.80"), mid=Decimal("4.75"), at=samples.NOW + timedelta(seconds=3)
    )
    assert sheet.text.text().startswith(f"Bid 4.70 · ask 4.80 · mid 4.75\nsimulated, under 1{numbers.NARROW}s old")
    assert not sheet.warning.isVisibleTo(sheet)
    market_moves(hands, 9)
    assert (
        sheet.warning.text() == f"STALE: no new quote for 6{numbers.NARROW}s. A ticket is refused until there is one."
    )
    assert sheet.warning.isVisibleTo(sheet)
    market_moves(hands, 10, at=samples.NOW + timedelta(seconds=10), bid=None, mid=None)
    assert "no two-sided market" in sheet.warning.text()
    assert (sheet.quantity.value(), sheet.reason.text()) == (4, "half typed")  # what was typed stays
    hands.window.apply(DeskUpdate(chain=ChainView(), header=samples.header(now=samples.NOW + timedelta(seconds=40))))
    assert f"30{numbers.NARROW}s" in sheet.warning.text()  # a contract that is gone grows old
    sheet.accept()
    assert hands.sent == [OpenTicket(by="desk", contract="SPY261126C00662000", quantity=4, reason="half typed")]


def test_space_says_why_a_vol_is_missing(hands: Hands, panel: ChainPanel) -> None:
    assert panel.table.choose(Decimal(644))
    press(hands, KEYS.Key_Space)
    assert "IV n/a: mid is below what exercise pays" in hands.window.notice.text
    assert panel.table.choose(Decimal(668))
    press(hands, KEYS.Key_Space)
    assert "quote is stale, 7.0" in hands.window.notice.text
    assert panel.table.choose(Decimal(662))
    press(hands, KEYS.Key_Space)
    assert "nothing odd" in hands.window.notice.text
    number = panel.model.number_of(Decimal(644))
    tip = panel.model.data(panel.model.index(number or 0, STRIKE - 3), Qt.ItemDataRole.ToolTipRole)
    assert "mid is below" in tip


def test_only_the_cells_that_changed_are_announced(panel: ChainPanel) -> None:
    told: list[tuple[int, int, int]] = []
    panel.model.dataChanged.connect(lambda a, b: told.append((a.row(), a.column(), b.column())))
    rows = list(panel.view.rows)
    place = next(n for n, row in enumerate(rows) if row.strike == 662)
    call = rows[place].call
    assert call is not None
    rows[place] = msgspec.structs.replace(rows[place], call=msgspec.structs.replace(call, bid=Decimal("4.66")))
    panel.show_view(msgspec.structs.replace(panel.view, rows=tuple(rows)))
    assert told == [(place, STRIKE - 3, STRIKE - 3)]


def test_a_side_that_is_not_listed_is_blank_and_cannot_be_bought(hands: Hands, panel: ChainPanel) -> None:
    rows = tuple(msgspec.structs.replace(row, put=None) for row in panel.view.rows)
    hands.window.apply(DeskUpdate(chain=msgspec.structs.replace(panel.view, rows=rows)))
    assert texts(panel, 662)["put Bid"] == texts(panel, 662)["put IV"] == texts(panel, 662)["put OI"] == ""
    press(hands, KEYS.Key_Right)
    press(hands, KEYS.Key_Return)
    assert "No contract is selected" in hands.window.notice.text


def test_what_was_not_told_is_not_nought(hands: Hands, panel: ChainPanel) -> None:
    bare = ChainSide(
        osi="SPY261126C00662000", bid=None, ask=Decimal("0.05"), mid=None, iv=None, why="no two-sided quote"
    )
    view = msgspec.structs.replace(
        panel.view, rows=(ChainRow(strike=Decimal(662), call=bare, put=None),), vol=None, move=None
    )
    hands.window.apply(DeskUpdate(chain=view))
    said = texts(panel, 662)
    assert said["call Bid"] == said["call OI"] == said["call Δ"] == numbers.NONE
    assert said["call IV"] == "n/a"
    assert ("ATM IV", numbers.NONE) in figures(view)


def test_source_and_age_are_in_the_title(panel: ChainPanel) -> None:
    assert (
        panel.summary
        == f"SPY 26 Nov 26 · 60 of 146 strikes · American, parity forward, simulated · mid 0.2{numbers.NARROW}s"
    )
    panel.show_view(ChainView())
    assert panel.summary == "no symbol"


@pytest.mark.parametrize(
    ("place", "room", "seen"), [(0, 30, (0, 3)), (5, 30, (4, 7)), (9, 30, (7, 10)), (4, 1000, (0, 10)), (4, 5, (4, 5))]
)
def test_the_expiry_that_is_shown_stays_in_sight(place: int, room: int, seen: tuple[int, int]) -> None:
    assert fitting([10] * 10, place, room) == seen
    assert fitting([], 0, 100) == (0, 0)


def test_the_chain_layout_shows_it_large(hands: Hands, qtbot: QtBot) -> None:
    hands.window.docks.arrange("chain")
    qtbot.wait(20)
    assert hands.window.docks.visible("chain")
    assert hands.window.docks.visible("approvals")
    assert not hands.window.docks.visible("signals")
    hands.window.apply(samples.full())
    assert hands.window.chain.width() > 800


@pytest.mark.parametrize(("dte", "said"), [(0, "n/a, 0DTE"), (1, "n/a, under a day")])
def test_a_carry_that_cannot_be_determined_is_not_a_number(dte: int, said: str) -> None:
    view = samples.chain()
    day = date(2026, 11, 20) + timedelta(days=dte)
    near = msgspec.structs.replace(view, expiry=day, expiries=(ChainExpiry(day=day, dte=dte),), carry=None)
    assert ("Carry", said) in figures(near)
    assert ("Carry", f"1.10{numbers.NARROW}%") in figures(view)


def test_the_halves_are_headed_and_meet_at_the_strike(hands: Hands, panel: ChainPanel, qtbot: QtBot) -> None:
    sides = panel.content.findChild(ChainSides)
    assert isinstance(sides, ChainSides)
    for layout in ("chain", "trade"):
        hands.window.docks.arrange(layout)
        qtbot.wait(20)
        hands.window.show_panel("chain")
        calls, puts = sides.halves()
        table = panel.table
        assert calls.right() + 1 == table.columnViewportPosition(STRIKE)
        assert puts.left() == table.columnViewportPosition(STRIKE) + table.columnWidth(STRIKE)
        sides.grab()
        assert sides.cut == []
