"""The ledger with a spool on a real server: slow, stalled, cut off, full, restarted, replaced; killed in the middle of
it. Every acknowledged fact is in the database afterwards, once, in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.ports import LedgerAway
from storage.binaries import runner
from storage.database import Database, open_database
from storage.dsn import connect, part, replaced
from storage.embedded import EmbeddedPostgres
from storage.errors import ChainForked
from storage.ledger import PostgresLedger
from storage.postmaster import read_pid_file
from storage.spool import Spool
from storage.verify import verify
from tests.fixtures_postgres import TestServer
from tests.storage.builders import heard, rejected, row, several
from tests.storage.proxy import Cut, Wire
from tests.storage.test_spool import files_no_larger_than, no_more_files
from tests.storage.test_writing import as_owner, running, stored, wired
from tests.storage.waiting import until

ROOT = Path(__file__).resolve().parent.parent.parent


@asynccontextmanager
async def spooling(
    database: Database, folder: Path, said: list[str] | None = None, stall: float = 0.05, heartbeat: float = 0.02
) -> AsyncIterator[PostgresLedger]:
    """An open ledger with a spool of small files, closed at the end."""
    report = (said if said is not None else []).append
    spool = Spool(folder / "spool", segment=3_000)
    ledger = PostgresLedger(database, spool=spool, stall=stall, heartbeat=heartbeat, report=report)
    await ledger.open()
    async with asyncio.TaskGroup() as group:
        group.create_task(ledger.run())
        yield ledger
        await ledger.close()


async def go_away(wire: Wire, ledger: PostgresLedger) -> None:
    wire.cut = Cut.ALL
    wire.break_off()
    await until(lambda: ledger.spooled is not None)


def spooled_facts(ledger: PostgresLedger) -> int:
    assert ledger.spooled is not None
    return ledger.spooled.facts


def reason(ledger: PostgresLedger) -> str:
    return ledger.spooled.reason if ledger.spooled is not None else ""


async def sound(database: Database, facts: int) -> None:
    """Every fact once, in order, chained, and its rows and keys with it."""
    assert await stored(database) == list(range(1, facts + 1))
    report = await verify(database)
    assert report.ok, report.problems


async def append(ledger: PostgresLedger, first: int, last: int) -> None:
    """One append a fact, each with a row and a key; returns when all are durable."""
    futures = [
        ledger.append([heard(seq)], [row(str(seq % 7), str(seq))], {f"key-{seq}": seq})
        for seq in range(first, last + 1)
    ]
    await asyncio.gather(*futures)


# --- the database is slow, away, full, or not the one it was --------------------------------------------------------------


async def test_a_slow_commit_does_not_keep_anybody_waiting(database: Database, tmp_path: Path) -> None:
    async with spooling(database, tmp_path) as ledger, await connect(database.dsn, "test") as owner:
        await append(ledger, 1, 3)
        assert ledger.spooled is None
        async with owner.transaction():
            await owner.execute("LOCK TABLE strikedesk.chain IN SHARE ROW EXCLUSIVE MODE")  # commits wait
            await append(ledger, 4, 40)
            assert (ledger.head.seq, spooled_facts(ledger), ledger.available) == (40, 37, True)
            await append(ledger, 41, 60)
        await until(lambda: ledger.spooled is None)
        await append(ledger, 61, 65)
        assert list((tmp_path / "spool").glob("*.spool")) == []
    await sound(database, 65)


async def test_out_of_file_handles_the_spool_waits_and_goes_on(database: Database, tmp_path: Path) -> None:
    """It cannot be read, which is no damage: what is in it stays and goes to the database once there are handles again."""
    said: list[str] = []
    async with spooling(database, tmp_path, said) as ledger, await connect(database.dsn, "test") as owner:
        await append(ledger, 1, 3)
        await owner.execute("BEGIN")
        await owner.execute("LOCK TABLE strikedesk.chain IN SHARE ROW EXCLUSIVE MODE")
        await append(ledger, 4, 10)  # these are in the commit that waits
        await append(ledger, 11, 40)
        with no_more_files():
            await owner.execute("COMMIT")
            await until(lambda: "spool cannot be read" in reason(ledger))
            await append(ledger, 41, 42)
            assert (ledger.available, spooled_facts(ledger)) == (True, 32)
        await until(lambda: ledger.spooled is None)
        await append(ledger, 43, 45)
    await sound(database, 45)


async def test_a_stalled_connection_does_not_keep_anybody_waiting(database: Database, tmp_path: Path) -> None:
    async with wired(database) as wire, spooling(database, tmp_path) as ledger:
        await append(ledger, 1, 3)
        wire.stall()
        await append(ledger, 4, 30)
        assert spooled_facts(ledger) == 27
        wire.stall(False)
        await until(lambda: ledger.spooled is None)
        await append(ledger, 31, 33)
    await sound(database, 33)


async def test_a_server_that_falls_silent_while_nothing_happens_keeps_nobody_waiting(
    database: Database, tmp_path: Path
) -> None:
    async with wired(database) as wire, spooling(database, tmp_path) as ledger:
        await append(ledger, 1, 3)
        wire.stall()
        await asyncio.sleep(0.1)  # a look at the quiet database is on its way, and gets no answer
        async with asyncio.timeout(10):
            await append(ledger, 4, 30)
        assert spooled_facts(ledger) == 27
        wire.stall(False)
        await until(lambda: ledger.spooled is None)
    await sound(database, 30)


@pytest.mark.parametrize("facts", [3, 6])
async def test_an_end_waits_for_a_silent_server_no_longer_than_it_is_told_to(
    database: Database, tmp_path: Path, facts: int
) -> None:
    async with wired(database) as wire:
        async with spooling(database, tmp_path) as ledger:
            await append(ledger, 1, 3)
            wire.stall()
            await asyncio.sleep(0.1)
            await append(ledger, 4, facts)
            async with asyncio.timeout(8):
                await ledger.close(0.2)
            assert ledger.head.seq == facts
        wire.stall(False)
        async with spooling(database, tmp_path) as ledger:
            await until(lambda: ledger.spooled is None)
    await sound(database, facts)


@pytest.mark.parametrize("cut", [Cut.REQUEST, Cut.ANSWER])
async def test_a_commit_whose_answer_was_lost_is_in_the_database_once(
    database: Database, tmp_path: Path, cut: Cut
) -> None:
    async with wired(database) as wire, spooling(database, tmp_path, stall=5) as ledger:
        wire.cut = cut
        await asyncio.gather(*(ledger.append([fact], [row(str(fact.seq))], {}) for fact in several(1, 40)))
        assert wire.cuts == 1
        await until(lambda: ledger.spooled is None)
        await ledger.append([rejected(41)], [], {})
    await sound(database, 41)


async def test_everything_goes_by_the_spool_in_order_until_the_database_has_it_all(
    database: Database, tmp_path: Path
) -> None:
    async with wired(database) as wire, spooling(database, tmp_path) as ledger:
        await append(ledger, 1, 5)
        await go_away(wire, ledger)
        await append(ledger, 6, 3000)
        assert ledger.available
        assert (ledger.waiting, spooled_facts(ledger)) == (0, 2995)
        wire.cut = Cut.NEVER
        last = 3000
        while ledger.spooled is not None:  # and the stream of facts never stops
            await append(ledger, last + 1, last + 3)
            last += 3
        await append(ledger, last + 1, last + 3)
        rows = await ledger.projections(["order"])
        assert [int(body) for _, _, body in rows] == list(range(last - 3, last + 4))
        assert len(await ledger.keys(0)) == last + 3
    await sound(database, last + 3)


async def test_to_and_fro_with_every_commit_leaves_no_gap(database: Database, tmp_path: Path) -> None:
    """Every commit counts as slow: to the spool and back with each of them, and facts come at every moment of it."""
    async with spooling(database, tmp_path, stall=0) as ledger:
        futures, last = [], 0
        for _ in range(150):
            for pause in range(4):
                last += 1
                futures.append(ledger.append([rejected(last)], [row(str(last % 5), str(last))], {}))
                for _ in range(pause * 7):
                    await asyncio.sleep(0)
            await futures[-1]
        await asyncio.gather(*futures)
        await until(lambda: ledger.spooled is None)
        assert [fact.seq async for fact in ledger.facts()] == list(range(1, last + 1))
    await sound(database, last)


async def test_a_server_without_a_free_connection_is_waited_for(database: Database, tmp_path: Path) -> None:
    name = part(database.dsn, "dbname")
    said: list[str] = []
    async with spooling(database, tmp_path, said) as ledger:
        await append(ledger, 1, 3)
        await as_owner(database, f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await as_owner(
            database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'strikedesk engine%'"
            " AND datname = current_database()",
        )  # fmt: skip
        await until(lambda: ledger.spooled is not None and "too many connections" in ledger.spooled.reason)
        await append(ledger, 4, 20)
        with pytest.raises(LedgerAway):
            await ledger.keys(0)
        await as_owner(database, f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        await until(lambda: ledger.spooled is None)
    await sound(database, 20)


async def test_a_password_that_is_wrong_since_the_start_is_said_and_nothing_is_lost(
    postgres_folder: Path, tmp_path: Path
) -> None:
    server = EmbeddedPostgres(postgres_folder / "another password")
    database = await open_database(await server.start())
    role, password = part(database.app, "user"), part(database.app, "password")
    said: list[str] = []
    async with spooling(database, tmp_path, said) as ledger:
        await append(ledger, 1, 3)
        await as_owner(
            database, f"ALTER ROLE {role} PASSWORD 'another'",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",
        )  # fmt: skip
        await until(lambda: bool(said))
        assert said == [said[0]]
        assert "password authentication failed" in said[0]
        await append(ledger, 4, 9)
        await as_owner(database, f"ALTER ROLE {role} PASSWORD '{password}'")
        await until(lambda: ledger.spooled is None)
        assert said[1:] == [""]
    await sound(database, 9)
    await database.close()
    await server.stop()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_a_server_that_restarts_under_load_loses_nothing(
    postgres_folder: Path, tmp_path: Path, how: signal.Signals
) -> None:
    server = EmbeddedPostgres(postgres_folder / f"spooled over {how.name}")
    database = await open_database(await server.start())
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        async with spooling(database, tmp_path) as ledger:
            for first in range(1, 1000, 50):
                await append(ledger, first, first + 49)
                if first == 501:
                    file = read_pid_file(server.cluster)
                    assert file is not None
                    os.kill(file.pid, how)
            assert ledger.head.seq == 1000
            await until(lambda: ledger.spooled is None)
        await sound(database, 1000)
        await database.close()
        await server.stop()


async def test_another_server_takes_over_what_the_first_had_and_the_spool_has(
    postgres_folder: Path, tmp_path: Path
) -> None:
    first, second = EmbeddedPostgres(postgres_folder / "first"), EmbeddedPostgres(postgres_folder / "second")
    database = await open_database(await first.start())
    sockets = postgres_folder / "second's socket"
    sockets.mkdir()
    database.app = replaced(database.app, host=f"{part(database.app, 'host')},{sockets}", port="5432,5432")
    async with spooling(database, tmp_path) as ledger:
        await append(ledger, 1, 100)
        await first.stop()
        await append(ledger, 101, 200)
        shutil.copytree(first.data_dir, second.data_dir, symlinks=True, copy_function=copied)
        as_the_servers_user(second.data_dir)
        dsn = await second.start()
        (sockets / ".s.PGSQL.5432").symlink_to(Path(part(dsn, "host")) / ".s.PGSQL.5432")
        await append(ledger, 201, 300)
        await until(lambda: ledger.spooled is None)
        await append(ledger, 301, 310)
        assert [fact.seq async for fact in ledger.facts()] == list(range(1, 311))
    await database.close()
    database = await open_database(dsn)
    await sound(database, 310)
    await database.close()
    await second.stop()


def copied(source: str, target: str) -> None:
    shutil.copy2(source, target)


def as_the_servers_user(folder: Path) -> None:
    who = runner()
    for path in (folder, *folder.rglob("*")) if who is not None else ():
        assert who is not None
        os.chown(path, who.uid, who.gid, follow_symlinks=False)


# --- no room for the spool either ----------------------------------------------------------------------------------------


async def test_without_room_facts_wait_and_it_is_said_and_nothing_is_lost(database: Database, tmp_path: Path) -> None:
    said: list[str] = []
    async with wired(database) as wire, spooling(database, tmp_path, said) as ledger:
        await append(ledger, 1, 3)
        await go_away(wire, ledger)
        await append(ledger, 4, 10)
        durable = sum(path.stat().st_size for path in (tmp_path / "spool").glob("*.spool"))
        with files_no_larger_than(durable + 600):
            waiting = asyncio.gather(*(ledger.append([fact], [], {}) for fact in several(11, 60, "x" * 100)))
            await until(lambda: not ledger.available)
            await until(lambda: any("no room left on the disk" in text for text in said))
            assert (ledger.head.seq, ledger.waiting, waiting.done()) == (10, 50, False)
        wire.cut = Cut.NEVER
        await waiting
        await until(lambda: ledger.spooled is None)
        assert ledger.available
        assert said[-1] == ""
    await sound(database, 60)


async def test_a_full_spool_goes_on_once_there_is_room(database: Database, tmp_path: Path) -> None:
    async with wired(database) as wire, spooling(database, tmp_path) as ledger:
        await go_away(wire, ledger)
        with files_no_larger_than(100):
            waiting = asyncio.gather(*(ledger.append([fact], [], {}) for fact in several(1, 5)))
            await until(lambda: not ledger.available)
        await waiting
        assert ledger.available
        assert spooled_facts(ledger) == 5
        wire.cut = Cut.NEVER
        await until(lambda: ledger.spooled is None)
    await sound(database, 5)


async def test_files_that_cannot_be_removed_stop_nobody(database: Database, tmp_path: Path) -> None:
    said: list[str] = []
    folder, aside = tmp_path / "spool", tmp_path / "aside"
    async with spooling(database, tmp_path, said) as ledger, await connect(database.dsn, "test") as owner:
        async with owner.transaction():
            await owner.execute("LOCK TABLE strikedesk.chain IN SHARE ROW EXCLUSIVE MODE")
            await append(ledger, 1, 60)
            folder.rename(aside)
            folder.touch()  # nothing can be removed in what is no folder
        await until(lambda: ledger.spooled is None)
        assert said[-1].startswith("the spool cannot be cleared: ")
        await append(ledger, 61, 70)
        assert ledger.available
        folder.unlink()
        aside.rename(folder)
    async with spooling(database, tmp_path) as ledger:
        assert ledger.head.seq == 70
    assert list(folder.glob("*.spool")) == []
    await sound(database, 70)


# --- ends and starts ------------------------------------------------------------------------------------------------------


async def test_what_the_database_does_not_take_at_the_end_is_there_at_the_next_start(
    database: Database, tmp_path: Path
) -> None:
    async with wired(database) as wire:
        async with spooling(database, tmp_path) as ledger:
            await append(ledger, 1, 3)
            await go_away(wire, ledger)
            await append(ledger, 4, 50)
            last = ledger.append([heard(51, key="last")], [row("last", "51")], {"last": 51})
        assert last.done()
        with pytest.raises(LedgerAway, match=r"cannot be reached; 48 facts wait for it in the spool: "):
            await PostgresLedger(database, spool=Spool(tmp_path / "spool")).open()
        wire.cut = Cut.NEVER
        ledger = PostgresLedger(database, spool=Spool(tmp_path / "spool"))
        await ledger.open()
        # Nothing is drained yet, and all of it is there.
        assert await stored(database) == [1, 2, 3]
        assert (ledger.head.seq, spooled_facts(ledger)) == (51, 48)
        assert [fact.seq async for fact in ledger.facts()] == list(range(1, 52))
        assert [fact.seq async for fact in ledger.facts(after=2, until=6)] == [3, 4, 5, 6]
        assert [fact.seq async for fact in ledger.facts(after=20, until=22)] == [21, 22]
        rows = [(key, body) for _, key, body in await ledger.projections(["order"])]
        assert rows == [*((str(seq % 7), str(seq).encode()) for seq in range(44, 51)), ("last", b"51")]
        assert await ledger.projected() == 51
        assert len(await ledger.keys(0)) == 51
        assert (await ledger.find("key-2"), await ledger.find("key-20"), await ledger.find("none")) == (2, 20, None)
        assert await ledger.story(30) == [heard(30)]
        await ledger.close()
    await sound(database, 51)
    assert list((tmp_path / "spool").glob("*.spool")) == []


async def test_a_story_leads_from_the_spool_into_the_database(database: Database, tmp_path: Path) -> None:
    causes = {1: None, 2: None, 3: 1, 4: 3, 5: None, 6: 2, 7: 4, 8: 5}
    facts = [rejected(seq, cause=cause) for seq, cause in causes.items()]
    async with wired(database) as wire:
        async with spooling(database, tmp_path) as ledger:
            await ledger.append(facts[:3], [], {})
            await go_away(wire, ledger)
            await ledger.append(facts[3:], [], {})
            assert await ledger.story(8) == [facts[4], facts[7]], "the spool alone has it"
            with pytest.raises(LedgerAway):
                await ledger.story(7)
        wire.cut = Cut.NEVER
        ledger = PostgresLedger(database, spool=Spool(tmp_path / "spool"))
        await ledger.open()
        assert spooled_facts(ledger) == 5
        for seq, story in {7: [1, 3, 4, 7], 1: [1, 3, 4, 7], 6: [2, 6], 5: [5, 8], 9: []}.items():
            assert [fact.seq for fact in await ledger.story(seq)] == story
        await ledger.close()


async def test_a_spool_that_was_drained_is_not_drained_again(database: Database, tmp_path: Path) -> None:
    """A copy of the folder from before: as after a crash between the last commit and the removal of the files."""
    async with wired(database) as wire, spooling(database, tmp_path) as ledger:
        await append(ledger, 1, 3)
        await go_away(wire, ledger)
        await append(ledger, 4, 60)
        shutil.copytree(tmp_path / "spool", tmp_path / "before" / "spool")
        wire.cut = Cut.NEVER
        await until(lambda: ledger.spooled is None)
    for more in (0, 5):
        shutil.copytree(tmp_path / "before" / "spool", tmp_path / f"again {more}" / "spool")
        async with spooling(database, tmp_path / f"again {more}") as ledger:
            assert (ledger.head.seq, ledger.spooled) == (60, None)
            await append(ledger, 61, 60 + more)
        await sound(database, 60 + more)
    shutil.copytree(tmp_path / "before" / "spool", tmp_path / "later" / "spool")
    async with spooling(database, tmp_path / "later") as ledger:
        assert (ledger.head.seq, ledger.spooled) == (65, None)
    assert list((tmp_path / "later" / "spool").glob("*.spool")) == []


async def test_a_spool_of_another_database_is_refused(database: Database, tmp_path: Path, postgres: TestServer) -> None:
    async with wired(database) as wire, spooling(database, tmp_path) as ledger:
        await append(ledger, 1, 3)
        await go_away(wire, ledger)
        await append(ledger, 4, 9)
        files = sorted((tmp_path / "spool").glob("*.spool"))
        kept = {file: file.read_bytes() for file in files}
        other = await open_database(postgres.fresh())
        for facts in (0, 1, 3, 6, 9, 12):  # shorter, as long, longer: never taken for its own
            folder = tmp_path / f"other {facts}"
            shutil.copytree(tmp_path / "spool", folder / "spool")
            async with running(other) as ledger_of_other:
                already = ledger_of_other.head.seq
                for seq in range(already + 1, facts + 1):
                    await ledger_of_other.append([rejected(seq, "another")], [], {})
            with pytest.raises(
                ChainForked, match="the spool goes from fact 3 to fact 9, and the database, which ends with"
            ):
                await PostgresLedger(other, spool=Spool(folder / "spool")).open()
        assert {file: file.read_bytes() for file in files} == kept
        assert await stored(other) == list(range(1, 13))
        await other.close()
        wire.cut = Cut.NEVER


# --- killed ---------------------------------------------------------------------------------------------------------------


def run_until_killed(dsn: str, folder: Path, direct: int, away: int, acknowledged: int) -> list[int]:
    """Kill an appending process after so many acknowledgements; all it acknowledged."""
    command = [sys.executable, "-m", "tests.storage.spooler", dsn, str(folder), str(direct), str(away)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(acknowledged)]
        process.kill()
        return said + [int(line) for line in process.stdout if line.endswith("\n")]


async def test_every_acknowledged_fact_survives_kills_while_spooling_and_while_draining(
    database: Database, tmp_path: Path
) -> None:
    last = 0
    # With the database away; then again and again while it is given what the spool has.
    for direct, away, acknowledged in ((5, 1 << 40, 300), (0, 400, 420), (0, 300, 301), (0, 200, 260), (3, 50, 51)):
        said = await asyncio.to_thread(run_until_killed, database.dsn, tmp_path / "spool", direct, away, acknowledged)
        assert said == list(range(said[0], said[-1] + 1, 2))
        assert said[0] >= last + 2, "an acknowledged fact is missing"
        last = said[-1]
    async with spooling(database, tmp_path) as ledger:
        assert ledger.head.seq in (last, last + 2)
        last = ledger.head.seq
        await until(lambda: ledger.spooled is None)
        assert len(await ledger.keys(0)) == last // 2
        assert max(int(body) for _, _, body in await ledger.projections(["order"])) == last
    await sound(database, last)
