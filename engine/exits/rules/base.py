"""What every exit rule is: one small object, one question. And how their answers are put into words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, ExitReason, Priority, money
from engine.exits.context import ExitContext
from engine.settings import ExitSettings


class Proof(StrEnum):
    """What it takes before a rule that is beyond its level counts as fired."""

    NONE = "none"
    QUOTED = "quoted"
    """Two believable option quotes beyond the level, at least a second apart; not while halted, not at 09:30–09:31."""
    PREMIUM = "premium"
    """The same; or, while quotes are unusable for long, the model's value beyond it twice, as far apart."""
    UNDERLYING = "underlying"
    """Last and mid of the underlying beyond; where no last is known, two quotes at least a second apart."""


class Rule(Protocol):
    @property
    def name(self) -> str:
        """Stable key of the rule: confirmations are kept under it."""
        ...

    @property
    def proof(self) -> Proof: ...

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        """How far the rule is from firing; `fired` says it is at or beyond its level now, still unproven. None where
        it does not concern this position."""
        ...


def describe(
    rule: str,
    reason: ExitReason,
    priority: Priority,
    action: ExitAction,
    *,
    distance: str,
    nearness: float,
    fired: bool,
    level: str = "",
    quantity: int = 0,
    **numbers: object,
) -> ExitDistance:
    """An answer in the form the exits panel and the ledger show. `numbers` become text."""
    return ExitDistance(
        rule=rule,
        reason=reason,
        priority=priority,
        action=action,
        distance="now" if fired else distance,
        nearness=0.0 if fired else nearness,
        fired=fired,
        level=level,
        numbers={name: str(value) for name, value in numbers.items()},
        quantity=quantity,
    )


def share(left: Decimal | float, whole: Decimal | float) -> float:
    """`left` as a part of `whole`, within 0 and 1; 1 where there is no whole to measure by."""
    if whole <= 0:
        return 0.0 if left <= 0 else 1.0
    return min(max(float(left) / float(whole), 0.0), 1.0)


def price(value: Decimal) -> str:
    return str(money(value))


def points(part: Decimal, entry: Decimal) -> str:
    """A price difference in percentage points of the entry premium: `36 pt`."""
    return f"{float(part / entry) * 100:.0f} pt" if entry > 0 else "n/a"


def percent(fraction: Decimal | float) -> str:
    """`+30 %`, `−50 %`."""
    value = float(fraction) * 100
    return f"{'−' if value < 0 else '+'}{abs(value):.0f} %"


def duration(left: timedelta) -> str:
    """`2 d`, `1 h 22 m`, `14 m`, `40 s`."""
    seconds = max(int(left.total_seconds()), 0)
    if seconds >= 172_800:
        return f"{seconds // 86_400} d"
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} m"
    return f"{seconds // 60} m" if seconds >= 60 else f"{seconds} s"
