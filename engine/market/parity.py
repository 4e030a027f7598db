"""The terms on which each expiry is priced: its forward from put-call parity, kept per symbol and expiry for a little while.

One place for all who price (selection, sizing, marks, risk, panels), so that their figures agree. It looks at a chain at most every
`REFRESH` seconds for an expiry, when it is asked or reminded; between looks the carry holds and the forward moves with the spot. It depends
on nothing but the quotes and the moments it is asked at, so that a replay is given the same terms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from engine.domain.chain import Chain
from engine.domain.values import Style
from engine.ports import Quotes
from engine.pricing import expiry_moment, styles, year_fraction
from engine.pricing.european import FloatArray
from engine.pricing.forward import BoolArray, EarlyExercise, Forward, pair_strikes, parity_forward
from engine.pricing.rates import RateCurve, flat_curve
from engine.pricing.terms import Terms
from engine.sessions import Calendar

REFRESH = timedelta(seconds=15)
"""Terms this old are worked out anew when somebody reminds us."""
OLDEST = timedelta(seconds=60)
"""Terms this old are worked out anew before they are used."""
CARRY = (-0.02, 0.06)
"""What is believed of a carry, fractions per year. The rest of what parity says is taken out of the spot: near an expiry a cent between
two quotes, or a dividend about to be paid, is more a year than any company pays."""
WILD = 0.05
"""A forward further than this share from the spot is not parity but a mistake: the spot alone is used."""
NEAR = 0.08
"""Strikes within this share of the spot tell the forward; far ones are wide and cost time."""
MOST = 16
"""Strikes nearest to the spot are looked at, no more."""
CORRECTIONS = 2
"""Rounds in which early exercise is taken out of the prices: the second moves the forward by less than a hundredth of a cent."""


@dataclass(frozen=True, slots=True)
class _Kept:
    at: datetime
    terms: Terms


class Parity:
    """`curve`: discount rates; None takes `rate` for every tenor."""

    def __init__(self, calendar: Calendar, rate: float, curve: RateCurve | None = None) -> None:
        self._calendar = calendar
        self._curve = curve if curve is not None else flat_curve(date.min, rate)
        self._kept: dict[tuple[str, date], _Kept] = {}

    def terms(self, quotes: Quotes, symbol: str, expiry: date, now: datetime) -> Terms:
        """The terms of an expiry now; the spot alone where no parity can be had."""
        kept = self._kept.get((symbol, expiry))
        if kept is None or not timedelta(0) <= now - kept.at < OLDEST:
            kept = self._look(quotes.chain(symbol), symbol, expiry, now)
        return kept.terms

    def of_chain(self, chain: Chain, expiry: date, now: datetime) -> Terms:
        """The same for who has the chain at hand already."""
        kept = self._kept.get((chain.symbol, expiry))
        if kept is None or not timedelta(0) <= now - kept.at < OLDEST:
            kept = self._look(chain, chain.symbol, expiry, now)
        return kept.terms

    def remind(self, quotes: Quotes, now: datetime) -> None:
        """Work out the oldest terms anew, if they are due: one expiry at a time, in the pauses."""
        for key in [key for key in self._kept if expiry_moment(key[1], self._calendar) <= now]:
            del self._kept[key]
        oldest = min(self._kept, key=lambda key: self._kept[key].at, default=None)
        if oldest is not None and now - self._kept[oldest].at >= REFRESH:
            self._look(quotes.chain(oldest[0]), *oldest, now)

    def _look(self, chain: Chain | None, symbol: str, expiry: date, now: datetime) -> _Kept:
        kept = _Kept(now, self._worked_out(chain, expiry, now))
        self._kept[symbol, expiry] = kept
        return kept

    def _worked_out(self, chain: Chain | None, expiry: date, now: datetime) -> Terms:
        t = year_fraction(now, expiry_moment(expiry, self._calendar))
        rate = round(float(self._curve.rate(t)), 6)
        plain = Terms(rate)
        if chain is None or t <= 0 or expiry not in chain.expiries or chain.spot.mid is None:
            return plain
        spot = float(chain.spot.mid)
        found = forward_of(chain, expiry, t, rate)
        if not found.ok or abs(found.forward / spot - 1.0) > WILD:
            return plain
        return terms_of(found, spot)


def forward_of(chain: Chain, expiry: date, t: float, rate: float) -> Forward:
    """The parity forward of one expiry of a chain, American-aware; `spot` of the chain must have a mid."""
    assert chain.spot.mid is not None, "without a spot no strikes are near it"
    spot = float(chain.spot.mid)
    rows = np.flatnonzero(chain.expiry == chain.expiries.index(expiry))
    away = np.abs(chain.strike[rows] / spot - 1.0)
    order = np.argsort(away, kind="stable")[: 2 * MOST]
    rows = rows[order[away[order] <= NEAR]]
    pairs = pair_strikes(chain.strike[rows], chain.is_call[rows], chain.bid[rows], chain.ask[rows])
    european = chain.style is Style.EUROPEAN
    return parity_forward(pairs, t, rate, None if european else _premium(spot, t, rate), CORRECTIONS)


def terms_of(found: Forward, spot: float) -> Terms:
    """Terms that lead from the quoted spot to this forward: a believable carry first, the rest taken out of the spot."""
    carry = min(max(found.carry(spot), CARRY[0]), CARRY[1])
    basis = found.forward * math.exp(-(found.rate - carry) * found.t) / spot
    return Terms(found.rate, round(carry, 6), round(basis, 8), round(found.forward, 4), found.used)


def _premium(spot: float, t: float, rate: float) -> EarlyExercise:
    """What the right to exercise early is worth, at the carry that a forward means."""

    def premium(forward: float, strike: FloatArray, vol: FloatArray, is_call: BoolArray) -> FloatArray:
        carry = min(max(rate - math.log(forward / spot) / t, CARRY[0]), CARRY[1])
        both = np.tile([True, False], (len(strike), 1)).T
        american, european = styles.price(spot, strike, t, rate, carry, vol, is_call, both)
        return np.asarray(american - european)

    return premium
