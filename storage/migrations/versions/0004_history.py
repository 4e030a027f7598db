"""Market history beside the facts: quotes, bars, flow and raw bodies by day, and the shapes that payloads had.

Not a part of the ledger: it may be pruned, is not chained and not backed up with it. A schema of its own, so that a
restored ledger leaves it where it is. There is no way down.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE SCHEMA IF NOT EXISTS strikedesk_market;

CREATE TABLE IF NOT EXISTS strikedesk_market.quote (
    at       timestamptz NOT NULL,
    known_at timestamptz NOT NULL,
    symbol   text        NOT NULL,
    osi      text        NOT NULL,
    bid      numeric,
    ask      numeric,
    bid_size integer,
    ask_size integer,
    source   text        NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE strikedesk_market.quote IS
    'Quotes as they became known. osi is empty for the underlying itself; at is when it was sampled, known_at when it last changed.';
CREATE INDEX IF NOT EXISTS quote_symbol ON strikedesk_market.quote (symbol, osi, at);

CREATE TABLE IF NOT EXISTS strikedesk_market.bar (
    at        timestamptz NOT NULL,
    ends      timestamptz NOT NULL,
    symbol    text        NOT NULL,
    timeframe integer     NOT NULL,
    open      double precision NOT NULL,
    high      double precision NOT NULL,
    low       double precision NOT NULL,
    close     double precision NOT NULL,
    volume    bigint      NOT NULL,
    source    text        NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE strikedesk_market.bar IS 'Completed bars. at is the start, ends when it became known; timeframe in minutes.';
CREATE INDEX IF NOT EXISTS bar_symbol ON strikedesk_market.bar (symbol, timeframe, at);

CREATE TABLE IF NOT EXISTS strikedesk_market.flow (
    at     timestamptz NOT NULL,
    source text        NOT NULL,
    key    text        NOT NULL,
    symbol text        NOT NULL,
    body   text        NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE strikedesk_market.flow IS 'Trades, sweeps and alerts of a flow feed, as they came. key is the source''s own id.';
CREATE INDEX IF NOT EXISTS flow_symbol ON strikedesk_market.flow (symbol, at);

CREATE TABLE IF NOT EXISTS strikedesk_market.body (
    at       timestamptz NOT NULL,
    source   text        NOT NULL,
    endpoint text        NOT NULL,
    status   integer     NOT NULL,
    sha256   bytea       NOT NULL,
    size     integer     NOT NULL,
    packed   bytea       NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE strikedesk_market.body IS 'Raw answers of outside services. packed is zlib; sha256 and size are of the plain bytes.';
CREATE INDEX IF NOT EXISTS body_endpoint ON strikedesk_market.body (source, endpoint, at);

CREATE TABLE IF NOT EXISTS strikedesk_market.shape (
    source   text        NOT NULL,
    endpoint text        NOT NULL,
    sha256   bytea       NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    seen     bigint      NOT NULL,
    paths    text        NOT NULL,
    PRIMARY KEY (source, endpoint, sha256)
);
COMMENT ON TABLE strikedesk_market.shape IS
    'Every shape (paths and types, a line each) that an endpoint''s payloads have had: a new row is a drift.';
"""

# Runs as the owner: the engine may add to history, and make the day's partition, and nothing else.
MAKE_DAY = """
CREATE OR REPLACE FUNCTION strikedesk_market.make_day(kind text, day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := kind || '_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF kind NOT IN ('quote', 'bar', 'flow', 'body') THEN
        RAISE EXCEPTION 'no history of %', kind;
    END IF;
    PERFORM pg_advisory_xact_lock(7236838012056);
    IF to_regclass('strikedesk_market.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE strikedesk_market.%I (LIKE strikedesk_market.%I INCLUDING ALL)', name, kind);
        EXECUTE format('ALTER TABLE strikedesk_market.%I ATTACH PARTITION strikedesk_market.%I FOR VALUES FROM (%L) TO (%L)',
                       kind, name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    END IF;
    RETURN name;
END
$$;
REVOKE ALL ON FUNCTION strikedesk_market.make_day FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(MAKE_DAY)
