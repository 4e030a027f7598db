"""A wire between a client and the server's socket that can be cut at the worst moment: before a statement arrives, or
after it was carried out and before the answer is heard."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum, auto
from pathlib import Path

from storage.dsn import part, replaced


class Cut(Enum):
    NEVER = auto()
    REQUEST = auto()
    """What contains the marker never reaches the server; the connection breaks."""
    ANSWER = auto()
    """It reaches the server, the answer is swallowed, then the connection breaks."""
    ALL = auto()
    """Nobody gets through."""


class Wire:
    """A socket of its own in `folder`; `dsn` is the address through it. Cuts once on `marker`, then lets all through.

    The marker is a word of the facts: it goes over the wire with the values, in the message that makes the commit."""

    def __init__(self, dsn: str, folder: Path, marker: bytes = b"TicketRejected") -> None:
        self.dsn = replaced(dsn, host=str(folder))
        self.cut = Cut.NEVER
        self.cuts = 0
        self._target = Path(part(dsn, "host")) / ".s.PGSQL.5432"
        self._path = folder / ".s.PGSQL.5432"
        self._marker = marker
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_unix_server(self._connected, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.break_off()
        await self._server.wait_closed()

    def break_off(self) -> None:
        """Break every connection now."""
        for writer in list(self._open):
            writer.close()

    def stall(self, stalled: bool = True) -> None:
        """Nothing arrives on either side any more, and no connection breaks; or all that was held up arrives."""
        (self._flowing.clear if stalled else self._flowing.set)()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut is Cut.ALL:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        both = {writer, server_writer}
        self._open |= both
        swallow = asyncio.Event()

        async def forward() -> None:
            while data := await reader.read(1 << 16):
                await self._flowing.wait()
                if self.cut in (Cut.REQUEST, Cut.ANSWER) and self._marker in data:
                    self.cuts += 1
                    cut, self.cut = self.cut, Cut.NEVER
                    if cut is Cut.REQUEST:
                        return
                    swallow.set()
                server_writer.write(data)
                await server_writer.drain()

        async def back() -> None:
            while data := await server_reader.read(1 << 16):
                await self._flowing.wait()
                if swallow.is_set():
                    return
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.ensure_future(forward()), asyncio.ensure_future(back())]
        with contextlib.suppress(ConnectionError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._open -= both
        for each in both:
            each.close()
