"""The ledger as a TimescaleDB hypertable, where the server offers the extension. Called by the migration that guards it.

Chosen when a ledger is made, while it is empty: facts are never moved to another table. The hypertable's chunks are the
same calendar months with the same names as native partitions, made ahead through the same function, so that nothing else
need know which of both it is. A server that lists the extension but cannot load it keeps native partitions.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

OFFERED = "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
EMPTY = "SELECT NOT EXISTS (SELECT FROM strikedesk.ledger)"
EXTENSION = "CREATE EXTENSION IF NOT EXISTS timescaledb"
USABLE = """
SELECT coalesce(to_regprocedure('_timescaledb_functions.create_chunk(regclass, jsonb, name, name, regclass)'),
                to_regprocedure('_timescaledb_internal.create_chunk(regclass, jsonb, name, name, regclass)')) IS NOT NULL
       AND to_regproc('create_hypertable') IS NOT NULL"""

HYPERTABLE = """
CREATE TABLE strikedesk.hyper (LIKE strikedesk.ledger INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS);
DROP TABLE strikedesk.ledger;
ALTER TABLE strikedesk.hyper RENAME TO ledger;
COMMENT ON TABLE strikedesk.ledger IS
    'Facts. body is the canonical text; hash = sha256(prev_hash || body as UTF-8). Append-only, a hypertable of monthly chunks (UTC).';
CREATE INDEX ledger_seq    ON strikedesk.ledger (seq);
CREATE INDEX ledger_kind   ON strikedesk.ledger (kind, seq);
CREATE INDEX ledger_cause  ON strikedesk.ledger (cause) WHERE cause IS NOT NULL;
CREATE INDEX ledger_symbol ON strikedesk.ledger (symbol, at) WHERE symbol IS NOT NULL;
SELECT create_hypertable('strikedesk.ledger', 'at', chunk_time_interval => interval '31 days',
                         create_default_indexes => false);
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON strikedesk.ledger
    FOR EACH ROW EXECUTE FUNCTION strikedesk.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON strikedesk.ledger
    FOR EACH STATEMENT EXECUTE FUNCTION strikedesk.refuse_change();
ALTER TABLE strikedesk.ledger ENABLE ALWAYS TRIGGER no_change;
ALTER TABLE strikedesk.ledger ENABLE ALWAYS TRIGGER no_truncate;
"""

# Calendar months, unlike the interval of the hypertable, which only counts for a chunk nobody made ahead. A chunk takes
# its row triggers from the hypertable but neither ALWAYS nor the guard against TRUNCATE.
MAKE_CHUNK = """
CREATE OR REPLACE FUNCTION strikedesk.make_partition(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first date := make_date(extract(year FROM day)::int, extract(month FROM day)::int, 1);
    later date := (first + interval '1 month')::date;
    name  text := 'ledger_' || to_char(first, 'YYYYMM');
    maker text := CASE WHEN to_regnamespace('_timescaledb_functions') IS NULL THEN '_timescaledb_internal'
                       ELSE '_timescaledb_functions' END;
    there regclass;
BEGIN
    PERFORM pg_advisory_xact_lock(7236838012054);
    there := to_regclass('strikedesk.' || name);
    IF there IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = there AND inhparent = 'strikedesk.ledger'::regclass) THEN
            RAISE EXCEPTION 'strikedesk.% is there but was detached from the ledger', name;
        END IF;
        RETURN name;
    END IF;
    EXECUTE format('SELECT %I.create_chunk(%L::regclass, %L::jsonb, %L::name, %L::name, NULL::regclass)', maker,
                   'strikedesk.ledger',
                   json_build_object('at', json_build_array(
                       (extract(epoch FROM first::timestamp) * 1000000)::bigint,
                       (extract(epoch FROM later::timestamp) * 1000000)::bigint)),
                   'strikedesk', name);
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = ('strikedesk.' || name)::regclass AND tgname = 'no_change') THEN
        EXECUTE format('CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON strikedesk.%I
                        FOR EACH ROW EXECUTE FUNCTION strikedesk.refuse_change()', name);
    END IF;
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON strikedesk.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION strikedesk.refuse_change()', name);
    EXECUTE format('ALTER TABLE strikedesk.%I ENABLE ALWAYS TRIGGER no_change', name);
    EXECUTE format('ALTER TABLE strikedesk.%I ENABLE ALWAYS TRIGGER no_truncate', name);
    RETURN name;
END
$$;
"""


def choose_hypertable(connection: Connection) -> str:
    """Make the empty ledger a hypertable where the extension can be had. Empty when it is one now, else why it is not."""
    if connection.execute(text(OFFERED)).scalar() is None:
        return "the server has no TimescaleDB"
    if not connection.execute(text(EMPTY)).scalar():
        return "the ledger had facts before"
    try:
        with connection.begin_nested():
            connection.execute(text(EXTENSION))
    except DBAPIError as error:
        # Listed and not loaded (shared_preload_libraries), or not ours to make: Postgres's own months do as well.
        return f"TimescaleDB cannot be loaded: {_first_line(error)}"
    if not connection.execute(text(USABLE)).scalar():
        return "this TimescaleDB cannot make chunks ahead"
    try:
        with connection.begin_nested():
            connection.execute(text(HYPERTABLE))
            connection.execute(text(MAKE_CHUNK))
    except DBAPIError as error:
        return f"TimescaleDB refuses: {_first_line(error)}"
    return ""


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
