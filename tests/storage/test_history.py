"""Market history is kept by day in batches, lets go only of the oldest, and notices payloads that change their shape."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from storage.backup import backup
from storage.database import Database, open_database
from storage.dsn import part
from storage.history import BarRow, FlowRow, History, Kind, QuoteRow, Row, raw
from storage.restore import restore
from storage.retention import prune
from tests.fixtures_postgres import TestServer

DAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def quote(number: int, at: datetime = DAY, symbol: str = "SPY") -> QuoteRow:
    moment = at + timedelta(milliseconds=number)
    return QuoteRow(moment, moment, symbol, "", Decimal("601.25"), Decimal("601.27"), 3, None, "simulated")


def bar(at: datetime = DAY) -> BarRow:
    return BarRow(at, at + timedelta(minutes=1), "SPY", 1, 601.0, 602.0, 600.5, 601.5, 12_000, "simulated")


def rows_of(dsn: str, table: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(f"SELECT * FROM strikedesk_market.{table} ORDER BY 1".encode()).fetchall()


async def kept(history: History, count: int) -> None:
    while history.counts.kept < count:  # noqa: ASYNC110 - a count sets no event
        await asyncio.sleep(0.02)


async def test_every_kind_comes_back_as_it_went_in(database: Database, database_dsn: str) -> None:
    body = b'{"data": [1, 2]}'
    given: list[Row] = [
        quote(1),
        QuoteRow(DAY, DAY, "SPY", "SPY   261120C00600000", None, Decimal("0.05"), None, 10, "ib"),
        bar(),
        FlowRow(DAY, "unusual-whales", "a1", "SPY", '{"premium": 1}'),
        raw(DAY, "unusual-whales", "/api/flow", 200, body),
    ]
    history = History(database.app)
    await history.open()
    history.add(given)
    await history.flush()
    await history.close()
    assert sorted(rows_of(database_dsn, "quote")) == sorted([tuple(given[0]), tuple(given[1])])
    assert rows_of(database_dsn, "bar") == [tuple(given[2])]
    assert rows_of(database_dsn, "flow") == [tuple(given[3])]
    kept = rows_of(database_dsn, "body")[0]
    assert zlib.decompress(kept[-1]) == body  # type: ignore[arg-type]
    assert (kept[4], kept[5]) == (hashlib.sha256(body).digest(), len(body))
    assert history.counts.kept == 5


async def test_each_day_is_a_partition_of_its_own(database: Database, database_dsn: str) -> None:
    history = History(database.app)
    history.add([quote(1, DAY + timedelta(days=day)) for day in range(3)])
    history.add([quote(1, datetime(2026, 11, 20, 23, 59, 59, 999_000, tzinfo=UTC))])  # and a millisecond: the next day
    await history.flush()
    await history.close()
    counts = [len(rows_of(database_dsn, f"quote_202611{day}")) for day in (20, 21, 22)]
    assert counts == [1, 2, 1]


async def test_the_engine_may_add_to_history_and_not_change_it(database: Database) -> None:
    history = History(database.app)
    history.add([quote(1)])
    await history.flush()
    await history.close()
    with psycopg.connect(database.app, autocommit=True) as connection:
        for statement in (
            b"UPDATE strikedesk_market.quote SET bid = 0",
            b"DELETE FROM strikedesk_market.quote",
            b"DROP TABLE strikedesk_market.quote_20261120",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        with pytest.raises(psycopg.errors.RaiseException, match="no history of"):
            connection.execute(b"SELECT strikedesk_market.make_day('chain', '2026-11-20')")


async def test_a_row_that_cannot_be_held_costs_no_other(database: Database, database_dsn: str) -> None:
    history = History(database.app)
    history.add([quote(1), quote(2)._replace(symbol="SP\0Y"), quote(3), quote(4)._replace(source="\ud800"), quote(5)])
    await history.flush()
    await history.close()
    assert len(rows_of(database_dsn, "quote")) == 3
    assert (history.counts.kept, history.counts.refused) == (3, 2)


async def test_a_database_that_goes_away_gets_the_rest_when_it_is_back(
    database: Database, database_dsn: str, postgres: TestServer
) -> None:
    history = History(database.app)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(history.run())
        history.add([quote(number) for number in range(100)])
        await kept(history, 100)
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%history%'"
        )
        history.add([quote(number) for number in range(100, 250)])
        await kept(history, 250)
        running.cancel()
    await history.close()
    assert len(rows_of(database_dsn, "quote")) == 250


async def test_when_too_much_waits_the_oldest_goes_and_is_counted() -> None:
    history = History("postgresql://nobody@127.0.0.1:1/none", limit=50)
    history.add([quote(number) for number in range(80)])
    assert history.counts.lost == 30
    await history.close(patience=0.2)
    assert history.counts.lost == 80


async def test_what_is_let_go_during_a_copy_is_the_oldest_that_waits(database: Database, database_dsn: str) -> None:
    history = History(database.app, limit=10)
    await history.open()
    history.add([quote(number) for number in range(10)])
    copying = asyncio.create_task(history.flush())
    for _ in range(3):
        await asyncio.sleep(0)
    history.add([quote(number) for number in range(10, 22)])
    await copying
    await history.close()
    numbers = sorted(round((row[0] - DAY) / timedelta(milliseconds=1)) for row in rows_of(database_dsn, "quote"))  # type: ignore[operator]
    assert numbers == [*range(10), *range(12, 22)]
    assert (history.counts.kept, history.counts.lost) == (20, 2)


async def test_a_server_that_only_reads_for_a_while_ends_nothing(database: Database, database_dsn: str) -> None:
    name = part(database_dsn, "dbname")
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        history = History(database.app)
        await history.open()
        history.add([quote(1)])
        running = asyncio.create_task(history.run())
        await asyncio.sleep(0.8)  # it has been refused once
        assert not running.done()
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off".encode())
    await kept(history, 1)
    running.cancel()
    await history.close()


async def test_old_days_go_and_young_ones_stay(database: Database, database_dsn: str) -> None:
    history = History(database.app)
    history.add([quote(1, DAY - timedelta(days=back)) for back in (0, 729, 730, 731, 900)])
    history.add([raw(DAY - timedelta(days=back), "x", "/y", 200, b"{}") for back in (0, 31)])
    await history.flush()
    await history.close()
    keep = {Kind.QUOTE: 730, Kind.BAR: 730, Kind.FLOW: 730, Kind.BODY: 30}
    with psycopg.connect(database_dsn, autocommit=True) as connection:
        # As a crash between detaching and dropping would have left it.
        connection.execute(b"ALTER TABLE strikedesk_market.quote DETACH PARTITION strikedesk_market.quote_20240603")
        connection.execute(b"CREATE TABLE strikedesk_market.notes_20200101 (mine text)")
    gone = await prune(database_dsn, DAY, keep)
    assert len(gone) == 3
    assert gone == sorted(gone)
    assert len(rows_of(database_dsn, "quote")) == 3
    assert len(rows_of(database_dsn, "body")) == 1
    assert rows_of(database_dsn, "notes_20200101") == []
    assert await prune(database_dsn, DAY, keep) == []


async def test_a_day_that_is_being_read_waits_for_the_next_night(database: Database, database_dsn: str) -> None:
    history = History(database.app)
    history.add([quote(1, DAY - timedelta(days=800))])
    await history.flush()
    await history.close()
    with psycopg.connect(database_dsn) as reader:
        reader.execute(b"SELECT count(*) FROM strikedesk_market.quote")
        assert await prune(database_dsn, DAY, dict.fromkeys(Kind, 730)) == []
    assert len(await prune(database_dsn, DAY, dict.fromkeys(Kind, 730))) == 1


async def test_a_payload_that_changes_its_shape_is_noticed_once_and_for_all_runs(
    database: Database, database_dsn: str
) -> None:
    first = History(database.app)
    await first.open()
    assert first.noticed(DAY, "tv", "signal", {"price": 1.5, "legs": [{"k": 1}]}) is None  # the first of all
    assert first.noticed(DAY, "tv", "signal", {"price": 2, "legs": [{"k": 7}, {"k": 8}]}) is None
    found = first.noticed(DAY, "tv", "signal", {"price": "1.5", "legs": [], "new": True})
    assert found is not None
    assert found.came == ("new: boolean", "price: string")
    assert found.went == ("legs[].k: number", "legs[]: object", "price: number")
    assert first.noticed(DAY, "tv", "signal", {"price": 3, "legs": [{"k": 1}]}) is None  # known, though not the latest
    await first.close()
    second = History(database.app)
    await second.open()
    assert second.noticed(DAY + timedelta(hours=1), "tv", "signal", {"price": "2", "legs": [], "new": False}) is None
    assert second.noticed(DAY, "tv", "signal", {}) is not None
    await second.close()
    with psycopg.connect(database_dsn) as connection:
        kept = connection.execute(
            b"SELECT seen, last_at - first_at FROM strikedesk_market.shape ORDER BY seen DESC, paths"
        ).fetchall()
    assert kept == [(3, timedelta(0)), (2, timedelta(hours=1)), (1, timedelta(0))]


async def test_a_sender_who_invents_names_fills_no_disk(database: Database, database_dsn: str) -> None:
    history = History(database.app)
    await history.open()
    for number in range(250):
        history.noticed(DAY, "tv", "signal", {f"name{number}": 1})
    await history.close()
    assert len(rows_of(database_dsn, "shape")) == 200


async def test_a_restored_ledger_leaves_the_history_and_a_new_server_gets_its_empty_tables(
    database: Database, database_dsn: str, postgres: TestServer, tmp_path: Path
) -> None:
    history = History(database.app)
    history.add([quote(1)])
    await history.flush()
    await history.close()
    await database.close()
    made = await backup(database_dsn, tmp_path, DAY)
    await restore(database_dsn, tmp_path / made.name, DAY)
    assert len(rows_of(database_dsn, "quote")) == 1
    elsewhere = postgres.empty()
    await restore(elsewhere, tmp_path / made.name, DAY)
    assert rows_of(elsewhere, "quote") == []
    there = await open_database(elsewhere)
    again = History(there.app)
    again.add([quote(1)])
    await again.flush()
    await again.close()
    await there.close()
    assert len(rows_of(elsewhere, "quote")) == 1
    postgres.drop(elsewhere)
