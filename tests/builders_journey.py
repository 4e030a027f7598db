"""A whole desk without a database, a screen or a running clock: quotes by hand, the story, the paper broker.

`Desk` is the replay's player around a market whose quotes the test says. Every chapter of the journey can be played alone;
facts, projections and keys go to a ledger in memory, from which `again` starts as after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np

from engine.clock import SetClock
from engine.domain import events as ev
from engine.domain.commands import Command, Done
from engine.domain.entities import Order, Position, Ticket
from engine.domain.events import AnyFact
from engine.domain.values import OptionContract, Policy, Quote, Right
from engine.intake.payloads import understand
from engine.journey.hearing import Known, known_from
from engine.journey.player import Player
from engine.journey.step import World
from engine.journey.story import Journey
from engine.market.bars import BarBook, Minutes
from engine.market.quotes import MarketBook
from engine.orders.fees import us_option_fees
from engine.orders.paper import PaperBroker
from engine.orders.reconcile import Asked
from engine.ports import Broker, BrokerAway, BrokerWord, Evidence, Sink
from engine.pricing import european, expiry_moment, year_fraction
from engine.sessions import Calendar, Session
from engine.settings import Settings, with_overrides
from engine.state import KINDS, State
from storage.memory import MemoryLedger
from tests.bodies import signal_body
from tests.builders_trading import CALENDAR, NOON
from tests.fakes.far_broker import FarBroker

F = TypeVar("F", bound=ev.Fact)

EXPIRIES = (date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 25), date(2026, 12, 30))
"""Today, two weeklies and a monthly, seen from the Friday of `tests.builders_trading`."""
STRIKES = range(580, 621, 4)
RATE = 0.04


class HandMarket(MarketBook):
    """Options priced around a spot that the test moves; single quotes may be put by hand after that."""

    def __init__(self, source: str = "simulated", max_age: float = 5.0) -> None:
        super().__init__(source, max_age)
        self.spot = Decimal(600)
        self.vol = 0.20
        self.spread = Decimal("0.02")
        self.size: int | None = 50

    def price(self, now: datetime, symbol: str = "SPY", expiries: Sequence[date] = EXPIRIES) -> None:
        """New quotes of everything that is listed and has not expired, known at `now`."""
        half = Decimal("0.01")
        self.put_underlying(symbol, self._quote(self.spot - half, self.spot + half, now))
        strikes = np.array([float(strike) for strike in STRIKES])
        for expiry in expiries:
            moment = expiry_moment(expiry, CALENDAR)
            if moment <= now:
                continue
            t = year_fraction(now, moment)
            for right in Right:
                values = european.price(float(self.spot), strikes, t, RATE, 0.0, self.vol, right is Right.CALL)
                for strike, value in zip(STRIKES, np.atleast_1d(values).tolist(), strict=True):
                    contract = OptionContract(symbol=symbol, expiry=expiry, right=right, strike=Decimal(strike))
                    self.put_option(contract, self._around(Decimal(repr(round(value, 2))), now))

    def put(self, contract: OptionContract, bid: str | None, ask: str | None, now: datetime, size: int | None) -> None:
        self.put_option(
            contract,
            self._quote(None if bid is None else Decimal(bid), None if ask is None else Decimal(ask), now, size=size),
        )

    def _around(self, value: Decimal, now: datetime) -> Quote:
        bid = (value - self.spread / 2).quantize(Decimal("0.01"))
        return self._quote(bid if bid > 0 else None, max(bid, Decimal(0)) + self.spread, now, size=self.size)

    def _quote(self, bid: Decimal | None, ask: Decimal | None, at: datetime, size: int | None = 900) -> Quote:
        return Quote(bid=bid, ask=ask, at=at, bid_size=size, ask_size=size, source=self.source)

    def minutes(self, symbol: str, session: Session, until: datetime) -> Minutes | None:
        return None

    def advance(self, moment: datetime) -> None:
        """Nothing plays by itself: the test says every quote."""

    def instants(self) -> Sequence[datetime]:
        return ()


class HandBroker:
    """A broker that does only what the test says: it may answer late, twice, out of order, or never."""

    name = "hand"
    durable_handover = False
    settle_seconds = 5.0

    def __init__(self) -> None:
        self.books: Evidence | None = None
        """What it answers when asked; None: it cannot be asked."""
        self.submitted: list[Order] = []
        self.replaced: list[tuple[str, Decimal]] = []
        self.cancelled: list[str] = []
        self.restored: list[str] = []
        self.sink: Sink | None = None

    def connect(self, sink: Sink) -> None:
        self.sink = sink

    def submit(self, order: Order) -> None:
        self.submitted.append(order)

    def replace(self, order_id: str, limit: Decimal) -> None:
        self.replaced.append((order_id, limit))

    def cancel(self, order_id: str) -> None:
        self.cancelled.append(order_id)

    def restore(self, orders: Sequence[Order]) -> None:
        self.restored += [order.id for order in orders]

    async def evidence(self) -> Evidence:
        if self.books is None:
            raise BrokerAway("nobody answers")
        return self.books


class Desk:
    """One engine in a test. Made inside a running loop, because the ledger's promises belong to one."""

    def __init__(
        self,
        overrides: Mapping[str, str] | None = None,
        *,
        policy: Policy = Policy.AUTO_PAPER,
        start: datetime = NOON,
        calendar: Calendar = CALENDAR,
        market: HandMarket | None = None,
        ledger: MemoryLedger | None = None,
        state: State | None = None,
        known: Known | None = None,
        broker: Broker | None = None,
        far: bool = False,
    ) -> None:
        """`far`: the broker is outside this process, across a line that the test holds."""
        self.settings: Settings = with_overrides(Settings(), dict(overrides or {}))
        self.calendar = calendar
        self.policy = policy
        self.clock = SetClock(start)
        self.market = market or HandMarket()
        self.ledger = ledger or MemoryLedger()
        self.bars = BarBook(calendar, self.market, self.market)
        world = World(
            settings=self.settings,
            calendar=calendar,
            quotes=self.market,
            bars=self.bars,
            fees=us_option_fees(),
            policy=policy,
        )
        self.journey = Journey(world, state or State(), self.clock, known or Known())
        self.broker = (
            broker
            or (FarBroker(self.clock) if far else None)
            or PaperBroker(self.market, self.clock, calendar, self.settings, us_option_fees())
        )
        self.player = Player(self.journey, self.ledger, self.broker, self.clock, self.market, self._read)  # type: ignore[arg-type]  # a hand market plays nothing
        self.market.price(start)
        self.broker.restore(list(self.state.open_orders.values()))
        self.player.perform(lambda step: self.journey.open(step, "test", self.market.source))

    async def again(self, after: float = 0.0, broker: Broker | None = None) -> Desk:
        """What a new process makes of the ledger: the same market, `after` seconds later."""
        rows = await self.ledger.projections(KINDS)
        state = State.load(rows, self.ledger.head.seq, self.ledger.head.at)
        return Desk(
            {**self.changed},
            policy=self.policy,
            start=self.now + timedelta(seconds=after),
            calendar=self.calendar,
            market=self.market,
            ledger=self.ledger,
            state=state,
            known=known_from(await self.ledger.keys(0), state),
            broker=broker,
        )

    # --- looking --------------------------------------------------------------------------------------------------

    @property
    def changed(self) -> dict[str, str]:
        default = Settings().model_dump(mode="json")
        now = self.settings.model_dump(mode="json")
        return {
            f"{section}.{name}": str(value)
            for section, fields in now.items()
            for name, value in fields.items()
            if default[section][name] != value
        }

    @property
    def state(self) -> State:
        return self.journey.state

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def facts(self, kind: type[F]) -> list[F]:
        """Facts of this process, oldest first."""
        return [fact for fact in self.player.facts if isinstance(fact, kind)]

    def last(self, kind: type[F]) -> F:
        return self.facts(kind)[-1]

    def kinds(self, after: int = 0) -> list[str]:
        return [fact.kind for fact in self.player.facts if fact.seq > after]

    @property
    def ticket(self) -> Ticket:
        """The newest one."""
        return list(self.state.tickets.values())[-1]

    @property
    def order(self) -> Order:
        return list(self.state.orders.values())[-1]

    @property
    def position(self) -> Position:
        return list(self.state.positions.values())[-1]

    @property
    def denied(self) -> tuple[str, str]:
        """Code and stage of the newest denial."""
        fact = self.last(ev.EntryDenied)
        return fact.refusal.code.value, fact.stage

    def closed(self) -> list[tuple[str, str]]:
        """(reason, net) of every closed position."""
        return [(fact.reason.value, str(fact.net)) for fact in self.facts(ev.PositionClosed)]

    # --- doing ----------------------------------------------------------------------------------------------------

    def wait(
        self, seconds: float = 0.0, *, spot: str | Decimal | None = None, vol: float | None = None, quotes: bool = True
    ) -> None:
        """Time passes, new quotes come, and the desk looks at everything once."""
        if spot is not None:
            self.market.spot = Decimal(spot)
        if vol is not None:
            self.market.vol = vol
        moment = self.now + timedelta(seconds=seconds)
        if quotes:
            self.market.price(moment)
        self.player.play(moment, [])

    def until(self, moment: datetime, **how: Any) -> None:
        self.wait((moment - self.now).total_seconds(), **how)

    def quote(self, contract: OptionContract, bid: str | None, ask: str | None, size: int | None = 50) -> None:
        self.market.put(contract, bid, ask, self.now, size)

    def say(self, *reports: BrokerWord) -> None:
        """The broker's words, all at once."""
        self.player.perform(lambda step: self.journey.report(step, reports))

    def listen(self) -> None:
        """Whatever the broker has said by now."""
        self.player.perform(self.player._drain)

    def reconcile(self, books: Evidence, asked: Asked | None = None) -> None:
        """The broker's books were read; the question was put now, unless told."""
        question = asked or self.journey.question(wanted=True)
        assert question is not None, "nobody could be asked"
        self.player.perform(lambda step: self.journey.reconcile(step, question, books))

    def look(self) -> None:
        """The desk looks once more without new time or quotes."""
        self.player.play(self.now, [])

    def understood(self, body: Mapping[str, Any] | bytes) -> Any:
        """What a body says, arriving now."""
        return self._read(body if isinstance(body, bytes) else json.dumps(body).encode(), self.now)

    def hear(self, body: Mapping[str, Any] | bytes) -> AnyFact:
        """A body is kept, not weighed."""
        heard = self.understood(body)
        return self.player.perform(lambda step: self.journey.hear(step, heard))

    def weigh(self, fact: AnyFact) -> None:
        self.player.perform(lambda step: self.journey.weigh(step, fact))

    def post(self, body: Mapping[str, Any] | bytes) -> AnyFact:
        """A body is kept and, where it says something new, weighed."""
        fact = self.hear(body)
        row = self.state.heard.get(fact.seq)
        if row is not None and not row.weighed:
            self.weigh(fact)
        return fact

    def signal(self, timeframe: str = "60", direction: str = "LONG", **fields: Any) -> AnyFact:
        """A full signal whose bar closes now, at the underlying's price."""
        return self.post(self.body(timeframe, direction, **fields))

    def body(self, timeframe: str = "60", direction: str = "LONG", late: float = 0.0, **fields: Any) -> dict[str, Any]:
        stamp = int((self.now - timedelta(seconds=late)).timestamp() * 1000)
        fields.setdefault("price", float(self.market.spot))
        return signal_body("SPY", timeframe, direction, timestamp=stamp, **fields)

    def bought(self, direction: str = "LONG", **fields: Any) -> Position:
        """An open position: a 4H and a 1H signal, answered by the policy, filled at once."""
        self.signal("240", direction, **fields)
        self.signal("60", direction, **fields)
        assert self.state.open_positions, self.kinds()
        return self.position

    def command(self, command: Command) -> Done:
        return self.player.perform(lambda step: self.journey.command(step, command))

    def _read(self, raw: bytes, at: datetime) -> Any:
        return understand(raw, door=None, now=at, wall=at, bars=self.bars, calendar=self.calendar, remote="test")
