"""Exits by the option's own price: stop loss, profit target, trailing stop. Fractions are of the entry premium."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, ExitReason, Priority
from engine.exits.context import ExitContext
from engine.exits.rules.base import Proof, describe, percent, points, price, share
from engine.settings import ExitSettings


def stop_level(position: Position) -> Decimal:
    """Premium at which the stop fires: the plan's fraction lost, or the entry once half was taken at target 1."""
    if position.half_taken:
        return position.entry
    return position.entry * (1 - position.plan.stop_fraction)


def arm_level(position: Position, settings: ExitSettings) -> Decimal:
    """Premium from which the trailing stop is armed."""
    return position.entry * (1 + settings.trail_arm)


def trail_level(position: Position, best: Decimal, settings: ExitSettings) -> Decimal:
    """Premium at which an armed trail fires: the peak gain less max(20 points, 35 % of it), never below entry + 5 %.

    It rises with `best` and never falls, because what is given back grows slower than the peak.
    """
    peak = best / position.entry - 1
    kept = peak - max(settings.trail_points, settings.trail_share * peak)
    return position.entry * (1 + max(kept, settings.trail_floor))


@dataclass(frozen=True, slots=True)
class StopLoss:
    name: str = "stop"
    proof: Proof = Proof.PREMIUM

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        level = stop_level(position)
        left = mark.price - level
        return describe(
            "stop break-even" if position.half_taken else f"stop {percent(-position.plan.stop_fraction)}",
            ExitReason.STOP_LOSS,
            Priority.CRITICAL,
            ExitAction.CLOSE,
            distance=points(left, position.entry),
            nearness=share(left, position.entry * position.plan.stop_fraction),
            fired=left <= 0,
            level=price(level),
            quantity=position.quantity,
            mid=mark.price,
            level_exact=level,
            entry=position.entry,
        )


@dataclass(frozen=True, slots=True)
class ProfitTarget:
    name: str = "profit"
    proof: Proof = Proof.QUOTED
    """A gain that nobody quotes is none."""

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        level = position.entry * (1 + position.plan.profit_fraction)
        left = level - mark.price
        return describe(
            f"profit {percent(position.plan.profit_fraction)}",
            ExitReason.PROFIT_TARGET,
            Priority.HIGH,
            ExitAction.TICKET,
            distance=points(left, position.entry),
            nearness=share(left, level - position.entry),
            fired=left <= 0,
            level=price(level),
            quantity=position.quantity,
            mid=mark.price,
            level_exact=level,
            entry=position.entry,
        )


@dataclass(frozen=True, slots=True)
class TrailingStop:
    name: str = "trail"
    proof: Proof = Proof.PREMIUM

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        if not context.armed:
            armed_at = arm_level(position, settings)
            return describe(
                "trailing stop",
                ExitReason.TRAILING_STOP,
                Priority.HIGH,
                ExitAction.CLOSE,
                distance="not armed",
                nearness=1.0,
                fired=False,
                level=f"arms {price(armed_at)}",
                quantity=position.quantity,
                best=mark.best,
            )
        level = trail_level(position, mark.best, settings)
        left = mark.price - level
        return describe(
            "trailing stop",
            ExitReason.TRAILING_STOP,
            Priority.HIGH,
            ExitAction.CLOSE,
            distance=points(left, position.entry),
            nearness=share(left, mark.best - level),
            fired=left <= 0,
            level=price(level),
            quantity=position.quantity,
            mid=mark.price,
            level_exact=level,
            best=mark.best,
            entry=position.entry,
        )
