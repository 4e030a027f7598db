"""A small market that misbehaves: gaps, jumps, halts, and quotes that are stale, crossed, one-sided, too wide or gone.

The Quotes port over two underlyings and a handful of contracts, exercised at expiry only: American prices cost more than
all the rest of a run. Values are worked out when they are asked for, once per
tick, so that a run costs little. Deterministic: every number comes from the seed and the virtual clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from math import erf, exp, log, sqrt
from random import Random

import numpy as np

from engine.domain.chain import EPOCH, Chain
from engine.domain.values import OptionContract, Quote, Right, Style
from engine.market.bars import Minutes
from engine.pricing.time import expiry_moment
from engine.sessions import Calendar, Session, new_york_day
from tests.builders_trading import CALENDAR

SYMBOLS = ("SPY", "NVDA")
LEVELS = {"SPY": 600, "NVDA": 200}
RATE = 0.04
YEAR = 365.0 * 86400.0
EXPIRIES = {
    date(2026, 11, 20): (date(2026, 11, 20), date(2026, 11, 25), date(2026, 12, 24)),
    date(2026, 11, 27): (date(2026, 11, 27), date(2026, 12, 2), date(2026, 12, 31)),
}
"""By the first day of a run: today, a weekly and a monthly. The second day is a half day."""
PUBLISHED_AFTER = timedelta(minutes=2)
"""Official closes are known this long after the close."""

NORMAL, CROSSED, STALE, ONE_SIDED, WIDE, GONE, HALTED, LOCKED = (
    "normal", "crossed quotes", "stale quotes", "one-sided quotes", "wide quotes", "no quotes", "halted", "locked quotes",
)  # fmt: skip
MOODS = (CROSSED, STALE, ONE_SIDED, WIDE, GONE, HALTED, LOCKED)


Sides = tuple[int | None, int | None, int, int]
"""Bid and ask in cents, and their sizes."""


@dataclass(slots=True)
class Symbol:
    """One underlying and the options on it, as of its last tick."""

    name: str
    spot: float
    vol: float
    at: datetime
    mood: str = NORMAL
    calm_at: float = 0.0
    """Time at which its mood passes."""
    tick: int = 0
    sides: dict[str, Sides] = field(default_factory=dict)
    quotes: dict[str, Quote] = field(default_factory=dict)
    true: dict[str, Quote] = field(default_factory=dict)
    chain: Chain | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The contracts of one underlying on one first day, with the arrays that never change."""

    contracts: tuple[OptionContract, ...]
    by_osi: dict[str, OptionContract]
    expiries: tuple[date, ...]
    expiry: np.ndarray
    strike: np.ndarray
    is_call: np.ndarray
    activity: np.ndarray


@cache
def listing(symbol: str, first: date) -> Listing:
    level = LEVELS[symbol]
    step = level // 100
    expiries = EXPIRIES[first]
    contracts = tuple(
        OptionContract(
            symbol=symbol, expiry=expiry, right=right, strike=Decimal(level + offset * step), style=Style.EUROPEAN
        )
        for expiry in expiries
        for offset in (-2, -1, 0, 1, 2)
        for right in Right
    )
    return Listing(
        contracts=contracts,
        by_osi={contract.osi: contract for contract in contracts},
        expiries=expiries,
        expiry=np.array([expiries.index(contract.expiry) for contract in contracts], dtype=np.int64),
        strike=np.array([float(contract.strike) for contract in contracts]),
        is_call=np.array([contract.right is Right.CALL for contract in contracts], dtype=np.bool_),
        activity=np.full(len(contracts), 5000, dtype=np.int64),
    )


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is asked of a contract at every tick, as floats."""

    strike: float
    dollars: int
    """Of the strike, whole."""
    expires: float
    """Seconds from the epoch."""
    day: int
    call: bool


_FIXED: dict[str, Fixed] = {}


def fixed(contract: OptionContract) -> Fixed:
    found = _FIXED.get(contract.osi)
    if found is None:
        found = _FIXED[contract.osi] = Fixed(
            strike=float(contract.strike),
            dollars=int(contract.strike),
            expires=moment_of_expiry(contract.expiry),
            day=contract.expiry.day,
            call=contract.right is Right.CALL,
        )
    return found


@cache
def moment_of_expiry(day: date) -> float:
    return (expiry_moment(day, CALENDAR) - EPOCH).total_seconds()


def worth(spot: float, strike: float, years: float, vol: float, call: bool) -> float:
    """Black and Scholes without dividends, by hand: the engine's own pricing must not set its own questions."""
    if years <= 0:
        return max(spot - strike, 0.0) if call else max(strike - spot, 0.0)
    width = vol * sqrt(years)
    d1 = (log(spot / strike) + (RATE + vol * vol / 2) * years) / width
    d2 = d1 - width
    discounted = strike * exp(-RATE * years)
    if call:
        return spot * _below(d1) - discounted * _below(d2)
    return discounted * _below(-d2) - spot * _below(-d1)


def _below(x: float) -> float:
    return 0.5 * (1.0 + erf(x / 1.4142135623730951))


class HostileMarket:
    """The Quotes port and a MinuteSource that knows nothing. `now` is the exchange's time."""

    source = "simulated"
    max_age = 8.0

    def __init__(
        self, random: Random, first: date, now: Callable[[], datetime], noted: Callable[[str], None], calendar: Calendar
    ) -> None:
        self._random = random
        self._first = first
        self._now = now
        self._noted = noted
        self._calendar = calendar
        start = now()
        self.quiet = False
        """No more faults: the end of a run, in which everything must come to rest."""
        self._symbols = {
            name: Symbol(name, LEVELS[name] * random.uniform(0.995, 1.005), random.uniform(0.15, 0.35), start)
            for name in SYMBOLS
        }
        self._closes: dict[tuple[str, date], Decimal] = {}

    # --- time goes on ---------------------------------------------------------------------------------------------

    def tick(self, time: float) -> None:
        """New prices for everything that is quoted now."""
        now = self._now()
        day = new_york_day(now)
        session = self._calendar.session(day)
        for symbol in self._symbols.values():
            if session is None or not session.open <= now < session.options_close:
                continue
            if symbol.mood is not NORMAL and (time >= symbol.calm_at or self.quiet):
                symbol.mood = NORMAL
            elif symbol.mood is NORMAL and not self.quiet and self._random.random() < 0.03:
                symbol.mood = self._random.choice(MOODS)
                symbol.calm_at = time + self._random.choice((4.0, 12.0, 40.0))
                self._noted(symbol.mood)
            if symbol.mood in (STALE, HALTED):
                continue
            self._move(symbol)
            symbol.at = now
            symbol.tick += 1
            symbol.sides.clear()
            symbol.quotes.clear()
            symbol.true.clear()
            symbol.chain = None

    def _move(self, symbol: Symbol) -> None:
        random = self._random
        kick = random.random()
        if kick < 0.02 and not self.quiet:
            self._noted("jump")
            symbol.spot *= 1.0 + random.choice((-1, 1)) * random.uniform(0.006, 0.02)
        else:
            symbol.spot *= 1.0 + random.gauss(0.0, 0.0006)
        if kick > 0.97:
            symbol.vol = min(max(symbol.vol * random.uniform(0.75, 1.3), 0.08), 0.9)
        level = LEVELS[symbol.name]
        symbol.spot = min(max(symbol.spot, level * 0.95), level * 1.05)

    def jump(self) -> None:
        """A gap over a time without ticks (a night, a long pause)."""
        self._noted("gap")
        for symbol in self._symbols.values():
            symbol.spot *= 1.0 + self._random.uniform(-0.015, 0.015)
            symbol.mood = NORMAL

    # --- the port -------------------------------------------------------------------------------------------------

    def spot(self, name: str) -> float:
        return self._symbols[name].spot

    def underlying(self, symbol: str) -> Quote | None:
        known = self._symbols.get(symbol)
        if known is None or known.mood is GONE:
            return None
        cents = round(known.spot * 100)
        low, high = (cents + 3, cents - 1) if known.mood is CROSSED else (cents - 1, cents + 1)
        return Quote(
            bid=Decimal(low).scaleb(-2),
            ask=Decimal(high).scaleb(-2),
            at=known.at,
            bid_size=900,
            ask_size=900,
            source=self.source,
        )

    def option(self, contract: OptionContract) -> Quote | None:
        known = self._symbols.get(contract.symbol)
        if known is None or known.mood is GONE:
            return None
        key = contract.osi
        found = known.quotes.get(key)
        if found is None:
            found = known.quotes[key] = self._quote(known, self._quoted(known, contract, key))
        return found

    def _quoted(self, known: Symbol, contract: OptionContract, key: str) -> Sides:
        """What our feed says, until the next tick."""
        found = known.sides.get(key)
        if found is None:
            found = known.sides[key] = self._sides(known, contract, known.mood)
        return found

    def true_quote(self, contract: OptionContract) -> Quote | None:
        """What the exchange itself trades at, whatever our feed says; None while trading is halted."""
        known = self._symbols[contract.symbol]
        if known.mood is HALTED:
            return None
        key = contract.osi
        if key not in known.true:
            known.true[key] = self._quote(known, self._sides(known, contract, NORMAL))
        return known.true[key]

    def _sides(self, known: Symbol, contract: OptionContract, mood: str) -> Sides:
        it = fixed(contract)
        seconds = it.expires - (known.at - EPOCH).total_seconds()
        value = worth(known.spot, it.strike, seconds / YEAR, known.vol, it.call)
        half = 1 if value < 3 else 2
        middle = round(value * 100)
        bid, ask = middle - half, middle + half
        mix = known.tick * 7 + it.dollars * 13 + it.day
        bid_size, ask_size = 1 + mix % 9, 1 + (mix // 3) % 9
        if mood is CROSSED:
            bid, ask = ask, bid
        elif mood is LOCKED:
            bid = ask
        elif mood is WIDE:
            bid, ask = middle // 2, middle * 2 + 10
        return None if bid <= 0 else bid, None if mood is ONE_SIDED else max(ask, 1), bid_size, ask_size

    def _quote(self, known: Symbol, sides: Sides) -> Quote:
        bid, ask, bid_size, ask_size = sides
        return Quote(
            bid=None if bid is None else Decimal(bid).scaleb(-2),
            ask=None if ask is None else Decimal(ask).scaleb(-2),
            at=known.at,
            bid_size=bid_size,
            ask_size=ask_size,
            source=self.source,
        )

    def chain(self, symbol: str) -> Chain | None:
        known = self._symbols.get(symbol)
        if known is None or known.mood is GONE:
            return None
        if known.chain is None:
            known.chain = self._chain(known)
        return known.chain

    def _chain(self, known: Symbol) -> Chain:
        listed = listing(known.name, self._first)
        quoted = [self._quoted(known, contract, key) for key, contract in listed.by_osi.items()]
        bids, asks, bid_sizes, ask_sizes = zip(*quoted, strict=True)
        spot = self.underlying(known.name)
        assert spot is not None
        nan = float("nan")
        return Chain(
            symbol=known.name,
            known_at=known.at,
            source=self.source,
            spot=spot,
            expiries=listed.expiries,
            expiry=listed.expiry,
            strike=listed.strike,
            is_call=listed.is_call,
            bid=np.array([nan if bid is None else bid / 100 for bid in bids]),
            ask=np.array([nan if ask is None else ask / 100 for ask in asks]),
            bid_size=np.array(bid_sizes, dtype=np.int64),
            ask_size=np.array(ask_sizes, dtype=np.int64),
            at=np.full(len(quoted), (known.at - EPOCH).total_seconds()),
            open_interest=listed.activity,
            volume=listed.activity,
            style=Style.EUROPEAN,
        )

    def find(self, osi: str) -> OptionContract | None:
        for name in SYMBOLS:
            found = listing(name, self._first).by_osi.get(osi)
            if found is not None:
                return found
        return None

    def symbols(self) -> Sequence[str]:
        return SYMBOLS

    def official_close(self, symbol: str, day: date) -> Decimal | None:
        """Known some minutes after the close: until then a settlement has to wait."""
        session = self._calendar.session(day)
        if session is None or symbol not in self._symbols or self._now() < session.close + PUBLISHED_AFTER:
            return None
        price = Decimal(round(self._symbols[symbol].spot * 100)).scaleb(-2)
        return self._closes.setdefault((symbol, day), price)

    def minutes(self, symbol: str, session: Session, until: datetime) -> Minutes | None:
        return None

    def contracts(self, symbol: str) -> tuple[OptionContract, ...]:
        return listing(symbol, self._first).contracts


class ExchangeTime:
    """The engine's clock: the exchange's time, which runs with the virtual loop and skips hours when told."""

    def __init__(self, start: datetime, time: Callable[[], float]) -> None:
        self._start = start.astimezone(UTC)
        self._time = time
        self._last = (-1.0, self._start)

    def now(self) -> datetime:
        time = self._time()
        if self._last[0] != time:
            self._last = (time, self._start + timedelta(microseconds=round(time * 1e6)))
        return self._last[1]

    def wall(self) -> datetime:
        return self.now()

    def monotonic(self) -> float:
        return self._time()

    def skip(self, span: timedelta) -> None:
        """The exchange goes on by so much at once. Never back."""
        assert span >= timedelta(0)
        self._start += span
        self._last = (-1.0, self._start)
