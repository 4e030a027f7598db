"""A process that appends to a ledger with a spool until it is killed. Arguments: the database, the spool's folder, and
how many appends pass directly, with the database away, and again with it there.

Says each acknowledged seq on a line of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from storage.database import open_database
from storage.ledger import PostgresLedger
from storage.spool import Spool
from tests.storage.builders import heard, rejected, row
from tests.storage.proxy import Cut, Wire
from tests.storage.waiting import until


async def main() -> None:
    database = await open_database(sys.argv[1])
    direct, away = int(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        async with Wire(database.app, Path(folder)) as wire:
            database.app = wire.dsn
            ledger = PostgresLedger(database, spool=Spool(Path(sys.argv[2]), segment=20_000), heartbeat=0.05)
            await ledger.open()
            async with asyncio.TaskGroup() as group:
                group.create_task(ledger.run())
                await append(ledger, direct)
                wire.cut = Cut.ALL
                wire.break_off()
                await until(lambda: ledger.spooled is not None)
                await append(ledger, away)
                wire.cut = Cut.NEVER
                await append(ledger, 1 << 40)


async def append(ledger: PostgresLedger, count: int) -> None:
    for _ in range(count):
        seq = ledger.head.seq + 1
        facts = [heard(seq), rejected(seq + 1, "x" * 100, cause=seq)]
        await ledger.append(facts, [row(str(seq % 10), str(seq + 1))], {f"key-{seq}": seq})
        os.write(1, f"{seq + 1}\n".encode())  # unbuffered: what was said was acknowledged


if __name__ == "__main__":
    asyncio.run(main())
