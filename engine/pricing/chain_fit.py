"""A whole chain, understood: forwards, vols per contract with their bands, smiles, surface, findings. Pure; one call.

Called by the `chain` command and by whoever shows or trades a chain. The spot given is checked against the one the forwards
lead back to, and not used where they contradict it: headers show another hour's price more often than quotes lie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from engine.pricing.european import FloatArray, GreeksArrays
from engine.pricing.exercise import contracts, early_exercise
from engine.pricing.findings import Finding, FindingKind, Quotes, Severity, find_outliers, find_quotes, sort_findings
from engine.pricing.forward import BoolArray, Forward, ParitySpot, pair_strikes, parity_forward, parity_spot
from engine.pricing.implied import IvStatus
from engine.pricing.moments import ExpectedMove, expected_move
from engine.pricing.rates import RateCurve
from engine.pricing.surface import Surface, fit_surface
from engine.pricing.svi import Smile
from engine.pricing.time import SECONDS_A_YEAR, VarianceClock, to_clock
from engine.sessions import new_york_day

SPOT_TOLERANCE = 0.0005
"""Share by which a given spot may miss the forwards' before it is not used."""
SPOT_ERRORS = 3.0
"""Standard errors of the forwards' spot by which it may, where those are more."""
LEAST_SECONDS = 600.0
LEAST_VEGA = 0.005
"""Dollars per vol point and share. See `ChainFit.reliable`."""


class ChainError(ValueError):
    """A chain nothing can be said about; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class ChainQuotes:
    """A snapshot. Arrays have one entry per contract; dollars per share, NaN = no such side; `expiry` indexes `moments`,
    the UTC moments at which the expiries end, earliest first."""

    at: datetime
    moments: tuple[datetime, ...]
    expiry: NDArray[np.int64]
    strike: FloatArray
    is_call: BoolArray
    bid: FloatArray
    ask: FloatArray
    american: bool
    spot: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ExpiryFit:
    """One expiry. NaN and None where there is nothing to say."""

    moment: datetime
    day: date
    t: float
    """Calendar years."""
    clock: float
    """Variance years."""
    forward: Forward
    carry: float
    """Fraction per year, from the spot in use to the forward: dividends and borrow."""
    dividends: float
    """The same as dollars today."""
    smile: Smile | None
    at_money: float
    """Vol at the forward, per calendar year."""
    at_money_clock: float
    """The same per variance year: what a 0DTE vol is compared by."""
    move: ExpectedMove


@dataclass(frozen=True, slots=True, eq=False)
class ChainFit:
    """Arrays have one entry per contract, as in the quotes."""

    spot: float
    """The spot in use."""
    spot_by_parity: ParitySpot
    spot_trusted: bool
    """The given spot is in use; else the forwards' own is."""
    expiries: tuple[ExpiryFit, ...]
    surface: Surface | None
    vol: FloatArray
    """Of the mid; NaN unless the status is CONVERGED."""
    bid_vol: FloatArray
    ask_vol: FloatArray
    status: NDArray[np.int8]
    """`IvStatus` of the mid."""
    reliable: BoolArray
    """There is a vol, and it is worth showing: not within 10 minutes of expiry, not with a vega under half a cent."""
    smile_vol: FloatArray
    """The smile's vol at each strike."""
    used_vol: FloatArray
    """What the Greeks are at: the contract's own vol, the smile's where it has none."""
    greeks: GreeksArrays
    findings: tuple[Finding, ...]


def fit_chain(quotes: ChainQuotes, curve: RateCurve, clock: VarianceClock) -> ChainFit:
    """Everything about a snapshot. Raises `ChainError` when no contract is alive or no spot can be found."""
    t = np.array([max((moment - quotes.at).total_seconds(), 0.0) / SECONDS_A_YEAR for moment in quotes.moments])
    if len(quotes.strike) == 0 or not (t > 0).any():
        raise ChainError("no contract is alive at that time")
    if np.any(np.diff(t[t > 0]) <= 0):
        raise ChainError("expiries must rise in time")
    rate = curve.rate(t)
    forwards, by_parity, spot, trusted = _forwards(quotes, t, rate)
    clock_years = clock.year_fractions(quotes.at, quotes.moments)
    vols = _Vols(quotes, t, forwards, spot)
    ready = [row for row, one in enumerate(forwards) if one.ok]
    surface, found = fit_surface(
        t[ready],
        clock_years[ready],
        np.array([forwards[row].forward for row in ready]),
        [vols.smile_quotes(row) for row in ready],
    )
    smiles: list[Smile | None] = [None] * len(t)
    for row, smile in zip(ready, found, strict=True):
        smiles[row] = smile
    smile_vol = vols.smile_vols(smiles)
    used = np.where(np.isfinite(vols.vol), vols.vol, smile_vol)
    greeks = vols.contracts.greeks(used)
    expiries = tuple(
        _expiry(quotes, row, float(t[row]), float(clock_years[row]), forwards[row], smiles[row], spot)
        for row in range(len(t))
    )
    soon = t[quotes.expiry] * SECONDS_A_YEAR < LEAST_SECONDS
    return ChainFit(
        spot=spot,
        spot_by_parity=by_parity,
        spot_trusted=trusted,
        expiries=expiries,
        surface=surface,
        vol=vols.vol,
        bid_vol=vols.bid_vol,
        ask_vol=vols.ask_vol,
        status=vols.status,
        reliable=np.isfinite(vols.vol) & ~soon & (greeks.vega >= LEAST_VEGA),
        smile_vol=smile_vol,
        used_vol=used,
        greeks=greeks,
        findings=tuple(_findings(quotes, expiries, spot, by_parity.error, vols, smile_vol)),
    )


def _forwards(quotes: ChainQuotes, t: FloatArray, rate: FloatArray) -> tuple[list[Forward], ParitySpot, float, bool]:
    """Forwards, the spot they lead back to, the spot in use, and whether that is the given one.

    American quotes are first read as European; the spot that gives tells what early exercise is worth, and the forwards
    are found again without it. Twice, because the spot moves too.
    """
    pairs = []
    for row in range(len(t)):
        here = quotes.expiry == row
        pairs.append(pair_strikes(quotes.strike[here], quotes.is_call[here], quotes.bid[here], quotes.ask[here]))
    nothing = [0.0] * len(t)
    forwards = [parity_forward(pair, float(t[row]), float(rate[row])) for row, pair in enumerate(pairs)]
    by_parity = parity_spot(forwards, nothing)
    spot, trusted = _spot(quotes.spot, by_parity)
    for _ in range(2 if quotes.american and np.isfinite(spot) else 0):
        forwards = [
            parity_forward(pair, float(t[row]), float(rate[row]), early_exercise(spot, float(t[row]), float(rate[row])))
            for row, pair in enumerate(pairs)
        ]
        by_parity = parity_spot(forwards, nothing)
        before = spot
        spot, trusted = _spot(quotes.spot, by_parity)
        if abs(spot - before) < 1e-5 * spot:
            break
    if not np.isfinite(spot):
        raise ChainError("no spot was given and no expiry has a forward")
    return forwards, by_parity, spot, trusted


def _spot(given: float | None, by_parity: ParitySpot) -> tuple[float, bool]:
    if given is None or not given > 0:
        return by_parity.spot, False
    if np.isfinite(by_parity.spot) and abs(given - by_parity.spot) > spot_slack(given, by_parity.error):
        return by_parity.spot, False
    return given, True


def spot_slack(given: float, error: float) -> float:
    """Dollars by which a given spot may miss the forwards', which is known to `error` (dollars), and still be used."""
    return max(SPOT_TOLERANCE * given, SPOT_ERRORS * error)


class _Vols:
    """Vols of every contract's mid, bid and ask at its expiry's forward."""

    def __init__(self, quotes: ChainQuotes, t: FloatArray, forwards: list[Forward], spot: float) -> None:
        self._quotes, self._forwards = quotes, forwards
        forward = np.array([one.forward for one in forwards])[quotes.expiry]
        rate = np.array([one.rate for one in forwards])[quotes.expiry]
        years = t[quotes.expiry]
        self.contracts = contracts(spot, forward, quotes.strike, years, rate, quotes.is_call, quotes.american)
        self._moneyness = np.log(quotes.strike / forward)
        self.two_sided = (quotes.bid > 0) & (quotes.ask >= quotes.bid)
        mid = np.where(self.two_sided, 0.5 * (quotes.bid + quotes.ask), np.nan)
        self.mid = mid
        self.vol, self.status = self.contracts.implied_vol(mid)
        self.status[~(years > 0)] = IvStatus.EXPIRED
        self.bid_vol = self.contracts.implied_vol(np.where(self.two_sided, quotes.bid, np.nan)).vol
        self.ask_vol = self.contracts.implied_vol(np.where(self.two_sided, quotes.ask, np.nan)).vol

    def smile_quotes(self, row: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log-moneyness, vol and half spread of one expiry's out-of-the-money quotes; both sides within a hair of the
        forward. A bid without a vol (no time value) leaves the ask's distance to stand for both."""
        quotes = self._quotes
        k = self._moneyness
        out = np.where(quotes.is_call, k >= 0, k <= 0)
        use = (quotes.expiry == row) & out & np.isfinite(self.vol) & np.isfinite(self.ask_vol)
        half = np.where(
            np.isfinite(self.bid_vol), 0.5 * (self.ask_vol - self.bid_vol), self.ask_vol - self.vol
        )  # fmt: skip
        return k[use], self.vol[use], np.maximum(half[use], 0.0)

    def smile_vols(self, smiles: list[Smile | None]) -> FloatArray:
        """The smile's vol at every contract's strike; NaN without a smile."""
        found = np.full(len(self.vol), np.nan)
        for row, smile in enumerate(smiles):
            if smile is not None:
                here = self._quotes.expiry == row
                found[here] = smile.vol(self._moneyness[here])
        return found


def _expiry(
    quotes: ChainQuotes, row: int, t: float, clock: float, forward: Forward, smile: Smile | None, spot: float
) -> ExpiryFit:
    here = quotes.expiry == row
    pairs = pair_strikes(quotes.strike[here], quotes.is_call[here], quotes.bid[here], quotes.ask[here])
    level = float(smile.vol(0.0)) if smile is not None else float("nan")
    moment = quotes.moments[row]
    return ExpiryFit(
        moment=moment,
        day=new_york_day(moment),
        t=t,
        clock=clock,
        forward=forward,
        carry=forward.carry(spot) if forward.ok else float("nan"),
        dividends=forward.dividends(spot) if forward.ok else float("nan"),
        smile=smile,
        at_money=level,
        at_money_clock=float(to_clock(level, t, clock)),
        move=expected_move(smile, forward.forward, t, forward.rate, pairs if forward.ok else None),
    )


def _findings(
    quotes: ChainQuotes, expiries: tuple[ExpiryFit, ...], spot: float, error: float, vols: _Vols, smile_vol: FloatArray
) -> list[Finding]:
    forwards = [one.forward for one in expiries]
    slack = float(np.nan_to_num(min(3.0 * error, SPOT_TOLERANCE * spot), nan=SPOT_TOLERANCE * spot))
    spots = (spot, quotes.spot) if quotes.spot is not None and quotes.spot > 0 else (spot,)
    live = np.flatnonzero(np.array([one.t > 0 for one in expiries])[quotes.expiry])
    seen = Quotes(
        expiry=quotes.expiry[live],
        strike=quotes.strike[live],
        is_call=quotes.is_call[live],
        bid=quotes.bid[live],
        ask=quotes.ask[live],
        american=quotes.american,
        spot=(min(spots) - slack, max(spots) + slack),
        forward=np.array([one.forward for one in forwards]),
        error=np.array([one.error for one in forwards]),
        discount=np.array([one.discount for one in forwards]),
        dividends=np.array([one.dividends for one in expiries]),
    )
    found = [
        replace(one, rows=tuple(int(live[row]) for row in one.rows))
        for one in find_quotes(seen) + find_outliers(seen, vols.contracts.price(smile_vol)[live])
    ]
    for one in expiries:
        smile = one.smile
        if smile is not None and not smile.free:
            what = "butterflies" if smile.butterfly < 0 else "crosses the next expiry's"
            text = f"the smile of {one.day} is not free of arbitrage: {what}"
            found.append(Finding(FindingKind.SURFACE, Severity.NOTE, (), 0.0, text))
    return sort_findings(found)
