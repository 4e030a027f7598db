"""A ledger of millions of facts for the benchmarks, made in minutes: one day's stories, told again for every day.

The stories of a day are made once by `bench_facts`, with numbers that occur nowhere else; each further day is the same
text with other numbers, dates and keys. Every fact is one that the fold takes, every hash is right, and the search table
is what the follower would have made of it. Never the user's ledger: it is written by COPY into an empty one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import psycopg

from app.commands.bench_facts import BEGINNING, Stories
from engine.domain.canonical import canonical, decode_fact
from engine.journey.findings import Fold
from storage.database import Database
from storage.dsn import connect
from storage.follower import PART
from storage.rows import GENESIS, key_of, stored_text, symbol_of

DAY_FACTS = 20_000
_BASE = 4_000_000_000
"""Numbers of the day's first telling: ten digits, so that they are found in its text, and in nothing else."""
_SPACING = timedelta(milliseconds=40)
_FIRST_DAY = date(2024, 1, 1)
_NUMBER = re.compile(r"(?<![0-9a-f.])4[0-9]{9}(?![0-9a-f])")
_WORKING = 500
"""Facts of one COPY."""


@dataclass(frozen=True, slots=True)
class _Told:
    """One fact of the day as text: what is the same on all days, and where it differs."""

    number: int
    at: datetime
    kind: str
    cause: int | None
    symbol: str | None
    body: str
    key: str | None
    found: str
    """Its search columns, joined by tabs as COPY takes them."""


def a_day() -> list[_Told]:
    """The first telling. Raises `AssertionError` when the stories cross midnight: days could not be told apart then."""
    stories = Stories(_BASE, spacing=_SPACING)
    fold = Fold()
    fold.load([], _BASE, None)
    for opening in Stories().opening()[0]:
        fold.state.last_seq = opening.seq - 1
        fold.apply(opening)
    fold.state.last_seq = _BASE
    told = []
    days = set()
    for facts, _ in stories.steps(DAY_FACTS):
        for fact in facts:
            fold.apply(fact)
            found = fold.finding(fact)
            words = " ".join("'" + word.replace("\\", "\\\\").replace("'", "''") + "'" for word in found.words)
            columns = (found.symbol, found.decision, found.strategy, found.outcome, found.reason)
            line = "\t".join([r"\N" if value is None else value for value in columns] + [words.replace("\\", "\\\\")])
            key = key_of(fact)
            body = canonical(fact).decode()
            told.append(_Told(fact.seq, fact.at, fact.kind, fact.cause, symbol_of(fact), body, key, line))
            days.add(fact.at.date())
    assert len(days) == 1, f"the stories of a day run over {sorted(days)}"
    return told


class Teller:
    """Tells the day again and again: rows for COPY, in order, chained."""

    def __init__(self) -> None:
        self._day = a_day()
        self._first = self._day[0].at.date()
        self.seq = 0
        self.hash = GENESIS
        self.last: list[str] = []
        """Bodies of the last day told, for the fold."""

    @property
    def per_day(self) -> int:
        return len(self._day)

    def days(self, count: int) -> Iterator[tuple[int, list[str], list[str], list[str], list[str]]]:
        """Per slice: the first seq, and lines for ledger, chain, dedupe and search."""
        for day in range(count):
            yield from self._again(day)

    def _again(self, day: int) -> Iterator[tuple[int, list[str], list[str], list[str], list[str]]]:
        shift = self.seq - _BASE
        when = _FIRST_DAY + timedelta(days=day)
        old, new = self._first.isoformat(), when.isoformat()
        moved = datetime.combine(when, datetime.min.time(), UTC) - datetime.combine(
            self._first, datetime.min.time(), UTC
        )
        renumber: Callable[[re.Match[str]], str] = lambda found: str(int(found[0]) + shift)  # noqa: E731
        self.last = []
        for start in range(0, len(self._day), _WORKING):
            ledger, chain, dedupe, search = [], [], [], []
            for told in self._day[start : start + _WORKING]:
                seq = told.number + shift
                body = _NUMBER.sub(renumber, told.body).replace(old, new)
                if told.key is not None:
                    key = f"{day:06x}{told.key[6:]}"
                    body = body.replace(told.key, key)
                    dedupe.append(f"{stored_text(key)}\t{seq}\n")
                data = body.encode()
                digest = sha256(self.hash + data).digest()
                at = (told.at + moved).isoformat()
                cause = r"\N" if told.cause is None else str(told.cause + shift)
                symbol = told.symbol or r"\N"
                hashes = f"\\\\x{digest.hex()}", f"\\\\x{self.hash.hex()}"
                text = body.replace("\\", "\\\\")
                ledger.append(f"{seq}\t{at}\t{told.kind}\t{cause}\t{symbol}\t{text}\t{hashes[0]}\t{hashes[1]}\n")
                chain.append(f"{seq}\t{hashes[1]}\t{hashes[0]}\n")
                search.append(f"{seq}\t{at}\t{told.kind}\t{_NUMBER.sub(renumber, told.found)}\n")
                self.last.append(body)
                self.hash = digest
            first = self._day[start].number + shift
            yield first, ledger, chain, dedupe, search
        self.seq += len(self._day)


async def make(database: Database, facts: int, report: Callable[[int], None] = lambda seq: None) -> int:
    """Fill an empty ledger with at least `facts` facts, its search table and its projections. How many there are."""
    teller = Teller()
    days = -(-facts // teller.per_day)
    async with await connect(database.dsn, "large ledger") as connection:
        await connection.execute("SET synchronous_commit = off")
        for day in range(0, days + 31, 28):
            await connection.execute("SELECT strikedesk.make_partition(%s)", [_FIRST_DAY + timedelta(days=day)])
        for part in range(days * teller.per_day // PART + 1):
            await connection.execute("SELECT strikedesk.make_search_part(%s)", [part])
        for first, ledger, chain, dedupe, search in teller.days(days):
            await _copy(connection, "ledger (seq, at, kind, cause, symbol, body, hash, prev_hash)", ledger)
            await _copy(connection, "chain (seq, prev_hash, hash)", chain)
            if dedupe:
                await _copy(connection, "dedupe (key, seq)", dedupe)
            columns = "(seq, at, kind, symbol, decision, strategy, outcome, reason, words)"
            await _copy(connection, f"search {columns}", search)
            report(first)
        await _project(connection, teller)
        for table in ("ledger", "chain", "dedupe", "search", "projection"):
            await connection.execute(f"ANALYZE strikedesk.{table}")
    return teller.seq


async def _project(connection: psycopg.AsyncConnection[tuple[object, ...]], teller: Teller) -> None:
    """Projections of the last day alone: what is finished is not kept, so the days before leave nothing else."""
    fold = Fold()
    rows: dict[tuple[str, str], tuple[int, int, bytes]] = {}
    opening = Stories().opening()[0]
    facts = [*opening, *(decode_fact(body) for body in teller.last)]
    for fact in facts:
        fold.state.last_seq = fact.seq - 1
        for place, change in enumerate(fold.apply(fact)):
            if change.body is None:
                rows.pop((change.kind, change.key), None)
            else:
                rows[change.kind, change.key] = (fact.seq, place, change.body)
        await asyncio.sleep(0)
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY strikedesk.projection (kind, key, seq, place, body) FROM STDIN") as copy,
    ):
        for (kind, key), (seq, place, body) in rows.items():
            await copy.write_row((kind, key, seq, place, body.decode()))


async def _copy(connection: psycopg.AsyncConnection[tuple[object, ...]], target: str, lines: list[str]) -> None:
    async with connection.cursor() as cursor, cursor.copy(f"COPY strikedesk.{target} FROM STDIN".encode()) as copy:
        await copy.write("".join(lines).encode())


assert BEGINNING.tzinfo is UTC
