"""Price: is the trade that was signalled still there? Judged from the underlying as it trades now."""

from __future__ import annotations

from decimal import Decimal

from engine.domain.entities import RuleVerdict
from engine.domain.values import CENT, Code
from engine.risk.book import Book, Proposal
from engine.risk.rules.base import NOT_APPLICABLE, percent, plain, verdict
from engine.risk.sizing import revalued
from engine.settings import Settings

SPREADS_TO_STOP = 2
"""A stop nearer than this many spreads of the underlying is hit by the spread alone."""
HALF_SPREADS_OF_DRIFT = 3
HALF = Decimal("0.5")


class StopNotBreached:
    """The underlying is still on the right side of its stop."""

    name = "stop breached"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        stop = proposal.plan.underlying_stop
        if stop is None:
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.STOP_BREACHED)
        passed = _ahead(proposal, stop) < 0
        spot = _price(proposal.spot)
        return verdict(self, passed, spot, _price(stop), Code.STOP_BREACHED, underlying=spot, stop=_price(stop))


class StopFarEnough:
    """The stop is beyond the noise: a quarter of our bars' ATR, and two spreads of the underlying."""

    name = "stop distance"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        stop = proposal.plan.underlying_stop
        if stop is None:
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.STOP_TOO_TIGHT)
        distance = abs(proposal.spot - stop)
        least = (proposal.underlying.spread or Decimal(0)) * SPREADS_TO_STOP
        if proposal.atr is not None and proposal.own_atr:
            least = max(least, proposal.atr * Decimal(str(settings.risk.min_stop_atr)))
        passed = distance >= least
        value, limit = _price(distance), _price(least)
        return verdict(self, passed, value, limit, Code.STOP_TOO_TIGHT, distance=value, least=limit)


class TargetAhead:
    """Target 1 has not been reached yet."""

    name = "target passed"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        target = proposal.plan.target_1
        if target is None:
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.TARGET_PASSED)
        passed = _ahead(proposal, target) > 0
        spot = _price(proposal.spot)
        return verdict(self, passed, spot, _price(target), Code.TARGET_PASSED, underlying=spot, target_1=_price(target))


class LittleDrift:
    """The price is near the signal's: not far against us, and not more than half way to target 1 without us."""

    name = "price drift"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        signalled = proposal.signal_price
        if signalled is None:
            return verdict(self, True, NOT_APPLICABLE, NOT_APPLICABLE, Code.PRICE_DRIFT)
        with_us = (proposal.spot - signalled) * proposal.direction.sign
        limit = self._limit(proposal, signalled, settings)
        if with_us <= 0:
            value, shown = _price(-with_us), _price(limit)
            return verdict(
                self, -with_us <= limit, f"-{value}", shown, Code.PRICE_DRIFT, against=value, limit=shown,
                signal=_price(signalled), underlying=_price(proposal.spot),
            )  # fmt: skip
        target = proposal.plan.target_1
        way = (target - signalled) * proposal.direction.sign if target is not None else Decimal(0)
        if way <= 0:
            return verdict(self, True, f"+{_price(with_us)}", NOT_APPLICABLE, Code.PRICE_DRIFT)
        used = percent(with_us / way)
        return verdict(
            self, with_us / way <= HALF, f"+{_price(with_us)}", f"{used} of 50% to target 1", Code.PRICE_DRIFT,
            used=used, limit="50%", signal=_price(signalled), underlying=_price(proposal.spot),
        )  # fmt: skip

    @staticmethod
    def _limit(proposal: Proposal, signalled: Decimal, settings: Settings) -> Decimal:
        limits = [signalled * Decimal(str(settings.risk.drift_fraction))]
        if proposal.atr is not None:
            limits.append(proposal.atr * Decimal(str(settings.risk.drift_atr)))
        if proposal.greeks is not None and proposal.greeks.delta:
            delta = abs(Decimal(repr(proposal.greeks.delta)))
            limits.append(proposal.half_spread * HALF_SPREADS_OF_DRIFT / delta)
        return max(limits)


class RewardWorthRisk:
    """The option gains more at target 1 than it loses at the stop, spread and fees of both ways counted."""

    name = "reward to risk"

    def check(self, proposal: Proposal, book: Book, settings: Settings) -> RuleVerdict:
        plan = proposal.plan
        least = Decimal(str(settings.risk.min_rr))
        if plan.target_1 is None or plan.underlying_stop is None:
            return verdict(self, True, NOT_APPLICABLE, plain(least), Code.RR_TOO_LOW)
        reward, risk = self._reward_and_risk(proposal, plan.target_1, plan.underlying_stop, book)
        ratio = reward / risk if risk > 0 else Decimal(0)
        shown = plain(ratio.quantize(CENT))
        return verdict(
            self, ratio >= least, shown, plain(least), Code.RR_TOO_LOW, rr=shown, limit=plain(least),
            reward=_price(reward), risk=_price(risk),
        )  # fmt: skip

    @staticmethod
    def _reward_and_risk(proposal: Proposal, target: Decimal, stop: Decimal, book: Book) -> tuple[Decimal, Decimal]:
        """Per share: of the option after costs; of the underlying where the option's Greeks are n/a."""
        if proposal.greeks is None:
            return _ahead(proposal, target), -_ahead(proposal, stop)
        costs = proposal.half_spread + proposal.round_trip_fees / proposal.contract.multiplier
        reward = revalued(proposal, target, book) - proposal.paid - costs
        risk = proposal.paid - revalued(proposal, stop, book) + costs
        return reward, risk


def _ahead(proposal: Proposal, level: Decimal) -> Decimal:
    """How far the underlying still has to go to a level in the trade's direction; negative once behind."""
    return (level - proposal.spot) * proposal.direction.sign


def _price(amount: Decimal) -> str:
    return str(amount.quantize(CENT))
