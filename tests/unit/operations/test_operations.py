"""Reports, digests and stories are made from facts alone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from engine.domain import events as ev
from engine.domain.commands import ClosePosition, HaltTrading, OpenTicket, ResumeTrading
from engine.domain.findable import Question
from engine.domain.values import Policy
from engine.domain.views import StoryStep
from engine.journey.clockwork import equity_now
from engine.journey.findings import finding
from engine.operations.digest import decisions_digest, ledger_digest
from engine.operations.report import report
from engine.operations.story import line_of, words_of
from engine.views.stories import fact_text, story_view
from tests.builders_journey import Desk
from tests.unit.journey.test_weighing import phase, trend

CALL = "SPY261125C00600000"


async def a_day() -> Desk:
    desk = Desk()
    desk.post(phase("p1"))
    desk.post(trend(desk))
    body = desk.body("240")
    desk.post(body)
    desk.post(body)
    desk.post(b"nonsense")
    desk.signal("60")
    desk.wait(2)
    desk.signal("60", "SHORT", late=1)
    desk.wait(2)
    desk.wait(61)
    desk.signal("30")
    desk.command(OpenTicket(by="x", contract=CALL, quantity=2, reason="mine", approve=True))
    desk.command(ClosePosition(by="x", position=desk.position.id, quantity=1))
    desk.command(ClosePosition(by="x", position="P1"))
    desk.command(HaltTrading(by="x", reason="news"))
    desk.command(ResumeTrading(by="x", reason="calm"))
    desk.wait(61)
    desk.post({"ticker": "SPY", "action": "close"})
    desk.player.perform(lambda step: step.emit(ev.EngineStopped, reason="over"))
    return desk


def of(desk: Desk) -> dict[str, Any]:
    journey = desk.journey
    return report(
        desk.player.facts,
        desk.state.positions,
        journey.live.marks,
        desk.state.account,
        equity_now(journey.step()),
        {"account.cash": "1"},
    )


async def test_every_fact_has_words_but_the_few_that_say_all_by_their_name() -> None:
    desk = await a_day()
    silent = {fact.kind for fact in desk.player.facts if not words_of(fact)}
    assert silent <= {
        "AccountOpened", "OrderSubmitted", "OrderAccepted", "EquityMarked", "InputsExpired", "PhasePlaced",
        "TrendPlaced", "TicketExpired", "OrderExpired",
    }  # fmt: skip
    opened = desk.facts(ev.TicketOpened)[0]
    assert line_of(opened).split()[:4] == [str(opened.seq), "2026-11-20", "12:00:00", "TicketOpened"]


async def test_why_a_person_wanted_it_is_shown_and_found_whether_it_became_a_ticket_or_not() -> None:
    desk = Desk(policy=Policy.MANUAL)
    done = desk.command(OpenTicket(by="x", contract=CALL, quantity=2, reason="like it"))
    assert done.ok, done.text
    desk.command(HaltTrading(by="x", reason="news"))
    desk.command(OpenTicket(by="x", contract=CALL, quantity=2, reason="still like it"))
    opened, denied = desk.facts(ev.TicketOpened)[0], desk.last(ev.CommandRefused)
    assert line_of(opened).endswith("; by hand: like it")
    assert line_of(denied).endswith("; reason given: still like it")
    for fact in (opened, denied):
        assert Question(text="like it ").answered_by(fact, finding(fact, desk.state))
        assert "like it" in fact_text(fact)
    card = next(c for c in story_view(opened.seq, [opened]).cards if c.step is StoryStep.RULES)
    assert ("Note", "by hand: like it") in [(point.name, point.value) for point in card.points]


async def test_a_close_has_a_code_and_no_words_of_a_person() -> None:
    desk = Desk()
    desk.command(ClosePosition(by="x", position="P1"))
    assert line_of(desk.last(ev.CommandRefused)).endswith("POSITION_UNKNOWN position=P1")


async def test_the_report_counts_what_happened() -> None:
    desk = await a_day()
    said = of(desk)
    assert said["receipts"] == {
        "PhaseReceived": 1, "TrendReceived": 1, "SignalReceived": 4, "DuplicateReceived": 1, "ReceiptRefused": 1,
        "ExitNoticeReceived": 1,
    }  # fmt: skip
    assert sum(said["verdicts"].values()) == len(said["decisions"]) == len(desk.facts(ev.DecisionMade))
    assert [one["code"] for one in said["denials"]] == ["SIGNAL_CONTRADICTED"]
    assert said["refusals"] == {"POSITION_UNKNOWN": 1, "SIGNAL_CONTRADICTED": 1, "UNKNOWN_FORM": 1}
    first = said["trades"][0]
    assert (first["reason"], first["direction"]) == ("THESIS_BROKEN", "LONG")
    assert Decimal(first["net"]) == Decimal(first["gross"]) - Decimal(first["fees"])
    (left,) = [one for one in said["open"] if one["contract"] == CALL] or [{"quantity": 0}]
    assert left["quantity"] == 1
    assert said["facts"] == len(desk.player.facts)


async def test_the_trades_of_a_report_do_not_need_the_state() -> None:
    desk = await a_day()
    whole = of(desk)["trades"]
    desk.state.positions.clear()
    assert of(desk)["trades"] == whole


async def test_the_mark_of_an_open_position_has_the_time_of_its_quote() -> None:
    desk = await a_day()
    quoted = desk.now
    desk.wait(3600, quotes=False)
    (left,) = of(desk)["open"]
    assert left["stale"]
    assert left["mark_time"].startswith(f"{quoted:%Y-%m-%dT%H:%M:%S}")


async def test_the_decisions_digest_leaves_places_out_and_the_ledger_digest_does_not() -> None:
    desk = await a_day()
    facts = desk.player.facts
    moved = [
        replace(fact, seq=fact.seq + 7, cause=None) if isinstance(fact, ev.DecisionMade) else fact for fact in facts
    ]
    assert decisions_digest(moved) == decisions_digest(facts)
    assert ledger_digest(moved) != ledger_digest(facts)
    marks = [fact for fact in facts if not isinstance(fact, ev.PositionMarked)]
    assert decisions_digest(marks) == decisions_digest(facts)
    later = [
        replace(fact, at=fact.at + timedelta(seconds=1)) if isinstance(fact, ev.DecisionMade) else fact
        for fact in facts
    ]
    assert decisions_digest(later) != decisions_digest(facts)


async def test_who_started_when_is_in_no_digest() -> None:
    desk = await a_day()
    facts = desk.player.facts
    other = [replace(fact, version="9.9") if isinstance(fact, ev.EngineStarted) else fact for fact in facts]
    assert (ledger_digest(other), decisions_digest(other)) == (ledger_digest(facts), decisions_digest(facts))
