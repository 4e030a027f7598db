"""The ledger: facts by month, the chain and dedupe keys beside them, projections, and the guards of all of it.

There is no way down: a ledger is never taken back.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE strikedesk.ledger (
    seq       bigint      NOT NULL,
    at        timestamptz NOT NULL,
    kind      text        NOT NULL,
    cause     bigint,
    symbol    text,
    body      text        NOT NULL,
    hash      bytea       NOT NULL,
    prev_hash bytea       NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE strikedesk.ledger IS
    'Facts. body is the canonical text; hash = sha256(prev_hash || body as UTF-8). Append-only, one partition a month (UTC).';
CREATE INDEX ledger_seq    ON strikedesk.ledger (seq);
CREATE INDEX ledger_kind   ON strikedesk.ledger (kind, seq);
CREATE INDEX ledger_cause  ON strikedesk.ledger (cause) WHERE cause IS NOT NULL;
CREATE INDEX ledger_symbol ON strikedesk.ledger (symbol, at) WHERE symbol IS NOT NULL;

CREATE TABLE strikedesk.chain (
    seq       bigint PRIMARY KEY,
    prev_hash bytea  NOT NULL UNIQUE,
    hash      bytea  NOT NULL
);
COMMENT ON TABLE strikedesk.chain IS
    'The unique keys a partitioned ledger cannot have: one fact per seq, one successor per fact. Two writers cannot both extend it.';

CREATE TABLE strikedesk.dedupe (
    key text   PRIMARY KEY,
    seq bigint NOT NULL
);
COMMENT ON TABLE strikedesk.dedupe IS 'Which fact first brought a key. A key is never given to another fact.';

CREATE TABLE strikedesk.projection (
    kind  text    NOT NULL,
    key   text    NOT NULL,
    seq   bigint  NOT NULL,
    place integer NOT NULL,
    body  text    NOT NULL,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE strikedesk.projection IS
    'The current state, folded from the facts and committed with them. Last changed by the fact seq, as the place-th of its changes.';

CREATE TABLE strikedesk.meta (
    name  text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE strikedesk.meta IS 'What the database knows about itself: the names of its roles.';
"""

GUARDS = """
CREATE FUNCTION strikedesk.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of %.% refused: facts are never changed or removed', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;
"""

GUARD = """
CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON strikedesk.{table}
    FOR EACH ROW EXECUTE FUNCTION strikedesk.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON strikedesk.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION strikedesk.refuse_change();
ALTER TABLE strikedesk.{table} ENABLE ALWAYS TRIGGER no_change;
ALTER TABLE strikedesk.{table} ENABLE ALWAYS TRIGGER no_truncate;
"""

# Built beside the ledger and attached: unlike CREATE TABLE ... PARTITION OF, that waits for no reader. Row triggers come
# along with ATTACH; statement triggers (TRUNCATE) do not, and ALWAYS is stated again rather than relied upon.
PARTITIONS = """
CREATE FUNCTION strikedesk.make_partition(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first date := make_date(extract(year FROM day)::int, extract(month FROM day)::int, 1);
    later date := (first + interval '1 month')::date;
    name  text := 'ledger_' || to_char(first, 'YYYYMM');
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
    EXECUTE format('CREATE TABLE strikedesk.%I (LIKE strikedesk.ledger INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE strikedesk.ledger ATTACH PARTITION strikedesk.%I FOR VALUES FROM (%L) TO (%L)',
                   name, first || ' 00:00:00+00', later || ' 00:00:00+00');
    EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON strikedesk.%I
                    FOR EACH STATEMENT EXECUTE FUNCTION strikedesk.refuse_change()', name);
    EXECUTE format('ALTER TABLE strikedesk.%I ENABLE ALWAYS TRIGGER no_change', name);
    EXECUTE format('ALTER TABLE strikedesk.%I ENABLE ALWAYS TRIGGER no_truncate', name);
    RETURN name;
END
$$;
COMMENT ON FUNCTION strikedesk.make_partition IS
    'The partition of the month of a day, made if need be. Runs as the owner, so that the engine need not be it.';
REVOKE ALL ON FUNCTION strikedesk.make_partition FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GUARDS)
    for table in ("ledger", "chain", "dedupe"):
        op.execute(GUARD.format(table=table))
    op.execute(PARTITIONS)
