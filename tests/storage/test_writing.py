"""Writing when things go wrong: lost answers, lost databases, other writers, and ends of every kind."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from engine.domain.events import AnyFact
from engine.ports import LedgerAway
from storage.database import Database, open_database
from storage.dsn import connect
from storage.embedded import EmbeddedPostgres
from storage.errors import ChainForked, EngineRunning, LedgerFailed
from storage.ledger import PostgresLedger
from storage.postmaster import read_pid_file
from storage.rows import row_of
from storage.verify import verify
from tests.storage.builders import at, heard, rejected, row, several
from tests.storage.proxy import Cut, Wire
from tests.storage.waiting import until


@asynccontextmanager
async def running(database: Database, heartbeat: float = 2.0) -> AsyncIterator[PostgresLedger]:
    """An open ledger with its writer at work, closed at the end."""
    ledger = PostgresLedger(database, heartbeat=heartbeat)
    await ledger.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.run())
        yield ledger
        await ledger.close()


@asynccontextmanager
async def wired(database: Database) -> AsyncIterator[Wire]:
    """A database whose engine connects through a wire that can be cut."""
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        direct = database.app
        async with Wire(direct, Path(folder)) as wire:
            database.app = wire.dsn
            yield wire
            database.app = direct


async def stored(database: Database) -> list[int]:
    async with await connect(database.dsn, "test") as connection:
        rows = await (await connection.execute("SELECT seq FROM strikedesk.ledger ORDER BY seq")).fetchall()
        return [seq for (seq,) in rows]


async def as_owner(database: Database, *statements: str) -> None:
    async with await connect(database.dsn, "test") as connection:
        for statement in statements:
            await connection.execute(statement.encode())


# --- the database goes and comes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [Cut.REQUEST, Cut.ANSWER])
@pytest.mark.parametrize("count", [1, 40])
async def test_a_commit_whose_answer_was_lost_is_made_once(database: Database, cut: Cut, count: int) -> None:
    async with wired(database) as wire, running(database) as ledger:
        wire.cut = cut
        futures = [
            ledger.append([heard(seq, key=f"k{seq}"), rejected(seq + 1)], [row(str(seq))], {f"k{seq}": seq})
            for seq in range(1, 2 * count, 2)
        ]
        await asyncio.gather(*futures)
        assert wire.cuts == 1
        await ledger.append([rejected(2 * count + 1)], [], {})
        assert await stored(database) == list(range(1, 2 * count + 2))
        assert len(await ledger.keys(0)) == count
    assert (await verify(database)).ok


async def test_facts_wait_while_the_database_is_away_and_are_written_in_order(database: Database) -> None:
    async with wired(database) as wire, running(database, heartbeat=0.05) as ledger:
        await ledger.append([rejected(1)], [], {})
        wire.cut = Cut.ALL
        wire.break_off()
        await until(lambda: not ledger.available)
        waiting = [ledger.append([rejected(seq)], [row("a", str(seq))], {}) for seq in range(2, 30)]
        with pytest.raises(LedgerAway):
            await ledger.keys(0)
        assert ledger.head.seq == 1
        assert ledger.waiting == 28
        assert not any(future.done() for future in waiting)
        wire.cut = Cut.NEVER
        await asyncio.gather(*waiting)
        assert ledger.available
        assert await ledger.projections(["order"]) == [("order", "a", b"29")]
    assert await stored(database) == list(range(1, 30))
    assert (await verify(database)).ok


async def test_a_quiet_ledger_notices_that_the_database_went_and_came(database: Database) -> None:
    async with wired(database) as wire, running(database, heartbeat=0.02) as ledger:
        assert ledger.available
        wire.cut = Cut.ALL
        wire.break_off()
        await until(lambda: not ledger.available)
        wire.cut = Cut.NEVER
        await until(lambda: ledger.available)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_nothing_is_lost_or_doubled_when_the_server_restarts_under_load(
    postgres_folder: Path, how: signal.Signals
) -> None:
    server = EmbeddedPostgres(postgres_folder / f"restarted by {how.name}")
    database = await open_database(await server.start())
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        async with running(database) as ledger:
            futures = []
            for seq in range(1, 1001):
                fact, change = heard(seq, key=f"k{seq}"), row(str(seq % 5), str(seq))
                futures.append(ledger.append([fact], [change], {f"k{seq}": seq}))
                if seq % 25 == 0:
                    await asyncio.sleep(0)
                if seq == 500:
                    await futures[99]
                    file = read_pid_file(server.cluster)
                    assert file is not None
                    os.kill(file.pid, how)
            await asyncio.gather(*futures)
            assert [int(body) for _, _, body in await ledger.projections(["order"])] == [996, 997, 998, 999, 1000]
            assert len(await ledger.keys(0)) == 1000
        report = await verify(database)
        assert report.ok, report.problems
        assert report.facts == 1000
        await database.close()
        await server.stop()


async def test_closing_without_the_database_says_what_is_left(database: Database) -> None:
    async with wired(database) as wire:
        ledger = PostgresLedger(database)
        await ledger.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(ledger.run())
            wire.cut = Cut.ALL
            wire.break_off()
            future = ledger.append([rejected(1), rejected(2)], [], {})
            with pytest.raises(LedgerAway, match="2 facts could not be written"):
                await ledger.close(patience=0.1)
        with pytest.raises(LedgerAway):
            await future
        assert not ledger.available
    assert await stored(database) == []


async def test_a_ledger_cannot_be_opened_without_its_database(database: Database) -> None:
    async with wired(database) as wire:
        wire.cut = Cut.ALL
        with pytest.raises(LedgerAway):
            await PostgresLedger(database).open()


# --- ends ---------------------------------------------------------------------------------------------------------------


async def test_closing_writes_what_is_queued_even_if_nobody_ran_the_writer(database: Database) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    future = ledger.append(several(1, 3), [], {})
    await ledger.close()
    assert future.done()
    assert await stored(database) == [1, 2, 3]
    with pytest.raises(LedgerFailed, match="closed"):
        ledger.append([rejected(4)], [], {})


async def test_a_writer_that_is_cancelled_in_the_middle_of_a_commit_leaves_nothing_in_doubt(database: Database) -> None:
    async with wired(database) as wire:
        ledger = PostgresLedger(database)
        await ledger.open()
        task = asyncio.ensure_future(ledger.run())
        wire.cut = Cut.ANSWER
        futures = [ledger.append([fact], [], {}) for fact in several(1, 5)]
        await until(lambda: wire.cuts == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ledger.close()
        assert all(future.done() for future in futures)
    assert await stored(database) == [1, 2, 3, 4, 5]


async def test_someone_who_stops_waiting_does_not_stop_the_commit(database: Database) -> None:
    async with running(database) as ledger:
        impatient = ledger.append([rejected(1)], [], {})
        impatient.cancel()
        await ledger.append([rejected(2)], [], {})
    assert await stored(database) == [1, 2]


async def test_a_reopened_ledger_goes_on_where_it_ended(database: Database) -> None:
    async with running(database) as ledger:
        await ledger.append(several(1, 3), [], {})
        head = ledger.head
    async with running(database) as ledger:
        assert ledger.head == head
        with pytest.raises(ValueError, match="does not follow fact 3"):
            ledger.append([rejected(1)], [], {})
        await ledger.append([rejected(4)], [], {})
    assert (await verify(database)).ok


# --- another writer -----------------------------------------------------------------------------------------------------


async def test_a_second_engine_is_refused_and_told_who_is_there(database: Database) -> None:
    async with running(database) as ledger:
        with pytest.raises(
            EngineRunning, match=r"Strikedesk is already running on this database .*strikedesk engine \d+@"
        ):
            await PostgresLedger(database).open()
        await ledger.append([rejected(1)], [], {})
    async with running(database) as ledger:
        assert ledger.head.seq == 1


async def test_a_killed_engines_connection_that_is_still_there_is_waited_for(database: Database) -> None:
    first = PostgresLedger(database)
    await first.open()
    second = PostgresLedger(database)
    opening = asyncio.ensure_future(second.open())
    await asyncio.sleep(0.1)
    assert not opening.done()
    await first.close()
    await opening
    await second.close()


async def insert_as_owner(database: Database, fact: AnyFact, previous: bytes) -> None:
    """What a second writer would do: a well-formed fact behind the engine's back."""
    made = row_of(fact, previous)
    async with await connect(database.dsn, "test") as connection:
        await connection.execute(
            "INSERT INTO strikedesk.ledger (seq, at, kind, cause, symbol, body, hash, prev_hash)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            made,
        )
        await connection.execute(
            "INSERT INTO strikedesk.chain (seq, prev_hash, hash) VALUES (%s, %s, %s)",
            [made.seq, made.prev_hash, made.hash],
        )


async def test_a_second_writer_ends_the_engine_loudly(database: Database) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    task = asyncio.ensure_future(ledger.run())
    await ledger.append([rejected(1)], [], {})
    await insert_as_owner(database, rejected(2, "not ours"), ledger.head.hash)
    futures = [ledger.append([rejected(2)], [], {}), ledger.append([rejected(3)], [], {})]
    with pytest.raises(ChainForked, match="did not write after fact 1"):
        await task
    for future in futures:
        with pytest.raises(ChainForked):
            await future
    assert not ledger.available
    with pytest.raises(ChainForked):
        ledger.append([rejected(4)], [], {})
    await ledger.close()
    assert await stored(database) == [1, 2]


async def test_a_place_in_the_chain_that_is_taken_ends_the_engine(database: Database) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    task = asyncio.ensure_future(ledger.run())
    await ledger.append([rejected(1)], [], {})
    async with await connect(database.dsn, "test") as connection:
        await connection.execute(
            "INSERT INTO strikedesk.chain (seq, prev_hash, hash) VALUES (-1, %s, %s)", [ledger.head.hash, bytes(32)]
        )
    ledger.append([rejected(2)], [], {}).add_done_callback(lambda future: future.exception())
    with pytest.raises(ChainForked, match="what follows fact 1 is taken"):
        await task
    await ledger.close()


async def test_an_engine_that_lost_its_lock_to_another_does_not_come_back(database: Database) -> None:
    async with wired(database) as wire:
        ledger = PostgresLedger(database, heartbeat=0.02)
        await ledger.open()
        task = asyncio.ensure_future(ledger.run())
        direct, wire.cut = database.app, Cut.ALL
        wire.break_off()
        await until(lambda: not ledger.available)
        database.app = database.dsn  # straight to the server
        other = PostgresLedger(database)
        await other.open()
        database.app, wire.cut = direct, Cut.NEVER
        with pytest.raises(
            LedgerFailed, match=r"Strikedesk is already running on this database .*strikedesk engine \d+@"
        ):
            await task
        await ledger.close()
        await other.close()


async def test_a_database_that_came_back_older_ends_the_engine(database: Database) -> None:
    async with wired(database) as wire:
        ledger = PostgresLedger(database, heartbeat=0.02)
        await ledger.open()
        task = asyncio.ensure_future(ledger.run())
        await ledger.append(several(1, 3), [], {})
        wire.cut = Cut.ALL
        wire.break_off()
        await until(lambda: not ledger.available)
        await as_owner(
            database,
            "ALTER TABLE strikedesk.ledger DISABLE TRIGGER ALL",
            "ALTER TABLE strikedesk.chain DISABLE TRIGGER ALL",
            "DELETE FROM strikedesk.ledger WHERE seq = 3",
            "DELETE FROM strikedesk.chain WHERE seq = 3",
        )
        wire.cut = Cut.NEVER
        with pytest.raises(ChainForked, match="ends with fact 2"):
            await task
        await ledger.close()


async def test_a_last_fact_that_was_removed_is_noticed_at_the_start(database: Database) -> None:
    async with running(database) as ledger:
        await ledger.append(several(1, 2), [], {})
    await as_owner(
        database,
        "ALTER TABLE strikedesk.ledger DISABLE TRIGGER ALL",
        "DELETE FROM strikedesk.ledger WHERE seq = 2",
    )
    with pytest.raises(ChainForked, match="fact 2, the last of the chain, is missing"):
        await PostgresLedger(database).open()


async def test_a_database_that_refuses_facts_ends_the_engine(database: Database) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    task = asyncio.ensure_future(ledger.run())
    await as_owner(database, "REVOKE INSERT ON strikedesk.chain FROM strikedesk_template_app")
    future = ledger.append([rejected(1)], [], {})
    with pytest.raises(LedgerFailed, match="permission denied"):
        await task
    with pytest.raises(LedgerFailed):
        await future
    await ledger.close()


# --- months -------------------------------------------------------------------------------------------------------------


async def partitions(database: Database) -> list[str]:
    async with await connect(database.dsn, "test") as connection:
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'strikedesk.ledger'::regclass ORDER BY 1"
        return [name.removeprefix("strikedesk.") for (name,) in await (await connection.execute(query)).fetchall()]


async def test_a_month_has_its_partition_before_it_begins(database: Database) -> None:
    made_at_start = set(await partitions(database))
    assert len(made_at_start) == 2
    async with running(database) as ledger:
        await ledger.append([rejected(1, moment=datetime(2031, 1, 20, tzinfo=UTC))], [], {})
        assert set(await partitions(database)) - made_at_start == {"ledger_203101"}
        await ledger.append([rejected(2, moment=datetime(2031, 1, 26, tzinfo=UTC))], [], {})
        assert set(await partitions(database)) - made_at_start == {"ledger_203101", "ledger_203102"}
        # One append may span months.
        moments = [datetime(2031, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)]
        await ledger.append([rejected(3 + n, moment=moment) for n, moment in enumerate(moments)], [], {})
    assert (await verify(database)).ok


async def test_no_partition_takes_what_belongs_to_no_month(database: Database) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="no partition"):
        await insert_as_owner(database, rejected(1, moment=datetime(2050, 1, 1, tzinfo=UTC)), bytes(32))


async def test_a_detached_month_is_not_quietly_replaced(database: Database) -> None:
    async with running(database) as ledger:
        await ledger.append([rejected(1)], [], {})
    await as_owner(database, f"ALTER TABLE strikedesk.ledger DETACH PARTITION strikedesk.ledger_{at(1):%Y%m}")
    await as_owner(
        database,
        "ALTER TABLE strikedesk.chain DISABLE TRIGGER ALL",
        "DELETE FROM strikedesk.chain",
        "ALTER TABLE strikedesk.chain ENABLE ALWAYS TRIGGER no_change",
    )
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append([rejected(1)], [], {}).add_done_callback(lambda future: future.exception())
    with pytest.raises(LedgerFailed, match="was detached"):
        await ledger.run()
    await ledger.close()


# --- columns ------------------------------------------------------------------------------------------------------------


async def test_columns_say_what_the_text_says(database: Database) -> None:
    async with running(database) as ledger:
        await ledger.append([heard(1, "IWM"), rejected(2, cause=1)], [], {"key-1": 1})
    async with await connect(database.reader, "test") as connection:
        rows = await (
            await connection.execute("SELECT seq, at, kind, cause, symbol FROM strikedesk.ledger ORDER BY seq")
        ).fetchall()
    assert rows == [(1, at(1), "TrendReceived", None, "IWM"), (2, at(2), "TicketRejected", 1, None)]
