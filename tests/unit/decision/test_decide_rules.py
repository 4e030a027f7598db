"""Own cases of the frozen rules: every threshold from both sides, ties, halves, several trends. Computed by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.decision.confluence import htf_factor
from engine.decision.engine import decide
from engine.decision.sizing import contracts as rounded
from engine.domain.signals import Breakdown, Decision
from engine.domain.values import Bias, Direction, MarketSession, Quality, Timeframe, Verdict, Weekday
from tests.unit.decision.builders import MINUTE, NOW, phase, signal, signals, trend

LONG, SHORT = Direction.LONG, Direction.SHORT
WAIT, SKIP, EXECUTE = Verdict.WAIT, Verdict.SKIP, Verdict.EXECUTE
HTF = ("240", "60")
NEARLY = 1e-9


def verdict_of(*inputs: Any, phases: Any = (), trends: Any = ()) -> Decision:
    return decide(inputs, phases, trends, NOW)


def breakdown_of(*timeframes: str, phases: Any = (), trends: Any = (), **changes: Any) -> Breakdown:
    decision = decide(signals(*timeframes, **changes), phases, trends, NOW)
    assert decision.breakdown is not None
    return decision.breakdown


# --- steps 1 to 4 --------------------------------------------------------------------------------------------------


def test_no_active_signal_waits_whatever_phases_and_trends_say() -> None:
    decision = verdict_of(phases=[phase(role="REGIME", htf_alignment=True)], trends=[trend("++++++++")])
    assert (decision.verdict, decision.confluence_score, decision.leaning) == (WAIT, 0, None)
    assert decision.reason == "no active signal"


@pytest.mark.parametrize(
    ("long", "short", "leaning", "score"),
    [
        (("240",), ("60", "30"), LONG, 40),  # 40 against 40
        (("60", "30", "15"), ("240", "5", "3"), LONG, 50),  # 50 against 50
        (("240", "5"), ("60", "30", "15"), SHORT, 50),  # 47 against 50
        (("240", "5", "3"), ("60", "30", "15"), LONG, 50),  # 50 against 50
        ((), ("3",), SHORT, 3),
        (("3",), (), LONG, 3),
        (("3",), ("5",), SHORT, 7),
    ],
)
def test_the_higher_confluence_leads_and_long_on_a_tie(
    long: tuple[str, ...], short: tuple[str, ...], leaning: Direction, score: int
) -> None:
    decision = verdict_of(*signals(*long), *signals(*short, direction="SHORT"))
    assert (decision.leaning, decision.confluence_score) == (leaning, score)


@pytest.mark.parametrize(
    ("timeframes", "score"),
    [
        (("240",), 40),
        (("60",), 25),
        (("30",), 15),
        (("15",), 10),
        (("5",), 7),
        (("3",), 3),
        (("240", "15", "5", "3"), 60),
        (("60", "30", "15", "5", "3"), 60),
        (("240", "60", "30", "15", "5", "3"), 100),
    ],
)
def test_weights_add_up_exactly(timeframes: tuple[str, ...], score: int) -> None:
    assert verdict_of(*signals(*timeframes)).confluence_score == score


def test_a_wait_carries_nothing_but_score_leaning_and_reason() -> None:
    decision = verdict_of(*signals("60", "30"))
    assert decision == Decision(
        verdict=WAIT,
        confluence_score=40,
        breakdown=None,
        raw_multiplier=None,
        recommended_contracts=0,
        direction=None,
        entry_timeframe=None,
        stop_loss=None,
        target_1=None,
        target_2=None,
        leaning=LONG,
        reason="confluence 40 below 60",
        engine_version="1.0.0",
    )


@pytest.mark.parametrize(
    ("four", "one", "verdict"),
    [(6.0, 0.0, EXECUTE), (0.0, 6.0, EXECUTE), (5.999, 5.999, WAIT), (6.0, 6.0, EXECUTE), (10.5, 0.0, EXECUTE)],
)
def test_a_direction_needs_a_4h_or_1h_signal_of_score_6(four: float, one: float, verdict: Verdict) -> None:
    decision = verdict_of(signal("240", ai_score=four), signal("60", ai_score=one), signal("30", ai_score=10.0))
    assert decision.verdict is verdict
    if verdict is WAIT:
        assert decision.reason == "no 4H or 1H signal of this direction (LONG) with score 6 or more"
        assert decision.confluence_score == 80


def test_a_4h_signal_against_the_direction_carries_nothing() -> None:
    """60, 30, 15, 5, 3 LONG are 60, and the 4H SHORT has the only score over 6."""
    decision = verdict_of(*signals("60", "30", "15", "5", "3", ai_score=5.0), signal("240", "SHORT", ai_score=9.0))
    assert (decision.verdict, decision.leaning, decision.confluence_score) == (WAIT, LONG, 60)


@pytest.mark.parametrize(
    ("timeframes", "verdict"),
    [(("240", "30", "3"), WAIT), (("240", "15", "5", "3"), EXECUTE), (("60", "30", "15", "5", "3"), EXECUTE)],
)
def test_confluence_58_waits_and_60_executes(timeframes: tuple[str, ...], verdict: Verdict) -> None:
    assert verdict_of(*signals(*timeframes)).verdict is verdict


# --- step 5 --------------------------------------------------------------------------------------------------------


def test_the_entry_is_the_slowest_aligned_signal() -> None:
    decision = verdict_of(*signals("60", "30", "15", "5", "3"), signal("240", "SHORT"))
    assert decision.entry_timeframe is Timeframe.H1
    assert verdict_of(*signals("3", "240", "60")).entry_timeframe is Timeframe.H4


# --- step 6: one factor at a time ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeframes", "factor"),
    [
        (("240", "15", "5", "3"), 1.0),  # 60
        (("240", "60", "3"), 1.0),  # 68
        (("240", "60", "5"), 1.5),  # 72
        (("240", "60", "5", "3"), 1.5),  # 75
        (("240", "60", "30"), 2.0),  # 80
        (("240", "60", "30", "5"), 2.0),  # 87
        (("240", "60", "30", "15"), 2.5),  # 90
    ],
)
def test_confluence_factor(timeframes: tuple[str, ...], factor: float) -> None:
    assert breakdown_of(*timeframes).confluence_multiplier == factor


@pytest.mark.parametrize(
    ("field", "value", "name", "factor"),
    [
        ("quality", Quality.EXTREME, "quality_multiplier", 1.3),
        ("quality", Quality.HIGH, "quality_multiplier", 1.1),
        ("quality", Quality.MEDIUM, "quality_multiplier", 1.0),
        ("rr_ratio_t1", 5.0, "rr_multiplier", 1.2),
        ("rr_ratio_t1", 5 - NEARLY, "rr_multiplier", 1.15),
        ("rr_ratio_t1", 4.0, "rr_multiplier", 1.15),
        ("rr_ratio_t1", 4 - NEARLY, "rr_multiplier", 1.1),
        ("rr_ratio_t1", 3.0, "rr_multiplier", 1.1),
        ("rr_ratio_t1", 3 - NEARLY, "rr_multiplier", 1.0),
        ("rr_ratio_t1", 2.0, "rr_multiplier", 1.0),
        ("rr_ratio_t1", 2 - NEARLY, "rr_multiplier", 0.85),
        ("rr_ratio_t1", 1.5, "rr_multiplier", 0.85),
        ("rr_ratio_t1", 1.5 - NEARLY, "rr_multiplier", 0.5),
        ("rr_ratio_t1", 0.0, "rr_multiplier", 0.5),
        ("volume_vs_avg", 1.5, "volume_multiplier", 1.1),
        ("volume_vs_avg", 1.5 - NEARLY, "volume_multiplier", 1.0),
        ("volume_vs_avg", 0.8, "volume_multiplier", 1.0),
        ("volume_vs_avg", 0.8 - NEARLY, "volume_multiplier", 0.7),
        ("volume_vs_avg", 0.0, "volume_multiplier", 0.7),
        ("trend_strength", 100.0, "trend_multiplier", 1.2),
        ("trend_strength", 80.0, "trend_multiplier", 1.2),
        ("trend_strength", 80 - NEARLY, "trend_multiplier", 1.0),
        ("trend_strength", 60.0, "trend_multiplier", 1.0),
        ("trend_strength", 60 - NEARLY, "trend_multiplier", 0.8),
        ("session", MarketSession.OPEN, "session_multiplier", 0.9),
        ("session", MarketSession.MIDDAY, "session_multiplier", 1.0),
        ("session", MarketSession.POWER_HOUR, "session_multiplier", 0.85),
        ("session", MarketSession.AFTERHOURS, "session_multiplier", 0.5),
        ("weekday", Weekday.MONDAY, "day_multiplier", 0.95),
        ("weekday", Weekday.TUESDAY, "day_multiplier", 1.1),
        ("weekday", Weekday.WEDNESDAY, "day_multiplier", 1.0),
        ("weekday", Weekday.THURSDAY, "day_multiplier", 0.95),
        ("weekday", Weekday.FRIDAY, "day_multiplier", 0.85),
    ],
)
def test_each_factor_of_the_entry_signal(field: str, value: object, name: str, factor: float) -> None:
    """65 is 1.0 and both HTF signals align 1.3: the product is 1.3 times the factor."""
    inputs = [signal("240", **{field: value}), signal("60")]
    decision = verdict_of(*inputs)
    assert decision.breakdown is not None
    assert getattr(decision.breakdown, name) == factor
    assert decision.raw_multiplier == pytest.approx(1.3 * factor, abs=1e-12)


def test_only_the_entry_signal_is_weighed() -> None:
    poor = signal("60", rr_ratio_t1=0.1, volume_vs_avg=0.1, trend_strength=1.0, session=MarketSession.AFTERHOURS)
    assert verdict_of(signal("240"), poor).raw_multiplier == 1.3


@pytest.mark.parametrize(
    ("scores", "biases", "role", "factor"),
    [
        ((6, 6), ("NEUTRAL", "NEUTRAL"), None, 1.3),
        ((6, 5), ("NEUTRAL", "NEUTRAL"), None, 1.15),
        ((5, 6), ("NEUTRAL", "NEUTRAL"), None, 1.15),
        ((6, 5), ("SHORT", "SHORT"), None, 1.15),
        ((6, 5), ("SHORT", "LONG"), None, 1.3),
        ((5, 6), ("LONG", "SHORT"), None, 1.3),
        ((5, 6), ("NEUTRAL", "NEUTRAL"), "REGIME", 1.3),
        ((5, 6), ("NEUTRAL", "NEUTRAL"), "BIAS", 1.3),
        ((5, 6), ("NEUTRAL", "NEUTRAL"), "SETUP_FORMATION", 1.15),
        ((5, 6), ("NEUTRAL", "NEUTRAL"), "STRUCTURAL", 1.15),
    ],
)
def test_htf_alignment_by_score_bias_and_phase(
    scores: tuple[float, float], biases: tuple[str, str], role: str | None, factor: float
) -> None:
    four, one = scores
    bias = {"bias_4h": Bias(biases[0]), "bias_1h": Bias(biases[1])}
    phases = [phase(role=role, trade_allowed=False)] if role else []
    decision = verdict_of(signal("240", ai_score=four, **bias), signal("60", ai_score=one, **bias), phases=phases)
    assert decision.breakdown is not None
    assert decision.breakdown.htf_alignment_multiplier == factor


def test_htf_alignment_below_good_cannot_be_reached_past_step_3() -> None:
    """Step 3 asks for one carrier, and a carrier aligns: WEAK and COUNTER stay for the function itself."""

    def factor(four: str, one: str) -> float:
        entry = signal("30", "SHORT", bias_4h=Bias(four), bias_1h=Bias(one))
        return htf_factor(SHORT, entry, (), [phase("LONG", role="BIAS")])

    assert factor("LONG", "LONG") == 0.5
    assert factor("LONG", "NEUTRAL") == 0.85
    assert factor("NEUTRAL", "LONG") == 0.85
    assert factor("NEUTRAL", "NEUTRAL") == 0.85
    assert factor("SHORT", "LONG") == 1.15


@pytest.mark.parametrize(
    ("phases", "confidence", "position"),
    [
        ([], 0.0, 0.0),
        ([phase(htf_alignment=True, confidence_score=69.9)], 0.2, 0.0),
        ([phase(htf_alignment=True, confidence_score=70.0)], 0.2, 0.1),
        ([phase(htf_alignment=False, confidence_score=100.0)], 0.0, 0.0),
        ([phase(htf_alignment=True, confidence_score=90.0, trade_allowed=False)], 0.0, 0.0),
        ([phase("SHORT", htf_alignment=True, confidence_score=90.0)], 0.0, 0.0),
        ([phase("NEUTRAL", htf_alignment=True, confidence_score=90.0)], 0.0, 0.0),
        # The largest, not the sum; and from different phases.
        ([phase(htf_alignment=True, confidence_score=80.0), phase(htf_alignment=True, event_tf="4H")], 0.2, 0.1),
        ([phase(htf_alignment=True), phase(confidence_score=99.0, event_tf="4H")], 0.2, 0.0),
    ],
)
def test_phase_boosts_are_the_largest_of_those_that_agree(phases: Any, confidence: float, position: float) -> None:
    got = breakdown_of(*HTF, phases=phases)
    assert (got.phase_confidence_boost, got.phase_position_boost) == (confidence, position)


@pytest.mark.parametrize(
    ("direction", "directions", "boost"),
    [
        ("LONG", "++++++00", 0.45),  # 6 of 8, and 240 agrees
        ("LONG", "+++++0+0", 0.30),  # 6 of 8, 240 neutral
        ("LONG", "+++++-+0", 0.30),  # 6 of 8, 240 against
        ("LONG", "++++0+00", 0.15),  # 5 of 8: MODERATE
        ("LONG", "-----+--", 0.45),  # strongly against, and 240 agrees: each counts for itself
        ("LONG", "++--0000", 0.0),
        ("SHORT", "------00", 0.45),
        ("SHORT", "00000000", 0.30),  # strong, in nothing
        ("SHORT", "0000-+00", 0.30),
        ("SHORT", "++++++++", 0.30),
        ("SHORT", "+++--+00", 0.0),
    ],
)
def test_trend_boost(direction: str, directions: str, boost: float) -> None:
    got = breakdown_of(*HTF, direction=direction, trends=[trend(directions)])
    assert got.trend_alignment_boost == pytest.approx(boost, abs=1e-12)


def test_all_factors_at_once() -> None:
    decision = decide(
        signals(
            "240", "60", "30", "15", "5", "3",
            quality=Quality.HIGH, rr_ratio_t1=1.5, volume_vs_avg=0.5, trend_strength=85.0,
            session=MarketSession.OPEN, weekday=Weekday.FRIDAY, recommended_contracts=2,
        ),
        [phase(htf_alignment=True, confidence_score=75.0)],
        [trend("++++++++")],
        NOW,
    )  # fmt: skip
    expected = 2.5 * 1.1 * 1.3 * 0.85 * 0.7 * 1.2 * 0.9 * 0.85 * 1.2 * 1.1 * 1.45
    assert decision.raw_multiplier == pytest.approx(expected, abs=1e-9)
    assert decision.breakdown is not None
    assert decision.breakdown.final_multiplier == 3.0
    assert decision.recommended_contracts == 6
    assert decision.reason == "LONG confluence 100, entry 4H, multiplier 3.74, bounded to 3"


# --- steps 7 to 9 --------------------------------------------------------------------------------------------------


def test_a_multiplier_below_half_skips_with_the_entry_signals_own_stop_and_targets() -> None:
    """1.15 × 0.5 × 0.7 = 0.4025."""
    decision = verdict_of(
        signal(
            "240", ai_score=1.0, rr_ratio_t1=1.0, volume_vs_avg=0.1, stop_loss=590.0, target_1=601.0, target_2=602.0
        ),
        signal("60", stop_loss=599.0, target_1=700.0, target_2=800.0),
    )
    assert (decision.verdict, decision.direction, decision.entry_timeframe) == (SKIP, LONG, Timeframe.H4)
    assert (decision.stop_loss, decision.target_1, decision.target_2) == (590.0, 601.0, 602.0)
    assert decision.recommended_contracts == 0
    assert decision.raw_multiplier == pytest.approx(0.4025, abs=1e-12)
    assert decision.breakdown is not None
    assert decision.breakdown.final_multiplier == 0.5
    assert decision.reason == "multiplier 0.40 below 0.5"


def test_the_nearest_multiplier_below_half_skips_and_its_reason_shows_that_it_is_below() -> None:
    """1.15 × 0.5 × 0.7 × 0.9 × 1.2 × 1.15 = 0.499905: no reachable product is nearer, or exactly 0.5."""
    entry = signal("240", rr_ratio_t1=1.0, volume_vs_avg=0.1, session=MarketSession.OPEN)
    decision = verdict_of(
        entry, signal("60", ai_score=1.0), phases=[phase(htf_alignment=True)], trends=[trend("++--0+00")]
    )
    assert decision.verdict is SKIP
    assert decision.raw_multiplier == pytest.approx(0.499905, abs=1e-9)
    assert decision.reason == "multiplier 0.4999 below 0.5"


def test_a_multiplier_just_over_half_executes_unbounded() -> None:
    """1.15 × 0.5 × 0.8 × 0.95 × 1.15 = 0.50255."""
    entry = signal("240", rr_ratio_t1=1.0, trend_strength=10.0, weekday=Weekday.MONDAY)
    decision = verdict_of(entry, signal("60", ai_score=1.0), trends=[trend("++--0+00")])
    assert decision.verdict is EXECUTE
    assert decision.breakdown is not None
    assert decision.breakdown.final_multiplier == decision.raw_multiplier == pytest.approx(0.50255, abs=1e-9)


@pytest.mark.parametrize(
    ("recommended", "multiplier_inputs", "contracts"),
    [
        (0, {}, 1),  # 0 × 1.3: never below one
        (1, {}, 1),  # 1.3
        (2, {}, 3),  # 2.6
        (5, {}, 7),  # 6.5: half up
        (15, {}, 20),  # 19.5: half up
        (4, {"rr_ratio_t1": 1.0}, 3),  # 2.6
        (10, {"rr_ratio_t1": 1.0}, 7),  # 6.5: half up
        (10_000, {}, 13_000),
    ],
)
def test_contracts_round_half_up_and_are_at_least_one(
    recommended: int, multiplier_inputs: dict[str, Any], contracts: int
) -> None:
    decision = verdict_of(signal("240", recommended_contracts=recommended, **multiplier_inputs), signal("60"))
    assert decision.recommended_contracts == contracts


@pytest.mark.parametrize(
    ("recommended", "final", "contracts"),
    [
        (1, 0.5, 1),
        (5, 0.5, 3),  # 2.5
        (1, 2.5, 3),
        (3, 0.5, 2),  # 1.5
        (1, 1.4999, 1),
        (1, 1.5, 2),
        (10, 0.8500000000000001, 9),
        (10, 0.8499999999999999, 9),  # a half that multiplying floats put a hair below itself
        (10, 0.849999, 8),
        (0, 3.0, 1),
    ],
)
def test_halves_round_up(recommended: int, final: float, contracts: int) -> None:
    assert rounded(recommended, final) == contracts


def test_long_takes_the_highest_stop_and_the_highest_targets_of_the_aligned() -> None:
    decision = verdict_of(
        signal("240", stop_loss=590.0, target_1=610.0, target_2=630.0),
        signal("60", stop_loss=595.0, target_1=605.0, target_2=640.0),
        signal("5", stop_loss=592.0, target_1=612.0, target_2=620.0),
        signal("3", "SHORT", stop_loss=599.0, target_1=700.0, target_2=700.0),
    )
    assert (decision.stop_loss, decision.target_1, decision.target_2) == (595.0, 612.0, 640.0)


def test_short_takes_the_lowest_stop_and_the_lowest_targets_of_the_aligned() -> None:
    decision = verdict_of(
        signal("240", "SHORT", stop_loss=610.0, target_1=590.0, target_2=570.0),
        signal("60", "SHORT", stop_loss=605.0, target_1=595.0, target_2=560.0),
        signal("5", "SHORT", stop_loss=608.0, target_1=588.0, target_2=580.0),
        signal("3", "LONG", stop_loss=500.0, target_1=400.0, target_2=400.0),
    )
    assert (decision.direction, decision.leaning) == (SHORT, SHORT)
    assert (decision.stop_loss, decision.target_1, decision.target_2) == (605.0, 588.0, 560.0)


# --- several trends, time -------------------------------------------------------------------------------------------


def test_of_several_trends_the_newest_counts_wherever_it_stands() -> None:
    old = trend("++++++++", timestamp=NOW - MINUTE)
    new = trend("++--0000")
    for trends in ([old, new], [new, old]):
        assert breakdown_of(*HTF, trends=trends).trend_alignment_boost == 0.0


def test_two_equal_trends_of_one_instant_are_one() -> None:
    assert breakdown_of(*HTF, trends=[trend("++++++++")] * 2).trend_alignment_boost == pytest.approx(0.45)


def test_now_changes_nothing_for_all_inputs_count_as_active() -> None:
    inputs = signals(*HTF)
    assert decide(inputs, [], [], NOW) == decide(inputs, [], [], NOW + timedelta(days=30))
