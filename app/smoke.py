"""`desk --smoke`: open everything, drive one signal from webhook to closed position, exit 0. For packaging and CI.

It posts to the real webhook over loopback and reads the result back from the ledger, as a sender and an auditor would.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from app.options import Options
from app.probe import signal_body
from app.wiring import Engine
from engine.clock import SystemClock
from engine.domain.commands import ClosePosition
from engine.sessions import new_york_calendar

PATIENCE = 20.0
SYMBOL = "SPY"


class SmokeFailed(Exception):
    """A step that did not happen in time; the message names it."""


def smoke_options(options: Options) -> Options:
    """The same, on a free port and at a calm hour of the last session."""
    calendar = new_york_calendar()
    session = calendar.previous_session(SystemClock().now().date())
    overrides = {
        "market.start": (session.open + timedelta(minutes=90)).isoformat(),
        "intake.port": "0",
        **options.overrides,
    }
    return replace(options, overrides=overrides)


async def drive(engine: Engine, window: Any) -> int:
    """The journey once. 0 when every step was seen, 1 with one line that names the step that was not."""
    try:
        await _drive(engine, window)
    except SmokeFailed as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    sys.stdout.write("smoke: webhook, decision, ticket, order, fill, position, close: all seen in the ledger\n")
    return 0


async def _drive(engine: Engine, window: Any) -> None:
    conductor, state = engine.conductor, engine.state
    quote = engine.market.underlying(SYMBOL)
    if quote is None or quote.mid is None:
        raise SmokeFailed(f"no quote of {SYMBOL}")
    stamp = int(engine.clock.wall().timestamp() * 1000)
    async with httpx.AsyncClient(timeout=5) as client:
        for number, timeframe in enumerate(("240", "60")):
            answer = await client.post(
                f"{engine.address}/webhook/signal",
                json=signal_body(SYMBOL, timeframe, float(quote.mid), stamp + number),
                headers={"Authorization": f"Bearer {engine.asked.secrets.webhook_signal}"},
            )
            if answer.status_code != 202:
                raise SmokeFailed(f"the webhook answered {answer.status_code}: {answer.text[:200]}")
    await _until(lambda: bool(state.open_positions), lambda: f"a position from the signal ({_heard(engine)})")
    await conductor.durable()
    position = next(iter(state.open_positions.values()))
    done = await conductor.command(ClosePosition(by="smoke", position=position.id))
    if not done.ok:
        raise SmokeFailed(f"the close was refused: {done.text}")
    await _until(lambda: not state.open_positions, lambda: "the position's close")
    await conductor.durable()
    kinds = {fact.kind for fact in await engine.ledger.story(int(position.id[1:]))}
    missing = {
        "SignalReceived", "DecisionMade", "TicketOpened", "TicketApproved", "OrderIntended", "OrderFilled", "PositionClosed",
    } - kinds  # fmt: skip
    if missing:
        raise SmokeFailed(f"the ledger's story lacks {', '.join(sorted(missing))}")
    await _until(lambda: window.isVisible() and window.header_view is not None, lambda: "the window's first picture")


def _heard(engine: Engine) -> str:
    return "; ".join(f"{row.text}: {row.outcome}" for row in engine.state.heard.values())


async def _until(seen: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not seen():
        if asyncio.get_running_loop().time() > deadline:
            raise SmokeFailed(f"not seen within {PATIENCE:.0f} s: {what()}")
        await asyncio.sleep(0.02)
