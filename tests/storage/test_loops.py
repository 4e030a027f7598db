"""The same ledger under every loop it will run in: plain asyncio, uvloop, and Qt's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import qasync
import uvloop

from storage.database import open_database
from storage.embedded import EmbeddedPostgres
from storage.ledger import PostgresLedger
from storage.verify import verify
from tests.storage.builders import rejected, row

LOOPS: dict[str, Callable[[Any], asyncio.AbstractEventLoop]] = {
    "asyncio": lambda _: asyncio.new_event_loop(),
    "uvloop": lambda _: uvloop.new_event_loop(),
    "Qt": lambda app: qasync.QEventLoop(app),
}


async def day(folder: Path) -> None:
    """From the first start to the last stop: server, migration, facts, reads, verify."""
    server = EmbeddedPostgres(folder)
    database = await open_database(await server.start())
    ledger = PostgresLedger(database, heartbeat=0.01)
    await ledger.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        group.create_task(ledger.run())
        for seq in range(1, 6):
            await ledger.append([rejected(seq, cause=seq - 1 or None)], [row("a", str(seq))], {})
        await asyncio.gather(*(ledger.append([rejected(seq)], [], {}) for seq in range(6, 300)))
        await asyncio.sleep(0.05)
        assert ledger.available
        assert [fact.seq async for fact in ledger.facts(290)] == list(range(291, 300))
        assert len(await ledger.story(3)) == 5
        assert (await verify(database)).ok
        await ledger.close()
        await database.close()
        await server.stop()


@pytest.mark.parametrize("name", LOOPS)
def test_a_day_of_the_ledger(name: str, postgres_folder: Path, qapp: object) -> None:
    with asyncio.Runner(loop_factory=lambda: LOOPS[name](qapp)) as runner:
        runner.run(day(postgres_folder / f"under {name}"))
