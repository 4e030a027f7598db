"""The HTTP API over real sockets: who may read and act, what commands become, and how refusals look."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from engine.domain.commands import (
    Approve,
    CancelOrder,
    ClosePosition,
    Command,
    HaltTrading,
    OpenTicket,
    Override,
    Reject,
    ResumeTrading,
    SettleOrder,
)
from engine.domain.values import Code, refuse
from engine.settings import IntakeSettings
from tests.bodies import signal_body
from tests.fakes.doors import SECRETS
from tests.fakes.hostile import MOMENT_MS
from tests.fakes.listening import Listening, listening

READ = {"Authorization": f"Bearer {SECRETS.api[0]}"}
ACT = {"Authorization": f"Bearer {SECRETS.trading[0]}"}
HOOK = {"Authorization": f"Bearer {SECRETS.signal[0]}"}

READING = [
    "/metrics", "/api/decisions", "/api/decisions/current", "/api/ledger", "/api/ledger/1", "/signals", "/orders",
    "/positions", "/exit-signals", "/api/approvals",
]  # fmt: skip


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


@pytest.mark.parametrize("path", READING)
async def test_reading_needs_the_api_or_the_trading_token(desk: Listening, http: httpx.AsyncClient, path: str) -> None:
    await http.post("/webhook", json=signal_body(price=660.0, timestamp=MOMENT_MS), headers=HOOK)
    statuses = [(await http.get(path, headers=headers)).status_code for headers in ({}, HOOK, READ, ACT)]
    assert statuses == [401, 401, 200, 200]


@pytest.mark.parametrize(
    ("path", "body", "command"),
    [
        ("/api/approvals/T1", {"action": "approve"}, Approve(by="http", ticket="T1")),
        (
            "/api/approvals/T1",
            {"action": "approve", "quantity": 2, "limit": "1.25", "reason": " less "},
            Approve(by="http", ticket="T1", quantity=2, limit=Decimal("1.25"), reason="less"),
        ),
        ("/api/approvals/T1", {"action": "reject", "reason": "no"}, Reject(by="http", ticket="T1", reason="no")),
        (
            "/api/tickets",
            {"contract": "SPY261120C00600000", "quantity": 1, "reason": "hedge"},
            OpenTicket(by="http", contract="SPY261120C00600000", quantity=1, reason="hedge"),
        ),
        (
            "/api/decisions/9/override",
            {"reason": "seen it", "direction": "SHORT"},
            Override(by="http", decision=9, reason="seen it", direction="SHORT"),
        ),
        ("/api/orders/O1/cancel", None, CancelOrder(by="http", order="O1")),
        (
            "/api/orders/O1/settle",
            {"reason": "the statement says so"},
            SettleOrder(by="http", order="O1", reason="the statement says so"),
        ),
        (
            "/api/orders/O1/settle",
            {"reason": "by phone", "quantity": 2, "price": "4.05", "fees": "1.30"},
            SettleOrder(
                by="http", order="O1", reason="by phone", quantity=2, price=Decimal("4.05"), fees=Decimal("1.30")
            ),
        ),
        ("/api/positions/P1/close", None, ClosePosition(by="http", position="P1")),
        ("/api/positions/P1/close", {"quantity": 1}, ClosePosition(by="http", position="P1", quantity=1)),
        ("/api/halt", None, HaltTrading(by="http")),
        ("/api/halt", {"reason": "news", "flatten": True}, HaltTrading(by="http", reason="news", flatten=True)),
        ("/api/resume", {"reason": "over"}, ResumeTrading(by="http", reason="over")),
    ],
)
async def test_acting_needs_the_trading_token_and_becomes_a_command(
    desk: Listening, http: httpx.AsyncClient, path: str, body: dict[str, Any] | None, command: Command
) -> None:
    refused = [(await http.post(path, json=body, headers=headers)).status_code for headers in ({}, HOOK, READ)]
    assert refused == [401, 401, 403]
    assert desk.desk.commands == []
    answer = await http.post(path, json=body, headers=ACT)
    assert (answer.status_code, answer.json()) == (200, {"ok": True, "seq": 1, "created": ""})
    assert desk.desk.commands == [command]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.TICKET_UNKNOWN, 404),
        (Code.TICKET_EXPIRED, 409),
        (Code.HEAT_OVER_LIMIT, 409),
        (Code.REASON_MISSING, 422),
        (Code.LEDGER_AWAY, 503),
    ],
)
async def test_a_refused_command_answers_with_its_code(
    desk: Listening, http: httpx.AsyncClient, code: Code, status: int
) -> None:
    desk.desk.refusal = refuse(code, limit="8%")
    answer = await http.post("/api/approvals/T1", json={"action": "approve"}, headers=ACT)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (status == 503) == ("retry-after" in answer.headers)


async def test_a_command_while_the_ledger_is_away_is_not_a_failure(desk: Listening, http: httpx.AsyncClient) -> None:
    desk.hearing.away = True
    answer = await http.post("/api/halt", headers=ACT)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "LEDGER_AWAY", "5")


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "where"),
    [
        ("/api/approvals/T1", b"{", 400, "NOT_JSON", "$"),
        ("/api/approvals/T1", b"", 400, "BAD_FIELD", "$"),
        ("/api/approvals/T1", b"[]", 400, "BAD_FIELD", "$"),
        ("/api/approvals/T1", b'{"action":"maybe"}', 400, "BAD_FIELD", "$.action"),
        ("/api/approvals/T1", b'{"action":"approve","quantity":0}', 422, "OUT_OF_RANGE", "$.quantity"),
        ("/api/approvals/T1", b'{"action":"approve","quantity":1.5}', 400, "BAD_FIELD", "$.quantity"),
        ("/api/approvals/T1", b'{"action":"approve","limit":NaN}', 400, "BAD_FIELD", "$.limit"),
        ("/api/approvals/T1", b'{"action":"approve","limit":-1}', 422, "OUT_OF_RANGE", "$.limit"),
        ("/api/approvals/T1", b'{"action":"approve","extra":1}', 400, "BAD_FIELD", "$.extra"),
        ("/api/approvals/T1", b'{"action":"reject","reason":"\\u0000"}', 400, "BAD_FIELD", "$.reason"),
        ("/api/approvals/T1", b'{"action":"reject","reason":"\\ud800"}', 400, "BAD_FIELD", "$.reason"),
        ("/api/approvals/T1", b"[" * 60000, 400, None, "$"),
        ("/api/resume", b'{"reason":" "}', 400, "BAD_FIELD", "$.reason"),
        ("/api/tickets", b'{"contract":"SPY","quantity":1,"reason":"x"}', 400, "BAD_FIELD", "$.contract"),
        ("/api/decisions/x/override", b'{"reason":"x"}', 400, "BAD_FIELD", "path.seq"),
        ("/api/halt", b"x" * 70000, 413, "TOO_LARGE", "$"),
        ("/api/nothing", b"{}", 404, "NOT_FOUND", "$"),
        ("/signals", b"{}", 405, "METHOD_NOT_ALLOWED", "$"),
    ],
)
async def test_a_bad_request_names_the_first_bad_field(
    desk: Listening, http: httpx.AsyncClient, path: str, body: bytes, status: int, code: str | None, where: str
) -> None:
    answer = await http.post(path, content=body, headers={**ACT, "Content-Type": "application/json"})
    found = answer.json()
    assert (answer.status_code, found["path"]) == (status, where)
    assert code is None or found["code"] == code
    assert desk.desk.commands == []


async def test_a_body_without_an_end_is_not_taken_into_memory(desk: Listening, http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 32768

    answer = await http.post("/api/halt", content=pieces(), headers={**ACT, "Content-Type": "application/json"})
    assert answer.status_code in (400, 413)
    assert desk.desk.commands == []


async def test_health_is_bare_for_strangers_and_full_for_readers(desk: Listening, http: httpx.AsyncClient) -> None:
    assert (await http.get("/health")).json() == {"status": "ok"}
    assert (await http.get("/health", headers=HOOK)).json() == {"status": "ok"}
    assert (await http.get("/health", headers=READ)).json() == {"status": "ok", "ledger": "memory"}


async def test_facts_are_listed_in_pages_and_a_story_is_found_by_any_of_them(
    desk: Listening, http: httpx.AsyncClient
) -> None:
    for minute in range(3):
        body = signal_body(price=660.0, timestamp=MOMENT_MS + minute)
        assert (await http.post("/webhook", json=body, headers=HOOK)).status_code == 202
    page = (await http.get("/api/ledger?after=1&limit=1", headers=READ)).json()
    assert [(row["seq"], row["fact"]) for row in page] == [(2, "SignalReceived")]
    assert (await http.get("/api/ledger?kind=TrendReceived", headers=READ)).json() == []
    assert (await http.get("/api/ledger?kind=Trend%00", headers=READ)).status_code == 400
    story = (await http.get("/api/ledger/3", headers=READ)).json()
    assert [row["seq"] for row in story["story"]] == [3]
    missing = await http.get("/api/ledger/4", headers=READ)
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (await http.get("/api/ledger?limit=9999", headers=READ)).status_code == 422


async def test_money_is_sent_as_text(desk: Listening, http: httpx.AsyncClient) -> None:
    desk.desk.views["positions"] = [{"entry": Decimal("1.10")}]
    assert (await http.get("/positions", headers=READ)).text == '[{"entry":"1.10"}]'


async def test_answers_are_counted_by_door_and_status() -> None:
    async with listening() as desk, httpx.AsyncClient(base_url=desk.url) as http:
        await http.post("/webhook", content=b"{}")
        await http.get("/orders")
        await http.get("/orders", headers=READ)
        text = (await http.get("/metrics", headers=READ)).text
    assert "strikedesk_facts_total 0" in text
    for line in ('{door="webhook",status="401"} 1', '{door="api",status="401"} 1', '{door="api",status="200"} 1'):
        assert f"strikedesk_http_answers_total{line}" in text


async def test_guessing_tokens_is_slowed_down() -> None:
    async with listening(IntakeSettings(rate=0.001, burst=2)) as desk, httpx.AsyncClient(base_url=desk.url) as http:
        statuses = [(await http.get("/orders")).status_code for _ in range(4)]
        assert statuses == [401, 401, 429, 429]
        assert (await http.get("/orders", headers=READ)).status_code == 200


async def test_the_description_lists_every_door_and_needs_nothing_from_elsewhere(
    desk: Listening, http: httpx.AsyncClient
) -> None:
    schema = (await http.get("/openapi.json")).json()
    assert {
        "/webhook",
        "/webhook/signal",
        "/webhook/phase",
        "/webhook/trend",
        "/health",
        "/api/halt",
        *READING[:4],
    } <= set(schema["paths"])
    page = (await http.get("/docs")).text
    for path in schema["paths"]:
        assert path.replace("&", "&amp;") in page
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "https://" not in page
    assert "<script" not in page
    assert json.dumps(schema)


async def test_a_quote_is_read_by_symbol_and_its_absence_is_said(desk: Listening, http: httpx.AsyncClient) -> None:
    missing = await http.get("/api/quotes/NONE", headers=READ)
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (await http.get("/api/quotes/SPY", headers=READ)).json() == {"symbol": "SPY", "mid": "660.00"}
    assert (await http.get("/api/quotes/spy!", headers=READ)).status_code == 400
    assert (await http.get("/api/quotes/SPY")).status_code == 401
