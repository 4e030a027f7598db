"""Where a simulated underlying is at any moment: a pure function of (seed, symbol, moment).

Two layers. Across days the log of the price wanders around the symbol's level (mean-reverting, summed backwards over
hashed daily shocks, so any day is found without walking there), with its overnight gaps and a volatility that moves
against the returns. Within a day a bridge of bounded shocks every quarter second runs from the open to the close of
that layer, busy after the open and before the close. Half days stop early on the same path; what they did not trade
becomes part of the next gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import FloatArray
from engine.market.bars import Minutes
from engine.market.noise import normals, stream, uniforms
from engine.market.recent import Recent
from engine.market.table import seconds_of
from engine.market.universe import traits
from engine.sessions import Session

GRID = 0.25
"""Seconds between two points of a path."""
PER_MINUTE = 240
TRADED_MINUTES = 405
"""09:30 to 16:15: options are quoted a quarter of an hour longer than the session."""
POINTS = TRADED_MINUTES * PER_MINUTE
INTRADAY = 0.75
"""Share of a day's variance that happens while the exchange is open."""
REALISED = 0.92
"""Realised volatility as a fraction of implied: options cost a little more than they are worth."""
SESSIONS_A_YEAR = 252

_REVERSION = 0.99
_SHOCKS = 700
_VOL_MEMORY = 0.96
_VOL_SHOCKS = 160
_VOL_NOISE = 0.055
_LEVERAGE = -0.7
"""Correlation of volatility's shocks with the day's return."""
_REVERSION_WEIGHTS = _REVERSION ** np.arange(_SHOCKS)
_VOL_WEIGHTS = _VOL_MEMORY ** np.arange(_VOL_SHOCKS)


def _profile() -> FloatArray:
    """Share of the open hours' variance in each quarter second: a U, and a quiet tail after 16:00."""
    minute = (np.arange(POINTS) + 0.5) / PER_MINUTE
    density = 1.0 + 2.2 * np.exp(-minute / 22.0) + 1.1 * np.exp(-np.abs(390.0 - minute) / 18.0)
    density[minute > 390.0] = 0.12
    share: FloatArray = density / density.sum()
    return share


_SHARE = _profile()
_SHOCK_SIZE = np.sqrt(12.0 * _SHARE)
"""Scale of a centred uniform number that has the variance of its quarter second."""
SPENT = np.concatenate(([0.0], np.cumsum(_SHARE)))
"""Share of the open hours' variance that is over at each point; 0 at 09:30, 1 at 16:15."""
_POSITIONS = np.arange(POINTS, dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of one symbol, across-days layer: log price at the open and at 16:15, and log of volatility's level."""

    open: float
    close: float
    vol_open: float
    vol_close: float


def trading_number(day: date) -> int:
    """Weekdays since the beginning of the calendar: shocks are numbered by it, holidays keep theirs for the gap."""
    weeks, weekday = divmod(day.toordinal() - 1, 7)
    return weeks * 5 + min(weekday, 5)


class Paths:
    """The prices of all symbols of one seed. Keeps recent days; forgetting them changes nothing."""

    def __init__(self, seed: int, room: int = 12) -> None:
        self._seed = seed
        self._days: Recent[tuple[str, date], Day] = Recent(256)
        self._paths: Recent[tuple[str, date], FloatArray] = Recent(room)
        self._minutes: Recent[tuple[str, date], Minutes] = Recent(room * 40)

    def day(self, symbol: str, day: date) -> Day:
        """The across-days layer of a day."""
        known = self._days.get((symbol, day))
        return known or self._days.put((symbol, day), self._make_day(symbol, trading_number(day)))

    def path(self, symbol: str, day: date) -> FloatArray:
        """Prices in dollars at every quarter second from 09:30 to 16:15 New York, both ends."""
        known = self._paths.get((symbol, day))
        return known if known is not None else self._paths.put((symbol, day), self._make_path(symbol, day))

    def minutes(self, symbol: str, session: Session) -> Minutes:
        """The session's one-minute bars from the same path, prices to the cent."""
        key = (symbol, session.day)
        known = self._minutes.get(key)
        return known or self._minutes.put(key, self._make_minutes(symbol, session))

    def _make_day(self, symbol: str, number: int) -> Day:
        sigma = traits(symbol).vol * REALISED / SESSIONS_A_YEAR**0.5
        past = (number - np.arange(_SHOCKS + 1)).astype(np.uint64)
        night = normals(stream(self._seed, symbol, "night"), past) * (sigma * (1 - INTRADAY) ** 0.5)
        light = normals(stream(self._seed, symbol, "day"), past)
        move = light * (sigma * INTRADAY**0.5)
        before = float(_REVERSION_WEIGHTS @ (night[1:] + move[1:]))
        opened = _REVERSION * before + float(night[0])
        fear = normals(stream(self._seed, symbol, "fear"), past[: _VOL_SHOCKS + 1])
        shocks = _LEVERAGE * light[: _VOL_SHOCKS + 1] + (1 - _LEVERAGE**2) ** 0.5 * fear
        level = np.log(traits(symbol).price)
        return Day(
            open=level + opened,
            close=level + opened + float(move[0]),
            vol_open=_VOL_NOISE * float(_VOL_WEIGHTS @ shocks[1:]),
            vol_close=_VOL_NOISE * float(_VOL_WEIGHTS @ shocks[:-1]),
        )

    def _make_path(self, symbol: str, day: date) -> FloatArray:
        ends = self.day(symbol, day)
        sigma = traits(symbol).vol * REALISED / SESSIONS_A_YEAR**0.5 * INTRADAY**0.5
        shocks = uniforms(stream(self._seed, symbol, "path", day), _POSITIONS)
        shocks -= 0.5
        shocks *= _SHOCK_SIZE * (sigma * np.exp(ends.vol_open))
        log = np.empty(POINTS + 1)
        log[0] = 0.0
        np.cumsum(shocks, out=log[1:])
        log += SPENT * (ends.close - ends.open - log[-1])
        log += ends.open
        return np.exp(log, out=log)

    def _make_minutes(self, symbol: str, session: Session) -> Minutes:
        count = round((session.close - session.open).total_seconds() / 60)
        path = self.path(symbol, session.day)[: count * PER_MINUTE + 1]
        inside = path[:-1].reshape(count, PER_MINUTE)
        closes = path[PER_MINUTE::PER_MINUTE]
        high = np.maximum(inside.max(axis=1), closes)
        low = np.minimum(inside.min(axis=1), closes)
        start = round(seconds_of(session.open)) + 60 * np.arange(count, dtype=np.int64)
        return Minutes(
            start=start,
            open=np.round(inside[:, 0], 2),
            high=np.round(high, 2),
            low=np.round(low, 2),
            close=np.round(closes, 2),
            volume=self._volume(symbol, session.day, count, high - low, inside[:, 0]),
        )

    def _volume(self, symbol: str, day: date, count: int, span: FloatArray, price: FloatArray) -> NDArray[np.int64]:
        """Shares per minute: a U over that day's session, more where the minute's range was wide, and noise."""
        left = count - np.arange(count)
        shape = 1.0 + 2.5 * np.exp(-np.arange(count) / 15.0) + 3.0 * np.exp(-left / 5.0)
        usual = traits(symbol).vol * price / (SESSIONS_A_YEAR * 390) ** 0.5
        noise = np.exp(0.35 * normals(stream(self._seed, symbol, "volume", day), _POSITIONS[:count]))
        busy = shape * noise * (0.4 + 0.6 * span / usual)
        volume: NDArray[np.int64] = np.maximum(1, traits(symbol).shares / 600.0 * busy).astype(np.int64)
        return volume
