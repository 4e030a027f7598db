"""What a bare commit costs on a server: the yardstick for the ledger's own. Called by the benchmark."""

from __future__ import annotations

import time

from storage.dsn import connect


async def bare_commit(dsn: str, n: int) -> list[float]:
    """Seconds of each of `n` commits of one tiny row, one after another, on one connection of this same driver.

    `dsn` is the owner's: it makes a table of its own and removes it.
    """
    async with await connect(dsn, "bench") as connection:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS strikedesk_bench")
        await connection.execute("CREATE TABLE IF NOT EXISTS strikedesk_bench.tiny (n bigint NOT NULL)")
        try:
            took = []
            for number in range(n):
                began = time.perf_counter()
                await connection.execute("INSERT INTO strikedesk_bench.tiny VALUES (%s)", [number], prepare=True)
                took.append(time.perf_counter() - began)
            return took
        finally:
            await connection.execute("DROP SCHEMA strikedesk_bench CASCADE")
