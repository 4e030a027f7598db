"""Answers questions to the running engine's ledger: the search table, and the facts it does not reach yet.

Called by the HTTP door. The table is filled behind the ledger; what is newer, also what only the spool has, is looked at
one by one, so that an answer never lacks what has just happened. Nobody waits for ever for a database that is silent.
"""

from __future__ import annotations

import msgspec

from app.wiring import Engine
from engine.domain.canonical import canonical
from engine.domain.findable import Question
from engine.intake.doors import Found, Row
from engine.journey.findings import finding
from engine.ports import LedgerAway
from storage.patience import ANSWER, within
from storage.queries import find

MAX_TAIL = 5_000
"""Facts beyond the table that are looked at; a table further behind is still being made, and its end is the answer's."""


class Search:
    """Questions to one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, question: Question, key: int | None, limit: int, newest_first: bool) -> Found:
        """One page. Raises `LedgerAway` without the database."""
        database = self._engine.database
        if database is None:
            raise LedgerAway("this ledger is kept in memory: it cannot be asked")
        work = find(database.engine, question, key=key, limit=limit, newest_first=newest_first)
        page = await within(ANSWER, work)
        rows: list[Row] = [msgspec.Raw(row.body.encode()) for row in page.rows]
        if page.next is not None and not newest_first:
            return Found(rows, page.next)
        reaches = max((row.seq for row in page.rows), default=0) if question.everything else page.indexed
        first, last = self._beyond(reaches, key, newest_first)
        if question.everything:  # all of it answers: no more of it is needed than the page takes
            first, last = (max(first, last - limit), last) if newest_first else (first, min(last, first + limit))
        elif last - first > MAX_TAIL:
            return Found(rows, page.next, last - first)
        tail = await within(ANSWER, self._tail(question, first, last, newest_first))
        added: list[Row] = [raw for _, raw in tail]
        numbers = [seq for seq, _ in tail]
        seqs = [row.seq for row in page.rows]
        rows, seqs = (added + rows, numbers + seqs) if newest_first else (rows + added, seqs + numbers)
        return Found(rows[:limit], seqs[limit - 1] if len(seqs) >= limit else page.next)

    def _beyond(self, reaches: int, key: int | None, newest_first: bool) -> tuple[int, int]:
        """The facts behind the first and up to the last of these numbers are durable, and not in what was asked: the
        search table, or for a question without conditions the database. Some may be in the spool only."""
        first, last = reaches, self._engine.ledger.head.seq
        if key is not None:
            first, last = (first, min(last, key - 1)) if newest_first else (max(first, key), last)
        return first, max(first, last)

    async def _tail(self, question: Question, first: int, last: int, newest_first: bool) -> list[tuple[int, Row]]:
        """Answers among those facts, in the order asked for."""
        engine = self._engine
        if last == first:
            return []
        found: list[tuple[int, Row]] = []
        async for fact in engine.ledger.facts(after=first, until=last):
            # The living state is a little further on than the fact; what a fact is found by does not change by that.
            if question.answered_by(fact, finding(fact, engine.state)):
                found.append((fact.seq, msgspec.Raw(canonical(fact))))
        return found[::-1] if newest_first else found
