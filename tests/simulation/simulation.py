"""One run: an engine and everything around it, from one integer, with crashes. See the package for what it is made of.

The engine is the real one, put together as the wiring does; only its ports lead into the simulated world. A crash ends
its life between any two callbacks: what was not durable is gone, and a new engine starts from the disk while the world
went on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from engine.domain.commands import Command
from engine.domain.events import AnyFact
from engine.intake.payloads import Heard, understand
from engine.journey.conductor import Conductor
from engine.journey.recovery import recover
from engine.journey.step import World
from engine.journey.story import Journey
from engine.market.bars import BarBook
from engine.orders.fees import us_option_fees
from engine.ports import LedgerAway
from tests.builders_trading import CALENDAR
from tests.simulation.calamities import Calamities
from tests.simulation.coverage import Coverage
from tests.simulation.database import Durable, ServedLedger, Server, folder, forget, played
from tests.simulation.invariants import Judge, Violated
from tests.simulation.ledger import Disk, FaultyLedger
from tests.simulation.line import HostileBroker
from tests.simulation.loop import Stuck, Timeline, VirtualLoop
from tests.simulation.market import EXPIRIES, ExchangeTime, HostileMarket
from tests.simulation.people import Alert, Persons, Sender
from tests.simulation.plan import (
    CRASHES,
    FAULTS,
    INTERVAL,
    LONGEST,
    ORDERS,
    PATIENCE,
    POLICIES,
    PROFILES,
    REBUILT,
    REST,
    SERVED,
    SIGNALS,
    STARTS,
    Life,
    Outcome,
    innermost,
    line_of,
    said,
    settings_of,
)
from tests.simulation.venue import Venue


class Simulation:
    def __init__(self, seed: int, tell: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self._tell = tell
        self.timeline = Timeline()
        self.coverage = Coverage()
        plan = self._random("plan")
        self._crash_random = self._random("crash")
        self.calamities = Calamities(self, self._random("fault"), self._crash_random)
        first: date = plan.choice(tuple(EXPIRIES))
        session = CALENDAR.session(first)
        assert session is not None
        start = session.open + plan.choice(STARTS)
        if plan.random() < 0.2:
            start = session.close - timedelta(minutes=plan.choice((33, 21, 17, 15)))
        self.clock = ExchangeTime(start, lambda: self.timeline.time)
        self.market = HostileMarket(self._random("market"), first, self.clock.now, self.noted, CALENDAR)
        self.market.tick(0.0)
        self.venue = Venue(self.timeline, self.market, self.clock.now, CALENDAR, self._random("venue"), self.noted)
        self.served = seed % SERVED == 0
        """With the real storage over a played server; else with a smaller ledger of the same promises."""
        self.disk: Disk | Durable = Durable(self._committed) if self.served else Disk(self._committed)
        self.server: Server | None = None
        self.spool: Path | None = None
        self.judge = Judge(self.disk, self.venue, self.coverage)
        self.venue.arrived = self.judge.arrived
        self.sender = Sender(self.timeline, self.market, self.clock.now, self._random("sender"), self.noted, self._post)
        self.persons = Persons(self.market, self._random("persons"))
        self.settings = settings_of(plan.randrange(len(PROFILES)))
        self.policy = plan.choice(POLICIES)
        self.window = plan.choice((200_000, 30))
        """Facts whose keys a start reads: with few of them older ones are looked up."""
        self.shuffled = plan.random() < 0.3
        self.pace = plan.choice((2.0, 3.5, 5.0))
        self.alerts_wanted = SIGNALS + plan.randrange(6)
        self.life: Life | None = None
        self.lives = 0
        self.crashes = 0
        self.recovered = 0
        self.resting = False
        self._patience = 0.0
        """Until when what is not settled may still settle."""
        self.over = False
        self.broken: Exception | None = None

    def _random(self, what: str) -> Random:
        return Random(f"{self.seed}:{what}")

    def noted(self, fault: str) -> None:
        self.coverage.faults[fault] += 1
        if self._tell is not None:
            self._tell(f"{self._stamp()}  ! {fault}")

    def tell(self, text: str) -> None:
        if self._tell is not None:
            self._tell(f"{self._stamp()}  {text}")

    def _stamp(self) -> str:
        return f"{self.timeline.time:9.3f} {self.clock.now():%a %H:%M:%S}"

    # --- the run ----------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        outcome = Outcome(self.seed, coverage=self.coverage)
        try:
            with capture_logs(), self._storage():
                self._play()
        except Violated as broken:
            outcome.violation, outcome.rule = str(broken), broken.rule
        except Stuck as stuck:
            outcome.violation, outcome.rule = str(stuck), "the engine goes on"
        outcome.digest = sha256(self.disk.head.hash + str(self.lives).encode()).hexdigest()
        outcome.signals, outcome.orders = self.judge.signals, self.judge.orders
        outcome.faults, outcome.crashes = self.coverage.faults.total(), self.crashes
        outcome.facts, outcome.seconds = self.disk.head.seq, self.timeline.time
        self.coverage.persons.update(self.persons.seen)
        return outcome

    @contextmanager
    def _storage(self) -> Iterator[None]:
        if not self.served:
            yield
            return
        assert isinstance(self.disk, Durable)
        self.server = Server(self.timeline, self._random("server"), self.disk, self.noted)
        self.spool = folder()
        try:
            with played():
                yield
        finally:
            forget(self.spool)

    def _ledger(self, loop: VirtualLoop) -> FaultyLedger | ServedLedger:
        random = self._random(f"ledger {self.lives}")
        if self.server is not None and self.spool is not None:
            return ServedLedger(self.server, self.spool, random)
        assert isinstance(self.disk, Disk)
        return FaultyLedger(self.disk, random, loop)

    def _play(self) -> None:
        self._world()
        while not self.over:
            self._live()
            if not self.over:
                self._darkness()
        self._enough()
        if self.seed % REBUILT == 0:
            self.judge.rebuilt()

    def _enough(self) -> None:
        if not self._reached():
            found = (self.judge.signals, self.judge.orders, self.coverage.faults.total(), self.recovered)
            raise Violated("a run holds enough", f"signals, orders, faults, recoveries: {found}")

    def _reached(self) -> bool:
        return (
            self.judge.signals >= SIGNALS
            and self.judge.orders >= ORDERS
            and self.coverage.faults.total() >= FAULTS
            and self.recovered >= CRASHES
        )

    def _live(self) -> None:
        """One process, until it crashes or the run is over."""
        self.lives += 1
        shuffle = self._random(f"shuffle {self.lives}") if self.shuffled else None
        loop = VirtualLoop(self.timeline, shuffle)
        ledger = self._ledger(loop)
        broker = HostileBroker(
            self.venue, self.timeline, self.clock.now, self._random(f"line {self.lives}"), self.noted, self._handed
        )
        life = self.life = Life(self.lives, loop, ledger, broker)
        self.venue.hear = broker.say
        if self.lives > 1 and not self.resting and self._crash_random.random() < 0.2:
            loop.cut_after = self._crash_random.randint(1, 60)
        main = loop.create_task(self._engine(life), name="engine")
        main.add_done_callback(lambda _: None if loop.dying else loop.stop())
        try:
            loop.run_forever()
            failed = main.exception() if main.done() and not main.cancelled() else None
        finally:
            self._die(life)
        if self.broken is not None:
            raise self.broken
        if loop.complaints:
            raise Violated("no error is lost", loop.complaints[0])
        if failed is not None:
            cause = innermost(failed)
            if life.conductor is not None or not isinstance(cause, LedgerAway):
                raise cause if isinstance(cause, Violated | Stuck) else Violated("the engine goes on", said(cause))
            self.noted("start without a ledger")
        if not self.over:
            self.crashes += 1
            self.noted("crash")
            if life.conductor is None:
                self.noted("crash in recovery")
            self.tell(f"--- the power goes; the disk ends at {self.disk.head.seq}")

    def _die(self, life: Life) -> None:
        """Nothing of it reaches the world any more; then its tasks end."""
        life.dead = life.ledger.dead = life.broker.line.dead = True
        self.venue.hear = None
        life.loop.end()
        self.life = None
        for alert in life.posted.values():
            self.noted("no answer")
            self.sender.answered(alert, None)

    def _darkness(self) -> None:
        """No engine runs; the world goes on."""
        span = self._crash_random.choice((0.2, 1.0, 4.0, 4.0, 20.0, 90.0))
        if span > 60:
            self.noted("long darkness")
        until = self.timeline.time + span
        while self.timeline.next is not None and self.timeline.next <= until:
            self.timeline.happen()
        self.timeline.time = until

    async def _engine(self, life: Life) -> None:
        """The wiring: recover the state from the disk, put the engine around it, open, serve."""
        ledger = life.ledger
        if isinstance(ledger, ServedLedger):
            await ledger.open()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ledger.run(), name="ledger")
                tasks.create_task(self._serve(life), name="engine")
        else:
            await self._serve(life)

    async def _serve(self, life: Life) -> None:
        ledger = life.ledger
        state, known = await recover(ledger, self.clock.wall(), window=self.window)
        self.judge.recovered(state)
        world = World(
            settings=self.settings,
            calendar=CALENDAR,
            quotes=self.market,
            bars=BarBook(CALENDAR, self.market, self.market),
            fees=us_option_fees(),
            policy=self.policy,
        )
        journey = Journey(world, state, self.clock, known)
        conductor = Conductor(journey, ledger, life.broker, INTERVAL)
        conductor.watch(lambda facts: self._made(facts, journey))
        await conductor.open("simulation", self.market.source)
        life.conductor = conductor
        self.recovered += self.lives > 1
        self.tell(f"--- engine {life.number} serves from {ledger.head.seq}")
        await conductor.run()

    # --- what the engine does -----------------------------------------------------------------------------------------

    def _committed(self, facts: Sequence[AnyFact]) -> None:
        try:
            self.judge.committed(facts)
        except Exception as error:  # noqa: BLE001 - whatever went wrong ends the run, and is its result
            self._break(error)

    def _made(self, facts: Sequence[AnyFact], journey: Journey) -> None:
        if self._tell is not None:
            for fact in facts:
                self.tell(line_of(fact))
        try:
            self.judge.made(facts, journey)
        except Exception as error:  # noqa: BLE001 - whatever went wrong ends the run, and is its result
            self._break(error)

    def _handed(self, order: object) -> None:
        try:
            self.judge.handed(order)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever went wrong ends the run, and is its result
            self._break(error)

    def _break(self, error: Exception) -> None:
        """An invariant broke inside a callback: the run ends here."""
        if self.broken is None:
            self.broken = error
            if self.life is not None:
                self.life.loop.stop()

    # --- the world ------------------------------------------------------------------------------------------------------

    def _world(self) -> None:
        self.timeline.after(INTERVAL * 0.7, self._tick)
        self.timeline.after(1.0, self._alert)
        self.timeline.after(5.0, self._person)
        self.calamities.begin()

    def _tick(self) -> None:
        self.market.tick(self.timeline.time)
        self._guarded(self.venue.tick)
        life = self.life
        if life is not None and life.conductor is not None:
            journey, told = life.conductor.journey, life.broker.told
            self._guarded(lambda: self.judge.told_fills_count(journey, told, self.timeline.time))
        self.calamities.hours()
        if not self.resting and (self._reached() or self.timeline.time > LONGEST):
            self._rest()
        self.timeline.after(INTERVAL, self._tick)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Violated as error:
            self._break(error)

    def _alert(self) -> None:
        if self.resting:
            return
        if len(self.sender.alerts) < self.alerts_wanted or self.judge.signals < SIGNALS:
            self.sender.speak()
        self.timeline.after(self.sender.random.expovariate(1.0 / self.pace), self._alert)

    def _post(self, alert: Alert) -> None:
        life = self.life
        if life is None or life.conductor is None:
            self.noted("no answer")
            self.sender.answered(alert, None)
            return
        life.count += 1
        life.posted[life.count] = alert
        life.loop.create_task(self._deliver(life, life.conductor, life.count, alert))

    async def _deliver(self, life: Life, conductor: Conductor, number: int, alert: Alert) -> None:
        try:
            heard = self._read(alert)
            answer = await conductor.hear(heard)
        except Exception as error:  # noqa: BLE001 - a door that raises is a finding
            self._break(Violated("a door never raises", said(error)))
            return
        if life.dead:
            return
        del life.posted[number]
        if alert.kind == "garbage":
            self.noted("garbage")
        if answer.status == 202:
            place = int(answer.body["receipt"])
            alert.acknowledged = place
            try:
                self.judge.answered(place, heard.key)
            except Violated as error:
                self._break(error)
        self.sender.answered(alert, answer.status)

    def _read(self, alert: Alert) -> Heard:
        """What the webhook makes of it; a body with a time of its own says the same whenever it comes."""
        if alert.heard is None:
            now = self.clock.now()
            alert.heard = understand(alert.body, door=None, now=now, wall=now, bars=_NO_BARS, calendar=CALENDAR)
        return alert.heard

    def _person(self) -> None:
        if self.resting:
            return
        pace = self.pace if self.judge.orders < ORDERS else 3 * self.pace
        life = self.life
        if life is not None and life.conductor is not None:
            state, now = life.conductor.journey.state, self.clock.now()
            session = CALENDAR.session_at(now)
            trades = session is not None and session.open < now < session.close - timedelta(minutes=5)
            link = state.link
            command = self.persons.think(state, trading=trades and link is not None and link.ready)
            if command is not None:
                life.loop.create_task(self._command(life, life.conductor, command))
        self.timeline.after(self.persons.random.expovariate(1.0 / pace), self._person)

    async def _command(self, life: Life, conductor: Conductor, command: Command) -> None:
        self.tell(f"person: {command}")
        try:
            await conductor.command(command)
        except Exception as error:  # noqa: BLE001 - a door that raises is a finding
            if not life.dead:
                self._break(Violated("a door never raises", said(error)))

    # --- the end --------------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """No fault any more; the line breaks once and comes back, so that what was lost is asked for; then the reckoning."""
        self.tell("--- everything comes to rest")
        self.resting = True
        self.market.quiet = self.venue.quiet = True
        self.timeline.after(6.0, self._reconnect)
        self._patience = self.timeline.time + REST + PATIENCE
        self.timeline.after(REST, self._reckon)

    def _reconnect(self) -> None:
        if self.life is not None:
            self.life.ledger.come_back()
            self.life.loop.cut_after = None
            self.life.broker.break_line()
            self.life.broker.mend(data_lost=True)

    def _reckon(self) -> None:
        life = self.life
        if life is None or life.conductor is None:
            self.timeline.after(1.0, self._reckon)
            return
        try:
            self.judge.at_rest(self.clock.now())
        except Violated as error:
            if self.timeline.time < self._patience:
                self.timeline.after(3.0, self._reckon)  # an exit may be on its way, or an engine have just begun
            else:
                self._break(error)
            return
        self.over = True
        life.loop.stop()


_NO_BARS = BarBook(CALENDAR, None, None)  # type: ignore[arg-type]  # only short forms ask it, and ours are exit notices


def simulate(seed: int, tell: Callable[[str], None] | None = None) -> Outcome:
    """Play one seed."""
    return Simulation(seed, tell).run()
