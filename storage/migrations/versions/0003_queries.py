"""What finds facts and past states: a search table filled behind the ledger, and snapshots of the fold.

Both are made from the facts and can be made again from them. There is no way down.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE strikedesk.search (
    seq      bigint      NOT NULL,
    at       timestamptz NOT NULL,
    kind     text        NOT NULL,
    symbol   text,
    decision text,
    strategy text,
    outcome  text,
    reason   text,
    words    tsvector    NOT NULL,
    PRIMARY KEY (seq)
) PARTITION BY RANGE (seq);
COMMENT ON TABLE strikedesk.search IS
    'What facts are found by, a row a fact, filled behind the ledger. Partitions of 250,000 facts, so that a page is found among the newest first.';
CREATE INDEX search_at       ON strikedesk.search (at, seq);
CREATE INDEX search_kind     ON strikedesk.search (kind, seq);
CREATE INDEX search_symbol   ON strikedesk.search (symbol, kind, seq) WHERE symbol IS NOT NULL;
CREATE INDEX search_decision ON strikedesk.search (decision, symbol, seq) WHERE decision IS NOT NULL;
CREATE INDEX search_strategy ON strikedesk.search (strategy, kind, seq) WHERE strategy IS NOT NULL;
CREATE INDEX search_outcome  ON strikedesk.search (outcome, symbol, seq) WHERE outcome IS NOT NULL;
CREATE INDEX search_reason   ON strikedesk.search (reason, kind, seq) WHERE reason IS NOT NULL;
CREATE INDEX search_words    ON strikedesk.search USING gin (words);

CREATE TABLE strikedesk.snapshot (
    seq  bigint      PRIMARY KEY,
    at   timestamptz NOT NULL,
    body bytea       NOT NULL
);
COMMENT ON TABLE strikedesk.snapshot IS
    'The fold of all facts up to seq: projection rows as packed JSON. A past state is the snapshot before it and the facts between.';
CREATE INDEX snapshot_at ON strikedesk.snapshot (at);
"""

# A start reads the newest keys only. Keys come in the order of their facts, so that a few bytes a block find them.
KEYS = "CREATE INDEX dedupe_seq ON strikedesk.dedupe USING brin (seq) WITH (pages_per_range = 32, autosummarize = on)"

MAKE_PART = """
CREATE FUNCTION strikedesk.make_search_part(part bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := 'search_' || lpad(part::text, 6, '0');
BEGIN
    IF part < 0 OR part > 999999 THEN
        RAISE EXCEPTION 'no part %', part;
    END IF;
    PERFORM pg_advisory_xact_lock(7236838012057);
    IF to_regclass('strikedesk.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE strikedesk.%I (LIKE strikedesk.search INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE strikedesk.search ATTACH PARTITION strikedesk.%I FOR VALUES FROM (%L) TO (%L)',
                       name, part * 250000, (part + 1) * 250000);
    END IF;
    RETURN name;
END
$$;
COMMENT ON FUNCTION strikedesk.make_search_part IS
    'The partition of facts part * 250,000 and following, made if need be. Runs as the owner.';
REVOKE ALL ON FUNCTION strikedesk.make_search_part FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(KEYS)
    op.execute(MAKE_PART)
