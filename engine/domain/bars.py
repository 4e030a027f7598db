"""Bars of an underlying, and what they say about it. Analytics, not money: floats, None where nothing is known yet."""

from __future__ import annotations

from datetime import datetime

from engine.domain.values import Bias, Value


class Bar(Value, frozen=True, kw_only=True):
    """One completed bar: `start` is its first instant and `end` when it became known (UTC); prices in dollars."""

    start: datetime
    end: datetime
    open: float
    high: float
    low: float
    close: float
    volume: int


class BarFacts(Value, frozen=True, kw_only=True):
    """What our bars say about one symbol and timeframe, from completed bars only. None = not known yet."""

    price: float | None = None
    """The underlying's mid now, else the last completed bar's close; dollars."""
    atr: float | None = None
    """ATR(14) of the timeframe, dollars."""
    vwap: float | None = None
    """Today's, dollars."""
    volume_vs_avg: float | None = None
    """The last bar's volume over the average of the bars before it."""
    trend_strength: float | None = None
    """0 to 100."""
    bias_4h: Bias | None = None
    """Sign of EMA 8 − EMA 21 on 240 minutes."""
    bias_1h: Bias | None = None
    """The same on 60 minutes."""
