"""Size: how many contracts a risk budget pays for. Only ever reduces what the decision recommends.

Called by the manager for every entry. Never rounds up: a size below one contract is a refusal.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from engine.domain.entities import Sizing
from engine.domain.values import CENT, Code, Refusal, money, refuse
from engine.pricing import value_at
from engine.risk.book import ONE, Book, Proposal, stop_share
from engine.settings import Settings

SMALLEST_REDUCTION = Decimal("0.25")
"""The reductions together never cut deeper."""
DRAWDOWN_CUT = Decimal("0.5")
SMALLEST_FACTOR = Decimal("0.5")
"""Confidence and regime factors lie between this and 1."""


def size(proposal: Proposal, book: Book, settings: Settings) -> Sizing | Refusal:
    """The quantity before the rules. SIGNAL_SIZE_ZERO where none was asked for, SIZE_BELOW_ONE where none is left."""
    if proposal.recommended <= 0:
        return refuse(Code.SIGNAL_SIZE_ZERO, recommended=proposal.recommended)
    risk = settings.risk
    loss = loss_per_contract(proposal, book, settings)
    fraction = risk.max_risk
    if proposal.final_multiplier is not None:
        fraction = min(fraction, risk.base_risk * proposal.final_multiplier * proposal.multiplier_factor)
    confidence, regime = _factor(proposal.confidence_factor), _factor(proposal.regime_factor)
    cuts, shown = _reductions(book, settings)
    budget = (max(book.equity, Decimal(0)) * fraction * confidence * regime * cuts).quantize(CENT, ROUND_FLOOR)
    if proposal.multiplier_factor != ONE:
        shown["clock mismatch"] = str(proposal.multiplier_factor)
    if proposal.size_factor != ONE:
        shown["guard"] = str(proposal.size_factor)
    wanted = max(1, _floor(proposal.recommended * proposal.multiplier_factor))
    paid_for = max(0, _floor(budget / loss))
    quantity, capped_by = (wanted, "") if wanted <= paid_for else (paid_for, "risk budget")
    if wanted < proposal.recommended and not capped_by:
        capped_by = "clock mismatch"
    if proposal.size_factor != ONE:
        quantity, capped_by = _floor(quantity * proposal.size_factor), "guard"
    if proposal.at_most is not None and proposal.at_most < quantity:
        quantity, capped_by = proposal.at_most, "ticket"
    if quantity < 1:
        cuts_shown = ", ".join(f"{name} {cut}" for name, cut in shown.items() if cut != "n/a")
        numbers = {"cuts": cuts_shown} if cuts_shown else {}
        return refuse(Code.SIZE_BELOW_ONE, budget=f"${budget}", loss=f"${loss}", **numbers)
    return Sizing(
        quantity=quantity,
        recommended=proposal.recommended,
        risk_budget=budget,
        loss_per_contract=loss,
        confidence_factor=confidence,
        regime_factor=regime,
        reductions=shown,
        capped_by=capped_by,
    )


def loss_per_contract(proposal: Proposal, book: Book, settings: Settings) -> Decimal:
    """Dollars one contract loses at its stop: the worse of the option's value at the underlying's stop and the premium
    share, with half the spread and the fees of both ways. The whole premium where its Greeks are n/a.
    """
    premium = proposal.paid
    lost = premium * stop_share(proposal.bucket, proposal.plan, settings.risk)
    if proposal.greeks is None:
        lost = premium
    elif proposal.plan.underlying_stop is not None:
        lost = max(lost, premium - revalued(proposal, proposal.plan.underlying_stop, book))
    dollars = (lost + proposal.half_spread) * proposal.contract.multiplier + proposal.round_trip_fees
    return max(dollars.quantize(CENT, ROUND_CEILING), CENT)


def revalued(proposal: Proposal, spot: Decimal, book: Book) -> Decimal:
    """Value per share with the underlying at `spot` now, at the contract's own vol. Needs Greeks."""
    assert proposal.greeks is not None, "a contract without Greeks cannot be revalued"
    value = value_at(proposal.contract, spot, proposal.greeks.iv, book.now, proposal.expiry, proposal.terms)
    return Decimal(repr(round(value, 6)))


def _reductions(book: Book, settings: Settings) -> tuple[Decimal, dict[str, str]]:
    """Product of the cuts, bounded, and each by name. A source that is not configured is 1.0 and shown n/a."""
    shown: dict[str, str] = {"VIX": "n/a"}
    product = ONE
    if book.account.loss_streak >= settings.risk.loss_streak:
        product *= settings.risk.loss_streak_cut
        shown[f"{book.account.loss_streak} losses in a row"] = str(settings.risk.loss_streak_cut)
    if book.drawdown > settings.risk.drawdown_reduce:
        product *= DRAWDOWN_CUT
        shown[f"drawdown {money(book.drawdown * 100)}%"] = str(DRAWDOWN_CUT)
    return max(product, SMALLEST_REDUCTION), shown


def _factor(given: Decimal | None) -> Decimal:
    return ONE if given is None else min(max(given, SMALLEST_FACTOR), ONE)


def _floor(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_FLOOR))
