"""Warms the pricing kernels behind a running engine, and says what serves.

numpy serves from the first moment, with the same bits. Compiling takes long and would hold the interpreter while it lasts, so another
process of the lowest priority does it, into a cache on disk; this one only loads what is there. Started by `app.lifecycle` once the window
is open or the ready line is out; a stop in between ends that process.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog
from platformdirs import user_cache_path

from app.paths import program
from engine.pricing import kernels
from engine.pricing.kernels import runtime

log = structlog.get_logger("kernels")

VARIABLE = "STRIKEDESK_CACHE"
COMPLETE = "complete"
"""Name of the empty file in a folder of compiled code that says that all of it is there."""
LEAST_URGENT = 19


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where compiled code is kept: `STRIKEDESK_CACHE`, else the platform's own place for caches. All homes share it, and it may be
    deleted at any time."""
    told = environ.get(VARIABLE)
    return (Path(told).expanduser().absolute() if told else user_cache_path("Strikedesk", appauthor=False)) / "kernels"


def private(folder: Path) -> bool:
    """Make the folder if need be; False where it is not ours alone, for what lies in it is run."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def complete(folder: Path) -> bool:
    """Code of exactly these sources, compiled by exactly these versions, is there. Imports the compiler, which takes a moment."""
    try:
        return (folder / runtime.fingerprint() / COMPLETE).exists()
    except ImportError:
        return False


def run_kernels(folder: Path | None) -> int:
    """The command `kernels`: compile into the cache and say what serves. 1 where there is no compiled code."""
    folder = folder if folder is not None else cache_folder()
    kept = private(folder)
    kernels.prepare(folder if kept else None)
    with contextlib.ExitStack() as stack:
        if kept:
            # One at a time: who comes second finds what the first has made.
            lock = stack.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        state = kernels.warm()
        if kept and state.serving is kernels.Serving.COMPILED and not state.reason:
            (folder / runtime.fingerprint() / COMPLETE).touch()
    sys.stdout.write(f"{state.serving}{f': {state.reason}' if state.reason else ''}\n")
    return 0 if state.serving is kernels.Serving.COMPILED else 1


def serve_compiled(folder: Path | None = None) -> kernels.State:
    """Machine code in this process before it goes on: for commands with much to compute. Half a minute once, when nothing is
    kept yet, and a second afterwards. numpy serves where there can be none; a cache that cannot be written is no fault."""
    folder = folder if folder is not None else cache_folder()
    kept = private(folder)
    kernels.prepare(folder if kept else None)
    with contextlib.ExitStack() as stack:
        if kept:
            with contextlib.suppress(OSError):
                fcntl.flock(stack.enter_context((folder / "lock").open("w")), fcntl.LOCK_EX)
        state = kernels.warm()
        if kept and state.serving is kernels.Serving.COMPILED and not state.reason:
            # Where the code was there from before, under another folder, there is nothing here to call complete.
            with contextlib.suppress(OSError):
                (folder / runtime.fingerprint() / COMPLETE).touch()
    return state


async def warm(ready: asyncio.Event, *, allowed: bool = True, folder: Path | None = None) -> None:
    """Wait for `ready`, have the code compiled if it is not there yet, and load it. Returns when that is done, or cannot be."""
    await ready.wait()
    folder = folder if folder is not None else cache_folder()
    kept = private(folder)
    kernels.prepare(folder if kept else None, allow_compiler=allowed)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="kernels") as worker:  # which waits for what is under way
        if allowed and kept and not await loop.run_in_executor(worker, complete, folder):
            await _compile(folder, worker)
        state = await loop.run_in_executor(worker, kernels.warm)
    log.info("kernels", serving=state.serving.value, reason=state.reason)


async def _compile(folder: Path, worker: ThreadPoolExecutor) -> None:
    """In a process of its own, which ends with this task. What goes wrong there shows when the code is loaded."""
    command = [*program(), "kernels", "--cache", str(folder)]
    try:
        process = _start(command)
    except OSError as error:
        log.warning("kernels_not_compiled", error=str(error))
        return
    try:
        await asyncio.get_running_loop().run_in_executor(worker, process.wait)
    finally:
        _reap(process)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Harmless once it has ended."""
    process.kill()
    process.wait()


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
