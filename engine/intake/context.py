"""What a short form is completed from: our own bars. Implemented beside the market's bars and wired by the app."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engine.domain.bars import BarFacts as BarFacts
from engine.domain.values import Timeframe


class BarContext(Protocol):
    def facts_for(self, symbol: str, timeframe: Timeframe, now: datetime) -> BarFacts:
        """What our bars say at `now`. Never blocks, never invents."""
        ...


class NoBars:
    """No market data at all: every short form stands on what it sent."""

    def facts_for(self, symbol: str, timeframe: Timeframe, now: datetime) -> BarFacts:
        return BarFacts()
