"""Facts cannot be changed or removed: not by the engine's role at all, and not by accident even by the owner."""

from __future__ import annotations

import psycopg
import pytest
import pytest_asyncio

from storage.database import Database
from storage.dsn import Connection, connect
from storage.ledger import PostgresLedger
from tests.storage.builders import at, heard

PARTITION = f"ledger_{at(1):%Y%m}"

CHANGES = [
    *(f"UPDATE strikedesk.{table} SET seq = seq + 1" for table in ("ledger", PARTITION, "chain", "dedupe")),
    *(f"DELETE FROM strikedesk.{table}" for table in ("ledger", PARTITION, "chain", "dedupe")),
    *(f"TRUNCATE strikedesk.{table}" for table in ("ledger", PARTITION, "chain", "dedupe")),
    f"MERGE INTO strikedesk.{PARTITION} l USING (VALUES (1)) v (seq) ON l.seq = v.seq WHEN MATCHED THEN DELETE",
    "INSERT INTO strikedesk.dedupe (key, seq) VALUES ('key-1', 9) ON CONFLICT (key) DO UPDATE SET seq = excluded.seq",
]
DISARMS = [
    *(f"ALTER TABLE strikedesk.{table} DISABLE TRIGGER ALL" for table in ("ledger", PARTITION, "chain", "dedupe")),
    *(f"DROP TRIGGER no_change ON strikedesk.{table}" for table in ("ledger", "chain")),
    f"ALTER TABLE strikedesk.ledger DETACH PARTITION strikedesk.{PARTITION}",
    *(f"DROP TABLE strikedesk.{table} CASCADE" for table in ("ledger", PARTITION, "chain")),
    "CREATE OR REPLACE FUNCTION strikedesk.refuse_change() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
    "DROP SCHEMA strikedesk CASCADE",
    "SET session_replication_role = replica",
    "UPDATE strikedesk.meta SET value = 'me'",
    "CREATE TABLE strikedesk.ledger_mine (LIKE strikedesk.ledger)",
    f"INSERT INTO strikedesk.{PARTITION} SELECT * FROM strikedesk.ledger",
]


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    """A database with one fact in it, its key and its link."""
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([heard(1)], [], {"key-1": 1})
    await ledger.close()
    return database


async def untouched(connection: Connection) -> bool:
    query = """SELECT (SELECT array_agg(seq) FROM strikedesk.ledger), (SELECT array_agg(seq) FROM strikedesk.chain),
               (SELECT array_agg(seq) FROM strikedesk.dedupe)"""
    return await (await connection.execute(query)).fetchone() == ([1], [1], [1])


async def test_the_engines_role_can_change_nothing_and_switch_off_no_guard(filled: Database) -> None:
    async with await connect(filled.app, "test") as connection:
        for statement in CHANGES + DISARMS:
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.RestrictViolation)):
                await connection.execute(statement.encode())
            assert await untouched(connection), statement


@pytest.mark.parametrize("role", ["origin", "replica"])
async def test_the_owner_is_stopped_by_the_guards_whatever_its_replication_role(filled: Database, role: str) -> None:
    async with await connect(filled.dsn, "test") as connection:
        await connection.execute(f"SET session_replication_role = {role}".encode())
        for statement in CHANGES:
            with pytest.raises(psycopg.errors.RestrictViolation, match="never changed or removed"):
                await connection.execute(statement.encode())
            assert await untouched(connection), statement


async def test_months_made_later_are_guarded_too(filled: Database) -> None:
    async with await connect(filled.app, "test") as connection:
        await connection.execute("SELECT strikedesk.make_partition('2040-05-17')")
        again = await (await connection.execute("SELECT strikedesk.make_partition('2040-05-31')")).fetchone()
        assert again == ("ledger_204005",)
    async with await connect(filled.dsn, "test") as connection:
        await connection.execute(
            "INSERT INTO strikedesk.ledger SELECT 2, '2040-05-31 23:59:59.999999+00', kind, cause, symbol, body, hash, prev_hash"
            " FROM strikedesk.ledger"
        )
        for statement in CHANGES:
            if PARTITION in statement:
                with pytest.raises(psycopg.errors.RestrictViolation):
                    await connection.execute(
                        statement.replace(PARTITION, "ledger_204005").replace("l.seq = v.seq", "true").encode()
                    )
