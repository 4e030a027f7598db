"""A simulated exchange: quotes, chains and bars that are pure functions of (seed, symbol, exchange time).

Behind the Quotes port in the demo, the tests and the benchmarks. What is known at a moment never depends on what was
asked before, so two desks with one seed see one market. It knows nothing of orders: nobody moves this market.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import Chain, FloatArray
from engine.domain.values import OptionContract, Quote, Right
from engine.market import listing, smile, spreads
from engine.market.bars import Minutes
from engine.market.board import Board, make_board
from engine.market.noise import choice, stream
from engine.market.paths import GRID, PER_MINUTE, POINTS, SPENT, Paths
from engine.market.recent import Recent
from engine.market.table import price_of, seconds_of
from engine.market.universe import traits, valid_ticker
from engine.ports import Clock
from engine.sessions import Calendar, Session, new_york_day
from engine.settings import Settings

SOURCE = "simulated"
SIZE_SECONDS = 1_000_000
"""Microseconds for which a displayed size stands."""
AFTER_OPTIONS = timedelta(minutes=1)
"""The exchange's day is over this long after its options stopped trading, so that expiries are seen first."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A quote instant: the last one at or before now, in the session it belongs to."""

    at: datetime
    seconds: float
    session: Session
    point: int
    """Index into the session's path."""

    @property
    def slot(self) -> int:
        return round(self.seconds * 1e6) // SIZE_SECONDS


@dataclass(frozen=True, slots=True)
class _Moment:
    at: datetime
    smile: smile.Moment
    width: float
    """Spreads of this symbol at this time of day, as a multiple of SPY's at noon."""


class SimulatedMarket:
    """The Quotes port over the simulation, for the symbols it was told to watch."""

    def __init__(self, calendar: Calendar, clock: Clock, settings: Settings) -> None:
        self.source = SOURCE
        self.max_age = settings.market.max_quote_age
        self._calendar = calendar
        self._clock = clock
        self._seed = settings.market.seed
        self._rate = settings.contracts.rate
        self._interval = max(round(settings.market.interval * 1e6), 1)
        self._symbols: dict[str, None] = {}
        self._paths = Paths(self._seed, room=max(12, 2 * len(settings.market.symbols)))
        self._boards: Recent[tuple[str, date], Board] = Recent(max(12, 2 * len(settings.market.symbols)))
        self._chains: dict[str, tuple[datetime, Chain]] = {}
        self._asked: dict[str, datetime] = {}
        self._parts: dict[tuple[str, date, str], Board] = {}
        self._moments: Recent[tuple[str, tuple[date, ...]], _Moment] = Recent(256)
        self._instant: Instant | None = None
        self._now: datetime | None = None
        for symbol in settings.market.symbols:
            self.watch(symbol)

    def watch(self, symbol: str) -> None:
        """Simulate one more symbol. Raises `ValueError` for what is no ticker."""
        if not valid_ticker(symbol):
            raise ValueError(f"{symbol!r} is not a ticker")
        self._symbols[symbol] = None

    def symbols(self) -> Sequence[str]:
        return tuple(self._symbols)

    def skip(self, moment: datetime) -> datetime:
        """For `ExchangeClock`: `moment` itself while the exchange's day lasts (09:30 to 16:16, half days to 13:16),
        else the next opening."""
        session = self._calendar.session_at(moment)
        if session is not None and session.open <= moment < session.options_close + AFTER_OPTIONS:
            return moment
        return self._calendar.next_open(moment)

    def underlying(self, symbol: str) -> Quote | None:
        if symbol not in self._symbols:
            return None
        instant = self._at()
        spot = self._spot(symbol, instant)
        tick = 1 if spot < 1000 else 5
        half = 0.5 if symbol in ("SPY", "QQQ", "IWM") else 0.5 + spot * 0.004
        bid = int(np.floor(spot * 100 - half + 1e-7))
        lots = choice(stream(self._seed, symbol, "lots", instant.slot))
        return Quote(
            bid=Decimal(bid).scaleb(-2),
            ask=Decimal(bid + max(tick, round(2 * half))).scaleb(-2),
            bid_size=100 * (1 + int(12 * lots)),
            ask_size=100 * (1 + int(12 * (1 - lots))),
            at=instant.at,
            source=SOURCE,
        )

    def last(self, symbol: str) -> Decimal | None:
        """The last trade of an underlying."""
        return price_of(round(self._spot(symbol, self._at()), 2)) if symbol in self._symbols else None

    def chain(self, symbol: str) -> Chain | None:
        instant = self._at()
        held = self._chains.get(symbol)
        if held is not None and held[0] == instant.at:
            return held[1]
        spot = self.underlying(symbol)
        if spot is None:
            return None
        board = self._board(symbol, instant.session)
        bid, ask, bid_size, ask_size = self._quotes(board, instant)
        chain = Chain(
            symbol=symbol,
            known_at=instant.at,
            source=SOURCE,
            spot=spot,
            expiries=board.expiries,
            expiry=board.terms.expiry,
            strike=board.terms.strike,
            is_call=board.is_call,
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            at=np.full(len(bid), instant.seconds),
            open_interest=board.open_interest,
            volume=(board.day_volume * self._volume_share(instant)).astype(np.int64),
        )
        self._chains[symbol] = (instant.at, chain)
        return chain

    def option(self, contract: OptionContract) -> Quote | None:
        if contract.symbol not in self._symbols:
            return None
        instant = self._at()
        chain = self._chain_now(contract.symbol, instant)
        if chain is not None:
            row = self._board(contract.symbol, instant.session).row.get(contract.osi)
            if row is not None:
                sizes = chain.bid_size[row].item(), chain.ask_size[row].item()
                return _quote(chain.bid[row].item(), chain.ask[row].item(), *sizes, instant.at)
        part = self._part(contract, instant.session)
        if part is None:
            return None
        self._asked[contract.symbol] = instant.at
        bid, ask, bid_size, ask_size = self._quotes(part, instant)
        return _quote(bid[0].item(), ask[0].item(), bid_size[0].item(), ask_size[0].item(), instant.at)

    def find(self, osi: str) -> OptionContract | None:
        contract = listing.parse_osi(osi)
        if contract is None or contract.symbol not in self._symbols:
            return None
        return contract if self._listed(contract, self._at().session) else None

    def official_close(self, symbol: str, day: date) -> Decimal | None:
        if symbol not in self._symbols:
            return None
        session = self._calendar.session(day)
        if session is None or self._clock.now() < session.close:
            return None
        return price_of(round(float(self._paths.path(symbol, day)[_point(session, session.close)]), 2))

    def quotes(self, contracts: Iterable[OptionContract]) -> Mapping[str, Quote]:
        """Quotes of many contracts by OSI symbol, cheaper than one by one; those not listed are left out."""
        instant = self._at()
        wanted: dict[str, list[tuple[str, int]]] = {}
        found: dict[str, Quote] = {}
        for contract in contracts:
            if contract.symbol not in self._symbols:
                continue
            row = self._board(contract.symbol, instant.session).row.get(contract.osi)
            if row is not None:
                wanted.setdefault(contract.symbol, []).append((contract.osi, row))
            elif (quote := self.option(contract)) is not None:
                found[contract.osi] = quote
        for symbol, rows in wanted.items():
            part = self._board(symbol, instant.session).part(np.array([row for _, row in rows], dtype=np.int64))
            columns = (column.tolist() for column in self._quotes(part, instant))
            for (osi, _), bid, ask, bid_size, ask_size in zip(rows, *columns, strict=True):
                found[osi] = _quote(bid, ask, bid_size, ask_size, instant.at)
        return found

    def minutes(self, symbol: str, session: Session, until: datetime) -> Minutes | None:
        """One-minute bars of a session that had closed by `until` (see `BarBook`)."""
        if symbol not in self._symbols:
            return None
        known = int((min(until, session.close, self._clock.now()) - session.open).total_seconds() // 60)
        return self._paths.minutes(symbol, session).first(max(known, 0))

    def _chain_now(self, symbol: str, instant: Instant) -> Chain | None:
        """The chain of this instant, where it is known or a second contract of the symbol is asked for: then all of
        them cost less than two."""
        held = self._chains.get(symbol)
        if held is not None and held[0] == instant.at:
            return held[1]
        return self.chain(symbol) if self._asked.get(symbol) == instant.at else None

    def _at(self) -> Instant:
        now = self._clock.now()
        if self._instant is None or now != self._now:
            self._instant, self._now = self._resolve(now), now
        return self._instant

    def _resolve(self, now: datetime) -> Instant:
        held = self._instant
        if held is not None and held.session.open <= now <= held.session.options_close:
            session = held.session
        else:
            day = new_york_day(now)
            today = self._calendar.session(day)
            session = today if today is not None and today.open <= now else self._calendar.previous_session(day)
        passed = (min(now, session.options_close) - session.open) // timedelta(microseconds=1)
        at = session.open + timedelta(microseconds=passed - passed % self._interval)
        return Instant(at=at, seconds=seconds_of(at), session=session, point=_point(session, at))

    def _spot(self, symbol: str, instant: Instant) -> float:
        return float(self._paths.path(symbol, instant.session.day)[instant.point])

    def _quotes(
        self, board: Board, instant: Instant
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64], NDArray[np.int64]]:
        now = self._moment(board, instant)
        fair, inside, away = smile.values(board.terms, board.traits, now.smile)
        bid, ask = spreads.touch(fair, inside, now.width, board.width)
        bid_size, ask_size = spreads.sizes(board.noise, instant.slot, away, board.traits.depth)
        return bid, ask, np.where(bid == bid, bid_size, 0), ask_size

    def _moment(self, board: Board, instant: Instant) -> _Moment:
        """The symbol's part of all its quotes at an instant, made once for the board's expiries."""
        nature, session = board.traits, board.session
        key = (nature.symbol, board.expiries)
        held = self._moments.get(key)
        if held is not None and held.at == instant.at:
            return held
        spent, at_close = float(SPENT[instant.point]), float(SPENT[_point(session, session.close)])
        vol = smile.volatility_now(nature, self._paths.day(nature.symbol, session.day), spent)
        minutes_left = (session.close - instant.at).total_seconds() / 60
        made = _Moment(
            at=instant.at,
            smile=smile.moment(
                board.terms,
                nature,
                self._spot(nature.symbol, instant),
                vol,
                max(at_close - spent, 0.0),
                instant.seconds,
                self._rate,
            ),
            width=nature.width * spreads.busy_factor(instant.point / PER_MINUTE, minutes_left),
        )
        return self._moments.put(key, made)

    def _volume_share(self, instant: Instant) -> float:
        """Share of the day's contracts that have traded: as the path's variance is spent."""
        return float(SPENT[instant.point] / SPENT[_point(instant.session, instant.session.close)])

    def _board(self, symbol: str, session: Session) -> Board:
        key = (symbol, session.day)
        known = self._boards.get(key)
        if known is None:
            self._parts = {name: part for name, part in self._parts.items() if name[1] >= session.day}
            known = self._boards.put(key, self._make_board(symbol, session))
        return known

    def _make_board(self, symbol: str, session: Session) -> Board:
        dates = listing.expiries(traits(symbol).listing, self._calendar, session.day)
        opened = self._opened(symbol, session)
        shown = listing.strikes(traits(symbol), opened, session.day, dates)
        return make_board(traits(symbol), session, self._calendar, self._seed, dates, shown, opened)

    def _opened(self, symbol: str, session: Session) -> float:
        return float(self._paths.path(symbol, session.day)[0])

    def _part(self, contract: OptionContract, session: Session) -> Board | None:
        """A board of one contract, also for one whose strike the chain no longer shows. None if it is not listed."""
        key = (contract.symbol, session.day, contract.osi)
        known = self._parts.get(key)
        if known is not None:
            return known
        if not self._listed(contract, session):
            return None
        board = self._board(contract.symbol, session)
        row = board.row.get(contract.osi)
        if row is not None:
            part = board.part(np.array([row], dtype=np.int64))
        else:
            shown = listing.Strikes(
                expiry=np.zeros(1, dtype=np.int64),
                strike=np.array([float(contract.strike)]),
                is_call=np.array([contract.right is Right.CALL]),
            )
            opened = self._opened(contract.symbol, session)
            part = make_board(board.traits, session, self._calendar, self._seed, (contract.expiry,), shown, opened)
        self._parts[key] = part
        return part

    def _listed(self, contract: OptionContract, session: Session) -> bool:
        board = self._board(contract.symbol, session)
        if contract.multiplier != 100 or contract.expiry not in board.expiries:
            return False
        return listing.on_grid(board.traits, self._opened(contract.symbol, session), contract.strike)


def _point(session: Session, moment: datetime) -> int:
    return min(int((moment - session.open).total_seconds() / GRID), POINTS)


def _quote(bid: float, ask: float, bid_size: int, ask_size: int, at: datetime) -> Quote:
    return Quote(bid=price_of(bid), ask=price_of(ask), bid_size=bid_size, ask_size=ask_size, at=at, source=SOURCE)
