"""The database's schema, one linear history of Alembic revisions. Run by `storage.database` at start, never by hand."""

from __future__ import annotations

HEAD = "0004"
"""The newest revision: a database that is there already needs no Alembic at start."""
KNOWN = ("0001", "0002", "0003", "0004")
"""Every revision this version can start from, oldest first."""
