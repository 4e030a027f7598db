"""The ledger as a hypertable. TimescaleDB itself is in no package the tests can install: a stand-in extension has the same
functions with the same arguments, and chunks that are children of their table as there. It cannot show how TimescaleDB
plans, compresses or restores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

import storage
from storage.database import Database, open_database
from storage.dsn import connect, part
from storage.ledger import PostgresLedger
from storage.report import Fault
from storage.timescale import HYPERTABLE, choose_hypertable
from storage.verify import verify
from tests.fixtures_postgres import TestServer
from tests.storage.builders import at, heard, rejected

CONTROL = "default_version = '2.99.0'\nrelocatable = false\nschema = public\n"
STAND_IN = """
CREATE SCHEMA _timescaledb_functions;
GRANT USAGE ON SCHEMA _timescaledb_functions TO PUBLIC;
CREATE TABLE _timescaledb_functions.chunk (of regclass, name regclass, low timestamptz, high timestamptz);

CREATE FUNCTION _timescaledb_functions.insert_blocker() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE place regclass;
BEGIN
    SELECT name INTO STRICT place FROM _timescaledb_functions.chunk
    WHERE of = TG_RELID AND NEW.at >= low AND NEW.at < high;
    EXECUTE format('INSERT INTO %s SELECT ($1).*', place) USING NEW;
    RETURN NULL;
END $$;

CREATE FUNCTION create_hypertable(relation regclass, time_column_name name, chunk_time_interval anyelement,
                                  create_default_indexes boolean DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER ts_insert_blocker BEFORE INSERT ON %s
                    FOR EACH ROW EXECUTE FUNCTION _timescaledb_functions.insert_blocker()', relation);
END $$;
"""
CREATE_CHUNK = """
CREATE FUNCTION _timescaledb_functions.create_chunk(hypertable regclass, slices jsonb, schema_name name DEFAULT NULL,
                                                    table_name name DEFAULT NULL, chunk_table regclass DEFAULT NULL)
RETURNS TABLE (chunk_id integer, created boolean) LANGUAGE plpgsql AS $$
DECLARE
    low  timestamptz := to_timestamp((slices -> 'at' ->> 0)::bigint / 1000000);
    high timestamptz := to_timestamp((slices -> 'at' ->> 1)::bigint / 1000000);
    one  record;
BEGIN
    EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING INDEXES, CHECK (at >= %L AND at < %L)) INHERITS (%s)',
                   schema_name, table_name, hypertable, low, high, hypertable);
    -- Row triggers are cloned, statement triggers are not, and none is ALWAYS.
    FOR one IN SELECT pg_get_triggerdef(t.oid) AS text FROM pg_trigger t
               WHERE t.tgrelid = hypertable AND t.tgtype & 1 = 1 AND t.tgname <> 'ts_insert_blocker' LOOP
        EXECUTE replace(one.text, ' ON ' || hypertable::text || ' ', format(' ON %I.%I ', schema_name, table_name));
    END LOOP;
    INSERT INTO _timescaledb_functions.chunk
    VALUES (hypertable, format('%I.%I', schema_name, table_name)::regclass, low, high);
    RETURN QUERY SELECT 1, true;
END $$;
"""
REFUSING = STAND_IN.replace(
    "EXECUTE format('CREATE TRIGGER", "RAISE EXCEPTION 'not today'; EXECUTE format('CREATE TRIGGER"
)


def extension(folder: Path, name: str, script: str, control: str = CONTROL) -> Path:
    """A folder in which a server finds the extension."""
    place = folder / name / "extension"
    place.mkdir(parents=True, exist_ok=True)
    (place / "timescaledb.control").write_text(control)
    (place / "timescaledb--2.99.0.sql").write_text(script)
    for path in (place.parent, place):
        path.chmod(0o755)
    return place.parent


@pytest.fixture
def offering(postgres: TestServer, postgres_folder: Path) -> Iterator[str]:
    """An empty database on a server that offers the stand-in."""
    yield from _offering(postgres, extension(postgres_folder, "timescale", STAND_IN + CREATE_CHUNK))


def _offering(postgres: TestServer, folder: Path) -> Iterator[str]:
    dsn = postgres.empty()
    postgres.execute(f"ALTER DATABASE {part(dsn, 'dbname')} SET extension_control_path = '{folder}:$system'")
    yield dsn
    postgres.drop(dsn)


async def kind(database: Database) -> tuple[str, int]:
    async with await connect(database.dsn, "test") as connection:
        row = await (
            await connection.execute(
                "SELECT relkind::text, (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid)::int"
                " FROM pg_class c WHERE oid = 'strikedesk.ledger'::regclass"
            )
        ).fetchone()
    assert row is not None
    return row[0], row[1]


async def test_a_new_ledger_is_a_hypertable_where_there_is_the_extension(offering: str) -> None:
    database = await open_database(offering)
    assert await kind(database) == ("r", 2)
    ledger = PostgresLedger(database)
    await ledger.open()
    december = datetime(2026, 12, 1, tzinfo=UTC)
    far = datetime(2031, 5, 31, 23, 59, 59, 999999, tzinfo=UTC)
    ledger.append([heard(1), rejected(2, moment=december), rejected(3, moment=far)], [], {"key-1": 1})
    await ledger.close()
    report = await verify(database)
    assert report.ok, report.problems
    assert report.facts == 3
    again = PostgresLedger(database)
    await again.open()
    assert (again.head.seq, [fact.seq async for fact in again.facts()]) == (3, [1, 2, 3])
    await again.close()
    await database.close()


async def test_the_chunks_of_a_hypertable_are_guarded_as_partitions_are(offering: str) -> None:
    database = await open_database(offering)
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([rejected(1)], [], {})
    await ledger.close()
    month = f"ledger_{at(1):%Y%m}"
    async with await connect(database.dsn, "test") as connection:
        for role in ("origin", "replica"):
            await connection.execute(f"SET session_replication_role = {role}".encode())
            for statement in (
                f"UPDATE strikedesk.{month} SET seq = 2",
                "DELETE FROM strikedesk.ledger",
                f"TRUNCATE strikedesk.{month}",
                "TRUNCATE strikedesk.ledger",
            ):
                with pytest.raises(psycopg.errors.RestrictViolation):
                    await connection.execute(statement.encode())
        await connection.execute("SET session_replication_role = origin")
        await connection.execute(f"ALTER TABLE strikedesk.{month} DISABLE TRIGGER no_truncate".encode())
    async with await connect(database.app, "test") as connection:
        for statement in (
            f"INSERT INTO strikedesk.{month} SELECT * FROM strikedesk.ledger",
            "DELETE FROM strikedesk.ledger",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement.encode())
    texts = [problem.text for problem in (await verify(database)).problems]
    assert texts == [f"trigger no_truncate of {month} is missing or not ENABLE ALWAYS"]
    async with await connect(database.dsn, "test") as connection:
        await connection.execute(f"ALTER TABLE strikedesk.{month} NO INHERIT strikedesk.ledger".encode())
    problems = (await verify(database)).problems
    assert f"table {month} was detached from the ledger" in [problem.text for problem in problems]
    assert Fault.MISSING in {problem.fault for problem in problems}
    await database.close()


@pytest.mark.parametrize(
    ("name", "script", "control", "says"),
    [
        ("unloadable", "SELECT 1 / 0;", CONTROL, "TimescaleDB cannot be loaded: division by zero"),
        ("without chunks", STAND_IN, CONTROL, "this TimescaleDB cannot make chunks ahead"),
        ("without its script", STAND_IN, "default_version = '3.0'\n", "TimescaleDB cannot be loaded: "),
        ("refusing", REFUSING + CREATE_CHUNK, CONTROL, "TimescaleDB refuses: not today"),
    ],
)
async def test_a_server_that_lists_the_extension_and_cannot_use_it_keeps_partitions(
    postgres: TestServer, postgres_folder: Path, name: str, script: str, control: str, says: str
) -> None:
    for dsn in _offering(postgres, extension(postgres_folder, name.replace(" ", "_"), script, control)):
        database = await open_database(dsn)
        assert await kind(database) == ("p", 2)
        report = await verify(database)
        assert report.ok
        assert any(note.startswith(f"partitions: {says}") for note in report.notes), report.notes
        await database.close()


async def test_a_ledger_that_has_facts_is_never_moved(
    database: Database, postgres: TestServer, postgres_folder: Path
) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([rejected(1)], [], {})
    await ledger.close()
    folder = extension(postgres_folder, "late", STAND_IN + CREATE_CHUNK)
    postgres.execute(f"ALTER DATABASE {part(database.dsn, 'dbname')} SET extension_control_path = '{folder}:$system'")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.dsn))
    with engine.begin() as connection:
        assert (
            connection.exec_driver_sql(
                "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"
            ).scalar()
            == 1
        )
        assert choose_hypertable(connection) == "the ledger had facts before"
    engine.dispose()
    assert await kind(database) == ("p", 2)
    assert (await verify(database)).ok


def test_the_hypertable_has_what_the_partitioned_table_has() -> None:
    """Its text beside that of the first migration: the same indexes, the same guards."""
    first = (Path(storage.__file__).parent / "migrations/versions/0001_ledger.py").read_text()
    indexes = [line for line in first.splitlines() if line.startswith("CREATE INDEX ledger_")]
    assert len(indexes) == 4
    assert all(index in HYPERTABLE for index in indexes)
    assert HYPERTABLE.count("ENABLE ALWAYS TRIGGER") == 2
    assert "BEFORE UPDATE OR DELETE ON strikedesk.ledger" in HYPERTABLE
    assert "BEFORE TRUNCATE ON strikedesk.ledger" in HYPERTABLE
