"""Enter: every EXECUTE with a trigger becomes one ticket, or says at which stage and with which code it does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.domain import events as ev
from engine.domain.commands import Approve, HaltTrading, OpenTicket, Override
from engine.domain.values import Bucket, Code, Direction, OptionContract, Policy, Right, Verdict
from tests.builders_journey import Desk, HandMarket
from tests.builders_trading import NOON

OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CALL = OptionContract(symbol="SPY", expiry=date(2026, 11, 25), right=Right.CALL, strike=Decimal(600))


async def test_the_ticket_holds_the_order_the_reason_and_the_plan() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    trigger = desk.signal("60")
    made, ticket = desk.last(ev.DecisionMade), desk.ticket
    assert ticket.contract.label == "SPY 23 Nov 26 600 C"
    assert (ticket.direction, ticket.bucket, ticket.quantity) == (Direction.LONG, Bucket.WEEKLY, 2)
    assert (ticket.decision, ticket.trigger) == (made.seq, trigger.seq)
    assert ticket.quote.ask is not None
    assert ticket.limit > ticket.quote.ask
    assert ticket.break_even == 600 + ticket.limit
    assert (ticket.opened, ticket.expires) == (NOON, NOON + timedelta(seconds=90))
    assert ticket.sizing is not None
    assert ticket.max_loss == ticket.sizing.loss_per_contract * 2
    assert {verdict.rule for verdict in ticket.verdicts} >= {"portfolio heat", "day budget", "reward to risk"}
    assert all(verdict.passed for verdict in ticket.verdicts)
    assert (len(ticket.neighbours), ticket.manual, ticket.notes) == (3, False, ())
    assert desk.state.heard[trigger.seq].outcome == "ticket"
    assert desk.state.heard[trigger.seq].ticket == ticket.id
    assert desk.state.orders == {}


@pytest.mark.parametrize(("trigger", "expiry"), [("3", 20), ("5", 20), ("15", 23), ("30", 23), ("60", 23), ("240", 30)])
async def test_the_trigger_times_the_expiry_and_a_slow_one_brings_its_own_stop(trigger: str, expiry: int) -> None:
    desk = Desk({"account.cash": "1000000"}, policy=Policy.MANUAL)
    others = [one for one in ("240", "60", "30") if one != trigger]
    for timeframe in others:
        desk.signal(timeframe, stop=596.0, target_1=610.0, target_2=620.0)
    desk.player.perform(lambda step: [step.emit(ev.TicketRejected, ticket=t, by="test") for t in step.state.tickets])
    desk.signal(trigger, stop=595.0, target_1=611.0, target_2=619.0)
    plan = desk.ticket.plan
    assert plan is not None
    assert desk.ticket.contract.expiry.day == expiry
    shown = (plan.decision_stop, plan.decision_target_1, plan.decision_target_2)
    assert shown == (Decimal(596), Decimal(611), Decimal(620))
    own = (Decimal(595), Decimal(611), Decimal(619))
    assert (plan.underlying_stop, plan.target_1, plan.target_2) == (own if trigger in ("60", "240") else shown)


def late(desk: Desk) -> None:
    desk.signal("60", late=361)


def zero(desk: Desk) -> None:
    desk.state.boards.clear()
    desk.signal("240", contracts=0, late=1)
    desk.signal("60")


def far(desk: Desk) -> None:
    desk.signal("60", price=607.0)


def blind(desk: Desk) -> None:
    desk.market._underlyings.clear()
    desk.signal("60")


def wide(desk: Desk) -> None:
    desk.market.spread = Decimal("1.50")
    desk.market.price(desk.now)
    desk.signal("60")


def stale(desk: Desk) -> None:
    desk.wait(6, quotes=False)
    desk.signal("60")


def halted(desk: Desk) -> None:
    desk.command(HaltTrading(by="desk", reason="lunch"))
    desk.signal("60")


def drifted(desk: Desk) -> None:
    desk.signal("60", price=602.0, stop=590.0, target_1=640.0, target_2=650.0)


def breached(desk: Desk) -> None:
    desk.signal("60", stop=600.5, target_1=612.0)


def tight(desk: Desk) -> None:
    desk.signal("60", stop=599.97)


def passed(desk: Desk) -> None:
    desk.signal("60", target_1=599.99)


def poor(desk: Desk) -> None:
    desk.signal("60", target_1=600.8)


REFUSED: list[tuple[Any, dict[str, str], str, str]] = [
    (late, {}, "SIGNAL_LATE", "guard"),
    (zero, {}, "SIGNAL_SIZE_ZERO", "size"),
    (far, {}, "PRICE_MISMATCH", "guard"),
    (blind, {}, "NO_MARKET_DATA", "guard"),
    (wide, {}, "NO_LIQUID_CONTRACT", "contract"),
    (stale, {}, "STALE_QUOTE", "contract"),
    (halted, {}, "HALTED", "risk"),
    (drifted, {}, "PRICE_DRIFT", "risk"),
    (breached, {}, "STOP_BREACHED", "risk"),
    (tight, {}, "STOP_TOO_TIGHT", "risk"),
    (passed, {}, "TARGET_PASSED", "risk"),
    (poor, {}, "RR_TOO_LOW", "risk"),
    (lambda desk: desk.signal("60"), {"account.cash": "20000"}, "SIZE_BELOW_ONE", "size"),
    (lambda desk: desk.signal("60"), {"risk.max_position": "0.001"}, "POSITION_OVER_CAP", "risk"),
    (lambda desk: desk.signal("60"), {"risk.max_heat": "0.001"}, "HEAT_OVER_LIMIT", "risk"),
    (lambda desk: desk.signal("60"), {"risk.symbol_heat": "0.01"}, "CONCENTRATION", "risk"),
    (lambda desk: desk.signal("60"), {"risk.day_budget": "0.001"}, "DAY_BUDGET", "risk"),
    (lambda desk: desk.signal("60"), {"risk.max_delta_dollars": "0.01"}, "DELTA_OVER_LIMIT", "risk"),
    (lambda desk: desk.signal("60"), {"risk.max_decay": "0.00001"}, "THETA_OVER_LIMIT", "risk"),
    (lambda desk: desk.signal("60"), {"risk.max_vega": "0.00001"}, "VEGA_OVER_LIMIT", "risk"),
    (lambda desk: desk.signal("60"), {"risk.max_stress": "0.001"}, "STRESS_OVER_LIMIT", "risk"),
]


@pytest.mark.parametrize(("act", "overrides", "code", "stage"), REFUSED)
async def test_each_refusal_is_kept_with_its_code_and_stage(
    act: Any, overrides: dict[str, str], code: str, stage: str
) -> None:
    desk = Desk(overrides)
    desk.signal("240")
    act(desk)
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.EXECUTE
    assert desk.denied == (code, stage)
    denied = desk.last(ev.EntryDenied)
    assert desk.state.tickets == {}
    assert denied.decision == desk.last(ev.DecisionMade).seq
    assert denied.trigger is not None
    assert desk.state.heard[denied.trigger].outcome == f"denied {denied.refusal.text}"
    if stage == "risk":
        assert any(verdict.refusal == denied.refusal for verdict in denied.verdicts)
    if code == "NO_LIQUID_CONTRACT":
        assert len(denied.neighbours) == 3


async def test_outside_the_hours_of_entries_nothing_is_queued_for_the_open() -> None:
    desk = Desk(start=OPEN + timedelta(seconds=59))
    desk.signal("240", session="OPEN")
    desk.signal("60", session="OPEN")
    assert desk.denied == ("SESSION_CLOSED", "risk")
    desk.wait(60)
    assert desk.state.tickets == {}


async def test_no_listed_expiry_near_the_window_is_refused_and_the_slack_is_a_setting() -> None:
    far_off = date(2026, 12, 30)
    for slack, code in (("7", "NO_EXPIRY"), ("33", "")):
        market = HandMarket()
        market.price(NOON, expiries=[far_off])
        market.price = lambda *_, **__: None  # type: ignore[method-assign]  # nothing else is listed in this market
        desk = Desk({"contracts.window_slack": slack, "account.cash": "1000000"}, market=market)
        desk.signal("240")
        desk.signal("60")
        assert [f.refusal.code.value for f in desk.facts(ev.EntryDenied)] == ([code] if code else [])
        if not code:
            assert desk.ticket.notes == ("no expiry in 2-7 days: 40 days, 30 Dec 26",)


async def test_after_a_stop_out_the_direction_waits_and_needs_a_new_signal() -> None:
    desk = Desk({"risk.max_risk": "0.05"})
    desk.bought()
    desk.wait(1, spot="593")
    desk.wait(2, spot="593")
    assert desk.closed()[0][0] == "STOP_LOSS"
    desk.wait(1, spot="600")
    desk.signal("30")
    assert desk.denied == ("COOLING_DOWN", "guard")
    desk.wait(601)
    desk.signal("15")
    assert desk.ticket.trigger == desk.last(ev.SignalReceived).seq


async def test_a_bias_against_the_higher_timeframe_halves_the_size_and_asks_a_person() -> None:
    desk = Desk({"account.cash": "1000000"})
    desk.signal("240", bias="SHORT", contracts=4)
    desk.signal("60", bias="SHORT", contracts=4)
    assert desk.ticket.manual
    assert desk.ticket.state == "PENDING"
    assert desk.ticket.sizing is not None
    assert desk.ticket.quantity == desk.ticket.sizing.recommended // 2
    assert any(note.startswith("HTF_CONFLICT") for note in desk.ticket.notes)


async def test_a_session_that_was_sent_wrong_makes_the_size_smaller_and_is_said() -> None:
    desk = Desk({"account.cash": "1000000"})
    desk.signal("240", contracts=9, weekday="TUESDAY", session="MIDDAY")
    desk.signal("60", contracts=9, weekday="TUESDAY", session="MIDDAY")
    sizing = desk.ticket.sizing
    assert sizing is not None
    assert sizing.quantity < sizing.recommended
    assert any(note.startswith("CLOCK_MISMATCH") for note in desk.ticket.notes)


async def test_a_short_form_waits_for_a_person() -> None:
    desk = Desk()
    desk.signal("240")
    desk.signal("60", direction="LONG", late=1)
    desk.wait(61)
    desk.post({"ticker": "SPY", "action": "buy", "timeframe": "30", "price": 600.0})
    assert desk.ticket.manual
    assert desk.ticket.state == "PENDING"
    assert any(note.startswith("short form, assumed:") for note in desk.ticket.notes)


async def test_the_same_contract_again_within_a_minute_asks_a_person() -> None:
    desk = Desk()
    desk.bought()
    desk.wait(30)
    desk.signal("30")
    assert desk.ticket.state == "PENDING"
    assert any("DUPLICATE_ENTRY" in note for note in desk.ticket.notes)
    desk.wait(31)
    desk.signal("15")
    assert desk.ticket.state == "APPROVED"


async def test_a_fast_trigger_late_in_the_day_is_out_of_the_hours_of_0dte() -> None:
    desk = Desk(start=datetime(2026, 11, 20, 20, 1, tzinfo=UTC))
    desk.signal("240", session="POWER_HOUR")
    desk.signal("60", session="POWER_HOUR")
    desk.signal("5", session="POWER_HOUR")
    assert desk.denied == ("SESSION_CLOSED", "risk")


# --- by hand -------------------------------------------------------------------------------------------------------


async def test_a_wait_is_executed_by_a_person_with_a_reason_and_both_stay_in_the_ledger() -> None:
    desk = Desk()
    signal = desk.signal("240")
    made = desk.last(ev.DecisionMade)
    assert made.decision.verdict is Verdict.WAIT
    done = desk.command(Override(by="desk", decision=made.seq, reason=" "))
    assert done.refusal is not None
    assert done.refusal.code is Code.REASON_MISSING
    desk.wait(1)
    done = desk.command(Override(by="desk", decision=made.seq, reason="strong open", quantity=1, direction="LONG"))
    assert done.ok, done.text
    overridden = desk.last(ev.DecisionOverridden)
    assert (overridden.decision, overridden.by, overridden.reason) == (made.seq, "desk", "strong open")
    assert overridden.changes == {"verdict": "WAIT to EXECUTE", "direction": "LONG", "quantity": "1"}
    ticket = desk.state.tickets[done.created]
    assert (ticket.trigger, ticket.decision, ticket.quantity, ticket.state) == (signal.seq, made.seq, 1, "PENDING")
    assert ticket.plan is not None
    assert ticket.plan.underlying_stop == Decimal("594.00")
    assert desk.last(ev.TicketOpened).cause == overridden.seq
    assert signal.seq in {a.source for a in desk.state.boards["SPY"].signals}


async def test_an_override_against_every_signal_is_protected_by_fractions_alone() -> None:
    desk = Desk()
    desk.signal("240")
    made = desk.last(ev.DecisionMade)
    done = desk.command(
        Override(by="http", decision=made.seq, reason="fade", quantity=1, direction="SHORT", approve=True)
    )
    assert done.ok
    assert desk.position.contract.right is Right.PUT
    assert desk.position.plan.underlying_stop is None
    assert desk.position.plan.stop_fraction == Decimal("0.5")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"decision": 4}, Code.DECISION_UNKNOWN),
        ({"direction": "UP"}, Code.BAD_FIELD),
        ({"quantity": 0}, Code.BAD_QUANTITY),
        ({"quantity": None, "direction": "SHORT"}, Code.SIGNAL_SIZE_ZERO),
    ],
)
async def test_an_override_that_cannot_be_is_refused_and_said(changes: dict[str, Any], code: Code) -> None:
    desk = Desk()
    desk.signal("240")
    said = {"by": "desk", "decision": desk.last(ev.DecisionMade).seq, "reason": "x", "direction": "LONG"}
    done = desk.command(Override(**{**said, "quantity": 1, **changes}))
    assert done.refusal is not None
    assert done.refusal.code is code
    refused = desk.last(ev.CommandRefused)
    assert (refused.command, refused.refusal) == ("Override", done.refusal)
    assert desk.state.tickets == {}


async def test_an_override_without_a_contract_says_why() -> None:
    desk = Desk()
    desk.signal("240")
    desk.market.spread = Decimal("3.00")
    desk.market.price(desk.now)
    command = Override(by="desk", decision=desk.last(ev.DecisionMade).seq, reason="x", direction="LONG")
    done = desk.command(command)
    assert done.refusal is not None
    assert done.refusal.code is Code.NO_LIQUID_CONTRACT
    assert desk.denied == ("NO_LIQUID_CONTRACT", "contract")


async def test_a_manual_ticket_takes_the_persons_contract_and_the_same_rules() -> None:
    desk = Desk()
    done = desk.command(OpenTicket(by="desk", contract=CALL.osi, quantity=2, reason="range break"))
    assert done.ok
    ticket = desk.state.tickets[done.created]
    assert (ticket.contract, ticket.quantity, ticket.state) == (CALL, 2, "PENDING")
    assert (ticket.decision, ticket.trigger) == (None, None)
    assert ticket.notes == ("by hand: range break",)
    desk.wait(1)
    assert desk.command(Approve(by="desk", ticket=ticket.id)).ok
    assert desk.position.contract == CALL


async def test_a_manual_ticket_may_be_answered_in_the_same_breath_and_wait_at_its_limit() -> None:
    desk = Desk()
    done = desk.command(
        OpenTicket(by="orders-file", contract=CALL.osi, quantity=2, limit=Decimal("5.00"), reason="x", approve=True)
    )
    assert done.ok
    assert (desk.order.limit, desk.order.state, desk.state.positions) == (Decimal("5.00"), "WORKING", {})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": ""}, Code.REASON_MISSING),
        ({"quantity": 0}, Code.BAD_QUANTITY),
        ({"contract": "SPY261125C00601500"}, Code.NO_MARKET_DATA),
        ({"quantity": 60}, None),
    ],
)
async def test_a_manual_ticket_that_cannot_be_is_refused(changes: dict[str, Any], code: Code | None) -> None:
    desk = Desk()
    done = desk.command(OpenTicket(**{"by": "desk", "contract": CALL.osi, "quantity": 1, "reason": "x", **changes}))
    if code is None:
        assert done.ok
        assert desk.ticket.quantity < 60
        assert desk.ticket.sizing is not None
        assert desk.ticket.sizing.capped_by
    else:
        assert done.refusal is not None
        assert done.refusal.code is code
        assert desk.last(ev.CommandRefused).target == {"contract": CALL.osi, **changes}["contract"]


async def test_a_manual_ticket_without_quotes_is_refused() -> None:
    desk = Desk()
    desk.market._underlyings.clear()
    done = desk.command(OpenTicket(by="desk", contract=CALL.osi, quantity=1, reason="x"))
    assert done.refusal is not None
    assert done.refusal.code is Code.NO_MARKET_DATA


async def test_a_manual_ticket_that_a_rule_denies_says_so_with_the_verdicts() -> None:
    desk = Desk()
    desk.command(HaltTrading(by="desk", reason="lunch"))
    done = desk.command(OpenTicket(by="desk", contract=CALL.osi, quantity=1, reason="x"))
    assert done.refusal is not None
    assert done.refusal.code is Code.HALTED
    assert desk.denied == ("HALTED", "risk")
    assert desk.last(ev.EntryDenied).verdicts


async def test_an_override_cannot_use_a_signal_that_bought_already() -> None:
    desk = Desk()
    desk.bought()
    made = desk.last(ev.DecisionMade)
    done = desk.command(Override(by="desk", decision=made.seq, reason="more", quantity=1))
    assert done.refusal is not None
    assert done.refusal.code is Code.DUPLICATE_ENTRY
