"""Starting the server's process: its settings, its user, its environment, and the folder of its socket.

Called by `embedded` only. Everything here is quick; nothing waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from storage.binaries import Runner, reachable
from storage.errors import ServerError

PORT = 5432
_SOCKET_LIMIT = 103
"""Bytes of a Unix socket's path, the smallest limit among systems (macOS) less the final NUL."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Durable: an acknowledged fact survives a power cut.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # Small and quick: one writer, a few readers, no replication, no workers we do not need.
    "max_connections": "40",
    "shared_buffers": "64MB",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_worker_processes": "2",
    "max_parallel_workers": "2",
    "autovacuum_max_workers": "1",
    "io_method": "sync",
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    "update_process_title": "off",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "cluster_name": "strikedesk",
}
if sys.platform == "darwin":
    SETTINGS["wal_sync_method"] = "fsync_writethrough"  # the others leave the commit in the drive's cache there


def popen(
    command: list[str], who: Runner | None, *, stdout: IO[bytes], new_session: bool = False
) -> subprocess.Popen[bytes]:
    # A bare environment: the user's PG* variables and a bundled app's library paths must not reach the server.
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TMPDIR": tempfile.gettempdir()}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=environment,
        start_new_session=new_session,
        user=who.uid if who else None,
        group=who.gid if who else None,
        extra_groups=[] if who else None,
    )


def write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)


def socket_folder(who: Runner | None) -> Path:
    """A new private folder whose socket path every system accepts."""
    for base in (tempfile.gettempdir(), "/tmp"):
        folder = Path(tempfile.mkdtemp(prefix="strikedesk-", dir=base))
        path = folder / f".s.PGSQL.{PORT}"
        if len(os.fsencode(path)) <= _SOCKET_LIMIT and reachable(folder.parent, who) and "," not in base:
            if who is not None:
                os.chown(folder, who.uid, who.gid)
            return folder
        folder.rmdir()
    raise ServerError(f"no folder for the server's socket is short enough: {tempfile.gettempdir()} and /tmp were tried")
