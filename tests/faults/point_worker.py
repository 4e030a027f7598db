"""One engine that may be killed at one place of its work. Run in a forked process by `kill_points`.

It is the real engine on a real Postgres, with its spool, and a broker in another process. A place is before or after an
append, a commit, a write to the spool, a message to the broker, a word of the broker, or an acknowledgement. At the
n-th time that the chosen place is reached the process kills itself, as hard as a process can be killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.clock import ExchangeClock, SystemClock
from engine.domain import events as ev
from engine.domain.commands import ClosePosition
from engine.domain.entities import Order
from engine.domain.values import Policy, Side
from engine.intake.payloads import understand
from engine.journey.conductor import Conductor
from engine.journey.recovery import recover
from engine.journey.step import World
from engine.journey.story import Journey
from engine.market.bars import BarBook
from engine.orders.fees import us_option_fees
from engine.ports import BrokerWord, Evidence
from engine.settings import Settings, with_overrides
from storage.database import open_database
from storage.ledger import PostgresLedger
from storage.rows import Entry
from storage.spool import Spool
from storage.writing import Writer
from tests.bodies import signal_body
from tests.builders_journey import HandMarket
from tests.builders_trading import CALENDAR, NOON
from tests.faults.line_broker import LineBroker

INTERVAL = 0.02
PATIENCE = 6.0
"""Seconds of one life at most: a life that cannot come to rest is a fault."""
SETTINGS = {
    "account.cash": "10000000",
    "exits.confirm_seconds": "0.1",
    "risk.max_heat": "0.2",
    "risk.duplicate_seconds": "0",
    "intake.rate": "0",
}
TELLING = (
    ev.OrderFilled, ev.PositionClosed, ev.ExitTriggered, ev.OrderCancelled, ev.OrderDoubted, ev.BrokerReconciled,
    ev.BrokerConnected, ev.BrokerDisconnected, ev.OrderSubmitted, ev.OrderIntended, ev.TicketOpened, ev.OrderAccepted,
    ev.DecisionMade, ev.SignalReceived, ev.DuplicateReceived, ev.EngineStarted, ev.PositionMarked,
)  # fmt: skip
"""What a step is named by: the first of these that it has."""


@dataclass(frozen=True, slots=True)
class Life:
    """One life of an engine: where its things are, what it does, and where it is killed."""

    dsn: str
    socket: Path
    spool: Path
    acks: Path
    seed: int
    signals: int
    first: int
    """Number of its first signal; numbers are never used again."""
    place: str = ""
    """Where it is killed; empty: nowhere."""
    times: int = 1
    """At the how manieth time."""
    spooling: bool = False
    """Every commit is slow enough for the spool."""
    report: Path | None = None
    """Where the places it came by are written, when it ends by itself."""


class Places:
    """Counts the places that are reached, and kills at the chosen one."""

    def __init__(self, life: Life) -> None:
        self._place, self._left = life.place, life.times
        self.seen: dict[str, int] = {}

    def at(self, name: str) -> None:
        self.seen[name] = self.seen.get(name, 0) + 1
        if name == self._place:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def name_of(facts: Sequence[Any]) -> str:
    kinds = {type(fact) for fact in facts}
    return next((kind.__name__ for kind in TELLING if kind in kinds), "other")


def kind_of(rows: Sequence[str]) -> str:
    there = set(rows)
    return next((kind.__name__ for kind in TELLING if kind.__name__ in there), "other")


class WatchedLedger(PostgresLedger):
    """The ledger, with a place before and after each append."""

    places: Places

    def append(self, facts: Any, changes: Any, keys: Any) -> asyncio.Future[None]:
        name = name_of(facts)
        self.places.at(f"append {name}: before")
        done = super().append(facts, changes, keys)
        self.places.at(f"append {name}: after")
        return done


class WatchedSpool(Spool):
    """The spool, with a place before and after each write and each letting go."""

    places: Places

    def write(self, entries: Sequence[Entry], before: Any) -> None:
        self.places.at("spool: before")
        super().write(entries, before)
        self.places.at("spool: after")

    def clear(self) -> None:
        self.places.at("spool cleared: before")
        super().clear()
        self.places.at("spool cleared: after")


class WatchedBroker(LineBroker):
    """The line, with a place before and after each message and each word."""

    places: Places

    def submit(self, order: Order) -> None:
        name = "entry" if order.side is Side.BUY else "exit"
        self.places.at(f"send {name}: before")
        super().submit(order)
        self.places.at(f"send {name}: after")

    def cancel(self, order_id: str) -> None:
        self.places.at("cancel: before")
        super().cancel(order_id)
        self.places.at("cancel: after")

    def replace(self, order_id: str, limit: Decimal) -> None:
        self.places.at("reprice: before")
        super().replace(order_id, limit)
        self.places.at("reprice: after")

    async def evidence(self) -> Evidence:
        self.places.at("books: before")
        books = await super().evidence()
        self.places.at("books: after")
        return books

    def _say(self, word: BrokerWord) -> None:
        name = type(word).__name__
        self.places.at(f"word {name}: before")
        super()._say(word)
        self.places.at(f"word {name}: after")


def live(life: Life) -> None:
    """Live, and end by itself when everything has come to rest. Raises `TimeoutError` when it does not."""
    places = Places(life)
    write = Writer.write

    async def watched(self: Writer, entries: Sequence[Entry]) -> None:
        name = kind_of([row.kind for entry in entries for row in entry.rows])
        places.at(f"commit {name}: before")
        if life.spooling:
            await asyncio.sleep(0.03)  # slower than the ledger waits for: the spool takes it, too
        await write(self, entries)
        places.at(f"commit {name}: after")

    Writer.write = watched  # type: ignore[method-assign]  # of this process alone
    asyncio.run(_live(life, places))
    if life.report is not None:
        life.report.write_text(json.dumps(places.seen), encoding="utf-8")


async def _live(life: Life, places: Places) -> None:
    seeded = random.Random(life.seed)
    database = await open_database(life.dsn, migrate=False)
    WatchedSpool.places = WatchedLedger.places = WatchedBroker.places = places
    stall = 0.01 if life.spooling else 5.0
    ledger = WatchedLedger(database, spool=WatchedSpool(life.spool), stall=stall)
    await ledger.open()
    settings = with_overrides(Settings(), SETTINGS)
    clock = ExchangeClock(max(ledger.head.at or NOON, NOON), SystemClock(), lambda moment: moment)
    state, known = await recover(ledger, clock.wall())
    symbol = f"K{life.first}"
    market = Moving(seeded, [symbol, *{position.symbol for position in state.open_positions.values()}])
    market.move(clock.now())
    bars = BarBook(CALENDAR, market, market)
    world = World(
        settings=settings, calendar=CALENDAR, quotes=market, bars=bars, fees=us_option_fees(), policy=Policy.AUTO_PAPER
    )
    broker = WatchedBroker(life.socket, clock)
    journey = Journey(world, state, clock, known)
    conductor = Conductor(journey, ledger, broker, INTERVAL, market.move)
    try:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(ledger.run()), tasks.create_task(broker.run())]
            await conductor.open("test", "far")
            work.append(tasks.create_task(conductor.run()))
            await _trade(life, symbol, places, seeded, conductor, broker, market, bars)
            await conductor.settle()
            for task in work[1:]:
                task.cancel()
            await ledger.close()
    finally:
        await database.close()


class Moving(HandMarket):
    """A market that walks; the real one's part in this is only to make positions worth leaving."""

    def __init__(self, seeded: random.Random, symbols: Sequence[str]) -> None:
        super().__init__()
        self._seeded = seeded
        self._symbols = symbols
        self._at: datetime | None = None

    def move(self, now: datetime) -> None:
        if self._at is not None and now - self._at < timedelta(seconds=0.05):
            return
        self._at = now
        self.spot += Decimal(self._seeded.choice((-3, -1, 0, 0, 1, 3))) / 20
        for symbol in self._symbols:
            self.price(now, symbol)


async def _trade(
    life: Life,
    symbol: str,
    places: Places,
    seeded: random.Random,
    conductor: Conductor,
    broker: LineBroker,
    market: HandMarket,
    bars: BarBook,
) -> None:
    """Signals come, some more than once; positions are left by hand or by rule; then everything comes to rest."""
    state = conductor.journey.state
    await _until(lambda: state.link is not None and state.link.ready)
    broker.rest(seeded.choice((0.0, 0.0, 0.05)))
    for number in range(life.first, life.first + life.signals):
        timeframe = ("240", "60", "30", "15")[number % 4]
        moment = int(conductor.journey.clock.wall().timestamp() * 1000)
        body = signal_body(
            symbol, timeframe, "LONG", price=float(market.spot), timestamp=moment, quality="EXTREME", ai_score=9.5
        )
        body["signal"]["number"] = number
        raw = json.dumps(body).encode()
        for _ in range(seeded.choice((1, 1, 2))):
            now, wall = conductor.journey.clock.now(), conductor.journey.clock.wall()
            heard = understand(raw, door=None, now=now, wall=wall, bars=bars, calendar=CALENDAR, remote="test")
            answer = await conductor.hear(heard)
            places.at("acknowledge: before")
            with life.acks.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"number": number, "status": answer.status, **answer.body}) + "\n")
            places.at("acknowledge: after")
        if seeded.random() < 0.5:
            await asyncio.sleep(seeded.choice((0.0, 0.02, 0.06)))
    await asyncio.sleep(0.1)
    while state.open_positions or state.open_orders or state.pending_tickets:
        for position in list(state.open_positions.values()):
            if seeded.random() < 0.7:
                await conductor.command(ClosePosition(position=position.id, by="test"))
        broker.rest(0.0)
        await asyncio.sleep(0.03)


async def _until(ask: Callable[[], bool]) -> None:
    while not ask():  # noqa: ASYNC110 - a state sets no event
        await asyncio.sleep(0.005)
