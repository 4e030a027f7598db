"""Every constant of the frozen decision rules. Any change here is a new `ENGINE_VERSION`.

Read by the other files of this room and by panels that draw a factor's range; nothing writes it. Source: the decision
page of the specification, version 1.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from engine.domain.values import MarketSession, Quality, Timeframe, Weekday

ENGINE_VERSION = "1.0.0"

SLOWEST_FIRST: tuple[Timeframe, ...] = tuple(sorted(Timeframe, key=lambda timeframe: -timeframe.minutes))


class Steps(NamedTuple):
    """A step function: `factors[i]` holds from `starts[i - 1]` (inclusive, ascending) up to the next start."""

    starts: tuple[float, ...]
    factors: tuple[float, ...]


# --- confluence ----------------------------------------------------------------------------------------------------

WEIGHTS: Mapping[Timeframe, int] = MappingProxyType(
    {
        Timeframe.H4: 40,
        Timeframe.H1: 25,
        Timeframe.M30: 15,
        Timeframe.M15: 10,
        Timeframe.M5: 7,
        Timeframe.M3: 3,
    }
)
"""Points of 100, whole numbers: sums are exact, 60 is 60."""
FULL_CONFLUENCE = 100
MIN_CONFLUENCE = 60
MIN_HTF_SCORE = 6.0
"""ai_score from which a 240 or 60 minute signal carries a direction."""

# --- multiplier, in the order it is multiplied ---------------------------------------------------------------------

CONFLUENCE_STEPS = Steps((50, 60, 70, 80, 90), (0.5, 0.7, 1.0, 1.5, 2.0, 2.5))
QUALITY_FACTORS: Mapping[Quality, float] = MappingProxyType(
    {Quality.EXTREME: 1.3, Quality.HIGH: 1.1, Quality.MEDIUM: 1.0}
)
HTF_PERFECT = 1.3
HTF_GOOD = 1.15
HTF_WEAK = 0.85
HTF_COUNTER = 0.5
RR_STEPS = Steps((1.5, 2, 3, 4, 5), (0.5, 0.85, 1.0, 1.1, 1.15, 1.2))
VOLUME_STEPS = Steps((0.8, 1.5), (0.7, 1.0, 1.1))
TREND_STEPS = Steps((60, 80), (0.8, 1.0, 1.2))
SESSION_FACTORS: Mapping[MarketSession, float] = MappingProxyType(
    {
        MarketSession.OPEN: 0.9,
        MarketSession.MIDDAY: 1.0,
        MarketSession.POWER_HOUR: 0.85,
        MarketSession.AFTERHOURS: 0.5,
    }
)
DAY_FACTORS: Mapping[Weekday, float] = MappingProxyType(
    {
        Weekday.MONDAY: 0.95,
        Weekday.TUESDAY: 1.1,
        Weekday.WEDNESDAY: 1.0,
        Weekday.THURSDAY: 0.95,
        Weekday.FRIDAY: 0.85,
    }
)
PHASE_CONFIDENCE_BOOST = 0.20
PHASE_POSITION_BOOST = 0.10
MIN_PHASE_CONFIDENCE = 70.0
HTF_ROLES = frozenset({"REGIME", "BIAS"})
"""Phases of these roles count for the 4H alignment."""
TREND_STRONG_BOOST = 0.30
TREND_HTF_BOOST = 0.15
MIN_MULTIPLIER = 0.5
MAX_MULTIPLIER = 3.0

FACTOR_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "confluence_multiplier": (min(CONFLUENCE_STEPS.factors), max(CONFLUENCE_STEPS.factors)),
        "quality_multiplier": (min(QUALITY_FACTORS.values()), max(QUALITY_FACTORS.values())),
        "htf_alignment_multiplier": (HTF_COUNTER, HTF_PERFECT),
        "rr_multiplier": (min(RR_STEPS.factors), max(RR_STEPS.factors)),
        "volume_multiplier": (min(VOLUME_STEPS.factors), max(VOLUME_STEPS.factors)),
        "trend_multiplier": (min(TREND_STEPS.factors), max(TREND_STEPS.factors)),
        "session_multiplier": (min(SESSION_FACTORS.values()), max(SESSION_FACTORS.values())),
        "day_multiplier": (min(DAY_FACTORS.values()), max(DAY_FACTORS.values())),
        "phase_confidence_boost": (0.0, PHASE_CONFIDENCE_BOOST),
        "phase_position_boost": (0.0, PHASE_POSITION_BOOST),
        "trend_alignment_boost": (0.0, TREND_STRONG_BOOST + TREND_HTF_BOOST),
        "final_multiplier": (MIN_MULTIPLIER, MAX_MULTIPLIER),
    }
)
"""Smallest and largest value of every field of a `Breakdown`."""

# --- trend alignment -----------------------------------------------------------------------------------------------

TREND_STRENGTHS: tuple[tuple[float, str], ...] = ((75.0, "STRONG"), (62.5, "MODERATE"), (50.0, "WEAK"))
CHOPPY = "CHOPPY"

# --- validity ------------------------------------------------------------------------------------------------------

VALIDITY_ROLES: Mapping[Timeframe, float] = MappingProxyType(
    {
        Timeframe.H4: 2.0,
        Timeframe.H1: 1.5,
        Timeframe.M30: 1.0,
        Timeframe.M15: 1.0,
        Timeframe.M5: 1.0,
        Timeframe.M3: 1.0,
    }
)
VALIDITY_QUALITIES: Mapping[Quality, float] = MappingProxyType(
    {Quality.EXTREME: 1.5, Quality.HIGH: 1.0, Quality.MEDIUM: 0.75}
)
VALIDITY_SESSIONS: Mapping[MarketSession, float] = MappingProxyType(
    {
        MarketSession.OPEN: 0.8,
        MarketSession.MIDDAY: 1.0,
        MarketSession.POWER_HOUR: 0.7,
        MarketSession.AFTERHOURS: 0.5,
    }
)
MAX_VALIDITY = 720.0
PHASE_VALIDITY: Mapping[str, float] = MappingProxyType(
    {"4H": 480.0, "1H": 240.0, "30M": 120.0, "15M": 60.0, "5M": 30.0, "3M": 15.0}
)
OTHER_PHASE_VALIDITY = 60.0
TREND_VALIDITY = 60.0
