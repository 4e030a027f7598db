"""What the HTTP API sees of the engine: its views, its ledger and its commands. The desk's own door is the bridge."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from app.searching import Search
from app.wiring import Engine
from engine.domain.canonical import canonical
from engine.domain.commands import Command, Done
from engine.domain.events import AnyFact
from engine.domain.findable import Question
from engine.intake.doors import Found
from engine.journey.findings import Fold
from engine.ports import LedgerAway
from engine.views.past import past_view
from storage.database import Database
from storage.past import fold_until
from storage.patience import ANSWER, FOLDED, within

SHOWN = 200
"""Rows of a list, newest first; the ledger has the rest."""


class DeskDoor:
    """Implements `engine.intake.doors.Desk`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._search = Search(engine)

    async def command(self, command: Command) -> Done:
        return await self._engine.conductor.command(command)

    def view(self, name: str) -> msgspec.Struct | Mapping[str, object] | Sequence[Any]:
        state, marks = self._engine.state, self._engine.journey.live.marks
        match name:
            case "decisions":
                return [board for board in state.boards.values() if board.decision is not None]
            case "decision":
                newest = max(
                    (b for b in state.boards.values() if b.decision_seq is not None),
                    key=lambda b: b.decision_seq or 0,
                    default=None,
                )
                return newest if newest is not None else {}
            case "signals":
                return _newest(state.heard.values())
            case "orders":
                return _newest(state.orders.values())
            case "positions":
                return [
                    {"position": position, "mark": marks.get(position.id)}
                    for position in _newest(state.positions.values())
                ]
            case "exits":
                return [mark for mark in marks.values() if mark.exits]
            case "tickets":
                return list(state.pending_tickets.values())
            case _:
                raise LookupError(f"there is no view {name}")

    def quote(self, symbol: str) -> Mapping[str, object] | None:
        """The underlying's quote now, with its age and source; None for a symbol without one."""
        quote = self._engine.market.underlying(symbol)
        if quote is None:
            return None
        return {
            "symbol": symbol,
            "bid": quote.bid,
            "ask": quote.ask,
            "mid": quote.mid,
            "age": quote.age(self._engine.clock.now()),
            "source": quote.source,
        }

    async def find(self, question: Question, key: int | None, limit: int, newest_first: bool) -> Found:
        return await self._search.find(question, key, limit, newest_first)

    async def past(self, at: datetime) -> Mapping[str, object]:
        """The state after the last fact not later than `at`, folded anew beside the living one."""
        database = self._engine.database
        if database is None:
            raise LedgerAway("this ledger is kept in memory: its past cannot be asked")
        return await within(FOLDED, self._past(database, at))

    async def _past(self, database: Database, at: datetime) -> Mapping[str, object]:
        ledger, fold = self._engine.ledger, Fold()
        spooling = ledger.spooled is not None
        seq, moment = await fold_until(database, fold, at=at)
        if spooling:  # what only the spool had then
            async for fact in ledger.facts(after=seq):
                if fact.at > at:
                    break
                fold.apply(fact)
                seq, moment = fact.seq, fact.at
        return past_view(fold.state, seq, moment)

    async def story(self, seq: int) -> Sequence[Any]:
        story = await within(ANSWER, _story(self._engine, seq))
        return [msgspec.Raw(canonical(fact)) for fact in story]

    def health(self) -> Mapping[str, object]:
        engine = self._engine
        pulse = engine.conductor.pulse
        ledger = engine.ledger
        return {
            "status": "ok" if ledger.available and ledger.spooled is None and not engine.problems else "degraded",
            "ledger": {
                "available": ledger.available,
                "seq": ledger.head.seq,
                "head": ledger.head.hash.hex(),
                "spooled": ledger.spooled,
            },
            "market": {"source": engine.market.source, "time": engine.clock.now()},
            "weighing": pulse.weighing,
            "steps": pulse.steps,
            "slowest_step_ms": round(pulse.slowest_step * 1000, 3),
            "problems": list(engine.problems),
        }

    def metrics(self) -> str:
        pulse, ledger = self._engine.conductor.pulse, self._engine.ledger
        rows = {
            "strikedesk_steps_total": pulse.steps,
            "strikedesk_facts_total": pulse.facts,
            "strikedesk_slowest_step_seconds": pulse.slowest_step,
            "strikedesk_weighing": pulse.weighing,
            "strikedesk_ledger_seq": ledger.head.seq,
            "strikedesk_ledger_available": int(ledger.available),
            "strikedesk_ledger_spooled_facts": ledger.spooled.facts if ledger.spooled is not None else 0,
            "strikedesk_ledger_spooling_seconds": ledger.spooled.seconds if ledger.spooled is not None else 0,
            "strikedesk_open_positions": len(self._engine.state.open_positions),
        }
        return "".join(f"{name} {value}\n" for name, value in rows.items())


def _newest(rows: Any) -> list[Any]:
    return list(itertools.islice(reversed(list(rows)), SHOWN))


async def _story(engine: Engine, seq: int) -> Sequence[AnyFact]:
    return await engine.ledger.story(seq)
