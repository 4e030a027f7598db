"""Whatever the chain looks like: a choice is tradable and the nearest of what is tradable, or there is a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.contracts import Choice, choose
from engine.domain.chain import Chain
from engine.domain.values import Code, Direction, Quote, Timeframe
from engine.sessions import new_york_calendar
from engine.settings import Settings

CALENDAR, SETTINGS = new_york_calendar(), Settings()
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

sides = st.one_of(st.just(float("nan")), st.integers(0, 3000).map(lambda cents: cents / 100))


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    days = sorted(draw(st.sets(st.integers(0, 60), min_size=1, max_size=4)))
    count = draw(st.integers(1, 25))

    def column(values: st.SearchStrategy[float], kind: type) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=count, max_size=count)), kind)

    bid = column(sides, float)
    return Chain(
        symbol=draw(st.sampled_from(["SPY", "IWM", "TSLA"])),
        known_at=NOW,
        source="simulated",
        spot=Quote(bid=Decimal("99.99"), ask=Decimal("100.01"), at=NOW),
        expiries=tuple(date(2026, 11, 20) + timedelta(days=n) for n in days),
        expiry=column(st.integers(0, len(days) - 1), np.int64),
        strike=column(st.integers(50, 150), float),
        is_call=column(st.booleans(), bool),
        bid=bid,
        ask=np.round(bid + column(st.integers(-2, 60).map(lambda cents: cents / 100), float), 2),
        bid_size=column(st.integers(-1, 50), np.int64),
        ask_size=column(st.integers(-1, 50), np.int64),
        at=NOW.timestamp() - column(st.sampled_from([0.0, 1.0, 4.0, 9.0]), float),
        open_interest=column(st.sampled_from([-1, 0, 100, 5000]), np.int64),
        volume=column(st.sampled_from([-1, 0, 250, 5000]), np.int64),
    )


@given(chains(), st.sampled_from(Direction), st.sampled_from(Timeframe))
def test_a_choice_is_tradable_or_there_is_a_reason(chain: Chain, direction: Direction, timeframe: Timeframe) -> None:
    found = choose(chain, direction, timeframe, NOW, SETTINGS, CALENDAR)
    if not isinstance(found, Choice):
        assert found.refusal.code in (Code.NO_EXPIRY, Code.NO_LIQUID_CONTRACT)
        return
    assert found.contract.right is direction.right
    assert found.quote.two_sided
    assert found.quote.bid is not None
    assert found.quote.bid >= Decimal("0.10")
    assert found.quote.age(NOW) <= 5
    assert found.delta * direction.sign > 0
    ranks = [abs(abs(n.delta) - found.target_delta) for n in found.neighbours if n.delta and "further" in n.why]
    assert all(rank >= abs(abs(found.delta) - found.target_delta) - 2e-6 for rank in ranks)
