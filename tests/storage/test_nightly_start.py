"""The nightly backup begins as soon as the database says whose backups are there, however late that is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app import nightly
from app.options import Options
from app.wiring import Asked, ask
from engine.clock import SystemClock
from storage.database import Database
from storage.dsn import connect
from tests.storage.proxy import Cut
from tests.storage.test_writing import wired
from tests.storage.waiting import until


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the plan was made of, once it was made; looks follow each other at once."""
    made: list[object] = []
    plan = nightly.next_run

    def noted(*known: object) -> object:
        made.append(known[1])
        return plan(*known)  # type: ignore[arg-type]

    monkeypatch.setattr(nightly, "next_run", noted)
    monkeypatch.setattr(nightly, "_LOOK", 0.01)
    monkeypatch.setattr(nightly, "ANSWER", 0.2, raising=False)
    return made


@asynccontextmanager
async def serving(asked: Asked, database: Database, said: list[str]) -> AsyncIterator[asyncio.Task[None]]:
    work = asyncio.create_task(nightly.nightly(asked, SystemClock(), said.append, database))
    try:
        yield work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_database_that_is_away_at_the_start_delays_it_only(
    database: Database, tmp_path: Path, planned: list[object]
) -> None:
    asked, said = ask(Options(home=tmp_path / "home"), with_secrets=False), list[str]()
    async with wired(database) as wire:
        wire.cut = Cut.ALL
        wire.break_off()
        async with serving(asked, database, said) as work:
            await until(lambda: bool(said) or work.done())
            assert said[0].startswith("the nightly backup cannot be planned yet: the database is away")
            assert not work.done()
            wire.cut = Cut.NEVER
            await until(lambda: bool(planned))
            assert (said[-1], work.done()) == ("", False)


async def test_a_frozen_server_delays_it_only_and_is_told_once(
    database: Database, tmp_path: Path, planned: list[object]
) -> None:
    asked, said = ask(Options(home=tmp_path / "home"), with_secrets=False), list[str]()
    async with await connect(database.dsn, "test") as owner, serving(asked, database, said) as work:
        async with owner.transaction():
            await owner.execute("LOCK TABLE strikedesk.chain IN ACCESS EXCLUSIVE MODE")
            await until(lambda: bool(said), 5)
            await asyncio.sleep(0.5)  # more than one look
            assert len(said) == 1
            assert "given no answer" in said[0]
            assert (planned, work.done()) == ([], False)
        await until(lambda: bool(planned))
        assert said[1:] == [""]


async def test_what_the_plan_is_made_of_says_nothing_while_all_is_well(
    database: Database, tmp_path: Path, planned: list[object]
) -> None:
    asked, said = ask(Options(home=tmp_path / "home"), with_secrets=False), list[str]()
    async with serving(asked, database, said):
        await until(lambda: bool(planned))
    assert (planned, said) == ([None], [])
