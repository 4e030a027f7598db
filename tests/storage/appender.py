"""A process that appends under load until it is killed, and says which facts were acknowledged. Argument: the data folder.

First line: `<head when it started> <adopted>`; then one acknowledged seq a line.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from storage.database import open_database
from storage.embedded import EmbeddedPostgres
from storage.ledger import PostgresLedger
from tests.storage.builders import heard, rejected, row


async def main() -> None:
    server = EmbeddedPostgres(Path(sys.argv[1]))
    ledger = PostgresLedger(await open_database(await server.start()))
    await ledger.open()
    say(f"{ledger.head.seq} {int(server.adopted)}")
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.run())
        for worker in range(8):
            group.create_task(append_for_ever(ledger, worker))


async def append_for_ever(ledger: PostgresLedger, worker: int) -> None:
    while True:
        seq = next_seq(ledger)
        facts = [heard(seq, key=f"key-{seq}"), rejected(seq + 1, f"by {worker}", cause=seq)]
        await ledger.append(facts, [row(str(worker), str(seq + 1))], {f"key-{seq}": seq})
        say(str(seq + 1))


_last = -1


def next_seq(ledger: PostgresLedger) -> int:
    """The first of two numbers that nobody else takes."""
    global _last
    _last = ledger.head.seq if _last < 0 else _last
    _last += 2
    return _last - 1


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # unbuffered: what was said was acknowledged


if __name__ == "__main__":
    asyncio.run(main())
