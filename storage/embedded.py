"""The embedded database: a real Postgres of our own, started with the engine and stopped with it.

Called by the app when no `DATABASE_URL` is given. It listens on a private Unix socket only, asks for a password even
there, and keeps every durability setting on. It never deletes data, and never stops a server that others still use.

Who holds the lock on `server.lock` looks after the server. A lock dies with its process, so after a kill -9 the next
start finds the lock free and the server running, and adopts it. A second process, while the first lives, is a guest:
it gets the address and leaves the server alone; whoever leaves last stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql

from storage import dsn as addresses
from storage.binaries import CACHE, Runner, find_binaries, reachable, runner
from storage.errors import ServerError
from storage.postmaster import PidFile, alive, read_pid_file, serves
from storage.server_process import PORT, SETTINGS, popen, socket_folder, write_private

SUPERUSER = "strikedesk"
_POLL = 0.004
_LOOK = 0.5
_LONGEST_PAUSE = 10.0
"""Seconds between two looks at the server, and between two attempts to start it when that does not help."""


class _NotAnswering(ServerError):
    """It runs, but takes no connection now."""


class EmbeddedPostgres:
    """The server of one data folder. Not bound to an event loop: it may be started in one and stopped in another.

    `data_dir` may hold spaces. `password` is for an app that keeps it elsewhere (a keychain); without one it is made
    and kept in the data folder, readable by its owner alone. `package` and `cache` move the programs (see `binaries`).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        password: str | None = None,
        database: str = "strikedesk",
        timeout: float = 60.0,
        package: Path | None = None,
        cache: Path = CACHE,
    ) -> None:
        self.data_dir = data_dir.expanduser().absolute()
        self.adopted = False
        """Whether the last start found a server that had outlived its engine."""
        self._given = password
        self._database = database
        self._timeout = timeout
        self._package = package
        self._cache = cache
        self._lock: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._sockets: Path | None = None
        self._stopping = False
        self._log_from = 0

    @property
    def owned(self) -> bool:
        """Whether this process looks after the server, and stops it."""
        return self._lock is not None

    @property
    def cluster(self) -> Path:
        """The folder of the Postgres cluster itself."""
        return (self.data_dir / "cluster18").resolve()

    async def start(self) -> str:
        """Start, adopt or join the server; the address of the database as its owner, who migrates.

        Raises `ServerError` with the end of the server's log when it does not come up within `timeout` seconds.
        """
        self._stopping = False
        who = runner()
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if who else 0o700)
        deadline = time.monotonic() + self._timeout
        try:
            while not await self._join_or_launch(who, deadline):  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(_POLL)
        except BaseException:
            await self.stop()
            raise
        return self.dsn()

    def dsn(self, database: str | None = None) -> str:
        """The owner's address of a database of the running server."""
        if self._sockets is None:
            raise ServerError("the embedded server was not started")
        return addresses.url(
            user=SUPERUSER,
            password=self._password(),
            database=database or self._database,
            host=str(self._sockets),
            port=PORT,
        )

    async def run(self, report: Callable[[str], None] = lambda problem: None) -> None:
        """Watch the server until `stop`, and start it again if it dies. The address stays the same.

        A server that does not come up again is tried for as long as it takes. `report` is told why it is away, and
        with an empty text that it is back.
        """
        pause, away = _LOOK, False
        while not self._stopping:
            await asyncio.sleep(pause)
            # A guest looks after the server, too, once the one who did has gone.
            if self._stopping or not self._take_lock() or self._lives():
                continue
            self._child = None
            try:
                running = await self._find_running()
                if running is not None:
                    self._pid = running.pid
                    continue
                if not away:
                    report(f"the database server of {self.data_dir} died and is being started again")
                away = True
                await self._launch(runner())
            except (ServerError, OSError) as error:
                report(str(error))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                report("")
                pause, away = _LOOK, False

    async def stop(self) -> None:
        """Stop the server if it is ours and no other engine uses it; leave it otherwise. Safe to call twice."""
        self._stopping = True
        if self._pid and self._take_lock() and not (self._lives() and await self._others()):
            await self._shut_down()
        if self._child is not None:
            self._child.returncode = 0  # it lives on, on purpose: Python need not warn of it
            self._child = None
        self._pid = 0
        self._release_lock()

    async def _join_or_launch(self, who: Runner | None, deadline: float) -> bool:
        """One attempt. False when the server that was found has just begun to stop: look again."""
        running = await self._find_running()
        self.adopted = running is not None and self.owned
        if running is None:
            await self._launch(who)
        else:
            self._pid, self._sockets = running.pid, running.sockets
        try:
            await self._create_database()
        except _NotAnswering as error:
            # One that says nothing at all is frozen more likely than busy: whoever asks is told sooner.
            silent = isinstance(error.__cause__, psycopg.errors.ConnectionTimeout)
            if running is None or time.monotonic() > (deadline - self._timeout * 2 / 3 if silent else deadline):
                raise
            self._pid, self._sockets = 0, None
            return False
        return True

    # --- finding and launching ------------------------------------------------------------------------------------

    async def _find_running(self) -> PidFile | None:
        """A server of this folder that is ready; None when we hold the lock and there is none."""
        deadline = time.monotonic() + self._timeout
        while True:
            owner = self._take_lock()
            file = read_pid_file(self.cluster)
            here = file is not None and alive(file.pid) and serves(file.pid, self.cluster)
            if file is not None and here and file.status == "ready" and file.sockets is not None:
                return file
            if owner and not here:
                return None
            if time.monotonic() > deadline:
                state = f"is {file.status or 'silent'}" if file is not None else "does not start"
                raise ServerError(f"the server of {self.data_dir} {state} after {self._timeout:g} s{self._log_tail()}")
            await asyncio.sleep(_POLL)

    async def _launch(self, who: Runner | None) -> None:
        programs = find_binaries(who, package=self._package, cache=self._cache)
        if (stale := read_pid_file(self.cluster)) is not None:
            self._clear(stale)
        if self._sockets is None or not self._sockets.is_dir():
            self._sockets = socket_folder(who)
        if not self.cluster.is_dir():
            await self._initialise(programs, who, self._sockets / "password")
        deadline = time.monotonic() + self._timeout
        while True:
            self._spawn(programs, who)
            if await self._ready(deadline):
                return
            # The last processes of a killed server need a moment to go; until then its memory counts as in use.
            if "still in use" not in self._log_tail() or time.monotonic() > deadline:
                raise ServerError(f"the server of {self.data_dir} does not start{self._log_tail()}")
            await asyncio.sleep(0.1)

    def _spawn(self, programs: Path, who: Runner | None) -> None:
        log = self.data_dir / "postgres.log"
        if log.exists() and log.stat().st_size > 4 << 20:
            log.replace(log.with_suffix(".log.1"))
        command = [str(programs / "postgres"), "-D", str(self.cluster), "-k", str(self._sockets), "-p", str(PORT)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        self._log_from = log.stat().st_size if log.exists() else 0
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
            # A session of its own: Ctrl-C in our terminal must not stop the database before the last facts are in it.
            self._child = popen(command, who, stdout=out, new_session=True)
        self._pid = self._child.pid

    async def _ready(self, deadline: float) -> bool:
        while time.monotonic() < deadline:
            file = read_pid_file(self.cluster)
            if file is not None and file.pid == self._pid and file.status == "ready":
                return True
            if not self._lives():
                return False
            await asyncio.sleep(_POLL)
        return False

    async def _initialise(self, programs: Path, who: Runner | None, pass_file: Path) -> None:
        """Make the cluster beside its place and move it there when it is whole: a broken-off start leaves nothing."""
        place = self.data_dir / "cluster18"
        target = place if reachable(self.data_dir, who) else self._elsewhere()
        fresh = target.with_name(target.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True, mode=0o700)
        try:
            await self._initdb(programs, who, pass_file, fresh)
        finally:
            os.unlink(pass_file)
        if target.exists():
            # The data of a folder that was here before and was removed. It is nobody's now, but data is never deleted.
            left = next(n for n in itertools.count(1) if not target.with_name(f"{target.name}.left{n}").exists())
            target.rename(target.with_name(f"{target.name}.left{left}"))
        fresh.rename(target)
        if target != place:
            place.symlink_to(target)

    async def _initdb(self, programs: Path, who: Runner | None, pass_file: Path, folder: Path) -> None:
        write_private(pass_file, self._password(make=True))
        if who is not None:
            os.chown(folder, who.uid, who.gid)
            os.chown(pass_file, who.uid, who.gid)
        command = [str(programs / "initdb"), "-D", str(folder), "-U", SUPERUSER, "-A", "scram-sha-256"]
        command += [f"--pwfile={pass_file}", "--encoding=UTF8", "--no-locale"]
        with tempfile.TemporaryFile() as out:
            with popen(command, who, stdout=out) as child:
                try:
                    while child.poll() is None:  # noqa: ASYNC110 - a child process sets no event
                        await asyncio.sleep(_POLL)
                except BaseException:
                    child.kill()
                    raise
            if child.returncode:
                out.seek(0)
                said = out.read().decode(errors="replace")
                raise ServerError(f"no database could be made in {folder}: {said[-800:]}")

    def _elsewhere(self) -> Path:
        """A place for the cluster when the user who runs it cannot walk to the data folder; a link there names it."""
        mark = sha256(str(self.data_dir.resolve()).encode()).hexdigest()[:12]
        temporary = Path(tempfile.gettempdir()).resolve()
        if self.data_dir.resolve().is_relative_to(temporary):  # what is temporary stays temporary
            return temporary / f"strikedesk-{mark}"
        home = Path("/var/lib/strikedesk")
        home.mkdir(parents=True, exist_ok=True, mode=0o755)
        return home / mark

    def _clear(self, stale: PidFile) -> None:
        """Postgres clears away a dead server's pid file itself, except when its number is in use again (by a stranger,
        or by a zombie nobody collects): then it would refuse to start. That the memory of the old server is free it
        still checks by itself."""
        if not (alive(stale.pid) and serves(stale.pid, self.cluster)):
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)
            if self._sockets is not None:  # the socket's own lock names the dead process, too
                (self._sockets / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
            if self._sockets is None and stale.sockets is not None and stale.sockets.name.startswith("strikedesk-"):
                shutil.rmtree(stale.sockets, ignore_errors=True)

    async def _create_database(self) -> None:
        with contextlib.suppress(psycopg.errors.InvalidCatalogName):
            connection = await self._connect(self._database)
            await connection.close()
            return
        connection = await self._connect("postgres")
        async with connection:
            name = sql.Identifier(self._database)
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(name))

    async def _connect(self, database: str) -> addresses.Connection:
        try:
            return await addresses.connect(self.dsn(database), "supervisor")
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ServerError(f"the password does not fit the server of {self.data_dir}") from error
            if isinstance(error, psycopg.errors.InvalidCatalogName) or "does not exist" in str(error):
                raise psycopg.errors.InvalidCatalogName(str(error)) from error
            raise _NotAnswering(f"the server of {self.data_dir} runs but does not answer: {error}") from error

    # --- stopping ---------------------------------------------------------------------------------------------------

    async def _others(self) -> bool:
        """Whether another process of ours is connected. Our own closed connections may take a moment to go."""
        own = addresses.application_name("%").partition("@")[0] + "@%"
        query = """SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
                   AND application_name LIKE 'strikedesk %%' AND application_name NOT LIKE %s"""
        try:
            async with await self._connect("postgres") as connection:
                row = await (await connection.execute(query, [own])).fetchone()
        except ServerError:
            return False  # a server that does not answer serves nobody
        return row is not None and row[0] > 0

    async def _shut_down(self) -> None:
        for how, patience in ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, how)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                if not self._lives():
                    self._child = None
                    if self._sockets is not None:
                        shutil.rmtree(self._sockets, ignore_errors=True)
                    return
                await asyncio.sleep(_POLL)
        raise ServerError(f"the server of {self.data_dir} (process {self._pid}) does not stop")

    def _lives(self) -> bool:
        if self._child is not None and self._child.pid == self._pid:
            return self._child.poll() is None  # collects it, too
        return alive(self._pid)

    # --- lock, password, log ----------------------------------------------------------------------------------------

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        handle = os.open(self.data_dir / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _password(self, *, make: bool = False) -> str:
        if self._given is not None:
            return self._given
        file = self.data_dir / "password"
        try:
            return file.read_text()
        except FileNotFoundError:
            if not make:
                raise ServerError(f"the password of the server is missing: {file} was removed") from None
        password = secrets.token_urlsafe(32)
        write_private(file, password)
        return password

    def _log_tail(self) -> str:
        """What the server said since its last start, for an error message."""
        try:
            with (self.data_dir / "postgres.log").open(errors="replace") as log:
                log.seek(self._log_from)
                lines = log.read().splitlines()[-12:]
        except FileNotFoundError:
            return ""
        return "; the end of its log:\n" + "\n".join(lines)
