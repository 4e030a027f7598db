"""What a run is made from: how much it must hold, its settings and hours, one engine's life, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from engine.domain import events as ev
from engine.domain.events import AnyFact
from engine.domain.values import Policy
from engine.journey.conductor import Conductor
from engine.settings import Settings, with_overrides
from tests.simulation.coverage import Coverage
from tests.simulation.database import ServedLedger
from tests.simulation.ledger import FaultyLedger
from tests.simulation.line import HostileBroker
from tests.simulation.loop import VirtualLoop
from tests.simulation.people import Alert

SIGNALS, ORDERS, FAULTS, CRASHES = 20, 10, 5, 1
"""What every run holds at least."""
LONGEST = 4000.0
"""Seconds after which a run that has not come that far is called thin."""
INTERVAL = 6.0
"""Seconds between two looks of the engine at its market, and between two ticks of it."""
REST = 30.0
"""Seconds without a fault before the reckoning."""
PATIENCE = 150.0
"""Seconds that it is then repeated while something is not settled."""
SERVED = 8
"""Every so many seeds run on the real committer and spool."""
REBUILT = 16
"""Every so many seeds the ledger is read back from its text and folded from zero."""

AGES = {"market.max_quote_age": "8", "market.max_quote_age_0dte": "7"}
"""Quotes come every `INTERVAL`: most of them may be used until the next."""
PROFILES: tuple[dict[str, str], ...] = (
    {"account.cash": "400000", "risk.cooldown_minutes": "1"},
    {"account.cash": "1000000", "risk.cooldown_minutes": "0", "exits.mark_seconds": "20"},
    {"account.cash": "100000", "risk.max_heat": "0.03", "risk.symbol_heat": "0.9", "risk.drawdown_halt": "0.03"},
    {
        "account.cash": "600000", "exits.stop_loss": "0.15", "exits.profit_target": "0.15", "exits.trail_arm": "0.08",
        "exits.trail_points": "0.04", "exits.max_hold_sessions": "1", "risk.cooldown_minutes": "0",
    },
)  # fmt: skip
POLICIES = (Policy.AUTO, Policy.AUTO, Policy.AUTO_PAPER, Policy.MANUAL)
STARTS = (  # hours and minutes after the open, UTC offsets left to the calendar
    timedelta(hours=1), timedelta(hours=3), timedelta(minutes=1), timedelta(hours=2, minutes=40),
)  # fmt: skip


@cache
def settings_of(profile: int) -> Settings:
    return with_overrides(Settings(), {**AGES, **PROFILES[profile]})


@dataclass(slots=True)
class Life:
    """One process: from its start to its crash."""

    number: int
    loop: VirtualLoop
    ledger: FaultyLedger | ServedLedger
    broker: HostileBroker
    conductor: Conductor | None = None
    """Set once it serves."""
    posted: dict[int, Alert] = field(default_factory=dict)
    """Alerts that wait for their answer, by a running number."""
    count: int = 0
    dead: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    digest: str = ""
    """Of the whole ledger."""
    signals: int = 0
    orders: int = 0
    faults: int = 0
    crashes: int = 0
    facts: int = 0
    seconds: float = 0.0
    violation: str = ""
    rule: str = ""
    coverage: Coverage = field(default_factory=Coverage)


def innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def line_of(fact: AnyFact) -> str:
    """A fact in one line of a run's story."""
    shown = {
        name: getattr(fact, name)
        for name in ("order", "position", "execution", "quantity", "price", "limit", "reason", "side", "purpose")
        if hasattr(fact, name)
    }
    if isinstance(fact, ev.TicketOpened):
        shown = {"ticket": fact.ticket.id, "contract": fact.ticket.contract.osi, "quantity": fact.ticket.quantity}
    if isinstance(fact, ev.DecisionMade):
        shown = {"verdict": fact.decision.verdict.value, "direction": fact.decision.direction}
    refusal = getattr(fact, "refusal", None)
    text = " ".join(f"{name}={value}" for name, value in shown.items())
    return f"{fact.seq:4d} {fact.kind} {text} {refusal.text if refusal is not None else ''}".rstrip()
