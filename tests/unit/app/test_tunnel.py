"""The self-test through a public address, against the engine's own listener and against servers that are not it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from app import secrets as secrets_of
from app.commands import doctor, tunnel
from app.commands.doctor import State
from app.commands.tunnel import post_self_test
from app.paths import Home
from app.secrets import Secrets
from engine.clock import SetClock
from engine.domain.events import ReceiptRefused
from engine.intake.api import create_app
from engine.intake.context import NoBars
from engine.intake.server import serve
from engine.sessions import new_york_calendar
from engine.settings import IntakeSettings
from tests.fakes.doors import MemoryDesk, MemoryHearing

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return secrets_of.load(Home(tmp_path, default=False))


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@asynccontextmanager
async def an_engine(secrets: Secrets, clock: SetClock) -> AsyncIterator[tuple[str, MemoryHearing]]:
    """The whole HTTP face on a free port."""
    hearing = MemoryHearing(clock)
    app = create_app(
        MemoryDesk(hearing), hearing, secrets.credentials(), IntakeSettings(), clock, NoBars(), new_york_calendar()
    )
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, lambda _host, port: bound.set_result(port)))
    try:
        yield f"http://127.0.0.1:{await bound}", hearing
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def a_stranger(answer: Callable[[str], Awaitable[bytes]]) -> AsyncIterator[str]:
    """Some other HTTP server: `answer` is given the request line and gives the whole response."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next((line[15:] for line in head.lower().splitlines() if line.startswith("content-length:")), "0")
        await reader.readexactly(int(size))
        writer.write(await answer(head.partition("\r\n")[0]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def a_response(status: str, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


async def test_an_engine_behind_the_address_keeps_a_receipt_and_nothing_comes_of_it(
    secrets: Secrets, clock: SetClock
) -> None:
    async with an_engine(secrets, clock) as (url, hearing):
        result = await post_self_test(url, secrets, clock)
    assert result.passed, result
    assert "receipt 1" in result.found
    assert "ms there and back" in result.found
    (fact,) = hearing.facts
    assert isinstance(fact, ReceiptRefused)
    assert fact.refusal.code == "UNKNOWN_FORM"
    assert "self-test" in fact.receipt.raw
    assert not any(secret in fact.receipt.raw for secret in secrets.values())


async def test_the_doctor_knows_an_engine_of_ours_on_its_port(secrets: Secrets, clock: SetClock) -> None:
    async with an_engine(secrets, clock) as (url, _):
        check = await doctor.port_check("127.0.0.1", int(url.rpartition(":")[2]))
    assert check.state is State.OK
    assert "an engine answers" in check.found


async def test_the_path_of_the_address_does_not_matter(secrets: Secrets, clock: SetClock) -> None:
    async with an_engine(secrets, clock) as (url, _):
        result = await post_self_test(f"{url}/webhook/signal?token=x#y", secrets, clock)
    assert result.passed, result


async def test_an_engine_with_other_secrets_is_told_apart(secrets: Secrets, clock: SetClock, tmp_path: Path) -> None:
    other = secrets_of.load(Home(tmp_path / "other", default=False))
    async with an_engine(other, clock) as (url, hearing):
        result = await post_self_test(url, secrets, clock)
    assert not result.passed
    assert "other secrets" in result.found
    assert hearing.facts == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("200 OK", "{}"),
        ("502 Bad Gateway", "<html>"),
        ("400 Bad Request", '["UNKNOWN_FORM"]'),
        ("400 Bad Request", '{"code": "UNKNOWN_FORM"}'),
        ("302 Found", ""),
    ],
)
async def test_a_server_that_is_not_ours_is_told_with_its_answer(
    secrets: Secrets, clock: SetClock, status: str, body: str
) -> None:
    async def answer(_line: str) -> bytes:
        return a_response(status, body)

    async with a_stranger(answer) as url:
        result = await post_self_test(url, secrets, clock)
    assert not result.passed
    assert f"answered {status[:3]}, not as our engine does" in result.found


async def test_a_tunnel_whose_clock_is_far_off_is_told(secrets: Secrets, clock: SetClock) -> None:
    async def answer(_line: str) -> bytes:
        stamp = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
        return a_response("400 Bad Request", '{"code": "UNKNOWN_FORM", "receipt": 1}', f"Date: {stamp}")

    async with a_stranger(answer) as url:
        result = await post_self_test(url, secrets, clock)
    assert not result.passed
    assert "+90 s off ours" in result.found


async def test_a_way_that_is_too_slow_for_the_sender_is_told(
    secrets: Secrets, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "SLOW", 0.0)
    async with an_engine(secrets, clock) as (url, _):
        result = await post_self_test(url, secrets, clock)
    assert not result.passed
    assert "TradingView waits" in result.advice


async def test_an_address_that_never_answers_is_told(secrets: Secrets, clock: SetClock) -> None:
    release = asyncio.Event()

    async def answer(_line: str) -> bytes:
        await release.wait()
        return b""

    async with a_stranger(answer) as url:
        result = await post_self_test(url, secrets, clock, seconds=0.05)
        release.set()
    assert not result.passed
    assert "no answer in 0.05 s" in result.found


async def test_an_address_where_nobody_listens_is_told(secrets: Secrets, clock: SetClock) -> None:
    async with a_stranger(lambda _line: asyncio.sleep(0, b"")) as url:
        pass
    result = await post_self_test(url, secrets, clock)
    assert not result.passed
    assert result.advice == "is the tunnel running?"


@pytest.mark.parametrize("url", ["ftp://example.com", "https://", "http://[::1", "mailto://x y"])
async def test_what_is_no_address_is_told(secrets: Secrets, clock: SetClock, url: str) -> None:
    result = await post_self_test(url, secrets, clock)
    assert not result.passed
    assert "give it as https://" in result.advice


async def test_without_secrets_the_doctor_says_to_start_once() -> None:
    check = await doctor.tunnel_check("https://example.invalid", None)
    assert check.state is State.MISSING
    assert "start" in check.advice
