"""The only place where everything is put together. `build` makes the parts of one engine; nothing is started here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from app.options import Options, UsageError
from app.paths import Home, find_home, resources
from app.rates import rate_table
from app.secrets import Secrets
from app.secrets import load as load_secrets
from app.settings import load as load_settings
from engine.clock import ExchangeClock, SystemClock
from engine.intake.auth import Credentials
from engine.journey.conductor import Conductor
from engine.journey.recovery import recover
from engine.journey.step import World
from engine.journey.story import Journey
from engine.market.bars import BarBook
from engine.market.parity import Parity
from engine.market.simulator import SimulatedMarket
from engine.orders.fees import FeeTable, load_fees
from engine.orders.paper import PaperBroker
from engine.ports import Clock, Ledger
from engine.sessions import Calendar, new_york_calendar, new_york_day
from engine.settings import SettingError, Settings
from engine.state import State
from storage.database import Database

if TYPE_CHECKING:  # it brings pyarrow along, which a simulated market does not need
    from engine.market.recording import RecordedMarket

RECORDED = "recorded:"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a start was asked for, loaded and checked, before anything runs."""

    home: Home
    settings: Settings
    secrets: Secrets
    calendar: Calendar
    fees: FeeTable

    @property
    def backups(self) -> Path:
        """Where backups of this home's ledger are kept."""
        told = self.settings.backup.folder
        return Path(told).expanduser().absolute() if told else self.home.backups

    def credentials(self) -> Credentials:
        secrets = self.secrets
        return Credentials(
            signal=(secrets.webhook_signal,),
            phase=(secrets.webhook_phase,),
            trend=(secrets.webhook_trend,),
            api=(secrets.api_token,),
            trading=(secrets.trading_token,),
        )


@dataclass(slots=True)
class Engine:
    """One engine, put together."""

    asked: Asked
    clock: Clock
    market: SimulatedMarket | RecordedMarket
    ledger: Ledger
    journey: Journey
    conductor: Conductor
    database: Database | None = None
    address: str = ""
    """Where it listens, once it does: http://127.0.0.1:8787."""
    external: bool = False
    """The database is not our own: DATABASE_URL."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Its face is shown: what was put off until then may begin."""
    problems: list[str] = field(default_factory=list)
    """What could not be arranged and a person should know."""

    @property
    def settings(self) -> Settings:
        return self.asked.settings

    @property
    def state(self) -> State:
        return self.journey.state


def ask(options: Options, *, with_secrets: bool = True) -> Asked:
    """Settings, secrets and tables of this start. Raises `UsageError` with one clear line."""
    home = find_home(options.home)
    try:
        settings = load_settings(home, options.overrides, default_policy=options.default_policy)
    except SettingError as error:
        raise UsageError(str(error)) from error
    home.prepare()
    secrets = load_secrets(home) if with_secrets else Secrets("", "", "", "", "")
    return Asked(
        home=home,
        settings=settings,
        secrets=secrets,
        calendar=new_york_calendar(),
        fees=load_fees(resources() / "fees" / "us_options.json"),
    )


async def build(asked: Asked, ledger: Ledger, database: Database | None = None) -> Engine:
    """Recover the state from an opened ledger and put the engine around it. Made inside the running loop."""
    state, known = await recover(ledger, SystemClock().wall())
    clock, market = open_market(asked, ledger.head.at)
    if isinstance(market, SimulatedMarket):
        for position in state.open_positions.values():
            market.watch(position.symbol)  # also when the settings no longer name it
    bars = BarBook(asked.calendar, market, market)
    world = World(
        settings=asked.settings,
        calendar=asked.calendar,
        quotes=market,
        bars=bars,
        fees=asked.fees,
        policy=asked.settings.approvals.policy,
        recorded=not isinstance(market, SimulatedMarket),
        parity=parity_of(asked, market),
    )
    journey = Journey(world, state, clock, known)
    broker = PaperBroker(market, clock, asked.calendar, asked.settings, asked.fees)
    advance = None if isinstance(market, SimulatedMarket) else market.advance
    conductor = Conductor(journey, ledger, broker, asked.settings.market.interval, advance)
    return Engine(
        asked=asked,
        clock=clock,
        market=market,
        ledger=ledger,
        journey=journey,
        conductor=conductor,
        database=database,
        external=bool(os.environ.get("DATABASE_URL")),
        problems=list(database.problems) if database is not None else [],
    )


def parity_of(asked: Asked, market: SimulatedMarket | RecordedMarket) -> Parity:
    """Where forwards are from. A recorded day is discounted by its own day's curve, a simulated market by the rate it lives by."""
    rate = asked.settings.contracts.rate
    curve = None if isinstance(market, SimulatedMarket) else rate_table().curve(market.day)
    return Parity(asked.calendar, rate, curve)


def open_market(asked: Asked, ended: datetime | None) -> tuple[Clock, SimulatedMarket | RecordedMarket]:
    """The market and the clock it lives by. A recording starts at its session's open; what came before is known then.
    `ended`: the engine time at which the ledger stopped, which the clock goes on from: time in a ledger never goes back.
    """
    settings = asked.settings.market
    wall = SystemClock()
    if settings.source.startswith(RECORDED):
        recorded = open_recording(Path(settings.source.removeprefix(RECORDED)), asked)
        first = told_start(asked) or (recorded.session.open if recorded.session is not None else recorded.instants()[0])
        if ended is not None and new_york_day(ended) != recorded.day:
            raise UsageError(
                f"{asked.home.root}: its ledger stands at {ended:%Y-%m-%d %H:%M} UTC and time never goes back; "
                f"a recorded day ({recorded.day}) needs a home of its own (--home)"
            )
        if ended is not None and ended > first:
            first = ended
        return ExchangeClock(first, wall, lambda moment: moment, settings.speed), recorded
    if settings.source != "simulated":
        raise UsageError(f"market {settings.source}: expected simulated or recorded:PATH")
    if settings.speed != 1:
        raise UsageError(
            f"market.speed: {settings.speed:g} is for a recorded market; a simulated one runs in real time"
        )
    clock = ExchangeClock(simulation_start(asked, wall.now(), ended), wall, _skipper(asked.calendar))
    return clock, SimulatedMarket(asked.calendar, clock, asked.settings)


def open_recording(place: Path, asked: Asked) -> RecordedMarket:
    from engine.market.parquet import RecordingError
    from engine.market.recording import RecordedMarket

    try:
        return RecordedMarket(place, asked.calendar, asked.settings.market.max_quote_age_recorded)
    except RecordingError as error:
        raise UsageError(str(error)) from error


def simulation_start(asked: Asked, now: datetime, ended: datetime | None) -> datetime:
    """Where a simulated exchange begins: as told, else where the ledger ended, else now if New York is trading, else
    an hour and a half into the last session."""
    told = told_start(asked)
    if told is not None:
        return told if ended is None else max(told, ended)
    if ended is not None:
        return ended
    calendar = asked.calendar
    session = calendar.session_at(now)
    if session is not None and session.open <= now < session.close - timedelta(minutes=30):
        return now
    session = session if session is not None and now >= session.close else calendar.previous_session(now.date())
    return session.open + timedelta(minutes=90)


def told_start(asked: Asked) -> datetime | None:
    """`market.start`, where it is set. Raises `UsageError` for what is no moment."""
    told = asked.settings.market.start
    if not told:
        return None
    try:
        start = datetime.fromisoformat(told)
    except ValueError as error:
        raise UsageError(f"market.start: {told} is no ISO time") from error
    if start.tzinfo is None:
        raise UsageError(f"market.start: {told} has no time zone (2026-11-20T15:00:00Z)")
    return start


def _skipper(calendar: Calendar) -> Callable[[datetime], datetime]:
    """The hours a simulated exchange is closed are skipped."""

    def skip(moment: datetime) -> datetime:
        session = calendar.session_at(moment)
        if session is not None and session.open <= moment < session.options_close + timedelta(minutes=1):
            return moment
        return calendar.next_open(moment)

    return skip
