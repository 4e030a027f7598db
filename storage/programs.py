"""Runs Postgres's own programs (`pg_dump`, `pg_restore`) against a database. Called by backup and restore."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from storage.binaries import find_binaries
from storage.dsn import application_name, normal
from storage.errors import BackupFailed

_POLL = 0.02
_SAID = 300
"""Characters of a program's words that an error repeats."""


async def run_program(name: str, dsn: str, *arguments: str) -> None:
    """Run one of the programs that came with the server and wait for its end.

    The password goes by the environment, where other users cannot read it. Raises `BackupFailed` with what the program
    said. Cancelled, it takes the program along.
    """
    parts = conninfo_to_dict(normal(dsn))
    password = parts.pop("password", None)
    parts["application_name"] = application_name(name)
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TMPDIR": tempfile.gettempdir()}
    if password:
        environment["PGPASSWORD"] = str(password)
    address = make_conninfo("", **parts)
    command = [str(_program(name)), f"--dbname={address}", *arguments]
    with tempfile.TemporaryFile() as out:
        child = _start(command, environment, out)
        try:
            while child.poll() is None:  # noqa: ASYNC110 - a child process sets no event
                await asyncio.sleep(_POLL)
        except BaseException:
            child.kill()
            child.wait()
            raise
        if child.returncode:
            out.seek(0)
            said = sentence(out.read().decode(errors="replace"))
            raise BackupFailed(f"{name} failed: {said or f'exit code {child.returncode}'}")


def sentence(said: str) -> str:
    """What went wrong first, on one line: the programs repeat SQL, hints and their own name around it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    line = next((line for line in lines if "error:" in line.lower()), lines[-1] if lines else "")
    return re.split(r"(?i:error:)\s*", line)[-1][:_SAID]


def _start(command: list[str], environment: dict[str, str], out: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out, cwd="/", env=environment
    )


def _program(name: str) -> Path:
    found = find_binaries(None) / name
    if not found.is_file():
        raise BackupFailed(f"{name} did not come with the server's programs ({found.parent})")
    return found
