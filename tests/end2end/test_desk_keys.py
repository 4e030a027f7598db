"""A trader's hour on the real desk: real keys on a real screen, and the ledger's word for what they did."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end2end.desk_process import ROOT, DeskProcess, screen, until
from tests.faults.engine_process import facts_of, kill_database

STOOD_STILL = 0.45
"""Seconds a ticket must have been in sight before Enter counts: 400 ms and a little."""
REASON = "axe? no: jerk of a tax"
"""Holds A, X, E, R, O, J, K and ?: each would do something if letters were alive in a text field."""
SETTINGS = {
    "market.start": "2026-11-20T16:00:00Z",
    "approvals.drift": "0.9",
    "risk.max_heat": "0.2",
    "risk.symbol_heat": "1",
    "risk.group_heat": "1",
    "exits.stop_loss": "0.95",
    "exits.profit_target": "9",
}


@pytest.fixture(scope="module")
def desk() -> Iterator[DeskProcess]:
    options = ["--policy", "manual"]
    for key, value in SETTINGS.items():
        options += ["--set", f"{key}={value}"]
    with tempfile.TemporaryDirectory(prefix="strikedesk-keys-") as folder, screen() as display:
        Path(folder).chmod(0o755)  # the database's own user walks through it
        desk = DeskProcess(Path(folder) / "home", display, *options)
        try:
            desk.start()
            yield desk
        finally:
            desk.kill()
            kill_database(desk.home)


def _ticket(desk: DeskProcess) -> dict[str, Any]:
    """Wait for one ticket, on the screen and steady."""
    desk.shows("1 ticket ")
    time.sleep(STOOD_STILL)
    (ticket,) = desk.get("/api/approvals")
    return dict(ticket)


def _held(desk: DeskProcess) -> dict[str, Any]:
    positions = [row["position"] for row in desk.get("/positions")]
    return {position["id"]: position for position in positions if position["closed"] is None}


def test_space_and_enter_on_a_desk_that_was_just_opened_send_nothing(desk: DeskProcess) -> None:
    for keys in (("space", "Return"), ("ctrl+4", "space", "Return", "Escape"), ("g", "n", "ctrl+4", "Down", "space")):
        desk.press(*keys)
    desk.press("ctrl+1")
    time.sleep(STOOD_STILL)
    assert desk.facts("TradingHalted") == []
    assert desk.facts("TicketOpened") == []


def test_the_two_test_alerts_open_a_ticket_and_approve_takes_two_presses(desk: DeskProcess) -> None:
    desk.press("ctrl+k")
    desk.type("two test")
    desk.press("Return")
    ticket = _ticket(desk)
    first, second = desk.facts("SignalReceived")
    assert [fact["signal"]["timeframe"] for fact in (first, second)] == ["240", "60"]
    assert (ticket["trigger"], ticket["symbol"]) == (second["seq"], "SPY")
    desk.press("a", "Return")
    approved = desk.fact("TicketApproved")
    assert (approved["ticket"], approved["by"], approved["quantity"]) == (ticket["id"], "desk", ticket["quantity"])
    assert desk.fact("OrderFilled")["quantity"] == ticket["quantity"]
    desk.shows("1 position ")


def test_reject_takes_two_presses(desk: DeskProcess) -> None:
    desk.hear("QQQ", "240", "60")
    ticket = _ticket(desk)
    desk.press("r", "Return")
    rejected = desk.fact("TicketRejected")
    assert (rejected["ticket"], rejected["by"], rejected["reason"]) == (ticket["id"], "desk", "")
    assert len(desk.facts("OrderIntended")) == 1


def test_a_wait_is_overridden_with_a_typed_reason_and_letters_are_dead_meanwhile(desk: DeskProcess) -> None:
    desk.hear("IWM", "60")
    desk.shows("IWM WAIT")
    decision = desk.facts("DecisionMade")[-1]
    desk.press("o", "3", "Tab")
    desk.type(REASON)
    desk.press("Return")
    overridden = desk.fact("DecisionOverridden")
    assert (overridden["decision"], overridden["reason"], overridden["by"]) == (decision["seq"], REASON, "desk")
    ticket = _ticket(desk)
    assert (ticket["symbol"], ticket["quantity"]) == ("IWM", 3)
    assert len(desk.facts("TicketApproved")) == 1
    assert len(desk.facts("TicketRejected")) == 1
    desk.press("a", "Return")
    desk.fact("TicketApproved", 2)
    desk.shows("2 positions")


def test_x_and_enter_close_the_chosen_position(desk: DeskProcess) -> None:
    spy, iwm = sorted(_held(desk).values(), key=lambda position: position["symbol"], reverse=True)
    desk.press("g", "p", "x", "Return")
    closed = desk.fact("PositionClosed")
    assert closed["reason"] == "MANUAL"
    assert closed["position"] == spy["id"]
    until(lambda: list(_held(desk)) == [iwm["id"]], "only the other position is left")
    desk.shows("1 position ")


def test_shift_x_closes_only_when_it_is_held(desk: DeskProcess) -> None:
    orders = len(desk.facts("OrderIntended"))
    desk.press("shift+x")
    desk.press("g", "p")  # handled after the release: what the early one would have done, it has done by now
    time.sleep(2 * STOOD_STILL)
    assert len(desk.facts("OrderIntended")) == orders
    assert len(_held(desk)) == 1
    with desk.holding("shift", "x"):
        closed = desk.fact("PositionClosed", 2)
    assert closed["reason"] == "MANUAL"
    until(lambda: not _held(desk), "nothing is held")


def test_after_a_held_halt_entries_are_denied(desk: DeskProcess) -> None:
    desk.press("ctrl+shift+h")
    time.sleep(2 * STOOD_STILL)
    assert desk.facts("TradingHalted") == []
    with desk.holding("ctrl", "shift", "h"):
        halted = desk.fact("TradingHalted")
    assert (halted["by"], halted["flatten"]) == ("desk", False)
    desk.shows("HALTED")
    receipt = desk.hear("SPY", "30")
    denied = desk.fact("EntryDenied")
    assert (denied["trigger"], denied["refusal"]["code"]) == (receipt, "HALTED")
    desk.hear("QQQ", "30")
    assert desk.fact("EntryDenied", 2)["symbol"] == "QQQ"


@pytest.mark.parametrize("way", ["Ctrl+Q", "the close button", "SIGTERM"])
def test_leaving_stops_the_engine_in_order(desk: DeskProcess, way: str) -> None:
    if desk.process is None:
        desk.start()
    if way == "Ctrl+Q":
        desk.press("ctrl+q")
    elif way == "SIGTERM":
        desk.terminate()
    else:
        desk.ask_to_close()
    assert desk.ended() == 0
    facts = facts_of(desk.home, desk.home.parent / "facts.jsonl")
    assert facts[-1]["fact"] == "EngineStopped"
    assert facts[-1]["reason"] == "stopped"
    kinds = [fact["fact"] for fact in facts]
    assert kinds.count("EngineStopped") == kinds.count("EngineStarted")
    assert kinds.count("TradingHalted") == 1  # and it is halted still


def test_the_ledger_of_the_hour_is_whole(desk: DeskProcess) -> None:
    assert desk.process is None
    command = [sys.executable, str(ROOT / "main.py"), "ledger", "verify", "--home", str(desk.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
