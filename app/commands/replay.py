"""`replay DAY`: a recorded day through the whole engine, into a real ledger, in the stated order of events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace as with_home
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from app.commands.arrivals import read_bodies, read_orders
from app.faults import explained
from app.lifecycle import database_of
from app.options import VERSION, Options, UsageError
from app.paths import throwaway_home
from app.warming import serve_compiled
from app.wiring import Asked, ask, open_recording, parity_of
from engine.clock import SetClock
from engine.domain.events import EngineStopped
from engine.intake.payloads import Heard, understand
from engine.journey.clockwork import equity_now
from engine.journey.hearing import Known
from engine.journey.player import Arrival, Player
from engine.journey.step import Step, World
from engine.journey.story import Journey
from engine.market.bars import BarBook
from engine.operations.report import report
from engine.orders.paper import PaperBroker
from engine.sessions import new_york_day
from engine.settings import describe
from engine.state import State
from storage.ledger import PostgresLedger


def run_replay(
    options: Options,
    *,
    day: str,
    signals: Path | None,
    orders: Path | None,
    report: Path | None,
    speed: str,
    as_json: bool,
) -> int:
    pace = _pace(speed)
    with contextlib.ExitStack() as stack, explained():
        if options.home is None:
            options = with_home(options, home=stack.enter_context(throwaway_home("replay")))
        asked = ask(options)
        if asked.settings.pricing.kernels == "compiled":
            serve_compiled()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_replay(asked, Path(day), signals, orders, pace))
    text = json.dumps(result, indent=2)
    if report is not None:
        try:
            report.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{report}: cannot be written ({error.strerror})") from error
    print(text if as_json else _table(result))
    return 0


def _pace(speed: str) -> float | None:
    """Recorded seconds per real second; None as fast as it goes."""
    if speed == "max":
        return None
    try:
        pace = float(speed)
    except ValueError as error:
        raise UsageError(f"--speed {speed}: expected a number or max") from error
    if not 0 < pace < 1e6:
        raise UsageError(f"--speed {speed}: expected a number above 0, or max")
    return pace


async def _replay(
    asked: Asked, day: Path, signals: Path | None, orders: Path | None, pace: float | None
) -> dict[str, Any]:
    market = open_recording(day, asked)
    instants = market.instants()
    if not instants:
        raise UsageError(f"{day}: nothing is recorded there")
    arrivals = [*read_bodies(signals), *read_orders(orders)]
    for arrival in arrivals:
        if new_york_day(arrival.at) != market.day:
            raise UsageError(f"{arrival.where}: {arrival.at.isoformat()} is not on the recorded day {market.day}")
    clock = SetClock(min([instants[0], *(arrival.at for arrival in arrivals)]) - timedelta(microseconds=1))
    bars = BarBook(asked.calendar, market, market)
    world = World(
        settings=asked.settings,
        calendar=asked.calendar,
        quotes=market,
        bars=bars,
        fees=asked.fees,
        policy=asked.settings.approvals.policy,
        recorded=True,
        parity=parity_of(asked, market),
    )
    async with database_of(asked) as database:
        ledger = PostgresLedger(database)
        await ledger.open()
        writing: asyncio.Task[None] | None = None
        try:
            if ledger.head.seq:
                raise UsageError(f"{asked.home.root}: its ledger is not empty; a replay starts a new one")
            writing = asyncio.create_task(ledger.run(), name="ledger")
            journey = Journey(world, State(), clock, Known())
            broker = PaperBroker(market, clock, asked.calendar, asked.settings, asked.fees)
            player = Player(journey, ledger, broker, clock, market, _reader(asked, bars))
            player.perform(lambda step: journey.open(step, VERSION, market.source))
            await _play(player, arrivals, pace)
            player.perform(_end)
            await player.durable()
            step = journey.step()
            result = report(
                player.facts,
                journey.state.positions,
                journey.live.marks,
                journey.state.account,
                equity_now(step),
                describe(asked.settings) | {"market.source": f"{market.source}, quotes up to {market.max_age:g} s old"},
            )
            result["answers"] = [
                {"line": arrival.line, "ok": done.ok, "text": done.text} for arrival, done in player.answers
            ]
            result["after_the_end"] = [arrival.where for arrival in arrivals if arrival.at > instants[-1]]
            result["notes"] = [] if arrivals else [_SILENT]
            result["chain_head"] = ledger.head.hash.hex()
        finally:
            await ledger.close()
            if writing is not None:
                await writing
    return result


_SILENT = "no --signals and no --orders, or empty ones: the market was played, and nobody said anything"


def _end(step: Step) -> None:
    step.emit(EngineStopped, reason="the recording ended")


def _reader(asked: Asked, bars: BarBook) -> Callable[[bytes, datetime], Heard]:
    """Bodies are read when they arrive: a short form is completed from the bars known then."""

    def read(body: bytes, at: datetime) -> Heard:
        return understand(
            body,
            door=None,
            now=at,
            wall=at,
            bars=bars,
            calendar=asked.calendar,
            max_depth=asked.settings.intake.max_depth,
            remote="replay",
        )

    return read


async def _play(player: Player, arrivals: list[Arrival], pace: float | None) -> None:
    began = shown = time.monotonic()
    first: datetime | None = None
    progress = sys.stderr.isatty()
    for instant, due in player.instants(arrivals):
        first = first or instant
        if pace is not None:
            await asyncio.sleep(max(0.0, (instant - first).total_seconds() / pace - (time.monotonic() - began)))
        player.play(instant, due)
        if progress and time.monotonic() - shown > 0.5:
            shown = time.monotonic()
            print(f"\r{instant:%H:%M} UTC, {len(player.facts)} facts", end="", file=sys.stderr)
        await asyncio.sleep(0)
    if progress:
        print(file=sys.stderr)


def _table(result: Mapping[str, Any]) -> str:
    """What a person wants to see first."""
    lines = [
        f"{sum(result['receipts'].values())} receipts, {len(result['decisions'])} decisions "
        f"({', '.join(f'{count} {verdict}' for verdict, count in sorted(result['verdicts'].items()))}), "
        f"{len(result['orders'])} orders, {len(result['fills'])} fills",
        "",
    ]
    for trade in result["trades"]:
        lines.append(
            f"{trade['entry_time'][11:19]} to {trade['exit_time'][11:19]} UTC  {trade['quantity']:>3} "
            f"{trade['contract']:<22} {trade['entry']:>8} -> {trade['exit']:>8}  {trade['reason']:<14} "
            f"gross {trade['gross']:>10}  fees {trade['fees']:>7}  net {trade['net']:>10}"
        )
    for position in result["open"]:
        lines.append(
            f"open  {position['quantity']:>3} {position['contract']:<22} {position['entry']:>8}, marked "
            f"{position['mark']} at {(position['mark_time'] or '')[11:19]} UTC, unrealised {position['unrealised']}"
        )
    lines += result["notes"]
    if result["after_the_end"]:
        lines += ["", f"after the last record, not played: {', '.join(result['after_the_end'])}"]
    if result["refusals"]:
        lines += ["", "refused: " + ", ".join(f"{code} {count}" for code, count in result["refusals"].items())]
    lines += [
        f"equity {result['equity']}, cash {result['cash']}, {result['facts']} facts",
        f"digest of decisions {result['digests']['decisions']}",
        f"digest of ledger    {result['digests']['ledger']}",
    ]
    return "\n".join(lines)
