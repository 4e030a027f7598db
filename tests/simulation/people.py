"""Who speaks to the engine: a sender of alerts that repeats itself, and persons who approve, close, halt and resume.

Both live outside the engine: they go on while it is down, and a sender that got no answer sends again, four times in all.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

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
)
from engine.domain.values import Direction, Verdict
from engine.intake.payloads import Heard
from engine.state import State
from tests.bodies import signal_body
from tests.fakes.hostile import phase_body, trend_body
from tests.simulation.loop import Timeline
from tests.simulation.market import SYMBOLS, HostileMarket

TRIES = 4
"""Deliveries of one alert at most."""
RESENT_AFTER = 5.0
FRAMES = ("240", "60", "30", "15", "5", "3")


@dataclass(slots=True)
class Alert:
    """One trigger of the sender's: a body, and what became of its deliveries."""

    number: int
    body: bytes
    kind: str
    sent: int = 0
    heard: Heard | None = None
    """What the webhook read in it."""
    acknowledged: int | None = None
    """Place in the ledger that was answered with 202."""


@dataclass(slots=True)
class Sender:
    """Posts alerts through `post`, late, twice and out of order."""

    timeline: Timeline
    market: HostileMarket
    now: Callable[[], datetime]
    random: Random
    noted: Callable[[str], None]
    post: Callable[[Alert], None]
    alerts: list[Alert] = field(default_factory=list)
    campaign: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def speak(self) -> None:
        """A new alert, and how often it is delivered, and when."""
        random = self.random
        alert = self._alert()
        self.alerts.append(alert)
        delay = random.uniform(1.0, 30.0) if random.random() < 0.1 else random.uniform(0.0, 0.2)
        if delay > 1.0:
            self.noted("late alert")
        self.deliver_after(alert, delay)
        while alert.sent + 1 < TRIES and random.random() < 0.2:
            self.noted("repeated alert")
            self.deliver_after(alert, delay + random.choice((0.0, 0.001, 0.05, 5.0, 15.0)))

    def deliver_after(self, alert: Alert, seconds: float) -> None:
        alert.sent += 1
        self.timeline.after(seconds, lambda: self.post(alert))

    def answered(self, alert: Alert, status: int | None) -> None:
        """What the engine said; None: nothing at all. Answers of 500 and more, and silence, are followed by a resend."""
        if (status is None or status >= 500) and alert.sent < TRIES:
            self.noted("resent alert")
            self.deliver_after(alert, RESENT_AFTER)

    def _alert(self) -> Alert:
        random = self.random
        roll = random.random()
        symbol = "SPY" if random.random() < 0.65 else "NVDA"
        stamp = int(self.now().timestamp() * 1000)
        number = len(self.alerts) + 1
        if roll < 0.04:
            return Alert(number, b'{"signal": {"type": "LONG"', "garbage")
        if roll < 0.09:
            body = {"ticker": symbol, "action": "close", "interval": "60", "time": stamp, "id": f"exit-{number}"}
            return Alert(number, json.dumps(body).encode(), "exit")
        if roll < 0.15:
            body = phase_body()
            body["instrument"]["symbol"] = symbol
            body["meta"]["event_id"] = f"evt-{number}"
            body["event"]["directional_implication"] = random.choice(("UPSIDE_POTENTIAL", "DOWNSIDE_POTENTIAL"))
            body["timeframe"]["event_tf"] = random.choice(("4H", "1H"))
            return Alert(number, json.dumps(body).encode(), "phase")
        if roll < 0.20:
            body = trend_body()
            body["ticker"], body["timestamp"] = symbol, stamp
            way = random.choice(("bullish", "bearish"))
            for frame in body["timeframes"].values():
                frame["direction"] = way
            return Alert(number, json.dumps(body).encode(), "trend")
        return Alert(number, json.dumps(self._signal(symbol, stamp)).encode(), "signal")

    def _signal(self, symbol: str, stamp: int) -> dict[str, Any]:
        """Signals come in campaigns of one direction, slow timeframes first, so that decisions to execute are made."""
        random = self.random
        planned = self.campaign.setdefault(symbol, [])
        if not planned:
            direction = random.choice(("LONG", "SHORT"))
            planned += [(frame, direction) for frame in FRAMES]
            if random.random() < 0.3:
                planned.insert(
                    random.randrange(2, 5), (random.choice(FRAMES), "SHORT" if direction == "LONG" else "LONG")
                )
        frame, direction = planned.pop(0)
        price = round(self.market.spot(symbol) * (1.0 if random.random() > 0.05 else 1.03), 2)
        if random.random() < 0.06:
            stamp -= random.choice((90_000, 900_000))
        # The engine asks each timeframe once: a better signal replaces, an equal one is superseded.
        return signal_body(
            symbol,
            frame,
            direction,
            price=price,
            timestamp=stamp,
            quality=random.choice(("MEDIUM", "HIGH", "HIGH", "EXTREME", "EXTREME")),
            contracts=random.choice((0, 1, 2, 3, 6, 10)) if random.random() < 0.5 else 4,
            stop=round(price * (0.985 if direction == "LONG" else 1.015), 2) if random.random() < 0.7 else None,
            rr=random.choice((1.5, 2.0, 3.0)),
            bias=random.choice((None, None, "LONG", "SHORT")),
        )


@dataclass(slots=True)
class Persons:
    """People at the desk: what they ask for next, from what they see. None: they only look."""

    market: HostileMarket
    random: Random
    seen: Counter[str] = field(default_factory=Counter)

    def think(self, state: State, *, trading: bool) -> Command | None:
        """`trading`: entries can be made now, as far as anybody sees; hardly anyone tries otherwise."""
        random = self.random
        wanted = random.choice(_WISHES)
        if wanted in ("open", "override") and not trading and random.random() < 0.9:
            return None
        by = random.choice(("desk", "http"))
        if state.pending_tickets and random.random() < 0.6:
            wanted = random.choice((*("approve",) * 5, "reject", "approve changed"))
        halted = state.halt is not None and state.halt.latched
        if halted and random.random() < 0.6:
            wanted = "resume"
        command = self._command(wanted, by, state)
        if command is not None:
            self.seen[wanted] += 1
        return command

    def _command(self, wanted: str, by: str, state: State) -> Command | None:
        random = self.random
        if wanted in ("approve", "approve changed", "reject"):
            tickets = list(state.pending_tickets.values()) or list(state.tickets.values())
            if not tickets:
                return None
            ticket = random.choice(tickets)
            if wanted == "reject":
                return Reject(by=by, ticket=ticket.id, reason="no")
            if wanted == "approve":
                return Approve(by=by, ticket=ticket.id)
            return Approve(by=by, ticket=ticket.id, quantity=max(1, ticket.quantity // 2), reason="less")
        if wanted == "override":
            boards = [board for board in state.boards.values() if board.decision is not None]
            if not boards:
                return None
            board = random.choice(boards)
            assert board.decision is not None
            if board.decision.verdict is Verdict.EXECUTE:
                return None
            direction = random.choice((None, *(one.value for one in Direction)))
            return Override(
                by=by,
                decision=board.decision_seq or 0,
                reason="I see it",
                quantity=random.choice((None, 1, 4)),
                direction=direction,
                approve=random.random() < 0.7,
            )
        if wanted == "open":
            contract = random.choice(self.market.contracts(random.choice(SYMBOLS)))
            quote = self.market.option(contract) if random.random() < 0.3 else None
            limit = quote.bid if quote is not None else None  # it rests where a seller has to come to it
            return OpenTicket(
                by=by,
                contract=contract.osi,
                quantity=random.choice((1, 2, 3, 5, 40)),
                reason="by hand",
                limit=limit,
                approve=random.random() < 0.8,
            )
        if wanted == "close":
            held = list(state.open_positions.values())
            if not held:
                return None
            position = random.choice(held)
            part = random.choice((None, None, 1))
            return ClosePosition(by=by, position=position.id, quantity=part)
        if wanted == "cancel":
            working = list(state.open_orders.values())
            return CancelOrder(by=by, order=random.choice(working).id) if working else None
        if wanted == "halt":
            return HaltTrading(by=by, reason="enough", flatten=random.random() < 0.5)
        return ResumeTrading(by=by, reason="go on" if random.random() < 0.9 else "")


_WISHES = (
    *("open",) * 24, *("close",) * 14, *("override",) * 6, *("cancel",) * 5, *("halt",) * 2, "resume", "approve", "reject",
)  # fmt: skip
