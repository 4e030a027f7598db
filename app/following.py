"""Keeps the search table and the snapshots up to the ledger, beside the journey and after it. Called by the lifecycle."""

from __future__ import annotations

from app.wiring import Engine
from engine.journey.findings import Fold
from storage.follower import Follower


async def follow(engine: Engine, dsn: str) -> None:
    """Serve until cancelled. `dsn`: the database's address as the engine's role. A fact it cannot take ends it."""
    follower = Follower(dsn, Fold(), resting=lambda: not engine.conductor.busy)
    try:
        await follower.run()
    finally:
        await follower.close()
