"""The whole way, without a database or a network: a signal is heard, the desk shows it, keys answer, a position is held."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.actions import ACTIONS
from app.bridge import Bridge
from app.options import Options
from app.wiring import Engine, ask, build
from engine.domain.values import TicketState
from engine.domain.views import LampState, StoryStep
from engine.intake.payloads import understand
from storage.memory import MemoryLedger
from tests.bodies import signal_body
from widgets.theme import Look
from widgets.window import DeskWindow


class Rig:
    """One engine on a simulated market, one window, one bridge that is flushed by hand."""

    def __init__(self, engine: Engine, look: Look, state: Path) -> None:
        self.engine = engine
        self.tasks: set[asyncio.Task[None]] = set()
        self.window = DeskWindow(
            lambda c: self.bridge.send(c),
            lambda seq: self.bridge.open_story(seq),
            state,
            ACTIONS,
            look,
            monotonic=lambda: self.clock,
        )
        self.clock = 0.0
        self.bridge = Bridge(engine, self.window, self.spawn)
        self.window.show()
        self.window.activateWindow()
        QTest.qWaitForWindowActive(self.window)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="from the desk")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def look(self) -> None:
        """Let the engine finish, then look at all panels, the slow ones too."""
        while self.tasks:
            await asyncio.gather(*self.tasks)
        await self.engine.conductor.settle()
        for _ in range(7):
            self.bridge.flush()
        self.clock += 1

    async def until(self, what: Callable[[], bool]) -> None:
        """Look again and again until it is so."""
        async with asyncio.timeout(20):
            while not what():
                await asyncio.sleep(0.02)
                await self.look()

    async def hear(self, timeframe: str, **more: Any) -> None:
        engine, now = self.engine, self.engine.clock.now()
        quote = engine.market.underlying("SPY")
        assert quote is not None
        assert quote.mid is not None
        body = signal_body(
            timeframe=timeframe, price=float(quote.mid), timestamp=int(engine.clock.wall().timestamp() * 1000), **more
        )
        world = engine.journey.world
        heard = understand(json.dumps(body).encode(), door="signal", now=now, wall=engine.clock.wall(), bars=world.bars,
                           calendar=world.calendar)  # fmt: skip
        answer = await engine.conductor.hear(heard)
        assert answer.status in (200, 202), answer
        await self.until(lambda: all(row.weighed for row in engine.state.heard.values()))
        await self.look()

    def press(self, *keys: Qt.Key) -> None:
        for key in keys:
            QTest.keyClick(self.window.focusWidget() or self.window, key)


@pytest.fixture
async def rig(qapp: QApplication, tmp_path: Path) -> AsyncIterator[Rig]:
    look = Look()
    look.apply(qapp)
    asked = ask(
        Options(
            home=tmp_path / "home",
            overrides={"market.start": "2026-11-20T17:00:00Z", "approvals.hold_ms": "0", "market.interval": "0.02"},
        )
    )
    engine = await build(asked, MemoryLedger())
    await engine.conductor.open("test", engine.market.source)
    running = asyncio.get_running_loop().create_task(engine.conductor.run(), name="engine")
    rig = Rig(engine, look, tmp_path / "state.ini")
    rig.bridge.start()
    rig.bridge.stop()
    yield rig
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    rig.bridge.stop()
    rig.window.close_now()
    rig.window.deleteLater()


async def test_first_start_says_what_is_empty_and_what_to_do(rig: Rig) -> None:
    await rig.look()
    window = rig.window
    assert window.band.texts()[0] == "PAPER · SIMULATED MARKET"
    assert window.positions.card.what.text() == "No position is open."
    assert window.log.card.what.text() == "Nothing was said yet."
    assert window.log.card.isVisibleTo(window.log)
    assert window.welcome.steps[0].step.done
    assert window.docks.visible("welcome")
    assert window.signals.card.isVisibleTo(window.signals)
    lamps = {lamp.id: lamp.state for lamp in window.health.model.rows}
    assert lamps["ledger"] is LampState.OK
    assert lamps["webhook"] is LampState.BAD  # nothing listens in this test


async def test_signal_to_position_to_closed_by_keys(rig: Rig) -> None:
    window, state = rig.window, rig.engine.state
    await rig.hear("240")
    await rig.hear("60")
    assert window.decision.shown is not None
    assert window.decision.shown.verdict == "EXECUTE"
    assert window.confluence.board.rows[0].score == 65
    ticket = window.approvals.ticket
    assert ticket is not None, window.signals.model.row(0).outcome
    assert window.approvals.headline.ticket is ticket
    assert len(ticket.payoff) > 10
    rig.press(Qt.Key.Key_A, Qt.Key.Key_Return)
    await rig.look()
    assert state.tickets[ticket.id].state is TicketState.APPROVED, window.notice.text
    await rig.until(lambda: window.exits.model.rowCount() > 3)
    assert window.positions.model.rowCount() == 1
    row = window.positions.model.row(0)
    assert row.quantity > 0
    assert window.greeks.gauges.gauges[0].value is not None
    window.show_panel("positions")
    rig.press(Qt.Key.Key_Return)
    await rig.look()
    cards = {card.step: card for card in window.story.cards.cards}
    assert cards[StoryStep.SIGNAL].title == "SPY 1H LONG HIGH"
    assert cards[StoryStep.FILLS].title.startswith(f"{row.quantity} at ")
    assert cards[StoryStep.EXIT].at is None
    window.show_panel("positions")
    rig.press(Qt.Key.Key_X, Qt.Key.Key_Return)
    await rig.until(lambda: window.positions.model.rowCount() == 0)
    assert any("PositionClosed" in line.source for line in window.log.model.rows)


@pytest.mark.parametrize("spool", [False, True])
async def test_an_outage_of_the_ledger_has_its_line_until_it_is_over(rig: Rig, spool: bool) -> None:
    window, ledger = rig.window, rig.engine.ledger
    assert isinstance(ledger, MemoryLedger)
    await rig.look()
    assert not window.outage.isVisible()
    ledger.hold(True, spool=spool)
    async with asyncio.timeout(20):
        while not window.outage.isVisible():
            await asyncio.sleep(0.02)
            await flushed(rig)
    assert window.outage.isVisible()
    shown = window.outage.outage
    assert shown is not None
    assert shown.word == ("LEDGER BEHIND" if spool else "NOTHING IS KEPT")
    assert shown.word in window.outage.accessibleName() + window.outage.accessibleDescription()
    (said,) = (row for row in window.log.model.rows if row.source == "Ledger")
    assert said.text.startswith(shown.word)
    assert said.level in ("warning", "error")
    ledger.hold(False)
    await flushed(rig)
    assert not window.outage.isVisible()
    over = next(row for row in window.log.model.rows if row.source == "Ledger")
    assert "keeps up again" in over.text
    assert over.level == "info"


async def flushed(rig: Rig) -> None:
    """All panels have been looked at; nothing is waited for."""
    for _ in range(7):
        await asyncio.sleep(0)
        rig.bridge.flush()


async def test_a_wait_shows_what_would_change_it(rig: Rig) -> None:
    await rig.hear("5", quality="MEDIUM")
    shown = rig.window.decision.shown
    assert shown is not None
    assert shown.verdict == "WAIT"
    assert shown.overridable
    assert shown.inputs == ("5m LONG MEDIUM 8.0",)


async def test_views_that_did_not_change_are_not_drawn_again(rig: Rig) -> None:
    await rig.look()
    seen = rig.bridge.seen()
    vitals = rig.bridge._vitals()
    for _ in range(7):
        rig.bridge.composer.update(seen, vitals, "")
    for _ in range(7):
        assert rig.bridge.composer.update(seen, vitals, "") == msgspec.structs.replace(
            rig.bridge.composer.update(seen, vitals, "")
        )
        update = rig.bridge.composer.update(seen, vitals, "")
        assert all(getattr(update, name) is None for name in update.__struct_fields__)


async def test_fifty_positions_are_shown_and_sorted_out(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    await rig.hear("240")
    await rig.hear("60")
    rig.press(Qt.Key.Key_A, Qt.Key.Key_Return)
    state, live = rig.engine.state, rig.engine.journey.live
    await rig.until(lambda: bool(live.marks))
    (position,) = state.open_positions.values()
    mark = live.marks[position.id]
    for number in range(1000, 1049):
        key = f"P{number}"
        state.open_positions[key] = msgspec.structs.replace(position, id=key)
        live.marks[key] = msgspec.structs.replace(mark, position=key)
    rig.bridge.flush()
    assert rig.window.positions.model.rowCount() == 50
    took = []
    for turn in range(60):
        for key in list(live.marks):
            exits = tuple(
                msgspec.structs.replace(exit_, distance=f"{turn} pt", nearness=turn / 60) for exit_ in mark.exits
            )
            live.marks[key] = msgspec.structs.replace(mark, position=key, price=mark.price + Decimal(turn) / 100,
                                                      unrealised=mark.unrealised + turn, exits=exits)  # fmt: skip
        started = time.perf_counter()
        rig.bridge.flush()
        took.append((time.perf_counter() - started) * 1000)
    took.sort()
    with capsys.disabled():
        print(
            f"\nflush with 50 positions and {len(mark.exits) * 50} exits that all moved: median {took[30]:.2f} ms, p95 {took[56]:.2f}, worst {took[-1]:.2f} ms"
        )
