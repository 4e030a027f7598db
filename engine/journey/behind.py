"""What a ledger that is away or behind stops: what adds risk. Asked by the conductor before every step and command.

A database that is slow or away keeps nobody waiting, for the spool is durable. But the longer it lasts, the less is to
be begun: after a while no order adds risk any more. What lowers risk is never stopped.
"""

from __future__ import annotations

from engine.domain.commands import CancelOrder, ClosePosition, Command, HaltTrading, Reject
from engine.domain.values import Code, Refusal, refuse
from engine.ports import Ledger
from engine.settings import LedgerSettings

_LOWERS = (HaltTrading, ClosePosition, CancelOrder, Reject)
"""Taken at once also when no fact can be made durable: theirs wait in order."""


def behind(ledger: Ledger, limits: LedgerSettings) -> Refusal | None:
    """Why no order adds risk now: the database has been behind the spool for too long, or too far."""
    spooled = ledger.spooled
    if spooled is None or (spooled.seconds < limits.risk_seconds and spooled.facts < limits.risk_facts):
        return None
    return refuse(Code.LEDGER_AWAY, facts=spooled.facts, seconds=f"{spooled.seconds:.0f}")


def refused(command: Command, ledger: Ledger) -> Refusal | None:
    """Why a command is not even taken now: no fact can be made durable. What adds risk while the database is behind is
    taken and refused like anything else, so that the refusal is a fact."""
    return None if ledger.available or isinstance(command, _LOWERS) else refuse(Code.LEDGER_AWAY)
