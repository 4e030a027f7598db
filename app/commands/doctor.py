"""`doctor`: what works here, what is missing or broken, and what to do about it; one line each.

Called by the command line, before or beside a running engine. It changes nothing: it makes no home, no secrets and no
database, and starts nothing but `postgres --version`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import psycopg

from app import secrets as secrets_of
from app import settings as settings_of
from app.commands.tunnel import post_self_test
from app.display import display_problem
from app.options import Options
from app.paths import Home, find_home, resources
from app.secrets import Secrets, SecretsError
from app.warming import COMPLETE, cache_folder, private
from engine.clock import SystemClock
from engine.settings import SettingError, Settings
from storage import dsn
from storage.binaries import find_binaries
from storage.errors import ServerError, SpoolDamaged
from storage.spool import left_in

ROOM_NEEDED = 2_000_000_000
"""A day of quotes, the ledger and the logs fit many times; below it backups begin to fail."""
PYTHON = (3, 11)
QT = ((6, 8), (6, 12))
"""PySide6 from, and below: 6.12 aborts the process on Python 3.11."""
PACKAGES = ("qasync", "SQLAlchemy", "psycopg", "numpy", "scipy", "pyarrow", "fastapi", "uvicorn", "pydantic", "msgspec")


class State(StrEnum):
    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """One line: what was looked at, how it is, what was found, and what to do unless it is ok."""

    name: str
    state: State
    found: str
    advice: str = ""

    @property
    def line(self) -> str:
        return f"{self.state:<8} {self.name:<10} {self.found}" + (f" → {self.advice}" if self.advice else "")


def run_doctor(options: Options, *, tunnel: str = "", as_json: bool = False, out: TextIO | None = None) -> int:
    """Examine and print; 1 when something is broken. What is merely missing has its advice and is no fault."""
    home = find_home(options.home)
    checks: list[Check] = []
    settings, secrets = Settings(), None
    try:
        settings = settings_of.load(home, options.overrides)
        checks.append(Check("settings", State.OK, str(home.settings) if home.settings.exists() else "defaults"))
    except SettingError as error:
        checks.append(
            Check("settings", State.BROKEN, str(error), "mend that value; the defaults were examined instead")
        )
    try:
        secrets = secrets_of.find(home)
        checks.append(secrets_check(secrets))
    except SecretsError as error:
        checks.append(Check("secrets", State.BROKEN, str(error)))
    checks += asyncio.run(examine(home, settings, tunnel=tunnel, secrets=secrets))
    show(checks, out or sys.stdout, as_json=as_json)
    return int(any(check.state is State.BROKEN for check in checks))


def show(checks: list[Check], out: TextIO, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(check) for check in checks], ensure_ascii=False), file=out)
        return
    for check in checks:
        print(check.line, file=out)


async def examine(
    home: Home,
    settings: Settings,
    *,
    tunnel: str = "",
    secrets: Secrets | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[Check]:
    """Every check, in the order a person would ask. With a tunnel address the self-test comes last."""
    checks = [
        python_check(),
        qt_check(),
        packages_check(),
        folder_check(home),
        room_check(home),
        clock_check(home),
        await database_check(environ.get("DATABASE_URL", "")),
        spool_check(home),
        await port_check(settings.intake.host, settings.intake.port),
        market_check(settings.market.source),
        display_check(environ),
        fonts_check(resources() / "fonts"),
        kernels_check(settings),
    ]
    if tunnel:
        checks.append(await tunnel_check(tunnel, secrets))
    return checks


def spool_check(home: Home) -> Check:
    """Facts that were kept beside a database that was away."""
    try:
        left = left_in(home.spool)
    except (SpoolDamaged, OSError) as error:
        return Check("spool", State.BROKEN, " ".join(str(error).split()))
    if left is None:
        return Check("spool", State.OK, "empty")
    advice = "an engine with its database brings them in; never remove the folder"
    return Check(
        "spool",
        State.OK,
        f"{left.facts} fact{'s wait' if left.facts != 1 else ' waits'} for the database in {home.spool}",
        advice,
    )


def python_check(running: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    text = ".".join(map(str, running))
    if running[:2] == PYTHON:
        return Check("python", State.OK, text)
    return Check("python", State.BROKEN, f"{text}, not 3.11", "delete .venv, then `make run PYTHON=python3.11`")


def qt_check(installed: str | None = None) -> Check:
    """PySide6 is there and of a version that lives with this Python."""
    found = installed or _version("PySide6-Essentials")
    if found is None:
        return Check("qt", State.MISSING, "PySide6-Essentials is not installed", "`make setup`")
    number = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    if QT[0] <= number < QT[1]:
        return Check("qt", State.OK, f"PySide6-Essentials {found}")
    return Check(
        "qt", State.BROKEN, f"PySide6-Essentials {found} aborts on Python 3.11", "`make setup` brings the locked one"
    )


def packages_check(names: tuple[str, ...] = PACKAGES) -> Check:
    found = {name: _version(name) for name in names}
    missing = [name for name, installed in found.items() if installed is None]
    if missing:
        return Check("packages", State.BROKEN, f"not installed: {', '.join(missing)}", "`make setup`")
    return Check("packages", State.OK, ", ".join(f"{name} {installed}" for name, installed in found.items()))


def folder_check(home: Home) -> Check:
    """The home can be written, or could be made."""
    existing = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Check(
            "folder", State.BROKEN, f"{existing}: {error.strerror}", "choose another by --home or STRIKEDESK_HOME"
        )
    if existing != home.root:
        return Check("folder", State.OK, f"{home.root}, made at the first start")
    return Check("folder", State.OK, str(home.root))


def room_check(home: Home, needed: int = ROOM_NEEDED) -> Check:
    existing = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free"
    if free >= needed:
        return Check("disk", State.OK, text)
    return Check("disk", State.BROKEN, f"{text} under {existing}", f"free some: {needed / 1e9:.0f} GB are needed")


def clock_check(home: Home, clock: SystemClock | None = None) -> Check:
    """The machine's clock is not before what it wrote itself, and New York's rules are known."""
    now = (clock or SystemClock()).wall()
    try:
        new_york = now.astimezone(ZoneInfo("America/New_York"))
    except ZoneInfoNotFoundError:
        return Check("clock", State.BROKEN, "the time zone America/New_York is unknown", "`make setup`")
    files = [path.stat().st_mtime for path in (home.settings, home.secrets, home.logs, home.database) if path.exists()]
    ahead = max(files, default=0.0) - now.timestamp()
    if ahead > 60:
        return Check(
            "clock", State.BROKEN, f"{ahead:.0f} s behind what was written before", "set the machine's clock (NTP)"
        )
    return Check("clock", State.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC, {new_york:%H:%M} in New York")


async def database_check(url: str) -> Check:
    """`DATABASE_URL` answers; without it the embedded server's programs are there and run."""
    if url:
        return await _server_check(url)
    try:
        program = find_binaries(None) / "postgres"
        process = await asyncio.create_subprocess_exec(
            str(program), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, problem = await process.communicate()
    except (ServerError, OSError) as error:
        return Check("database", State.BROKEN, f"no embedded Postgres: {error}", "`make setup`, or set DATABASE_URL")
    if process.returncode:
        return Check(
            "database", State.BROKEN, problem.decode(errors="replace").strip(), "`make setup`, or set DATABASE_URL"
        )
    return Check("database", State.OK, f"embedded, {output.decode().strip()}")


async def _server_check(url: str) -> Check:
    try:
        async with asyncio.timeout(10), await dsn.connect(url, "doctor") as connection:
            row = await (await connection.execute("show server_version")).fetchone()
    except ValueError:
        return Check("database", State.BROKEN, "DATABASE_URL is not the address of a Postgres", "mend it, or unset it")
    except (psycopg.Error, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no answer in 10 s"
        return Check("database", State.BROKEN, f"{dsn.shown(url)}: {reason}", "start it, or unset DATABASE_URL")
    assert row is not None
    return Check("database", State.OK, f"Postgres {row[0]}: {dsn.shown(url)}")


async def port_check(host: str, port: int, *, seconds: float = 3.0) -> Check:
    """Our port is free, or it is an engine of ours that answers there."""
    if port == 0:
        return Check("port", State.OK, "any free one")
    where = f"{host}:{port}"
    try:
        with socket.create_server((host, port)):
            return Check("port", State.OK, f"{where} is free")
    except PermissionError:
        return Check("port", State.BROKEN, f"{where}: not allowed", "choose a port over 1023 by --port")
    except OSError as error:
        problem = error.strerror or str(error)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=seconds) as client:
            answer = await client.get(f"http://{where}/health")
            ours = "status" in answer.json()
    except (httpx.HTTPError, ValueError, TypeError):
        ours = False
    if ours:
        return Check("port", State.OK, f"{where}: an engine answers")
    return Check("port", State.BROKEN, f"{where}: {problem}", "another program has it: choose one by --port")


def market_check(source: str) -> Check:
    kind, _, path = source.partition(":")
    if kind == "simulated":
        return Check("market", State.OK, "simulated")
    folder = Path(path).expanduser()
    if folder.is_dir() or any(folder.parent.glob(f"{folder.name}*.parquet")):
        return Check("market", State.OK, source)
    return Check("market", State.BROKEN, f"{path}: no recorded day is there", "mend market.source, or use simulated")


def display_check(environ: Mapping[str, str]) -> Check:
    problem = display_problem(environ)
    if problem is None:
        return Check("display", State.OK, environ.get("WAYLAND_DISPLAY") or environ.get("DISPLAY") or "there is one")
    return Check("display", State.MISSING, "none", problem.partition(": ")[2])


def fonts_check(folder: Path) -> Check:
    found = sorted(path.stem for path in folder.glob("*.[ot]tf"))
    if found:
        return Check("fonts", State.OK, ", ".join(found))
    return Check("fonts", State.MISSING, f"none in {folder}", "the system's font is used; unpack the program again")


def kernels_check(settings: Settings, compiler: str | None = None, folder: Path | None = None) -> Check:
    """The compiler of the pricing kernels is there, and its cache can be written."""
    if settings.pricing.kernels == "numpy":
        return Check("kernels", State.OK, "numpy, as pricing.kernels says")
    found = compiler or _version("numba")
    if found is None:
        return Check("kernels", State.MISSING, "no numba: numpy prices, to the same bits but slower", "`make setup`")
    folder = cache_folder() if folder is None else folder
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check("kernels", State.MISSING, f"numba {found}, but {existing} cannot be written: compiled anew at each start",
                     "choose another place by STRIKEDESK_CACHE")  # fmt: skip
    if folder.exists() and not private(folder):
        return Check("kernels", State.MISSING, f"numba {found}, but others may write {folder}: nothing is kept there",
                     "`chmod go-w` it, or choose another place by STRIKEDESK_CACHE")  # fmt: skip
    kept = any(folder.glob(f"*/{COMPLETE}"))
    return Check("kernels", State.OK, f"numba {found}, {'compiled code' if kept else 'nothing yet'} in {folder}")


def secrets_check(secrets: Secrets | None) -> Check:
    if secrets is None:
        return Check("secrets", State.MISSING, "not made yet", "start the desk or the engine once")
    return Check("secrets", State.OK, f"{len(secrets.values())} in {secrets.kept}")


async def tunnel_check(url: str, secrets: Secrets | None) -> Check:
    if secrets is None:
        return Check("tunnel", State.MISSING, "there are no secrets to sign with", "start the desk or the engine once")
    result = await post_self_test(url, secrets, SystemClock())
    return Check("tunnel", State.OK if result.passed else State.BROKEN, result.found, result.advice)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
