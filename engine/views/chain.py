"""The option chain of one symbol and expiry: quotes, implied vols and Greeks of every strike around the forward.

Everything is in the arguments, which do not change: it may run in any thread. The desk gives it a snapshot and the terms of the
moment, and shows what comes back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from engine.domain.chain import EPOCH, Chain, FloatArray
from engine.domain.values import Right, Style, money
from engine.domain.views import ChainExpiry, ChainRow, ChainSide, ChainView, Face, FaceKind
from engine.pricing import expiry_moment, styles, year_fraction
from engine.pricing.contract import MIN_SECONDS_FOR_IV, MIN_VEGA_FOR_IV
from engine.pricing.findings import Finding, FindingKind, Quotes, find_quotes
from engine.pricing.implied import IvStatus
from engine.pricing.terms import Terms
from engine.pricing.time import SECONDS_A_YEAR
from engine.sessions import Calendar, new_york_day
from engine.settings import MarketSettings
from engine.views.seen import age
from engine.views.smile import risk_reversal

FORWARD_ERROR = 0.01
"""Dollars that the parity forward leaves open, for bounds that hang on it."""
CARRY_KNOWN = 1 / 365
"""Years to an expiry from which its carry is told: on the last day a cent in a forward of 600 is 0.6 % a year and more."""
THIN = (FindingKind.ZERO_BID, FindingKind.NO_QUOTE)
"""Far contracts without a side are ordinary; the missing vol says why."""
SHOWN = 40
"""Strikes on each side of the forward; the far ones are left out."""

WHY = {
    IvStatus.BAD_INPUT: "no two-sided quote",
    IvStatus.EXERCISE_REGION: "worth exercising now: every low vol gives this price",
    IvStatus.EXPIRED: "expired",
    IvStatus.BELOW_INTRINSIC: "mid is below what exercise pays",
    IvStatus.NO_TIME_VALUE: "no time value left",
    IvStatus.ABOVE_BOUND: "mid is above any value it can have",
    IvStatus.UNSOLVED: "not found",
}
"""Why a contract has no implied vol, in a trader's words."""


@dataclass(frozen=True, slots=True)
class ChainAsk:
    """What one look at a chain needs."""

    chain: Chain
    expiry: int
    """Index into `chain.expiries`."""
    terms: Terms
    now: datetime
    calendar: Calendar
    market: MarketSettings
    symbols: tuple[str, ...]
    fit: bool = True
    """Fit the smile anew, which takes longer than all the rest; else its skew is `skew`, of a moment ago."""
    skew: float | None = None


def nothing(symbol: str, symbols: Sequence[str], why: str = "") -> ChainView:
    """The panel before there is a chain."""
    what = why or (f"{symbol} has no option chain now." if symbol else "No symbol is watched.")
    face = Face(kind=FaceKind.EMPTY, what=what, then="It appears with the first quote of its options.")
    return ChainView(symbol=symbol, symbols=tuple(symbols), face=face)


def failed(shown: ChainView, error: str) -> ChainView:
    """The panel when a look at the chain failed: what was there stays."""
    face = Face(kind=FaceKind.ERROR, what=f"The chain could not be priced: {error}", then="Quotes, orders and exits are not touched. Next try in 5 s.")  # fmt: skip
    return ChainView(**{name: getattr(shown, name) for name in shown.__struct_fields__} | {"face": face})


def living(chain: Chain, now: datetime, calendar: Calendar) -> list[int]:
    """Indices of the expiries that are not over, soonest first."""
    return [index for index, day in enumerate(chain.expiries) if expiry_moment(day, calendar) > now]


def chain_view(ask: ChainAsk) -> ChainView:
    """One expiry, priced now."""
    chain, now = ask.chain, ask.now
    symbol, today = chain.symbol, new_york_day(now)
    day = chain.expiries[ask.expiry]
    if chain.spot.mid is None:
        return nothing(symbol, ask.symbols, f"{symbol} has no two-sided quote.")
    side = _Expiry(ask, float(chain.spot.mid))
    rows = side.rows()
    limit = ask.market.quote_age(chain.source, day == today)
    newest = side.newest_age()
    stale = newest is not None and newest > limit
    face = Face()
    if not rows:
        face = nothing(symbol, ask.symbols, f"No contract of {day:%d %b} is quoted.").face
    elif stale or chain.spot.age(now) > ask.market.quote_age(chain.source):
        old = max(newest or 0.0, chain.spot.age(now))
        what = "No new quote of this expiry" if stale else f"No new quote of {symbol}"
        face = Face(kind=FaceKind.STALE, what=what, then="the last ones are shown", age=age(old))
    vol, skew = side.at_the_money(), side.skew() if ask.fit else ask.skew
    return ChainView(
        symbol=symbol,
        symbols=ask.symbols,
        expiry=day,
        expiries=tuple(
            ChainExpiry(day=chain.expiries[index], dte=(chain.expiries[index] - today).days)
            for index in living(chain, now, ask.calendar)
        ),
        rows=rows,
        strikes=side.strikes,
        spot=money(chain.spot.mid),
        forward=round(side.forward, 2),
        vol=None if vol is None else round(vol, 4),
        move=None if vol is None else round(side.forward * vol * math.sqrt(side.t), 2),
        skew=None if skew is None else round(skew, 4),
        rate=ask.terms.rate,
        carry=round(ask.terms.carry, 4) if side.t >= CARRY_KNOWN else None,
        model=f"{chain.style.value.capitalize()}, {ask.terms.text}",
        source=chain.source,
        age=None if newest is None else age(newest),
        age_limit=limit,
        findings=side.findings(),
        face=face,
    )


class _Expiry:
    """The contracts of one expiry around its forward, priced in one batch."""

    def __init__(self, ask: ChainAsk, spot: float) -> None:
        chain, terms = ask.chain, ask.terms
        self.ask, self.spot = ask, spot
        self.moment = expiry_moment(chain.expiries[ask.expiry], ask.calendar)
        self.t = year_fraction(ask.now, self.moment)
        self.model_spot = spot * terms.basis
        self.forward = self.model_spot * math.exp((terms.rate - terms.carry) * self.t)
        rows = np.flatnonzero(chain.expiry == ask.expiry)
        listed = np.unique(chain.strike[rows])
        self.strikes = len(listed)
        shown = self._around(listed)
        self.shown = shown
        rows = rows[np.isin(chain.strike[rows], shown)]
        self.index = rows
        self.strike, self.is_call = chain.strike[rows], chain.is_call[rows]
        self.bid, self.ask_ = chain.bid[rows], chain.ask[rows]
        self.two_sided = self.bid < self.ask_
        self.mid = np.where(self.two_sided, 0.5 * (self.bid + self.ask_), np.nan)
        self.old = (ask.now - EPOCH).total_seconds() - chain.at[rows]
        self.american = np.full(rows.shape, chain.style is Style.AMERICAN)
        self._price()

    def _around(self, listed: FloatArray) -> FloatArray:
        middle = int(np.searchsorted(listed, self.forward))
        return listed[max(0, middle - SHOWN) : middle + SHOWN]

    def _price(self) -> None:
        """Vols of the mids; Greeks at the contract's own vol, else at that of the other side of its strike."""
        terms = self.ask.terms
        found = styles.implied_vol(
            self.mid, self.model_spot, self.strike, self.t, terms.rate, terms.carry, self.is_call, self.american
        )
        self.vol, self.status = found.vol.copy(), found.status
        if self.t * SECONDS_A_YEAR < MIN_SECONDS_FOR_IV:
            self.vol[:] = np.nan
        own = np.isfinite(self.vol)
        self.borrowed = self._other_side()
        used = np.where(own, self.vol, self.borrowed)
        self.greeks = styles.greeks(
            self.model_spot, self.strike, self.t, terms.rate, terms.carry, used, self.is_call, self.american
        )
        self.feeble = own & ~(self.greeks.vega >= MIN_VEGA_FOR_IV)
        self.own = own & ~self.feeble
        self.found = self._contradictions()
        self.said: dict[int, list[str]] = {}
        for one in self.found:
            self.said.setdefault(one.rows[0], []).append(one.text)

    def _other_side(self) -> FloatArray:
        """Vol of the other right of the same strike; NaN where it has none."""
        by_side = []
        for is_call in (True, False):
            other = np.flatnonzero(self.is_call != is_call)
            order = other[np.argsort(self.strike[other])]
            place = np.searchsorted(self.strike[order], self.strike)
            inside = np.minimum(place, max(len(order) - 1, 0))
            if not len(order):
                by_side.append(np.full(self.strike.shape, np.nan))
                continue
            same = self.strike[order][inside] == self.strike
            by_side.append(np.where(same, self.vol[order][inside], np.nan))
        return np.where(self.is_call, by_side[0], by_side[1])

    def newest_age(self) -> float | None:
        known = self.old[np.isfinite(self.old)]
        return max(float(known.min()), 0.0) if known.size else None

    def at_the_money(self) -> float | None:
        """Vol at the forward, between the nearest strikes of the out-of-the-money sides."""
        out = self.own & (self.is_call == (self.strike >= self.forward))
        if not out.any():
            out = self.own
        if not out.any():
            return None
        order = np.flatnonzero(out)[np.argsort(self.strike[out])]
        return float(np.interp(self.forward, self.strike[order], self.vol[order]))

    def skew(self) -> float | None:
        """The 25 delta risk reversal of the out-of-the-money quotes; half spreads in vol by their vega."""
        out = self.own & (self.is_call == (self.strike >= self.forward))
        half = 0.5 * (self.ask_[out] - self.bid[out]) / (100.0 * self.greeks.vega[out])
        return risk_reversal(np.log(self.strike[out] / self.forward), self.vol[out], half, self.t)

    def findings(self) -> tuple[str, ...]:
        """What contradicts itself, each once."""
        counts: dict[str, int] = {}
        for one in self.found:
            counts[one.kind.value.replace("_", " ")] = counts.get(one.kind.value.replace("_", " "), 0) + 1
        return tuple(f"{count} {kind}" for kind, count in counts.items())

    def _contradictions(self) -> list[Finding]:
        """What could be traded for nothing at these quotes, or is hardly a quote: worst first. What is merely thin is left out."""
        terms, discount = self.ask.terms, math.exp(-self.ask.terms.rate * self.t)
        quotes = Quotes(
            expiry=np.zeros(self.strike.shape, np.int64), strike=self.strike, is_call=self.is_call, bid=self.bid, ask=self.ask_,
            american=self.ask.chain.style is Style.AMERICAN, spot=self._spots(),
            forward=np.array([self.forward if terms.by_parity else np.nan]), error=np.array([FORWARD_ERROR]),
            discount=np.array([discount]), dividends=np.array([max(self.model_spot - self.forward * discount, 0.0)]),
        )  # fmt: skip
        return [one for one in find_quotes(quotes) if one.kind not in THIN]

    def _spots(self) -> tuple[float, float]:
        """Least and greatest spot there may be: the underlying's own bid and ask, and what the forward means."""
        quote = self.ask.chain.spot
        sides = [float(side) for side in (quote.bid, quote.ask) if side is not None]
        return min(*sides, self.model_spot), max(*sides, self.model_spot)

    def rows(self) -> tuple[ChainRow, ...]:
        place: dict[tuple[float, bool], int] = {
            (strike, is_call): n
            for n, (strike, is_call) in enumerate(zip(self.strike.tolist(), self.is_call.tolist(), strict=True))
        }
        if not place:
            return ()
        nearest = float(self.shown[np.argmin(np.abs(self.shown - self.forward))])
        made = []
        for strike in self.shown.tolist():
            call, put = place.get((strike, True)), place.get((strike, False))
            made.append(
                ChainRow(
                    strike=_decimal(strike),
                    call=None if call is None else self._side(call),
                    put=None if put is None else self._side(put),
                    nearest=strike == nearest,
                )
            )
        return tuple(made)

    def _side(self, n: int) -> ChainSide:
        chain, row = self.ask.chain, int(self.index[n])
        contract, quote = chain.contract(row), chain.quote(row)
        limit = self.ask.market.quote_age(chain.source, contract.expiry == new_york_day(self.ask.now))
        old = float(self.old[n])
        stale = age(old) if old > limit else None
        own = bool(self.own[n])
        open_interest, volume = int(chain.open_interest[row]), int(chain.volume[row])
        is_call = contract.right is Right.CALL
        return ChainSide(
            osi=contract.osi,
            bid=quote.bid,
            ask=quote.ask,
            mid=quote.mid if quote.two_sided else None,
            iv=round(float(self.vol[n]), 4) if own else None,
            why="" if own else self._why(n),
            delta=_rounded(self.greeks.delta[n] * self.ask.terms.basis, 3),
            gamma=_rounded(self.greeks.gamma[n] * self.ask.terms.basis**2, 4),
            theta=_rounded(self.greeks.theta[n], 3),
            vega=_rounded(self.greeks.vega[n], 3),
            open_interest=open_interest if open_interest >= 0 else None,
            volume=volume if volume >= 0 else None,
            in_the_money=float(self.strike[n]) < self.spot if is_call else float(self.strike[n]) > self.spot,
            stale=stale,
            at=quote.at,
            marks=self._marks(n, stale),
        )

    def _why(self, n: int) -> str:
        if not self.two_sided[n]:
            return "no two-sided quote"
        if self.t * SECONDS_A_YEAR < MIN_SECONDS_FOR_IV:
            return "under 10 minutes to expiry"
        if self.feeble[n]:
            return "a cent is more than a vol point"
        return WHY.get(IvStatus(int(self.status[n])), "not found")

    def _marks(self, n: int, stale: float | None) -> tuple[str, ...]:
        found = list(dict.fromkeys(self.said.get(n, ())))
        if stale is not None:
            found.append("quote is stale")
        return tuple(found)


def _rounded(value: np.float64, decimals: int) -> float | None:
    return round(float(value), decimals) if value == value else None


def _decimal(strike: float) -> Decimal:
    """660, 662.5: as listed."""
    return Decimal(repr(round(strike, 3))).normalize() + Decimal(0)
