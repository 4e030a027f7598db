"""Inputs of a decision whose factors are all 1.0 unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.domain.signals import Phase, Signal, Trend
from engine.domain.values import Bias, Direction, MarketSession, Quality, Timeframe, Weekday

NOW = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def signal(timeframe: str = "60", direction: str = "LONG", **changes: Any) -> Signal:
    """MEDIUM, score 6, midday on a Wednesday, 2 R, usual volume, strength 60, no bias, 1 contract."""
    sign = 1 if direction == "LONG" else -1
    fields: dict[str, Any] = {
        "symbol": "SPY",
        "direction": Direction(direction),
        "timeframe": Timeframe(timeframe),
        "quality": Quality.MEDIUM,
        "ai_score": 6.0,
        "bar_close": NOW,
        "price": 600.0,
        "stop_loss": 600.0 - 3 * sign,
        "target_1": 600.0 + 6 * sign,
        "target_2": 600.0 + 10 * sign,
        "rr_ratio_t1": 2.0,
        "recommended_contracts": 1,
        "volume_vs_avg": 1.0,
        "trend_strength": 60.0,
        "bias_4h": Bias.NEUTRAL,
        "bias_1h": Bias.NEUTRAL,
        "session": MarketSession.MIDDAY,
        "weekday": Weekday.WEDNESDAY,
    }
    return Signal(**(fields | changes))


def signals(*timeframes: str, direction: str = "LONG", **changes: Any) -> list[Signal]:
    """One aligned signal a timeframe, all with the same changes."""
    return [signal(timeframe, direction, **changes) for timeframe in timeframes]


def phase(implication: str = "LONG", **changes: Any) -> Phase:
    """A structural 1H phase without HTF alignment: it changes nothing."""
    fields: dict[str, Any] = {
        "symbol": "SPY",
        "role": "STRUCTURAL",
        "event_tf": "1H",
        "name": "ENTER_ACCUMULATION",
        "implication": Bias(implication),
        "htf_alignment": False,
        "confidence_score": 50.0,
        "trade_allowed": True,
        "time_decay_minutes": 0.0,
    }
    return Phase(**(fields | changes))


def trend(directions: str = "++--0000", **changes: Any) -> Trend:
    """Eight signs, fastest timeframe first: + bullish, - bearish, 0 neutral. The default is choppy and agrees with none."""
    one, two, three, four, five, six, seven, eight = ({"+": 1, "-": -1, "0": 0}[sign] for sign in directions)
    fields: dict[str, Any] = {
        "symbol": "SPY",
        "timestamp": NOW,
        "price": 600.0,
        "directions": (one, two, three, four, five, six, seven, eight),
    }
    return Trend(**(fields | changes))
