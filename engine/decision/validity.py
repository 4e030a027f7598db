"""How long an input counts, in minutes. Called by the board and by the file of decisions."""

from __future__ import annotations

from engine.decision.matrices import (
    MAX_VALIDITY,
    OTHER_PHASE_VALIDITY,
    PHASE_VALIDITY,
    TREND_VALIDITY,
    VALIDITY_QUALITIES,
    VALIDITY_ROLES,
    VALIDITY_SESSIONS,
)
from engine.domain.signals import Phase, Signal


def validity_minutes(signal: Signal) -> float:
    """Minutes a signal counts: timeframe × role × quality × session, never below its timeframe nor over 12 hours."""
    timeframe = signal.timeframe.minutes
    minutes = (
        timeframe
        * VALIDITY_ROLES[signal.timeframe]
        * VALIDITY_QUALITIES[signal.quality]
        * VALIDITY_SESSIONS[signal.session]
    )
    return min(max(minutes, float(timeframe)), MAX_VALIDITY)


def phase_validity_minutes(phase: Phase) -> float:
    """Minutes a phase counts: its own decay where that is positive, else by its timeframe as it was written."""
    if phase.time_decay_minutes > 0:
        return phase.time_decay_minutes
    return PHASE_VALIDITY.get(phase.event_tf, OTHER_PHASE_VALIDITY)


def trend_validity_minutes() -> float:
    """Minutes a trend counts."""
    return TREND_VALIDITY
