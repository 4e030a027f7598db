"""Backups are dumped, restored aside, verified, kept and pruned; a restore replaces a ledger without losing anything."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from msgspec.json import encode
from msgspec.structs import replace

from storage import backup as backups
from storage.backup import Backup, Owner, backup, read_page
from storage.database import open_database
from storage.errors import BackupFailed, DatabaseError, EngineRunning
from storage.ledger import PostgresLedger
from storage.restore import restore
from storage.verify import verify
from tests.fixtures_postgres import TestServer
from tests.storage.builders import heard, row, several

NOW = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


@pytest.fixture
def empty_dsn(postgres: TestServer) -> Iterator[str]:
    dsn = postgres.empty()
    yield dsn
    postgres.drop(dsn)


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def write(dsn: str, first: int, last: int) -> None:
    """Facts first to last, the last one an accepted receipt with its key, and a projection row."""
    database = await open_database(dsn)
    ledger = PostgresLedger(database)
    await ledger.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run())
        await ledger.append([*several(first, last - 1), heard(last)], [row("O1")], {f"key-{last}": last})
        await ledger.close()
    await database.close()


async def test_a_backup_is_proved_and_restores_the_same_ledger_elsewhere(
    database_dsn: str, empty_dsn: str, tmp_path: Path
) -> None:
    await write(database_dsn, 1, 40)
    made = await backup(database_dsn, tmp_path, NOW)
    assert (made.facts, made.name) == (40, f"strikedesk-{made.ledger[:8]}-20261120T230000Z.dump")
    assert len(made.ledger) == 64
    assert names(tmp_path) == {made.name, f"{made.name}.json"}
    page = read_page(tmp_path / made.name)
    assert page == made

    restored = await restore(empty_dsn, tmp_path / made.name, NOW)
    assert restored.former is None
    assert restored.report.facts == 40
    assert restored.report.head is not None
    assert restored.report.head.hash.hex() == made.head
    for query in (
        "SELECT seq, at, kind, cause, symbol, body, hash, prev_hash FROM strikedesk.ledger ORDER BY seq",
        "SELECT * FROM strikedesk.chain ORDER BY seq",
        "SELECT * FROM strikedesk.dedupe ORDER BY key",
        "SELECT * FROM strikedesk.projection ORDER BY kind, key",
    ):
        with psycopg.connect(database_dsn) as one, psycopg.connect(empty_dsn) as other:
            assert one.execute(query.encode()).fetchall() == other.execute(query.encode()).fetchall()
    await write(empty_dsn, 41, 45)  # and it goes on


async def test_a_restored_ledger_is_guarded_as_the_first_one_was(
    database_dsn: str, empty_dsn: str, tmp_path: Path
) -> None:
    await write(database_dsn, 1, 5)
    made = await backup(database_dsn, tmp_path, NOW)
    await restore(empty_dsn, tmp_path / made.name, NOW)
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for statement in (
            b"UPDATE strikedesk.ledger SET kind = 'x'",
            b"DELETE FROM strikedesk.chain",
            b"TRUNCATE strikedesk.dedupe",
            b"TRUNCATE strikedesk.ledger_202611",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement)
        open_to_all = connection.execute(
            b"SELECT proname FROM pg_proc WHERE pronamespace = 'strikedesk'::regnamespace"
            b" AND has_function_privilege('public', oid, 'EXECUTE')"
        ).fetchall()
        assert open_to_all == []


async def test_a_restore_keeps_what_was_there_under_another_name(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 10)
    made = await backup(database_dsn, tmp_path, NOW)
    await write(database_dsn, 11, 25)
    restored = await restore(database_dsn, tmp_path / made.name, NOW)
    assert restored.report.facts == 10
    assert restored.former == "strikedesk_before_20261120_230000"
    with psycopg.connect(database_dsn) as connection:
        row_count = connection.execute(f"SELECT count(*) FROM {restored.former}.ledger".encode()).fetchone()
    assert row_count == (25,)
    await write(database_dsn, 11, 12)


async def test_facts_whose_chain_is_gone_are_kept_under_another_name_too(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 10)
    made = await backup(database_dsn, tmp_path, NOW)
    with psycopg.connect(database_dsn, autocommit=True) as superuser:
        superuser.execute("ALTER TABLE strikedesk.chain DISABLE TRIGGER ALL")
        superuser.execute("DELETE FROM strikedesk.chain")
    restored = await restore(database_dsn, tmp_path / made.name, NOW)
    with psycopg.connect(database_dsn) as connection:
        row_count = connection.execute(f"SELECT count(*) FROM {restored.former}.ledger".encode()).fetchone()
    assert row_count == (10,)


async def test_after_a_restore_that_was_broken_off_no_new_ledger_is_begun(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 10)
    made = await backup(database_dsn, tmp_path, NOW)
    with psycopg.connect(database_dsn, autocommit=True) as owner:
        owner.execute("ALTER SCHEMA strikedesk RENAME TO strikedesk_before_20261101_090000")
    with pytest.raises(DatabaseError, match="strikedesk_before_20261101_090000, which a restore put aside"):
        await open_database(database_dsn)
    assert (await restore(database_dsn, tmp_path / made.name, NOW)).report.facts == 10
    await write(database_dsn, 11, 12)


async def test_a_database_in_use_is_not_restored(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 3)
    made = await backup(database_dsn, tmp_path, NOW)
    database = await open_database(database_dsn)
    ledger = PostgresLedger(database)
    await ledger.open()
    with pytest.raises(EngineRunning, match="is in use by strikedesk engine"):
        await restore(database_dsn, tmp_path / made.name, NOW)
    await ledger.close()
    await database.close()
    with psycopg.connect(database_dsn, application_name="a report"), pytest.raises(EngineRunning, match="a report"):
        await restore(database_dsn, tmp_path / made.name, NOW)


async def test_a_damaged_file_leaves_the_ledger_as_it_was(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 8)
    made = await backup(database_dsn, tmp_path, NOW)
    file = tmp_path / made.name
    bytes_ = bytearray(file.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    file.write_bytes(bytes_)
    with pytest.raises(BackupFailed, match="SHA-256 differs"):
        await restore(database_dsn, file, NOW)
    file.with_name(f"{made.name}.json").unlink()
    file.write_bytes(bytes(bytes_[: len(bytes_) // 2]))
    with pytest.raises(BackupFailed, match="pg_restore failed"):
        await restore(database_dsn, file, NOW)
    database = await open_database(database_dsn)
    report = await verify(database)
    await database.close()
    assert report.ok
    assert report.facts == 8


async def test_a_broken_ledger_makes_no_backup_and_says_which_fact(
    database_dsn: str, tmp_path: Path, postgres: TestServer
) -> None:
    await write(database_dsn, 1, 6)
    first = await backup(database_dsn, tmp_path, NOW)
    tamper = (
        "ALTER TABLE strikedesk.ledger DISABLE TRIGGER USER; "
        "UPDATE strikedesk.ledger SET body = replace(body, 'T3', 'T9') WHERE seq = 3; "
        "ALTER TABLE strikedesk.ledger ENABLE ALWAYS TRIGGER no_change; "
        "ALTER TABLE strikedesk.ledger ENABLE ALWAYS TRIGGER no_truncate"
    )
    postgres.execute(tamper, database_dsn)
    with pytest.raises(BackupFailed, match="the dump does not verify: fact 3"):
        await backup(database_dsn, tmp_path, NOW + timedelta(days=1), keep=1)
    assert [page.name for _, page in backups.backups(tmp_path)] == [first.name]
    assert names(tmp_path) == {first.name, f"{first.name}.json"}


async def test_only_the_newest_are_kept(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 2)
    made = await backup(database_dsn, tmp_path, NOW)
    page = (tmp_path / f"{made.name}.json").read_bytes()
    for day in range(1, 20):  # as if it had been made on many days
        name = f"strikedesk-{NOW - timedelta(days=day):%Y%m%dT%H%M%SZ}.dump"
        (tmp_path / name).write_bytes(b"old")
        old = json.loads(page) | {"name": name, "made": (NOW - timedelta(days=day)).isoformat()}
        (tmp_path / f"{name}.json").write_text(json.dumps(old))
    (tmp_path / "not-ours.dump").write_bytes(b"kept: it has no page")
    gone = backups.prune(tmp_path, NOW, 14, Owner(made.ledger))
    assert len(gone) == 6
    left = backups.backups(tmp_path)
    assert len(left) == 14
    assert left[0][1].name == made.name
    assert (tmp_path / "not-ours.dump").exists()


def put(folder: Path, like: Backup, ledger: str, day: int) -> Path:
    """A backup of a ledger, so many days old."""
    at = NOW - timedelta(days=day)
    page = replace(like, ledger=ledger, made=at, name=f"strikedesk-{ledger[:8]}-{at:%Y%m%dT%H%M%SZ}.dump")
    file = folder / page.name
    file.write_bytes(b"old")
    file.with_name(f"{file.name}.json").write_bytes(encode(page))
    return file


async def test_two_ledgers_share_a_folder_and_each_removes_its_own(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 2)
    made = await backup(database_dsn, tmp_path, NOW)
    others = {put(tmp_path, made, "ab" * 32, day) for day in range(20)}
    mine = [put(tmp_path, made, made.ledger, day) for day in range(1, 5)]
    second = await backup(database_dsn, tmp_path, NOW + timedelta(days=1), keep=3)
    assert {file.name for file, _ in backups.backups(tmp_path, Owner(made.ledger))} == {
        second.name,
        made.name,
        mine[0].name,
    }
    assert {file for file, _ in backups.backups(tmp_path, Owner("ab" * 32))} == others


def put_former(folder: Path, facts: int, head: str, day: int) -> str:
    """A backup of the format before ledgers had a mark."""
    at = NOW - timedelta(days=day)
    name = f"strikedesk-{at:%Y%m%dT%H%M%SZ}.dump"
    (folder / name).write_bytes(b"old")
    page = {"name": name, "made": at.isoformat(), "facts": facts, "head": head, "ends": at.isoformat(),
            "revision": "0004", "server": "18.0", "size": 3, "sha256": "0" * 64}  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(page))
    return name


def chain(dsn: str) -> dict[int, str]:
    with psycopg.connect(dsn) as connection:
        return {seq: bytes(hash_).hex() for seq, hash_ in connection.execute("SELECT seq, hash FROM strikedesk.chain")}


async def test_a_ledger_without_facts_owns_no_former_backup_with_facts(database_dsn: str, tmp_path: Path) -> None:
    """It has no first fact to be told by, and neither do pages of the former format."""
    theirs = {put_former(tmp_path, 10 + day, "ab" * 32, day) for day in range(1, 6)}
    empty = put_former(tmp_path, 0, "", 7)
    made = await backup(database_dsn, tmp_path, NOW, keep=1)
    assert (made.facts, made.ledger) == (0, "")
    assert {page.name for _, page in backups.backups(tmp_path)} == {made.name, *theirs}
    assert not (tmp_path / empty).exists(), "one without facts is as good as its own"


async def test_former_backups_are_told_by_where_they_end(database_dsn: str, tmp_path: Path) -> None:
    await write(database_dsn, 1, 40)
    hashes = chain(database_dsn)
    mine = [put_former(tmp_path, 40 - day, hashes[40 - day], day) for day in range(1, 6)]
    others = {
        put_former(tmp_path, 30, "ab" * 32, 11),  # another ledger
        put_former(tmp_path, 41, "cd" * 32, 12),  # a longer one
        put_former(tmp_path, 30, hashes[29], 13),
        put_former(tmp_path, 1 << 70, "cd" * 32, 14),
        put_former(tmp_path, 0, "", 15),
    }
    made = await backup(database_dsn, tmp_path, NOW, keep=3)
    assert {page.name for _, page in backups.backups(tmp_path)} == {made.name, *mine[:2], *others}
    database = await open_database(database_dsn)
    counted = backups.backups(tmp_path, await backups.owner(database, tmp_path))
    await database.close()
    assert [page.name for _, page in counted] == [made.name, *mine[:2]]


def test_what_broken_off_runs_left_goes_after_a_day(tmp_path: Path) -> None:
    old = (NOW - timedelta(hours=25)).timestamp()
    left = ("strikedesk-20261119T230000Z-7.dump.part", "strikedesk-ab12cd34-20261119T230000Z.dump",
            "strikedesk-ab12cd34-20261119T230000Z.dump.json.part", "strikedesk-20261119T230000Z.dump")  # fmt: skip
    kept = ("not-ours.dump", "strikedesk-of-friday.dump", "strikedesk-20261120T230000Z-8.dump.part",
            "strikedesk-ab12cd34-20261120T230000Z.dump", "strikedesk-ab12cd34-20261120T230000Z.dump.json.part")  # fmt: skip
    for name in (*left, *kept):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (old, old) if name in (*left, *kept[:2]) else (NOW.timestamp(), NOW.timestamp()))
    assert {file.name for file in backups.prune(tmp_path, NOW, 14, Owner(""))} == set(left)
    assert names(tmp_path) == set(kept)


async def test_a_database_without_a_ledger_has_nothing_to_back_up(empty_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no ledger"):
        await backup(empty_dsn, tmp_path, NOW)
    assert read_page(tmp_path / "none.dump") is None
