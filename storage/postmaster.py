"""What Postgres says about itself in `postmaster.pid`, and whether that process really lives.

Called by `embedded` to adopt a server that outlived us, or to clear away the traces of one that did not.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple


class PidFile(NamedTuple):
    """The lines of `postmaster.pid` that matter."""

    pid: int
    folder: Path
    port: int
    sockets: Path | None
    status: str
    """starting, ready, stopping or standby; empty while the file is being written."""


def read_pid_file(cluster: Path) -> PidFile | None:
    """The pid file of a cluster; None when there is none, or none that is whole enough to act on."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    lines += [""] * (8 - len(lines))
    try:
        pid, port = int(lines[0]), int(lines[3] or 0)
    except ValueError:
        return None
    return PidFile(pid, Path(lines[1]), port, Path(lines[4]) if lines[4] else None, lines[7].strip())


def alive(pid: int) -> bool:
    """Whether the process runs. A zombie, which only waits to be collected, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _state(pid).startswith(("Z", "X"))


def serves(pid: int, cluster: Path) -> bool:
    """Whether the living process `pid` is a Postgres of this cluster, and not a stranger with a reused number."""
    command = _command(pid)
    return "postgres" in command and str(cluster) in command


def _state(pid: int) -> str:
    """Process state letter: from /proc, or from `ps` where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X" if Path("/proc/self/stat").exists() else _ps(pid, "stat=")


def _command(pid: int) -> str:
    """The command line, its arguments separated by spaces."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _ps(pid, "command=")


def _ps(pid: int, column: str) -> str:
    answer = subprocess.run(["ps", "-ww", "-o", column, "-p", str(pid)], check=False, capture_output=True, text=True)
    return answer.stdout.strip()
