"""Alembic's entry: runs the revisions on the connection that `storage.database` hands over, in its transaction."""

import re

from alembic import context

from storage.tables import metadata

_PARTITION = re.compile(r"_\d{6,8}$")
SCHEMAS = {table.schema for table in metadata.tables.values()}


def _named(name: str | None, kind: str, parents: object) -> bool:
    """What a check compares: our schemas, and of their tables those that are no partitions."""
    if kind == "schema":
        return name in SCHEMAS
    return not (kind == "table" and name is not None and (_PARTITION.search(name) or name == "alembic_version"))


context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema=context.config.attributes["schema"],
    transaction_per_migration=False,
    target_metadata=metadata,
    include_schemas=True,
    include_name=_named,
    compare_type=True,
    # Comments say what a table is for; they are written once, in its revision.
    autogenerate_plugins=["alembic.autogenerate.*", "~alembic.autogenerate.comments"],
)
with context.begin_transaction():
    context.run_migrations()
