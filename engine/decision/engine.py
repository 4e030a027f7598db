"""The frozen decision: active inputs of one symbol in, a verdict with its reasons out.

Called by the journey for every accepted input and every expiry, by the file of decisions, and by what replays a stored
decision. Pure: no clock, no I/O; equal inputs give equal decisions in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.decision.confluence import carries, leaning_of, newest, weigh
from engine.decision.inputs import check_inputs
from engine.decision.matrices import ENGINE_VERSION, MAX_MULTIPLIER, MIN_CONFLUENCE, MIN_MULTIPLIER, WEIGHTS
from engine.decision.sizing import contracts, multiply
from engine.domain.signals import Decision, Phase, Signal, Trend
from engine.domain.values import Direction, Timeframe, Verdict

_WAIT, _SKIP, _EXECUTE = Verdict.WAIT, Verdict.SKIP, Verdict.EXECUTE
_LONG = Direction.LONG
_LABELS = {timeframe: timeframe.label for timeframe in Timeframe}
_NO_CARRIER = {
    direction: f"no 4H or 1H signal of this direction ({direction.value}) with score 6 or more"
    for direction in Direction
}


def decide(signals: Sequence[Signal], phases: Sequence[Phase], trends: Sequence[Trend], now: datetime) -> Decision:
    """Decide for one symbol.

    Every input counts as active: expiry is the board's business, so `now` is only the moment the caller decides at and
    changes nothing. Of several trends the newest by its own time counts. A WAIT keeps confluence and leaning.
    Raises `DecisionInputError` for mixed symbols, a doubled timeframe, an impossible value or contradicting trends.
    """
    check_inputs(signals, phases, trends, now)
    trend = newest(trends)
    if not signals:
        return _wait(0, None, "no active signal")
    long, short = weigh(signals)
    direction = leaning_of(long, short)
    score = long if direction is _LONG else short
    aligned = [signal for signal in signals if signal.direction is direction]
    carriers = [signal for signal in aligned if carries(signal)]
    if not carriers:
        return _wait(score, direction, _NO_CARRIER[direction])
    if score < MIN_CONFLUENCE:
        return _wait(score, direction, f"confluence {score} below {MIN_CONFLUENCE}")
    entry = slowest(aligned)
    raw, breakdown = multiply(direction, score, entry, carriers, phases, trend)
    if raw < MIN_MULTIPLIER:
        return Decision(
            verdict=_SKIP,
            confluence_score=score,
            breakdown=breakdown,
            raw_multiplier=raw,
            recommended_contracts=0,
            direction=direction,
            entry_timeframe=entry.timeframe,
            stop_loss=entry.stop_loss,
            target_1=entry.target_1,
            target_2=entry.target_2,
            leaning=direction,
            reason=f"multiplier {_below_minimum(raw)} below {MIN_MULTIPLIER}",
            engine_version=ENGINE_VERSION,
        )
    # The tightest stop and the furthest targets are all on the side of the trade: highest for LONG, lowest for SHORT.
    best = max if direction is _LONG else min
    return Decision(
        verdict=_EXECUTE,
        confluence_score=score,
        breakdown=breakdown,
        raw_multiplier=raw,
        recommended_contracts=contracts(entry.recommended_contracts, breakdown.final_multiplier),
        direction=direction,
        entry_timeframe=entry.timeframe,
        stop_loss=best([signal.stop_loss for signal in aligned]),
        target_1=best([signal.target_1 for signal in aligned]),
        target_2=best([signal.target_2 for signal in aligned]),
        leaning=direction,
        reason=f"{direction} confluence {score}, entry {_LABELS[entry.timeframe]}, multiplier {raw:.2f}{_bounded(raw)}",
        engine_version=ENGINE_VERSION,
    )


def slowest(signals: Sequence[Signal]) -> Signal:
    """The signal of the highest timeframe: weights fall with the timeframe, so the heaviest one. Needs at least one."""
    first = signals[0]
    for signal in signals:
        if WEIGHTS[signal.timeframe] > WEIGHTS[first.timeframe]:
            first = signal
    return first


def _wait(score: int, leaning: Direction | None, reason: str) -> Decision:
    return Decision(
        verdict=_WAIT,
        confluence_score=score,
        breakdown=None,
        raw_multiplier=None,
        recommended_contracts=0,
        direction=None,
        entry_timeframe=None,
        stop_loss=None,
        target_1=None,
        target_2=None,
        leaning=leaning,
        reason=reason,
        engine_version=ENGINE_VERSION,
    )


def _bounded(raw: float) -> str:
    return f", bounded to {MAX_MULTIPLIER:g}" if raw > MAX_MULTIPLIER else ""


def _below_minimum(raw: float) -> str:
    """The multiplier in as many digits as it takes to be seen below the minimum."""
    digits = 2
    while float(text := f"{raw:.{digits}f}") >= MIN_MULTIPLIER:
        digits += 1
    return text
