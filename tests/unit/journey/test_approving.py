"""Approve and answer: the first answer wins, every price is read again, and every no says why."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from engine.domain import events as ev
from engine.domain.commands import Approve, ClosePosition, Command, HaltTrading, Reject
from engine.domain.entities import Ticket
from engine.domain.values import Code, Direction, OptionContract, OrderType, Policy, Purpose, Right, Side
from tests.builders_journey import EXPIRIES, Desk
from tests.builders_trading import NOON


def waiting(**overrides: str) -> tuple[Desk, Ticket]:
    """A desk with one entry ticket that a person has to answer, half a second old."""
    desk = Desk(overrides, policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    desk.wait(0.5)
    return desk, desk.ticket


def code_of(desk: Desk, command: Command) -> Code | None:
    done = desk.command(command)
    return done.refusal.code if done.refusal is not None else None


async def test_a_yes_reads_prices_and_rules_again_and_intends_before_it_sends() -> None:
    desk, ticket = waiting()
    done = desk.command(Approve(by="desk", ticket=ticket.id))
    assert done.ok
    approved = desk.last(ev.TicketApproved)
    assert desk.kinds(after=approved.seq) == ["OrderIntended", "OrderSubmitted", "OrderAccepted", "OrderFilled"]
    intended = desk.last(ev.OrderIntended)
    assert (approved.by, approved.quantity, approved.quote.at) == ("desk", 2, desk.now)
    assert {verdict.rule for verdict in approved.verdicts} == {verdict.rule for verdict in ticket.verdicts}
    assert (intended.cause, intended.ticket, done.created) == (approved.seq, ticket.id, intended.order)
    assert desk.state.heard[ticket.trigger or 0].outcome == "bought"


async def test_the_first_answer_wins() -> None:
    desk, ticket = waiting()
    assert desk.command(Reject(by="http", ticket=ticket.id, reason="no")).ok
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.TICKET_CLOSED
    assert code_of(desk, Reject(by="desk", ticket=ticket.id)) is Code.TICKET_CLOSED
    after = desk.state.tickets[ticket.id]
    assert (after.state, after.answered_by, after.reason) == ("REJECTED", "http", "no")
    assert desk.state.heard[ticket.trigger or 0].outcome == "rejected"
    assert desk.state.orders == {}


async def test_a_ticket_that_ran_out_cannot_be_answered() -> None:
    desk, ticket = waiting()
    desk.wait(89.4)
    assert desk.state.tickets[ticket.id].state == "PENDING"
    desk.wait(0.1)
    assert desk.state.tickets[ticket.id].state == "EXPIRED"
    assert desk.state.heard[ticket.trigger or 0].outcome == "ticket expired"
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.TICKET_CLOSED
    assert desk.last(ev.CommandRefused).target == ticket.id


async def test_an_unknown_ticket_is_refused() -> None:
    desk, _ = waiting()
    assert code_of(desk, Approve(by="desk", ticket="T999")) is Code.TICKET_UNKNOWN
    assert code_of(desk, Reject(by="desk", ticket="T999")) is Code.TICKET_UNKNOWN


async def test_an_enter_that_was_meant_for_another_ticket_does_nothing() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    assert code_of(desk, Approve(by="desk", ticket=desk.ticket.id)) is Code.TICKET_JUST_CHANGED
    assert desk.command(Approve(by="http", ticket=desk.ticket.id)).ok


async def test_a_price_that_ran_away_restarts_the_question_three_times_and_then_ends_it() -> None:
    desk, ticket = waiting(**{"risk.drift_atr": "9", "risk.drift_fraction": "1"})
    for attempt, spot in enumerate(("600.6", "601.2", "601.8"), start=1):
        desk.wait(1, spot=spot)
        assert code_of(desk, Approve(by="http", ticket=ticket.id)) is Code.TICKET_REPRICED
        now = desk.state.tickets[ticket.id]
        assert (now.reprices, now.expires) == (attempt, desk.now + timedelta(seconds=20))
        assert now.quote.at == desk.now
        assert now.limit > ticket.limit
    desk.wait(1, spot="602.4")
    assert code_of(desk, Approve(by="http", ticket=ticket.id)) is Code.TICKET_EXPIRED
    assert desk.state.tickets[ticket.id].state == "EXPIRED"
    assert desk.state.orders == {}


async def test_a_ticket_repriced_once_can_be_answered_at_its_new_price() -> None:
    desk, ticket = waiting()
    desk.wait(1, spot="600.5")
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.TICKET_REPRICED
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.TICKET_JUST_CHANGED
    desk.wait(0.5)
    assert desk.command(Approve(by="desk", ticket=ticket.id)).ok
    assert desk.order.limit == desk.state.tickets[ticket.id].limit


@pytest.mark.parametrize(("spot", "paid_less"), [("600.03", False), ("599.97", True)], ids=["up", "down"])
async def test_what_was_said_yes_to_is_the_most_that_is_paid(spot: str, paid_less: bool) -> None:
    desk, ticket = waiting()
    desk.wait(1, spot=spot)
    now = desk.market.option(ticket.contract)
    assert now is not None
    assert now.mid != ticket.quote.mid
    assert desk.command(Approve(by="desk", ticket=ticket.id)).ok
    assert (desk.order.limit < ticket.limit) is paid_less
    assert desk.order.limit <= ticket.limit
    assert desk.order.type is OrderType.MARKETABLE


async def test_what_a_rule_denies_at_approval_ends_the_ticket_with_its_verdicts() -> None:
    desk, ticket = waiting()
    desk.wait(1, spot="600", vol=0.20, quotes=False)
    desk.wait(5, quotes=False)
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.STALE_QUOTE
    assert desk.denied == ("STALE_QUOTE", "approval")
    after = desk.state.tickets[ticket.id]
    assert after.state == "DENIED"
    assert after.reason.startswith("STALE_QUOTE")
    assert desk.state.heard[ticket.trigger or 0].outcome.startswith("denied STALE_QUOTE")


async def test_a_ticket_whose_stop_was_reached_meanwhile_is_denied() -> None:
    desk, ticket = waiting(**{"approvals.drift": "9"})
    desk.wait(1, spot="593.5")
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.STOP_BREACHED


async def test_without_quotes_there_is_no_yes_and_the_question_stays() -> None:
    desk, ticket = waiting()
    desk.market._underlyings.clear()
    assert code_of(desk, Approve(by="desk", ticket=ticket.id)) is Code.NO_MARKET_DATA
    assert desk.state.tickets[ticket.id].state == "PENDING"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"quantity": 1}, Code.REASON_MISSING),
        ({"limit": Decimal("4.00")}, Code.REASON_MISSING),
        ({"quantity": 0, "reason": "x"}, Code.BAD_QUANTITY),
        ({"limit": Decimal("4.001"), "reason": "x"}, Code.BAD_FIELD),
        ({"quantity": 2}, None),
    ],
)
async def test_another_quantity_or_limit_needs_a_reason(answer: dict[str, object], code: Code | None) -> None:
    desk, ticket = waiting()
    command = Approve(**{"by": "desk", "ticket": ticket.id, **answer})  # type: ignore[arg-type]
    assert code_of(desk, command) is code


async def test_an_overridden_quantity_is_bought_and_both_numbers_are_kept() -> None:
    desk, ticket = waiting()
    assert desk.command(Approve(by="desk", ticket=ticket.id, quantity=1, reason="half of it")).ok
    assert desk.last(ev.DecisionOverridden).changes == {"quantity": "2 to 1"}
    assert (desk.position.quantity, desk.state.tickets[ticket.id].reason) == (1, "half of it")


async def test_a_limit_of_ones_own_rests_until_the_tickets_life_is_over() -> None:
    desk, ticket = waiting()
    desk.command(Approve(by="desk", ticket=ticket.id, limit=Decimal("4.00"), reason="patience"))
    assert (desk.order.type, desk.order.limit, desk.order.state) == ("LIMIT", Decimal("4.00"), "WORKING")
    desk.wait(89)
    assert desk.order.state == "WORKING"
    desk.wait(1)
    assert desk.order.state == "CANCELLED"
    assert desk.state.positions == {}


async def test_a_person_is_asked_and_not_the_policy_where_a_rule_wants_one_at_approval() -> None:
    desk = Desk()
    desk.bought()
    desk.wait(10)
    desk.signal("30")
    assert desk.ticket.manual
    desk.wait(1)
    assert desk.command(Approve(by="http", ticket=desk.ticket.id)).ok


async def test_the_policy_for_paper_does_not_answer_for_an_account_that_is_not() -> None:
    from dataclasses import replace

    desk = Desk()
    desk.journey.world = replace(desk.journey.world, paper=False)
    desk.signal("240")
    desk.signal("60")
    assert desk.ticket.state == "PENDING"


async def test_an_exit_ticket_closes_what_it_asked_for_with_its_reason() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    desk.command(Approve(by="http", ticket=desk.ticket.id))
    desk.post({"ticker": "SPY", "action": "close"})
    desk.wait(1)
    ticket = desk.ticket
    assert (ticket.purpose, ticket.exit_reason, ticket.quantity) == ("EXIT", "THESIS_BROKEN", 2)
    desk.wait(1)
    assert desk.command(Approve(by="desk", ticket=ticket.id, quantity=1, reason="half")).ok
    assert desk.position.quantity == 1
    desk.wait(1)
    desk.command(Approve(by="http", ticket=desk.ticket.id))
    assert desk.position.quantity == 1


async def test_an_exit_ticket_cannot_be_answered_while_another_exit_works_and_stays_open() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    desk.command(Approve(by="http", ticket=desk.ticket.id))
    desk.post({"ticker": "SPY", "action": "close"})
    desk.wait(1)
    question = desk.ticket
    desk.quote(desk.position.contract, None, "9.99")
    assert desk.command(ClosePosition(by="desk", position=desk.position.id)).ok
    assert code_of(desk, Approve(by="http", ticket=question.id)) is Code.ALREADY_CLOSING
    assert desk.state.tickets[question.id].state == "PENDING"
    desk.quote(desk.position.contract, "4.50", "4.52")
    desk.look()
    assert desk.position.quantity == 0
    assert desk.state.tickets[question.id].state == "EXPIRED"


async def test_an_exit_ticket_of_a_position_that_is_gone_is_refused() -> None:
    desk = Desk(policy=Policy.MANUAL)
    contract = OptionContract(symbol="SPY", expiry=EXPIRIES[1], right=Right.CALL, strike=Decimal(600))
    quote = desk.market.option(contract)
    assert quote is not None
    lost = Ticket(
        id="T4", purpose=Purpose.EXIT, symbol="SPY", direction=Direction.LONG, contract=contract, side=Side.SELL,
        quantity=1,
        limit=Decimal("4.00"), quote=quote, opened=NOON, changed=NOON, expires=NOON + timedelta(seconds=60),
        position="P3",
    )  # fmt: skip
    desk.player.perform(lambda step: step.emit(ev.TicketOpened, ticket=lost))
    assert code_of(desk, Approve(by="http", ticket="T4")) is Code.POSITION_UNKNOWN


async def test_a_halt_takes_waiting_entries_back() -> None:
    desk, ticket = waiting()
    assert desk.command(HaltTrading(by="desk", reason="news")).ok
    after = desk.state.tickets[ticket.id]
    assert (after.state, after.reason) == ("REJECTED", "trading halted")


async def test_a_ticket_is_denied_once_the_engine_says_the_opposite() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240", quality="MEDIUM")
    desk.signal("60", quality="MEDIUM")
    ticket = desk.ticket
    desk.wait(1)
    desk.signal("240", "SHORT", quality="EXTREME")
    desk.signal("60", "SHORT", quality="EXTREME")
    done = desk.command(Approve(by="http", ticket=ticket.id))
    assert done.refusal is not None
    assert done.refusal.code is Code.SIGNAL_CONTRADICTED
    assert desk.state.tickets[ticket.id].state == "DENIED"


async def test_more_contracts_than_the_ticket_had_count_with_all_their_risk() -> None:
    desk = Desk({"account.cash": "1000000"}, policy=Policy.MANUAL)
    desk.market.size = 1
    desk.market.price(desk.now)
    desk.signal("240")
    desk.signal("60")
    before = desk.ticket
    done = desk.command(Approve(by="http", ticket=before.id, quantity=before.quantity * 3, reason="sure"))
    assert done.ok, done.text
    after = desk.state.tickets[before.id]
    assert after.max_loss == before.max_loss * 3
