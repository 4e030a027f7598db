"""A state as plain rows: what the desk held and waited for at a moment. Called by the API and by `ledger past`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.state import State


def past_view(state: State, seq: int, at: datetime | None) -> Mapping[str, object]:
    """What there was after fact `seq`: what is over is left out, the ledger has it."""
    return {
        "seq": seq,
        "at": at,
        "account": state.account,
        "halt": state.halt,
        "broker": state.link,
        "boards": [state.boards[symbol] for symbol in sorted(state.boards)],
        "tickets": list(state.pending_tickets.values()),
        "orders": list(state.open_orders.values()),
        "positions": list(state.open_positions.values()),
    }
