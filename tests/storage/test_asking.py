"""What the running engine answers about its ledger while facts are in the spool only, and while the server is frozen."""

from __future__ import annotations

import asyncio
import errno
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from app import door as doors
from app import searching
from app.door import DeskDoor
from app.searching import Search
from app.wiring import Engine
from engine.domain.findable import EVERYTHING
from engine.intake.doors import Found
from engine.journey.findings import Fold
from engine.ports import LedgerAway
from engine.state import State
from storage.database import Database
from storage.dsn import connect
from storage.ledger import PostgresLedger
from storage.past import fold_until
from storage.reading import session
from tests.storage.builders import at
from tests.storage.test_spool import no_more_files
from tests.storage.test_spooling import append, spooling

LOCK = "LOCK TABLE strikedesk.chain IN SHARE ROW EXCLUSIVE MODE"


def engine(database: Database, ledger: PostgresLedger) -> Engine:
    """As much of one as its ledger's answers need."""
    return cast(Engine, SimpleNamespace(database=database, ledger=ledger, state=State()))


def seqs(found: Found) -> list[int]:
    return [cast("dict[str, Any]", msgspec.json.decode(cast(msgspec.Raw, row)))["seq"] for row in found.rows]


async def test_what_only_the_spool_has_is_found_and_paged(database: Database, tmp_path: Path) -> None:
    async with spooling(database, tmp_path) as ledger, await connect(database.dsn, "test") as owner:
        await append(ledger, 1, 10)
        async with owner.transaction():
            await owner.execute(LOCK)
            await append(ledger, 11, 30)
            search = Search(engine(database, ledger))
            for newest in (False, True):
                told: list[int] = []
                key: int | None = None
                while True:
                    page = await search.find(EVERYTHING, key, 7, newest)
                    told += seqs(page)
                    if page.next is None:
                        break
                    key = page.next
                assert told == sorted(range(1, 31), reverse=newest)
            past = await DeskDoor(engine(database, ledger)).past(at(30) + timedelta(seconds=1))
            assert past["seq"] == 30


async def test_a_server_that_answers_nothing_is_not_waited_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "ANSWER", 0.2)
    monkeypatch.setattr(doors, "ANSWER", 0.2)
    monkeypatch.setattr(doors, "FOLDED", 0.2)
    async with spooling(database, tmp_path) as ledger, await connect(database.dsn, "test") as owner:
        await append(ledger, 1, 3)
        desk = DeskDoor(engine(database, ledger))
        async with owner.transaction():
            await owner.execute("LOCK TABLE strikedesk.ledger IN ACCESS EXCLUSIVE MODE")
            for asked in (desk.find(EVERYTHING, None, 10, False), desk.past(at(3)), desk.story(2)):
                with pytest.raises(LedgerAway, match="given no answer for 0 seconds"):
                    await asked
        assert len((await desk.find(EVERYTHING, None, 10, False)).rows) == 3


async def test_without_file_handles_every_question_says_that_it_cannot_be_answered_now(
    database: Database, tmp_path: Path
) -> None:
    async with spooling(database, tmp_path) as ledger, await connect(database.dsn, "test") as owner:
        await append(ledger, 1, 10)
        desk = DeskDoor(engine(database, ledger))
        async with owner.transaction():
            await owner.execute(LOCK)
            await append(ledger, 11, 30)
            assert len((await desk.find(EVERYTHING, None, 50, False)).rows) == 30
            questions = (desk.find(EVERYTHING, None, 50, False), desk.past(at(30)), desk.story(20))
            with no_more_files():
                answers = [(await asyncio.gather(asked, return_exceptions=True))[0] for asked in questions]
            assert [type(answer) for answer in answers] == [LedgerAway] * 3
            assert [str(answers[n]) for n in (0, 2)] == ["the spool cannot be read now: Too many open files"] * 2
            assert len((await desk.find(EVERYTHING, None, 50, False)).rows) == 30


async def test_want_of_memory_in_the_middle_of_a_read_is_no_error_of_the_program(database: Database) -> None:
    class Short(Fold):
        def load(self, *_: object) -> None:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with pytest.raises(LedgerAway, match="cannot be asked now: Cannot allocate memory"):
        await fold_until(database, Short(), seq=1)
    with pytest.raises(LedgerAway, match="cannot be asked now: Cannot allocate memory"):
        async with session(database.engine):
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
