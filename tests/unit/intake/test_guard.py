from __future__ import annotations

from engine.intake.guard import Guard
from engine.intake.http import Message, Receive, Scope, Send, Tally
from engine.settings import IntakeSettings
from tests.fakes.doors import SECRETS


async def test_what_is_no_request_is_let_through_to_nobody() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("reached")

    async def silent() -> Message:
        raise AssertionError("asked")

    async def send(message: Message) -> None:
        raise AssertionError("answered")

    guard = Guard(never, webhook=never, credentials=SECRETS, settings=IntakeSettings(), tally=Tally())
    for kind in ("lifespan", "websocket"):
        await guard({"type": kind, "path": "/webhook", "headers": []}, silent, send)
