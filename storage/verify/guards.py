"""What protects the facts: tables, partitions, triggers, functions, keys and columns, each exactly as it was made.

Called by `whole`. It reads the catalogue only. What differs is said with the statement's own words, so that a person can
see what was done; nothing is put right here.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from psycopg import AsyncCursor
from psycopg.rows import namedtuple_row

from storage.dsn import Connection
from storage.report import Fault, Report
from storage.roles import GUARDED

_TABLES = """
SELECT c.oid, c.relname AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       pg_get_expr(c.relpartbound, c.oid) AS bound, c.relrowsecurity OR c.relforcerowsecurity AS secured,
       c.relowner::regrole::text AS owner,
       (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
        WHERE k.conrelid = c.oid AND k.contype = 'c' AND pg_get_constraintdef(k.oid) ~ '\\mat\\M' LIMIT 1) AS range,
       EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhparent = to_regclass('strikedesk.ledger')) AS attached,
       ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i
             WHERE i.inhrelid = c.oid AND i.inhparent IS DISTINCT FROM to_regclass('strikedesk.ledger')) AS parents,
       ARRAY(SELECT i.inhrelid::regclass::text FROM pg_inherits i WHERE i.inhparent = c.oid) AS children,
       ARRAY(SELECT r.rulename FROM pg_rewrite r WHERE r.ev_class = c.oid AND c.relkind <> 'v')::text[] AS rules,
       ARRAY(SELECT p.polname FROM pg_policy p WHERE p.polrelid = c.oid)::text[] AS policies,
       ARRAY(SELECT format('%%s %%s%%s', a.attname, format_type(a.atttypid, a.atttypmod),
                           CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END)
             FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       ARRAY(SELECT x.indexrelid::regclass::text FROM pg_index x
             WHERE x.indrelid = c.oid AND NOT (x.indisvalid AND x.indisready AND x.indislive)) AS broken,
       ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_index x ON x.indexrelid = k.conindid
             WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u') AND x.indisunique AND x.indisvalid) AS keys
FROM pg_class c
WHERE (c.relnamespace = to_regnamespace('strikedesk') AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
       AND (c.relname = ANY (%s) OR c.relname LIKE 'ledger\\_%%'))
   OR EXISTS (SELECT FROM pg_inherits i
              WHERE i.inhrelid = c.oid AND i.inhparent = to_regclass('strikedesk.ledger') AND c.relkind NOT IN ('i', 'I'))
ORDER BY c.relname"""
_TRIGGERS = """
SELECT t.tgrelid AS oid, t.tgname AS name, t.tgenabled::text AS enabled, t.tgtype AS type,
       t.tgqual IS NOT NULL OR t.tgattr::text <> '' OR t.tgnargs > 0 AS narrowed,
       t.tgfoid = to_regproc('strikedesk.refuse_change') AS refuses
FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgrelid = ANY (%s)"""
_FUNCTIONS = """
SELECT p.proname AS name, p.prosrc AS body, l.lanname AS language, p.prosecdef AS definer,
       coalesce(p.proconfig::text, '') AS config, p.proowner::regrole::text AS owner
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = to_regnamespace('strikedesk') AND p.proname = ANY (%s)"""
_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)"
_MONTHS = "SELECT value FROM strikedesk.meta WHERE name = 'months'"
_REST = "SELECT count(*) FROM ONLY strikedesk.ledger"

GUARDS = {"no_change": 1 + 2 + 8 + 16, "no_truncate": 2 + 32}
"""The triggers and their `tgtype`: before update or delete of each row; before truncate."""
_HYPERTABLE_TRIGGER = "ts_insert_blocker"
"""TimescaleDB's own, which sends rows to their chunk."""
COLUMNS = {
    "ledger": (
        "seq bigint NOT NULL", "at timestamp with time zone NOT NULL", "kind text NOT NULL", "cause bigint", "symbol text",
        "body text NOT NULL", "hash bytea NOT NULL", "prev_hash bytea NOT NULL",
    ),
    "chain": ("seq bigint NOT NULL", "prev_hash bytea NOT NULL", "hash bytea NOT NULL"),
    "dedupe": ("key text NOT NULL", "seq bigint NOT NULL"),
}  # fmt: skip
KEYS = {"chain": ("PRIMARY KEY (seq)", "UNIQUE (prev_hash)"), "dedupe": ("PRIMARY KEY (key)",)}
FUNCTIONS = {
    "refuse_change": (False, {"3bbe0897883629ac8e742a361c60d89f535e2117c6dde11a95a0497665faa564"}),
    "make_partition": (
        True,
        {
            "9758be887a93b631f4ab184c62ac751bf18948520bd9eb5487f49f3a3574c660",  # native partitions
            "b089a55b3876fbedbf0133b53191060bb9d8051565c4c968e691c82d69719788",  # chunks of a hypertable
        },
    ),
}
"""Whether they run as their owner, and the SHA-256 of each body there may be, as migrations made them."""
_CONFIG = '{"search_path=pg_catalog, pg_temp"}'
_DURABLE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}
_NO_TABLES = {"v": "view", "m": "materialized view", "f": "foreign table"}
_MONTH = re.compile(r"ledger_([0-9]{4})(0[1-9]|1[0-2])")
_MOMENT = re.compile(r"'([0-9][0-9-]+ [0-9:.]+)\+00'")


async def check_guards(connection: Connection, report: Report) -> None:
    """Look at everything that keeps facts from being changed unseen."""
    cursor: AsyncCursor[Any] = connection.cursor(row_factory=namedtuple_row)
    tables = await (await cursor.execute(_TABLES, [list(GUARDED)])).fetchall()
    triggers = await (await cursor.execute(_TRIGGERS, [[table.oid for table in tables]])).fetchall()
    functions = await (await cursor.execute(_FUNCTIONS, [list(FUNCTIONS)])).fetchall()
    settings = await (await cursor.execute(_SETTINGS, [list(_DURABLE)])).fetchall()
    problems = [
        f"table {name} is missing" for name in GUARDED if name not in {t.name for t in tables if t.kind in "rp"}
    ]
    owner = next((table.owner for table in tables if table.name == "ledger"), "")
    for table in tables:
        problems += _of_table(table, owner)
        if table.kind in "rp":
            problems += _of_triggers(table, [trigger for trigger in triggers if trigger.oid == table.oid])
    problems += _of_functions(functions, owner)
    problems += [
        f"{one.name} is {one.setting}: what was acknowledged may be lost when the power fails"
        for one in settings
        if one.setting not in _DURABLE[one.name]
    ]
    if any(table.name == "ledger" and table.kind in "rp" for table in tables):
        row = await (await cursor.execute(_REST)).fetchone()
        if row is not None and row.count:
            problems.append(f"table ledger holds {row.count} rows outside of its partitions")
    for text in problems:
        report.add(Fault.GUARD, text)
    report.notes.append(f"{sum(table.attached for table in tables)} monthly partitions")
    row = await (await cursor.execute(_MONTHS)).fetchone()
    if row is not None and "TimescaleDB " in row.value and "no TimescaleDB" not in row.value:
        report.notes.append(row.value)


def _of_table(table: Any, owner: str) -> list[str]:
    """A table or partition: its kind, owner, columns, keys, and nothing added to it that could hide or divert facts."""
    name, found = table.name, []
    if table.kind in _NO_TABLES:
        return [f"{name} is no table but a {_NO_TABLES[table.kind]}"]
    if table.owner != owner:
        found.append(f"table {name} belongs to {table.owner}, the ledger to {owner}")
    if table.persistence != "p":
        found.append(f"table {name} is not logged: a crash empties it")
    if table.secured or table.policies:
        found.append(f"table {name} has row security: rows can be hidden")
    found += [f"rule {rule} on {name} can turn a statement into another" for rule in table.rules]
    found += [f"index {index} is not valid" for index in table.broken]
    found += [f"table {name} inherits from {parent}" for parent in table.parents]
    if name != "ledger":
        found += [f"table {child} inherits from {name}: its rows show among the facts" for child in table.children]
    expected = COLUMNS["ledger" if table.attached else name] if table.attached or name in COLUMNS else None
    if expected is not None and tuple(table.columns) != expected:
        differing = sorted(set(table.columns) ^ set(expected)) or ["their order"]
        found.append(f"columns of {name} are not as they were made: {', '.join(differing)}")
    found += [f"{key} of {name} is missing" for key in KEYS.get(name, ()) if key not in table.keys]
    if table.attached:
        found += _of_partition(table)
    elif name not in GUARDED:
        found.append(f"table {name} was detached from the ledger")
    return found


def _of_partition(table: Any) -> list[str]:
    if table.bound == "DEFAULT":
        return [f"partition {table.name} takes whatever no month has: facts could hide in it"]
    month = _MONTH.fullmatch(table.name)
    moments = [
        datetime.fromisoformat(text).replace(tzinfo=UTC) for text in _MOMENT.findall(table.bound or table.range or "")
    ]
    if month is None:
        return [f"partition {table.name} is not one that the engine made"]
    first = datetime(int(month[1]), int(month[2]), 1, tzinfo=UTC)
    later = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    if moments != [first, later]:
        return [f"partition {table.name} is not of its month: {table.bound or table.range}"]
    return []


def _of_triggers(table: Any, triggers: list[Any]) -> list[str]:
    """Both guards, as strict as they were made, and no other trigger."""
    found = []
    by_name = {trigger.name: trigger for trigger in triggers}
    for guard, kind in GUARDS.items():
        trigger = by_name.pop(guard, None)
        if trigger is None or trigger.enabled != "A" or not trigger.refuses:
            found.append(f"trigger {guard} of {table.name} is missing or not ENABLE ALWAYS")
        elif trigger.type != kind or trigger.narrowed:
            found.append(f"trigger {guard} of {table.name} does not refuse everything it should")
    if table.name == "ledger" and table.kind == "r":
        by_name.pop(_HYPERTABLE_TRIGGER, None)
    return found + [f"trigger {name} of {table.name} is not one that the engine made" for name in by_name]


def _of_functions(functions: list[Any], owner: str) -> list[str]:
    found = []
    for name, (definer, bodies) in FUNCTIONS.items():
        here = [function for function in functions if function.name == name]
        if len(here) != 1:
            found.append(f"function {name} is there {len(here)} times" if here else f"function {name} is missing")
            continue
        (function,) = here
        if sha256(function.body.encode()).hexdigest() not in bodies or function.language != "plpgsql":
            found.append(f"function {name} does something else than it was made for")
        if function.definer is not definer or function.config != _CONFIG:
            found.append(f"function {name} runs with other rights or another search path than it was made with")
        if function.owner != owner:
            found.append(f"function {name} belongs to {function.owner}, the ledger to {owner}")
    return found
