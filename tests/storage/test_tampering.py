"""Tampering by a superuser: all of it shows, and `verify` names the fact. Every bit of a row, and every way to move rows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from app.commands.bench_facts import Stories
from engine.ports import Head
from storage.database import Database
from storage.dsn import Connection, connect
from storage.importing import import_facts
from storage.report import Fault, Report
from storage.rows import GENESIS, link
from storage.verify import verify
from storage.verify.copied import copied
from storage.verify.stretch import FACTS, LINKS, sound

COUNT = 60


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    """Whole stories: signals, decisions, a trade."""
    await import_facts(database, Stories().steps(COUNT), lambda fact: [])
    return database


@pytest_asyncio.fixture
async def superuser(filled: Database) -> AsyncIterator[Connection]:
    """A session past the guards, whose changes are seen by `verify` and undone by the test."""
    tables = await _tables(filled)
    async with await connect(filled.dsn, "tamper") as connection:
        for table in tables:
            await connection.execute(f"ALTER TABLE strikedesk.{table} DISABLE TRIGGER USER".encode())
        yield connection
        for table in tables:
            for guard in ("no_change", "no_truncate"):
                await connection.execute(f"ALTER TABLE strikedesk.{table} ENABLE ALWAYS TRIGGER {guard}".encode())
    assert (await verify(filled)).ok, "every change was undone"


async def _tables(database: Database) -> list[str]:
    async with await connect(database.dsn, "tamper") as connection:
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'strikedesk'::regnamespace AND relkind = 'r'" \
                " AND (relname LIKE 'ledger\\_%' OR relname IN ('chain', 'dedupe'))"  # fmt: skip
        return [name for (name,) in await (await connection.execute(query)).fetchall()]


async def found(database: Database, heads: Head | None = None) -> list[tuple[Fault, int | None]]:
    report: Report = await verify(database, heads)
    return [(one.fault, one.seq) for one in report.problems if one.fault not in (Fault.GUARD, Fault.RIGHTS)]


# --- every bit ----------------------------------------------------------------------------------------------------------


async def test_every_single_bit_of_a_fact_and_of_its_link_is_seen(filled: Database) -> None:
    """The walk's own check, over the bytes the server sends: numbers, hashes, times, kinds, causes, symbols, texts."""

    def read() -> tuple[list[bytes], bytes]:
        import psycopg

        with psycopg.connect(filled.app) as connection:
            rows = list(copied(connection.pgconn, FACTS.format(after=0, until=COUNT)))
            links = connection.execute(LINKS, [0, COUNT], binary=True).fetchone()
            assert links is not None
            return rows, bytes(links[0])

    rows, links = read()
    whole = sound(rows, 0, GENESIS)
    assert whole is not None
    assert b"".join(whole.links) == links
    kinds: dict[str, int] = {}
    for number, row in enumerate(rows):
        kind = re.search(rb'"fact":"(\w+)"', row)
        assert kind is not None
        kinds.setdefault(kind[1].decode(), number)
    flips, missed = 0, []
    for number in kinds.values():
        before = GENESIS if number == 0 else whole.links[number - 1][-32:]
        for bit in range(8 * len(rows[number])):
            changed = bytearray(rows[number])
            changed[bit // 8] ^= 1 << bit % 8
            flips += 1
            if sound([bytes(changed)], number, before) is not None:
                missed.append((number, bit))
    assert len(kinds) >= 12
    assert flips > 50_000
    assert missed == []


FLIPS: list[tuple[str, str, Callable[[Any, int], Any]]] = [
    ("ledger", "body", lambda text, bit: _flipped_text(text, bit)),
    ("ledger", "kind", lambda text, bit: _flipped_text(text, bit)),
    ("ledger", "symbol", lambda text, bit: _flipped_text(text, bit)),
    ("ledger", "hash", lambda data, bit: _flipped(data, bit)),
    ("ledger", "prev_hash", lambda data, bit: _flipped(data, bit)),
    ("ledger", "seq", lambda number, bit: number ^ 1 << 7 + bit % 50),
    ("ledger", "cause", lambda number, bit: number ^ 1 << 7 + bit % 50),
    ("ledger", "at", lambda moment, bit: _flipped_moment(moment, bit)),
    ("chain", "hash", lambda data, bit: _flipped(data, bit)),
    ("chain", "prev_hash", lambda data, bit: _flipped(data, bit)),
    ("chain", "seq", lambda number, bit: number ^ 1 << 7 + bit % 50),
    ("dedupe", "key", lambda text, bit: _flipped_text(text, bit)),
    ("dedupe", "seq", lambda number, bit: number ^ 1 << 7 + bit % 50),
]


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def _flipped_text(text: str, bit: int) -> str:
    """A bit that leaves it ASCII, for Postgres would not take anything else."""
    changed = bytearray(text.encode())
    changed[bit // 7 % len(changed)] ^= 1 << bit % 7
    return changed.replace(b"\0", b"\1").decode()


def _flipped_moment(moment: datetime, bit: int) -> datetime:
    """A bit of its microseconds, low enough to stay in the month."""
    base = datetime(2000, 1, 1, tzinfo=UTC)
    return base + timedelta(microseconds=((moment - base) // timedelta(microseconds=1)) ^ 1 << bit % 36)


@pytest.mark.parametrize(("table", "column", "flip"), FLIPS, ids=[f"{table}.{column}" for table, column, _ in FLIPS])
async def test_a_bit_changed_in_the_database_is_found(
    filled: Database, superuser: Connection, table: str, column: str, flip: Callable[[Any, int], Any]
) -> None:
    key = "key" if table == "dedupe" else "seq"
    query = f"SELECT {key}, {column} FROM strikedesk.{table} WHERE {column} IS NOT NULL ORDER BY seq"
    rows = await (await superuser.execute(query.encode())).fetchall()
    for bit in (0, 5, 33):
        name, value = rows[(7 * bit + 11) % len(rows)]
        changed = flip(value, bit)
        update = f"UPDATE strikedesk.{table} SET {column} = %s WHERE {key} = %s"
        await superuser.execute(update.encode(), [changed, name])
        problems = await found(filled)
        assert problems, (name, bit)
        moved = changed if column == key else name
        await superuser.execute(update.encode(), [value, moved])


# --- rows that go, come and change places -------------------------------------------------------------------------------

BOTH = ("ledger", "chain")
MOVES = {
    "the first fact removed": ["DELETE FROM strikedesk.{t} WHERE seq = 1"],
    "one in the middle removed": ["DELETE FROM strikedesk.{t} WHERE seq = 30"],
    "many removed": ["DELETE FROM strikedesk.{t} WHERE seq BETWEEN 20 AND 40"],
    "two swapped": [
        "UPDATE strikedesk.{t} SET seq = -1 WHERE seq = 20",
        "UPDATE strikedesk.{t} SET seq = 20 WHERE seq = 21",
        "UPDATE strikedesk.{t} SET seq = 21 WHERE seq = -1",
    ],
    "one moved to the end": ["UPDATE strikedesk.{t} SET seq = 1000 WHERE seq = 20"],
    "one moved before the first": ["UPDATE strikedesk.{t} SET seq = 0 WHERE seq = 20"],
    "all moved up": ["UPDATE strikedesk.{t} SET seq = seq + 100000"],
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("where", [*BOTH, "both"])
async def test_rows_that_were_moved_are_found(filled: Database, superuser: Connection, move: str, where: str) -> None:
    tables = BOTH if where == "both" else (where,)
    for table in tables:
        await superuser.execute(f"CREATE TABLE strikedesk.kept_{table} AS SELECT * FROM strikedesk.{table}".encode())
        for statement in MOVES[move]:
            await superuser.execute(statement.format(t=table).encode())
    assert await found(filled)
    for table in tables:
        await superuser.execute(f"DELETE FROM strikedesk.{table}".encode())
        await superuser.execute(f"INSERT INTO strikedesk.{table} SELECT * FROM strikedesk.kept_{table}".encode())
        await superuser.execute(f"DROP TABLE strikedesk.kept_{table}".encode())


async def test_a_fact_put_in_between_is_found(filled: Database, superuser: Connection) -> None:
    """Even one with a right hash of its own and a place in the chain."""
    row = await (await superuser.execute("SELECT hash, body FROM strikedesk.ledger WHERE seq = 30")).fetchone()
    assert row is not None
    body = row[1].replace('"seq":30', '"seq":31')
    digest = link(row[0], body.encode())
    await superuser.execute(
        "INSERT INTO strikedesk.ledger SELECT 31, at, kind, cause, symbol, %s, %s, %s FROM strikedesk.ledger WHERE seq = 30",
        [body, digest, row[0]],
    )
    assert (Fault.DOUBLED, 31) in await found(filled)
    await superuser.execute("DELETE FROM strikedesk.ledger WHERE seq = 31 AND hash = %s", [digest])


async def test_a_fact_put_at_the_end_is_found_when_it_does_not_follow(filled: Database, superuser: Connection) -> None:
    after = (await verify(filled)).facts + 1
    await superuser.execute(
        "INSERT INTO strikedesk.ledger SELECT %s, at, kind, cause, symbol, body, hash, prev_hash FROM strikedesk.ledger"
        " WHERE seq = 30",
        [after],
    )
    assert {seq for _, seq in await found(filled)} == {after}
    await superuser.execute("DELETE FROM strikedesk.ledger WHERE seq = %s", [after])


@pytest.mark.parametrize("left", [1, 30, COUNT - 1])
async def test_a_tail_cut_off_is_found_by_the_last_head_that_left(
    filled: Database, superuser: Connection, left: int
) -> None:
    kept = (await verify(filled)).head
    for table in (*BOTH, "dedupe"):
        await superuser.execute(f"CREATE TABLE strikedesk.kept_{table} AS SELECT * FROM strikedesk.{table}".encode())
        await superuser.execute(f"DELETE FROM strikedesk.{table} WHERE seq > {left}".encode())
    assert await found(filled) == []
    assert await found(filled, kept) == [(Fault.HEAD, left)]
    for table in (*BOTH, "dedupe"):
        await superuser.execute(
            f"INSERT INTO strikedesk.{table} SELECT * FROM strikedesk.kept_{table} WHERE seq > {left}".encode()
        )
        await superuser.execute(f"DROP TABLE strikedesk.kept_{table}".encode())


async def test_a_key_that_would_silence_a_future_signal_is_found(filled: Database, superuser: Connection) -> None:
    await superuser.execute("INSERT INTO strikedesk.dedupe VALUES ('signal:SPY:5:LONG:1', 3)")
    assert await found(filled) == [(Fault.DEDUPE, 3)]
    await superuser.execute("DELETE FROM strikedesk.dedupe WHERE key = 'signal:SPY:5:LONG:1'")


async def test_what_is_wrong_far_apart_is_all_named(
    filled: Database, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stretches that are sound go by quickly, the others are looked at closely, and nothing falls between two."""
    monkeypatch.setattr("storage.verify.walk.STRETCH", 10)
    assert (await verify(filled)).facts >= COUNT
    for seq in (10, 11, 20, 35):
        await superuser.execute("UPDATE strikedesk.ledger SET body = body || ' ' WHERE seq = %s", [seq])
    assert {seq for fault, seq in await found(filled) if fault is Fault.ALTERED} == {10, 11, 20, 35}
    await superuser.execute("UPDATE strikedesk.ledger SET body = rtrim(body) WHERE body LIKE '%% '")
    for table in BOTH:
        await superuser.execute(f"CREATE TABLE strikedesk.kept_{table} AS SELECT * FROM strikedesk.{table}".encode())
        await superuser.execute(f"DELETE FROM strikedesk.{table} WHERE seq BETWEEN 19 AND 42".encode())
    report = await verify(filled)
    assert [str(one)[:48] for one in report.problems if one.fault is Fault.MISSING] == [
        "fact 19: 19 to 42 are in neither ledger nor chai"
    ]
    for table in BOTH:
        await superuser.execute(
            f"INSERT INTO strikedesk.{table} SELECT * FROM strikedesk.kept_{table} WHERE seq BETWEEN 19 AND 42".encode()
        )
        await superuser.execute(f"DROP TABLE strikedesk.kept_{table}".encode())
