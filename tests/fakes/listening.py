"""A whole listener on a real loopback port, over a hearing and a desk in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.clock import SetClock
from engine.intake.api import create_app
from engine.intake.context import BarContext, NoBars
from engine.intake.server import serve
from engine.sessions import new_york_calendar
from engine.settings import IntakeSettings
from tests.fakes.doors import MOMENT, SECRETS, MemoryDesk, MemoryHearing


@dataclass(frozen=True, slots=True)
class Listening:
    url: str
    port: int
    clock: SetClock
    hearing: MemoryHearing
    desk: MemoryDesk
    server: asyncio.Task[None]


@asynccontextmanager
async def listening(settings: IntakeSettings | None = None, bars: BarContext | None = None) -> AsyncIterator[Listening]:
    """Listens while the block runs; stops cleanly after it."""
    clock = SetClock(MOMENT)
    hearing = MemoryHearing(clock)
    desk = MemoryDesk(hearing)
    app = create_app(
        desk,
        hearing,
        SECRETS,
        settings or IntakeSettings(rate=0),
        clock,
        bars or NoBars(),
        new_york_calendar(),
    )
    bound: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(app, "127.0.0.1", 0, lambda host, port: bound.set_result((host, port))))
    done, _ = await asyncio.wait({server, bound}, return_when=asyncio.FIRST_COMPLETED)
    if server in done:
        await server
    host, port = bound.result()
    try:
        yield Listening(f"http://{host}:{port}", port, clock, hearing, desk, server)
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
