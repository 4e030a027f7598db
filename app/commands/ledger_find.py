"""`ledger find|past|index`: facts by what is remembered of them, a past state, and the table that searches need."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any, get_args

import msgspec
from sqlalchemy import text

from app.options import UsageError
from engine.domain import events as ev
from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.domain.findable import EVERYTHING, Question
from engine.journey.findings import Fold
from engine.operations.story import line_of
from engine.sessions import NEW_YORK
from engine.views.past import past_view
from storage.database import Database
from storage.follower import Follower
from storage.past import fold_until
from storage.patience import ANSWER, within
from storage.queries import find
from storage.reading import session

Outcome = tuple[int, dict[str, Any], str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for besides the work and its target."""

    question: Question = EVERYTHING
    limit: int = 100
    key: int | None = None
    oldest_first: bool = False
    at: datetime | None = None


def moment(name: str, said: str | None) -> datetime | None:
    """A time of the command line. Without a zone it is New York's. Raises `UsageError` for what is no time."""
    if said is None:
        return None
    try:
        found = datetime.fromisoformat(said)
    except ValueError as error:
        raise UsageError(f"{name} {said}: expected a time such as 2026-11-20T10:30 (New York) or …T15:30Z") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=NEW_YORK)


async def find_facts(database: Database, asked: Asked) -> Outcome:
    """What is newer than the table reaches is indexed first, unless an engine is doing that."""
    await _index(database)
    try:
        work = find(
            database.engine, asked.question, key=asked.key, limit=asked.limit, newest_first=not asked.oldest_first
        )
        page = await within(ANSWER, work)
    except ValueError as error:
        raise UsageError(f"ledger find: {error}") from error
    facts = [decode_fact(row.body) for row in page.rows]
    result = {"facts": [json.loads(row.body) for row in page.rows], "next": page.next, "indexed": page.indexed}
    contracts = await _contracts(database, facts)
    lines = [line_of(fact) + contracts.get(fact.seq, "") for fact in facts] or ["nothing found"]
    if page.next is not None:
        lines.append(f"more: --key {page.next}")
    return 0, result, "\n".join(lines)


def kinds_of(names: Sequence[str]) -> tuple[str, ...]:
    """Kinds of facts as they were asked for. Raises `UsageError` for one that there is not, and says what is close."""
    known = {kind.__name__.lower(): kind.__name__ for kind in get_args(AnyFact)}
    for name in names:
        if name not in known.values():
            close = get_close_matches(name.lower(), known, n=4, cutoff=0.5)
            likely = ", ".join(known[one] for one in close)
            hint = f"close to it: {likely}" if likely else f"there are: {', '.join(sorted(known.values()))}"
            raise UsageError(f"--kind {name}: no such kind of fact; {hint}")
    return tuple(names)


async def _contracts(database: Database, facts: Sequence[AnyFact]) -> dict[int, str]:
    """What facts are about that name an order or a position only, by seq: their ids are the facts that they were born
    from, an order's with its contract, a position's the execution of an order."""
    born: dict[int, AnyFact] = {}

    async def read(seqs: set[int]) -> None:
        async with session(database.engine) as connection:
            for (body,) in await connection.execute(_BY_SEQ, {"seqs": sorted(seqs - born.keys())}):
                fact = decode_fact(body)
                born[fact.seq] = fact

    silent = {fact.seq: birth for fact in facts if (birth := _birth(fact)) is not None}
    await read(set(silent.values()))
    await read({birth for fact in list(born.values()) if (birth := _birth(fact)) is not None})
    labels: dict[int, str] = {}
    for seq, birth in silent.items():
        fact = born.get(birth)
        if fact is not None and (opener := _birth(fact)) is not None:
            fact = born.get(opener)
        if isinstance(fact, ev.OrderIntended):
            labels[seq] = f"  [{fact.contract.label}]"
    return labels


def _birth(fact: AnyFact) -> int | None:
    """The fact that the order, or else the position, of a fact without a contract of its own was born from."""
    if getattr(fact, "contract", None) is not None:
        return None
    name = getattr(fact, "order", None) or getattr(fact, "position", None)
    return int(name[1:]) if isinstance(name, str) and name[1:].isdigit() and name[:1] in "OP" else None


_BY_SEQ = text("SELECT body FROM strikedesk.ledger WHERE seq = ANY (:seqs)")


async def show_past(database: Database, asked: Asked, target: str) -> Outcome:
    """The state at a time (`--at`) or after a fact (its number)."""
    if bool(target) == (asked.at is not None):
        raise UsageError("ledger past: a fact's number, or --at TIME")
    if target and not (target.isascii() and target.isdigit()):
        raise UsageError(f"ledger past {target}: expected a fact's number")
    fold = Fold()
    seq, at = await fold_until(database, fold, at=asked.at, seq=int(target) if target else None)
    view = past_view(fold.state, seq, at)
    result, words = json.loads(msgspec.json.encode(view)), _past_text(view, fold)
    if target and int(target) > seq:
        result["ends"] = seq
        words = f"the ledger ends at fact {seq}: there is no fact {target} yet\n{words}"
    return 0, result, words


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
