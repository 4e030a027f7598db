"""The listener: uvicorn inside the running loop, as one supervised task among others.

It takes no signal handlers and no loop of its own, so it runs on asyncio, uvloop and qasync alike. Cancelling `serve`
stops it: no new connections, the answers under way are sent, then it returns.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from engine.intake.http import App

BACKLOG = 1024
GRACE = 3
"""Seconds the answers under way may take when it stops."""
IDLE = 75
"""Seconds an idle connection is kept."""

OnListening = Callable[[str, int], None]


class _Protocol(HttpToolsProtocol):
    """Without an access log, whatever handlers hang on its logger: it would write down `?token=`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises `OSError` when the address is taken or not ours."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(app: App, host: str, port: int, on_listening: OnListening | None = None) -> None:
    """Serve until cancelled. `on_listening(host, port)` is told the bound address once connections are taken.

    Raises `OSError` when it cannot bind: said before anything else is started.
    """
    listener = bind(host, port)
    bound = listener.getsockname()[1]
    config = uvicorn.Config(
        app,
        loop="none",
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Not Server.serve(): it would take over the process's signal handlers.
    await server.startup(sockets=[listener])
    try:
        if on_listening is not None:
            on_listening(host, bound)
        await server.main_loop()
    finally:
        await _stop(server, listener)


async def _stop(server: uvicorn.Server, listener: socket.socket) -> None:
    stopping = asyncio.ensure_future(server.shutdown(sockets=[listener]))
    try:
        await asyncio.shield(stopping)
    except asyncio.CancelledError:
        # Asked a second time: hang up at once.
        server.force_exit = True
        for task in list(server.server_state.tasks):
            task.cancel()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await stopping
        raise
