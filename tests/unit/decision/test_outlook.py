"""What could still come of a board, and what would change the verdict."""

from __future__ import annotations

from engine.decision.board import place_phase, place_signal, place_trend
from engine.decision.engine import decide
from engine.decision.outlook import highest_reachable, what_if
from engine.domain.entities import SymbolBoard
from engine.domain.signals import Signal
from engine.domain.values import Direction, Quality, Timeframe, Verdict
from tests.unit.decision.builders import MINUTE, NOW, phase, signal, signals, trend

EMPTY = SymbolBoard(symbol="SPY")


def board_of(*sent: Signal) -> SymbolBoard:
    board = EMPTY
    for source, one in enumerate(sent):
        board = place_signal(board, source, one, NOW).board
    return board


def test_everything_is_in_reach_of_an_empty_board() -> None:
    got = highest_reachable(EMPTY, NOW)
    assert (got.direction, got.score, got.highest, got.decidable) == (None, 0, 100, True)
    assert [step.makes for step in got.steps] == [40, 25, 15, 10, 7, 3]
    assert got.blocked_text == ""


def test_empty_timeframes_may_fill_up() -> None:
    got = highest_reachable(board_of(*signals("240", "60")), NOW)
    assert (got.direction, got.score, got.highest) == (Direction.LONG, 65, 100)
    assert [step.text for step in got.steps] == ["30m makes 80", "15m makes 75", "5m makes 72", "3m makes 68"]


def test_an_opposite_signal_may_be_replaced_by_strictly_higher_quality() -> None:
    got = highest_reachable(
        board_of(
            *signals("240", "60"),
            signal("30", "SHORT", quality=Quality.MEDIUM),
            signal("15", "SHORT", quality=Quality.HIGH),
        ),
        NOW,
    )
    assert got.highest == 100
    assert [step.text for step in got.steps][:2] == ["HIGH 30m makes 80", "EXTREME 15m makes 75"]


def test_an_opposite_extreme_signal_blocks_until_it_expires() -> None:
    board = board_of(
        signal("240"), signal("60", "SHORT", quality=Quality.EXTREME), signal("3", "SHORT", quality=Quality.EXTREME)
    )
    got = highest_reachable(board, NOW)
    assert (got.score, got.highest, got.blocked) == (40, 72, (Timeframe.H1, Timeframe.M3))
    assert got.blocked_text == "1H SHORT EXTREME, 3m SHORT EXTREME"
    later = highest_reachable(board, NOW + 135 * MINUTE)
    assert (later.highest, later.blocked_text) == (100, "")


def test_carriers_of_a_low_score_that_nothing_may_replace_leave_nothing_to_decide() -> None:
    weak = signals("240", "60", quality=Quality.EXTREME, ai_score=5.0)
    got = highest_reachable(board_of(*weak), NOW)
    assert (got.highest, got.decidable) == (100, False)
    assert highest_reachable(board_of(weak[0], signal("60", quality=Quality.HIGH, ai_score=5.0)), NOW).decidable
    assert highest_reachable(board_of(weak[0], signal("60", quality=Quality.EXTREME, ai_score=6.0)), NOW).decidable


def test_a_leaning_that_cannot_reach_60_is_not_decidable() -> None:
    """Long leads with 50 on a tie, and the other 50 are all held against it by EXTREME signals."""
    against = [signal(timeframe, "SHORT", quality=Quality.EXTREME) for timeframe in ("60", "30", "5", "3")]
    got = highest_reachable(board_of(*signals("240", "15"), *against), NOW)
    assert (got.direction, got.highest, got.decidable) == (Direction.LONG, 50, False)


def test_a_leaning_that_can_just_reach_60_is_decidable() -> None:
    against = [signal(timeframe, "SHORT", quality=Quality.EXTREME) for timeframe in ("60", "30")]
    got = highest_reachable(board_of(signal("240"), *against), NOW)
    assert (got.direction, got.highest, got.decidable) == (Direction.LONG, 60, True)


def test_without_a_carrying_signal_an_execute_would_wait() -> None:
    found = what_if(board_of(signal("240"), signal("60"), signal("30"), signal("5")), NOW)
    texts = [one.text for one in found]
    assert texts == ["would be WAIT without 4H (87 → 47)"]


def test_without_confluence_an_execute_would_wait() -> None:
    found = what_if(board_of(*signals("240", "60")), NOW)
    assert [one.text for one in found] == ["would be WAIT without 4H (65 → 25)", "would be WAIT without 1H (65 → 40)"]
    assert all(one.decision.verdict is Verdict.WAIT for one in found)


def test_a_wait_names_the_signal_that_would_execute_and_what_it_assumes() -> None:
    found = what_if(board_of(*signals("60", "30")), NOW)
    assert [(one.text, one.assumes) for one in found] == [
        ("would EXECUTE with a 4H signal (40 → 80)", "LONG, MEDIUM, score 6, the rest as the 1H signal")
    ]


def test_the_assumed_signal_keeps_a_better_score_of_its_model() -> None:
    found = what_if(board_of(signal("60", ai_score=8.5), signal("30")), NOW)
    assert found[0].assumes == "LONG, MEDIUM, score 8.5, the rest as the 1H signal"


def test_an_opposite_signal_that_turned_would_execute() -> None:
    """240 LONG 40 against 60 SHORT 25: turned, it makes 65."""
    found = what_if(board_of(signal("240"), signal("60", "SHORT")), NOW)
    assert [(one.text, one.assumes) for one in found] == [
        ("would EXECUTE with 1H turned LONG (40 → 65)", "LONG, HIGH, score 6, the rest as the 4H signal")
    ]


def test_an_execute_at_the_edge_waits_without_any_of_its_signals() -> None:
    """60 LONG against 40 SHORT: without the 1H the SHORT side leads, with 40."""
    board = board_of(signal("240", "SHORT"), *signals("60", "30", "15", "5", "3"))
    assert [one.text for one in what_if(board, NOW)] == [
        "would be WAIT without 1H (60 → 40)",
        "would be WAIT without 30m (60 → 45)",
        "would be WAIT without 15m (60 → 50)",
        "would be WAIT without 5m (60 → 53)",
        "would be WAIT without 3m (60 → 57)",
    ]


def test_the_phases_and_the_trend_that_hold_a_trade_over_half_are_named_with_the_multiplier() -> None:
    """1.15 × 0.5 × 0.8 = 0.46; a phase makes it 0.552, a trend 0.529."""
    entry = signal("240", rr_ratio_t1=1.0, trend_strength=10.0)
    board = board_of(entry, signal("60", ai_score=1.0))
    board = place_phase(board, 8, phase(htf_alignment=True), NOW).board
    with_phase = [one.text for one in what_if(board, NOW)]
    assert "would SKIP without the phases (multiplier 0.55 → 0.46)" in with_phase
    board = place_trend(EMPTY, 9, trend("++--0+00"), NOW).board
    for source, one in enumerate((entry, signal("60", ai_score=1.0))):
        board = place_signal(board, source, one, NOW).board
    assert "would SKIP without the trend (multiplier 0.53 → 0.46)" in [one.text for one in what_if(board, NOW)]


def test_an_empty_board_has_nothing_to_vary() -> None:
    assert what_if(EMPTY, NOW) == ()
    assert what_if(board_of(signal("3")), NOW + 60 * MINUTE) == ()


def test_every_counterfactual_is_the_engines_own_answer() -> None:
    board = board_of(*signals("240", "60", "30"))
    without = [held.signal for held in board.signals if held.signal.timeframe is not Timeframe.H4]
    assert what_if(board, NOW)[0].decision == decide(without, [], [], NOW)
