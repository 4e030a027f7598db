"""The webhook over real sockets: proof of sender, limits, answers. The ledger behind it is in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from engine.domain import events as ev
from engine.intake.auth import sign
from engine.settings import IntakeSettings
from tests.bodies import signal_body
from tests.fakes.doors import MOMENT, SECRETS
from tests.fakes.hostile import MOMENT_MS, hostile_bodies, phase_body, trend_body
from tests.fakes.listening import Listening, listening
from tests.unit.intake.helpers import short

SIGNAL, PHASE, TREND = SECRETS.signal[0], SECRETS.phase[0], SECRETS.trend[0]
API, TRADING = SECRETS.api[0], SECRETS.trading[0]
FULL = signal_body(price=660.0, timestamp=MOMENT_MS)
NOW = MOMENT.timestamp()


# One listener for the file: starting and stopping one costs more than most tests here.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listener() -> AsyncIterator[Listening]:
    async with listening() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(listener: Listening) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=listener.url) as client:
        yield client


@pytest.fixture
def desk(listener: Listening) -> Listening:
    """As new."""
    listener.desk.forget()
    return listener


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def signed(body: bytes, secret: str, at: float = NOW) -> dict[str, str]:
    return {"X-Strikedesk-Signature": sign(secret, body, at)}


def bearing(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_a_signal_is_kept_and_answered_with_its_receipt(desk: Listening, http: httpx.AsyncClient) -> None:
    answer = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(SIGNAL))
    assert answer.status_code == 202
    assert answer.json() == {"receipt": 1, "kind": "signal"}
    assert answer.headers["content-type"] == "application/json"
    [heard] = desk.hearing.heard
    assert (heard.kind, heard.remote) == ("signal", "127.0.0.1")


async def test_the_same_alert_again_is_a_duplicate_of_the_first(desk: Listening, http: httpx.AsyncClient) -> None:
    for status, body in ((202, {"receipt": 1, "kind": "signal"}), (200, {"receipt": 2, "duplicate_of": 1})):
        answer = await http.post("/webhook", content=raw(FULL), headers=bearing(SIGNAL))
        assert (answer.status_code, answer.json()) == (status, body)


BODY = raw(FULL)
SECRET_INSIDE = raw({**short(), "secret": SIGNAL})


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/webhook/signal", BODY, bearing(SIGNAL), 202),
        ("/webhook/signal?token=" + SIGNAL, BODY, {}, 202),
        ("/webhook/signal?a=b&token=" + SIGNAL, BODY, {}, 202),
        ("/webhook/signal", BODY, signed(BODY, SIGNAL), 202),
        ("/webhook/signal", SECRET_INSIDE, {}, 202),
        ("/webhook", SECRET_INSIDE, {}, 202),
        ("/webhook/signal", raw({**short(), "key": SIGNAL}), {}, 202),
        ("/webhook/signal", raw({"text": json.dumps({**short(), "token": SIGNAL})}), {}, 202),
        ("/webhook/signal", raw({"data": short(), "api_token": SIGNAL}), {}, 202),
        ("/webhook/phase", raw(phase_body()), bearing(PHASE), 202),
        ("/webhook/trend", raw(trend_body()), bearing(TREND), 202),
        ("/webhook", raw(phase_body()), bearing(PHASE), 202),
        ("/webhook", raw(trend_body()), {"Authorization": f"bearer {TREND}"}, 202),
        ("/webhook/signal", BODY, {}, 401),
        ("/webhook/signal", b"", {}, 401),
        ("/webhook/signal", b"not json", {}, 401),
        ("/webhook/signal", BODY, bearing("wrong-secret-0123456789"), 401),
        ("/webhook/signal", BODY, bearing(API), 401),
        ("/webhook/signal", BODY, bearing(TRADING), 401),
        ("/webhook/signal", BODY, bearing(PHASE), 401),
        ("/webhook/phase", raw(phase_body()), bearing(SIGNAL), 401),
        ("/webhook", BODY, bearing(PHASE), 401),
        ("/webhook", raw(trend_body()), bearing(SIGNAL), 401),
        ("/webhook/signal", BODY, {"Authorization": f"Basic {SIGNAL}"}, 401),
        ("/webhook/signal?token=", SECRET_INSIDE, {}, 401),
        ("/webhook/signal?token=" + SIGNAL[:-1], BODY, {}, 401),
        ("/webhook/signal", raw({**short(), "secret": "wrong-secret-0123456789"}), {}, 401),
        ("/webhook/signal", raw({**short(), "note": {"secret": SIGNAL}}), {}, 401),
        ("/webhook/signal", BODY, signed(BODY, SIGNAL, NOW - 301), 401),
        ("/webhook/signal", BODY, signed(BODY, SIGNAL, NOW + 301), 401),
        ("/webhook/signal", BODY, signed(BODY + b" ", SIGNAL), 401),
        ("/webhook/signal", BODY, signed(BODY, PHASE), 401),
        ("/webhook/signal", SECRET_INSIDE, {"X-Strikedesk-Signature": "nonsense"}, 401),
        ("/webhook/signal?token=" + SIGNAL, BODY, bearing("wrong-secret-0123456789"), 401),
    ],
)
async def test_only_who_proves_the_right_secret_is_heard(
    desk: Listening, http: httpx.AsyncClient, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await http.post(path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert len(desk.hearing.heard) == (status == 202)
    if status == 401:
        assert answer.json() == {
            "code": "UNAUTHORIZED",
            "path": "$",
            "detail": "credentials are missing or wrong",
        }


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        (b"AAPL,buy,150.25,10", 400, "UNKNOWN_FORM", "$"),
        (b"{", 400, "NOT_JSON", "$"),
        (raw({**FULL, "signal": {**FULL["signal"], "type": "UP"}}), 400, "BAD_FIELD", "$.signal.type"),
        (raw(short(interval="1")), 422, "OUT_OF_RANGE", "$.interval"),
        (b'{"ticker":"SPY","price":NaN}', 400, "NOT_FINITE", "$.price"),
    ],
)
async def test_what_cannot_be_used_is_kept_with_its_outcome_and_answered_with_its_path(
    desk: Listening, http: httpx.AsyncClient, body: bytes, status: int, code: str, path: str
) -> None:
    answer = await http.post("/webhook/signal", content=body, headers=bearing(SIGNAL))
    found = answer.json()
    assert (answer.status_code, found["code"], found["path"], found["receipt"]) == (status, code, path, 1)
    assert found["detail"]
    [fact] = desk.hearing.facts
    assert isinstance(fact, ev.ReceiptRefused)
    assert fact.status == status


@pytest.mark.parametrize("content_type", ["application/json", "text/plain; charset=utf-8", "image/png", ""])
async def test_the_content_type_does_not_matter(desk: Listening, http: httpx.AsyncClient, content_type: str) -> None:
    headers = {**bearing(SIGNAL), "Content-Type": content_type}
    answer = await http.post("/webhook/signal", content=raw(FULL) + b"\n", headers=headers)
    assert answer.status_code == 202


async def test_a_ledger_that_is_away_asks_to_send_again(desk: Listening, http: httpx.AsyncClient) -> None:
    desk.hearing.away = True
    answer = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(SIGNAL))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["code"] == "LEDGER_AWAY"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_the_webhook_takes_posts_only(desk: Listening, http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/webhook/signal", headers=bearing(SIGNAL))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("size", [65537, 300_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_answered_without_being_taken_in(
    desk: Listening, http: httpx.AsyncClient, size: int, chunked: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 32768):
            yield b"x" * min(32768, size - start)

    body: Any = pieces() if chunked else b"x" * size
    answer = await http.post("/webhook/signal", content=body, headers=bearing(SIGNAL))
    assert answer.status_code == 413
    assert (answer.json()["code"], answer.json()["path"]) == ("TOO_LARGE", "$")
    [heard] = desk.hearing.heard
    assert (heard.status, len(heard.raw)) == (413, 8192)
    again = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(SIGNAL))
    assert again.status_code == 202


async def test_a_body_without_end_is_hung_up_on(desk: Listening) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(f"POST /webhook?token={SIGNAL} HTTP/1.1\r\nHost: x\r\nContent-Length: {2**40}\r\n\r\n".encode())
    with contextlib.suppress(ConnectionError):
        while not reader.at_eof():
            writer.write(b"x" * 1_000_000)
            await writer.drain()
    writer.transport.abort()
    [heard] = desk.hearing.heard
    assert (heard.status, len(heard.raw)) == (413, 8192)


@pytest.mark.parametrize("headers", [{}, bearing(PHASE), bearing("wrong-secret-0123456789")])
async def test_a_stranger_cannot_fill_the_ledger_with_large_bodies(
    desk: Listening, http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for size in (100_000, 3_000_000):
        answer = await http.post("/webhook/signal", content=b"x" * size, headers=headers)
        assert answer.status_code in (401, 413)
    assert desk.hearing.heard == []


@pytest.mark.parametrize("proof", ["", "X-Strikedesk-Signature: t=1,v1=00\r\n"])
async def test_a_body_that_must_prove_its_sender_and_is_far_too_large_is_not_read_at_all(
    desk: Listening, proof: str
) -> None:
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\n{proof}Content-Length: {2**40}\r\n\r\n"
    answer = await _exchange(desk.port, head.encode())
    assert answer.startswith(b"HTTP/1.1 413")
    assert desk.hearing.heard == []


async def test_a_body_of_exactly_the_limit_is_read(desk: Listening, http: httpx.AsyncClient) -> None:
    body = raw(short())
    body += b" " * (65536 - len(body))
    answer = await http.post("/webhook/signal", content=body, headers=bearing(SIGNAL))
    assert answer.status_code == 202


async def test_more_than_the_burst_is_told_when_to_come_back() -> None:
    async with listening(IntakeSettings(rate=0.001, burst=3)) as desk, httpx.AsyncClient(base_url=desk.url) as http:
        statuses = []
        for minute in range(5):
            body = raw({**FULL, "signal": {**FULL["signal"], "timestamp": MOMENT_MS + minute}})
            answer = await http.post("/webhook/signal", content=body, headers=bearing(SIGNAL))
            statuses.append(answer.status_code)
        assert statuses == [202, 202, 202, 429, 429]
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "RATE_LIMITED"
        too_large = await http.post("/webhook/signal", content=b"x" * 70000, headers=bearing(SIGNAL))
        assert too_large.status_code == 429
        assert len(desk.hearing.heard) == 3


async def test_a_flood_of_wrong_secrets_does_not_shut_out_the_right_one() -> None:
    async with listening(IntakeSettings(rate=0.001, burst=3)) as desk, httpx.AsyncClient(base_url=desk.url) as http:
        wrong = [await http.post("/webhook/signal", content=raw(FULL), headers=bearing("x" * 20)) for _ in range(5)]
        assert [answer.status_code for answer in wrong] == [401, 401, 401, 429, 429]
        in_body = await http.post("/webhook/signal", content=raw({**short(), "secret": "x" * 20}))
        assert in_body.status_code == 429
        right = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(SIGNAL))
        assert right.status_code == 202
        assert len(desk.hearing.heard) == 1


async def _exchange(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async with listening(IntakeSettings(rate=0, body_timeout=0.05)) as desk:
        head = f"POST /webhook/signal?token={SIGNAL} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
        answer = await _exchange(desk.port, head + b'{"ticker"')
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"BODY_TIMEOUT" in answer
        assert desk.hearing.heard == []


async def test_a_sender_that_hangs_up_half_way_leaves_nothing(desk: Listening, http: httpx.AsyncClient) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(f"POST /webhook?token={SIGNAL} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    answer = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(SIGNAL))
    assert answer.json()["receipt"] == 1


async def test_a_body_in_many_small_pieces_is_put_together(desk: Listening) -> None:
    body = raw(FULL)
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(f"POST /webhook?token={SIGNAL} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for start in range(0, len(body), 200):
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(body[start : start + 200])
    assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    writer.close()
    await writer.wait_closed()


async def test_fifty_signals_at_once_are_all_kept(desk: Listening, http: httpx.AsyncClient) -> None:
    async def post(number: int) -> int:
        body = raw({**FULL, "signal": {**FULL["signal"], "timestamp": MOMENT_MS + number}})
        return (await http.post("/webhook/signal", content=body, headers=bearing(SIGNAL))).status_code

    assert await asyncio.gather(*map(post, range(50))) == [202] * 50
    assert sorted(fact.seq for fact in desk.hearing.facts) == list(range(1, 51))


async def test_hostile_bodies_are_answered_with_a_path_and_never_with_a_failure(
    desk: Listening, http: httpx.AsyncClient
) -> None:
    token = {"/webhook/phase": PHASE, "/webhook/trend": TREND}
    refused = total = 0
    for hostile in hostile_bodies(seed=7, count=440):
        headers = {**bearing(token.get(hostile.path, SIGNAL)), "Content-Type": hostile.content_type}
        answer = await http.post(hostile.path, content=hostile.body, headers=headers)
        assert answer.status_code < 500, hostile
        total += 1
        if answer.status_code in (400, 413, 422):
            assert answer.json()["path"].startswith("$")
            refused += 1
    assert refused / total >= 0.95


async def test_nothing_that_is_logged_or_kept_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    # The client's own log is silenced: what is asked is what the listener says. Its loggers are listened to directly
    # and before it starts, for a connection looks only once whether anybody listens.
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.CRITICAL, name)
    caplog.set_level(logging.DEBUG)
    access = logging.getLogger("uvicorn.access")
    access.addHandler(caplog.handler)
    try:
        async with listening() as desk, httpx.AsyncClient(base_url=desk.url) as http:
            await http.post(f"/webhook/signal?token={SIGNAL}", content=raw({**short(), "secret": SIGNAL}))
            # Once more, for starting may have detached it or lowered its voice.
            access.addHandler(caplog.handler)
            caplog.set_level(logging.DEBUG, "uvicorn.access")
            async with httpx.AsyncClient(base_url=desk.url) as fresh:
                await fresh.post("/webhook/signal", content=raw({**short(), "secret": SIGNAL, "interval": "1"}))
                await fresh.post(f"/webhook/signal?token={SIGNAL}x", content=b"{")
                await fresh.post(f"/webhook/signal?token={SIGNAL}", content=b"{")
                await fresh.get("/metrics", headers=bearing(API))
    finally:
        access.removeHandler(caplog.handler)
    said = caplog.text + "".join(heard.raw + repr(heard) for heard in desk.hearing.heard)
    assert len(desk.hearing.heard) == 3
    assert not any(secret in said for secret in (SIGNAL, API))


async def test_a_secret_of_another_kind_uses_up_nothing_of_the_right_senders_rate() -> None:
    async with listening(IntakeSettings(rate=0.001, burst=1)) as desk, httpx.AsyncClient(base_url=desk.url) as http:
        wrong = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(PHASE))
        right = await http.post("/webhook/signal", content=raw(FULL), headers=bearing(SIGNAL))
        assert (wrong.status_code, right.status_code) == (401, 202)


async def test_during_a_flood_of_wrong_secrets_a_stranger_is_answered_before_its_body() -> None:
    async with listening(IntakeSettings(rate=0.001, burst=1)) as desk, httpx.AsyncClient(base_url=desk.url) as http:
        assert (await http.post("/webhook", content=b"{}", headers=bearing("x" * 20))).status_code == 401
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 429")
        writer.close()
        await writer.wait_closed()
