"""A benchmark that is told to stop takes the database server it started along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.commands.bench_progress import TERMINATED
from storage.postmaster import alive, read_pid_file

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the throwaway homes are made; the server's own user must be able to walk there."""
    with tempfile.TemporaryDirectory(prefix="strikedesk-stops-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)
        yield Path(name)


def server_of(folder: Path) -> int | None:
    """The process of the server under it."""
    for file in folder.glob("*/home/database/**/postmaster.pid"):
        found = read_pid_file(file.parent)
        if found is not None and alive(found.pid):
            return found.pid
    return None


def test_a_terminated_benchmark_leaves_no_server_behind(folder: Path) -> None:
    said = folder / "said"
    with said.open("w") as errors:
        bench = subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), "bench", "ledger", "--quick"],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(folder)},
        )
    server = None
    try:
        deadline = time.monotonic() + PATIENCE
        while server is None:
            assert bench.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            server = server_of(folder)
            time.sleep(0.02)
        assert said.read_text().splitlines()[:2] == ["bench: ledger", "bench: ledger, append"]
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(PATIENCE) == TERMINATED, said.read_text()
        assert not alive(server)
        assert "told to stop" in said.read_text()
        assert list(folder.glob("strikedesk-bench-*")) == []
    finally:
        if bench.poll() is None:
            bench.kill()
            bench.wait()
        if server is not None and alive(server):
            os.kill(server, signal.SIGKILL)
