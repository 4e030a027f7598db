"""What a short form is completed from: our own bars. Implemented beside the market's bars and wired by the app."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engine.domain.values import Bias, Timeframe, Value


class BarFacts(Value, frozen=True, kw_only=True):
    """One symbol and timeframe, from completed bars only. None = not known yet."""

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


class BarContext(Protocol):
    def facts_for(self, symbol: str, timeframe: Timeframe, now: datetime) -> BarFacts:
        """What our bars say at `now`. Never blocks, never invents."""
        ...


class NoBars:
    """No market data at all: every short form stands on what it sent."""

    def facts_for(self, symbol: str, timeframe: Timeframe, now: datetime) -> BarFacts:
        return BarFacts()
