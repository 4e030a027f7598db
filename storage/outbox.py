"""Messages for the trader, kept on this disk until somebody delivers them: the Messenger port as a file.

Used where no other messenger is set up. A line a message; what was told survives a crash. Nothing here delivers: a
messenger with a line to the outside reads the file from where it left off.
"""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

import msgspec

from engine.ports import Clock


class Message(msgspec.Struct, frozen=True):
    """One line of the file."""

    at: datetime
    subject: str
    text: str


class FileMessenger:
    """The Messenger port. `path` is made when the first message comes."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    async def tell(self, subject: str, text: str) -> None:
        line = msgspec.json.encode(Message(self._clock.wall(), subject, text)) + b"\n"
        await asyncio.to_thread(self._append, line)

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def messages(self, after: int = 0) -> list[Message]:
        """What was told, oldest first, without the first `after`. A line torn by a crash was never told."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        found = []
        for line in lines[after:]:
            try:
                found.append(msgspec.json.decode(line, type=Message))
            except msgspec.DecodeError:
                continue
        return found
