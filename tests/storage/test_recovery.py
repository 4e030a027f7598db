"""Recovery from a real database: rows that were left behind are folded again, rows of facts that are gone end the start."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.domain import events as ev
from engine.journey.recovery import RecoveryError, recover
from engine.ports import Ledger
from engine.state import State
from storage.database import Database
from storage.dsn import connect
from storage.ledger import PostgresLedger
from storage.memory import MemoryLedger
from tests.builders_journey import Desk
from tests.builders_trading import NOON
from tests.storage.test_writing import as_owner, running
from tests.unit.journey.test_recovery import the_same

LATER = NOON + timedelta(days=30)


async def traded(desk: Desk) -> None:
    """A bought position and a few receipts."""
    desk.bought()
    desk.wait(5)
    desk.post({"ticker": "SPY", "action": "close"})


async def copied(desk: Desk, ledger: PostgresLedger, after: int, save: Database | None = None, at: int = 0) -> None:
    """The facts a desk made in memory after a fact, with what they change, into a real ledger. With `save`, the
    projections are put aside as they were at fact `at`."""
    folded = State()
    async for fact in desk.ledger.facts():
        folded.apply(fact)
        changes = folded.drain()
        if fact.seq > after:
            key = {fact.receipt.key: fact.seq} if isinstance(fact, ev.SignalReceived) else {}
            await ledger.append([fact], changes, key)
            if save is not None and fact.seq == at:
                await as_owner(save, "CREATE TABLE public.aside AS TABLE strikedesk.projection")


async def put_back(database: Database) -> None:
    await as_owner(
        database, "DELETE FROM strikedesk.projection", "INSERT INTO strikedesk.projection TABLE public.aside"
    )


async def test_the_state_of_a_start_is_the_state_of_the_run_before(database: Database) -> None:
    desk = Desk()
    await traded(desk)
    async with running(database) as ledger:
        await copied(desk, ledger, 0)
        state, known = await recover(ledger, LATER)
        assert the_same(state, desk.state)
        assert (state.changed, known.since) == (0, None)
        assert known.keys == {key: seq for key, seq in desk.journey.known.keys.items() if key.startswith("signal")}


@pytest.mark.parametrize("missing", [1, 4, 15])
async def test_rows_left_behind_are_folded_again_and_written_with_the_next_facts(
    database: Database, missing: int
) -> None:
    desk = Desk()
    await traded(desk)
    last = desk.state.last_seq
    async with running(database) as ledger:
        await copied(desk, ledger, 0, database, last - missing)
        await put_back(database)
        state, _ = await recover(ledger, LATER)
        assert the_same(state, desk.state)
        assert state.changed
        fact = ev.EngineStopped(seq=last + 1, at=desk.state.last_at or NOON, reason="test")
        state.apply(fact)
        await ledger.append([fact], state.drain(), {})
        again, _ = await recover(ledger, LATER)
        assert the_same(again, state)
        assert again.changed == 0


async def test_without_any_rows_everything_is_folded_again(database: Database) -> None:
    desk = Desk()
    await traded(desk)
    async with running(database) as ledger:
        await copied(desk, ledger, 0)
        await as_owner(database, "DELETE FROM strikedesk.projection")
        state, _ = await recover(ledger, LATER)
        assert the_same(state, desk.state)


async def test_rows_of_facts_that_are_not_there_end_the_start(database: Database) -> None:
    desk = Desk()
    await traded(desk)
    async with running(database) as ledger:
        await copied(desk, ledger, 0)
        await as_owner(database, "UPDATE strikedesk.projection SET seq = 1000 WHERE kind = 'account'")
        with pytest.raises(RecoveryError, match=r"row is of fact 1000, but the ledger ends with fact \d+"):
            await recover(ledger, LATER)


async def test_facts_that_cannot_be_read_end_the_start(database: Database) -> None:
    desk = Desk()
    await traded(desk)
    async with running(database) as ledger:
        await copied(desk, ledger, 0)
        await as_owner(
            database, "DELETE FROM strikedesk.projection", "ALTER TABLE strikedesk.ledger DISABLE TRIGGER ALL",
            "UPDATE strikedesk.ledger SET seq = seq + 100000 WHERE seq > 7",
        )  # fmt: skip
        with pytest.raises(RecoveryError, match="fact 8 cannot be read"):
            await recover(ledger, LATER)


async def test_of_a_long_ledger_only_the_newest_keys_are_remembered(database: Database) -> None:
    desk = Desk()
    await traded(desk)
    async with running(database) as real:
        await copied(desk, real, 0)
        for ledger in (real, desk.ledger):
            await remembers(ledger, desk)


async def remembers(ledger: Ledger | MemoryLedger, desk: Desk) -> None:
    heard = [fact async for fact in desk.ledger.facts() if isinstance(fact, ev.SignalReceived)]
    _, all_of_it = await recover(ledger, LATER)
    assert {fact.receipt.key for fact in heard} <= all_of_it.keys.keys()
    window = ledger.head.seq - heard[0].seq
    _, known = await recover(ledger, LATER, window=window)
    assert heard[0].receipt.key not in known.keys
    assert heard[1].receipt.key in known.keys
    assert known.since == heard[1].receipt.wall
    _, none = await recover(ledger, LATER, window=1)
    assert (none.keys, none.since) == ({}, LATER)


async def test_a_start_reads_little_of_a_long_ledger(database: Database) -> None:
    """No plan of a start walks through all facts or all keys."""
    async with await connect(database.app, "test") as connection:
        await connection.execute("SET enable_seqscan = off")
        plan = await (
            await connection.execute("EXPLAIN SELECT key, seq FROM strikedesk.dedupe WHERE seq > 1000000")
        ).fetchall()
    assert any("Index" in line or "Bitmap" in line for (line,) in plan), plan
