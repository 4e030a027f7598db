"""What a bare commit costs on a server: the yardstick for the ledger's own. Called by the benchmarks."""

from __future__ import annotations

import time
from typing import Self

from storage.dsn import Connection, connect


class Bare:
    """Commits of one tiny row on one connection of this same driver, in a table of its own that is gone afterwards.

    `dsn` is the owner's.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await connect(self._dsn, "bench")
        await self._connection.execute("CREATE SCHEMA IF NOT EXISTS strikedesk_bench")
        await self._connection.execute("CREATE TABLE IF NOT EXISTS strikedesk_bench.tiny (n bigint NOT NULL)")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._connection is not None
        await self._connection.execute("DROP SCHEMA strikedesk_bench CASCADE")
        await self._connection.close()

    async def commit(self, number: int) -> float:
        """Seconds of one commit."""
        assert self._connection is not None
        began = time.perf_counter()
        await self._connection.execute("INSERT INTO strikedesk_bench.tiny VALUES (%s)", [number], prepare=True)
        return time.perf_counter() - began


async def bare_commit(dsn: str, n: int) -> list[float]:
    """Seconds of each of `n` commits, one after another."""
    async with Bare(dsn) as bare:
        return [await bare.commit(number) for number in range(n)]
