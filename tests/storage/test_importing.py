"""Facts in bulk: the same ledger as if the engine had written them, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.commands.bench_facts import Stories
from engine.domain.events import AnyFact
from engine.ports import Change, LedgerAway
from engine.state import KINDS, State
from storage.database import Database, open_database
from storage.dsn import connect, replaced
from storage.errors import EngineRunning
from storage.export import export
from storage.importing import ImportRefused, import_facts, import_file
from storage.ledger import PostgresLedger
from storage.rebuild import Fold
from storage.verify import verify
from tests.fixtures_postgres import TestServer
from tests.storage.builders import heard, rejected


def folding() -> Fold:
    state = State()

    def fold(fact: AnyFact) -> Sequence[Change]:
        state.apply(fact)
        return state.drain()

    return fold


async def as_the_engine(database: Database, facts: int) -> PostgresLedger:
    """A ledger written step by step, as the engine does it; closed."""
    ledger, state = PostgresLedger(database), State()
    await ledger.open()
    for step, keys in Stories().steps(facts):
        for fact in step:
            state.apply(fact)
        ledger.append(step, state.drain(), keys)
    await ledger.close()
    return ledger


async def told(database: Database) -> tuple[object, ...]:
    """Everything a ledger holds, but for which fact last touched a row."""
    ledger = PostgresLedger(database)
    async with await connect(database.app, "test") as connection:
        rows = await (await connection.execute("SELECT * FROM strikedesk.ledger ORDER BY seq")).fetchall()
        links = await (await connection.execute("SELECT * FROM strikedesk.chain ORDER BY seq")).fetchall()
    return rows, links, await ledger.keys(0), await ledger.projections(KINDS)


async def other(postgres: TestServer) -> Database:
    return await open_database(postgres.fresh())


async def test_imported_facts_are_the_ones_the_engine_would_have_written(
    database: Database, postgres: TestServer
) -> None:
    await as_the_engine(database, 400)
    bulk = await other(postgres)
    done = await import_facts(bulk, Stories().steps(400), folding())
    assert await told(bulk) == await told(database)
    report = await verify(bulk)
    assert report.ok, report.problems
    assert (done.facts, done.skipped, done.head) == (report.facts, 0, report.head)
    await bulk.close()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
async def test_a_file_that_was_exported(
    database: Database, postgres: TestServer, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.importing.BATCH", 100)
    await as_the_engine(database, 300)
    file = tmp_path / f"ledger.{ending}"
    count = await export(database, file)
    bulk = await other(postgres)
    done = await import_file(bulk, file, folding())
    assert (done.facts, done.skipped) == (count, 0)
    assert await told(bulk) == await told(database)
    assert (await verify(bulk)).ok
    again = await import_file(bulk, file, folding())
    assert (again.facts, again.skipped, again.head) == (0, count, done.head)
    await bulk.close()


async def test_a_ledger_goes_on_with_what_it_had_not(database: Database, postgres: TestServer, tmp_path: Path) -> None:
    await as_the_engine(database, 300)
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    count = await export(database, whole)
    await export(database, part, until=120)
    bulk = await other(postgres)
    await import_file(bulk, part, folding())
    done = await import_file(bulk, whole, folding())
    assert (done.facts, done.skipped) == (count - 120, 120)
    assert await told(bulk) == await told(database)
    ledger = PostgresLedger(bulk)
    await ledger.open()
    await_it = ledger.append([rejected(count + 1, moment=datetime(2026, 12, 1, tzinfo=UTC))], [], {})
    await ledger.close()
    assert await_it.done()
    assert (await verify(bulk)).ok
    await bulk.close()


async def test_facts_of_many_months(database: Database) -> None:
    def years() -> list[tuple[list[AnyFact], dict[str, int]]]:
        return [
            ([rejected(seq, moment=datetime(2027 + seq // 48, 1 + seq // 4 % 12, 1 + seq % 4, tzinfo=UTC))], {})
            for seq in range(1, 200)
        ]

    done = await import_facts(database, years(), lambda fact: [])
    assert done.facts == 199
    report = await verify(database)
    assert report.ok, report.problems


def broken(lines: list[str], how: str) -> list[str]:
    if how == "changed":
        return [*lines[:2], lines[2].replace('"seq":3', '"seq":3 '), *lines[3:]]
    if how == "a line lost":
        return [*lines[:40], *lines[41:]]
    if how == "two swapped":
        return [*lines[:40], lines[41], lines[40], *lines[42:]]
    if how == "cut":
        return [*lines[:40], lines[40][:100]]
    if how == "no export":
        return ["hello"]
    return lines[50:]  # begins in the middle


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("changed", "fact 3 was changed"),
        ("a line lost", "fact 42 comes after fact 40"),
        ("two swapped", "fact 42 comes after fact 40"),
        ("cut", "cannot be read after fact 40"),
        ("no export", "cannot be read after fact 0"),
        ("begins in the middle", "fact 51 comes after fact 0"),
    ],
)
async def test_a_file_that_is_not_sound_changes_nothing(
    database: Database, postgres: TestServer, tmp_path: Path, how: str, says: str
) -> None:
    await as_the_engine(database, 100)
    file = tmp_path / "ledger.jsonl"
    await export(database, file)
    lines = broken(file.read_text(encoding="utf-8").splitlines(), how)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    bulk = await other(postgres)
    with pytest.raises(ImportRefused, match=says):
        await import_file(bulk, file, folding())
    assert (await verify(bulk)).facts == 0
    await bulk.close()


async def test_a_file_of_another_ledger_is_refused(database: Database, postgres: TestServer, tmp_path: Path) -> None:
    await as_the_engine(database, 100)
    file = tmp_path / "ledger.jsonl"
    count = await export(database, file)
    bulk = await other(postgres)
    await import_facts(bulk, [([rejected(seq)], {}) for seq in range(1, 51)], lambda fact: [])
    with pytest.raises(ImportRefused, match="its fact 50 is another than the ledger's last"):
        await import_file(bulk, file, folding())
    await import_facts(bulk, [([rejected(seq)], {}) for seq in range(51, 301)], lambda fact: [])
    with pytest.raises(ImportRefused, match=f"ends with fact {count}; the ledger is at fact 300 already"):
        await import_file(bulk, file, folding())
    assert (await verify(bulk)).facts == 300
    await bulk.close()


async def test_facts_that_do_not_follow_or_bring_a_key_again_are_refused(database: Database) -> None:
    with pytest.raises(ImportRefused, match="does not follow"):
        await import_facts(database, [([rejected(2)], {})], lambda fact: [])
    await import_facts(database, [([heard(1)], {"key-1": 1})], lambda fact: [])
    with pytest.raises(ImportRefused, match="is in the ledger already"):
        await import_facts(database, [([heard(2, key="key-1")], {"key-1": 2})], lambda fact: [])
    report = await verify(database)
    assert (report.ok, report.facts) == (True, 1)


async def test_a_fold_that_fails_leaves_nothing_behind(database: Database) -> None:
    def fold(fact: AnyFact) -> Sequence[Change]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await import_facts(database, [([rejected(1)], {})], fold)
    assert (await verify(database)).facts == 0


async def test_nothing_is_imported_under_a_running_engine_or_without_a_database(database: Database) -> None:
    ledger = PostgresLedger(database)
    await ledger.open()
    with pytest.raises(EngineRunning):
        await import_facts(database, [([rejected(1)], {})], lambda fact: [])
    await ledger.close()
    database.app = replaced(database.app, host="/nowhere")
    with pytest.raises(LedgerAway):
        await import_facts(database, [([rejected(1)], {})], lambda fact: [])
