"""Postgres behind the engine's ports: the ledger, its projections, and the embedded server. Knows no screen."""
