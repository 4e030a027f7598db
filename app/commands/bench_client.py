"""A lean HTTP sender for the benchmarks: warm connections and ready-made bytes, so that the engine is measured, not the client."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit


class Wire:
    """One keep-alive connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, request: bytes) -> tuple[int, bytes, float]:
        """Status, body and seconds from the write to the answer's last byte."""
        began = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = await self._reader.readexactly(length) if length else b""
        return int(head.split(b" ", 2)[1]), body, time.perf_counter() - began

    def close(self) -> None:
        self._writer.close()


class Wires:
    """A pool of warm connections to one address. More requests than connections wait their turn in order."""

    def __init__(self, address: str, count: int) -> None:
        self._host = urlsplit(address).hostname or "127.0.0.1"
        self._port = urlsplit(address).port or 80
        self._count = count
        self._free: asyncio.Queue[Wire] = asyncio.Queue()
        self._all: list[Wire] = []

    async def open(self) -> None:
        for _ in range(self._count):
            wire = Wire(*await asyncio.open_connection(self._host, self._port))
            self._all.append(wire)
            self._free.put_nowait(wire)

    def request(self, path: str, token: str, body: bytes) -> bytes:
        """The bytes of one POST."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def post(self, request: bytes) -> tuple[int, bytes, float]:
        wire = await self._free.get()
        try:
            return await wire.post(request)
        finally:
            self._free.put_nowait(wire)

    def close(self) -> None:
        for wire in self._all:
            wire.close()
