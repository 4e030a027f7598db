"""Backups of the ledger: dumped by Postgres's own program, and believed only after they were restored and verified.

Called by `db backup`, by the nightly job and before a migration. A backup is a dump file with a page beside it
(`*.dump.json`) that says what is in it. The proof restores the dump into a server of its own, made for that and thrown
away, and checks every hash there: the server the engine works on is only read. Nothing here changes a ledger.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.domain.canonical import time_text
from storage.database import Database, open_database, revision
from storage.dsn import SCHEMA, connect
from storage.embedded import EmbeddedPostgres
from storage.errors import BackupFailed
from storage.history import SCHEMA as MARKET
from storage.programs import run_program
from storage.reading import hashes_of
from storage.verify import verify

KEEP = 14
"""Backups that are kept."""
ENDING = ".dump"
HOME_MODE = 0o711 if os.geteuid() == 0 else 0o700
"""As root the proof's server runs as another user, who must be able to walk to it."""
_LEFT_OVER = timedelta(days=1)
"""A part file of this age belongs to a run that broke off."""
_OURS = re.compile(r"strikedesk-(?:[0-9a-f]{8}-|empty-)?\d{8}T\d{6}Z\.dump")


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """The page beside a dump. It is written last: a dump without one is not a backup."""

    name: str
    made: datetime
    facts: int
    head: str
    """Hash of the last fact, hexadecimal."""
    ends: datetime | None
    """Engine time of the last fact."""
    revision: str
    server: str
    size: int
    """Bytes of the dump."""
    sha256: str
    ledger: str = ""
    """Whose it is: hash of the ledger's first fact, hexadecimal; empty for one without facts, and in pages of the former
    format, which do not say it."""


class Owner(NamedTuple):
    """A ledger as the owner of backups, as of the moment it was asked: see `owner`."""

    ledger: str
    """Hash of its first fact, hexadecimal; empty while it has none."""
    ends: frozenset[tuple[int, str]] = frozenset()
    """Ends (facts, head) of pages of the former format that lie on its chain."""

    def owns(self, made: Backup) -> bool:
        """A page without a ledger's mark is told by its end: only the chain that it was made of has that hash there."""
        if made.ledger or not made.facts:
            return made.ledger == self.ledger
        return (made.facts, made.head) in self.ends


async def backup(dsn: str, folder: Path, now: datetime, *, keep: int = KEEP) -> Backup:
    """Dump the database of this owner's address into `folder`, prove the dump, and remove the oldest beyond `keep`.

    `now` and the ledger name the file; in a folder that several ledgers share each removes its own only. A dump of an
    older revision is migrated in the proof, so that a migration is tried on a copy before it is made. Raises `BackupFailed` when there is no sound backup afterwards; nothing is removed then.
    """
    async with await connect(dsn, "backup") as connection:
        found = await revision(connection)
        server = connection.info.parameter_status("server_version") or ""
        row = await (await connection.execute("SELECT pg_database_size(current_database())")).fetchone()
    if found is None:
        raise BackupFailed("there is no ledger in this database to back up")
    _prepare(folder, int(row[0]) if row else 0)
    partial = folder / f"strikedesk-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}{ENDING}.part"
    partial.unlink(missing_ok=True)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        await dump(dsn, partial)
        async with restored_aside(partial, folder) as copy:
            report = await verify(copy)
            mine = await owner(copy, folder)
        if not report.ok:
            raise BackupFailed(f"the dump does not verify: {report.problems[0]}")
        _sync(partial)
        target = folder / f"strikedesk-{mine.ledger[:8] or 'empty'}-{now:%Y%m%dT%H%M%SZ}{ENDING}"
        partial.replace(target)
    except OSError as error:
        raise BackupFailed(f"no backup could be written to {folder}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    head = report.head
    made = Backup(
        name=target.name,
        made=now,
        facts=report.facts,
        head=head.hash.hex() if head else "",
        ends=head.at if head else None,
        revision=found,
        server=server,
        size=target.stat().st_size,
        sha256=digest(target),
        ledger=mine.ledger,
    )
    _write_page(target, made)
    prune(folder, now, keep, mine)
    return made


async def owner(database: Database, folder: Path) -> Owner:
    """Whose backups in the folder this database's are. Raises `LedgerAway` without the database."""
    pages = await asyncio.to_thread(backups, folder)
    former = {(made.facts, made.head) for _, made in pages if made.facts and not made.ledger}
    hashes = await hashes_of(database.engine, {1, *(facts for facts, _ in former)})
    ends = frozenset((facts, head) for facts, head in former if facts in hashes and hashes[facts].hex() == head)
    return Owner(hashes.get(1, b"").hex(), ends)


async def dump(dsn: str, file: Path) -> None:
    """Write the ledger's schema with all its rows, of one snapshot, to `file`. Of market history only the empty tables
    go along: it is large, and nothing is decided from it."""
    await run_program(
        "pg_dump", dsn, "--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=20000",
        f"--schema={SCHEMA}", f"--schema={MARKET}", f"--exclude-table={MARKET}.*_20*",
        f"--exclude-table-data={MARKET}.*", f"--file={file}",
    )  # fmt: skip


async def load(dsn: str, file: Path) -> None:
    """Put a dump into a database without the ledger's schema: all of it or nothing. History that is there stays."""
    async with await connect(dsn, "restore") as connection:
        there = await (await connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", [MARKET])).fetchone()
        arguments = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
        if there is not None and there[0]:
            await connection.execute(f"CREATE SCHEMA {SCHEMA}")  # choosing a schema leaves out the schema itself
            arguments.append(f"--schema={SCHEMA}")
        await run_program("pg_restore", dsn, *arguments, str(file))
        # Privileges stay out of dumps, for the roles of another server are others. What PUBLIC may do by default it
        # may not do here.
        await connection.execute(_CLOSE_FUNCTIONS)


_CLOSE_FUNCTIONS = f"""
DO $$
DECLARE one regprocedure;
BEGIN
    FOR one IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
               WHERE n.nspname IN ('{SCHEMA}', '{MARKET}') LOOP
        EXECUTE 'REVOKE ALL ON FUNCTION ' || one || ' FROM PUBLIC';
    END LOOP;
END $$"""


@asynccontextmanager
async def restored_aside(file: Path, folder: Path) -> AsyncIterator[Database]:
    """The dump as an opened, migrated database on a server of its own, gone afterwards. Raises `BackupFailed`."""
    place = _proof_place(folder)
    server = EmbeddedPostgres(place / "database")
    try:
        dsn = await server.start()
        await load(dsn, file)
        copy = await open_database(dsn)
        try:
            yield copy
        finally:
            await copy.close()
    finally:
        await server.stop()
        _remove(server, place)


def _proof_place(folder: Path) -> Path:
    place = Path(tempfile.mkdtemp(prefix="proof-", dir=folder))
    place.chmod(HOME_MODE)
    return place


def backups(folder: Path, whose: Owner | None = None) -> list[tuple[Path, Backup]]:
    """The backups of a folder, newest first; of one ledger only where it is named. A page that cannot be read is passed
    over: its dump is no backup."""
    found = []
    for page in folder.glob(f"*{ENDING}.json"):
        file = page.with_suffix("")
        made = read_page(file)
        if made is not None and file.is_file() and (whose is None or whose.owns(made)):
            found.append((file, made))
    return sorted(found, key=lambda pair: (pair[1].made, pair[0].name), reverse=True)


def read_page(file: Path) -> Backup | None:
    """What the page beside a dump says; None without one."""
    try:
        return msgspec.json.decode(file.with_name(file.name + ".json").read_bytes(), type=Backup)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def prune(folder: Path, now: datetime, keep: int, whose: Owner) -> list[Path]:
    """Remove this ledger's oldest backups beyond `keep`, and what broken-off runs of anybody have left for a day: parts,
    and dumps that never got their page. What was removed."""
    gone = [file for file, _ in backups(folder, whose)[max(keep, 1) :]]
    for file in gone:
        file.with_name(file.name + ".json").unlink(missing_ok=True)  # first, so that no page names a missing dump
        file.unlink(missing_ok=True)
    old = now.timestamp() - _LEFT_OVER.total_seconds()
    parts = [*folder.glob(f"*{ENDING}.part"), *folder.glob(f"*{ENDING}.json.part")]
    orphans = [
        file
        for file in folder.glob(f"strikedesk-*{ENDING}")
        if _OURS.fullmatch(file.name) and not file.with_name(file.name + ".json").exists()
    ]
    for left in (*parts, *orphans):
        if _older(left, old):
            left.unlink(missing_ok=True)
            gone.append(left)
    for place in folder.glob("proof-*"):
        if _older(place, old):
            _remove(EmbeddedPostgres(place / "database"), place)
            gone.append(place)
    return gone


def _older(path: Path, moment: float) -> bool:
    """Not so for what went meanwhile: another ledger's run may clean the same folder."""
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False


def _remove(server: EmbeddedPostgres, place: Path) -> None:
    """A proof's server was stopped or killed; one that should still run stops by itself when its folder goes."""
    shutil.rmtree(server.cluster, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)


def digest(file: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    found = sha256()
    with file.open("rb") as source:
        while block := source.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def described(made: Backup) -> str:
    """A backup in one line for people."""
    ends = f" up to {time_text(made.ends)[:19].replace('T', ' ')} UTC" if made.ends else ""
    return f"{made.name}: {made.facts} fact{'' if made.facts == 1 else 's'}{ends}, {made.size / 1e6:.1f} MB, restored and verified"


def _prepare(folder: Path, size: int) -> None:
    """Make the folder and see that there is room: the proof needs as much as the database, the dump some of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=HOME_MODE)
    except OSError as error:
        raise BackupFailed(f"{folder}: the folder for backups cannot be made ({error.strerror})") from error
    free = shutil.disk_usage(folder).free
    needed = int(1.5 * size) + (64 << 20)
    if free < needed:
        raise BackupFailed(f"{folder} has {free / 1e9:.1f} GB free; a proved backup needs about {needed / 1e9:.1f} GB")


def _write_page(file: Path, made: Backup) -> None:
    page = file.with_name(file.name + ".json")
    partial = page.with_name(page.name + ".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    _sync(partial)
    partial.replace(page)
    _sync(page.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
