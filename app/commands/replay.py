"""`replay DAY`: a recorded day through the whole engine, into a real ledger, in the stated order of events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace as with_home
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import uvloop

from app.faults import explained
from app.lifecycle import database_of
from app.options import VERSION, Options, UsageError
from app.paths import throwaway_home
from app.wiring import Asked, ask, open_recording
from engine.clock import SetClock
from engine.domain.commands import ClosePosition, Command, HaltTrading, OpenTicket, Override, ResumeTrading
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
from engine.settings import describe
from engine.state import State
from storage.ledger import PostgresLedger

BY = "orders-file"


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
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(_replay(asked, Path(day), signals, orders, pace))
    text = json.dumps(result, indent=2)
    if report is not None:
        report.write_text(text + "\n", encoding="utf-8")
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
    clock = SetClock(instants[0] - timedelta(microseconds=1))
    bars = BarBook(asked.calendar, market, market)
    world = World(
        settings=asked.settings,
        calendar=asked.calendar,
        quotes=market,
        bars=bars,
        fees=asked.fees,
        policy=asked.settings.approvals.policy,
        recorded=True,
    )
    arrivals = [*read_bodies(signals), *read_orders(orders)]
    async with database_of(asked) as database:
        ledger = PostgresLedger(database)
        await ledger.open()
        if ledger.head.seq:
            raise UsageError(f"{asked.home.root}: its ledger is not empty; a replay starts a new one")
        writing = asyncio.create_task(ledger.run(), name="ledger")
        try:
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
            result["chain_head"] = ledger.head.hash.hex()
        finally:
            await ledger.close()
            await writing
    return result


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


def read_bodies(path: Path | None) -> list[Arrival]:
    """Webhook bodies, one a line; `timenow` is the arrival, and `signal.timestamp` where there is none."""
    arrivals = []
    for number, line in _lines(path):
        tree = _object(path, number, line)
        said = tree.get("timenow")
        stamp = tree.get("signal", {}).get("timestamp") if isinstance(tree.get("signal"), dict) else None
        if isinstance(said, str):
            at = _time(path, number, said)
        elif isinstance(stamp, int):
            at = datetime.fromtimestamp(stamp / 1000, UTC)
        else:
            raise UsageError(f"{path}:{number}: no timenow: a replay must know when a body arrives")
        arrivals.append(Arrival(at=at, line=number, body=line.encode()))
    return arrivals


def read_orders(path: Path | None) -> list[Arrival]:
    """Manual tickets and overrides, one JSON object a line, each with its `time` and `action`:
    buy (contract, quantity, limit), close (contract or position, quantity), override (symbol, quantity, direction),
    halt (flatten), resume; `reason` on all."""
    return [
        Arrival(at=_time(path, number, str(tree.get("time", ""))), line=number, command=_command(path, number, tree))
        for number, line in _lines(path)
        for tree in [_object(path, number, line)]
    ]


def _command(path: Path | None, number: int, tree: dict[str, Any]) -> Callable[[Journey], Command]:
    where = f"{path}:{number}"
    reason = str(tree.get("reason") or f"orders file line {number}")
    quantity = tree.get("quantity")
    if quantity is not None and (not isinstance(quantity, int) or isinstance(quantity, bool)):
        raise UsageError(f"{where}: quantity: expected a whole number")
    try:
        limit = Decimal(str(tree["limit"])) if tree.get("limit") is not None else None
    except InvalidOperation as error:
        raise UsageError(f"{where}: limit: {tree['limit']} is no price") from error
    match tree.get("action"):
        case "buy":
            contract = str(tree.get("contract", "")).replace(" ", "")
            return lambda journey: OpenTicket(
                by=BY, contract=contract, quantity=quantity or 1, limit=limit, reason=reason, approve=True
            )
        case "close":
            return lambda journey: ClosePosition(by=BY, position=_held(journey, tree), quantity=quantity)
        case "override":
            symbol = str(tree.get("symbol", ""))
            return lambda journey: Override(
                by=BY,
                decision=_decided(journey, symbol),
                reason=reason,
                quantity=quantity,
                direction=tree.get("direction"),
            )
        case "halt":
            return lambda journey: HaltTrading(by=BY, reason=reason, flatten=bool(tree.get("flatten")))
        case "resume":
            return lambda journey: ResumeTrading(by=BY, reason=reason)
        case other:
            raise UsageError(f"{where}: action: {other} is not buy, close, override, halt or resume")


def _held(journey: Journey, tree: dict[str, Any]) -> str:
    """The open position an order file speaks of, by its id or its contract."""
    wanted = str(tree.get("position") or tree.get("contract") or "").replace(" ", "")
    for position in journey.state.open_positions.values():
        if wanted in (position.id, position.contract.osi):
            return position.id
    return wanted


def _decided(journey: Journey, symbol: str) -> int:
    board = journey.state.boards.get(symbol)
    return board.decision_seq if board is not None and board.decision_seq is not None else 0


def _lines(path: Path | None) -> Iterator[tuple[int, str]]:
    if path is None:
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line


def _object(path: Path | None, number: int, line: str) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{number}: not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise UsageError(f"{path}:{number}: expected a JSON object")
    return tree


def _time(path: Path | None, number: int, said: str) -> datetime:
    try:
        moment = datetime.fromisoformat(said)
    except ValueError as error:
        raise UsageError(f"{path}:{number}: {said!r} is no ISO time") from error
    if moment.tzinfo is None:
        raise UsageError(f"{path}:{number}: {said} has no time zone")
    return moment.astimezone(UTC)


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
    if result["refusals"]:
        lines += ["", "refused: " + ", ".join(f"{code} {count}" for code, count in result["refusals"].items())]
    lines += [
        f"equity {result['equity']}, cash {result['cash']}, {result['facts']} facts",
        f"digest of decisions {result['digests']['decisions']}",
        f"digest of ledger    {result['digests']['ledger']}",
    ]
    return "\n".join(lines)
