"""One trade as linked cards, and every fact in one line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.domain import events as ev
from engine.domain.commands import ClosePosition, Reject
from engine.domain.events import AnyFact
from engine.domain.signals import ExitNotice
from engine.domain.values import Code, Direction, ExitAction, ExitReason, Policy, Priority, refuse
from engine.domain.views import FaceKind, StoryCard, StoryStep, StoryView
from engine.views import stories
from tests.builders_journey import Desk
from tests.builders_trading import NOON, WEEKLY, filled, intended, order, quote
from tests.fakes.hostile import phase_body, trend_body

D = Decimal


def told(facts: Sequence[AnyFact]) -> tuple[StoryView, dict[StoryStep, StoryCard], dict[StoryStep, dict[str, str]]]:
    view = stories.story_view(facts[0].seq if facts else 0, facts)
    cards = {card.step: card for card in view.cards}
    return view, cards, {step: {p.name: p.value for p in card.points} for step, card in cards.items()}


def of(desk: Desk, after: int = 0) -> list[AnyFact]:
    return [fact for fact in desk.player.facts if fact.seq > after]


def bought(desk: Desk) -> list[AnyFact]:
    """The story of a position that is open."""
    desk.signal("240")
    before = desk.state.last_seq
    desk.signal("60")
    assert desk.state.open_positions
    return of(desk, before)


def test_a_fact_that_is_not_there_has_no_story() -> None:
    view = stories.story_view(12345, ())
    assert view.face.kind is FaceKind.EMPTY
    assert view.face.what == "There is no fact 12,345."
    assert stories.NO_STORY.cards == ()


async def test_a_trade_from_signal_to_close() -> None:
    desk = Desk()
    desk.signal("240")
    before = desk.state.last_seq
    desk.signal("60")
    held = desk.position
    desk.wait(90, spot="603")
    desk.command(ClosePosition(by="desk", position=held.id))
    desk.wait(1)
    facts = of(desk, before)
    view, cards, points = told(facts)
    closed, fill = desk.last(ev.PositionClosed), desk.facts(ev.OrderFilled)[0]
    assert [card.step for card in view.cards] == list(StoryStep)
    assert not any(card.stopped for card in view.cards)
    assert cards[StoryStep.SIGNAL].title == "SPY 1H LONG HIGH"
    assert cards[StoryStep.DECISION].title.startswith("EXECUTE LONG ")
    assert cards[StoryStep.RULES].title.endswith(" rules passed")
    assert points[StoryStep.RULES]["Size"] == f"{desk.ticket.sizing.recommended} → {fill.quantity}"
    assert cards[StoryStep.APPROVAL].title == "Approved by policy"
    assert cards[StoryStep.ORDER].title.startswith(f"BUY {fill.quantity} at ")
    assert cards[StoryStep.FILLS].title == f"{fill.quantity} at {fill.price:.2f}"
    assert cards[StoryStep.EXIT].title == "MANUAL"
    assert cards[StoryStep.EXIT].after == (closed.at - fill.at).total_seconds()
    assert view.gain is (closed.net > 0)
    sign = "−" if closed.net < 0 else "+"
    assert view.outcome.startswith(f"closed {sign}${abs(closed.net):,.2f} net")
    assert points[StoryStep.EXIT]["Net"] == f"{sign}${abs(closed.net):,.2f}"
    assert _sum_of_parts(points[StoryStep.EXIT]) == closed.net
    assert view.title == held.contract.label
    kinds = {row.kind for row in view.facts}
    assert "PositionMarked" not in kinds
    assert {"SignalReceived", "PositionClosed"} <= kinds


def _sum_of_parts(points: dict[str, str]) -> Decimal:
    parts = [points[name] for name in ("Delta", "Gamma", "Vega", "Theta", "Residual", "Fees") if name in points]
    return sum((D(part.replace("−", "-").replace("$", "").replace(",", "")) for part in parts), D(0))


def test_an_exit_shows_every_part_of_its_result_and_they_add_up() -> None:
    parts = {"delta": "52.10", "gamma": "3.20", "residual": "-1.05", "theta": "-8.25", "vega": "-20.00"}
    closed = ev.PositionClosed(
        seq=9, at=NOON, cause=None, position="P1", reason=ExitReason.MANUAL, gross=D("26.00"), fees=D("2.60"), net=D("23.40"),
        r=D("0.1"), average_exit=D("2.5"), held_seconds=60.0, best=D(3), worst=D(2), attribution={name: D(value) for name, value in parts.items()},
    )  # fmt: skip
    _, _, points = told([closed])
    names = ["Delta", "Gamma", "Vega", "Theta", "Residual", "Fees"]
    assert list(points[StoryStep.EXIT])[-6:] == names
    assert _sum_of_parts(points[StoryStep.EXIT]) == closed.net


async def test_what_is_held_still_says_its_alerts_and_then_what_fired() -> None:
    desk = Desk()
    facts = bought(desk)
    view, cards, _ = told(facts)
    assert (view.outcome, view.gain) == ("open", None)
    assert (cards[StoryStep.EXIT].title, cards[StoryStep.EXIT].at) == ("not yet", None)
    last = facts[-1]

    def fired(action: ExitAction) -> ev.ExitTriggered:
        return ev.ExitTriggered(
            seq=last.seq + 1, at=last.at + timedelta(seconds=5), cause=last.seq, position=desk.position.id, rule="theta a day",
            reason=ExitReason.STOP_LOSS, priority=Priority.MEDIUM, action=action, quantity=1, numbers={"theta": "9%"},
        )  # fmt: skip

    _, cards, points = told([*facts, fired(ExitAction.ALERT)])
    assert (cards[StoryStep.EXIT].title, points[StoryStep.EXIT]) == ("still open", {"Alert": "theta a day"})
    _, cards, points = told([*facts, fired(ExitAction.CLOSE)])
    assert cards[StoryStep.EXIT].title == "theta a day fired"
    assert points[StoryStep.EXIT] == {"Does": "CLOSE", "theta": "9%"}


async def test_a_wait_stops_the_story() -> None:
    desk = Desk()
    desk.signal("5")
    view, cards, _ = told(of(desk))
    assert (view.outcome, view.title) == ("no position", "SPY 5m LONG HIGH")
    assert cards[StoryStep.DECISION].stopped
    assert {cards[step].title for step in list(StoryStep)[2:]} == {"did not come"}


async def test_a_denial_by_the_rules_names_its_numbers() -> None:
    desk = Desk({"risk.max_position": "0.0001"})
    desk.signal("240")
    before = desk.state.last_seq
    desk.signal("60")
    denied = desk.last(ev.EntryDenied)
    _, cards, points = told(of(desk, before))
    assert (cards[StoryStep.RULES].title, cards[StoryStep.RULES].stopped) == (denied.refusal.code.value, True)
    assert points[StoryStep.RULES]["Denied by"] == denied.stage
    assert set(list(denied.refusal.numbers)[:4]) <= set(points[StoryStep.RULES])


async def test_a_ticket_that_was_rejected_or_ran_out() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    before = desk.state.last_seq
    desk.signal("60")
    waiting = of(desk, before)
    desk.command(Reject(by="desk", ticket=desk.ticket.id, reason="too wide"))
    _, cards, points = told(of(desk, before))
    assert (cards[StoryStep.APPROVAL].title, cards[StoryStep.APPROVAL].stopped) == ("Rejected by desk", True)
    assert points[StoryStep.APPROVAL] == {"Reason": "too wide"}
    over = ev.TicketExpired(seq=waiting[-1].seq + 1, at=waiting[-1].at, cause=None, ticket=desk.ticket.id)
    _, cards, _ = told([*waiting, over])
    assert cards[StoryStep.APPROVAL].title == "Expired unanswered"
    refusal = refuse(Code.STALE_QUOTE, age="9s", limit="5s")
    denied = ev.EntryDenied(
        seq=waiting[-1].seq + 1, at=waiting[-1].at, cause=None, symbol="SPY", decision=None, trigger=None, refusal=refusal,
        stage="approval", ticket=desk.ticket.id,
    )  # fmt: skip
    _, cards, points = told([*waiting, denied])
    assert (cards[StoryStep.APPROVAL].title, points[StoryStep.APPROVAL]["age"]) == ("STALE_QUOTE", "9s")


async def test_an_order_that_was_repriced_and_cancelled() -> None:
    desk = Desk()
    facts = [fact for fact in bought(desk) if not isinstance(fact, ev.OrderFilled)]
    order, last = desk.order.id, facts[-1]
    more: list[AnyFact] = [
        ev.OrderRepriced(seq=last.seq + 1, at=last.at, cause=None, order=order, limit=D("2.10"), attempt=1),
        ev.OrderCancelled(seq=last.seq + 2, at=last.at, cause=None, order=order, reason="its time"),
    ]
    _, cards, points = told([*facts, *more])
    assert points[StoryStep.ORDER]["Re-priced"] == "1 ×"
    assert (points[StoryStep.ORDER]["Ended"], cards[StoryStep.ORDER].stopped) == ("Cancelled", True)
    assert cards[StoryStep.FILLS].title == "did not come"


async def test_an_intent_without_a_limit_or_a_sizing_says_no_more_than_it_knows() -> None:
    desk = Desk()
    facts = [_bare(fact) for fact in bought(desk) if not isinstance(fact, ev.OrderSubmitted)]
    _, cards, points = told(facts)
    assert cards[StoryStep.ORDER].title.startswith("BUY ")
    assert " at " not in cards[StoryStep.ORDER].title
    assert "Sent to" not in points[StoryStep.ORDER]
    assert points[StoryStep.RULES]["Size"] == str(desk.ticket.quantity)
    assert "Delta" not in points[StoryStep.RULES]
    assert "Multiplier" in points[StoryStep.DECISION]


def _bare(fact: AnyFact) -> AnyFact:
    if isinstance(fact, ev.OrderIntended):
        return msgspec.structs.replace(fact, limit=None)
    if isinstance(fact, ev.TicketOpened):
        return msgspec.structs.replace(fact, ticket=msgspec.structs.replace(fact.ticket, sizing=None, greeks=None))
    return fact


async def test_what_was_no_signal_begins_its_own_story() -> None:
    desk = Desk()
    desk.signal("5")
    desk.post(desk.body("5"))
    _, cards, points = told([desk.last(ev.DuplicateReceived)])
    assert (cards[StoryStep.SIGNAL].title, cards[StoryStep.SIGNAL].stopped) == ("Duplicate", True)
    desk.post(b"{")
    _, cards, points = told([desk.last(ev.ReceiptRefused)])
    assert cards[StoryStep.SIGNAL].title == "Not understood"
    assert points[StoryStep.SIGNAL]["Why"].startswith("NOT_JSON")
    desk.post(phase_body())
    _, cards, _ = told([desk.last(ev.PhaseReceived)])
    assert cards[StoryStep.SIGNAL].title == "SPY REGIME 4H ENTER_ACCUMULATION"
    desk.post({"ticker": "SPY", "action": "buy", "timeframe": "240"})
    _, _, points = told([desk.last(ev.SignalReceived)])
    assert points[StoryStep.SIGNAL]["Assumed"].endswith(" fields")


async def test_a_story_that_begins_with_an_order_has_no_signal() -> None:
    desk = Desk()
    desk.bought()
    facts = [fact for fact in of(desk) if isinstance(fact, ev.OrderIntended | ev.OrderFilled)]
    view, cards, _ = told(facts)
    assert cards[StoryStep.SIGNAL].title == "not yet"
    assert view.title == desk.position.contract.label


async def test_a_trade_that_won_nothing_has_no_side() -> None:
    desk = Desk()
    desk.bought()
    desk.command(ClosePosition(by="desk", position=desk.position.id))
    desk.wait(1)
    even = msgspec.structs.replace(desk.last(ev.PositionClosed), net=D(0), attribution={"delta": D(0), "theta": D(3)})
    view, cards, points = told([*(fact for fact in of(desk) if not isinstance(fact, ev.PositionClosed)), even])
    assert view.gain is None
    assert cards[StoryStep.EXIT].points[0].gain is None
    assert "Delta" not in points[StoryStep.EXIT]
    assert points[StoryStep.EXIT]["Theta"] == "+$3.00"


# --- one line a fact


async def test_every_fact_of_a_long_day_has_its_line() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.post(trend_body() | {"price": 600.0})
    desk.post(phase_body())
    desk.signal("240")
    desk.signal("60")
    lines = {fact.kind: stories.fact_text(fact) for fact in desk.player.facts}
    assert lines["SignalReceived"] == "SPY 1H LONG HIGH, AI 8.0"
    assert lines["PhaseReceived"] == "SPY REGIME 4H ENTER_ACCUMULATION"
    assert lines["TrendReceived"] == "SPY trend of eight timeframes"
    assert lines["DecisionMade"].startswith("EXECUTE ")
    assert lines["TicketOpened"].startswith(f"BUY {desk.ticket.quantity} SPY ")
    assert lines["SignalPlaced"] == ""


REFUSAL = refuse(Code.HEAT_OVER_LIMIT, heat="8.4%", limit="8%")
SAID = "HEAT_OVER_LIMIT heat=8.4% limit=8%"
HEAD: dict[str, Any] = {"seq": 9, "at": NOON, "cause": 3}
RECEIPT = ev.Receipt(key="k", kind="exit", raw="{}", sha256="", wall=NOON)
NOTICE = ExitNotice(symbol="SPY", timeframe=None, direction=None, said="close")
LINES = (
    (ev.ExitNoticeReceived(**HEAD, receipt=RECEIPT, notice=NOTICE), "SPY exit: close"),
    (ev.ReceiptRefused(**HEAD, receipt=RECEIPT, refusal=REFUSAL, status=422), SAID),
    (ev.SignalSetAside(**HEAD, symbol="SPY", source=3, refusal=REFUSAL), SAID),
    (ev.EntryDenied(**HEAD, symbol="SPY", decision=3, trigger=2, refusal=REFUSAL, stage="risk"), SAID),
    (ev.OrderRejected(**HEAD, order="O7", refusal=REFUSAL), SAID),
    (ev.OrderDenied(**HEAD, order="O7", refusal=REFUSAL), SAID),
    (ev.CommandRefused(**HEAD, command="Approve", target="T5", by="desk", refusal=REFUSAL), SAID),
    (
        ev.TicketApproved(**HEAD, ticket="T5", by="desk", quantity=2, limit=D("2.04"), quote=quote("2.00", "2.04"), reason="half"),
        "2 at 2.04 by desk half",
    ),
    (ev.TicketRejected(**HEAD, ticket="T5", by="desk"), "by desk"),
    (ev.TradingHalted(**HEAD, by="desk", reason="news"), "by desk news"),
    (ev.TradingResumed(**HEAD, by="desk", reason="over"), "by desk over"),
    (ev.DecisionOverridden(**HEAD, decision=3, by="desk", reason="range break"), "by desk range break"),
    (
        ev.TicketRepriced(**HEAD, ticket="T5", limit=D("2.10"), quote=quote("2.06", "2.10"), expires=NOON),
        "limit 2.10, quote 2.06 × 2.10",
    ),
    (intended(order(limit="2.04")), "BUY 2 SPY 25 Nov 26 600 C limit 2.04 DAY"),
    (ev.OrderSubmitted(**HEAD, order="O7", broker="paper"), "to paper"),
    (ev.OrderRepriced(**HEAD, order="O7", limit=D("2.10"), attempt=2), "limit 2.10, attempt 2"),
    (filled(2, "2.04", fees="1.32"), "2 at 2.04, fees 1.32, quote 2.00 × 2.04"),
    (ev.OrderCancelled(**HEAD, order="O7", reason="its time"), "its time"),
    (
        ev.ExitTriggered(
            **HEAD, position="P9", rule="stop −50 %", reason=ExitReason.STOP_LOSS, priority=Priority.CRITICAL,
            action=ExitAction.CLOSE, quantity=2, numbers={"mid": "1.00", "level": "1.01"},
        ),
        "stop −50 %: mid=1.00 level=1.01",
    ),
    (
        ev.PositionClosed(
            **HEAD, position="P9", reason=ExitReason.MANUAL, gross=D(-10), fees=D(2), net=D(-12), r=D("-0.03"),
            average_exit=D(1), held_seconds=60.0, best=D(2), worst=D(1), attribution={},
        ),
        "MANUAL net −$12.00, −0.03 R",
    ),
    (
        ev.ContractSettled(
            **HEAD, position="P9", contract=WEEKLY, quantity=2, settlement=D("601.5"), price=D("1.5"), fees=D(0)
        ),
        "2 at 1.5, underlying 601.5",
    ),
    (ev.SignalSuperseded(**HEAD, symbol="SPY", source=3, kept=1234, contradicts=True), "kept 1,234, contradicted"),
    (ev.SignalSuperseded(**HEAD, symbol="SPY", source=3, kept=2, contradicts=False), "kept 2"),
    (ev.BiasFlipped(**HEAD, symbol="SPY", against=Direction.SHORT, positions=(), why="1H says LONG"), "1H says LONG"),
    (ev.EquityMarked(**HEAD, equity=D(1), cash=D(1)), ""),
)  # fmt: skip


@pytest.mark.parametrize(("fact", "line"), LINES, ids=[fact.kind for fact, _ in LINES])
def test_a_fact_in_one_line(fact: AnyFact, line: str) -> None:
    assert stories.fact_text(fact) == line
