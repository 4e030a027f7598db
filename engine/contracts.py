"""Contract selection: which option of a chain a signal buys, and why not the others.

Called by the journey once a decision may become a ticket. Pure: it prices only the one expiry it looks at, never fetches
a quote and never falls back to a contract that could not be sold again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import EPOCH, Chain
from engine.domain.entities import Neighbour
from engine.domain.values import (
    Bucket,
    Code,
    Direction,
    Greeks,
    OptionContract,
    Quote,
    Refusal,
    Right,
    Style,
    Timeframe,
    Value,
    refuse,
)
from engine.pricing import expiry_moment, styles, year_fraction
from engine.pricing.contract import MIN_SECONDS_FOR_IV, MIN_VEGA_FOR_IV, rounded
from engine.pricing.terms import Terms
from engine.pricing.time import SECONDS_A_YEAR
from engine.sessions import Calendar, new_york_day
from engine.settings import ContractSettings, Settings

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

Moved = Callable[[FloatArray], FloatArray]
"""Fractions the underlying has moved since each of these moments (seconds since the epoch); NaN where unknown."""

TermsOf = Callable[[Chain, date], Terms]
"""The terms on which an expiry of a chain is priced."""

STANDARD_MULTIPLIER = 100
NEIGHBOURS = 3

_WINDOWS: dict[Timeframe, tuple[int, int]] = {
    Timeframe.M3: (0, 0),
    Timeframe.M5: (0, 0),
    Timeframe.M15: (2, 7),
    Timeframe.M30: (2, 7),
    Timeframe.H1: (2, 7),
    Timeframe.H4: (30, 45),
}
_WINDOW_WITHOUT_TIMEFRAME = (2, 7)
_MONTHLY = (30, 45)
_TIGHT_SPREAD = {"SPY": 0.02, "QQQ": 0.02, "IWM": 0.03}
"""A spread this narrow in dollars is always narrow enough."""
_HALF_CENT = 0.0005
"""Slack of comparisons between quoted prices, which are floats here and whole ticks there."""


class Choice(Value, frozen=True, kw_only=True):
    """The contract to buy, with everything the ticket shows about it."""

    contract: OptionContract
    row: int
    """Its row in the chain."""
    quote: Quote
    spot: Quote
    greeks: Greeks
    bucket: Bucket
    dte: int
    """Calendar days to expiry in New York."""
    expiry: datetime
    """Moment it expires, UTC."""
    terms: Terms
    """What its Greeks were worked out on."""
    target_delta: float
    notes: tuple[str, ...]
    """What is not as the window asks, in a trader's words."""
    neighbours: tuple[Neighbour, ...]
    """The three nearest that were not taken."""
    tick: Decimal

    @property
    def delta(self) -> float:
        return self.greeks.delta


class NoChoice(Value, frozen=True, kw_only=True):
    """No contract may be bought; the nearest ones say why."""

    refusal: Refusal
    neighbours: tuple[Neighbour, ...] = ()
    notes: tuple[str, ...] = ()


def choose(
    chain: Chain,
    direction: Direction,
    timeframe: Timeframe | None,
    now: datetime,
    settings: Settings,
    calendar: Calendar,
    *,
    quantity_hint: int = 1,
    max_age: float | None = None,
    moved: Moved | None = None,
    terms_of: TermsOf | None = None,
) -> Choice | NoChoice:
    """The contract for a direction, by the trigger's timeframe (none: as 15 to 60 minutes).

    `max_age` in seconds replaces the age limit of the chain's source; `moved` lets an older quote pass while the
    underlying stood still; `terms_of` tells the forward (without it the spot and the settings' rate do). `quantity_hint` only breaks ties: between equal deltas the one that shows that size wins.
    Refuses with ADJUSTED_CONTRACT, NO_MARKET_DATA, STALE_QUOTE, NO_EXPIRY or NO_LIQUID_CONTRACT.
    """
    if chain.multiplier != STANDARD_MULTIPLIER:
        return NoChoice(refusal=refuse(Code.ADJUSTED_CONTRACT, symbol=chain.symbol, multiplier=chain.multiplier))
    if not chain.spot.two_sided or chain.spot.mid is None:
        return NoChoice(refusal=refuse(Code.NO_MARKET_DATA, symbol=chain.symbol, quote="one-sided or crossed"))
    spot_limit = max_age if max_age is not None else settings.market.quote_age(chain.source)
    if chain.spot.age(now) > spot_limit:
        return NoChoice(
            refusal=refuse(
                Code.STALE_QUOTE, symbol=chain.symbol, age=f"{chain.spot.age(now):.1f}s", limit=f"{spot_limit:g}s"
            )
        )
    today = new_york_day(now)
    found = _expiry(chain, timeframe, today, now, calendar, settings.contracts.window_slack)
    if isinstance(found, NoChoice):
        return found
    index, dte, moment, notes = found
    bucket = bucket_of(dte)
    age_limit = max_age if max_age is not None else settings.market.quote_age(chain.source, bucket is Bucket.ZERO_DTE)
    target = target_delta(dte, settings.contracts)
    rows = np.flatnonzero((chain.expiry == index) & (chain.is_call == (direction.right is Right.CALL)))
    terms = Terms(settings.contracts.rate) if terms_of is None else terms_of(chain, chain.expiries[index])
    side = _Side(chain, rows, moment, now, float(chain.spot.mid), settings, bucket, age_limit, moved, terms)
    return side.choose(target, dte, notes, quantity_hint)


def bucket_of(dte: int) -> Bucket:
    """The bucket of a contract with that many calendar days to live."""
    if dte <= 0:
        return Bucket.ZERO_DTE
    if dte == 1:
        return Bucket.ONE_DTE
    return Bucket.WEEKLY if dte <= 7 else Bucket.LONGER


def target_delta(dte: int, settings: ContractSettings) -> float:
    """|delta| that is aimed at."""
    if dte <= 0:
        return settings.delta_0dte
    if dte <= 7:
        return settings.delta_weekly
    return settings.delta_monthly if _MONTHLY[0] <= dte <= _MONTHLY[1] else settings.delta_longer


def _expiry(
    chain: Chain, timeframe: Timeframe | None, today: date, now: datetime, calendar: Calendar, slack: int
) -> tuple[int, int, datetime, tuple[str, ...]] | NoChoice:
    """Index, days, moment and notes of the expiry nearest to the window; inside it the soonest.

    Outside it by `slack` days at most, and said so. Of two equally far outside, the later one: it decays slower.
    """
    first, last = _WINDOWS[timeframe] if timeframe is not None else _WINDOW_WITHOUT_TIMEFRAME
    best: tuple[int, int, int] | None = None
    for index, day in enumerate(chain.expiries):
        dte = (day - today).days
        if dte < 0 or (dte == 0 and expiry_moment(day, calendar) <= now):
            continue
        outside = max(first - dte, dte - last, 0)
        rank = (outside, dte if outside == 0 else -dte, index)
        if best is None or rank < best:
            best = rank
    window = _window_text(first, last)
    if best is None or best[0] > slack:
        listed = ",".join(str((day - today).days) for day in chain.expiries) or "none"
        return NoChoice(refusal=refuse(Code.NO_EXPIRY, symbol=chain.symbol, window=window, listed_days=listed))
    index = best[2]
    day = chain.expiries[index]
    dte = (day - today).days
    notes = (f"no expiry in {window}: {dte} days, {day:%d %b %y}",) if best[0] else ()
    return index, dte, expiry_moment(day, calendar), notes


def _window_text(first: int, last: int) -> str:
    return "0DTE" if last == 0 else f"{first}-{last} days"


class _Side:
    """The calls or the puts of one expiry, priced once."""

    def __init__(
        self,
        chain: Chain,
        rows: NDArray[np.intp],
        moment: datetime,
        now: datetime,
        spot: float,
        settings: Settings,
        bucket: Bucket,
        age_limit: float,
        moved: Moved | None,
        terms: Terms,
    ) -> None:
        self.chain, self.rows, self.moment, self.bucket = chain, rows, moment, bucket
        self.limits = settings.contracts
        self.age_limit = age_limit
        self.spot = spot
        self.terms = terms
        self.american = chain.style is Style.AMERICAN
        self.t = year_fraction(now, moment)
        self.strike, self.bid, self.ask = chain.strike[rows], chain.bid[rows], chain.ask[rows]
        self.mid = 0.5 * (self.bid + self.ask)
        self.spread = self.ask - self.bid
        self.age = (now - EPOCH).total_seconds() - chain.at[rows]
        self.open_interest, self.volume = chain.open_interest[rows], chain.volume[rows]
        self.quiet_move = settings.market.quiet_move
        self.vol, self.priced = self._implied()
        self.greeks = styles.greeks(
            spot * terms.basis,
            self.strike,
            self.t,
            terms.rate,
            terms.carry,
            self.vol,
            chain.is_call[rows],
            self.american,
        )
        self.failures = self._failures(moved)
        self.liquid = ~np.logical_or.reduce([mask for mask, _ in self.failures])

    def _implied(self) -> tuple[FloatArray, BoolArray]:
        """Vols of the mids, and where they are a quote's own. The rest is interpolated over the strikes: good enough
        to say which contracts are near, never to choose one."""
        is_call = self.chain.is_call[self.rows]
        terms = self.terms
        vol = styles.implied_vol(
            self.mid, self.spot * terms.basis, self.strike, self.t, terms.rate, terms.carry, is_call, self.american
        ).vol
        if self.t * SECONDS_A_YEAR < MIN_SECONDS_FOR_IV:
            vol = np.full(vol.shape, np.nan)
        own = np.isfinite(vol) & (self.bid < self.ask)
        if own.any() and not own.all():
            order = np.argsort(self.strike[own])
            vol = np.where(own, vol, np.interp(self.strike, self.strike[own][order], vol[own][order]))
        return vol, own

    def _failures(self, moved: Moved | None) -> list[tuple[BoolArray, Callable[[int], str]]]:
        """Each test of liquidity: where it fails, and what it saw there. In the order in which they are said."""
        limits, chain = self.limits, self.chain
        min_bid = limits.min_bid_0dte if self.bucket is Bucket.ZERO_DTE else limits.min_bid
        fraction, tight = self._spread_limits()
        widest = np.maximum(tight, fraction * self.mid)
        stale = self.age > self.age_limit
        if moved is not None and stale.any():
            still = np.abs(moved(chain.at[self.rows])) < self.quiet_move
            stale &= ~still
        # Today's volume only speaks for a contract: it is small for every one in the morning. So a small volume refuses
        # nothing by itself, and an open interest that nobody told us refuses nothing at all.
        thin = (
            (self.open_interest >= 0)
            & (self.open_interest < limits.min_open_interest)
            & (self.volume < limits.min_volume)
        )
        with np.errstate(invalid="ignore"):
            feeble = ~(self.greeks.vega >= MIN_VEGA_FOR_IV) | ~self.priced
        return [
            (np.isnan(self.bid) | np.isnan(self.ask), lambda _: "one-sided"),
            (self.bid > self.ask, lambda i: f"crossed {self.bid[i]:.2f} x {self.ask[i]:.2f}"),
            (self.bid == self.ask, lambda i: f"locked at {self.bid[i]:.2f}"),
            (stale, lambda i: f"quote {self.age[i]:.1f} s old, limit {self.age_limit:g} s"),
            (self.bid < min_bid - _HALF_CENT, lambda i: f"bid {self.bid[i]:.2f} under {min_bid:.2f}"),
            (
                self.spread > widest + _HALF_CENT,
                lambda i: f"spread {self.spread[i]:.2f} over {widest[i]:.2f}",
            ),
            (thin, lambda i: f"open interest {_known(self.open_interest[i])}, volume {_known(self.volume[i])}"),
            (feeble, lambda _: "no implied vol"),
        ]

    def _spread_limits(self) -> tuple[float, float]:
        symbol, limits = self.chain.symbol, self.limits
        fraction = {"SPY": limits.spread_index, "QQQ": limits.spread_index, "IWM": limits.spread_iwm}
        return fraction.get(symbol, limits.spread_other), _TIGHT_SPREAD.get(symbol, 0.0)

    def choose(self, target: float, dte: int, notes: tuple[str, ...], quantity_hint: int) -> Choice | NoChoice:
        order = self._by_distance(target, quantity_hint)
        expiry = self.moment
        chosen = next((int(i) for i in order if self.liquid[i]), None)
        near = [int(i) for i in order if int(i) != chosen][:NEIGHBOURS]
        neighbours = tuple(self._neighbour(i, target) for i in near)
        if chosen is None:
            numbers = {n.contract.osi: _said(n) for n in neighbours}
            return NoChoice(
                refusal=refuse(Code.NO_LIQUID_CONTRACT, symbol=self.chain.symbol, days=dte, **numbers),
                neighbours=neighbours,
                notes=notes,
            )
        row = int(self.rows[chosen])
        return Choice(
            contract=self.chain.contract(row),
            row=row,
            quote=self.chain.quote(row),
            spot=self.chain.spot,
            greeks=rounded(float(self.vol[chosen]), self.greeks, chosen, self.terms),
            bucket=self.bucket,
            dte=dte,
            expiry=expiry,
            terms=self.terms,
            target_delta=target,
            notes=notes,
            neighbours=neighbours,
            tick=self.chain.tick,
        )

    def _by_distance(self, target: float, quantity_hint: int) -> NDArray[np.intp]:
        """Rows of this side from the nearest delta; where no delta is known, from the nearest strike."""
        distance = np.round(np.abs(np.abs(self.greeks.delta) - target), 6)
        unknown = np.isnan(distance)
        distance = np.where(unknown, 1.0 + np.abs(np.log(self.strike / self.spot)), distance)
        small = self.chain.ask_size[self.rows] < quantity_hint
        spread = np.where(np.isnan(self.spread), np.inf, self.spread)
        return np.lexsort((self.strike, spread, small, distance))

    def _neighbour(self, i: int, target: float) -> Neighbour:
        row = int(self.rows[i])
        quote = self.chain.quote(row)
        delta = round(float(self.greeks.delta[i]), 6) if self.priced[i] else None
        why = next((said(i) for mask, said in self.failures if mask[i]), None)
        return Neighbour(
            contract=self.chain.contract(row),
            delta=delta,
            bid=quote.bid,
            ask=quote.ask,
            why=why or f"delta {abs(float(self.greeks.delta[i])):.2f}, further from {target:.2f}",
        )


def _known(count: int) -> str:
    return str(count) if count >= 0 else "n/a"


def _said(neighbour: Neighbour) -> str:
    delta = "n/a" if neighbour.delta is None else f"{abs(neighbour.delta):.2f}"
    return f"delta {delta}, {neighbour.why}"
