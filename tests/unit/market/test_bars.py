from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from engine.domain.bars import BarFacts
from engine.domain.chain import FloatArray
from engine.domain.values import Bias, Quote, Timeframe
from engine.market.bars import BarBook, Minutes, aggregate
from engine.market.indicators import Indicators
from engine.market.quotes import MarketBook
from engine.sessions import Session, new_york_calendar, session_on

CALENDAR = new_york_calendar()
FRIDAY = session_on(date(2026, 11, 20))


class Straight:
    """Minutes that rise by one step each from 100.00 since the open of `first`, 10 shares a minute."""

    def __init__(self, first: date, step: float = 0.01) -> None:
        self._first = first
        self._step = step

    def minutes(self, symbol: str, session: Session, until: datetime) -> Minutes | None:
        if symbol != "ABC" or session.day < self._first:
            return None
        whole = int((session.close - session.open).total_seconds()) // 60
        count = max(0, min(whole, int((until - session.open).total_seconds()) // 60))
        before = 390 * CALENDAR.sessions_between(self._first, session.day)
        close: FloatArray = 100 + self._step * (before + np.arange(count, dtype=np.float64) + 1)
        return Minutes(
            start=int(session.open.timestamp()) + 60 * np.arange(count),
            open=np.subtract(close, self._step),
            high=np.maximum(close, close - self._step),
            low=np.minimum(close, close - self._step),
            close=close,
            volume=np.full(count, 10),
        )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_nothing_known_is_nothing_said() -> None:
    book = BarBook(CALENDAR, Straight(FRIDAY.day))
    assert book.facts_for("XYZ", Timeframe.M3, utc("2026-11-20T16:00")) == BarFacts()
    assert book.facts_for("ABC", Timeframe.M3, utc("2026-11-20T14:30:59")) == BarFacts()
    assert book.bars("ABC", Timeframe.M3, utc("2026-11-20T14:32:59")) == ()


def test_a_bar_counts_from_the_moment_it_closed() -> None:
    book = BarBook(CALENDAR, Straight(FRIDAY.day))
    before = book.bars("ABC", Timeframe.M15, utc("2026-11-20T14:44:59"))
    (bar,) = book.bars("ABC", Timeframe.M15, utc("2026-11-20T14:45"))
    assert before == ()
    assert (bar.start, bar.end, bar.volume) == (FRIDAY.open, utc("2026-11-20T14:45"), 150)
    assert (bar.open, bar.close) == pytest.approx((100.0, 100.15))


def test_the_last_bars_of_a_session_may_be_short() -> None:
    book = BarBook(CALENDAR, Straight(FRIDAY.day))
    ends = [
        (timeframe, book.bars("ABC", timeframe, utc("2026-11-20T22:00"))[-1])
        for timeframe in (Timeframe.H4, Timeframe.H1)
    ]
    assert [(bar.start, bar.end) for _, bar in ends] == [
        (utc("2026-11-20T18:30"), utc("2026-11-20T21:00")),
        (utc("2026-11-20T20:30"), utc("2026-11-20T21:00")),
    ]


def test_history_gives_the_higher_timeframes_their_bias() -> None:
    rising, falling = (BarBook(CALENDAR, Straight(date(2026, 9, 1), step)) for step in (0.01, -0.01))
    now = utc("2026-11-20T16:00")
    up, down = (book.facts_for("ABC", Timeframe.M5, now) for book in (rising, falling))
    assert (up.bias_1h, down.bias_1h) == (Bias.LONG, Bias.SHORT)
    assert len(rising.bars("ABC", Timeframe.H4, now)) == 2 * 25, (
        "two bars of each of 25 sessions, today's first not over"
    )
    assert up.atr == pytest.approx(0.05, abs=0.005)
    assert up.volume_vs_avg == 1.0
    assert up.price is not None
    assert up.vwap is not None
    assert 0 < up.price - up.vwap < 0.9
    short = BarBook(CALENDAR, Straight(FRIDAY.day)).facts_for("ABC", Timeframe.M5, now)
    assert (short.bias_1h, short.bias_4h) == (None, None), "one hour and a half says nothing about four"


def test_the_price_is_the_mid_where_a_quote_has_one() -> None:
    quotes = MarketBook("feed", 5.0)
    book = BarBook(CALENDAR, Straight(FRIDAY.day), quotes)
    now = utc("2026-11-20T15:00")
    assert book.facts_for("ABC", Timeframe.M3, now).price == pytest.approx(100.30)
    quotes.put_underlying("ABC", Quote(bid=None, ask=Decimal("101.00"), at=now))
    assert book.facts_for("ABC", Timeframe.M3, now).price == pytest.approx(100.30)
    quotes.put_underlying("ABC", Quote(bid=Decimal("100.90"), ask=Decimal("101.00"), at=now))
    assert book.facts_for("ABC", Timeframe.M3, now).price == 100.95


def test_on_a_weekend_it_says_what_friday_left() -> None:
    book = BarBook(CALENDAR, Straight(date(2026, 11, 16)))
    friday = book.facts_for("ABC", Timeframe.M30, utc("2026-11-20T21:00"))
    assert book.facts_for("ABC", Timeframe.M30, utc("2026-11-22T12:00")) == friday
    monday = book.facts_for("ABC", Timeframe.M30, utc("2026-11-23T14:30"))
    assert monday.vwap is None
    assert monday.atr is not None


def test_asked_about_an_earlier_moment_it_forgets_what_came_later() -> None:
    book = BarBook(CALENDAR, Straight(FRIDAY.day))
    early, late = utc("2026-11-20T15:00"), utc("2026-11-20T17:00")
    first = book.facts_for("ABC", Timeframe.M3, early)
    assert book.facts_for("ABC", Timeframe.M3, late) != first
    assert book.facts_for("ABC", Timeframe.M3, early) == first


def test_at_the_beginning_of_the_calendar_there_is_less_history() -> None:
    session = CALENDAR.session(date(2010, 1, 6))
    assert session is not None
    book = BarBook(CALENDAR, Straight(date(2010, 1, 4)))
    assert len(book.bars("ABC", Timeframe.H4, session.close)) == 2 * 3
    later = BarBook(CALENDAR, Straight(date(2010, 1, 4)))
    assert len(later.bars("ABC", Timeframe.H4, utc("2010-01-20T21:00"))) == 2 * 12


def test_no_minutes_make_no_bars() -> None:
    nothing = Straight(FRIDAY.day).minutes("ABC", FRIDAY, FRIDAY.open)
    assert nothing is not None
    assert aggregate(nothing, FRIDAY, 5) == []


def feed(closes: Sequence[float], volume: int = 10) -> Indicators:
    indicators = Indicators()
    for close in closes:
        indicators.update(close, close, close, volume)
    return indicators


def test_a_price_that_never_moved_has_no_trend_no_bias_and_a_middling_rsi() -> None:
    still = feed([100.0] * 30, volume=0)
    assert (still.atr, still.rsi, still.trend_strength, still.bias) == (0.0, 50.0, 0.0, Bias.NEUTRAL)
    assert still.volume_vs_avg is None, "nothing traded to compare with"


def test_a_straight_trend_is_as_strong_as_it_gets() -> None:
    rising = feed([100 + step for step in range(60)])
    assert rising.trend_strength == 100.0
    assert rising.rsi == 100.0
    assert rising.bias is Bias.LONG


@pytest.mark.parametrize(("name", "bars"), [("atr", 14), ("rsi", 15), ("bias", 21), ("trend_strength", 21)])
def test_an_indicator_waits_for_the_bars_its_name_promises(name: str, bars: int) -> None:
    closes = [100 + step % 3 for step in range(bars)]
    assert getattr(feed(closes[:-1]), name) is None
    assert getattr(feed(closes), name) is not None


def test_minutes_are_cut_at_the_moment_asked_for() -> None:
    whole = Straight(FRIDAY.day).minutes("ABC", FRIDAY, FRIDAY.close + timedelta(hours=1))
    assert whole is not None
    assert len(whole) == 390
    assert len(whole.first(7)) == 7
    assert whole.first(500) is whole
