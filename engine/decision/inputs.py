"""What the pure decision refuses to guess about: mixed symbols, a doubled timeframe, impossible values.

Called first by `decide`. The bounds are those of a body, so whatever was accepted once can be decided again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.domain.bodies import MAX_CONTRACTS, MAX_DECAY, MAX_PRICE, MAX_RATIO, MAX_SCORE
from engine.domain.signals import Phase, Signal, Trend


class DecisionInputError(ValueError):
    """The inputs of one decision cannot be true together, or one of them cannot be true at all."""


def check_inputs(signals: Sequence[Signal], phases: Sequence[Phase], trends: Sequence[Trend], now: datetime) -> None:
    """Raise `DecisionInputError` naming the first thing that is wrong.

    Comparisons are chained so that a NaN, which compares false with everything, fails them.
    """
    if now.tzinfo is None:
        raise DecisionInputError("now names no time zone")
    symbol: str | None = None
    seen = []
    for signal in signals:
        if signal.symbol != symbol:
            symbol = _same(symbol, signal.symbol)
        if signal.timeframe in seen:
            raise DecisionInputError(f"two signals of {signal.symbol} on timeframe {signal.timeframe}")
        seen.append(signal.timeframe)
        if not (
            0.0 <= signal.ai_score <= MAX_SCORE
            and 0.0 < signal.price <= MAX_PRICE
            and 0.0 < signal.stop_loss <= MAX_PRICE
            and 0.0 < signal.target_1 <= MAX_PRICE
            and 0.0 < signal.target_2 <= MAX_PRICE
            and 0.0 <= signal.rr_ratio_t1 <= MAX_RATIO
            and 0 <= signal.recommended_contracts <= MAX_CONTRACTS
            and 0.0 <= signal.volume_vs_avg <= MAX_RATIO
            and 0.0 <= signal.trend_strength <= 100.0
            and signal.weekday is not None
        ):
            raise DecisionInputError(_impossible_signal(signal))
    for phase in phases:
        if phase.symbol != symbol:
            symbol = _same(symbol, phase.symbol)
        if not (0.0 <= phase.confidence_score <= 100.0 and -MAX_DECAY <= phase.time_decay_minutes <= MAX_DECAY):
            raise DecisionInputError(_impossible_phase(phase))
    for trend in trends:
        if trend.symbol != symbol:
            symbol = _same(symbol, trend.symbol)
        if not 0.0 < trend.price <= MAX_PRICE:
            raise DecisionInputError(f"trend of {trend.symbol}: price {trend.price!r} is impossible")
        if not (len(trend.directions) == 8 and min(trend.directions) >= -1 and max(trend.directions) <= 1):
            raise DecisionInputError(f"trend of {trend.symbol}: directions {trend.directions!r} are impossible")


def _same(first: str | None, other: str) -> str:
    if first is not None:
        raise DecisionInputError(f"mixed symbols: {first} and {other}")
    if not other:
        raise DecisionInputError("an input without a symbol")
    return other


def _impossible_signal(signal: Signal) -> str:
    bounds: tuple[tuple[str, float, float, float], ...] = (
        ("ai_score", signal.ai_score, 0.0, MAX_SCORE),
        ("rr_ratio_t1", signal.rr_ratio_t1, 0.0, MAX_RATIO),
        ("recommended_contracts", signal.recommended_contracts, 0, MAX_CONTRACTS),
        ("volume_vs_avg", signal.volume_vs_avg, 0.0, MAX_RATIO),
        ("trend_strength", signal.trend_strength, 0.0, 100.0),
    )
    prices = ("price", "stop_loss", "target_1", "target_2")
    wrong = [f"{name} {value!r}" for name, value, low, high in bounds if not low <= value <= high]
    wrong += [f"{name} {getattr(signal, name)!r}" for name in prices if not 0.0 < getattr(signal, name) <= MAX_PRICE]
    if signal.weekday is None:
        wrong.append("no weekday")
    return f"signal of {signal.symbol} on timeframe {signal.timeframe}: {', '.join(wrong)} is impossible"


def _impossible_phase(phase: Phase) -> str:
    numbers = f"confidence_score {phase.confidence_score!r}, time_decay_minutes {phase.time_decay_minutes!r}"
    return f"phase {phase.role} {phase.event_tf} of {phase.symbol}: {numbers} is impossible"
