"""Recovery: what a start takes from the ledger. The state from its projection rows, checked against the facts after
them; the receipts it must know again. Called by whoever puts an engine together, before anything else is done.

Its cost does not grow with the ledger: rows of finished things are few (`engine.kept`), facts after the last row are
few, and of the keys only the newest are read. What is older is looked up when it is asked for.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from engine.domain import events as ev
from engine.journey.hearing import Known, known_from
from engine.ports import Ledger
from engine.state import KINDS, State

log = structlog.get_logger("recovery")

WINDOW = 200_000
"""Facts whose keys are kept in memory: a few days of a busy desk, and read in a fraction of a second."""

_HEARD = (ev.SignalReceived, ev.PhaseReceived, ev.TrendReceived, ev.ExitNoticeReceived)


class RecoveryError(Exception):
    """The projections are not this ledger's; the message says what to do."""


async def recover(ledger: Ledger, now: datetime, *, window: int = WINDOW) -> tuple[State, Known]:
    """The state as of the last fact, and what was heard. `now` is this machine's time; `window`: facts whose keys are
    read.

    Raises `RecoveryError` when a row is of a fact that the ledger does not have.
    """
    state = await _state(ledger)
    after = max(ledger.head.seq - window, 0)
    keys = await ledger.keys(after)
    since = None if after == 0 else now
    if after and keys:
        since = await _wall(ledger, min(keys.values())) or now
    return state, known_from(keys, state, since)


async def _state(ledger: Ledger) -> State:
    """The rows, and folded over them the facts that came after the last one that changed a row: they change none, or
    their changes were lost, and are made again."""
    head, projected = ledger.head, await ledger.projected()
    if projected > head.seq:
        raise RecoveryError(
            f"a projection row is of fact {projected}, but the ledger ends with fact {head.seq}: facts were removed, or the "
            "rows are another ledger's. `ledger verify` and `ledger rebuild` say which; nothing was started"
        )
    state = State.load(await ledger.projections(KINDS), projected, head.at if projected == head.seq else None)
    async for fact in ledger.facts(after=projected, until=head.seq):
        state.apply(fact)
    if state.last_seq != head.seq:
        raise RecoveryError(f"the ledger ends with fact {head.seq}, but fact {state.last_seq + 1} cannot be read")
    if state.changed:
        # They go to the ledger with the first facts of this run.
        log.warning("projections_were_behind", since=projected, facts=head.seq - projected, rows=state.changed)
    return state


async def _wall(ledger: Ledger, seq: int) -> datetime | None:
    """This machine's time when a receipt was heard."""
    async for fact in ledger.facts(after=seq - 1, until=seq):
        if isinstance(fact, _HEARD):
            return fact.receipt.wall
    return None
