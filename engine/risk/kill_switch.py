"""The kill switch: one latched state that blocks entries. The engine and any person may latch it; only a person resumes.

Pure: it answers what the halt becomes; the journey writes the fact, cancels working entries and, if asked, flattens.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.domain.entities import Account, Halt
from engine.domain.values import CENT, Code, Refusal, Value, refuse
from engine.risk.book import drawdown
from engine.settings import RiskSettings

ENGINE = "engine"
NOT_PERSONS = frozenset({ENGINE, "policy"})
"""Doors behind which nobody stands: they may halt, never resume."""


class Latch(Value, frozen=True, kw_only=True):
    """An automatic halt that is due, with the numbers of the fact."""

    reason: str
    numbers: dict[str, str]


def halt(current: Halt | None, by: str, reason: str, now: datetime) -> Halt | None:
    """The latched halt; None where it is latched already, for then the first reason stands."""
    if current is not None and current.latched:
        return None
    return Halt(latched=True, by=by, reason=reason, since=now)


def resume(
    current: Halt | None, account: Account, equity: Decimal, by: str, reason: str, now: datetime
) -> Halt | Refusal:
    """The released halt, which remembers the drawdown the person accepted and the peak it was counted from.

    Refused with NOT_HALTED, REASON_MISSING, or HALTED when no person asks.
    """
    if current is None or not current.latched:
        return refuse(Code.NOT_HALTED)
    if by in NOT_PERSONS:
        return refuse(Code.HALTED, by=current.by, reason=current.reason, resume="only by a person")
    if not reason.strip():
        return refuse(Code.REASON_MISSING, command="resume")
    return Halt(
        latched=False,
        by=by,
        reason=reason,
        since=now,
        accepted_drawdown=drawdown(account, equity),
        accepted_peak=account.peak_equity,
    )


def drawdown_limit(account: Account, current: Halt | None, settings: RiskSettings) -> Decimal:
    """Drawdown at which entries halt. After a person resumed beneath it, the step that halves the size further down;
    a new peak ends that.
    """
    limit = settings.drawdown_halt
    if current is None or current.latched or account.peak_equity > current.accepted_peak:
        return limit
    if current.accepted_drawdown < limit:
        return limit
    return current.accepted_drawdown + settings.drawdown_reduce


def automatic(current: Halt | None, account: Account, equity: Decimal, settings: RiskSettings) -> Latch | None:
    """The halt that the account's numbers ask for now, if it is not latched already."""
    if current is not None and current.latched:
        return None
    fallen, limit = drawdown(account, equity), drawdown_limit(account, current, settings)
    if fallen >= limit:
        return Latch(
            reason="drawdown from the peak",
            numbers={"drawdown": _percent(fallen), "limit": _percent(limit), "peak": f"${account.peak_equity}"},
        )
    lost = account.prior_equity - equity
    if equity > 0 and lost >= settings.day_budget * equity:
        return Latch(
            reason="day budget is lost",
            numbers={"day_loss": f"${lost.quantize(CENT)}", "limit": _percent(settings.day_budget)},
        )
    return None


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * 100).quantize(CENT)}%"
