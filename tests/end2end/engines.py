"""What the end-to-end tests do with a running engine: post signals as a sender does, ask as a trader does, wait."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from tests.bodies import signal_body
from tests.faults.engine_process import EngineProcess

T = TypeVar("T")
SETTINGS = {
    "market.start": "2026-11-20T15:00:00Z",
    "market.symbols": "SPY,QQQ,IWM,AAPL",
    "approvals.hold_ms": "0",
    "approvals.life_weekly": "600",
    "exits.confirm_seconds": "600",
}
"""A Friday at 10:00 in New York, whenever the tests run; no exit of its own gets in between."""
_moments = itertools.count(int(time.time() * 1000))  # noqa: TID251 - a sender's own clock


def body_of(engine: EngineProcess, symbol: str, timeframe: str, direction: str = "LONG") -> bytes:
    """A good signal at the engine's own price, with a time no other has."""
    with engine.client() as client:
        price = float(client.get(f"/api/quotes/{symbol}").json()["mid"])
    body = signal_body(
        symbol, timeframe, direction, price=price, timestamp=next(_moments), quality="EXTREME", ai_score=9.5
    )
    return json.dumps(body).encode()


def post(engine: EngineProcess, body: bytes) -> httpx.Response:
    return httpx.post(f"{engine.url}/webhook/signal?token={engine.secrets()['webhook_signal']}", content=body)


def say_long(engine: EngineProcess, symbol: str) -> list[int]:
    """Two signals that agree: the engine decides EXECUTE on the second. Their receipts."""
    answers = [post(engine, body_of(engine, symbol, timeframe)) for timeframe in ("240", "60")]
    assert [answer.status_code for answer in answers] == [202, 202], [answer.text for answer in answers]
    return [answer.json()["receipt"] for answer in answers]


def until(ask: Callable[[], T], patience: float = 15.0) -> T:
    """The first answer that is true, asked again and again."""
    deadline = time.monotonic() + patience
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {patience} s"
        time.sleep(0.02)


def tickets(client: httpx.Client, symbol: str) -> list[dict[str, Any]]:
    return [ticket for ticket in client.get("/api/approvals").json() if ticket["symbol"] == symbol]


def positions(client: httpx.Client, symbol: str) -> list[dict[str, Any]]:
    rows = [row["position"] for row in client.get("/positions").json()]
    return [position for position in rows if position["symbol"] == symbol]


def facts(client: httpx.Client, **wanted: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/ledger", params={"limit": 1000, **wanted}).json()
    return found
