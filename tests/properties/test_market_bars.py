"""Bars put together minute by minute are the bars of the whole session, and indicators are their plain definitions."""

from __future__ import annotations

from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.market.bars import BarBuilder, Minutes, aggregate
from engine.market.indicators import Indicators
from engine.sessions import Session, session_on

LENGTHS = st.sampled_from([3, 5, 15, 30, 60, 240])
FULL, HALF = session_on(date(2026, 11, 20)), session_on(date(2026, 11, 27), early=True)


@st.composite
def traded_minutes(draw: st.DrawFn) -> tuple[Session, Minutes]:
    """A session in which some minutes had no trade."""
    session = draw(st.sampled_from([FULL, HALF]))
    count = round((session.close - session.open).total_seconds() / 60)
    kept = sorted(draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=60)))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    open_, close = random.uniform(90, 110, (2, len(kept)))
    return session, Minutes(
        start=round(session.open.timestamp()) + 60 * np.array(kept, dtype=np.int64),
        open=open_,
        high=np.maximum(open_, close) + 1,
        low=np.minimum(open_, close) - 1,
        close=close,
        volume=random.integers(1, 100, len(kept)),
    )


@given(traded=traded_minutes(), length=LENGTHS)
@settings(max_examples=150, deadline=None)
def test_minute_by_minute_gives_the_bars_of_the_whole_session(traded: tuple[Session, Minutes], length: int) -> None:
    session, minutes = traded
    builder = BarBuilder(session, length)
    bars = [builder.add(*row) for row in minutes.rows(0, len(minutes))]
    bars.append(builder.settle(session.close.timestamp()))
    assert [bar for bar in bars if bar is not None] == aggregate(minutes, session, length)
    assert builder.settle(session.close.timestamp()) is None


@given(traded=traded_minutes(), length=LENGTHS)
@settings(max_examples=50, deadline=None)
def test_bars_lie_on_the_grid_from_the_open_and_lose_no_share(traded: tuple[Session, Minutes], length: int) -> None:
    session, minutes = traded
    bars = aggregate(minutes, session, length)
    assert sum(bar.volume for bar in bars) == int(minutes.volume.sum())
    for bar in bars:
        assert (bar.start - session.open).total_seconds() % (60 * length) == 0
        assert bar.start < bar.end <= session.close
        assert bar.low <= min(bar.open, bar.close)
        assert bar.high >= max(bar.open, bar.close)


def plain_wilder(values: list[float]) -> float | None:
    if len(values) < 14:
        return None
    smooth = sum(values[:14]) / 14
    for value in values[14:]:
        smooth = (13 * smooth + value) / 14
    return smooth


def plain_ema(values: list[float], length: int) -> float | None:
    smooth = values[0]
    for value in values[1:]:
        smooth = smooth * (1 - 2 / (length + 1)) + value * 2 / (length + 1)
    return smooth if len(values) >= length else None


def near(a: float | None, b: float | None) -> bool:
    return (a is None) == (b is None) and (a is None or b is None or abs(a - b) < 1e-8)


@given(seed=st.integers(0, 999), count=st.integers(1, 80))
@settings(max_examples=80, deadline=None)
def test_indicators_are_their_definitions(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    closes = (100 + np.cumsum(random.normal(0, 1, count))).tolist()
    highs = [close + random.uniform(0, 1) for close in closes]
    lows = [close - random.uniform(0, 1) for close in closes]
    volumes = random.integers(1, 1000, count).tolist()
    indicators = Indicators()
    for row in zip(highs, lows, closes, volumes, strict=True):
        indicators.update(*row)
    true_ranges = [highs[0] - lows[0]] + [
        max(high - low, abs(high - before), abs(low - before))
        for high, low, before in zip(highs[1:], lows[1:], closes, strict=False)
    ]
    changes = np.diff(closes).tolist()
    gain, loss = plain_wilder([max(c, 0.0) for c in changes]), plain_wilder([max(-c, 0.0) for c in changes])
    assert near(indicators.atr, plain_wilder(true_ranges))
    for ema, length in ((indicators.ema_8, 8), (indicators.ema_21, 21), (indicators.ema_50, 50)):
        assert near(ema.value, plain_ema(closes, length))
    assert near(indicators.rsi, None if gain is None or loss is None else 100 - 100 / (1 + gain / loss))
    before = volumes[-21:-1]
    expected = volumes[-1] / (sum(before) / len(before)) if len(before) >= 5 else None
    assert near(indicators.volume_vs_avg, expected)
    fast, slow, atr = plain_ema(closes, 8), plain_ema(closes, 21), plain_wilder(true_ranges)
    strength = None if fast is None or slow is None or atr is None else min(100.0, 100 * abs(fast - slow) / atr)
    assert near(indicators.trend_strength, strength)
