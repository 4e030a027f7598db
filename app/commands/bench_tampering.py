"""`bench ledger`, tampering: how much of what a superuser can do to a ledger is found. Counts, not times."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import psycopg

from app.commands.bench_facts import Stories
from app.paths import throwaway_home
from engine.ports import Head
from storage.database import Database, open_database
from storage.dsn import Connection, connect
from storage.embedded import EmbeddedPostgres
from storage.importing import import_facts
from storage.rows import GENESIS
from storage.verify import verify
from storage.verify.copied import copied
from storage.verify.stretch import FACTS, LINKS, sound

FACTS_THERE = 600


async def tampering(quick: bool) -> list[dict[str, Any]]:
    """Single bits of facts and links; rows removed, swapped and doubled; tails cut off, against the last head."""
    with throwaway_home("bench") as home:
        server = EmbeddedPostgres(home / "database")
        try:
            database = await open_database(await server.start())
            try:
                await import_facts(database, Stories().steps(FACTS_THERE), lambda fact: [])
                counts = {"single bits changed": await asyncio.to_thread(_bits, database, 7 if quick else 1)}
                counts |= await _rows(database, 4 if quick else 25)
            finally:
                await database.close()
        finally:
            await server.stop()
    return [
        {
            "what": what,
            "figure": f"{found:,} of {tried:,} found",
            "bar": "all",
            "met": found == tried,
        }
        for what, (found, tried) in counts.items()
    ]


def _bits(database: Database, stride: int) -> tuple[int, int]:
    """Every bit (or every `stride`-th) of a row of each kind of fact, as the server sends it, and of its link."""
    with psycopg.connect(database.app) as connection:
        rows = list(copied(connection.pgconn, FACTS.format(after=0, until=FACTS_THERE)))
        fetched = connection.execute(LINKS, [0, FACTS_THERE], binary=True).fetchone()
    whole = sound(rows, 0, GENESIS)
    assert whole is not None
    assert fetched is not None
    links = b"".join(whole.links)
    assert links == bytes(fetched[0]), "an untouched ledger is sound"
    first: dict[bytes, int] = {}
    for number, row in enumerate(rows):
        kind = re.search(rb'"fact":"(\w+)"', row)
        assert kind is not None
        first.setdefault(kind[1], number)
    tried = found = 0
    for number in first.values():
        before = GENESIS if number == 0 else whole.links[number - 1][-32:]
        for bit in range(0, 8 * len(rows[number]), stride):
            tried += 1
            found += sound([_flipped(rows[number], bit)], number, before) is None
        link = whole.links[number]
        for bit in range(0, 8 * len(link), stride):
            tried += 1
            changed = [*whole.links[:number], _flipped(link, bit), *whole.links[number + 1 :]]
            found += b"".join(changed) != links
    return found, tried


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


async def _rows(database: Database, rounds: int) -> dict[str, tuple[int, int]]:
    head = (await verify(database)).head
    assert head is not None
    counts: dict[str, tuple[int, int]] = {}
    both = ("ledger", "chain")
    async with await connect(database.dsn, "tamper") as connection:
        await _unguard(connection)
        for table in both:
            await connection.execute(
                f"CREATE TABLE strikedesk_kept_{table} AS SELECT * FROM strikedesk.{table}".encode()
            )
        for what, tables, statements, known in (
            ("rows removed from the ledger", both[:1], ["DELETE FROM strikedesk.{t} WHERE seq = {n}"], None),
            ("rows removed from ledger and chain", both, ["DELETE FROM strikedesk.{t} WHERE seq = {n}"], None),
            ("rows swapped", both, _SWAP, None),
            (
                "rows doubled",
                both[:1],
                ["INSERT INTO strikedesk.{t} SELECT * FROM strikedesk.{t} WHERE seq = {n}"],
                None,
            ),
            ("tails cut off, against the last head", both, ["DELETE FROM strikedesk.{t} WHERE seq > {n}"], head),
        ):
            found = 0
            for number in range(1, rounds + 1):
                where = 1 + number * (head.seq - 2) // (rounds + 1)
                for table in tables:
                    for statement in statements:
                        await connection.execute(statement.format(t=table, n=where).encode())
                found += await _found(database, known)
                for table in tables:
                    await connection.execute(f"DELETE FROM strikedesk.{table}".encode())
                    await connection.execute(
                        f"INSERT INTO strikedesk.{table} SELECT * FROM strikedesk_kept_{table}".encode()
                    )
            counts[what] = (found, rounds)
    return counts


_SWAP: Sequence[str] = (
    "UPDATE strikedesk.{t} SET seq = -1 WHERE seq = {n}",
    "UPDATE strikedesk.{t} SET seq = {n} WHERE seq = {n} + 1",
    "UPDATE strikedesk.{t} SET seq = {n} + 1 WHERE seq = -1",
)


async def _found(database: Database, known: Head | None) -> bool:
    report = await verify(database, known)
    return any(problem.seq is not None for problem in report.problems)


async def _unguard(connection: Connection) -> None:
    """What only a superuser can do."""
    query = b"""SELECT relname FROM pg_class WHERE relnamespace = 'strikedesk'::regnamespace AND relkind = 'r'
                AND (relname LIKE 'ledger\\_%' OR relname IN ('chain', 'dedupe'))"""
    for (name,) in await (await connection.execute(query)).fetchall():
        await connection.execute(f"ALTER TABLE strikedesk.{name} DISABLE TRIGGER USER".encode())
