"""Keeps what the market showed: quotes of what is watched and held, minute bars, and the shapes of webhook bodies.

Called by the lifecycle, beside the journey. It looks a few times a second at most, only adds to a queue, and is never
waited for; see `storage.history`.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import structlog

from app.wiring import Engine
from engine.domain import events as ev
from engine.domain.events import AnyFact
from engine.domain.values import Quote
from engine.market.bars import Minutes
from storage.history import BarRow, History, QuoteRow

log = structlog.get_logger("recorder")

MINUTE = 1
_RECEIPTS = (ev.SignalReceived, ev.PhaseReceived, ev.TrendReceived, ev.ExitNoticeReceived)
_AWAY = 5.0
_BODIES = 1_000
"""Bodies whose shape waits to be looked at; beyond it the oldest are passed over."""


async def record(engine: Engine, dsn: str) -> None:
    """Serve until cancelled. `dsn`: the database's address as the engine's role."""
    if not engine.settings.history.record:
        return
    history = History(dsn)
    recorder = Recorder(engine, history)
    try:
        while not await _opened(history):  # noqa: ASYNC110 - a database that is away sets no event
            await asyncio.sleep(_AWAY)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run(), name="recorder")
            tasks.create_task(history.run(), name="history")
    finally:
        await history.close()


async def _opened(history: History) -> bool:
    try:
        await history.open()
    except psycopg.OperationalError as error:
        log.warning("history_away", error=str(error))
        return False
    return True


class Recorder:
    """Looks at one engine's market and hands what is new to a `History`."""

    def __init__(self, engine: Engine, history: History) -> None:
        self._engine = engine
        self._history = history
        self._last: dict[tuple[str, str], tuple[datetime, object, object]] = {}
        """Per instrument what was kept last: unchanged quotes are not kept again."""
        self._bars: dict[str, int] = {}
        """Per symbol the start (seconds) of the last bar kept."""
        self._bodies: deque[tuple[datetime, str, str]] = deque(maxlen=_BODIES)
        engine.conductor.watch(self._heard)

    async def run(self) -> None:
        """Serve until cancelled."""
        every = self._engine.settings.history.every
        while True:
            await asyncio.sleep(every)
            self.look()

    def look(self) -> None:
        """Take what is new since the last look."""
        engine = self._engine
        now = engine.clock.now()
        rows: list[QuoteRow] = []
        for symbol in engine.market.symbols():
            self._add(rows, now, symbol, "", engine.market.underlying(symbol))
            self._take_bars(now, symbol)
        state = engine.state
        held = {position.contract.osi: position.contract for position in state.open_positions.values()}
        held |= {ticket.contract.osi: ticket.contract for ticket in state.pending_tickets.values()}
        held |= {order.contract.osi: order.contract for order in state.open_orders.values()}
        for osi, contract in held.items():
            self._add(rows, now, contract.symbol, osi, engine.market.option(contract))
        self._history.add(rows)
        self._look_at_bodies()

    def _add(self, rows: list[QuoteRow], now: datetime, symbol: str, osi: str, quote: Quote | None) -> None:
        if quote is None:
            return
        seen = (quote.at, quote.bid, quote.ask)
        if self._last.get((symbol, osi)) == seen:
            return
        self._last[symbol, osi] = seen
        source = quote.source or self._engine.market.source
        rows.append(QuoteRow(now, quote.at, symbol, osi, quote.bid, quote.ask, quote.bid_size, quote.ask_size, source))

    def _take_bars(self, now: datetime, symbol: str) -> None:
        calendar = self._engine.asked.calendar
        session = calendar.session_at(now)
        minutes = self._engine.market.minutes(symbol, session, now) if session is not None else None
        if minutes is None or len(minutes) == 0:
            return
        self._history.add(_bar_rows(minutes, symbol, self._bars.get(symbol), self._engine.market.source))
        self._bars[symbol] = int(minutes.start[-1])

    def _heard(self, facts: Sequence[AnyFact]) -> None:
        for fact in facts:
            if isinstance(fact, _RECEIPTS):
                self._bodies.append((fact.at, fact.receipt.kind, fact.receipt.raw))

    def _look_at_bodies(self) -> None:
        while self._bodies:
            at, kind, raw = self._bodies.popleft()
            try:
                payload = json.loads(raw)
            except ValueError:
                continue  # cut at 8 KiB, or one of the short text forms: it has no paths
            found = self._history.noticed(at, "tradingview", kind, payload)
            if found is not None:
                log.warning("payload_drift", source=found.source, kind=kind, came=found.came, went=found.went)


def _bar_rows(minutes: Minutes, symbol: str, after: int | None, source: str) -> list[BarRow]:
    """Bars that start later than `after`. Without one only the newest: what was before a start is not kept again."""
    first = len(minutes) - 1 if after is None else int(minutes.start.searchsorted(after, side="right"))
    rows = []
    for start, open_, high, low, close, volume in minutes.rows(first, len(minutes)):
        at = datetime.fromtimestamp(start, UTC)
        ends = at + timedelta(minutes=MINUTE)
        rows.append(BarRow(at, ends, symbol, MINUTE, open_, high, low, close, volume, source))
    return rows
