"""What holds for every decision and every board, not only for worked cases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.decision.board import active, expire, next_expiry, place_phase, place_signal, place_trend
from engine.decision.engine import decide
from engine.decision.matrices import FACTOR_RANGES, WEIGHTS
from engine.decision.outlook import highest_reachable, what_if
from engine.decision.validity import validity_minutes
from engine.domain.canonical import canonical
from engine.domain.entities import SymbolBoard
from engine.domain.signals import Breakdown, Decision, Phase, Signal, Trend
from engine.domain.values import Bias, Direction, MarketSession, Quality, Timeframe, Verdict, Weekday
from tests.unit.decision.builders import MINUTE, NOW, trend

steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no counterexample."""

MIRROR = 1200.0
"""Prices are mirrored at 600: what a stop below is to LONG, a stop above is to SHORT."""

prices = st.integers(min_value=300, max_value=900).map(float)
signals = st.builds(
    Signal,
    symbol=st.just("SPY"),
    direction=st.sampled_from(Direction),
    timeframe=st.sampled_from(Timeframe),
    quality=st.sampled_from(Quality),
    ai_score=st.sampled_from([0.0, 5.9, 6.0, 8.0, 10.5]),
    bar_close=st.just(NOW),
    price=prices,
    stop_loss=prices,
    target_1=prices,
    target_2=prices,
    rr_ratio_t1=st.floats(min_value=0, max_value=8),
    recommended_contracts=st.integers(min_value=0, max_value=10_000),
    volume_vs_avg=st.floats(min_value=0, max_value=4),
    trend_strength=st.floats(min_value=0, max_value=100),
    bias_4h=st.sampled_from(Bias),
    bias_1h=st.sampled_from(Bias),
    session=st.sampled_from(MarketSession),
    weekday=st.sampled_from(Weekday),
)
phases = st.builds(
    Phase,
    symbol=st.just("SPY"),
    role=st.sampled_from(["REGIME", "BIAS", "SETUP_FORMATION", "STRUCTURAL"]),
    event_tf=st.sampled_from(["4H", "1H", "30M", "15M", "5M", "3M", "1D"]),
    name=st.just("ENTER"),
    implication=st.sampled_from(Bias),
    htf_alignment=st.booleans(),
    confidence_score=st.floats(min_value=0, max_value=100),
    trade_allowed=st.booleans(),
    time_decay_minutes=st.sampled_from([0.0, -1.0, 7.5, 90.0]),
)
trends = st.text(alphabet="+-0", min_size=8, max_size=8).map(trend)
Inputs = tuple[list[Signal], list[Phase], list[Trend]]
inputs = st.tuples(
    st.lists(signals, max_size=6, unique_by=lambda sent: sent.timeframe),
    st.lists(phases, max_size=4),
    st.lists(trends, max_size=1),
)


def made(given_inputs: Inputs) -> Decision:
    return decide(*given_inputs, NOW)


@steady
@given(inputs)
def test_equal_inputs_decide_equally_bit_for_bit(given_inputs: Inputs) -> None:
    assert canonical(made(given_inputs)) == canonical(made(given_inputs))


@steady
@given(inputs, st.randoms(use_true_random=False))
def test_the_order_of_inputs_changes_nothing(given_inputs: Inputs, random: Any) -> None:
    shuffled: Any = [list(items) for items in given_inputs]
    for items in shuffled:
        random.shuffle(items)
    assert made(given_inputs) == decide(*shuffled, NOW)


@steady
@given(inputs)
def test_factors_and_multiplier_stay_in_their_ranges(given_inputs: Inputs) -> None:
    decision = made(given_inputs)
    assert 0 <= decision.confluence_score <= 100
    if decision.breakdown is not None:
        for name in Breakdown.__struct_fields__:
            low, high = FACTOR_RANGES[name]
            assert low <= getattr(decision.breakdown, name) <= high


@steady
@given(inputs)
def test_each_verdict_carries_what_the_rules_say(given_inputs: Inputs) -> None:
    decision = made(given_inputs)
    if decision.verdict is Verdict.WAIT:
        assert decision.breakdown is None
        assert decision.raw_multiplier is None
        assert decision.direction is decision.entry_timeframe is decision.stop_loss is None
        assert decision.target_1 is decision.target_2 is None
        assert decision.recommended_contracts == 0
        return
    assert decision.raw_multiplier is not None
    assert decision.confluence_score >= 60
    assert decision.direction is decision.leaning
    executes = decision.verdict is Verdict.EXECUTE
    assert executes == (decision.raw_multiplier >= 0.5)
    assert executes == (decision.recommended_contracts >= 1)


def mirrored_bias(bias: Bias) -> Bias:
    return {Bias.LONG: Bias.SHORT, Bias.SHORT: Bias.LONG, Bias.NEUTRAL: Bias.NEUTRAL}[bias]


def mirrored(given_inputs: Inputs) -> Any:
    sent, sent_phases, sent_trends = given_inputs
    return (
        [
            replace(
                one,
                direction=one.direction.opposite,
                bias_4h=mirrored_bias(one.bias_4h),
                bias_1h=mirrored_bias(one.bias_1h),
                stop_loss=MIRROR - one.stop_loss,
                target_1=MIRROR - one.target_1,
                target_2=MIRROR - one.target_2,
            )
            for one in sent
        ],
        [replace(one, implication=mirrored_bias(one.implication)) for one in sent_phases],
        [replace(one, directions=tuple(-direction for direction in one.directions)) for one in sent_trends],
    )


@steady
@given(inputs)
def test_long_and_short_are_mirror_images_but_for_a_tie(given_inputs: Inputs) -> None:
    decision, mirror = made(given_inputs), decide(*mirrored(given_inputs), NOW)
    balance = sum(WEIGHTS[one.timeframe] * one.direction.sign for one in given_inputs[0])
    assert (decision.leaning is mirror.leaning) == (balance == 0)
    if balance == 0:
        assert decision.leaning is (Direction.LONG if given_inputs[0] else None)
        return
    assert mirror.leaning is not None
    assert decision.leaning is mirror.leaning.opposite
    assert (mirror.verdict, mirror.breakdown) == (decision.verdict, decision.breakdown)
    assert (mirror.raw_multiplier, mirror.entry_timeframe) == (decision.raw_multiplier, decision.entry_timeframe)
    assert mirror.recommended_contracts == decision.recommended_contracts
    for name in ("stop_loss", "target_1", "target_2"):
        here, there = getattr(decision, name), getattr(mirror, name)
        assert (here is None) == (there is None)
        assert here is None or here + there == MIRROR


@steady
@given(signals)
def test_validity_lies_between_the_timeframe_and_twelve_hours(sent: Signal) -> None:
    assert sent.timeframe.minutes <= validity_minutes(sent) <= 720


arrivals = st.lists(
    st.tuples(st.integers(min_value=0, max_value=400), st.one_of(signals, phases, trends)), max_size=14
).map(lambda items: sorted(items, key=lambda item: item[0]))


def played(items: list[tuple[int, Any]], *, expiring: bool) -> SymbolBoard:
    board = SymbolBoard(symbol="SPY")
    for source, (minutes, sent) in enumerate(items):
        now = NOW + minutes * MINUTE
        if expiring:
            board = expire(board, now).board
        if isinstance(sent, Signal):
            board = place_signal(board, source, sent, now).board
        elif isinstance(sent, Phase):
            board = place_phase(board, source, sent, now).board
        else:
            board = place_trend(board, source, sent, now).board
    return board


@steady
@given(arrivals, st.integers(min_value=0, max_value=1500))
def test_taking_off_what_is_expired_never_changes_what_counts(items: list[tuple[int, Any]], later: int) -> None:
    now = NOW + timedelta(minutes=400 + later)
    assert active(played(items, expiring=True), now) == active(played(items, expiring=False), now)


@steady
@given(arrivals)
def test_a_board_only_ever_holds_what_can_be_decided(items: list[tuple[int, Any]]) -> None:
    board, now = played(items, expiring=True), NOW + 400 * MINUTE
    decision = decide(*active(board, now), now)
    reachable = highest_reachable(board, now)
    assert reachable.score == decision.confluence_score
    assert reachable.highest >= decision.confluence_score
    assert reachable.decidable or decision.verdict is Verdict.WAIT
    assert all(one.decision.verdict is not decision.verdict for one in what_if(board, now))


@steady
@given(arrivals)
def test_expiry_is_monotone_and_empties_the_board(items: list[tuple[int, Any]]) -> None:
    board, last = played(items, expiring=True), NOW
    left = len(board.signals) + len(board.phases) + (board.trend is not None)
    while (instant := next_expiry(board)) is not None:
        assert instant > last
        gone = expire(board, instant)
        count = len(gone.signals) + len(gone.phases) + len(gone.trends)
        assert count > 0
        left, board, last = left - count, gone.board, instant
    assert left == 0
    assert (board.signals, board.phases, board.trend) == ((), (), None)
