"""How long inputs count, and what a trend's agreement is called."""

from __future__ import annotations

import pytest

from engine.decision.confluence import trend_alignment
from engine.decision.matrices import (
    DAY_FACTORS,
    ENGINE_VERSION,
    FACTOR_RANGES,
    FULL_CONFLUENCE,
    SLOWEST_FIRST,
    WEIGHTS,
)
from engine.decision.validity import phase_validity_minutes, trend_validity_minutes, validity_minutes
from engine.domain.signals import Breakdown
from engine.domain.values import MarketSession, Quality, Weekday
from tests.unit.decision.builders import phase, signal, trend


@pytest.mark.parametrize(
    ("timeframe", "quality", "session", "minutes"),
    [
        ("240", "EXTREME", "MIDDAY", 720.0),
        ("240", "EXTREME", "OPEN", 576.0),
        ("240", "MEDIUM", "MIDDAY", 360.0),
        ("240", "HIGH", "POWER_HOUR", 336.0),
        ("240", "MEDIUM", "AFTERHOURS", 240.0),  # 180: not below its timeframe
        ("60", "EXTREME", "POWER_HOUR", 94.5),
        ("60", "HIGH", "MIDDAY", 90.0),
        ("60", "MEDIUM", "AFTERHOURS", 60.0),
        ("30", "EXTREME", "OPEN", 36.0),
        ("15", "EXTREME", "POWER_HOUR", 15.75),
        ("5", "EXTREME", "MIDDAY", 7.5),
        ("5", "HIGH", "MIDDAY", 5.0),
        ("3", "EXTREME", "OPEN", 3.6),
        ("3", "MEDIUM", "OPEN", 3.0),
    ],
)
def test_validity_of_a_signal(timeframe: str, quality: str, session: str, minutes: float) -> None:
    sent = signal(timeframe, quality=Quality(quality), session=MarketSession(session))
    assert validity_minutes(sent) == pytest.approx(minutes, abs=1e-9)


@pytest.mark.parametrize(
    ("event_tf", "decay", "minutes"),
    [
        ("4H", 0.0, 480.0),
        ("1H", 0.0, 240.0),
        ("30M", 0.0, 120.0),
        ("15M", 0.0, 60.0),
        ("5M", 0.0, 30.0),
        ("3M", 0.0, 15.0),
        ("1D", 0.0, 60.0),
        ("4H", -5.0, 480.0),
        ("4H", 0.5, 0.5),
        ("3M", 90.0, 90.0),
    ],
)
def test_validity_of_a_phase(event_tf: str, decay: float, minutes: float) -> None:
    assert phase_validity_minutes(phase(event_tf=event_tf, time_decay_minutes=decay)) == minutes


def test_validity_of_a_trend() -> None:
    assert trend_validity_minutes() == 60.0


@pytest.mark.parametrize(
    ("directions", "dominant", "count", "score", "strength"),
    [
        ("++++++++", 1, 8, 100.0, "STRONG"),
        ("++++++--", 1, 6, 75.0, "STRONG"),
        ("+++++---", 1, 5, 62.5, "MODERATE"),
        ("++++----", 1, 4, 50.0, "WEAK"),  # bullish before bearish
        ("++++0000", 1, 4, 50.0, "WEAK"),  # bullish before neutral
        ("----0000", -1, 4, 50.0, "WEAK"),  # bearish before neutral
        ("+++---00", 1, 3, 37.5, "CHOPPY"),
        ("++---000", -1, 3, 37.5, "CHOPPY"),
        ("++--0000", 0, 4, 50.0, "WEAK"),
        ("0000000-", 0, 7, 87.5, "STRONG"),
        ("--------", -1, 8, 100.0, "STRONG"),
    ],
)
def test_dominant_direction_and_strength_of_a_trend(
    directions: str, dominant: int, count: int, score: float, strength: str
) -> None:
    got = trend_alignment(trend(directions))
    assert (got.dominant, got.count, got.score, got.strength) == (dominant, count, score, strength)


@pytest.mark.parametrize(
    ("directions", "htf", "ltf"),
    [("++000-00", -1, 1), ("+-000+00", 1, 0), ("+0000000", 0, 0), ("--000000", 0, -1), ("0-000000", 0, 0)],
)
def test_biases_of_a_trend(directions: str, htf: int, ltf: int) -> None:
    got = trend_alignment(trend(directions))
    assert (got.htf_bias, got.ltf_bias) == (htf, ltf)


def test_the_tables_are_frozen_and_whole() -> None:
    assert ENGINE_VERSION == "1.0.0"
    assert sum(WEIGHTS.values()) == FULL_CONFLUENCE
    assert [timeframe.minutes for timeframe in SLOWEST_FIRST] == [240, 60, 30, 15, 5, 3]
    assert set(FACTOR_RANGES) == set(Breakdown.__struct_fields__)
    with pytest.raises(TypeError):
        DAY_FACTORS[Weekday.MONDAY] = 2.0  # type: ignore[index]
