"""The plain parts of HTTP that the webhook and the API share: replies, closed codes, credentials in a request, counts.

ASGI without a framework, for speed. Never logs a header, a query or a body.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import msgspec

from engine.intake.auth import SIGNATURE_HEADER, bearer
from engine.intake.doors import Answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Header = tuple[bytes, bytes]


class Door(StrEnum):
    """Closed codes of the HTTP layer itself: counted, never facts."""

    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    RATE_LIMITED = "RATE_LIMITED"
    BODY_TIMEOUT = "BODY_TIMEOUT"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    BAD_REQUEST = "BAD_REQUEST"


class Reply(NamedTuple):
    """One whole response."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    content_type: bytes = b"application/json"

    async def send(self, send: Send) -> None:
        headers = [
            (b"content-type", self.content_type),
            (b"content-length", str(len(self.body)).encode()),
            (b"cache-control", b"no-store"),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})

    def closing(self) -> Reply:
        """The same, and the connection ends: what is still being sent is not read."""
        return self._replace(headers=(*self.headers, (b"connection", b"close")))


def reply_to(answer: Answer) -> Reply:
    headers = () if answer.retry_after is None else (retry_after(answer.retry_after),)
    return Reply(answer.status, msgspec.json.encode(answer.body), headers)


def refused(status: int, code: StrEnum | str, detail: str, path: str = "$", headers: Iterable[Header] = ()) -> Reply:
    return Reply(status, msgspec.json.encode({"code": str(code), "path": path, "detail": detail}), tuple(headers))


def retry_after(seconds: float) -> Header:
    return (b"retry-after", str(max(1, int(seconds + 0.999))).encode())


def unauthorized() -> Reply:
    """Says nothing about which part was wrong."""
    return refused(
        401, Door.UNAUTHORIZED, "credentials are missing or wrong", headers=[(b"www-authenticate", b"Bearer")]
    )


def limited(wait: float) -> Reply:
    return refused(429, Door.RATE_LIMITED, "too many requests", headers=[retry_after(wait)])


class Presented(NamedTuple):
    """The credentials and the size a request names before its body. None = not presented."""

    bearer: str | None
    token: str | None
    signature: str | None
    length: int | None

    @classmethod
    def of(cls, scope: Scope) -> Presented:
        found: str | None = None
        signature: str | None = None
        length: int | None = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                # Any other scheme counts as presented and wrong, so that it never falls through to the body.
                found = bearer(value.decode("latin-1")) or ""
            elif name == _SIGNATURE:
                signature = value.decode("latin-1")
            elif name == b"content-length" and value.isdigit() and len(value) < 16:
                length = int(value)
        query: bytes = scope["query_string"]
        return cls(found, _token(query.decode("latin-1")) if query else None, signature, length)


_SIGNATURE = SIGNATURE_HEADER.lower().encode()


def _token(query: str) -> str | None:
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == "token":
            return unquote_plus(value)
    return None


class Tally:
    """Requests by door and status: what is counted instead of stored."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()

    def count(self, door: str, status: int) -> None:
        self.answers[door, status] += 1

    def text(self) -> str:
        """Prometheus text."""
        lines = ["# TYPE strikedesk_http_answers_total counter"]
        lines += [
            f'strikedesk_http_answers_total{{door="{door}",status="{status}"}} {count}'
            for (door, status), count in sorted(self.answers.items())
        ]
        return "\n".join(lines) + "\n"
