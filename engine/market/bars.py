"""Bars of 3 to 240 minutes from one-minute bars, and what they say: the book that signals and exits are checked against.

`BarBook` is asked by intake (short forms) and by the guards. It pulls one-minute bars from a market's `MinuteSource` and
never sees one before it closed. Bars are anchored at 09:30 New York: the last of a session may be short.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.bars import Bar, BarFacts
from engine.domain.chain import FloatArray
from engine.domain.values import Timeframe
from engine.market.indicators import Indicators
from engine.market.table import moment_of, seconds_of
from engine.ports import Quotes
from engine.sessions import Calendar, CalendarError, Session, new_york_day

HISTORY = {
    Timeframe.M3: 2,
    Timeframe.M5: 3,
    Timeframe.M15: 5,
    Timeframe.M30: 8,
    Timeframe.H1: 12,
    Timeframe.H4: 25,
}
"""Sessions before today that a timeframe's indicators start from: at least 50 bars, and the same for everyone who asks
on the same day, whenever the program was started."""
KEPT = 600
"""Completed bars kept per timeframe for charts."""


@dataclass(frozen=True, slots=True)
class Minutes:
    """One-minute bars of one session, oldest first. `start`: seconds since the epoch; known 60 s later."""

    start: NDArray[np.int64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def first(self, count: int) -> Minutes:
        """The oldest `count` bars."""
        if count >= len(self):
            return self
        return Minutes(
            start=self.start[:count],
            open=self.open[:count],
            high=self.high[:count],
            low=self.low[:count],
            close=self.close[:count],
            volume=self.volume[:count],
        )

    def rows(self, first: int, last: int) -> Iterator[tuple[int, float, float, float, float, int]]:
        """(start, open, high, low, close, volume) of bars first to last, as plain numbers."""
        columns = (self.start, self.open, self.high, self.low, self.close, self.volume)
        return zip(*(column[first:last].tolist() for column in columns), strict=True)


class MinuteSource(Protocol):
    def minutes(self, symbol: str, session: Session, until: datetime) -> Minutes | None:
        """Regular-session one-minute bars that had closed by `until`; None where nothing is known. A longer answer for
        a later `until` only adds to its end."""
        ...


def aggregate(minutes: Minutes, session: Session, length: int) -> list[Bar]:
    """The completed session's one-minute bars as bars of `length` minutes."""
    if not len(minutes):
        return []
    opened, closed = round(seconds_of(session.open)), round(seconds_of(session.close))
    span = length * 60
    bucket = (minutes.start - opened) // span
    firsts = np.flatnonzero(np.diff(bucket, prepend=-1))
    lasts = np.append(firsts[1:], len(minutes)) - 1
    return [
        Bar(
            start=moment_of(opened + index * span),
            end=moment_of(min(opened + (index + 1) * span, closed)),
            open=first,
            high=high,
            low=low,
            close=last,
            volume=volume,
        )
        for index, first, high, low, last, volume in zip(
            bucket[firsts].tolist(),
            minutes.open[firsts].tolist(),
            np.maximum.reduceat(minutes.high, firsts).tolist(),
            np.minimum.reduceat(minutes.low, firsts).tolist(),
            minutes.close[lasts].tolist(),
            np.add.reduceat(minutes.volume, firsts).tolist(),
            strict=True,
        )
    ]


class BarBuilder:
    """Puts one-minute bars of one session together. A bar closes when its time is over, traded in or not."""

    def __init__(self, session: Session, length: int) -> None:
        self._opened, self._closed = round(seconds_of(session.open)), round(seconds_of(session.close))
        self._span = length * 60
        self._bucket = -1
        self._end = 0
        self._open = self._high = self._low = self._close = 0.0
        self._volume = 0

    def add(self, start: int, open_: float, high: float, low: float, close: float, volume: int) -> Bar | None:
        """Add a one-minute bar that began at `start` (seconds since the epoch); the bar it closed or made late."""
        bucket = (start - self._opened) // self._span
        done = self.settle(start)
        if self._bucket < 0:
            self._bucket = bucket
            self._end = min(self._opened + (bucket + 1) * self._span, self._closed)
            self._open, self._high, self._low, self._volume = open_, high, low, 0
        self._high, self._low = max(self._high, high), min(self._low, low)
        self._close = close
        self._volume += volume
        return done

    def settle(self, now: float) -> Bar | None:
        """The bar in work, if its time is over at `now` (seconds since the epoch)."""
        if self._bucket < 0 or now < self._end:
            return None
        done = Bar(
            start=moment_of(self._opened + self._bucket * self._span),
            end=moment_of(self._end),
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._volume,
        )
        self._bucket = -1
        return done


class _Track:
    """One timeframe of one symbol: the bar in work, the indicators, the completed bars."""

    def __init__(self, session: Session, timeframe: Timeframe) -> None:
        self.builder = BarBuilder(session, timeframe.minutes)
        self.indicators = Indicators()
        self.bars: deque[Bar] = deque(maxlen=KEPT)

    def close(self, bar: Bar | None) -> None:
        if bar is not None:
            self.bars.append(bar)
            self.indicators.update(bar.high, bar.low, bar.close, bar.volume)


class _Symbol:
    """All timeframes of one symbol for one day: history first, then today's minutes as they close."""

    def __init__(self, source: MinuteSource, calendar: Calendar, symbol: str, session: Session) -> None:
        self._source = source
        self._symbol = symbol
        self._session = session
        self._used = 0
        self._value = 0.0
        self._shares = 0
        self.last: float | None = None
        self.tracks = {timeframe: _Track(session, timeframe) for timeframe in Timeframe}
        self._begin(calendar)

    @property
    def vwap(self) -> float | None:
        """Typical price of today's minutes weighted by volume."""
        return self._value / self._shares if self._shares else None

    def advance(self, now: datetime) -> None:
        minutes = self._source.minutes(self._symbol, self._session, now)
        seconds = seconds_of(now)
        if minutes is not None:
            for row in minutes.rows(self._used, len(minutes)):
                self._add(*row)
            self._used = len(minutes)
        for track in self.tracks.values():
            track.close(track.builder.settle(seconds))

    def _add(self, start: int, open_: float, high: float, low: float, close: float, volume: int) -> None:
        self.last = close
        self._value += (high + low + close) / 3.0 * volume
        self._shares += volume
        for track in self.tracks.values():
            track.close(track.builder.add(start, open_, high, low, close, volume))

    def _begin(self, calendar: Calendar) -> None:
        sessions = _sessions_before(calendar, self._session.day, max(HISTORY.values()))
        for ago, session in zip(range(len(sessions), 0, -1), sessions, strict=True):
            minutes = self._source.minutes(self._symbol, session, session.close)
            if minutes is None or not len(minutes):
                continue
            self.last = float(minutes.close[-1])
            for timeframe, track in self.tracks.items():
                if ago <= HISTORY[timeframe]:
                    for bar in aggregate(minutes, session, timeframe.minutes):
                        track.close(bar)


class BarBook:
    """Bars and their facts by (symbol, timeframe), for a market that has one-minute bars.

    The market is at `now` before the book is asked: a recording that is still behind has not told its last minute.
    """

    def __init__(self, calendar: Calendar, source: MinuteSource, quotes: Quotes | None = None) -> None:
        self._calendar = calendar
        self._source = source
        self._quotes = quotes
        self._known: dict[str, tuple[date, datetime, _Symbol]] = {}

    def facts_for(self, symbol: str, timeframe: Timeframe, now: datetime) -> BarFacts:
        """What completed bars say at `now`, with the underlying's mid where a quote is known."""
        known = self._at(symbol, now)
        indicators = known.tracks[timeframe].indicators
        return BarFacts(
            price=self._price(symbol, known.last),
            atr=indicators.atr,
            vwap=known.vwap,
            volume_vs_avg=indicators.volume_vs_avg,
            trend_strength=indicators.trend_strength,
            bias_4h=known.tracks[Timeframe.H4].indicators.bias,
            bias_1h=known.tracks[Timeframe.H1].indicators.bias,
        )

    def bars(self, symbol: str, timeframe: Timeframe, now: datetime) -> Sequence[Bar]:
        """Completed bars, oldest first: a few sessions of history and today's."""
        return tuple(self._at(symbol, now).tracks[timeframe].bars)

    def _price(self, symbol: str, last: float | None) -> float | None:
        quote = None if self._quotes is None else self._quotes.underlying(symbol)
        mid = None if quote is None else quote.mid
        return last if mid is None else float(mid)

    def _at(self, symbol: str, now: datetime) -> _Symbol:
        day = new_york_day(now)
        session = self._calendar.session(day) or self._calendar.previous_session(day)
        held = self._known.get(symbol)
        if held is None or held[0] != session.day or now < held[1]:
            known = _Symbol(self._source, self._calendar, symbol, session)
        else:
            known = held[2]
        known.advance(now)
        self._known[symbol] = (session.day, now, known)
        return known


def _sessions_before(calendar: Calendar, day: date, count: int) -> list[Session]:
    """Up to `count` sessions before `day`, oldest first; fewer at the calendar's beginning."""
    found: list[Session] = []
    try:
        while len(found) < count:
            found.append(calendar.previous_session(found[-1].day if found else day))
    except CalendarError:
        # The table begins here: whoever asks so early has less history, not an error.
        return found[::-1]
    return found[::-1]
