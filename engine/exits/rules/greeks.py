"""What the Greeks warn of: decay, a delta that is no bet or no option any more, gamma at the end, falling volatility.

They say, they never close. Without Greeks or a price they are n/a and quiet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, ExitReason, Greeks, Priority
from engine.exits.context import ExitContext
from engine.exits.rules.base import Proof, describe, share
from engine.settings import ExitSettings

_QUARTER_HOURS_A_DAY = 96


@dataclass(frozen=True, slots=True)
class ThetaDecay:
    """7 days and more: decay a day; 1 to 6: decay until the next session; expiring today: in the next 15 minutes."""

    name: str = "theta"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        greeks, value = _known(mark)
        dte = (position.contract.expiry - context.today).days
        if dte >= 7:
            days, limit, span = 1.0, settings.theta_day, "a day"
        elif dte >= 1:
            days, limit, span = float(context.nights), settings.theta_night, "overnight"
        else:
            days, limit, span = 1 / _QUARTER_HOURS_A_DAY, settings.theta_quarter, "in 15 m"
        decay = abs(greeks.theta) * days / value if greeks is not None else None
        return _over(f"theta {span}", ExitReason.THETA_DECAY, decay, limit)


@dataclass(frozen=True, slots=True)
class DeltaLimit:
    name: str = "delta"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        greeks, _ = _known(mark)
        if greeks is None:
            return _quiet("delta", ExitReason.DELTA_LIMIT)
        delta = abs(greeks.delta)
        low, high = settings.delta_low, settings.delta_high
        left = min(delta - low, high - delta)
        return describe(
            "delta",
            ExitReason.DELTA_LIMIT,
            Priority.MEDIUM,
            ExitAction.ALERT,
            distance=f"{left:.2f}",
            nearness=share(left, (high - low) / 2),
            fired=not low <= delta <= high,
            level=f"{low:.2f} / {high:.2f}",
            delta=f"{greeks.delta:.2f}",
        )


@dataclass(frozen=True, slots=True)
class GammaRisk:
    """Expiring today, in the last hour: what gamma alone makes of a half-percent move, as a part of the value."""

    name: str = "gamma"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        late = context.now >= context.closes - timedelta(minutes=settings.gamma_minutes)
        if position.contract.expiry > context.today or not late:
            return None
        greeks, value = _known(mark)
        swing = None
        if greeks is not None and mark.underlying is not None:
            swing = 0.5 * abs(greeks.gamma) * (settings.gamma_move * float(mark.underlying)) ** 2 / value
        return _over("gamma", ExitReason.GAMMA_RISK, swing, settings.gamma_share)


@dataclass(frozen=True, slots=True)
class IvCrush:
    name: str = "IV crush"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        greeks, _ = _known(mark)
        fall = None
        if greeks is not None and context.iv_before is not None and context.iv_before > 0:
            fall = 1 - greeks.iv / context.iv_before
        # at the limit it has fallen enough: unlike the others this one is reached, not passed
        return _over("IV crush", ExitReason.IV_CRUSH, fall, settings.iv_drop, at_limit=True)


def _known(mark: Mark) -> tuple[Greeks | None, float]:
    """The Greeks and the premium they are measured against; no Greeks where there is no premium."""
    value = float(mark.price)
    return (mark.greeks if value > 0 else None), value


def _over(rule: str, reason: ExitReason, value: float | None, limit: float, *, at_limit: bool = False) -> ExitDistance:
    if value is None:
        return _quiet(rule, reason)
    value = round(value, 9)  # so that a level is reached at the level, not a rounding error beyond it
    return describe(
        rule,
        reason,
        Priority.MEDIUM,
        ExitAction.ALERT,
        distance=f"{(limit - value) * 100:.0f} pt",
        nearness=share(limit - value, limit),
        fired=value > limit or (at_limit and value >= limit),
        level=f"{limit * 100:.0f} %",
        value=f"{value * 100:.1f}%",
        limit=f"{limit * 100:.0f}%",
    )


def _quiet(rule: str, reason: ExitReason) -> ExitDistance:
    return describe(rule, reason, Priority.MEDIUM, ExitAction.ALERT, distance="n/a", nearness=1.0, fired=False)
