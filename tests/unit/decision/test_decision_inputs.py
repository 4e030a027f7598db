"""What `decide` refuses to guess about."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from msgspec.structs import replace

from engine.decision.engine import decide
from engine.decision.inputs import DecisionInputError
from engine.domain.bodies import MAX_DECAY, MAX_RATIO
from tests.unit.decision.builders import MINUTE, NOW, phase, signal, trend


def refused(*signals: Any, phases: Any = (), trends: Any = (), now: Any = NOW) -> str:
    with pytest.raises(DecisionInputError) as caught:
        decide(signals, phases, trends, now)
    return str(caught.value)


@pytest.mark.parametrize(
    ("signals", "phases", "trends"),
    [
        ([signal("240"), signal("60", symbol="QQQ")], [], []),
        ([signal("240")], [phase(symbol="QQQ")], []),
        ([signal("240")], [], [trend(symbol="QQQ")]),
        ([], [phase()], [trend(symbol="QQQ")]),
        ([], [phase(), phase(symbol="QQQ")], []),
        ([], [], [trend(), trend(symbol="QQQ")]),
    ],
)
def test_mixed_symbols(signals: Any, phases: Any, trends: Any) -> None:
    assert refused(*signals, phases=phases, trends=trends) == "mixed symbols: SPY and QQQ"


def test_an_input_without_a_symbol() -> None:
    assert refused(signal(symbol="")) == "an input without a symbol"


@pytest.mark.parametrize("direction", ["LONG", "SHORT"])
def test_a_doubled_timeframe(direction: str) -> None:
    assert refused(signal("5"), signal("60"), signal("5", direction)) == "two signals of SPY on timeframe 5"


def test_a_moment_without_a_time_zone() -> None:
    assert refused(now=NOW.replace(tzinfo=None)) == "now names no time zone"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(name, bad) for name in ("price", "stop_loss", "target_1", "target_2") for bad in (nan, inf, 0.0, -1.0, 1e8)],
        *[("ai_score", bad) for bad in (nan, -0.1, 10.5001, inf)],
        *[("rr_ratio_t1", bad) for bad in (nan, -0.1, inf, MAX_RATIO * 2)],
        *[("volume_vs_avg", bad) for bad in (nan, -0.1, inf)],
        *[("trend_strength", bad) for bad in (nan, -0.1, 100.1)],
        *[("recommended_contracts", bad) for bad in (-1, 10_001)],
    ],
)
def test_an_impossible_number_of_a_signal_is_named(field: str, value: float) -> None:
    assert refused(signal("240"), signal("60", **{field: value})) == (
        f"signal of SPY on timeframe 60: {field} {value!r} is impossible"
    )


def test_a_signal_without_a_weekday_was_never_on_the_board() -> None:
    assert refused(signal("60", weekday=None)) == "signal of SPY on timeframe 60: no weekday is impossible"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("confidence_score", nan),
        ("confidence_score", 100.1),
        ("confidence_score", -1.0),
        ("time_decay_minutes", nan),
        ("time_decay_minutes", inf),
        ("time_decay_minutes", MAX_DECAY * 2),
    ],
)
def test_an_impossible_number_of_a_phase_is_named(field: str, value: float) -> None:
    message = refused(phases=[phase(**{field: value})])
    assert message.startswith("phase STRUCTURAL 1H of SPY: ")
    assert f"{field} {value!r}" in message


@pytest.mark.parametrize("price", [nan, 0.0, inf])
def test_an_impossible_price_of_a_trend(price: float) -> None:
    assert refused(trends=[trend(price=price)]) == f"trend of SPY: price {price!r} is impossible"


@pytest.mark.parametrize("directions", [(2, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, -2), (0, 0, 0), ()])
def test_impossible_directions_of_a_trend(directions: Any) -> None:
    assert "directions" in refused(trends=[replace(trend(), directions=directions)])


def test_two_different_trends_of_one_instant_contradict() -> None:
    message = refused(trends=[trend("++++++++", timestamp=NOW - MINUTE), trend("++++++++"), trend("--------")])
    assert message == "two trends of SPY at 2026-11-18T17:00:00+00:00 differ"


@pytest.mark.parametrize("score", [0.0, 6.0, 10.5])
def test_the_bounds_themselves_are_possible(score: float) -> None:
    edge = signal(
        ai_score=score, recommended_contracts=10_000, trend_strength=100.0, rr_ratio_t1=0.0, volume_vs_avg=0.0
    )
    decide([edge], [phase(confidence_score=100.0, time_decay_minutes=-1.0)], [trend()], NOW)
