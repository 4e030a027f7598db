"""Between engine and screen: looks at the engine 25 times a second, makes views, hands on only what changed.

Commands go the other way: `send` is plain, the engine's answer comes back to the window. A widget never sees the
engine, and a burst of any size costs the screen one look. Made by `app.desktop`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer

from app.chains import ChainWatch
from app.wiring import Engine
from engine.domain import events as ev
from engine.domain.commands import Command
from engine.domain.entities import Heard, SymbolBoard
from engine.domain.events import AnyFact
from engine.domain.values import Timeframe
from engine.domain.views import ChainView, DecisionView, DeskUpdate, Face, FaceKind, LogRow, LogView
from engine.journey.booking import book_of
from engine.pricing import kernels
from engine.sessions import new_york_day
from engine.views import board, desk, holdings, stories, tickets
from engine.views.desk import Vitals
from engine.views.lag import Lag
from engine.views.lately import Lately
from engine.views.outage import Edge, Outages
from engine.views.seen import Seen
from widgets.window import DeskWindow

FLUSH_MS = 40
SLOW_EVERY = 6
"""Panels nobody reads faster than this many flushes: about four times a second."""
LOG_ROWS = 500
QUIET = (ev.PositionMarked, ev.EquityMarked)
"""Facts that come by the clock and would drown the log."""
Spawn = Callable[[Coroutine[Any, Any, None]], None]


class Composer:
    """Makes the update of one flush: every view that differs from the one shown. No Qt, no clock of its own."""

    def __init__(self) -> None:
        self._shown: dict[str, object] = {}
        self._decisions: dict[str, tuple[SymbolBoard, Heard | None, DecisionView | None]] = {}
        self._log: deque[LogRow] = deque(maxlen=LOG_ROWS)
        self._lines = 0
        self._logged = -1
        self._turn = 0
        self._outages = Outages()

    def note(self, row: Callable[[int], LogRow]) -> None:
        """Keep a line for the log panel; `row` gets its number."""
        self._lines += 1
        self._log.appendleft(row(self._lines))

    def update(self, seen: Seen, vitals: Vitals, secret: str, chain: ChainView | None = None) -> DeskUpdate:
        """What changed since the last call. The slow panels are looked at every few calls, the first time at once. `chain`: the
        view of the chain's panel while it is in sight."""
        views: dict[str, object] = {
            "header": desk.header_view(seen, vitals.market),
            "tickets": tickets.tickets_view(seen),
            "orders": holdings.orders_view(seen),
            "positions": holdings.positions_view(seen),
        }
        outage, edges = self._outages.look(vitals, seen.settings.ledger, seen.now)
        for edge in edges:
            self.note(partial(_edge_line, edge, seen.now))
        slow = self._turn % SLOW_EVERY
        first = self._turn == 0
        self._turn += 1
        if slow == 0:
            views["signals"] = board.signals_view(seen)
            views["confluence"] = board.confluence_view(seen)
        if slow == 1 or first:
            views["decisions"] = board.decisions_view(seen, self._made(seen))
        if slow == 2 or first:
            views["exits"] = holdings.exits_view(seen)
        if slow == 3 or first:
            views["greeks"] = holdings.greeks_view(seen)
        if slow == 4 or first:
            views["health"] = desk.health_view(seen, vitals, outage)
            views["welcome"] = desk.welcome_view(seen, vitals, secret)
        if self._logged != self._lines:
            self._logged = self._lines
            quiet = Face(kind=FaceKind.EMPTY, what="Nothing was said yet.", then="Every fact leaves a line here.")
            views["log"] = LogView(rows=tuple(self._log), face=Face() if self._log else quiet)
        if chain is not None:
            views["chain"] = chain
        changed = {name: view for name, view in views.items() if self._shown.get(name) != view}
        self._shown.update(changed)
        return DeskUpdate(**changed)  # type: ignore[arg-type]

    def _made(self, seen: Seen) -> tuple[DecisionView, ...]:
        """What would have changed a decision costs a dozen decisions: it is worked out once per change of a board."""
        found = []
        for symbol, now in seen.state.boards.items():
            heard = next((row for row in reversed(seen.state.heard.values()) if row.decision == now.decision_seq), None)
            kept = self._decisions.get(symbol)
            if kept is None or kept[0] is not now or kept[1] is not heard:
                kept = (now, heard, board.decision_view(now, seen.now, heard))
                self._decisions[symbol] = kept
            if kept[2] is not None:
                found.append(kept[2])
        return tuple(found)


class Bridge(QObject):
    """Attributes: slowest, the longest flush so far in milliseconds."""

    def __init__(
        self, engine: Engine, window: DeskWindow, spawn: Spawn, ledger_name: str = "embedded Postgres"
    ) -> None:
        super().__init__(window)
        self.engine, self.window, self._spawn = engine, window, spawn
        self.composer = Composer()
        self.chains = ChainWatch(lambda chain, day: engine.journey.step().chain_terms(chain, day))
        self.slowest = 0.0
        self._ledger_name = ledger_name
        self._references: dict[str, Decimal] = {}
        self._due = 0.0
        self._steps, self._blocks, self._lag = Lately(), Lately(), Lag()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.CoarseTimer)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self.flush)
        engine.conductor.watch(self._facts)

    def start(self) -> None:
        self.window.apply(DeskUpdate(story=stories.NO_STORY))
        self.flush()
        if not self.engine.state.heard:
            self.window.docks.reveal("welcome")
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        self.chains.close()

    # -- engine to screen

    def flush(self) -> None:
        started = time.perf_counter()
        step = self.engine.conductor.pulse.take_slowest()
        if self._due and self.engine.conductor.pulse.warm:
            late = max(0.0, (started - self._due) * 1000 - FLUSH_MS)
            self._blocks.note(started, late)
            self._lag.note(started, late)
            self._steps.note(started, step * 1000)
        seen = self.seen()
        chain = self.chains.turn(seen, self.window.chain.asked, started) if self.window.docks.visible("chain") else None
        update = self.composer.update(seen, self._vitals(), self.engine.asked.secrets.webhook_signal, chain)
        self.window.apply(update)
        ended = time.perf_counter()
        self._due = started
        self.slowest = max(self.slowest, (ended - started) * 1000)

    def seen(self) -> Seen:
        """The engine as it is now."""
        engine = self.engine
        journey = engine.journey
        step = journey.step()
        now, calendar = step.now, journey.world.calendar
        session = calendar.session_at(now)
        self._refer()
        return Seen(
            now=now,
            state=journey.state,
            marks=journey.live.marks,
            quotes=journey.world.quotes,
            settings=engine.settings,
            calendar=calendar,
            book=book_of(step) if journey.state.account is not None else None,
            session=session,
            references=self._references,
            atr=self._atr,
            terms=step.terms,
        )

    def _atr(self, symbol: str, timeframe: Timeframe) -> float | None:
        """Bars advance once a moment for all timeframes, so a look costs microseconds once they are warm."""
        if not self.engine.conductor.pulse.warm:
            return None
        return self.engine.journey.world.bars.facts_for(symbol, timeframe, self.engine.clock.now()).atr

    def _refer(self) -> None:
        """Changes count from the prior close; where that is unknown, from the first quote seen in this run."""
        quotes, calendar = self.engine.journey.world.quotes, self.engine.journey.world.calendar
        for symbol in quotes.symbols():
            if symbol in self._references:
                continue
            today = new_york_day(self.engine.clock.now())
            close = quotes.official_close(symbol, calendar.previous_session(today).day)
            quote = quotes.underlying(symbol)
            reference = close if close is not None else quote.mid if quote is not None else None
            if reference is not None:
                self._references[symbol] = reference

    def _vitals(self) -> Vitals:
        engine = self.engine
        pulse, ledger, now = engine.conductor.pulse, engine.ledger, time.perf_counter()
        serving, reason = kernels.state()
        return Vitals(
            address=engine.address,
            market=engine.market.source,
            ledger_seq=ledger.head.seq,
            ledger_available=ledger.available,
            ledger_spooled=ledger.spooled,
            ledger_name=self._ledger_name,
            slowest_step=float(round(self._steps.worst(now))),
            loop_block=float(round(self._blocks.worst(now))),
            loop_late=float(round(self._lag.worst)) if self._lag.late else None,
            heard_ago=None if pulse.last_receipt is None else asyncio.get_running_loop().time() - pulse.last_receipt,
            weighing=pulse.weighing,
            warm=pulse.warm,
            pricing=serving.value,
            pricing_reason=reason,
            problems=tuple(engine.problems),
            clock=now,
        )

    def _facts(self, facts: Sequence[AnyFact]) -> None:
        for fact in facts:
            if not isinstance(fact, QUIET):
                self.composer.note(lambda number, fact=fact: _line(number, fact))  # type: ignore[misc]

    # -- screen to engine

    def send(self, command: Command) -> None:
        """Carry a command to the engine; its answer is shown when it is durable."""
        self._spawn(self._send(command))

    async def _send(self, command: Command) -> None:
        self.window.show_answer(await self.engine.conductor.command(command))

    def open_story(self, seq: int) -> None:
        """Fetch a story from the ledger and show it."""
        self._spawn(self._story(seq))

    async def _story(self, seq: int) -> None:
        facts = await self.engine.ledger.story(seq)
        self.window.apply(DeskUpdate(story=stories.story_view(seq, facts)))


WARNINGS = (
    ev.ReceiptRefused, ev.EntryDenied, ev.CommandRefused, ev.OrderRejected, ev.OrderDenied, ev.TradingHalted, ev.ExitTriggered,
)  # fmt: skip


def _edge_line(edge: Edge, at: datetime, number: int) -> LogRow:
    return LogRow(id=number, at=at, level=edge.level, source="Ledger", text=edge.text)


def _line(number: int, fact: AnyFact) -> LogRow:
    level = "warning" if isinstance(fact, WARNINGS) else "info"
    return LogRow(id=number, at=fact.at, level=level, source=f"{fact.kind} {fact.seq}", text=stories.fact_text(fact))
