"""Every table of facts, and every partition, with its guards on."""

from __future__ import annotations

from storage import roles
from storage.dsn import Connection
from storage.report import Fault, Report

_TABLES = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhparent IS NOT NULL,
       ARRAY(SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = c.oid AND t.tgenabled = 'A' AND p.proname = 'refuse_change'
               AND p.pronamespace = c.relnamespace)::text[]
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = to_regclass('strikedesk.ledger')
WHERE c.relnamespace = to_regnamespace('strikedesk') AND c.relkind IN ('r', 'p')
  AND (c.relname = ANY (%s) OR c.relname LIKE 'ledger\\_%%' OR i.inhparent IS NOT NULL)
ORDER BY c.relname"""
_GUARDS = ("no_change", "no_truncate")


async def check_guards(connection: Connection, report: Report) -> None:
    """Every table of facts, and every partition, with its triggers on for everyone (ALWAYS)."""
    found = await (await connection.execute(_TABLES, [list(roles.GUARDED)])).fetchall()
    tables = {name for name, *_ in found}
    for name in set(roles.GUARDED) - tables:
        report.add(Fault.GUARD, f"table {name} is missing")
    partitions = 0
    for name, bound, attached, triggers in found:
        for guard in _GUARDS:
            if guard not in triggers:
                report.add(Fault.GUARD, f"trigger {guard} of {name} is missing or not ENABLE ALWAYS")
        if attached:
            partitions += 1
            if bound == "DEFAULT":
                report.add(Fault.GUARD, f"partition {name} takes whatever no month has: facts could hide in it")
        elif name not in roles.GUARDED:
            report.add(Fault.GUARD, f"table {name} was detached from the ledger")
    report.notes.append(f"{partitions} monthly partitions")
