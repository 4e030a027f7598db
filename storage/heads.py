"""Ends of the chain that were kept off the database: a text file with a line for each, and the same line for the trader.

Written by `app.heads`, read by `ledger verify --head`. A superuser can rewrite every hash to the end, or cut off the tail;
either leaves a chain that is sound in itself and does not fit a head kept elsewhere. The file only grows; a line that was
torn by a crash says so by its checksum and is passed over.
"""

from __future__ import annotations

import os
import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import psycopg

from engine.domain.canonical import time_text
from engine.ports import Head, LedgerAway
from storage.database import Database
from storage.dsn import connect

_LINE = re.compile(
    r"(?P<at>\S{27}) fact (?P<seq>[1-9][0-9]{0,18}) hash (?P<hash>[0-9a-f]{64}) ledger (?P<origin>[0-9a-f]{16})"
    r" (?:strikedesk|engine) (?P<program>\S+) sum (?P<sum>[0-9a-f]{8})"
)


class KeptHead(NamedTuple):
    """An end of the chain, as it was kept."""

    head: Head
    origin: str
    """Which ledger it is of: the first 16 hexadecimal digits of its first fact's hash."""
    program: str
    """Version of the program that kept it; lines of before named it `engine`, which is the decision engine's to be called."""


def head_line(kept: KeptHead) -> str:
    """The line of a head, without its end. Raises `ValueError` for the head of an empty ledger, which says nothing."""
    head = kept.head
    if head.at is None:
        raise ValueError("an empty ledger has no head to keep")
    text = f"{time_text(head.at)} fact {head.seq} hash {head.hash.hex()} ledger {kept.origin} strikedesk {kept.program}"
    return f"{text} sum {_sum(text)}"


def read_head(line: str) -> KeptHead | None:
    """The head of a line; None for a line that is none, or not whole."""
    found = _LINE.fullmatch(line)
    if found is None or _sum(line[: found.start("sum") - len(" sum ")]) != found["sum"]:
        return None
    try:
        at = datetime.fromisoformat(found["at"])
    except ValueError:
        return None
    head = Head(seq=int(found["seq"]), hash=bytes.fromhex(found["hash"]), at=at)
    return KeptHead(head, found["origin"], found["program"])


def counted(heads: int) -> str:
    """How many heads, in words."""
    return f"{heads} head" if heads == 1 else f"{heads} heads"


def _sum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


class HeadFile:
    """The file heads are kept in. Blocking: an append returns when the line is on the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kept: KeptHead) -> None:
        """Raises `OSError` when it cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = not self.path.exists()
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            data = ("\n" if torn else "") + head_line(kept) + "\n"
            written = os.write(handle, data.encode())
            os.fsync(handle)
            if written < len(data):
                raise OSError(f"{self.path}: only {written} of {len(data)} bytes could be written")
        finally:
            os.close(handle)
        if new:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def read(self) -> tuple[list[KeptHead], list[int]]:
        """The heads in the file, and the numbers of the lines that are none. Raises `OSError` when it cannot be read."""
        heads, damaged = [], []
        for number, line in enumerate(self.path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            kept = read_head(line)
            if kept is not None:
                heads.append(kept)
            elif line.strip():
                damaged.append(number)
        return heads, damaged


async def origin_of(database: Database) -> str:
    """Which ledger this is: by its first fact, which it has for ever. Empty while there is none. Raises `LedgerAway`."""
    try:
        async with await connect(database.app, "heads") as connection:
            row = await (await connection.execute("SELECT hash FROM strikedesk.chain WHERE seq = 1")).fetchone()
    except psycopg.OperationalError as error:
        raise LedgerAway(f"the database is away: {error}") from error
    return "" if row is None else row[0].hex()[:16]
