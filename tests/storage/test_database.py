"""Opening a database: migrated once, roles in place, and honest about what could not be arranged."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import storage.database
from engine.ports import LedgerAway
from storage.database import Database, open_database, revision
from storage.dsn import connect, normal, part, replaced, shown
from storage.errors import DatabaseError
from storage.ledger import PostgresLedger
from storage.migrations import HEAD, KNOWN
from storage.report import Fault
from storage.verify import verify
from tests.fixtures_postgres import TestServer
from tests.storage.builders import rejected


@contextmanager
def empty(postgres: TestServer) -> Iterator[str]:
    dsn = postgres.empty()
    yield dsn
    postgres.drop(dsn)


async def append_one(database: Database) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([rejected(ledger.head.seq + 1)], [], {})
    await ledger.close()


async def user(dsn: str) -> str:
    async with await connect(dsn, "test") as connection:
        row = await (await connection.execute("SELECT current_user")).fetchone()
        assert row is not None
        return str(row[0])


# --- migration ----------------------------------------------------------------------------------------------------------


def test_the_newest_revision_is_the_one_that_is_expected() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(storage.database.__file__).with_name("migrations")))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == KNOWN


async def test_an_empty_database_is_migrated_and_the_engine_works_as_its_own_role(postgres: TestServer) -> None:
    with empty(postgres) as dsn:
        with pytest.raises(DatabaseError, match=f"at revision none, not at {HEAD}: migrate it first"):
            await open_database(dsn, migrate=False)
        opened = await open_database(dsn)
        name = part(dsn, "dbname")
        assert opened.problems == []
        assert (await user(opened.app), await user(opened.reader)) == (f"{name}_app", f"{name}_reader")
        async with await connect(dsn, "test") as connection:
            assert await revision(connection) == HEAD
        await append_one(opened)
        await opened.close()
        again = await open_database(dsn, migrate=False)
        assert again.problems == []
        assert (await verify(again)).ok
        await again.close()


async def test_processes_that_open_a_new_database_together_do_not_hinder_each_other(postgres: TestServer) -> None:
    with empty(postgres) as dsn:
        opened = await asyncio.gather(*(open_database(dsn) for _ in range(4)))
        assert [database.problems for database in opened] == [[], [], [], []]
        for database in opened:
            await database.close()


async def test_a_database_of_a_newer_version_is_left_alone(postgres: TestServer, database_dsn: str) -> None:
    postgres.execute("UPDATE strikedesk.alembic_version SET version_num = '9999'", database_dsn)
    with pytest.raises(DatabaseError, match="revision 9999, made by a newer version"):
        await open_database(database_dsn)


async def test_migrations_run_from_wherever_the_package_lies(
    postgres: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundled app has its files elsewhere, and a path may hold spaces and per cent signs."""
    bundle = tmp_path / "Strike 100% desk.app" / "storage"
    shutil.copytree(Path(storage.database.__file__).with_name("migrations"), bundle / "migrations")
    monkeypatch.setattr(storage.database, "__file__", str(bundle / "database.pyc"))
    with empty(postgres) as dsn:
        opened = await open_database(dsn)
        assert opened.problems == []
        await opened.close()


# --- databases that cannot be used --------------------------------------------------------------------------------------


async def test_facts_need_utf8(postgres: TestServer) -> None:
    with empty(postgres) as dsn:
        name = f"{part(dsn, 'dbname')}_latin"
        postgres.execute(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        with pytest.raises(DatabaseError, match="encoded in LATIN1"):
            await open_database(replaced(dsn, dbname=name))
        postgres.drop(replaced(dsn, dbname=name))


async def test_an_old_server_is_refused(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.database, "OLDEST_SERVER", 99)
    with pytest.raises(DatabaseError, match=r"Postgres 18; 99 or newer"):
        await open_database(database_dsn)


async def test_a_database_that_cannot_be_reached(database_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerAway, match="cannot be reached") as caught:
        await open_database(replaced(database_dsn, host=str(tmp_path)))
    assert part(database_dsn, "password") not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["mysql://x", "postgresql://[half/x", "nonsense", "postgres:/me:secret@h/x", "postgresql://me:secret%@h/x"],
)
async def test_an_address_that_is_none(text: str) -> None:
    with pytest.raises(DatabaseError, match=r"DATABASE_URL: not the address") as caught:
        await open_database(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_an_address_of_the_engines_role_that_is_none(database_dsn: str) -> None:
    with pytest.raises(DatabaseError, match=r"DATABASE_APP_URL: not the address"):
        await open_database(database_dsn, app_dsn="postgres:/me:secret@h/x")


# --- roles --------------------------------------------------------------------------------------------------------------


@contextmanager
def plain_owner(postgres: TestServer, dsn: str) -> Iterator[str]:
    """Someone who may make a schema in this database, and no roles."""
    name = f"plain_{part(dsn, 'dbname')}"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' NOCREATEROLE")
    postgres.execute(f"GRANT CREATE ON DATABASE {part(dsn, 'dbname')} TO {name}")
    yield replaced(dsn, user=name, password="secret")
    postgres.execute(f"DROP OWNED BY {name} CASCADE", dsn)
    postgres.execute(f"DROP ROLE {name}")


async def test_where_roles_cannot_be_made_the_engine_goes_on_and_says_so(postgres: TestServer) -> None:
    with empty(postgres) as dsn, plain_owner(postgres, dsn) as plain:
        opened = await open_database(plain)
        owner = part(plain, "user")
        assert await user(opened.app) == owner
        text = "\n".join(opened.problems)
        assert f"role {part(dsn, 'dbname')}_app is missing and {owner} may not make it" in text
        assert "set DATABASE_APP_URL" in text
        assert f"{owner} owns the ledger" in text
        await append_one(opened)
        report = await verify(opened)
        assert not report.ok
        assert {problem.fault for problem in report.problems} == {Fault.RIGHTS}
        await opened.close()


async def test_a_role_that_was_made_by_hand_is_used(postgres: TestServer) -> None:
    with empty(postgres) as dsn, plain_owner(postgres, dsn) as plain:
        name = f"hand_{part(dsn, 'dbname')}"
        postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'own'")
        opened = await open_database(plain, app_dsn=replaced(dsn, user=name, password="own"))
        assert await user(opened.app) == name
        assert opened.problems == [
            f"role {part(dsn, 'dbname')}_reader is missing and {part(plain, 'user')} may not make it"
        ]
        await append_one(opened)
        await opened.close()
        postgres.execute(f"DROP OWNED BY {name}", dsn)
        postgres.execute(f"DROP ROLE {name}")


async def test_a_role_whose_password_is_of_another_time_gets_a_new_one(postgres: TestServer) -> None:
    with empty(postgres) as dsn:
        await (await open_database(dsn)).close()
        postgres.execute(f"ALTER ROLE {part(dsn, 'dbname')}_app PASSWORD 'of another time'")
        opened = await open_database(dsn)
        assert opened.problems == []
        assert await user(opened.app) == f"{part(dsn, 'dbname')}_app"
        await opened.close()


async def test_a_role_that_lost_its_rights_gets_them_back(postgres: TestServer) -> None:
    with empty(postgres) as dsn:
        await (await open_database(dsn)).close()
        postgres.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA strikedesk FROM {part(dsn, 'dbname')}_app", dsn)
        opened = await open_database(dsn)
        await append_one(opened)
        assert opened.problems == []
        await opened.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER ROLE {app} SUPERUSER", "is a superuser"),
        ("GRANT UPDATE ON strikedesk.ledger TO {app}", "may update ledger"),
        ("GRANT TRUNCATE, DELETE ON strikedesk.chain TO {app}", "may delete chain"),
        ("GRANT strikedesk TO {app}", "owns the ledger"),
    ],
)
async def test_an_engine_that_may_do_too_much_is_reported(postgres: TestServer, statement: str, says: str) -> None:
    with empty(postgres) as dsn:
        await (await open_database(dsn)).close()
        postgres.execute(statement.format(app=f"{part(dsn, 'dbname')}_app"), dsn)
        opened = await open_database(dsn)
        assert any(says in problem for problem in opened.problems), opened.problems
        assert not (await verify(opened)).ok
        await opened.close()


async def test_a_reader_may_read_and_nothing_else(database: Database) -> None:
    await append_one(database)
    async with await connect(database.reader, "test") as connection:
        row = await (await connection.execute("SELECT count(*) FROM strikedesk.ledger")).fetchone()
        assert row == (1,)
        for table in ("ledger", "chain", "dedupe", "projection", "meta"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(f"DELETE FROM strikedesk.{table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT strikedesk.make_partition('2040-01-01')")


# --- addresses ----------------------------------------------------------------------------------------------------------


def test_addresses_are_read_however_they_are_spelled() -> None:
    plain = normal("postgresql://me:se%20cret@db.example:6543/desk")
    assert normal("postgres://me:se%20cret@db.example:6543/desk") == plain
    assert normal("postgresql+psycopg://me:se%20cret@db.example:6543/desk") == plain
    assert (part(plain, "password"), part(plain, "port"), part(plain, "options")) == ("se cret", "6543", "")


def test_an_address_is_shown_without_its_password() -> None:
    text = shown("postgresql://me:sesame@db.example:6543/desk")
    assert text == "desk on db.example:6543 as me"
    assert shown("postgresql:///desk") == "desk on localhost as this user"


async def test_a_ledger_is_copied_before_its_tables_change_and_left_alone_when_that_fails(
    database_dsn: str, postgres: TestServer
) -> None:
    asked: list[str] = []

    async def refuse(dsn: str) -> None:
        asked.append(dsn)
        raise DatabaseError("no room for a backup")

    await (await open_database(database_dsn, before_migration=refuse)).close()
    assert asked == []  # it is at the newest revision
    postgres.execute(f"UPDATE strikedesk.alembic_version SET version_num = '{KNOWN[-2]}'", database_dsn)
    with pytest.raises(DatabaseError, match="no room for a backup"):
        await open_database(database_dsn, before_migration=refuse)
    assert len(asked) == 1
    with psycopg.connect(database_dsn) as connection:
        assert connection.execute("SELECT version_num FROM strikedesk.alembic_version").fetchone() == (KNOWN[-2],)
