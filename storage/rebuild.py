"""Folds the whole ledger again and compares the result with the stored projections. Called by `ledger rebuild`.

The fold is handed in, so that this page knows nothing of the engine's state: it is the same one the engine runs.
It never touches a fact; it replaces projection rows only when asked to, and only while no engine is running.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import Change
from storage import reading
from storage.database import Database
from storage.rows import Row, StoredChange, plain_text, stored_text
from storage.writing import open_writer

Fold = Callable[[AnyFact], Iterable[Change]]


@dataclass(slots=True)
class Differences:
    """Stored rows against folded rows, each as `(kind, key)`."""

    facts: int = 0
    rows: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)
    """Folded, but not stored."""
    unexpected: list[tuple[str, str]] = field(default_factory=list)
    """Stored, but not folded."""
    different: list[tuple[str, str]] = field(default_factory=list)
    replaced: bool = False

    @property
    def ok(self) -> bool:
        return not (self.missing or self.unexpected or self.different)


async def rebuild(database: Database, fold: Fold, *, replace: bool = False) -> Differences:
    """Fold every fact and compare. With `replace` the stored rows become the folded ones, in one transaction.

    Raises `EngineRunning` when rows are to be replaced while an engine is running, `LedgerAway` when the database cannot
    be reached.
    """
    writer = await open_writer(database.app) if replace else None
    try:
        found = Differences()
        found.facts, folded = await folded_rows(reading.pages(database.engine), fold)
        stored = {(kind, key): body for kind, key, body in await reading.all_projections(database.engine)}
        found.rows = len(stored)
        for where, change in folded.items():
            if where not in stored:
                found.missing.append((plain_text(where[0]), plain_text(where[1])))
            elif stored[where] != change.body:
                found.different.append((plain_text(where[0]), plain_text(where[1])))
        found.unexpected = [(plain_text(kind), plain_text(key)) for kind, key in stored.keys() - folded.keys()]
        if writer is not None and not found.ok:
            await writer.replace_projections(list(folded.values()))
            found.replaced = True
        return found
    finally:
        if writer is not None:
            await writer.close()


async def folded_rows(
    pages: AsyncIterator[Sequence[Row]], fold: Fold
) -> tuple[int, dict[tuple[str, str], StoredChange]]:
    """How many facts there are, and the projection rows they add up to, those changed last at the end."""
    facts, rows = 0, dict[tuple[str, str], StoredChange]()
    async for page in pages:
        for row in page:
            facts += 1
            for place, change in enumerate(fold(decode_fact(row.body))):
                where = (stored_text(change.kind), stored_text(change.key))
                rows.pop(where, None)
                if change.body is not None:
                    rows[where] = StoredChange(*where, row.seq, place, change.body.decode())
    return facts, rows
