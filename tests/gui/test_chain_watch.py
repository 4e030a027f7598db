"""The chain on a living desk: looked at beside the loop, equal to what its contracts say, and honest when a look fails."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from PySide6.QtCore import Qt

from app.chains import AFTER_FAILURE, EVERY, ChainWatch
from engine.domain.chain import Chain
from engine.domain.views import ChainView, FaceKind
from engine.pricing.terms import Terms
from tests.gui.test_bridge import Rig
from tests.gui.test_bridge import rig as rig  # a fixture


async def shown(rig: Rig) -> ChainView:
    """The chain once its look has come."""
    rig.window.show_panel("chain")
    await rig.until(lambda: bool(rig.window.chain.view.rows))
    return rig.window.chain.view


async def done(watch: ChainWatch) -> None:
    """The look under way has ended."""
    if watch._working is not None:
        await asyncio.wait([asyncio.wrap_future(watch._working)])


async def test_the_desk_shows_the_chain_of_its_market_and_follows_the_expiry(rig: Rig) -> None:
    view = await shown(rig)
    market = rig.engine.market
    assert (view.symbol, view.source) == (market.symbols()[0], "simulated")
    for row in view.rows:
        for one in (row.call, row.put):
            assert one is not None
            contract = market.find(one.osi)
            assert contract is not None
            assert contract.strike == row.strike
    first = view.expiry
    rig.press(Qt.Key.Key_BracketRight)
    await rig.until(lambda: rig.window.chain.view.expiry != first)
    assert rig.window.chain.view.expiry == view.expiries[1].day
    rig.window.follow("QQQ")
    await rig.until(lambda: rig.window.chain.view.symbol == "QQQ")
    assert rig.window.chain.view.expiry == rig.window.chain.view.expiries[0].day


async def test_enter_opens_a_ticket_of_the_chosen_contract(rig: Rig) -> None:
    await shown(rig)
    rig.press(Qt.Key.Key_BracketRight)
    await rig.until(lambda: rig.window.chain.view.expiry == rig.window.chain.view.expiries[1].day)
    rig.press(Qt.Key.Key_Right, Qt.Key.Key_Return)
    rig.window.sheet.reason.setText("hedge")
    rig.window.sheet.accept()
    await rig.until(lambda: bool(rig.engine.state.tickets))
    (ticket,) = rig.engine.state.tickets.values()
    found = rig.window.chain.current
    assert found is not None
    assert ticket.contract.osi == found[1].osi
    assert ticket.by_hand


async def test_a_panel_out_of_sight_costs_nothing(rig: Rig) -> None:
    rig.window.docks.reveal("log")
    await rig.look()
    assert rig.bridge.chains._working is None
    assert rig.window.chain.view == ChainView()


async def test_a_look_that_fails_is_said_and_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await shown(rig)
    watch, seen = rig.bridge.chains, rig.bridge.seen()
    with monkeypatch.context() as broken:
        broken.setattr("app.chains.chain_view", lambda _: 1 / 0)
        watch.turn(seen, ("SPY", None), 100.0)
        await done(watch)
    failed = watch.turn(seen, ("SPY", None), 100.0)
    assert failed.face.kind is FaceKind.ERROR
    assert "ZeroDivisionError" in failed.face.what
    assert failed.rows == view.rows
    assert watch.turn(seen, ("SPY", None), 100.0 + AFTER_FAILURE - 0.1).face.kind is FaceKind.ERROR
    assert watch._working is None
    watch.turn(seen, ("SPY", None), 101.0 + AFTER_FAILURE)
    await done(watch)
    assert watch.turn(seen, ("SPY", None), 101.0 + AFTER_FAILURE).face.kind is FaceKind.FULL


async def test_no_two_looks_at_once_and_none_too_soon(rig: Rig) -> None:
    asked: list[tuple[str, date]] = []

    def terms(chain: Chain, day: date) -> Terms:
        asked.append((chain.symbol, day))
        return Terms(0.04)

    watch, seen = ChainWatch(terms), rig.bridge.seen()
    for _ in range(3):
        watch.turn(seen, ("SPY", None), 10.0)
    await done(watch)
    watch.turn(seen, ("SPY", None), 10.0 + EVERY / 2)
    assert len(asked) == 1
    watch.turn(seen, ("SPY", None), 10.0 + EVERY)
    assert len(asked) == 2
    watch.close()
    assert watch._worker is None


async def test_without_a_chain_it_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, seen = ChainWatch(lambda _symbol, _day: Terms(0.04)), rig.bridge.seen()
    with monkeypatch.context() as silent:
        silent.setattr(type(seen.quotes), "chain", lambda _self, _symbol: None)
        view = watch.turn(seen, ("SPY", None), 1.0)
    assert view.face.what == "SPY has no option chain now."
    assert view.rows == ()
