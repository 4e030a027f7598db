"""A headless engine in its own process, for tests that kill it: start, wait until it is ready, kill, stop."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class EngineProcess:
    home: Path
    port: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    ready_seconds: float = 0.0
    url: str = ""

    def start(self, timeout: float = 60.0) -> None:
        """Start and wait for the one JSON line that says it is ready."""
        command = [sys.executable, str(ROOT / "main.py"), "engine", "--home", str(self.home), "--port", str(self.port)]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIKEDESK_")}
        errors = (self.home.parent / f"{self.home.name}.stderr").open("a")
        began = time.monotonic()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env=environment
        )
        errors.close()
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], timeout)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.kill()
            said = (self.home.parent / f"{self.home.name}.stderr").read_text()[-2000:]
            raise AssertionError(f"the engine was not ready after {timeout} s: {said}")
        self.ready_seconds = time.monotonic() - began
        self.url = json.loads(line)["listening"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """SIGKILL, as a crash does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout: float = 30.0) -> int:
        """SIGTERM: a clean stop. Returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    def secrets(self) -> dict[str, str]:
        return dict(tomllib.loads((self.home / "secrets.toml").read_text()))


def run_main(*arguments: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
    """`main.py` with these arguments, to its end."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=ROOT,
        check=False,
    )
