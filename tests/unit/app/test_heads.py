"""Heads leave the database: every so many facts, at the close, at the stop; and a disk that cannot take them is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from app.heads import HeadKeeper
from engine.clock import SetClock
from engine.sessions import new_york_calendar
from storage.database import Database, open_database
from storage.heads import HeadFile, head_line, origin_of
from storage.ledger import PostgresLedger
from storage.outbox import FileMessenger
from storage.verify import verify
from tests.fixtures_postgres import *  # noqa: F403
from tests.storage.builders import OPEN, rejected
from tests.storage.waiting import until

CLOSE = datetime.fromisoformat("2026-11-20T21:00:00Z")


class Kept:
    """A ledger with a keeper beside it."""

    def __init__(self, ledger: PostgresLedger, database: Database, folder: Path, every: int) -> None:
        self.ledger, self.database = ledger, database
        self.clock = SetClock(OPEN)
        self.file = HeadFile(folder / "kept" / "heads.txt")
        self.outbox = FileMessenger(folder / "outbox.jsonl", self.clock)
        self.problems: list[str] = []
        self.keeper = HeadKeeper(ledger, database, self.file, self.outbox, every=every, report=self.problems.append)

    async def append(self, count: int) -> None:
        after = self.ledger.head.seq
        await self.ledger.append([rejected(seq) for seq in range(after + 1, after + count + 1)], [], {})

    def seqs(self) -> list[int]:
        return [one.head.seq for one in self.file.read()[0]] if self.file.path.exists() else []


@pytest_asyncio.fixture
async def kept(database_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kept]:
    monkeypatch.setattr("app.heads.LOOK", 0.01)
    database = await open_database(database_dsn)
    ledger = PostgresLedger(database)
    await ledger.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.run())
        yield Kept(ledger, database, tmp_path, every=10)
        await ledger.close()
    await database.close()


async def test_a_head_is_kept_at_first_every_so_many_facts_at_the_close_and_at_the_stop(kept: Kept) -> None:
    running = asyncio.ensure_future(kept.keeper.run(kept.clock, new_york_calendar()))
    await asyncio.sleep(0.05)
    assert kept.seqs() == [], "an empty ledger has none"
    await kept.append(2)
    await until(lambda: kept.seqs() == [2])
    await kept.append(9)
    await asyncio.sleep(0.05)
    assert kept.seqs() == [2]
    await kept.append(1)
    await until(lambda: kept.seqs() == [2, 12])
    await kept.append(1)
    kept.clock.set(CLOSE + timedelta(seconds=1))
    await until(lambda: kept.seqs() == [2, 12, 13])
    await until(lambda: len(kept.outbox.messages()) == 3)  # the file comes first
    running.cancel()
    await asyncio.wait([running])
    await kept.append(1)
    assert await kept.keeper.keep()
    assert await kept.keeper.keep(), "nothing is new"
    assert kept.seqs() == [2, 12, 13, 14]
    heads, damaged = kept.file.read()
    assert not damaged
    assert {one.origin for one in heads} == {await origin_of(kept.database)}
    # The trader has the very same lines.
    assert [message.text for message in kept.outbox.messages()] == [head_line(one) for one in heads]
    assert (await verify(kept.database, heads=kept.file.path)).ok
    assert kept.problems == []


async def test_an_empty_ledger_has_nothing_to_keep(kept: Kept) -> None:
    assert await kept.keeper.keep()
    assert kept.seqs() == []


async def test_a_disk_that_cannot_take_a_head_is_said_once_and_tried_again(kept: Kept) -> None:
    await kept.append(12)
    kept.file.path.parent.write_text("a file where the folder should be")
    running = asyncio.ensure_future(kept.keeper.run(kept.clock, new_york_calendar()))
    await until(lambda: len(kept.problems) == 1)
    await asyncio.sleep(0.05)
    assert kept.problems[0].startswith("the head of the ledger could not be kept: ")
    assert len(kept.problems) == 1
    kept.file.path.parent.unlink()
    await until(lambda: kept.seqs() == [12])
    await until(lambda: kept.problems[1:] == [""])
    running.cancel()
    await asyncio.wait([running])


async def test_messages_survive_and_a_torn_one_was_never_told(tmp_path: Path) -> None:
    outbox = FileMessenger(tmp_path / "new" / "outbox.jsonl", SetClock(OPEN))
    assert outbox.messages() == []
    await outbox.tell("one", "first\nline")
    await outbox.tell("two", "second")
    with outbox.path.open("a") as file:
        file.write('{"at":"2026')
    assert [(one.subject, one.text, one.at) for one in outbox.messages()] == [
        ("one", "first\nline", OPEN),
        ("two", "second", OPEN),
    ]
    assert [one.subject for one in outbox.messages(after=1)] == ["two"]
