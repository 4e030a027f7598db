"""The self-test through a public address: is what TradingView will post going to arrive here, and how fast?

A signed body that is no alert goes to `/webhook`. The engine proves its signature, keeps its receipt and refuses it:
400 UNKNOWN_FORM with a receipt number. So the whole way is tried and nothing can come of it: no signal, no decision.
Called by `doctor --tunnel`. Secrets leave this machine only as a signature.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import perf_counter

import httpx

from app.secrets import Secrets
from engine.intake.auth import SIGNATURE_HEADER, sign
from engine.ports import Clock

SLOW = 3.0
"""TradingView waits this long for an answer, seconds."""
DRIFT = timedelta(seconds=60)


@dataclass(frozen=True)
class SelfTest:
    passed: bool
    found: str
    advice: str = ""


async def post_self_test(url: str, secrets: Secrets, clock: Clock, *, seconds: float = 10.0) -> SelfTest:
    """Post the self-test to `url` (scheme and host, with or without `/webhook…`) and judge what comes back."""
    try:
        address = httpx.URL(url if "://" in url else f"https://{url}")
    except httpx.InvalidURL:
        return SelfTest(False, f"{url}: not an address", "give it as https://name.example")
    if not address.host or address.scheme not in ("http", "https"):
        return SelfTest(False, f"{url}: not a web address", "give it as https://name.example")
    target = address.copy_with(path="/webhook", query=None, fragment=None)
    now = clock.wall()
    body = json.dumps({"strikedesk": "self-test", "at": now.isoformat()}).encode()
    headers = {
        SIGNATURE_HEADER: sign(secrets.webhook_signal, body, now.timestamp()),
        "content-type": "application/json",
    }
    try:
        async with httpx.AsyncClient(timeout=seconds, follow_redirects=False) as client:
            # The first request pays for name and TLS, as TradingView's do; the second shows the way itself.
            began = perf_counter()
            health = await client.get(address.copy_with(path="/health", query=None, fragment=None))
            connected = perf_counter() - began
            began = perf_counter()
            answer = await client.post(target, content=body, headers=headers)
            took = perf_counter() - began
    except httpx.TimeoutException:
        return SelfTest(False, f"{target}: no answer in {seconds:g} s", "is the tunnel running?")
    except httpx.HTTPError as error:
        return SelfTest(False, f"{target}: {str(error) or type(error).__name__}", "is the tunnel running?")
    return _judged(target, health, answer, now, connected, took)


def _judged(
    target: httpx.URL, health: httpx.Response, answer: httpx.Response, now: datetime, connected: float, took: float
) -> SelfTest:
    told = _told(answer)
    if answer.status_code == 401:
        return SelfTest(
            False, f"{target}: an engine answers, but it has other secrets", "run doctor with the --home of that engine"
        )
    if answer.status_code != 400 or told.get("code") != "UNKNOWN_FORM" or not isinstance(told.get("receipt"), int):
        return SelfTest(
            False,
            f"{target}: answered {answer.status_code}, not as our engine does (health {health.status_code})",
            "point the tunnel at the engine's port",
        )
    times = f"{took * 1000:.0f} ms there and back, {connected * 1000:.0f} ms to connect"
    if took + connected > SLOW:
        return SelfTest(False, f"{target}: {times}", f"TradingView waits {SLOW:g} s: use a nearer tunnel")
    drift = _drift(answer, now)
    if abs(drift) > DRIFT:
        return SelfTest(
            False, f"{target}: {times}, but its clock is {drift.total_seconds():+.0f} s off ours", "set the clock (NTP)"
        )
    return SelfTest(True, f"{target}: {times}, receipt {told['receipt']}")


def _told(answer: httpx.Response) -> dict[str, object]:
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _drift(answer: httpx.Response, now: datetime) -> timedelta:
    """How far the other side's clock is from ours; 0 where it does not say."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).astimezone(UTC) - now
    except (KeyError, ValueError):
        return timedelta(0)
