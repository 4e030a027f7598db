"""After a recorded day every cell of the desk says what the ledger says: panels read through their models, the ledger as exported.

The right-hand sides are worked out here from the exported facts alone, with nothing of `engine` or `widgets`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PySide6.QtWidgets import QApplication

from app.actions import ACTIONS
from app.bridge import Composer
from app.lifecycle import database_of
from app.options import Options
from app.wiring import ask, build
from engine.domain.canonical import decode_fact
from engine.domain.views import DeskUpdate
from engine.journey import holding
from engine.journey.booking import book_of
from engine.journey.step import Live, Step, World
from engine.state import KINDS, State
from engine.views import stories
from engine.views.desk import Vitals
from engine.views.seen import Seen
from storage.ledger import PostgresLedger
from storage.memory import MemoryLedger
from tests.faults.engine_process import facts_of, ground, run_main
from widgets.states import Panel
from widgets.table import TableModel
from widgets.theme import Look
from widgets.window import DeskWindow

DAY = "option_day/GOOG_20151224"
SETTINGS = {"contracts.spread_other": "0.5", "contracts.min_volume": "0", "account.cash": "1000000"}
NEW_YORK = ZoneInfo("America/New_York")
VITALS = Vitals(
    address="", market="recorded", ledger_seq=0, ledger_available=True, ledger_name="", slowest_step=0, loop_block=0,
    heard_ago=None,
)  # fmt: skip
Facts = list[dict[str, Any]]


# --- what the ledger says, as a person would write it ---------------------------------------------------------------


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _clock(fact: dict[str, Any]) -> str:
    return f"{_time(fact['at']).astimezone(NEW_YORK):%H:%M:%S}"


def _label(contract: dict[str, Any]) -> str:
    expiry = datetime.fromisoformat(contract["expiry"])
    strike = format(Decimal(contract["strike"]).normalize(), "f")
    return f"{contract['symbol']} {expiry.day} {expiry:%b %y} {strike} {contract['right']}"


def _plain(value: Decimal | float, decimals: int = 2) -> str:
    return f"{value:,.{decimals}f}".replace("-", "−")


def _signed(value: Decimal | float, decimals: int = 2) -> str:
    return f"{value:+,.{decimals}f}".replace("-", "−")


def _arrow(value: Decimal | float) -> str:
    return "▲" if value > 0 else "▼"


def _timeframe(name: str) -> str:
    return {"240": "4H", "60": "1H"}.get(name, f"{name}m")


def _of(facts: Facts, kind: str) -> Facts:
    return [fact for fact in facts if fact["fact"] == kind]


def _refusal(refusal: dict[str, Any]) -> str:
    return " ".join([refusal["code"], *(f"{name}={refusal['numbers'][name]}" for name in refusal["order"])])


def _outcomes(facts: Facts) -> dict[int, str]:
    """What became of each receipt: the last word said about it."""
    found: dict[int, str] = {}
    tickets = {fact["ticket"]["id"]: fact["ticket"]["trigger"] for fact in _of(facts, "TicketOpened")}
    buys = {fact["order"]: tickets[fact["ticket"]] for fact in _of(facts, "OrderIntended") if fact["side"] == "BUY"}
    for fact in facts:
        match fact["fact"]:
            case "SignalSuperseded":
                found[fact["source"]] = "superseded"
            case "DecisionMade" if fact["cause"] is not None and found.get(fact["cause"]) != "superseded":
                found[fact["cause"]] = fact["decision"]["verdict"]
            case "EntryDenied":
                found[fact["trigger"]] = "denied " + _refusal(fact["refusal"])
            case "TicketOpened":
                found[fact["ticket"]["trigger"]] = "ticket"
            case "TicketApproved":
                found[tickets[fact["ticket"]]] = "approved"
            case "OrderFilled" if fact["order"] in buys:
                found[buys[fact["order"]]] = "bought"
    return {seq: "EXECUTE, no entry" if said == "EXECUTE" else said for seq, said in found.items()}


# --- a desk on a ledger ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed:
    """A finished replay: its exported facts, its state as loaded from the projections, one story from the ledger."""

    home: Path
    facts: Facts
    state: State
    story: Sequence[Any]
    story_seq: int


@pytest.fixture(scope="module")
def replayed(data: Path) -> Iterator[Replayed]:
    with ground() as folder:
        home = folder / "home"
        sets = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
        done = run_main(
            "replay",
            str(data / DAY),
            "--signals",
            str(data / f"{DAY}_signals_derived.jsonl"),
            *sets,
            "--home",
            str(home),
        )
        assert done.returncode == 0, done.stderr
        facts = facts_of(home, folder / "facts.jsonl")
        seq = _of(facts, "OrderIntended")[0]["seq"]
        state, story = asyncio.run(_read(home, seq))
        yield Replayed(home, facts, state, story, seq)


async def _read(home: Path, seq: int) -> tuple[State, Sequence[Any]]:
    asked = ask(Options(home=home, overrides={**SETTINGS}), with_secrets=False)
    async with database_of(asked) as database:
        ledger = PostgresLedger(database)
        await ledger.open()
        writing = asyncio.create_task(ledger.run())
        state = State.load(await ledger.projections(KINDS), ledger.head.seq, ledger.head.at)
        story = await ledger.story(seq)
        await ledger.close()
        await writing
    return state, story


def _window(qapp: QApplication, state: State, at: datetime, data: Path, tmp_path: Path, *, watch: bool) -> DeskWindow:
    """The desk as it looks at `at`, on the recorded market of that moment."""
    overrides = {**SETTINGS, "market.source": f"recorded:{data / DAY}"}

    async def world() -> World:
        asked = ask(Options(home=tmp_path / "home", overrides=overrides), with_secrets=False)
        return (await build(asked, MemoryLedger())).journey.world

    found, live = asyncio.run(world()), Live()
    found.quotes.advance(at)  # type: ignore[attr-defined]
    step = Step(now=at, state=state, world=found, live=live)
    if watch:
        holding.watch(step, list(state.open_positions.values()))
    seen = Seen(
        now=at, state=state, marks=live.marks, quotes=found.quotes, settings=found.settings, calendar=found.calendar,
        book=book_of(step), session=found.calendar.session_at(at), references={},
    )  # fmt: skip
    look = Look()
    look.apply(qapp)
    window = DeskWindow(lambda _: None, lambda _: None, tmp_path / "state.ini", ACTIONS, look)
    window.apply(Composer().update(seen, VITALS, ""))
    return window


def _cells(panel: Panel) -> list[dict[str, str]]:
    """A panel's rows, as its model says them."""
    model = panel.model  # type: ignore[attr-defined]
    assert isinstance(model, TableModel)
    titles = [column.title for column in model.columns]
    return [
        {title: model.index(row, place).data() for place, title in enumerate(titles)} for row in range(model.rowCount())
    ]


@pytest.fixture
def after(qapp: QApplication, replayed: Replayed, data: Path, tmp_path: Path) -> Iterator[DeskWindow]:
    """When the day is over."""
    window = _window(qapp, replayed.state, _time(replayed.facts[-1]["at"]), data, tmp_path, watch=False)
    window.apply(DeskUpdate(story=stories.story_view(replayed.story_seq, replayed.story)))
    yield window
    window.close_now()


@dataclass(frozen=True)
class Midday:
    window: DeskWindow
    facts: Facts
    """All of the day up to then."""


@pytest.fixture
def midday(qapp: QApplication, replayed: Replayed, data: Path, tmp_path: Path) -> Iterator[Midday]:
    """While the position was held: facts are folded up to its mark, and the market is played up to it."""
    until = _of(replayed.facts, "PositionMarked")[-1]["seq"]
    facts = [fact for fact in replayed.facts if fact["seq"] <= until]
    state = State()
    for fact in facts:
        state.apply(decode_fact(json.dumps(fact)))
    window = _window(qapp, state, _time(facts[-1]["at"]), data, tmp_path, watch=True)
    yield Midday(window, facts)
    window.close_now()


# --- the panels -----------------------------------------------------------------------------------------------------


def test_signals_say_what_came_and_what_became_of_it(after: DeskWindow, replayed: Replayed) -> None:
    outcomes = _outcomes(replayed.facts)
    scores = {fact["cause"]: fact["decision"]["confluence_score"] for fact in _of(replayed.facts, "DecisionMade")}
    quality = {"MEDIUM": "MED", "HIGH": "HIGH", "EXTREME": "EXT"}
    expected = [
        {
            "Time": _clock(fact),
            "Signal": f"{s['symbol']} {_timeframe(s['timeframe'])} {s['direction']}",
            "Qual.": quality[s["quality"]],
            "Score": str(scores[fact["seq"]]),
            "Outcome": outcomes[fact["seq"]],
        }
        for fact in reversed(_of(replayed.facts, "SignalReceived"))
        for s in (fact["signal"],)
    ]
    assert len(expected) == 73
    assert {said.split()[0] for said in outcomes.values()} >= {"WAIT", "superseded", "denied", "bought", "EXECUTE,"}
    assert _cells(after.signals) == expected
    assert after.signals.summary.startswith("73 today")


def test_a_denial_is_whole_in_the_tooltip_with_its_numbers(after: DeskWindow, replayed: Replayed) -> None:
    denied = _of(replayed.facts, "EntryDenied")[-1]
    model = after.signals.model
    row = model.number_of(denied["trigger"])
    assert row is not None
    outcome = model.index(row, 4)
    numbers = denied["refusal"]["numbers"]
    whole = f"denied SIGNAL_CONTRADICTED by={numbers['by']} until={numbers['until']}"
    assert outcome.data() == outcome.data(3) == whole  # 3: the tooltip's role


def _expected_orders(facts: Facts) -> list[dict[str, str]]:
    rows = []
    for intent in _of(facts, "OrderIntended"):
        own = [fact for fact in facts if fact.get("order") == intent["order"]]
        fills = _of(own, "OrderFilled")
        filled = sum(fill["quantity"] for fill in fills)
        paid = sum((Decimal(fill["price"]) * fill["quantity"] for fill in fills), Decimal(0))
        limit = [fact["limit"] for fact in own if fact.get("limit") is not None][-1]
        why = (intent["exit_reason"] or "entry").replace("_", " ").lower()
        over = filled == intent["quantity"]
        minutes = int((_time(facts[-1]["at"]) - _time(own[-1]["at"])).total_seconds()) // 60
        rows.append(
            {
                "Order": f"{intent['side']} {intent['quantity']} {_label(intent['contract'])} {why}",
                "State": "FILLED" if over else "WORKING",
                "Limit": _plain(Decimal(limit)),
                "Bid × ask": "",
                "Age": "",
                "Filled": f"{filled} / {intent['quantity']}",
                "Average": _plain(paid / filled),
                "Since": f"{_clock(own[-1])[:5]} · {minutes // 60}\u202fh {minutes % 60}\u202fm",
            }
        )
    return rows[::-1]


def test_orders_say_what_was_sent_and_filled(after: DeskWindow, replayed: Replayed) -> None:
    expected = _expected_orders(replayed.facts)
    assert len(expected) == 2
    assert _cells(after.orders) == expected
    assert after.orders.summary == "0 working · 2 done"


def test_nothing_is_held_after_what_was_bought_was_sold(after: DeskWindow, replayed: Replayed) -> None:
    sides = {fact["order"]: fact["side"] for fact in _of(replayed.facts, "OrderIntended")}
    left = sum(f["quantity"] * (1 if sides[f["order"]] == "BUY" else -1) for f in _of(replayed.facts, "OrderFilled"))
    assert left == 0
    assert _cells(after.positions) == []
    assert _cells(after.exits) == []
    assert after.positions.card.what.text() == "No position is open."
    assert after.exits.card.what.text() == "Nothing to watch."


def test_a_held_position_says_its_mark_profit_and_greeks(midday: Midday, replayed: Replayed) -> None:
    (fill,), marked = _of(midday.facts, "OrderFilled"), midday.facts[-1]
    ticket = _of(midday.facts, "TicketOpened")[-1]["ticket"]
    entry, mark, quantity = Decimal(fill["price"]), Decimal(marked["mark"]), fill["quantity"]
    greeks, units = marked["greeks"], 100 * quantity
    closed = _of(replayed.facts, "PositionClosed")[0]
    risk = Decimal(closed["net"]) / Decimal(closed["r"])
    pnl = (mark - entry) * units
    assert pnl == Decimal(marked["unrealised"])
    to_close = (datetime.fromisoformat("2015-12-24T13:00:00-05:00") - _time(marked["at"])).total_seconds()
    (row,) = _cells(midday.window.positions)
    assert row.pop("Next exit") == _expected_next_exit(midday.facts)
    assert row == {
        "Contract": _label(ticket["contract"]),
        "Qty": str(quantity),
        "Entry": _plain(entry),
        "Mark": _plain(mark),
        "Age": "0.0\u202fs",
        "P&L $": f"{_arrow(pnl)}\u2009{_signed(pnl)}",
        "P&L %": f"{_arrow(pnl)}\u2009{_signed(float(mark / entry - 1) * 100)}\u202f%",
        "R": _signed(pnl / risk),
        "IV": f"{_plain(greeks['iv'] * 100, 1)}\u202f%",
        "Δ": _plain(greeks["delta"]),
        "Γ": _plain(greeks["gamma"], 3),
        "Θ close": _plain(round(greeks["theta"] * to_close / 86400 * units), 0),
        "Vega": _plain(round(greeks["vega"] * units), 0),
        "MFE": f"{_plain((Decimal(marked['best']) / entry - 1) * 100, 0)}\u202f%",
        "MAE": f"{_plain((Decimal(marked['worst']) / entry - 1) * 100, 0)}\u202f%",
    }
    assert f"{_signed(pnl).replace('−', '−$').replace('+', '+$')}" in midday.window.positions.summary


def _expected_next_exit(facts: Facts) -> str:
    """The thesis is broken by then: it has fired, and nothing can be nearer."""
    assert _of(facts, "BiasFlipped")
    return "thesis · now"


def test_exits_say_each_rules_level_from_the_entry_and_the_plan(midday: Midday) -> None:
    (fill,), marked = _of(midday.facts, "OrderFilled"), midday.facts[-1]
    plan = _of(midday.facts, "TicketOpened")[-1]["ticket"]["plan"]
    entry, mark, spot = Decimal(fill["price"]), Decimal(marked["mark"]), Decimal(marked["underlying"])
    rows = {row["Rule"]: row for row in _cells(midday.window.exits)}
    assert {row["Position"] for row in rows.values()} == {
        _label(_of(midday.facts, "TicketOpened")[-1]["ticket"]["contract"])
    }
    stop, profit = entry * (1 - Decimal(plan["stop_fraction"])), entry * (1 + Decimal(plan["profit_fraction"]))
    points = {name: abs(mark - level) / entry * 100 for name, level in (("stop −50 %", stop), ("profit +50 %", profit))}
    for name, level in (("stop −50 %", stop), ("profit +50 %", profit)):
        row = rows[name]
        assert Decimal(row["Level"]) == pytest.approx(level, abs=Decimal("0.006"))
        assert float(row["Distance"].split()[0]) == pytest.approx(float(points[name]), abs=0.51)
    for name, level in (("stop GOOG", plan["underlying_stop"]), ("target 1", plan["target_1"])):
        row = rows[name]
        assert Decimal(row["Level"]) == Decimal(level)
        assert float(row["Distance"].split()[0]) == pytest.approx(abs(float(spot - Decimal(level))), abs=0.006)
    assert rows["trailing stop"]["Level"] == f"arms {entry * Decimal('1.3'):.2f}"
    assert rows["thesis"]["Level"] == _of(midday.facts, "BiasFlipped")[-1]["why"]
    assert rows["thesis"]["Distance"] == "FIRED"
    assert rows["thesis"]["Does"] == "asks"


def test_the_decision_says_its_factors_and_verdict(after: DeskWindow, replayed: Replayed) -> None:
    made = _of(replayed.facts, "DecisionMade")[-1]
    decision, shown = made["decision"], after.decision.shown
    assert shown is not None
    assert (shown.seq, shown.verdict, shown.score) == (made["seq"], decision["verdict"], decision["confluence_score"])
    assert after.decision.summary.startswith(f"GOOG · {_clock(made)}")
    assert decision["reason"] in after.decision.reason.accessibleDescription()


def test_the_decision_of_midday_shows_every_multiplier(midday: Midday) -> None:
    made = [fact for fact in _of(midday.facts, "DecisionMade") if fact["symbol"] == "GOOG"][-1]
    breakdown = made["decision"]["breakdown"]
    shown = midday.window.decision.shown
    assert shown is not None
    assert shown.seq == made["seq"]
    boosts = ("phase_confidence_boost", "phase_position_boost", "trend_alignment_boost")
    names = (
        "confluence_multiplier", "quality_multiplier", "htf_alignment_multiplier", "rr_multiplier", "volume_multiplier",
        "trend_multiplier", "session_multiplier", "day_multiplier", *boosts,
    )  # fmt: skip
    expected = [breakdown[name] + (name in boosts) for name in names] if breakdown else []
    assert [factor.value for factor in midday.window.decision.factors.factors] == pytest.approx(expected)
    said = midday.window.decision.factors.accessibleDescription()
    for value in expected:
        assert f"times {value:.2f}" in said


def test_the_story_tells_the_trade_in_the_ledgers_figures(after: DeskWindow, replayed: Replayed) -> None:
    facts = replayed.facts
    cards = {card.step.value: card for card in after.story.cards.cards}
    points = {name: {point.name: point.value for point in card.points} for name, card in cards.items()}
    buy, sell = _of(facts, "OrderFilled")
    ticket, approved = _of(facts, "TicketOpened")[0]["ticket"], _of(facts, "TicketApproved")[0]
    signal = next(fact for fact in facts if fact["seq"] == ticket["trigger"])["signal"]
    units = buy["quantity"] * 100
    gross = (Decimal(sell["price"]) - Decimal(buy["price"])) * units
    net = gross - Decimal(buy["fees"]) - Decimal(sell["fees"])
    assert cards["Signal"].title == (
        f"{signal['symbol']} {_timeframe(signal['timeframe'])} {signal['direction']} {signal['quality']}"
    )
    assert points["Signal"]["Price"] == f"{signal['price']:.2f}"
    assert cards["Rules"].title == f"{sum(verdict['passed'] for verdict in ticket['verdicts'])} rules passed"
    assert points["Rules"]["Contract"] == _label(ticket["contract"])
    assert cards["Approval"].title == "Approved by policy"
    assert points["Approval"]["Quantity"] == str(approved["quantity"])
    assert cards["Fills"].title == f"{buy['quantity']} at {buy['price']}"
    assert points["Fills"]["Fees"] == f"${buy['fees']}"
    assert cards["Exit"].title == "THESIS BROKEN"
    assert points["Exit"]["Net"] == f"−${-net:,.2f}"
    assert points["Exit"]["At"] == sell["price"]
    assert after.story.summary == f"{_label(ticket['contract'])} · closed −${-net:,.2f} net, " + (
        f"{float(_of(facts, 'PositionClosed')[0]['r']):.2f} R".replace("-", "−")
    )
    assert Decimal(_of(facts, "PositionClosed")[0]["net"]) == net


def test_the_story_lists_facts_as_they_stand_in_the_ledger(after: DeskWindow, replayed: Replayed) -> None:
    by_seq = {f"{fact['seq']:,}": fact for fact in replayed.facts}
    rows = _cells(after.story)
    assert len(rows) > 12
    assert [int(row["Seq"].replace(",", "")) for row in rows] == sorted(
        int(row["Seq"].replace(",", "")) for row in rows
    )
    for row in rows:
        fact = by_seq[row["Seq"]]
        cause = "" if fact["cause"] is None else f"{fact['cause']:,}"
        assert (row["Fact"], row["Time"], row["Cause"]) == (fact["fact"], _clock(fact), cause)
    told = {row["Fact"] for row in rows}
    assert told >= {"SignalReceived", "DecisionMade", "TicketOpened", "OrderIntended", "OrderFilled", "PositionClosed"}
    assert {row["Fact"]: row["What it says"] for row in rows}["PositionClosed"].startswith("THESIS_BROKEN net −$")
