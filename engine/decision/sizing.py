"""The position multiplier and the contracts that follow from it. Called by `decide`.

Floats, multiplied from left to right in the order of the rules: the same on every machine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import floor

from engine.decision.confluence import agrees, htf_factor, is_strong
from engine.decision.matrices import (
    CONFLUENCE_STEPS,
    DAY_FACTORS,
    FULL_CONFLUENCE,
    MAX_MULTIPLIER,
    MIN_MULTIPLIER,
    MIN_PHASE_CONFIDENCE,
    PHASE_CONFIDENCE_BOOST,
    PHASE_POSITION_BOOST,
    QUALITY_FACTORS,
    RR_STEPS,
    SESSION_FACTORS,
    TREND_HTF_BOOST,
    TREND_STEPS,
    TREND_STRONG_BOOST,
    VOLUME_STEPS,
    Steps,
)
from engine.domain.signals import Breakdown, Phase, Signal, Trend
from engine.domain.values import Bias, Direction

_BIAS_OF = {Direction.LONG: Bias.LONG, Direction.SHORT: Bias.SHORT}
_FLOAT_NOISE = 1e-9


def step(steps: Steps, value: float) -> float:
    """The factor of a value; a start belongs to the step it starts."""
    return steps.factors[bisect_right(steps.starts, value)]


_CONFLUENCE_FACTORS = tuple(step(CONFLUENCE_STEPS, score) for score in range(FULL_CONFLUENCE + 1))
_RR_STARTS, _RR_FACTORS = RR_STEPS
_VOLUME_STARTS, _VOLUME_FACTORS = VOLUME_STEPS
_TREND_STARTS, _TREND_FACTORS = TREND_STEPS


def phase_boosts(direction: Direction, phases: Sequence[Phase]) -> tuple[float, float]:
    """The confidence and the position boost: the largest over phases that imply the direction and allow trading."""
    bias = _BIAS_OF[direction]
    confidence = position = 0.0
    for phase in phases:
        if phase.htf_alignment and phase.trade_allowed and phase.implication is bias:
            confidence = PHASE_CONFIDENCE_BOOST
            if phase.confidence_score >= MIN_PHASE_CONFIDENCE:
                position = PHASE_POSITION_BOOST
    return confidence, position


def trend_boost(direction: Direction, trend: Trend | None) -> float:
    """Strength and the 240 minutes' agreement count each for itself; without a trend 0."""
    boost = 0.0
    if trend is not None:
        if is_strong(trend):
            boost += TREND_STRONG_BOOST
        if agrees(trend, direction):
            boost += TREND_HTF_BOOST
    return boost


def multiply(
    direction: Direction,
    score: int,
    entry: Signal,
    carriers: Sequence[Signal],
    phases: Sequence[Phase],
    trend: Trend | None,
) -> tuple[float, Breakdown]:
    """The raw multiplier and its breakdown, whose final multiplier is the bounded one."""
    assert entry.weekday is not None, "check_inputs lets no signal without a weekday pass"
    confluence = _CONFLUENCE_FACTORS[score]
    quality = QUALITY_FACTORS[entry.quality]
    htf = htf_factor(direction, entry, carriers, phases)
    reward = _RR_FACTORS[bisect_right(_RR_STARTS, entry.rr_ratio_t1)]
    volume = _VOLUME_FACTORS[bisect_right(_VOLUME_STARTS, entry.volume_vs_avg)]
    strength = _TREND_FACTORS[bisect_right(_TREND_STARTS, entry.trend_strength)]
    session = SESSION_FACTORS[entry.session]
    day = DAY_FACTORS[entry.weekday]
    confidence, position = phase_boosts(direction, phases) if phases else (0.0, 0.0)
    trending = trend_boost(direction, trend)
    raw = (
        confluence * quality * htf * reward * volume * strength * session * day
        * (1 + confidence) * (1 + position) * (1 + trending)
    )  # fmt: skip
    return raw, Breakdown(
        confluence_multiplier=confluence,
        quality_multiplier=quality,
        htf_alignment_multiplier=htf,
        rr_multiplier=reward,
        volume_multiplier=volume,
        trend_multiplier=strength,
        session_multiplier=session,
        day_multiplier=day,
        phase_confidence_boost=confidence,
        phase_position_boost=position,
        trend_alignment_boost=trending,
        final_multiplier=min(max(raw, MIN_MULTIPLIER), MAX_MULTIPLIER),
    )


def contracts(recommended: int, final: float) -> int:
    """Contracts to trade: at least one, halves up. A half that floats put a hair below itself is still a half."""
    return max(1, floor(recommended * final + 0.5 + _FLOAT_NOISE))
