"""Killed without warning, again and again: every acknowledged fact is there afterwards, and the chain is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from storage.database import open_database
from storage.embedded import EmbeddedPostgres
from storage.ledger import PostgresLedger
from storage.verify import verify

ACKNOWLEDGED = (1, 37, 250, 111)
"""Appends each engine acknowledges before it is killed."""
ROOT = Path(__file__).resolve().parent.parent.parent


def run_until_killed(home: Path, acknowledgements: int) -> tuple[int, bool, list[int]]:
    """Kill an appending engine after so many acknowledged appends: its head at the start, whether it adopted the
    server, and all it acknowledged before it died."""
    engine = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.appender", str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert engine.stdout is not None
    with engine, engine.stdout as said:
        head, adopted = said.readline().split()
        heard = [int(said.readline()) for _ in range(acknowledgements)]
        engine.kill()
        # What stood in the pipe was acknowledged, too; a last line may have been cut off.
        heard += [int(line) for line in said if line.endswith("\n")]
    return int(head), adopted == "1", heard


async def test_every_acknowledged_fact_survives_every_kill(postgres_folder: Path) -> None:
    home = postgres_folder / "killed again and again"
    last = 0
    for number, acknowledgements in enumerate(ACKNOWLEDGED):
        head, adopted, heard = run_until_killed(home, acknowledgements)
        assert adopted == (number > 0)
        assert head >= last, "an acknowledged fact is missing"
        last = max(heard)
        assert last > head

    server = EmbeddedPostgres(home)
    database = await open_database(await server.start())
    assert server.adopted
    assert database.problems == []
    ledger = PostgresLedger(database)
    await ledger.open()
    assert ledger.head.seq >= last
    report = await verify(database, ledger.head)
    assert report.ok, report.problems[:3]
    assert report.facts == ledger.head.seq
    # Facts and what they change went in together: each worker's row is of a fact, and the newest is the last fact's.
    changed = [int(body) for _, _, body in await ledger.projections(["order"])]
    assert changed == sorted(changed)
    assert changed[-1] == ledger.head.seq
    assert len(await ledger.keys(0)) == ledger.head.seq // 2
    await ledger.close()
    await database.close()
    await server.stop()
