"""Before the API: who may read and who may act, and how much they may send. The webhook passes by; it has its own door.

ASGI middleware, so that nothing of a stranger's request is read, parsed or routed.
"""

from __future__ import annotations

import asyncio

from engine.domain.values import Code
from engine.intake.auth import Credentials
from engine.intake.http import (
    App,
    Door,
    Message,
    Presented,
    Receive,
    Reply,
    Scope,
    Send,
    Tally,
    limited,
    refused,
    unauthorized,
)
from engine.intake.limits import Bucket
from engine.intake.webhook import PATHS
from engine.settings import IntakeSettings

OPEN_PATHS = frozenset({"/docs", "/openapi.json", "/health"})
"""Without a token: the description, which holds no data, and whether the engine is alive."""
READER = "strikedesk.reader"
"""Key in the request's state: True when it came with a token that may read."""


def _as_json(scope: Scope) -> Scope:
    """Bodies here are JSON whatever a client calls them: `curl -d` says form, and a halt must not fail for that."""
    if scope["method"] in ("GET", "HEAD"):
        return scope
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


class Guard:
    def __init__(
        self, app: App, *, webhook: App, credentials: Credentials, settings: IntakeSettings, tally: Tally
    ) -> None:
        self._app = app
        self._webhook = webhook
        self._credentials = credentials
        self._limit = settings.max_body
        self._tally = tally
        self._strangers = Bucket(settings.rate, settings.burst, asyncio.get_running_loop().time())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] in PATHS:
            await self._webhook(scope, receive, send)
            return
        reply = self._refusal(scope)
        if reply is not None:
            self._tally.count("api", reply.status)
            await reply.send(send)
            return
        await self._app(_as_json(scope), _Bounded(receive, self._limit), _Counted(send, self._tally))

    def _refusal(self, scope: Scope) -> Reply | None:
        presented = Presented.of(scope)
        reading = scope["method"] in ("GET", "HEAD")
        token = presented.bearer
        reader = token is not None and self._credentials.may_read(token)
        scope.setdefault("state", {})[READER] = reader
        if reading and scope["path"] in OPEN_PATHS:
            return None
        if not reader:
            wait = self._strangers.take(asyncio.get_running_loop().time())
            return limited(wait) if wait else unauthorized()
        if not reading and not self._credentials.may_act(token or ""):
            return refused(403, Door.FORBIDDEN, "this token may only read")
        if (presented.length or 0) > self._limit:
            return refused(413, Code.TOO_LARGE, f"size {presented.length}, limit {self._limit}").closing()
        return None


class _Bounded:
    """Receive, up to so many bytes; beyond, the sender is treated as gone."""

    __slots__ = ("_left", "_receive")

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        return message if self._left >= 0 else {"type": "http.disconnect"}


class _Counted:
    __slots__ = ("_send", "_tally")

    def __init__(self, send: Send, tally: Tally) -> None:
        self._send = send
        self._tally = tally

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._tally.count("api", message["status"])
        await self._send(message)
