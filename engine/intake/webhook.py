"""POST /webhook and /webhook/signal, /phase, /trend: the way in for TradingView and for senders of our own.

Reads the body up to its limit, proves the sender, asks `payloads` what it says, hands it to the conductor and answers
once the receipt is durable. Plain ASGI: no framework between the socket and the ledger. Decides nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256

from engine.domain.values import Code
from engine.intake.auth import NOBODY, Credentials, Kind
from engine.intake.context import BarContext
from engine.intake.doors import Answer, Hearing
from engine.intake.http import (
    Door,
    Presented,
    Receive,
    Reply,
    Scope,
    Send,
    Tally,
    limited,
    refused,
    reply_to,
    unauthorized,
)
from engine.intake.limits import Bucket
from engine.intake.payloads import Heard, interpret, refused_body, too_large
from engine.intake.reading import Body, Unreadable, open_body
from engine.ports import Clock, LedgerAway
from engine.sessions import Calendar
from engine.settings import IntakeSettings

PATHS: dict[str, Kind | None] = {
    "/webhook": None,
    "/webhook/signal": "signal",
    "/webhook/phase": "phase",
    "/webhook/trend": "trend",
}
DRAIN = 8 * 1024 * 1024
"""A body over the limit is read away up to here, bytes, so that its sender can read the answer; beyond, we hang up."""


class _Gone(Exception):
    """The sender hung up before its body was here."""


@dataclass(frozen=True, slots=True)
class _Posted:
    body: bytes
    """At most the limit plus what came with the last piece."""
    size: int
    """Bytes that came."""
    whole: bool
    digest: str = ""
    """SHA-256 of what came; only of a body over the limit."""


class Webhook:
    """One per listener. Keeps only its rate limits."""

    def __init__(
        self,
        hearing: Hearing,
        credentials: Credentials,
        settings: IntakeSettings,
        clock: Clock,
        bars: BarContext,
        calendar: Calendar,
        tally: Tally,
    ) -> None:
        self._hearing = hearing
        self._credentials = credentials
        self._settings = settings
        self._clock = clock
        self._bars = bars
        self._calendar = calendar
        self._tally = tally
        now = asyncio.get_running_loop().time()
        self._known = Bucket(settings.rate, settings.burst, now)
        self._strangers = Bucket(settings.rate, settings.burst, now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(scope, receive)
        except _Gone:
            return
        self._tally.count("webhook", reply.status)
        await reply.send(send)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        if scope["method"] != "POST":
            return refused(405, Door.METHOD_NOT_ALLOWED, "post it", headers=[(b"allow", b"POST")])
        presented = Presented.of(scope)
        granted = self._before_body(presented)
        if granted is not None and not granted:
            return self._stranger()
        if granted is None and (wait := self._strangers.wait(_monotonic())):
            # Only who shows a secret before its body gets past a flood of wrong ones.
            return limited(wait)
        if granted is None and (presented.length or 0) > DRAIN:
            return _too_large(presented.length, self._settings.max_body).closing()
        try:
            async with asyncio.timeout(self._settings.body_timeout):
                posted = await self._read(receive, presented.length)
        except TimeoutError:
            return refused(408, Door.BODY_TIMEOUT, "the body did not arrive in time").closing()
        door = PATHS[scope["path"]]
        remote = scope["client"][0] if scope.get("client") else ""
        if posted.size > self._settings.max_body:
            return await self._over(posted, presented, granted, door, remote)
        return await self._whole(posted.body, presented, granted, door, remote)

    # --- the sender -----------------------------------------------------------------------------------------------

    def _before_body(self, presented: Presented) -> frozenset[Kind] | None:
        """What may be posted, where that is known before the body; None when the body has to prove it."""
        if presented.signature is not None:
            return None
        secret = presented.bearer if presented.bearer is not None else presented.token
        return None if secret is None else self._credentials.webhook(secret)

    def _from_body(self, raw: bytes, body: Body | None, presented: Presented) -> frozenset[Kind]:
        if presented.signature is not None:
            wall = self._clock.wall().timestamp()
            return self._credentials.signed(presented.signature, raw, wall, self._settings.signature_age)
        granted = NOBODY
        for secret in body.secrets if body else ():
            granted |= self._credentials.webhook(secret)
        return granted

    def _stranger(self) -> Reply:
        wait = self._strangers.take(_monotonic())
        return limited(wait) if wait else unauthorized()

    # --- the body -------------------------------------------------------------------------------------------------

    async def _read(self, receive: Receive, length: int | None) -> _Posted:
        limit = self._settings.max_body
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body = message.get("body", b"")
            if len(body) <= limit:
                return _Posted(body, len(body), True)
        kept = bytearray()
        size = 0
        digest = sha256()
        while True:
            if message["type"] == "http.disconnect":
                raise _Gone
            piece = message.get("body", b"")
            size += len(piece)
            if len(kept) <= limit:
                kept += piece
            digest.update(piece)
            whole = not message.get("more_body", False)
            if whole or (size > limit and (size > DRAIN or (length or 0) > DRAIN)):
                return _Posted(bytes(kept), size, whole, digest.hexdigest() if size > limit else "")
            message = await receive()

    async def _over(
        self, posted: _Posted, presented: Presented, granted: frozenset[Kind] | None, door: Kind | None, remote: str
    ) -> Reply:
        limit = self._settings.max_body
        size = str(max(posted.size, presented.length or 0))
        if not granted or not _may(granted, door):
            reply = _too_large(size, limit)
        elif wait := self._known.take(_monotonic()):
            reply = limited(wait)
        else:
            heard = too_large(posted.body, door, size, limit, remote, posted.digest)
            reply = reply_to(await self._hear(heard))
        return reply if posted.whole else reply.closing()

    async def _whole(
        self, raw: bytes, presented: Presented, granted: frozenset[Kind] | None, door: Kind | None, remote: str
    ) -> Reply:
        body: Body | None = None
        fault: Unreadable | None = None
        try:
            body = open_body(raw, self._settings.max_depth)
        except Unreadable as error:
            fault = error
        if granted is None:
            granted = self._from_body(raw, body, presented)
        if not granted or not _may(granted, door):
            return self._stranger()
        if wait := self._known.take(_monotonic()):
            return limited(wait)
        if body is None:
            assert fault is not None
            heard = refused_body(raw, door, fault, remote)
        else:
            heard = interpret(
                raw,
                body,
                door=door,
                now=self._clock.now(),
                wall=self._clock.wall(),
                bars=self._bars,
                calendar=self._calendar,
                remote=remote,
            )
        if heard.form is not None and heard.form not in granted:
            # A secret of one kind on the common path does not carry the others.
            return self._stranger()
        return reply_to(await self._hear(heard))

    async def _hear(self, heard: Heard) -> Answer:
        try:
            return await self._hearing.hear(heard)
        except LedgerAway:
            return Answer.away()


def _may(granted: frozenset[Kind], door: Kind | None) -> bool:
    return door is None or door in granted


def _too_large(size: object, limit: int) -> Reply:
    return refused(413, Code.TOO_LARGE, f"size {size}, limit {limit}")


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
