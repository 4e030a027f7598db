"""An engine that cannot start says why in one clear line, and exits 2."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.engine_process import EngineProcess, facts_of, ground, kill_database, run_main


@pytest.fixture
def home() -> Iterator[Path]:
    with ground() as folder:
        yield folder / "home"
        kill_database(folder / "home", signal.SIGQUIT)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("strikedesk: ")
    return lines[0]


def test_a_second_engine_on_the_same_home_is_told_who_has_it(home: Path) -> None:
    first = EngineProcess(home)
    first.start()
    try:
        said = one_line(run_main("engine", "--home", str(home), "--port", "0"))
        assert "Strikedesk is already running on this database" in said
        assert first.process is not None
        assert str(first.process.pid) in said
        with first.client() as client:
            assert client.get("/health").json()["status"] == "ok"
        assert first.stop() == 0
    finally:
        first.end()
    ledger = facts_of(home, home.parent / "facts.jsonl")
    assert [f["fact"] for f in ledger if f["fact"].startswith("Engine")] == ["EngineStarted", "EngineStopped"]


def test_a_port_that_is_taken_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_line(run_main("engine", "--home", str(home), "--port", str(port)))
    assert f"port {port} on 127.0.0.1" in said
    assert "--port" in said


def test_a_broken_settings_file_is_named_with_its_line(home: Path) -> None:
    home.mkdir()
    file = home / "settings.toml"
    file.write_text('[approvals]\npolicy = "manual"\n\n[risk]\nmax_heat = 3.0\n')
    said = one_line(run_main("engine", "--home", str(home), "--port", "0"))
    assert f"{file}:5: risk.max_heat" in said
    file.write_text('[risk]\nmax_heat = "0.1\n')
    said = one_line(run_main("engine", "--home", str(home), "--port", "0"))
    assert str(file) in said
    assert "line 2" in said
    assert not (home / "database").exists()


def test_a_database_that_is_not_there_is_named_without_its_password(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = f"postgresql://somebody:hunter2hunter2@127.0.0.1:{port}/desk"
    said = one_line(run_main("engine", "--home", str(home), "--port", "0", DATABASE_URL=url))
    assert "desk on 127.0.0.1" in said
    assert "hunter2" not in said


def test_told_to_stop_while_it_starts_it_stops_cleanly(home: Path) -> None:
    engine = EngineProcess(home)
    process = engine.launch()
    while not (home / "database" / "cluster18").exists():
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 0, engine.stderr.read_text()
    engine.end()
    ledger = facts_of(home, home.parent / "facts.jsonl")
    assert ledger[-1]["fact"] == "EngineStopped"
