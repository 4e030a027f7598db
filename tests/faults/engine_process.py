"""A headless engine in its own process, for tests that kill it: start, wait until it is ready, ask, kill, stop."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.warming import VARIABLE
from storage.embedded import EmbeddedPostgres
from storage.postmaster import read_pid_file

ROOT = Path(__file__).resolve().parent.parent.parent


class NotReady(AssertionError):
    """The engine ended, or said nothing, before it was ready."""


@contextlib.contextmanager
def ground(*, on_disk: bool = False) -> Iterator[Path]:
    """A folder for homes that goes away. Everybody may walk through it, as the database's own user must.

    In memory where there is room: what a test is after does not depend on the disk. Long runs measure on the disk.
    """
    memory = Path("/dev/shm")
    roomy = not on_disk and memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    folder = Path(tempfile.mkdtemp(prefix="strikedesk-faults-", dir=memory if roomy else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class EngineProcess:
    """One home and the engine on it. `port` is kept from the first start on, as a tunnel expects."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    policy: str = ""
    port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    ready_seconds: float = 0.0
    url: str = ""
    line: dict[str, Any] = field(default_factory=dict)
    """What it said when it was ready."""

    @property
    def stderr(self) -> Path:
        return self.home.parent / f"{self.home.name}.stderr"

    def launch(self) -> subprocess.Popen[str]:
        """Start without waiting."""
        assert self.process is None
        command = [sys.executable, str(ROOT / "main.py"), "engine", "--home", str(self.home), "--port", str(self.port)]
        command += ["--policy", self.policy] if self.policy else []
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with self.stderr.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=clean(self.environment)
            )
        return self.process

    def start(self, timeout: float = 60.0) -> None:
        """Start and wait for the one JSON line that says it is ready."""
        began = time.monotonic()
        process = self.launch()
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], timeout)
        line = process.stdout.readline() if readable else ""
        if not line:
            self.kill()
            raise NotReady(f"not ready after {time.monotonic() - began:.1f} s: {self.stderr.read_text()[-2000:]}")
        self.ready_seconds = time.monotonic() - began
        self.line = json.loads(line)
        self.url = self.line["listening"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """SIGKILL, as a crash does. The database's server outlives it."""
        assert self.process is not None
        self.process.kill()
        self._over()

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM: a clean stop. Returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        finally:
            self._over()

    def _over(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def end(self) -> None:
        """Whatever state it is in: nothing of it is left running."""
        if self.process is not None:
            self.kill()
        kill_database(self.home, signal.SIGQUIT)

    def rss(self) -> int:
        """Resident memory of the engine, bytes."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def secrets(self) -> dict[str, str]:
        return dict(tomllib.loads((self.home / "secrets.toml").read_text()))

    def client(self) -> httpx.Client:
        """A client of the API that may read and act."""
        token = self.secrets()["trading_token"]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=10.0)


def clean(more: dict[str, str]) -> dict[str, str]:
    """The environment without what would make this another installation; compiled kernels are shared by all."""
    kept = {
        k: v for k, v in os.environ.items() if k == VARIABLE or not k.startswith(("STRIKEDESK_", "DATABASE_", "PG"))
    }
    return kept | more


def database_pid(home: Path) -> int | None:
    """The process of the home's own database server."""
    file = read_pid_file(EmbeddedPostgres(home / "database").cluster)
    return file.pid if file is not None else None


def kill_database(home: Path, how: int = signal.SIGKILL) -> None:
    """End the home's database server without ceremony, and see it gone."""
    pid = database_pid(home)
    if pid is None:
        return
    try:
        os.kill(pid, how)
        for _ in range(1000):
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return
            time.sleep(0.01)
    except (ProcessLookupError, FileNotFoundError):
        return
    raise AssertionError(f"the database server {pid} does not end")


def run_main(*arguments: str, timeout: float = 300.0, **environment: str) -> subprocess.CompletedProcess[str]:
    """`main.py` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        env=clean(environment),
        check=False,
    )


def facts_of(home: Path, file: Path, **environment: str) -> list[dict[str, Any]]:
    """The whole ledger of a home that is at rest, as `ledger export` writes it."""
    done = run_main("ledger", "export", str(file), "--home", str(home), **environment)
    assert done.returncode == 0, done.stderr
    with file.open() as lines:  # not splitlines(): hostile bodies hold other line ends, too
        return [json.loads(line)["fact"] for line in lines]
