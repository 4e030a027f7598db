"""Start and stop, in order: database, ledger, recovery, journey, listener; back in reverse. One supervisor for all tasks.

A long task that dies ends the engine: nothing is done that cannot be kept, and a restart is the recovery.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog

from app.door import DeskDoor
from app.following import follow
from app.heads import HeadKeeper, heads_file
from app.nightly import nightly
from app.options import VERSION, UsageError
from app.recorder import record
from app.warming import warm
from app.wiring import Asked, Engine, build
from engine.clock import SystemClock
from engine.domain import events as ev
from engine.domain.canonical import time_text
from engine.domain.events import AnyFact
from engine.intake.api import create_app
from engine.intake.server import serve as listen
from engine.operations.story import words_of
from engine.ports import LedgerAway
from storage.backup import backup
from storage.database import Database, open_database
from storage.embedded import EmbeddedPostgres
from storage.errors import ServerError, SpoolDamaged
from storage.heads import HeadFile
from storage.ledger import PostgresLedger
from storage.outbox import FileMessenger
from storage.spool import Spool, left_in

log = structlog.get_logger("lifecycle")

Face = Callable[[Engine], Awaitable[None]]


@contextlib.asynccontextmanager
async def database_of(asked: Asked) -> AsyncIterator[Database]:
    """The database of this home: `DATABASE_URL` where it is set, else our own Postgres, started and stopped here."""
    async with _server_of(asked) as (database, _):
        yield database


@contextlib.asynccontextmanager
async def _server_of(asked: Asked) -> AsyncIterator[tuple[Database, EmbeddedPostgres | None]]:
    """The same with its server, where that is our own."""

    async def keep_copy(dsn: str) -> None:
        log.info("backup_before_migration", folder=str(asked.backups))
        await backup(dsn, asked.backups, SystemClock().wall(), keep=asked.settings.backup.keep)

    async def opened(dsn: str, app_dsn: str | None = None) -> Database:
        try:
            return await open_database(dsn, app_dsn=app_dsn, before_migration=keep_copy)
        except LedgerAway as error:
            raise LedgerAway(f"{error}{await asyncio.to_thread(_left, asked)}") from error

    url = os.environ.get("DATABASE_URL")
    if url:
        database = await opened(url, os.environ.get("DATABASE_APP_URL"))
        try:
            yield database, None
        finally:
            await database.close()
        return
    postgres = EmbeddedPostgres(asked.home.database)
    try:
        dsn = await postgres.start()
    except ServerError as error:
        raise ServerError(f"{error}{await asyncio.to_thread(_left, asked)}") from error
    try:
        database = await opened(dsn)
        try:
            yield database, postgres
        finally:
            await database.close()
    finally:
        await postgres.stop()


def _left(asked: Asked) -> str:
    """How many facts of an earlier run a database that cannot be reached leaves waiting, for the line that says so."""
    try:
        left = left_in(asked.home.spool)
    except (SpoolDamaged, OSError) as error:
        return f"; and {error}"
    if left is None:
        return ""
    return f"; {left.facts} facts wait for it in the spool" if left.facts != 1 else "; 1 fact waits for it in the spool"


async def serve(asked: Asked, face: Face) -> None:
    """Run an engine until `face` returns. `face` is awaited once the engine listens."""
    async with _server_of(asked) as (database, postgres):
        limits = asked.settings.ledger
        spool = Spool(asked.home.spool, limit=limits.spool_mb << 20)
        ledger = PostgresLedger(database, spool=spool, stall=limits.stall_ms / 1000)
        await ledger.open()
        _say_spooled(ledger, "found_in_spool")
        try:
            engine = await build(asked, ledger, database)
            ledger.report_to(_reporter(engine, "ledger"))
            heads = HeadKeeper(
                ledger,
                database,
                HeadFile(heads_file(asked)),
                FileMessenger(asked.home.outbox, engine.clock),
                every=limits.head_facts,
                report=_reporter(engine, "heads"),
            )
            # The program itself is no garbage: looking through it would stop everything for a twentieth of a second.
            gc.freeze()
            # And what lives long afterwards is mostly values without cycles: whole collections are rarely worth their pause.
            gc.set_threshold(20_000, 50, 100)
            engine.conductor.report_to(_reporter(engine, "watcher"))
            engine.conductor.watch(_log_facts)
            async with asyncio.TaskGroup() as tasks:
                # The server is looked after until the last fact is in it.
                if postgres is not None:
                    keeper = postgres.run(_reporter(engine, "database_server"))
                    watching = tasks.create_task(keeper, name="database server")
                asides = [
                    tasks.create_task(_aside(work, name, _reporter(engine, name)), name=name)
                    for name, work in (
                        ("following", follow(engine, database.app)),
                        ("recording", record(engine, database.app)),
                        ("heads", heads.run(engine.clock, asked.calendar)),
                        ("backup", nightly(asked, SystemClock(), _reporter(engine, "backup"), database)),
                    )
                ]
                try:
                    await _run(engine, ledger, face)
                finally:
                    await heads.keep()
                for aside in asides:
                    aside.cancel()
                if postgres is not None:
                    watching.cancel()
        finally:
            await ledger.close()
            _say_spooled(ledger, "left_in_spool")


def _say_spooled(ledger: PostgresLedger, what: str) -> None:
    """Facts that are durable on this disk and not in the database, at a start or an end."""
    if ledger.spooled is not None and ledger.spooled.facts:
        log.warning(what, facts=ledger.spooled.facts, reason=ledger.spooled.reason)


async def _aside(work: Awaitable[None], name: str, report: Callable[[str], None]) -> None:
    """What runs beside the journey: facts and decisions do not depend on it, so its end is a problem to show, and not
    the engine's end."""
    try:
        await work
    except Exception as error:
        log.exception("aside_failed", name=name)
        report(f"{name} has ended: {type(error).__name__}: {error}; the next start begins it again")


LOGGED = (
    ev.EngineStarted, ev.EngineStopped, ev.ReceiptRefused, ev.EntryDenied, ev.TicketOpened, ev.TicketApproved,
    ev.TicketRejected, ev.DecisionOverridden, ev.CommandRefused, ev.OrderSettledByHand, ev.OrderFilled, ev.OrderRejected, ev.ExitTriggered,
    ev.PositionClosed, ev.ContractSettled, ev.TradingHalted, ev.TradingResumed,
)  # fmt: skip
"""What a person looks for in a log. The ledger has all of it, and the rest."""


def _log_facts(facts: Sequence[AnyFact]) -> None:
    for fact in facts:
        if isinstance(fact, LOGGED):
            log.info(fact.kind, seq=fact.seq, at=time_text(fact.at), says=words_of(fact))


def _reporter(engine: Engine, who: str) -> Callable[[str], None]:
    """Shows what a keeper (of the server, of backups) says among the problems, until it says that all is well again."""
    shown: list[str] = []

    def report(problem: str) -> None:
        engine.problems[:] = [one for one in engine.problems if one not in shown]
        shown[:] = [problem] if problem else []
        engine.problems += shown
        log.warning(who, problem=problem or "none, it is well again")

    return report


async def _run(engine: Engine, ledger: PostgresLedger, face: Face) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ledger.run(), name="ledger")
        await engine.conductor.open(VERSION, engine.settings.market.source)
        conducting = tasks.create_task(engine.conductor.run(), name="conductor")
        listening = tasks.create_task(_listen(engine), name="listener")
        compiled = engine.settings.pricing.kernels == "compiled"
        warming = tasks.create_task(warm(engine.ready, allowed=compiled), name="kernels")
        reason = "stopped"
        try:
            while not engine.address and not listening.done():  # noqa: ASYNC110 - a process is asked, there is no event to wait for
                await asyncio.sleep(0.002)
            if engine.address:
                await face(engine)
        except BaseException as error:
            reason = f"failed: {type(error).__name__}"
            raise
        finally:
            await _end(listening)
            await _end(conducting)
            engine.conductor.stop()
            engine.conductor.perform(lambda step: step.emit(ev.EngineStopped, reason=reason))
            await ledger.close()
            await _end(warming)


async def _listen(engine: Engine) -> None:
    asked = engine.asked
    app = create_app(
        DeskDoor(engine),
        engine.conductor,
        asked.credentials(),
        asked.settings.intake,
        engine.clock,
        engine.journey.world.bars,
        asked.calendar,
        VERSION,
    )
    intake = asked.settings.intake

    def listening(host: str, port: int) -> None:
        engine.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    try:
        await listen(app, intake.host, intake.port, listening)
    except OSError as error:
        raise UsageError(
            f"port {intake.port} on {intake.host} cannot be listened on ({error.strerror}); "
            "choose another with --port, or 0 for a free one"
        ) from error


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel and wait; an error it had is the supervisor's to report."""
    task.cancel()
    await asyncio.wait([task])
