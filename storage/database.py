"""The database behind the ledger: migrated, its roles in place, and opened for the engine. Called by the app's wiring.

`DATABASE_URL` (any Postgres from 15) or the embedded server's address is the owner, who migrates; then the engine works
as a role that can only add facts. What could not be arranged is in `problems`: shown red on the desk and named by
`ledger verify`, never hidden. It never changes or removes a fact, and never migrates down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
from sqlalchemy import Connection as SyncConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from engine.ports import LedgerAway
from storage import roles
from storage.dsn import SCHEMA, Connection, connect, normal, part, shown
from storage.errors import DatabaseError
from storage.grants import grant_beside
from storage.migrations import HEAD, KNOWN

OLDEST_SERVER = 15
_MIGRATION_LOCK = 7236838012053


class Database:
    """One opened database. `dsn` is the owner's address, `app` the engine's, `reader` for those who only read."""

    def __init__(self, dsn: str, access: roles.Access, server: str) -> None:
        self.dsn = dsn
        self.app = access.app
        self.reader = access.reader
        self.problems: list[str] = list(access.problems)
        """What a person should know: each a sentence."""
        self.server = server
        """The server's version, as it says."""
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        """Pooled connections as the engine's role, for queries beside the ledger's own writing."""
        if self._engine is None:
            self._engine = _engine(self.app, "query")
        return self._engine

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    def __str__(self) -> str:
        return shown(self.app)


async def open_database(
    dsn: str,
    *,
    app_dsn: str | None = None,
    migrate: bool = True,
    before_migration: Callable[[str], Awaitable[object]] | None = None,
) -> Database:
    """Check, migrate and open a database. `before_migration` gets the owner's address when tables that are there
    already are about to be changed; if it raises, nothing is changed.

    Raises `LedgerAway` when it cannot be reached, `DatabaseError` when it cannot be used: too old, not UTF-8, made by a
    newer version, or not to be migrated (`migrate` False).
    """
    try:
        dsn = normal(dsn)
    except ValueError as error:
        raise DatabaseError(f"DATABASE_URL: {error}") from None
    try:
        app_dsn = normal(app_dsn) if app_dsn else None
    except ValueError as error:
        raise DatabaseError(f"DATABASE_APP_URL: {error}") from None
    try:
        owner = await connect(dsn, "migration")
    except psycopg.OperationalError as error:
        raise LedgerAway(f"database {shown(dsn)} cannot be reached: {error}") from error
    async with owner:
        await _check_server(owner)
        # One process at a time makes tables and roles; the lock goes with the connection.
        await owner.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
        found = await revision(owner)
        if found != HEAD:
            if found is not None and found not in KNOWN:
                raise DatabaseError(f"database {shown(dsn)} is at revision {found}, made by a newer version than this")
            if not migrate:
                raise DatabaseError(
                    f"database {shown(dsn)} is at revision {found or 'none'}, not at {HEAD}: migrate it first"
                )
            if found is None and (former := await _put_aside(owner)) is not None:
                raise DatabaseError(
                    f"database {shown(dsn)} has no ledger but {former}, which a restore put aside before it was broken off: "
                    f"`db restore` again, or take the former ledger back (ALTER SCHEMA {former} RENAME TO {SCHEMA})"
                )
            if found is not None and before_migration is not None:
                await before_migration(dsn)
            await _upgrade(dsn)
        access = await roles.arrange(owner, dsn, app_dsn)
        await grant_beside(owner, part(access.app, "user"), part(access.reader, "user"))
        await owner.execute(
            "SELECT strikedesk.make_partition((now() AT TIME ZONE 'UTC')::date),"
            " strikedesk.make_partition((now() AT TIME ZONE 'UTC' + interval '1 month')::date)"
        )
        database = Database(dsn, access, owner.info.parameter_status("server_version") or "")
    async with await connect(database.app, "migration") as engine_role:
        database.problems += await roles.excess_rights(engine_role)
    return database


async def revision(connection: Connection) -> str | None:
    """The revision a database is at; None before the first."""
    row = await (await connection.execute(f"SELECT to_regclass('{SCHEMA}.alembic_version')")).fetchone()
    if row is None or row[0] is None:
        return None
    row = await (await connection.execute(f"SELECT version_num FROM {SCHEMA}.alembic_version")).fetchone()
    return None if row is None else str(row[0])


async def _put_aside(connection: Connection) -> str | None:
    """The newest schema that a restore put aside."""
    row = await (
        await connection.execute("SELECT max(nspname) FROM pg_namespace WHERE nspname ~ %s", [f"^{SCHEMA}_before_"])
    ).fetchone()
    return None if row is None else row[0]


async def _upgrade(dsn: str) -> None:
    """Bring a database to the newest revision, in one transaction. The caller holds the migration lock."""
    engine = _engine(dsn, "migration", pooled=False)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run_revisions)
    finally:
        await engine.dispose()


def _run_revisions(connection: SyncConnection) -> None:
    # Alembic only loads when there is something to migrate.
    from alembic import command
    from alembic.config import Config

    # IF NOT EXISTS would ask for the right to create schemas even where ours is there already.
    if connection.exec_driver_sql(f"SELECT to_regnamespace('{SCHEMA}')").scalar() is None:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    config = Config()
    folder = Path(__file__).with_name("migrations")  # by the package's place: the same in a bundled app
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes.update(connection=connection, schema=SCHEMA)
    command.upgrade(config, "head")


async def _check_server(connection: Connection) -> None:
    version = connection.info.server_version // 10000
    if version < OLDEST_SERVER:
        raise DatabaseError(f"the server is Postgres {version}; {OLDEST_SERVER} or newer is needed")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise DatabaseError(f"the database is encoded in {encoding}; facts need UTF8")


def _engine(dsn: str, purpose: str, *, pooled: bool = True) -> AsyncEngine:
    async def creator() -> Connection:
        return await connect(dsn, purpose, autocommit=False)

    if not pooled:
        return create_async_engine("postgresql+psycopg://", async_creator=creator, poolclass=NullPool)
    return create_async_engine(
        "postgresql+psycopg://", async_creator=creator, pool_size=4, max_overflow=4, pool_pre_ping=True
    )
