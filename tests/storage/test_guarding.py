"""What `verify` says of the guards and rights themselves: every way to loosen one is named, and sound ones are not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio

from storage.database import Database, open_database
from storage.dsn import connect, part
from storage.errors import LedgerFailed
from storage.ledger import PostgresLedger
from storage.report import Fault
from storage.verify import verify
from tests.storage.builders import at, heard, rejected

MONTH = f"ledger_{at(1):%Y%m}"
APP, READER = "strikedesk_template_app", "strikedesk_template_reader"


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([heard(1), rejected(2)], [], {"key-1": 1})
    await ledger.close()
    return database


LOOSENED = {
    "a guard that does nothing": (
        "CREATE OR REPLACE FUNCTION strikedesk.refuse_change() RETURNS trigger LANGUAGE plpgsql"
        " SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN coalesce(NEW, OLD); END $$",
        "function refuse_change does something else than it was made for",
    ),
    "a guard under another path": (
        "ALTER FUNCTION strikedesk.refuse_change() SET search_path = public",
        "function refuse_change runs with other rights or another search path",
    ),
    "partitions made otherwise": (
        "CREATE OR REPLACE FUNCTION strikedesk.make_partition(day date) RETURNS text LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN 'ledger'; END $$",
        "function make_partition does something else",
    ),
    "partitions made by the caller": (
        "ALTER FUNCTION strikedesk.make_partition(date) SECURITY INVOKER",
        "function make_partition runs with other rights",
    ),
    "partitions made by another": (
        f"ALTER FUNCTION strikedesk.make_partition(date) OWNER TO {READER}",
        f"function make_partition belongs to {READER}",
    ),
    "a second function of the name": (
        "CREATE FUNCTION strikedesk.make_partition(day text) RETURNS text LANGUAGE sql AS 'SELECT day'",
        "function make_partition is there 2 times",
    ),
    "a guard with a condition": (
        "CREATE OR REPLACE TRIGGER no_change BEFORE UPDATE OR DELETE ON strikedesk.chain FOR EACH ROW WHEN (false)"
        " EXECUTE FUNCTION strikedesk.refuse_change();"
        "ALTER TABLE strikedesk.chain ENABLE ALWAYS TRIGGER no_change",
        "trigger no_change of chain does not refuse everything it should",
    ),
    "a guard of one column": (
        "CREATE OR REPLACE TRIGGER no_change BEFORE UPDATE OF seq OR DELETE ON strikedesk.chain FOR EACH ROW"
        " EXECUTE FUNCTION strikedesk.refuse_change();"
        "ALTER TABLE strikedesk.chain ENABLE ALWAYS TRIGGER no_change",
        "trigger no_change of chain does not refuse everything it should",
    ),
    "a guard of one act": (
        "CREATE OR REPLACE TRIGGER no_change BEFORE DELETE ON strikedesk.dedupe FOR EACH ROW"
        " EXECUTE FUNCTION strikedesk.refuse_change();"
        "ALTER TABLE strikedesk.dedupe ENABLE ALWAYS TRIGGER no_change",
        "trigger no_change of dedupe does not refuse everything it should",
    ),
    "a trigger that changes facts on their way in": (
        "CREATE FUNCTION public.quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        f"CREATE TRIGGER quiet BEFORE INSERT ON strikedesk.{MONTH} FOR EACH ROW EXECUTE FUNCTION public.quiet()",
        f"trigger quiet of {MONTH} is not one that the engine made",
    ),
    "a rule that diverts": (
        "CREATE RULE away AS ON INSERT TO strikedesk.chain DO INSTEAD NOTHING",
        "rule away on chain can turn a statement into another",
    ),
    "rows that are hidden": (
        f"ALTER TABLE strikedesk.{MONTH} ENABLE ROW LEVEL SECURITY",
        f"table {MONTH} has row security",
    ),
    "a policy": (
        "CREATE POLICY few ON strikedesk.dedupe USING (seq < 5)",
        "table dedupe has row security",
    ),
    "a table that shows its rows in another": (
        "CREATE TABLE public.more () INHERITS (strikedesk.chain)",
        "table more inherits from chain",
    ),
    "a table that a crash empties": ("ALTER TABLE strikedesk.dedupe SET UNLOGGED", "table dedupe is not logged"),
    "links that may be doubled": (
        "ALTER TABLE strikedesk.chain DROP CONSTRAINT chain_prev_hash_key",
        "UNIQUE (prev_hash) of chain is missing",
    ),
    "numbers that may be doubled": (
        "ALTER TABLE strikedesk.chain DROP CONSTRAINT chain_pkey",
        "PRIMARY KEY (seq) of chain is missing",
    ),
    "keys that may be doubled": (
        "ALTER TABLE strikedesk.dedupe DROP CONSTRAINT dedupe_pkey",
        "PRIMARY KEY (key) of dedupe is missing",
    ),
    "an index that is not kept": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'strikedesk.chain_pkey'::regclass",
        "index strikedesk.chain_pkey is not valid",
    ),
    "a column more": (
        "ALTER TABLE strikedesk.ledger ADD COLUMN note text",
        "columns of ledger are not as they were made: note text",
    ),
    "a column that may be empty": (
        "ALTER TABLE strikedesk.ledger ALTER COLUMN hash DROP NOT NULL",
        "columns of ledger are not as they were made",
    ),
    "another owner": (f"ALTER TABLE strikedesk.chain OWNER TO {READER}", f"table chain belongs to {READER}"),
    "a partition of two months": (
        "CREATE TABLE strikedesk.ledger_209901 PARTITION OF strikedesk.ledger"
        " FOR VALUES FROM ('2099-01-01 00:00+00') TO ('2099-03-01 00:00+00')",
        "partition ledger_209901 is not of its month",
    ),
    "a partition with a name of its own": (
        "CREATE TABLE public.elsewhere PARTITION OF strikedesk.ledger"
        " FOR VALUES FROM ('2099-01-01 00:00+00') TO ('2099-02-01 00:00+00')",
        "partition elsewhere is not one that the engine made",
    ),
    "a view in the place of a month": (
        "CREATE VIEW strikedesk.ledger_209907 AS SELECT * FROM strikedesk.ledger",
        "ledger_209907 is no table but a view",
    ),
    "a right to a column": (
        f"GRANT UPDATE (body) ON strikedesk.{MONTH} TO {APP}",
        f"{APP} may update column body of {MONTH}",
    ),
    "a right of everyone": ("GRANT DELETE ON strikedesk.chain TO PUBLIC", "everyone may delete chain"),
    "a right past the parent": (f"GRANT INSERT ON strikedesk.{MONTH} TO {APP}", f"{APP} may insert {MONTH}"),
    "a right to make triggers": (f"GRANT TRIGGER ON strikedesk.ledger TO {APP}", f"{APP} may trigger ledger"),
    "a right to hand on": (
        f"GRANT INSERT ON strikedesk.ledger TO {APP} WITH GRANT OPTION",
        f"{APP} may insert ledger",
    ),
    "rights by default": (
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA strikedesk GRANT DELETE ON TABLES TO {APP}",
        f"{APP} may by default delete tables that",
    ),
    "a right to make things": (f"GRANT CREATE ON SCHEMA strikedesk TO {APP}", f"{APP} may make things in the schema"),
    "a view that can be written through": (
        f"CREATE VIEW public.facts AS SELECT * FROM strikedesk.chain;GRANT DELETE ON public.facts TO {APP}",
        f"{APP} may delete facts through the view facts",
    ),
    "everyone as the owner": (
        "GRANT EXECUTE ON FUNCTION strikedesk.make_partition(date) TO PUBLIC",
        "everyone may run make_partition, which runs as its owner",
    ),
}


@pytest.mark.parametrize("how", LOOSENED)
async def test_a_guard_that_was_loosened_is_named(filled: Database, how: str) -> None:
    statement, says = LOOSENED[how]
    async with await connect(filled.dsn, "tamper") as connection:
        await connection.execute(statement.encode())
    report = await verify(filled)
    assert any(problem.text.startswith(says) for problem in report.problems), report.problems
    assert {problem.fault for problem in report.problems} <= {Fault.GUARD, Fault.RIGHTS, Fault.DOUBLED}


@pytest_asyncio.fixture
async def roles(database_dsn: str) -> AsyncIterator[Database]:
    """A ledger whose engine has a role of its own, that other tests do not share."""
    name = part(database_dsn, "dbname")
    async with await connect(database_dsn, "test") as connection:
        await connection.execute(b"UPDATE strikedesk.meta SET value = 'own_' || value")
    database = await open_database(database_dsn)
    yield database
    await database.close()
    async with await connect(database_dsn, "test") as connection:
        for role in (f"own_{APP}", f"own_{READER}"):
            await connection.execute(f"DROP OWNED BY {role}".encode())
            await connection.execute(f"DROP ROLE {role}".encode())
    assert name


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (f"ALTER ROLE own_{APP} SUPERUSER", f"own_{APP} is a superuser"),
        (f"ALTER ROLE own_{APP} CREATEROLE", f"own_{APP} may make roles"),
        (f"ALTER ROLE own_{APP} REPLICATION", f"own_{APP} may copy the whole server"),
        (f"ALTER ROLE own_{APP} BYPASSRLS", f"own_{APP} passes by row security"),
        (f"GRANT pg_write_all_data TO own_{APP}", f"own_{APP} can become pg_write_all_data"),
        (f"GRANT pg_execute_server_program TO own_{READER}", f"own_{READER} can become pg_execute_server_program"),
        (f"GRANT strikedesk TO own_{APP}", f"own_{APP} owns the ledger"),
    ],
)
async def test_a_role_that_could_do_more_is_named(roles: Database, statement: str, says: str) -> None:
    async with await connect(roles.dsn, "tamper") as connection:
        await connection.execute(statement.encode())
    report = await verify(roles)
    assert any(problem.text.startswith(says) for problem in report.problems), report.problems
    # A role of an earlier time keeps what it was given, and that is said, too.
    assert any(problem.text == f"{APP} may insert ledger" for problem in report.problems) or "superuser" in says


async def test_a_database_that_may_lose_what_it_acknowledged(filled: Database) -> None:
    async with await connect(filled.dsn, "tamper") as connection:
        name = part(filled.dsn, "dbname")
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
    report = await verify(filled)
    assert [problem.text for problem in report.problems] == [
        "synchronous_commit is off: what was acknowledged may be lost when the power fails"
    ]


async def test_rows_outside_of_every_month(filled: Database) -> None:
    """A ledger made anew as a plain table, its partitions as children: the old way to slip rows in."""
    async with await connect(filled.dsn, "tamper") as connection:
        await connection.execute(f"ALTER TABLE strikedesk.ledger DETACH PARTITION strikedesk.{MONTH}".encode())
        await connection.execute("DROP TABLE strikedesk.ledger CASCADE")
        await connection.execute(f"CREATE TABLE strikedesk.ledger (LIKE strikedesk.{MONTH} INCLUDING ALL)".encode())
        await connection.execute(f"INSERT INTO strikedesk.ledger SELECT * FROM strikedesk.{MONTH}".encode())
        await connection.execute(f"GRANT SELECT, INSERT ON strikedesk.ledger TO {APP}".encode())
    texts = [problem.text for problem in (await verify(filled)).problems]
    assert "table ledger holds 2 rows outside of its partitions" in texts
    assert f"table {MONTH} was detached from the ledger" in texts
    assert "trigger no_change of ledger is missing or not ENABLE ALWAYS" in texts


async def test_a_guard_that_does_nothing_lets_the_owner_change_facts_and_verify_says_both(filled: Database) -> None:
    async with await connect(filled.dsn, "tamper") as connection:
        await connection.execute(LOOSENED["a guard that does nothing"][0].encode())
        await connection.execute("DELETE FROM strikedesk.ledger WHERE seq = 2")
    faults = {problem.fault for problem in (await verify(filled)).problems}
    assert faults == {Fault.GUARD, Fault.MISSING}


ATTEMPTS = [
    "UPDATE strikedesk.chain SET prev_hash = hash",
    "INSERT INTO strikedesk.chain (seq, prev_hash, hash) VALUES (1, 'x', 'y') ON CONFLICT (seq) DO UPDATE SET hash = 'z'",
    f"INSERT INTO strikedesk.{MONTH} SELECT * FROM strikedesk.ledger",
    f"DO $$ BEGIN LOCK TABLE strikedesk.{MONTH} IN ACCESS EXCLUSIVE MODE; END $$",
    "ALTER TABLE strikedesk.ledger OWNER TO CURRENT_USER",
    "ALTER TABLE strikedesk.chain DROP CONSTRAINT chain_pkey",
    "ALTER TABLE strikedesk.ledger ADD COLUMN note text",
    "ALTER TABLE strikedesk.ledger RENAME TO former",
    f"ALTER TABLE strikedesk.{MONTH} SET SCHEMA public",
    f"ALTER TABLE strikedesk.{MONTH} ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE strikedesk.chain SET UNLOGGED",
    "CREATE RULE away AS ON INSERT TO strikedesk.chain DO INSTEAD NOTHING",
    "CREATE TRIGGER mine BEFORE INSERT ON strikedesk.chain FOR EACH ROW EXECUTE FUNCTION strikedesk.refuse_change()",
    "CREATE POLICY few ON strikedesk.ledger USING (false)",
    "CREATE VIEW strikedesk.mine AS SELECT 1",
    "CREATE TABLE strikedesk.mine () INHERITS (strikedesk.chain)",
    "CREATE TABLE strikedesk.ledger_203001 PARTITION OF strikedesk.ledger FOR VALUES FROM ('2030-01-01') TO ('2030-02-01')",
    "CREATE INDEX mine ON strikedesk.chain (hash)",
    "DROP FUNCTION strikedesk.make_partition(date)",
    "ALTER FUNCTION strikedesk.make_partition(date) SECURITY INVOKER",
    "GRANT UPDATE ON strikedesk.ledger TO CURRENT_USER",
    "REVOKE SELECT ON strikedesk.ledger FROM CURRENT_USER",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "SET ROLE strikedesk",
    "SET SESSION AUTHORIZATION strikedesk",
    "ALTER SYSTEM SET fsync = off",
    "COPY strikedesk.ledger TO PROGRAM 'true'",
    "COPY strikedesk.chain FROM '/etc/hostname'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_export(lo_from_bytea(0, 'x'), '/tmp/x')",
    "UPDATE pg_trigger SET tgenabled = 'D'",
    "UPDATE pg_proc SET prosrc = 'BEGIN RETURN NEW; END'",
    "DELETE FROM strikedesk.alembic_version",
    "CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION strikedesk.refuse_change()",
    "CREATE EXTENSION adminpack",
]


@pytest.mark.parametrize("role", ["app", "reader"])
async def test_nothing_the_engine_or_a_reader_tries_loosens_a_guard(filled: Database, role: str) -> None:
    before = await verify(filled)
    assert before.ok
    async with await connect(getattr(filled, role), "test") as connection:
        for statement in ATTEMPTS:
            if statement.startswith(("GRANT", "REVOKE")):
                await connection.execute(statement.encode())  # only a warning: nothing was granted or revoked
                continue
            with pytest.raises(psycopg.Error) as caught:
                await connection.execute(statement.encode())
            refused = (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.RestrictViolation,
                psycopg.errors.FeatureNotSupported,
            )
            assert isinstance(caught.value, refused), (statement, caught.value)
    after = await verify(filled)
    assert after.ok
    assert after.head == before.head


async def test_a_ledger_whose_month_diverts_facts_ends_the_engine(database: Database) -> None:
    """Facts that vanish on their way in are noticed by their link at the latest when the ledger is opened again."""
    ledger = PostgresLedger(database)
    await ledger.open()
    await ledger.close()
    async with await connect(database.dsn, "tamper") as connection:
        await connection.execute(LOOSENED["a trigger that changes facts on their way in"][0].encode())
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([heard(1)], [], {"key-1": 1})
    await ledger.close()
    with pytest.raises(LedgerFailed, match="fact 1, the last of the chain, is missing"):
        await PostgresLedger(database).open()
