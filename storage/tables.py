"""The tables as SQLAlchemy sees them: what the newest revision must have made. Read by `alembic check`, in the tests.

The revisions themselves are SQL, for most of what guards a ledger has no word here: triggers, partitions, functions,
roles. A change of a table is a new revision and a change of this page; the check fails while one of both is missing.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from storage.dsn import SCHEMA
from storage.history import SCHEMA as MARKET

metadata = MetaData()

_TIME = DateTime(timezone=True)


def _need(name: str, kind: object, *, primary: bool = False) -> Column[object]:
    return Column(name, kind, nullable=False, primary_key=primary, autoincrement=False)  # type: ignore[arg-type]


def _may(name: str, kind: object) -> Column[object]:
    return Column(name, kind)  # type: ignore[arg-type]


ledger = Table(
    "ledger",
    metadata,
    _need("seq", BigInteger),
    _need("at", _TIME),
    _need("kind", Text),
    _may("cause", BigInteger),
    _may("symbol", Text),
    _need("body", Text),
    _need("hash", LargeBinary),
    _need("prev_hash", LargeBinary),
    Index("ledger_seq", "seq"),
    Index("ledger_kind", "kind", "seq"),
    Index("ledger_cause", "cause", postgresql_where=text("cause IS NOT NULL")),
    Index("ledger_symbol", "symbol", "at", postgresql_where=text("symbol IS NOT NULL")),
    schema=SCHEMA,
)
chain = Table(
    "chain",
    metadata,
    _need("seq", BigInteger, primary=True),
    _need("prev_hash", LargeBinary),
    _need("hash", LargeBinary),
    UniqueConstraint("prev_hash", name="chain_prev_hash_key"),
    schema=SCHEMA,
)
dedupe = Table("dedupe", metadata, _need("key", Text, primary=True), _need("seq", BigInteger), schema=SCHEMA)
Index(
    "dedupe_seq", dedupe.c.seq, postgresql_using="brin", postgresql_with={"pages_per_range": 32, "autosummarize": "on"}
)
projection = Table(
    "projection",
    metadata,
    _need("kind", Text, primary=True),
    _need("key", Text, primary=True),
    _need("seq", BigInteger),
    _need("place", Integer),
    _need("body", Text),
    schema=SCHEMA,
)
meta = Table("meta", metadata, _need("name", Text, primary=True), _need("value", Text), schema=SCHEMA)

search = Table(
    "search",
    metadata,
    _need("seq", BigInteger, primary=True),
    _need("at", _TIME),
    _need("kind", Text),
    _may("symbol", Text),
    _may("decision", Text),
    _may("strategy", Text),
    _may("outcome", Text),
    _may("reason", Text),
    _need("words", TSVECTOR),
    Index("search_at", "at", "seq"),
    Index("search_kind", "kind", "seq"),
    Index("search_symbol", "symbol", "kind", "seq", postgresql_where=text("symbol IS NOT NULL")),
    Index("search_decision", "decision", "symbol", "seq", postgresql_where=text("decision IS NOT NULL")),
    Index("search_strategy", "strategy", "kind", "seq", postgresql_where=text("strategy IS NOT NULL")),
    Index("search_outcome", "outcome", "symbol", "seq", postgresql_where=text("outcome IS NOT NULL")),
    Index("search_reason", "reason", "kind", "seq", postgresql_where=text("reason IS NOT NULL")),
    Index("search_words", "words", postgresql_using="gin"),
    schema=SCHEMA,
)
snapshot = Table(
    "snapshot",
    metadata,
    _need("seq", BigInteger, primary=True),
    _need("at", _TIME),
    _need("body", LargeBinary),
    Index("snapshot_at", "at"),
    schema=SCHEMA,
)

quote = Table(
    "quote",
    metadata,
    _need("at", _TIME),
    _need("known_at", _TIME),
    _need("symbol", Text),
    _need("osi", Text),
    _may("bid", Numeric),
    _may("ask", Numeric),
    _may("bid_size", Integer),
    _may("ask_size", Integer),
    _need("source", Text),
    Index("quote_symbol", "symbol", "osi", "at"),
    schema=MARKET,
)
bar = Table(
    "bar",
    metadata,
    _need("at", _TIME),
    _need("ends", _TIME),
    _need("symbol", Text),
    _need("timeframe", Integer),
    *(_need(name, Double) for name in ("open", "high", "low", "close")),
    _need("volume", BigInteger),
    _need("source", Text),
    Index("bar_symbol", "symbol", "timeframe", "at"),
    schema=MARKET,
)
flow = Table(
    "flow",
    metadata,
    _need("at", _TIME),
    *(_need(name, Text) for name in ("source", "key", "symbol", "body")),
    Index("flow_symbol", "symbol", "at"),
    schema=MARKET,
)
body = Table(
    "body",
    metadata,
    _need("at", _TIME),
    _need("source", Text),
    _need("endpoint", Text),
    _need("status", Integer),
    _need("sha256", LargeBinary),
    _need("size", Integer),
    _need("packed", LargeBinary),
    Index("body_endpoint", "source", "endpoint", "at"),
    schema=MARKET,
)
shape = Table(
    "shape",
    metadata,
    _need("source", Text, primary=True),
    _need("endpoint", Text, primary=True),
    _need("sha256", LargeBinary, primary=True),
    _need("first_at", _TIME),
    _need("last_at", _TIME),
    _need("seen", BigInteger),
    _need("paths", Text),
    schema=MARKET,
)
