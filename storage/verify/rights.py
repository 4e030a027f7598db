"""What anybody but the owner may do to the facts: nothing but read them, and the engine's role may add.

Called by `whole`. Two views of the same: what the engine's and the reader's roles can really do, however they came by it,
and what has been granted to anyone at all, down to columns, views, defaults and functions that run as the owner.
"""

from __future__ import annotations

from storage import roles
from storage.database import Database
from storage.dsn import Connection, connect, part
from storage.report import Fault, Report

_GUARDED = """
    SELECT c.oid, c.relname, c.relowner, c.relacl FROM pg_class c
    WHERE c.relnamespace = to_regnamespace('strikedesk') AND c.relkind IN ('r', 'p')
      AND (c.relname = ANY (%(guarded)s) OR c.relname LIKE 'ledger\\_%%')"""
_GRANTED = f"""
WITH guarded AS ({_GUARDED}), owner AS (SELECT relowner AS oid FROM guarded WHERE relname = 'ledger'),
views AS (
    SELECT DISTINCT v.oid, v.relname, v.relowner, v.relacl
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid IN (SELECT oid FROM guarded) AND v.relkind = 'v'
),
granted (grantee, says) AS (
    SELECT a.grantee, format('%%s %%s', lower(a.privilege_type), g.relname)
    FROM guarded g, aclexplode(g.relacl) a
    WHERE a.grantee <> g.relowner AND a.privilege_type <> 'SELECT'
      AND NOT (a.privilege_type = 'INSERT' AND NOT a.is_grantable AND g.relname = ANY (%(guarded)s)
               AND a.grantee = to_regrole(quote_ident(%(app)s)))
    UNION ALL
    SELECT a.grantee, format('%%s column %%s of %%s', lower(a.privilege_type), t.attname, g.relname)
    FROM guarded g JOIN pg_attribute t ON t.attrelid = g.oid, aclexplode(t.attacl) a
    WHERE a.grantee <> g.relowner AND a.privilege_type <> 'SELECT'
    UNION ALL
    SELECT a.grantee, format('%%s facts through the view %%s', lower(a.privilege_type), v.oid::regclass)
    FROM views v, aclexplode(v.relacl) a
    WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRIGGER') AND a.grantee NOT IN (SELECT oid FROM owner)
    UNION ALL
    SELECT a.grantee, 'make things in the schema'
    FROM pg_namespace n, aclexplode(n.nspacl) a
    WHERE n.nspname = 'strikedesk' AND a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
    UNION ALL
    SELECT a.grantee, format('by default %%s tables that %%s makes', lower(a.privilege_type), d.defaclrole::regrole)
    FROM pg_default_acl d, aclexplode(d.defaclacl) a
    WHERE d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, to_regnamespace('strikedesk')) AND a.privilege_type <> 'SELECT'
      AND d.defaclrole IN (SELECT oid FROM owner) AND a.grantee <> d.defaclrole
    UNION ALL
    SELECT 0, format('run %%s, which runs as its owner', p.proname)
    FROM pg_proc p
    WHERE p.pronamespace = to_regnamespace('strikedesk') AND p.prosecdef
      AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0))
)
SELECT format('%%s may %%s', CASE grantee WHEN 0 THEN 'everyone' ELSE grantee::regrole::text END, says) FROM granted
ORDER BY 1"""
_STANDING = """
SELECT format('%%s %%s', r.rolname, s.says)
FROM pg_roles r, LATERAL (VALUES
    (r.rolcreaterole, 'may make roles and give itself theirs'),
    (r.rolreplication, 'may copy the whole server'),
    (r.rolbypassrls, 'passes by row security')
) s (so, says)
WHERE r.rolname = current_user AND NOT r.rolsuper AND s.so
UNION ALL
SELECT format('%%s can become %%s', current_user, o.rolname)
FROM pg_roles o
WHERE o.rolname <> current_user AND pg_has_role(current_user, o.oid, 'MEMBER')
  AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  AND (o.rolsuper OR o.rolcreaterole
       OR o.rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program'))
ORDER BY 1"""


async def check_rights(database: Database, report: Report) -> None:
    """What the roles may do; and what could not be arranged at the start."""
    wrong = list(database.problems)
    async with await connect(database.app, "verify") as connection:
        wrong += await roles.excess_rights(connection)
        wrong += await _all(connection, _STANDING)
        if part(database.app, "user") != part(database.dsn, "user"):
            wrong += await _all(connection, _GRANTED, {"guarded": list(roles.GUARDED), "app": connection.info.user})
    if database.reader != database.app:
        async with await connect(database.reader, "verify") as connection:
            wrong += await roles.excess_rights(connection, reader=True)
            wrong += await _all(connection, _STANDING)
    for text in dict.fromkeys(wrong):
        report.add(Fault.RIGHTS, text)


async def _all(connection: Connection, query: str, values: dict[str, object] | None = None) -> list[str]:
    return [text for (text,) in await (await connection.execute(query.encode(), values or {})).fetchall()]
