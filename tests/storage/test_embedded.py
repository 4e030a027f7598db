"""The embedded server: started, adopted, shared, watched and stopped, in folders of every kind."""

# ruff: noqa: ASYNC220, ASYNC240 - a test may block its own loop for a moment

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from storage.binaries import runner
from storage.dsn import connect, part
from storage.embedded import EmbeddedPostgres
from storage.errors import ServerError
from storage.postmaster import alive, read_pid_file
from tests.storage.waiting import until

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def home(postgres_folder: Path) -> Iterator[Path]:
    """A data folder with spaces in its path."""
    folder = Path(tempfile.mkdtemp(prefix="a home with spaces ", dir=postgres_folder))
    folder.chmod(0o755)
    yield folder / "Application Support" / "Strikedesk"
    shutil.rmtree(folder)


def server_pid(server: EmbeddedPostgres) -> int:
    file = read_pid_file(server.cluster)
    assert file is not None
    return file.pid


async def fetch(dsn: str, query: str) -> str:
    async with await connect(dsn, "test") as connection:
        row = await (await connection.execute(query.encode())).fetchone()
        assert row is not None
        return str(row[0])


def start_holder(home: Path) -> tuple[subprocess.Popen[str], bool, str]:
    """Another process that started (or adopted) the server of this folder: itself, whether it adopted, the address."""
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.holder", str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    adopted, dsn = holder.stdout.readline().split()
    return holder, adopted == "1", dsn


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


# --- start and stop -------------------------------------------------------------------------------------------------


async def test_data_outlives_a_stop_in_a_path_with_spaces(home: Path) -> None:
    first = EmbeddedPostgres(home)
    dsn = await first.start()
    async with await connect(dsn, "test") as connection:
        await connection.execute("CREATE TABLE kept (n int)")
        await connection.execute("INSERT INTO kept VALUES (7)")
    pid = server_pid(first)
    await first.stop()
    assert not alive(pid)
    assert not Path(part(dsn, "host")).exists()

    second = EmbeddedPostgres(home)
    dsn = await second.start()
    assert await fetch(dsn, "SELECT n FROM kept") == "7"
    assert not second.adopted
    await second.stop()
    await second.stop()


async def test_it_is_private_and_durable(home: Path) -> None:
    server = EmbeddedPostgres(home)
    dsn = await server.start()
    settings = {name: await fetch(dsn, f"SHOW {name}") for name in ("listen_addresses", "fsync", "synchronous_commit")}
    settings["full_page_writes"] = await fetch(dsn, "SHOW full_page_writes")
    assert settings == {"listen_addresses": "", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    assert await fetch(dsn, "SHOW server_encoding") == "UTF8"
    sockets = Path(part(dsn, "host"))
    assert sockets.stat().st_mode & 0o077 == 0
    assert len(os.fsencode(sockets / ".s.PGSQL.5432")) <= 103
    assert (home / "password").stat().st_mode & 0o777 == 0o600
    assert len((home / "password").read_text()) >= 32
    for password in ("", "guess"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            await connect(dsn.replace(part(dsn, "password"), password), "test")
    await server.stop()


async def test_a_password_of_the_app_is_kept_by_the_app(home: Path) -> None:
    server = EmbeddedPostgres(home, password="from/the keychain")
    dsn = await server.start()
    assert await fetch(dsn, "SELECT current_user") == "strikedesk"
    assert not (home / "password").exists()
    await server.stop()
    with pytest.raises(ServerError, match="password does not fit"):
        await EmbeddedPostgres(home, password="another").start()
    with pytest.raises(ServerError, match="password of the server is missing"):
        await EmbeddedPostgres(home).start()
    file = read_pid_file(server.cluster)
    assert file is None or not alive(file.pid)


async def test_a_first_start_that_was_broken_off_is_begun_again(home: Path) -> None:
    broken = home / "cluster18.new"
    broken.mkdir(parents=True)
    (broken / "PG_VERSION").write_text("18")
    home.chmod(0o755)
    server = EmbeddedPostgres(home)
    assert await fetch(await server.start(), "SELECT 1") == "1"
    assert not broken.exists()
    await server.stop()


async def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    server = EmbeddedPostgres(home)
    await server.start()
    await server.stop()
    with (server.cluster / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ServerError, match="no_such_setting"):
        await server.start()
    await server.stop()


async def test_missing_programs_are_named(home: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(home, package=tmp_path)
    with pytest.raises(ServerError, match="no Postgres 18 programs"):
        await server.start()
    await server.stop()


async def test_the_socket_finds_a_short_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("long-" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    server = EmbeddedPostgres(home)
    dsn = await server.start()
    assert part(dsn, "host").startswith("/tmp/")
    assert await fetch(dsn, "SELECT 1") == "1"
    await server.stop()


async def test_a_folder_nobody_else_may_enter(
    home: Path, postgres_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root the server's user cannot walk there, so the cluster lives elsewhere and a link names the place."""
    monkeypatch.setattr(tempfile, "tempdir", str(postgres_folder))
    home.parent.mkdir(mode=0o700)
    server = EmbeddedPostgres(home)
    assert await fetch(await server.start(), "SELECT 1") == "1"
    cluster = server.cluster
    assert (home / "cluster18").is_symlink() == (os.geteuid() == 0)
    await server.stop()
    again = EmbeddedPostgres(home)
    await again.start()
    assert again.cluster == cluster
    await again.stop()
    shutil.rmtree(cluster)


async def test_a_removed_folder_starts_afresh_and_old_data_is_set_aside(
    home: Path, postgres_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(postgres_folder))
    home.parent.mkdir(mode=0o700)
    for _ in range(3):
        server = EmbeddedPostgres(home)
        assert await fetch(await server.start(), "SELECT to_regclass('seen')") == "None"
        async with await connect(server.dsn(), "test") as connection:
            await connection.execute("CREATE TABLE seen (n int)")
        cluster = server.cluster
        await server.stop()
        shutil.rmtree(home)
    if os.geteuid() == 0:  # then the data lay elsewhere and outlived its folder
        left = sorted(path.name for path in cluster.parent.glob(f"{cluster.name}.*"))
        assert left == [f"{cluster.name}.left1", f"{cluster.name}.left2"]


# --- others -----------------------------------------------------------------------------------------------------------


async def test_a_server_left_by_a_killed_engine_is_adopted(home: Path) -> None:
    holder, _, dsn = start_holder(home)
    kill(holder)
    server = EmbeddedPostgres(home)
    assert await server.start() == dsn
    assert server.adopted
    assert server.owned
    pid = server_pid(server)
    assert alive(pid)
    await server.stop()
    assert not alive(pid)


async def test_a_second_process_is_a_guest_and_leaves_the_server_alone(home: Path) -> None:
    holder, adopted, dsn = start_holder(home)
    assert not adopted
    guest = EmbeddedPostgres(home)
    assert await guest.start() == dsn
    assert not guest.owned
    assert not guest.adopted
    pid = server_pid(guest)
    await guest.stop()
    assert alive(pid)
    kill(holder)
    last = EmbeddedPostgres(home)
    await last.start()
    assert server_pid(last) == pid
    await last.stop()
    assert not alive(pid)


async def test_an_owner_does_not_stop_a_server_that_another_engine_uses(home: Path) -> None:
    owner, guest = EmbeddedPostgres(home), EmbeddedPostgres(home)
    dsn = await owner.start()
    await guest.start()
    other = await psycopg.AsyncConnection.connect(dsn, application_name="strikedesk engine 1@elsewhere")
    pid = server_pid(owner)
    await owner.stop()
    assert alive(pid)
    await other.close()
    await guest.stop()
    assert not alive(pid)


async def test_a_person_looking_in_does_not_keep_the_server_up(home: Path) -> None:
    server = EmbeddedPostgres(home)
    dsn = await server.start()
    person = await psycopg.AsyncConnection.connect(dsn, application_name="psql")
    pid = server_pid(server)
    await server.stop()
    assert not alive(pid)
    await person.close()


# --- crashes ------------------------------------------------------------------------------------------------------------


async def test_a_killed_server_is_started_again_at_the_same_address(home: Path) -> None:
    server = EmbeddedPostgres(home)
    dsn = await server.start()
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(server.run())
        killed = server_pid(server)
        os.kill(killed, signal.SIGKILL)

        def back() -> bool:
            file = read_pid_file(server.cluster)
            return file is not None and file.pid != killed and file.status == "ready"

        await until(back)
        assert await fetch(dsn, "SELECT 1") == "1"
        await server.stop()
    assert watch.done()


async def test_a_server_that_does_not_come_back_is_reported_until_it_does(home: Path) -> None:
    server = EmbeddedPostgres(home)
    dsn = await server.start()
    settings = server.cluster / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(f"{good}\nno_such_setting = 1\n")
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(said.append))
        os.kill(server_pid(server), signal.SIGKILL)
        await until(lambda: len(said) >= 2)
        assert "died and is being started again" in said[0]
        assert "no_such_setting" in said[1]
        settings.write_text(good)
        await until(lambda: said[-1] == "")
        assert await fetch(dsn, "SELECT 1") == "1"
        await server.stop()


async def test_a_guest_looks_after_the_server_once_its_owner_has_gone(home: Path) -> None:
    holder, _, dsn = start_holder(home)
    guest = EmbeddedPostgres(home)
    assert await guest.start() == dsn
    assert not guest.owned
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(guest.run(said.append))
        kill(holder)
        killed = server_pid(guest)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: said[-1:] == [""])
        assert await fetch(dsn, "SELECT 1") == "1"
        assert server_pid(guest) != killed
        await guest.stop()
    assert len(said) == 2


async def test_a_pid_file_of_a_dead_server_is_no_hindrance(home: Path) -> None:
    server = EmbeddedPostgres(home)
    old = await server.start()
    os.kill(server_pid(server), signal.SIGKILL)
    await server.stop()
    assert read_pid_file(server.cluster) is not None
    fresh = EmbeddedPostgres(home)
    assert await fetch(await fresh.start(), "SELECT 1") == "1"
    assert not fresh.adopted
    assert not Path(part(old, "host")).exists()
    await fresh.stop()


async def test_a_server_that_is_still_stopping_is_waited_for(home: Path) -> None:
    holder, _, _ = start_holder(home)
    kill(holder)
    server = EmbeddedPostgres(home)
    stopping = server_pid(server)
    os.kill(stopping, signal.SIGINT)
    assert await fetch(await server.start(), "SELECT 1") == "1"
    await until(lambda: not alive(stopping))
    assert server_pid(server) != stopping
    await server.stop()


async def test_the_last_processes_of_a_killed_server_are_waited_for(home: Path) -> None:
    server = EmbeddedPostgres(home)
    dsn = await server.start()
    connection = await connect(dsn, "test")
    # Busy for about a second, and a busy process only notices at its end that its server is gone.
    busy = asyncio.ensure_future(connection.execute("SELECT count(*) FROM generate_series(1, 12000000)"))
    await asyncio.sleep(0.1)
    os.kill(server_pid(server), signal.SIGKILL)
    await server.stop()
    assert not busy.done()
    assert await fetch(await server.start(), "SELECT 1") == "1"
    await asyncio.gather(busy, return_exceptions=True)
    await connection.close()
    await server.stop()


async def test_a_server_that_never_comes_is_not_waited_for_without_end(home: Path) -> None:
    home.mkdir(parents=True)
    with (home / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # someone else looks after a server that is not there
        with pytest.raises(ServerError, match=r"does not start after 0\.05 s"):
            await EmbeddedPostgres(home, timeout=0.05).start()


async def test_a_first_start_that_is_cancelled_leaves_nothing_behind(home: Path) -> None:
    server = EmbeddedPostgres(home)
    starting = asyncio.ensure_future(server.start())
    await until(lambda: (home / "cluster18.new").exists())
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not server.owned
    assert await fetch(await server.start(), "SELECT 1") == "1"
    await server.stop()


async def test_a_log_that_grew_large_is_set_aside(home: Path) -> None:
    server = EmbeddedPostgres(home)
    await server.start()
    await server.stop()
    (home / "postgres.log").write_bytes(b"x" * (5 << 20))
    await server.start()
    assert (home / "postgres.log").stat().st_size < 1 << 20
    assert (home / "postgres.log.1").stat().st_size == 5 << 20
    assert (home / "postgres.log").stat().st_mode & 0o077 == 0
    await server.stop()


@pytest.mark.parametrize("whose", ["a stranger", "a zombie"])
async def test_a_pid_that_now_belongs_to_another_is_not_taken_for_the_server(home: Path, whose: str) -> None:
    server = EmbeddedPostgres(home)
    await server.start()
    await server.stop()
    who = runner()  # the server's own user: it may not tell by the owner that the process is another's
    command = ["sleep", "600"] if whose == "a stranger" else ["true"]
    other = subprocess.Popen(command, user=who.uid if who else None)
    if whose == "a zombie":
        await until(lambda: not alive(other.pid))
    (server.cluster / "postmaster.pid").write_text(
        f"{other.pid}\n{server.cluster}\n1\n5432\n/tmp/gone\n\n  1 2\nready   \n"
    )
    fresh = EmbeddedPostgres(home)
    assert await fetch(await fresh.start(), "SELECT 1") == "1"
    assert not fresh.adopted
    await fresh.stop()
    other.kill()
    other.wait()
