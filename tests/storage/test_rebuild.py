"""Folding the ledger again: equal rows are left alone, differing ones are named, and replaced only when asked to."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import pytest_asyncio

from engine.domain.events import AnyFact
from engine.ports import Change
from storage.database import Database
from storage.dsn import connect
from storage.errors import EngineRunning
from storage.ledger import PostgresLedger
from storage.rebuild import rebuild
from storage.verify import verify
from tests.storage.builders import rejected, row


def fold(fact: AnyFact) -> Iterable[Change]:
    """Facts take turns on five rows; every tenth removes row 0, and each names itself in a row that ends in `\\`."""
    yield row(str(fact.seq % 5), str(fact.seq))
    yield row(f"last\\{fact.seq % 2}", f'"{fact.seq}"', kind="position")
    if fact.seq % 10 == 0:
        yield row("0", None)


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    ledger = PostgresLedger(database)
    await ledger.open()
    for seq in range(1, 31):
        fact = rejected(seq)
        ledger.append([fact], list(fold(fact)), {})
    await ledger.close()
    return database


async def rows(database: Database) -> list[tuple[str, str, bytes]]:
    ledger = PostgresLedger(database)
    return list(await ledger.projections(["order", "position"]))


async def spoil(database: Database) -> None:
    async with await connect(database.dsn, "test") as connection:
        await connection.execute("UPDATE strikedesk.projection SET body = '0' WHERE kind = 'order' AND key = '2'")
        await connection.execute("DELETE FROM strikedesk.projection WHERE kind = 'order' AND key = '3'")
        await connection.execute("INSERT INTO strikedesk.projection VALUES ('order', 'x\\\\y', 9, 0, '9')")


async def test_stored_rows_that_equal_the_fold(filled: Database) -> None:
    found = await rebuild(filled, fold)
    assert found.ok
    assert (found.facts, found.rows, found.replaced) == (30, 6, False)


async def test_differences_are_named_and_left_alone(filled: Database) -> None:
    await spoil(filled)
    before = await rows(filled)
    found = await rebuild(filled, fold)
    assert not found.ok
    assert (found.missing, found.unexpected, found.different) == (
        [("order", "3")],
        [("order", "x\\y")],
        [("order", "2")],
    )
    assert await rows(filled) == before


async def test_differences_are_replaced_when_asked_to_in_the_same_order(filled: Database) -> None:
    good = await rows(filled)
    await spoil(filled)
    found = await rebuild(filled, fold, replace=True)
    assert (found.ok, found.replaced) == (False, True)
    assert await rows(filled) == good
    assert (await rebuild(filled, fold, replace=True)).replaced is False
    assert (await verify(filled)).ok


async def test_nothing_is_replaced_under_a_running_engine(filled: Database) -> None:
    ledger = PostgresLedger(filled)
    await ledger.open()
    with pytest.raises(EngineRunning):
        await rebuild(filled, fold, replace=True)
    assert (await rebuild(filled, fold)).ok
    await ledger.close()
