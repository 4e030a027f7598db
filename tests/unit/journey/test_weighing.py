"""Weigh and decide: what a receipt does to the board, and when the engine speaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.domain import events as ev
from engine.domain.commands import HaltTrading
from engine.domain.values import Direction, Verdict
from tests.builders_journey import Desk
from tests.builders_trading import NOON

SATURDAY = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
THANKSGIVING = datetime(2026, 11, 26, 17, 0, tzinfo=UTC)
TIMEFRAMES = ("tf3min", "tf5min", "tf15min", "tf30min", "tf60min", "tf240min", "tf1week", "tf1month")


def phase(event_id: str, implication: str = "UPSIDE_POTENTIAL", minutes: int = 30) -> dict[str, object]:
    return {
        "meta": {"engine": "SATY_PO", "event_id": event_id, "event_type": "x"},
        "instrument": {"symbol": "SPY"},
        "timeframe": {"event_tf": "4H", "tf_role": "BIAS"},
        "event": {"name": "leaving accumulation", "directional_implication": implication},
        "confidence": {"htf_alignment": True, "confidence_score": 80},
        "execution_guidance": {"trade_allowed": True},
        "risk_hints": {"time_decay_minutes": minutes},
    }


def trend(desk: Desk, direction: str = "bullish") -> dict[str, object]:
    frames = {name: {"direction": direction, "open": 600.0, "close": 601.0} for name in TIMEFRAMES}
    return {
        "ticker": "SPY",
        "exchange": "AMEX",
        "timestamp": int(desk.now.timestamp() * 1000),
        "price": 600.0,
        "timeframes": frames,
    }


async def test_a_first_signal_is_placed_and_decided_and_waits() -> None:
    desk = Desk()
    fact = desk.signal("240")
    made = desk.last(ev.DecisionMade)
    assert desk.kinds(after=3) == ["SignalReceived", "SignalPlaced", "DecisionMade"]
    assert (made.decision.verdict, made.by, made.trigger, made.cause) == (Verdict.WAIT, "signal", None, fact.seq)
    assert desk.state.heard[fact.seq].outcome == "WAIT"
    assert desk.state.boards["SPY"].decision_seq == made.seq


async def test_two_slow_signals_of_one_direction_execute_and_the_newcomer_triggers() -> None:
    desk = Desk()
    slow, fast = desk.signal("240"), desk.signal("60")
    made = desk.last(ev.DecisionMade)
    assert (made.decision.verdict, made.decision.direction) == (Verdict.EXECUTE, Direction.LONG)
    assert [active.source for active in made.signals] == [slow.seq, fast.seq]
    assert (made.trigger, desk.ticket.trigger) == (fast.seq, fast.seq)


async def test_a_stronger_newcomer_takes_the_place_and_an_equal_one_does_not() -> None:
    desk = Desk()
    first = desk.signal("240")
    equal = desk.signal("240", price=600.01, late=1)
    superseded = desk.last(ev.SignalSuperseded)
    assert (superseded.source, superseded.kept, superseded.contradicts) == (equal.seq, first.seq, False)
    assert desk.state.heard[equal.seq].outcome == "superseded"
    assert desk.last(ev.DecisionMade).cause == equal.seq
    better = desk.signal("240", quality="EXTREME", late=2)
    assert desk.last(ev.SignalPlaced).replaced == first.seq
    assert [active.source for active in desk.state.boards["SPY"].signals] == [better.seq]


async def test_a_superseded_signal_of_the_same_direction_triggers_nothing() -> None:
    desk = Desk()
    desk.signal("240")
    desk.signal("60")
    desk.wait(70)
    before = len(desk.state.tickets)
    desk.signal("60", late=1)
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.EXECUTE
    assert desk.last(ev.DecisionMade).trigger is None
    assert len(desk.state.tickets) == before
    assert desk.facts(ev.EntryDenied) == []


async def test_an_opposite_newcomer_that_is_superseded_denies_entries_and_breaks_the_thesis() -> None:
    desk = Desk()
    position = desk.bought()
    against = desk.signal("240", "SHORT", late=1)
    board = desk.state.boards["SPY"]
    fact = desk.last(ev.SignalSuperseded)
    assert (fact.contradicts, fact.until) == (True, NOON + timedelta(minutes=480))
    assert (board.contradicted_by, board.contradicted_until) == (against.seq, fact.until)
    flipped = desk.last(ev.BiasFlipped)
    assert (flipped.positions, flipped.against, flipped.why) == ((position.id,), Direction.LONG, "4H says SHORT")
    desk.signal("30")
    assert desk.denied == ("SIGNAL_CONTRADICTED", "guard")
    desk.wait(1)
    assert desk.closed()[0][0] == "THESIS_BROKEN"


@pytest.mark.parametrize("moment", [SATURDAY, THANKSGIVING])
async def test_on_a_closed_day_a_receipt_is_kept_and_the_board_left_alone(moment: datetime) -> None:
    desk = Desk(start=moment)
    for body in (desk.body("240"), phase("p1"), trend(desk)):
        fact = desk.post(body)
        assert desk.state.heard[fact.seq].outcome == "CLOSED_DAY"
    assert desk.state.boards == {}
    assert desk.facts(ev.DecisionMade) == []


async def test_a_receipt_of_a_closed_day_stays_off_the_board_when_it_is_weighed_on_monday() -> None:
    desk = Desk(start=SATURDAY)
    fact = desk.hear(desk.body("240"))
    monday = await desk.again(after=48 * 3600)
    assert monday.journey.unweighed() == [fact.seq]
    monday.weigh(fact)
    assert monday.state.heard[fact.seq].outcome == "CLOSED_DAY"


async def test_what_the_frozen_engine_would_refuse_is_set_aside_and_the_board_stays_decidable() -> None:
    from msgspec.structs import replace

    desk = Desk()
    desk.signal("240")
    fact = desk.hear(desk.body("60"))
    assert isinstance(fact, ev.SignalReceived)
    broken = replace(fact, signal=replace(fact.signal, ai_score=99.0))
    desk.weigh(broken)
    assert desk.state.heard[fact.seq].outcome == "OUT_OF_RANGE"
    assert len(desk.state.boards["SPY"].signals) == 1
    desk.signal("60", late=1)
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.EXECUTE


WEAK = {"rr": 1.0, "volume": 0.1}
"""Raw multiplier 0.425: a SKIP that a phase or a trend lifts over 0.5."""


async def test_a_phase_that_makes_a_skip_an_execute_lets_the_fastest_aligned_signal_trigger() -> None:
    desk = Desk()
    desk.signal("240", **WEAK)
    fast = desk.signal("60", **WEAK)
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.SKIP
    desk.post(phase("p1"))
    made = desk.last(ev.DecisionMade)
    assert (made.by, made.trigger, made.decision.verdict) == ("phase", None, Verdict.EXECUTE)
    assert (desk.ticket.trigger, desk.ticket.quantity) == (fast.seq, 1)


async def test_a_trend_that_makes_a_skip_an_execute_lets_the_fastest_aligned_signal_trigger() -> None:
    desk = Desk()
    desk.signal("240", **WEAK)
    fast = desk.signal("60", **WEAK)
    desk.post(trend(desk))
    assert (desk.last(ev.DecisionMade).by, desk.ticket.trigger) == ("trend", fast.seq)


async def test_a_phase_opens_nothing_where_the_decision_before_was_the_same_execute() -> None:
    desk = Desk()
    desk.signal("240", price=606.5)
    desk.signal("60", price=606.5)
    assert desk.denied == ("PRICE_MISMATCH", "guard")
    desk.post(phase("p1"))
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.EXECUTE
    assert not desk.state.tickets
    assert len(desk.facts(ev.EntryDenied)) == 1


async def test_a_signal_makes_one_ticket_even_if_a_later_one_came_between() -> None:
    desk = Desk(overrides={"account.cash": "1000000"})
    desk.signal("240", quality="MEDIUM", **WEAK)
    first = desk.signal("60", **WEAK)
    desk.post(phase("p1", minutes=1))
    assert desk.ticket.trigger == first.seq
    second = desk.signal("240", late=1, **WEAK)
    assert desk.ticket.trigger == second.seq
    desk.wait(61)
    opened = len(desk.facts(ev.TicketOpened))
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.SKIP
    desk.post(phase("p2"))
    assert desk.last(ev.DecisionMade).decision.verdict is Verdict.EXECUTE
    assert len(desk.facts(ev.TicketOpened)) == opened


async def test_a_phase_replaces_the_one_of_its_role_and_timeframe_and_leaves_in_time() -> None:
    desk = Desk()
    desk.post(phase("p1"))
    second = desk.post(phase("p2"))
    assert [active.source for active in desk.state.boards["SPY"].phases] == [second.seq]
    desk.wait(30 * 60)
    assert desk.last(ev.InputsExpired).phases == (second.seq,)
    assert desk.state.boards["SPY"].phases == ()


async def test_a_trend_leaves_after_an_hour() -> None:
    desk = Desk()
    fact = desk.post(trend(desk))
    desk.wait(3600)
    assert desk.last(ev.InputsExpired).trends == (fact.seq,)
    assert desk.state.boards["SPY"].trend is None


async def test_an_expiry_is_decided_once_at_its_own_instant_and_opens_nothing() -> None:
    desk = Desk()
    desk.bought()
    tickets = len(desk.state.tickets)
    desk.wait(2 * 3600)
    made = desk.last(ev.DecisionMade)
    assert (made.by, made.decision.verdict) == ("expiry", Verdict.WAIT)
    assert made.at == NOON + timedelta(minutes=90)
    assert [f.seq for f in desk.facts(ev.DecisionMade) if f.by == "expiry"] == [made.seq]
    assert len([t for t in desk.state.tickets.values() if t.purpose == "ENTRY"]) == tickets


async def test_an_expiry_that_changes_nothing_is_not_decided() -> None:
    desk = Desk()
    desk.bought()
    fast = desk.signal("3", "SHORT", late=1)
    decided = desk.last(ev.DecisionMade)
    desk.wait(3 * 60)
    assert desk.last(ev.InputsExpired).signals == (fast.seq,)
    assert desk.last(ev.DecisionMade) == decided


async def test_an_expiry_that_changes_the_multiplier_is_decided_and_still_opens_nothing() -> None:
    desk = Desk()
    desk.signal("240")
    desk.signal("60")
    desk.signal("30", late=1)
    before, tickets = desk.last(ev.DecisionMade), len(desk.state.tickets)
    assert before.decision.confluence_score == 80
    desk.wait(30 * 60)
    after = desk.last(ev.DecisionMade)
    assert (after.by, after.decision.verdict, after.decision.confluence_score) == ("expiry", Verdict.EXECUTE, 65)
    assert len([t for t in desk.state.tickets.values() if t.purpose == "ENTRY"]) == tickets


async def test_at_one_instant_expiries_come_before_the_arrival() -> None:
    desk = Desk()
    desk.signal("240")
    desk.signal("60")
    desk.clock.set(NOON + timedelta(minutes=90))
    desk.market.price(desk.now)
    fact = desk.hear(desk.body("60"))
    assert desk.kinds()[-3:] == ["InputsExpired", "DecisionMade", "SignalReceived"]
    desk.weigh(fact)
    assert desk.facts(ev.SignalSuperseded) == []


async def test_an_opposite_execute_breaks_the_thesis_once() -> None:
    desk = Desk(overrides={"risk.max_positions_symbol": "10"})
    position = desk.bought()
    for timeframe in ("240", "60"):
        desk.signal(timeframe, "SHORT", quality="EXTREME", late=1)
    assert desk.last(ev.DecisionMade).decision.direction is Direction.SHORT
    assert desk.state.positions[position.id].thesis_broken.startswith("opposite EXECUTE")
    flips = len(desk.facts(ev.BiasFlipped))
    desk.signal("30", "SHORT", late=2)
    assert len(desk.facts(ev.BiasFlipped)) == flips


async def test_an_exit_notice_breaks_what_is_open_and_is_kept_when_nothing_is() -> None:
    desk = Desk()
    empty = desk.post({"ticker": "SPY", "action": "flat", "note": "a"})
    assert desk.state.heard[empty.seq].outcome == "nothing open"
    position = desk.bought()
    notice = desk.post({"ticker": "SPY", "action": "close"})
    assert desk.state.heard[notice.seq].outcome == "thesis broken, 1 open"
    desk.wait(1)
    assert desk.state.positions[position.id].exit_reason == "THESIS_BROKEN"


async def test_a_receipt_whose_weighing_failed_is_denied_and_does_not_come_back() -> None:
    desk = Desk()
    fact = desk.hear(desk.body())
    desk.player.perform(lambda step: desk.journey.give_up(step, fact, "ZeroDivisionError: x"))
    assert desk.denied == ("RULE_FAILED", "guard")
    assert desk.journey.unweighed() == []
    assert desk.last(ev.EntryDenied).symbol == "SPY"


async def test_only_receipts_are_weighed() -> None:
    desk = Desk()
    desk.command(HaltTrading(by="desk"))
    with pytest.raises(TypeError, match="TradingHalted is not weighed"):
        desk.weigh(desk.last(ev.TradingHalted))
