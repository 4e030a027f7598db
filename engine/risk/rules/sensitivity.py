"""Sensitivity: what the whole book loses when the market moves, when volatility falls, and as time passes.

Long options only, beta 1: a move of SPY is the same move of every underlying. What lowers the loss always passes.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from engine.domain.entities import RuleVerdict
from engine.domain.values import Code, Greeks, OptionContract, Right, Style
from engine.pricing import expiry_moment, styles, year_fraction
from engine.pricing.terms import Terms
from engine.risk.book import Book, Proposal, expires_on
from engine.risk.rules.base import NOT_APPLICABLE, dollars, percent, verdict
from engine.settings import RiskSettings, Settings

NOTHING = Decimal(0)
_DAY = 86_400.0


class ZeroDtePremium:
    """Premium of what expires today, held and waiting, with this trade: all of it may be gone by the close."""

    name = "0DTE premium"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        if not expires_on(proposal, book):
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.ZERO_DTE_PREMIUM)
        held = sum((e.value for e in book.exposures if e.expires_today), NOTHING)
        premium = held + proposal.cost * proposal.quantity
        most = settings.risk.max_zero_dte_premium
        value, limit = percent(premium / book.equity), percent(most)
        return verdict(
            self, premium <= most * book.equity, value, limit, Code.ZERO_DTE_PREMIUM,
            premium=value, limit=limit, outstanding=dollars(held),
        )  # fmt: skip


class ThetaToClose:
    """Decay up to the session's close of everything that lives longer than today. Without Greeks a position adds none."""

    name = "theta to the close"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        session = book.calendar.session_at(book.now)
        if session is None or proposal.greeks is None or expires_on(proposal, book):
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.THETA_OVER_LIMIT)
        days = max((session.close - book.now).total_seconds(), 0.0) / _DAY
        a_day = sum(_units(e.contract, e.quantity) * e.greeks.theta for e in book.exposures if e.greeks is not None and not e.expires_today)  # fmt: skip
        a_day += _units(proposal.contract, proposal.quantity) * proposal.greeks.theta
        decay = _dollars(max(-a_day, 0.0) * days)
        most = settings.risk.max_decay
        value, limit = percent(decay / book.equity), percent(most)
        return verdict(
            self, decay <= most * book.equity, value, limit, Code.THETA_OVER_LIMIT,
            theta=value, limit=limit, decay=dollars(decay),
        )  # fmt: skip


class Vega:
    """Dollars the book moves for one point of volatility. Without Greeks a position adds none."""

    name = "vega"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        if proposal.greeks is None:
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.VEGA_OVER_LIMIT)
        points = sum(_units(e.contract, e.quantity) * e.greeks.vega for e in book.exposures if e.greeks is not None)
        a_point = _dollars(abs(points + _units(proposal.contract, proposal.quantity) * proposal.greeks.vega))
        most = settings.risk.max_vega
        value, limit = percent(a_point / book.equity), percent(most)
        return verdict(
            self, a_point <= most * book.equity, value, limit, Code.VEGA_OVER_LIMIT,
            vega=value, limit=limit, point=dollars(a_point),
        )  # fmt: skip


class Stress:
    """The book worth again after the underlyings' move up and down with volatility up and down: a likely day's worst and
    a rare day's. A position without Greeks loses all it is worth in each."""

    name = "stress"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        risk = settings.risk
        before, after = _scenarios(proposal, book, risk)
        found: list[tuple[Decimal, RuleVerdict]] = []
        for levels, move, vol, most in (
            (slice(0, 4), risk.stress_move, risk.stress_vol, risk.max_stress),
            (slice(4, 8), risk.stress_move_rare, risk.stress_vol_rare, risk.max_stress_rare),
        ):
            already, loss = _loss(before[levels]), _loss(after[levels])
            value, limit = percent(loss / book.equity), percent(most)
            passed = loss <= most * book.equity or loss <= already
            answer = verdict(
                self, passed, value, limit, Code.STRESS_OVER_LIMIT,
                stress=value, limit=limit, move=f"{move:.0%}", vol=f"{vol:.0%}", before=dollars(already),
            )  # fmt: skip
            if not passed:
                return answer
            found.append((loss / most, answer))
        return max(found, key=lambda one: one[0])[1]


def _scenarios(proposal: Proposal, book: Book, risk: RiskSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dollars the book makes without and with this trade in each of the eight scenarios: up and down, volatility up and
    down, likely then rare.

    Full revaluation: over moves of this size delta and gamma alone would make losing options win.
    """
    rows: list[tuple[float, ...]] = []
    years: dict[date, float] = {}
    unknown = 0.0
    for e in book.exposures:
        if e.greeks is None or e.underlying is None:
            unknown += float(e.value)
        else:
            left = _years(e.contract, book, years)
            rows.append(_row(e.contract, e.greeks, e.underlying, e.quantity, e.value, left, e.terms))
    held, cost = len(rows), proposal.cost * proposal.quantity
    if proposal.greeks is not None:
        left = _years(proposal.contract, book, years)
        rows.append(
            _row(proposal.contract, proposal.greeks, proposal.spot, proposal.quantity, cost, left, proposal.terms)
        )
    made = _revalued(np.array(rows), risk) if rows else np.zeros((0, 8))
    before = made[:held].sum(axis=0) - unknown
    return before, before + (made[held] if proposal.greeks is not None else -float(cost))


def _row(
    contract: OptionContract, greeks: Greeks, spot: Decimal, quantity: int, value: Decimal, years: float, terms: Terms
) -> tuple[float, ...]:
    units = float(_units(contract, quantity))
    is_call, american = contract.right is Right.CALL, contract.style is Style.AMERICAN
    at = float(spot) * terms.basis
    return (
        at, float(contract.strike), years, greeks.iv, is_call, american, terms.rate, terms.carry, units, float(value),
    )  # fmt: skip


def _years(contract: OptionContract, book: Book, known: dict[date, float]) -> float:
    """Worked out once per expiry: a book has many positions and few expiries."""
    years = known.get(contract.expiry)
    if years is None:
        years = known[contract.expiry] = year_fraction(book.now, expiry_moment(contract.expiry, book.calendar))
    return years


def _revalued(rows: NDArray[np.float64], risk: RiskSettings) -> NDArray[np.float64]:
    """Dollars of each row in each scenario. A long option never loses more than it is worth."""
    spots, strikes, years, vols, calls, american, rates, carries, units, worth = rows.T[:, :, np.newaxis]
    moves, vol_moves = _shocks(risk)
    values = styles.price(
        spots * (1 + moves), strikes, years, rates, carries, vols * (1 + vol_moves), calls != 0, american != 0
    )
    return np.asarray(np.maximum((values[:, 1:] - values[:, :1]) * units, -worth), np.float64)


def _shocks(risk: RiskSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The market as it is, then the eight scenarios."""
    likely, rare = risk.stress_move, risk.stress_move_rare
    vol, vol_rare = risk.stress_vol, risk.stress_vol_rare
    return (
        np.array([0.0, likely, likely, -likely, -likely, rare, rare, -rare, -rare]),
        np.array([0.0, vol, -vol, vol, -vol, vol_rare, -vol_rare, vol_rare, -vol_rare]),
    )


def _loss(scenarios: NDArray[np.float64]) -> Decimal:
    return _dollars(max(-float(scenarios.min()), 0.0))


def _units(contract: OptionContract, quantity: int) -> int:
    return contract.multiplier * quantity


def _dollars(amount: float) -> Decimal:
    return Decimal(repr(round(amount, 2)))
