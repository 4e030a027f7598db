"""Exits by time: the last half hour of an expiring contract, the day before, and the longest hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import Bucket, ExitAction, ExitReason, Priority
from engine.exits.context import ExitContext
from engine.exits.ladder import LadderStep, ladder_step
from engine.exits.rules.base import Proof, describe, duration, share
from engine.sessions import NEW_YORK
from engine.settings import ExitSettings

_SHORT_LIVED = frozenset({Bucket.ZERO_DTE, Bucket.ONE_DTE})
_MINUTES = {
    LadderStep.MID: "expiry_mid",
    LadderStep.QUARTER: "expiry_quarter",
    LadderStep.BID: "expiry_bid",
    LadderStep.MARKET: "expiry_market",
}


@dataclass(frozen=True, slots=True)
class ExpiryWarning:
    """Said once, half an hour before an expiring contract's session closes."""

    name: str = "expiry warning"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        if position.contract.expiry > context.today:
            return None
        starts = context.closes - timedelta(minutes=settings.expiry_warn)
        return _until(f"expires today T−{settings.expiry_warn}", starts, position, context, ExitAction.ALERT, 0)


@dataclass(frozen=True, slots=True)
class ExpiryClock:
    """From T−15 an expiring contract is sold by the clock; `ladder` says at which price."""

    name: str = "clock"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        dte = (position.contract.expiry - context.today).days
        if dte > 0:
            total = (position.contract.expiry - position.opened.astimezone(NEW_YORK).date()).days
            return describe(
                f"clock T−{settings.expiry_mid}",
                ExitReason.TIME_OF_DAY,
                Priority.CRITICAL,
                ExitAction.CLOSE,
                distance=f"{dte} d",
                nearness=share(dte, total),
                fired=False,
                level=position.contract.expiry.isoformat(),
            )
        step = ladder_step(context.now, context.closes, settings)
        minutes = getattr(settings, _MINUTES[step]) if step in _MINUTES else settings.expiry_mid
        starts = context.closes - timedelta(minutes=settings.expiry_mid)
        return _until(f"clock T−{minutes}", starts, position, context, ExitAction.CLOSE, position.quantity)


@dataclass(frozen=True, slots=True)
class ExpiresTomorrow:
    """A day or less is left: not for entries that were meant for a day. Calendar days, so that a contract bought on a
    Friday for Monday is not given back at once."""

    name: str = "expires tomorrow"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        if position.bucket in _SHORT_LIVED:
            return None
        dte = (position.contract.expiry - context.today).days
        total = (position.contract.expiry - position.opened.astimezone(NEW_YORK).date()).days
        left = dte - 1
        return describe(
            "expires tomorrow",
            ExitReason.TIME_STOP,
            Priority.HIGH,
            ExitAction.TICKET,
            distance=f"{left} d",
            nearness=share(left, total - 1),
            fired=left <= 0,
            level=position.contract.expiry.isoformat(),
            quantity=position.quantity,
            dte=dte,
        )


@dataclass(frozen=True, slots=True)
class MaxHold:
    """Long enough: look at it again."""

    name: str = "max hold"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        left = settings.max_hold_sessions - context.sessions_held
        return describe(
            f"max hold {settings.max_hold_sessions}",
            ExitReason.MAX_HOLD,
            Priority.MEDIUM,
            ExitAction.ALERT,
            distance=f"{left} sessions",
            nearness=share(left, settings.max_hold_sessions),
            fired=left <= 0,
            level=f"{settings.max_hold_sessions} sessions",
            held=context.sessions_held,
        )


def _until(
    rule: str, starts: datetime, position: Position, context: ExitContext, action: ExitAction, quantity: int
) -> ExitDistance:
    left = starts - context.now
    whole = starts - max(position.opened, context.opens)
    return describe(
        rule,
        ExitReason.TIME_OF_DAY,
        Priority.CRITICAL,
        action,
        distance=duration(left),
        nearness=share(left.total_seconds(), whole.total_seconds()),
        fired=left <= timedelta(0),
        level=starts.astimezone(NEW_YORK).strftime("%H:%M"),
        quantity=quantity,
        close=context.closes.astimezone(NEW_YORK).strftime("%H:%M"),
        left=duration(context.closes - context.now),
    )
