"""What a view is made from in these tests: a whole desk without a screen, or a state set by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.domain.marks import Mark
from engine.journey.booking import book_of
from engine.settings import Settings, with_overrides
from engine.state import State
from engine.views.seen import Seen
from tests.builders_journey import Desk
from tests.builders_trading import CALENDAR, NOON, HandQuotes


def seen_of(desk: Desk, **changes: Any) -> Seen:
    """The desk as it is now."""
    journey = desk.journey
    made = Seen(
        now=desk.now,
        state=journey.state,
        marks=journey.live.marks,
        quotes=desk.market,
        settings=desk.settings,
        calendar=desk.calendar,
        book=book_of(journey.step()),
        session=desk.calendar.session_at(desk.now),
        references={"SPY": Decimal(598)},
    )
    return replace(made, **changes)


def seen_by_hand(
    state: State | None = None,
    *,
    now: datetime = NOON,
    marks: Mapping[str, Mark] | None = None,
    quotes: HandQuotes | None = None,
    overrides: Mapping[str, str] | None = None,
    **changes: Any,
) -> Seen:
    """Nothing but what is given; no account, so no book."""
    made = Seen(
        now=now,
        state=state or State(),
        marks=marks or {},
        quotes=quotes or HandQuotes(),
        settings=with_overrides(Settings(), dict(overrides or {})),
        calendar=CALENDAR,
        book=None,
        session=CALENDAR.session_at(now),
        references={},
    )
    return replace(made, **changes)
