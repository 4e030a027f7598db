"""The ledger contract runs against a real server."""

from tests.fixtures_postgres import *  # noqa: F403
