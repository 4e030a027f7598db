"""Exits by the underlying's price: the signal's stop and its two targets. Mid and, where known, the last trade count."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import Direction, ExitAction, ExitReason, Priority, Quote
from engine.exits.context import ExitContext
from engine.exits.rules.base import Proof, describe, price, share
from engine.settings import ExitSettings


@dataclass(frozen=True, slots=True)
class UnderlyingStop:
    name: str = "underlying stop"
    proof: Proof = Proof.UNDERLYING

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        level = position.plan.underlying_stop
        if level is None:
            return None
        return _reach(
            f"stop {position.symbol}",
            ExitReason.STOP_LOSS,
            Priority.CRITICAL,
            ExitAction.CLOSE,
            position,
            context,
            level,
            rising=position.direction is Direction.SHORT,
            quantity=position.quantity,
        )


@dataclass(frozen=True, slots=True)
class TargetOne:
    """Half goes, halves up; a single contract goes whole. Once half was taken it is over."""

    name: str = "target 1"
    proof: Proof = Proof.UNDERLYING

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        level = position.plan.target_1
        if level is None or position.half_taken:
            return None
        return _reach(
            "target 1",
            ExitReason.TARGET_1,
            Priority.HIGH,
            ExitAction.TICKET,
            position,
            context,
            level,
            rising=position.direction is Direction.LONG,
            quantity=(position.quantity + 1) // 2,
        )


@dataclass(frozen=True, slots=True)
class TargetTwo:
    name: str = "target 2"
    proof: Proof = Proof.UNDERLYING

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        level = position.plan.target_2
        if level is None:
            return None
        return _reach(
            "target 2",
            ExitReason.TARGET_2,
            Priority.HIGH,
            ExitAction.TICKET,
            position,
            context,
            level,
            rising=position.direction is Direction.LONG,
            quantity=position.quantity,
        )


def _reach(
    rule: str,
    reason: ExitReason,
    priority: Priority,
    action: ExitAction,
    position: Position,
    context: ExitContext,
    level: Decimal,
    *,
    rising: bool,
    quantity: int,
) -> ExitDistance:
    """Distance to a level that is reached from below (`rising`) or from above."""
    mid = _mid(context.underlying)
    if mid is None:
        return describe(
            rule, reason, priority, action, distance="no quote", nearness=1.0, fired=False, level=price(level)
        )
    sign = 1 if rising else -1
    left = (level - mid) * sign
    last_left = (level - context.underlying_last) * sign if context.underlying_last is not None else left
    entry = position.entry_underlying if position.entry_underlying is not None else mid
    return describe(
        rule,
        reason,
        priority,
        action,
        distance=price(max(left, last_left)),
        nearness=share(max(left, last_left), (level - entry) * sign),
        fired=left <= 0 and last_left <= 0,
        level=price(level),
        quantity=quantity,
        mid=mid,
        last=context.underlying_last if context.underlying_last is not None else "n/a",
        limit=level,
    )


def _mid(quote: Quote | None) -> Decimal | None:
    """Mid of a quote that is not crossed; a locked one (an index, bars of trades) still says where the price is."""
    if quote is None or quote.bid is None or quote.ask is None or quote.bid > quote.ask:
        return None
    return quote.mid
