"""Reading bodies in tests: one fixed moment, bars that are given or absent."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from engine.domain.values import Timeframe
from engine.intake.auth import Kind
from engine.intake.context import BarContext, BarFacts, NoBars
from engine.intake.payloads import Heard, understand
from engine.sessions import new_york_calendar
from tests.fakes.doors import MOMENT


class GivenBars:
    """The same facts for every symbol and timeframe."""

    def __init__(self, **facts: Any) -> None:
        self.facts = BarFacts(**facts)

    def facts_for(self, symbol: str, timeframe: Timeframe, now: datetime) -> BarFacts:
        return self.facts


def read(
    body: bytes | str | dict[str, Any],
    door: Kind | None = None,
    bars: BarContext | None = None,
    now: datetime = MOMENT,
) -> Heard:
    raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    return understand(raw, door=door, now=now, wall=now, bars=bars or NoBars(), calendar=new_york_calendar())


def short(**changes: Any) -> dict[str, Any]:
    """A short alert that is understood; None takes a field away."""
    body: dict[str, Any] = {
        "ticker": "SPY",
        "action": "buy",
        "interval": "5",
        "price": 660.0,
        "time": "2026-11-20T14:55:00Z",
    }
    body.update(changes)
    return {name: value for name, value in body.items() if value is not None}
