"""`ledger find|past|index`: facts by what is remembered of them, a past state, and the table that searches need."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.options import UsageError
from engine.domain.canonical import decode_fact
from engine.domain.findable import EVERYTHING, Question
from engine.journey.findings import Fold
from engine.operations.story import line_of
from engine.sessions import NEW_YORK
from engine.views.past import past_view
from storage.database import Database
from storage.follower import Follower
from storage.past import fold_until
from storage.queries import find

Outcome = tuple[int, dict[str, Any], str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for besides the work and its target."""

    question: Question = EVERYTHING
    limit: int = 100
    key: int | None = None
    oldest_first: bool = False
    at: datetime | None = None


def moment(name: str, text: str | None) -> datetime | None:
    """A time of the command line. Without a zone it is New York's. Raises `UsageError` for what is no time."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{name} {text}: expected a time such as 2026-11-20T10:30 (New York) or …T15:30Z") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=NEW_YORK)


async def find_facts(database: Database, asked: Asked) -> Outcome:
    """What is newer than the table reaches is indexed first, unless an engine is doing that."""
    await _index(database)
    try:
        page = await find(
            database.engine, asked.question, key=asked.key, limit=asked.limit, newest_first=not asked.oldest_first
        )
    except ValueError as error:
        raise UsageError(f"ledger find: {error}") from error
    facts = [decode_fact(row.body) for row in page.rows]
    result = {"facts": [json.loads(row.body) for row in page.rows], "next": page.next, "indexed": page.indexed}
    lines = [line_of(fact) for fact in facts] or ["nothing found"]
    if page.next is not None:
        lines.append(f"more: --key {page.next}")
    return 0, result, "\n".join(lines)


async def show_past(database: Database, asked: Asked, target: str) -> Outcome:
    """The state at a time (`--at`) or after a fact (its number)."""
    if bool(target) == (asked.at is not None):
        raise UsageError("ledger past: a fact's number, or --at TIME")
    if target and not (target.isascii() and target.isdigit()):
        raise UsageError(f"ledger past {target}: expected a fact's number")
    fold = Fold()
    seq, at = await fold_until(database, fold, at=asked.at, seq=int(target) if target else None)
    view = past_view(fold.state, seq, at)
    return 0, json.loads(msgspec.json.encode(view)), _past_text(view, fold)


async def index(database: Database) -> Outcome:
    """Fill the search table up to the ledger, at full speed."""
    seq = await _index(database)
    if seq is None:
        return 1, {"indexed": None}, "an engine is running: it fills the table by itself"
    return 0, {"indexed": seq}, f"{seq} facts can be found"


async def _index(database: Database) -> int | None:
    """The last fact that can be found; None when another program follows this ledger."""
    follower = Follower(database.app, Fold())

    def report(seq: int) -> None:
        if sys.stderr.isatty() and seq % 100_000 == 0:
            print(f"\r{seq} facts indexed", end="", file=sys.stderr, flush=True)

    try:
        return await follower.catch_up(report)
    except BlockingIOError:
        return None
    finally:
        await follower.close()


def _past_text(view: Mapping[str, Any], fold: Fold) -> str:
    state = fold.state
    when = view["at"].astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S New York") if view["at"] else "nothing yet"
    lines = [f"after fact {view['seq']}: {when}"]
    if state.account is not None:
        lines.append(f"account    cash {state.account.cash}, peak equity {state.account.peak_equity}")
    if state.halt is not None and state.halt.latched:
        lines.append(f"HALTED     {state.halt.reason}")
    for position in state.open_positions.values():
        lines.append(f"position   {position.id} {position.quantity} {position.contract.label} from {position.entry}")
    for order in state.open_orders.values():
        lines.append(f"order      {order.id} {order.side} {order.quantity} {order.contract.label} {order.state}")
    for ticket in state.pending_tickets.values():
        lines.append(f"ticket     {ticket.id} {ticket.side} {ticket.quantity} {ticket.contract.label} waits")
    for symbol, board in sorted(state.boards.items()):
        signals = ", ".join(f"{a.signal.timeframe.label} {a.signal.direction}" for a in board.signals) or "no signals"
        verdict = f"; {board.decision.verdict}" if board.decision is not None else ""
        lines.append(f"board      {symbol}: {signals}{verdict}")
    return "\n".join(lines)
