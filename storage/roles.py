"""The database's roles: the owner migrates, the engine may only add facts, the reader may only read.

Called by `database` at start, as the owner, and by `verify`. Where roles cannot be made nothing is forced: what is
missing comes back as a problem for the screen to show, and the engine goes on as the owner.
"""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

import psycopg
from psycopg import sql

from storage.dsn import Connection, connect, part, replaced

GUARDED = ("ledger", "chain", "dedupe")
"""Tables whose rows are never changed."""


class Access(NamedTuple):
    """Addresses for the engine and for readers, and what is wrong with them."""

    app: str
    reader: str
    problems: tuple[str, ...]


async def arrange(owner: Connection, dsn: str, app_dsn: str | None) -> Access:
    """Make the roles and their rights if need be, and try them. `dsn` is the owner's address."""
    problems: list[str] = []
    named = await _named(owner)
    app_role = part(app_dsn, "user") if app_dsn else named.get("app_role") or f"{owner.info.dbname}_app"[:63]
    reader_role = named.get("reader_role") or f"{owner.info.dbname}_reader"[:63]
    app = app_dsn or _address(owner, dsn, app_role)
    reader = _address(owner, dsn, reader_role)
    for role, address in ((app_role, app), (reader_role, reader)):
        if not await _exists(owner, role):
            try:
                await _create(owner, role, part(address, "password"))
            except psycopg.errors.InsufficientPrivilege:
                problems.append(f"role {role} is missing and {owner.info.user} may not make it")
    try:
        await _grant(owner, app_role, reader_role)
        await _name(owner, {"app_role": app_role, "reader_role": reader_role})
    except psycopg.errors.InsufficientPrivilege as error:
        problems.append(f"rights of {app_role} and {reader_role} could not be set: {_first_line(error)}")
    if (refused := await _try(owner, app_role, app)) is not None:
        problems.append(f"the engine cannot log in as {app_role} ({refused}); set DATABASE_APP_URL")
        app = dsn
    if await _try(owner, reader_role, reader) is not None:
        reader = app
    return Access(app, reader, tuple(problems))


async def excess_rights(connection: Connection, *, reader: bool = False) -> list[str]:
    """What the role of this connection could do to the facts and should not be able to. Empty is good."""
    wrong = ["UPDATE", "DELETE", "TRUNCATE"] + (["INSERT"] if reader else [])
    row = await (await connection.execute(_RIGHTS, [list(GUARDED), wrong])).fetchone()
    assert row is not None
    role, superuser, owner, rights = row
    if superuser:
        return [f"{role} is a superuser: it can switch off every guard"]
    found = [f"{role} owns the ledger: it can switch off its guards"] if owner else []
    return found + [f"{role} may {right}" for right in rights or ()]


_RIGHTS = """
WITH guarded AS (
    SELECT c.oid, c.relname, c.relowner FROM pg_class c
    WHERE c.relnamespace = to_regnamespace('strikedesk') AND c.relkind IN ('r', 'p')
      AND (c.relname = ANY (%s) OR c.relispartition)
)
SELECT current_user::text,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       (SELECT coalesce(bool_or(pg_has_role(relowner, 'MEMBER')), false) FROM guarded),
       (SELECT array_agg(lower(p) || ' ' || relname ORDER BY relname, p)
        FROM guarded, unnest(%s::text[]) p
        WHERE has_table_privilege(oid, p) AND NOT pg_has_role(relowner, 'MEMBER'))
"""


def _address(owner: Connection, dsn: str, role: str) -> str:
    """Where a role made by us logs in. Its password follows from the owner's, so that none has to be kept; without one
    (a server that trusts its socket) the role has none either, and can only log in where none is asked."""
    key = owner.info.password
    password = hmac.new(key.encode(), f"strikedesk role {role}".encode(), "sha256").hexdigest() if key else ""
    return replaced(dsn, user=role, password=password)


async def _named(owner: Connection) -> Mapping[str, str]:
    return dict(await (await owner.execute("SELECT name, value FROM strikedesk.meta")).fetchall())


async def _name(owner: Connection, names: Mapping[str, str]) -> None:
    for name, value in names.items():
        await owner.execute(
            "INSERT INTO strikedesk.meta (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE "
            "SET value = excluded.value WHERE meta.value <> excluded.value",
            [name, value],
        )


async def _exists(owner: Connection, role: str) -> bool:
    row = await (await owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])).fetchone()
    return row is not None


def _secret(owner: Connection, role: str, password: str) -> sql.Composable:
    """The password as the server stores it, so that it never stands in a statement or a server's log."""
    if not password:
        return sql.SQL("PASSWORD NULL")
    stored = owner.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    return sql.SQL("PASSWORD {}").format(sql.Literal(stored))


async def _create(owner: Connection, role: str, password: str) -> None:
    statement = "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT {}"
    # That it is there now only means that another process was quicker.
    with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        await owner.execute(sql.SQL(statement).format(sql.Identifier(role), _secret(owner, role, password)))


async def _grant(owner: Connection, app: str, reader: str) -> None:
    there = [role for role in (app, reader) if await _exists(owner, role)]
    if not there or not await _lacking(owner, app, reader):
        return
    names = sql.SQL(", ").join(sql.Identifier(role) for role in there)
    await owner.execute(sql.SQL("GRANT USAGE ON SCHEMA strikedesk TO {}").format(names))
    await owner.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA strikedesk TO {}").format(names))
    if app not in there or app == owner.info.user:
        return
    role = sql.Identifier(app)
    for statement in (
        "GRANT INSERT ON strikedesk.ledger, strikedesk.chain, strikedesk.dedupe TO {}",
        "GRANT INSERT, UPDATE, DELETE ON strikedesk.projection TO {}",
        "GRANT EXECUTE ON FUNCTION strikedesk.make_partition(date) TO {}",
    ):
        await owner.execute(sql.SQL(statement).format(role))


async def _lacking(owner: Connection, app: str, reader: str) -> bool:
    """Whether a right is missing: granting again would write to the catalogue at every start."""
    query = """
        SELECT bool_and(has_schema_privilege(r.oid, 'strikedesk', 'USAGE')
                        AND has_table_privilege(r.oid, 'strikedesk.meta', 'SELECT')
                        AND has_table_privilege(r.oid, 'strikedesk.ledger', 'SELECT'))
           AND bool_and(r.rolname <> %s OR (
                        has_table_privilege(r.oid, 'strikedesk.ledger', 'INSERT')
                        AND has_table_privilege(r.oid, 'strikedesk.chain', 'INSERT')
                        AND has_table_privilege(r.oid, 'strikedesk.dedupe', 'INSERT')
                        AND has_table_privilege(r.oid, 'strikedesk.projection', 'DELETE')
                        AND has_function_privilege(r.oid, 'strikedesk.make_partition(date)', 'EXECUTE')))
        FROM pg_roles r WHERE r.rolname IN (%s, %s)"""
    row = await (await owner.execute(query, [app, app, reader])).fetchone()
    return row is None or row[0] is not True


async def _try(owner: Connection, role: str, address: str) -> str | None:
    """None when the role can log in; else why not. A password of another time (the owner's changed) is set anew."""
    for renew in (True, False):
        try:
            await (await connect(address, "login")).close()
            return None
        except psycopg.OperationalError as error:
            why = _first_line(error)
        if renew and await _exists(owner, role):
            statement = sql.SQL("ALTER ROLE {} {}").format(
                sql.Identifier(role), _secret(owner, role, part(address, "password"))
            )
            try:
                await owner.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                break
    return why


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
