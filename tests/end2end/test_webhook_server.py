"""The listener as a task among others: bound ports, clean stops, and the three loops it runs on."""

from __future__ import annotations

import asyncio
import json
import signal
import socket

import httpx
import pytest
import uvloop
from opentelemetry import trace

from engine.intake.server import bind, serve
from tests.bodies import signal_body
from tests.fakes.doors import SECRETS
from tests.fakes.hostile import MOMENT_MS
from tests.fakes.listening import listening

BODY = json.dumps(signal_body(price=660.0, timestamp=MOMENT_MS)).encode()
PATH = f"/webhook/signal?token={SECRETS.signal[0]}"


async def _post_by_hand(port: int) -> bytes:
    """Without a client library, so that only the loop's own sockets are asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return status


async def _journey() -> None:
    async with listening() as desk:
        assert (await _post_by_hand(desk.port)).startswith(b"HTTP/1.1 202")
        assert (await _post_by_hand(desk.port)).startswith(b"HTTP/1.1 200")


def test_it_listens_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_journey())


def test_it_listens_on_the_loop_of_the_screen(qapp: object) -> None:
    from qasync import QEventLoop

    with asyncio.Runner(loop_factory=lambda: QEventLoop(qapp)) as runner:
        runner.run(_journey())


async def test_it_leaves_the_signal_handlers_alone() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    async with listening():
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


async def test_no_tracer_in_the_process_is_shown_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Curious(trace.TracerProvider):
        def get_tracer(self, name: str, *args: object, **kwargs: object) -> trace.Tracer:
            asked.append(name)
            return trace.NoOpTracer()

    monkeypatch.setattr(trace, "get_tracer_provider", Curious)
    async with listening() as desk:
        await _post_by_hand(desk.port)
    assert asked == []


async def test_a_port_that_is_taken_is_said_at_once() -> None:
    async with listening() as desk:
        with pytest.raises(OSError, match="in use"):
            await serve(_never, "127.0.0.1", desk.port)


async def _never(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nothing listens here")


async def test_nobody_has_to_be_told() -> None:
    server = asyncio.create_task(serve(_never, "127.0.0.1", 0))
    await asyncio.sleep(0.01)
    server.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server


async def test_a_free_port_is_taken_and_told() -> None:
    listener = bind("127.0.0.1", 0)
    try:
        assert listener.getsockname()[1] > 0
    finally:
        listener.close()


async def test_stopping_sends_the_answers_under_way_and_frees_the_port() -> None:
    async with listening() as desk:
        started, release = asyncio.Event(), asyncio.Event()
        real = desk.hearing.hear

        async def slow(heard: object) -> object:
            started.set()
            await release.wait()
            return await real(heard)  # type: ignore[arg-type]

        desk.hearing.hear = slow  # type: ignore[method-assign,assignment]
        post = asyncio.create_task(_post_by_hand(desk.port))
        await started.wait()
        desk.server.cancel()
        await asyncio.sleep(0)
        release.set()
        assert (await post).startswith(b"HTTP/1.1 202")
        with pytest.raises(asyncio.CancelledError):
            await desk.server
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", desk.port))


async def test_an_idle_connection_does_not_hold_up_the_stop() -> None:
    async with listening() as desk, httpx.AsyncClient(base_url=desk.url) as http:
        assert (await http.get("/health")).status_code == 200
        desk.server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await desk.server


async def test_cancelled_twice_it_hangs_up_at_once() -> None:
    async with listening() as desk:
        started = asyncio.Event()

        async def stuck(heard: object) -> object:
            started.set()
            await asyncio.Event().wait()
            return None

        desk.hearing.hear = stuck  # type: ignore[method-assign,assignment]
        async with httpx.AsyncClient(base_url=desk.url) as http:
            post = asyncio.create_task(http.post(PATH, content=BODY))
            await started.wait()
            desk.server.cancel()
            await asyncio.sleep(0.01)
            desk.server.cancel()
            with pytest.raises(asyncio.CancelledError):
                await desk.server
            with pytest.raises(httpx.HTTPError):
                await post
