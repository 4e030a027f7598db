"""What the roles may do beside the ledger: market history, the search table and snapshots. Called at every opening.

These hold nothing that could not be made again, so the engine may fill them; it still cannot change what is there.
"""

from __future__ import annotations

from psycopg import sql

from storage.dsn import SCHEMA, Connection
from storage.history import SCHEMA as MARKET

_READ = (
    f"GRANT USAGE ON SCHEMA {SCHEMA}, {MARKET} TO {{}}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA}, {MARKET} TO {{}}",
)
_WRITE = (
    f"GRANT INSERT ON ALL TABLES IN SCHEMA {MARKET} TO {{}}",
    f"GRANT UPDATE ON {MARKET}.shape TO {{}}",
    f"GRANT EXECUTE ON FUNCTION {MARKET}.make_day(text, date) TO {{}}",
    f"GRANT INSERT ON {SCHEMA}.search, {SCHEMA}.snapshot TO {{}}",
    f"GRANT EXECUTE ON FUNCTION {SCHEMA}.make_search_part(bigint) TO {{}}",
)
_LACKING = f"""
SELECT NOT (has_schema_privilege(r.oid, '{MARKET}', 'USAGE') AND has_table_privilege(r.oid, '{SCHEMA}.search', 'SELECT')
            AND (NOT %s OR (has_table_privilege(r.oid, '{MARKET}.body', 'INSERT')
                            AND has_function_privilege(r.oid, '{SCHEMA}.make_search_part(bigint)', 'EXECUTE'))))
FROM pg_roles r WHERE r.rolname = %s"""


async def grant_beside(owner: Connection, app: str, reader: str) -> None:
    """Give both roles what they lack. A role that is not there, or is the owner, is passed over."""
    for role, writes in ((app, True), (reader, False)):
        row = await (await owner.execute(_LACKING, [writes, role])).fetchone()
        # Granting again would write to the catalogue at every start.
        if row is None or not row[0] or role == owner.info.user:
            continue
        for statement in (*_READ, *(_WRITE if writes else ())):
            await owner.execute(sql.SQL(statement).format(sql.Identifier(role)))
