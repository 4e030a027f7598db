"""The tape, the board and the decisions as a person sees them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from engine.domain import events as ev
from engine.domain.entities import Heard, SymbolBoard
from engine.domain.values import Bias, Direction, Policy, Quality, Timeframe, Verdict
from engine.domain.views import FaceKind
from engine.state import State
from engine.views import board as views
from tests.builders_journey import Desk
from tests.builders_trading import NOON
from tests.fakes.hostile import phase_body, trend_body
from tests.unit.views.views import seen_by_hand, seen_of


def heard(seq: int = 5, outcome: str = "WAIT", **fields: object) -> Heard:
    made: dict[str, object] = {
        "seq": seq, "at": NOON, "kind": "signal", "symbol": "SPY", "text": "SPY 5m LONG HIGH", "outcome": outcome,
    }  # fmt: skip
    return Heard(**{**made, **fields})  # type: ignore[arg-type]


# --- signals


def test_before_the_first_signal_the_tape_says_what_to_do() -> None:
    view = views.signals_view(seen_by_hand())
    assert view.rows == ()
    assert view.heard_ago is None
    assert (view.face.kind, view.face.action) == (FaceKind.EMPTY, "panel.welcome")


def test_the_newest_signal_is_first_and_only_so_many_are_shown() -> None:
    state = State()
    for seq in range(1, views.SHOWN + 5):
        state.heard[seq] = heard(seq, at=NOON - timedelta(days=1) if seq == 1 else NOON - timedelta(seconds=7))
    view = views.signals_view(seen_by_hand(state))
    assert [row.seq for row in view.rows][:2] == [views.SHOWN + 4, views.SHOWN + 3]
    assert len(view.rows) == views.SHOWN
    assert view.today == views.SHOWN + 3
    assert view.heard_ago == 7.0
    assert view.face.kind is FaceKind.FULL


def test_on_a_closed_day_today_is_counted_by_the_date() -> None:
    state = State()
    saturday = NOON + timedelta(days=1)
    state.heard[1] = heard(1, at=saturday)
    assert views.signals_view(seen_by_hand(state, now=saturday)).today == 1


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (heard(outcome="WAIT"), ("SPY 5m LONG", Direction.LONG, Quality.HIGH, "WAIT")),
        (heard(outcome=""), ("SPY 5m LONG", Direction.LONG, Quality.HIGH, "being weighed")),
        (heard(outcome="EXECUTE"), ("SPY 5m LONG", Direction.LONG, Quality.HIGH, "EXECUTE, no entry")),
        (heard(outcome="EXECUTE", ticket="T9"), ("SPY 5m LONG", Direction.LONG, Quality.HIGH, "EXECUTE")),
        (
            heard(outcome="denied PRICE_DRIFT move=1.12 limit=0.88"),
            ("SPY 5m LONG", Direction.LONG, Quality.HIGH, "denied PRICE_DRIFT move=1.12 limit=0.88"),
        ),
        (heard(text="", kind="unknown", symbol="", outcome="NOT_JSON"), ("unknown", None, None, "NOT_JSON")),
        (heard(text="SPY trend", kind="trend"), ("SPY trend", None, None, "WAIT")),
    ],
)
def test_a_row_of_the_tape(row: Heard, shown: tuple[object, ...]) -> None:
    made = views.signal_row(row)
    assert (made.text, made.direction, made.quality, made.outcome) == shown


# --- confluence


def test_an_empty_board_says_so() -> None:
    state = State()
    state.boards["SPY"] = SymbolBoard(symbol="SPY")
    view = views.confluence_view(seen_by_hand(state))
    assert view.rows == ()
    assert view.face.what == "Nothing is active on the board."


async def test_a_boards_row_shows_cells_with_their_life_phase_and_trend() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.post(trend_body() | {"price": 600.0})
    desk.post(phase_body())
    desk.signal("240", quality="EXTREME", ai_score=8.8)
    desk.wait(60)
    (row,) = views.confluence_view(seen_of(desk)).rows
    cell = row.cells[0]
    assert (cell.timeframe, cell.direction, cell.quality, cell.ai_score) == (
        Timeframe.H4, Direction.LONG, Quality.EXTREME, 8.8,
    )  # fmt: skip
    assert 0.99 < cell.left < 1.0 or cell.left == 1.0
    assert cell.seconds > 7200
    assert [(c.timeframe, c.direction) for c in row.cells[1:]] == [(t, None) for t in list(Timeframe)[1:]]
    assert (row.score, row.leaning, row.verdict) == (40, Direction.LONG, Verdict.WAIT)
    assert row.missing
    assert (row.phase, row.phase_score) == ("4H ENTER_ACCUMULATION", 85)
    assert (row.trend_count, row.trend_bias) == ("8/8", Bias.LONG)
    assert row.guard == ""


async def test_what_is_over_is_off_the_row() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.post(trend_body() | {"price": 600.0})
    desk.post(phase_body())
    desk.signal("5")
    later = seen_of(desk, now=desk.now + timedelta(hours=9))
    row = views.confluence_row(later.state.boards["SPY"], later.now)
    assert (row.phase, row.phase_score, row.trend, row.trend_bias, row.score) == ("", None, "", None, 0)
    assert all(cell.direction is None for cell in row.cells)


async def test_a_contradiction_bars_entries_for_so_long() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("60", "LONG", quality="EXTREME", ai_score=9.0)
    desk.signal("60", "SHORT", quality="MEDIUM", ai_score=5.0)
    board = desk.state.boards["SPY"]
    assert board.contradicted_until is not None
    row = views.confluence_row(board, desk.now)
    minutes = int((board.contradicted_until - desk.now).total_seconds() // 60)
    assert row.guard == f"CONTRADICTED, no entries for {minutes} m"
    assert views.confluence_row(board, board.contradicted_until).guard == ""


async def test_what_is_held_against_the_side_blocks_the_reach() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240", "SHORT", quality="EXTREME", ai_score=9.0)
    desk.signal("60", "LONG")
    desk.signal("30", "LONG")
    desk.signal("15", "LONG")
    desk.signal("5", "LONG")
    row = views.confluence_row(desk.state.boards["SPY"], desk.now)
    assert row.leaning is Direction.LONG
    assert row.reachable < 100
    assert row.blocked.startswith("barred by 4H")


# --- decisions


def test_a_board_without_a_decision_has_no_view() -> None:
    assert views.decision_view(SymbolBoard(symbol="SPY"), NOON, None) is None
    assert views.decisions_view(seen_by_hand(), ()).face.action == "welcome.test"


async def test_a_decision_shows_its_factors_with_what_is_behind_them() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    fact = desk.signal("60", volume=1.6, strength=84.0, rr=2.4)
    board, row = desk.state.boards["SPY"], desk.state.heard[fact.seq]
    view = views.decision_view(board, desk.now, row)
    assert view is not None
    assert (view.verdict, view.by, view.trigger, view.overridable) == (Verdict.EXECUTE, "signal", "1H", False)
    assert view.at == row.at
    assert view.factors[0].name == f"Confluence {view.score}"
    assert len(view.factors) == 11
    raw = 1.0
    for factor in view.factors:
        assert factor.low <= factor.value <= factor.high
        raw *= factor.value
    assert view.raw == pytest.approx(raw, rel=0.01)
    assert view.inputs == ("4H LONG HIGH 8.0", "1H LONG HIGH 8.0")
    assert view.counterfactuals
    assert all(text[:1].isupper() for text in view.counterfactuals)
    assert view.denial == view.stage == ""
    assert views.decisions_view(seen_of(desk), (view,)).rows == (view,)


async def test_inputs_name_phases_and_the_trend_until_they_are_over() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.post(trend_body() | {"price": 600.0})
    desk.post(phase_body())
    fact = desk.signal("5")
    board, row = desk.state.boards["SPY"], desk.state.heard[fact.seq]
    view = views.decision_view(board, desk.now, row)
    assert view is not None
    assert view.inputs == ("5m LONG HIGH 8.0", "phase REGIME 4H", "trend 8/8")
    later = views.decision_view(board, desk.now + timedelta(hours=9), row)
    assert later is not None
    assert later.inputs == ()


async def test_a_denied_execute_says_the_refusal_whole_and_may_be_overridden() -> None:
    desk = Desk({"risk.entries_per_day": "1"})
    desk.bought()
    fact = desk.signal("30")
    row = desk.state.heard[fact.seq]
    view = views.decision_view(desk.state.boards["SPY"], desk.now, row)
    assert view is not None
    assert view.denial == desk.last(ev.EntryDenied).refusal.text
    assert "=" in view.denial
    assert (view.stage, view.overridable) == ("the rules", True)


async def test_a_decision_by_the_clock_has_no_trigger_and_its_own_time() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("5")
    board = desk.state.boards["SPY"]
    view = views.decision_view(board, desk.now, None)
    assert view is not None
    assert (view.by, view.trigger, view.at) == ("expiry", "", desk.now)


async def test_an_execute_against_the_trigger_says_that_it_opens_nothing() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    fact = desk.signal("3", "SHORT", quality="MEDIUM")
    view = views.decision_view(desk.state.boards["SPY"], desk.now, desk.state.heard[fact.seq])
    assert view is not None
    assert view.verdict is Verdict.EXECUTE
    assert view.reason.endswith(views.NO_ENTRY)


async def test_a_short_form_names_what_it_did_not_send() -> None:
    desk = Desk(policy=Policy.MANUAL)
    fact = desk.post({"ticker": "SPY", "action": "buy", "timeframe": "240"})
    desk.signal("60")
    board = desk.state.boards["SPY"]
    view = views.decision_view(board, desk.now, desk.state.heard[fact.seq])
    assert view is not None
    assert view.assumed
    assert board.decision is not None
    gone = msgspec.structs.replace(board, signals=())
    without = views.decision_view(gone, desk.now, None)
    assert without is not None
    assert without.assumed == ()
    assert without.factors[1].name == "Quality"
