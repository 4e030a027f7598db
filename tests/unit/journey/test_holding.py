"""Hold and exit: marks, stops, targets, trails, the expiring afternoon, settlement, and halts that latch by themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from engine.domain import events as ev
from engine.domain.commands import OpenTicket, ResumeTrading
from engine.domain.entities import Position
from engine.domain.values import OptionContract, Policy, Right
from tests.builders_journey import Desk, HandMarket
from tests.builders_trading import CLOSE, NOON

TODAY_CALL = "SPY261120C00600000"
WEEK_CALL = "SPY261125C00600000"
ROOMY = {"account.cash": "1000000"}


def holding(contract: str = WEEK_CALL, quantity: int = 2, policy: Policy = Policy.AUTO_PAPER, **kw: object) -> Desk:
    """A desk that holds a contract bought by hand: stopped and taken by fractions of its premium alone."""
    desk = Desk(ROOMY, policy=policy, **kw)  # type: ignore[arg-type]
    done = desk.command(OpenTicket(by="x", contract=contract, quantity=quantity, reason="test", approve=True))
    assert done.ok, done.text
    assert desk.position.quantity == quantity
    return desk


def mid(desk: Desk, share: str) -> None:
    """Put the held contract's quote around a multiple of its entry price."""
    price = (desk.position.entry * Decimal(share)).quantize(Decimal("0.01"))
    desk.quote(desk.position.contract, str(price - Decimal("0.01")), str(price + Decimal("0.01")))


def quiet(desk: Desk, seconds: float, share: str) -> None:
    """Time passes with the held contract quoted at a multiple of its entry."""
    desk.clock.set(desk.now + timedelta(seconds=seconds))
    desk.market.price(desk.now)
    mid(desk, share)
    desk.look()


def exits(desk: Desk) -> list[ev.ExitTriggered]:
    """What fired and did more than speak."""
    return [fact for fact in desk.facts(ev.ExitTriggered) if fact.action != "ALERT"]


async def test_marks_are_kept_once_a_minute_and_equity_with_them() -> None:
    desk = holding()
    for _ in range(130):
        desk.wait(1)
    marks = desk.facts(ev.PositionMarked)
    assert [round((fact.at - NOON).total_seconds()) for fact in marks] == [1, 61, 121]
    assert desk.position.last_mark == marks[-1].mark
    assert desk.position.last_bid == marks[-1].bid
    assert 2 <= len(desk.facts(ev.EquityMarked)) <= 4


async def test_a_stop_needs_two_quotes_a_second_apart_beyond_its_level() -> None:
    desk = holding()
    quiet(desk, 1, "0.49")
    assert exits(desk) == []
    quiet(desk, 1, "0.60")
    quiet(desk, 1, "0.49")
    assert exits(desk) == []
    quiet(desk, 1, "0.49")
    fired = exits(desk)[-1]
    assert (fired.reason, fired.action, fired.quantity) == ("STOP_LOSS", "CLOSE", 2)
    assert desk.closed()[0][0] == "STOP_LOSS"
    board = desk.state.boards["SPY"]
    assert (board.stopped_out, board.stopped_direction) == (fired.at, "LONG")


async def test_the_underlyings_stop_closes_without_being_asked_under_every_policy() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    from engine.domain.commands import Approve

    desk.command(Approve(by="http", ticket=desk.ticket.id))
    desk.wait(1, spot="593.99")
    desk.wait(1, spot="593.99")
    assert desk.closed()[0][0] == "STOP_LOSS"


async def test_target_one_takes_half_and_moves_the_stop_to_break_even_and_target_two_the_rest() -> None:
    desk = Desk({**ROOMY, "exits.profit_target": "50", "exits.trail_arm": "50"})
    position = desk.bought(contracts=3)
    assert position.quantity == 4
    desk.wait(1, spot="612.5")
    desk.wait(1, spot="612.5")
    desk.wait(1, spot="612.5")
    half = desk.position
    assert (half.quantity, half.half_taken) == (2, True)
    assert desk.last(ev.ExitTriggered).reason == "TARGET_1"
    desk.wait(1, spot="621.5")
    desk.wait(1, spot="621.5")
    assert desk.closed()[0][0] == "TARGET_2"
    assert Decimal(desk.closed()[0][1]) > 0


async def test_after_half_was_taken_the_rest_stops_at_what_was_paid() -> None:
    desk = Desk({**ROOMY, "exits.profit_target": "50", "exits.trail_arm": "50"})
    desk.bought(contracts=3)
    for _ in range(3):
        desk.wait(1, spot="612.5")
    quiet(desk, 1, "1.00")
    quiet(desk, 1, "0.99")
    assert desk.closed()[0][0] == "STOP_LOSS"


async def test_the_profit_target_asks_a_person_and_closes_on_the_yes() -> None:
    desk = holding(policy=Policy.MANUAL)
    quiet(desk, 1, "1.55")
    quiet(desk, 1, "1.55")
    assert (desk.ticket.purpose, desk.ticket.exit_reason, desk.ticket.state) == ("EXIT", "PROFIT_TARGET", "PENDING")
    quiet(desk, 1, "1.55")
    assert len([t for t in desk.state.tickets.values() if t.purpose == "EXIT"]) == 1
    assert desk.ticket.notes[0] == "profit +50 %"


async def test_a_question_nobody_answered_is_asked_again() -> None:
    desk = holding(policy=Policy.MANUAL)
    quiet(desk, 1, "1.55")
    quiet(desk, 1, "1.55")
    first = desk.ticket
    quiet(desk, 90, "1.55")
    assert desk.state.tickets[first.id].state == "EXPIRED"
    quiet(desk, 1, "1.55")
    assert desk.ticket.id != first.id
    assert desk.ticket.state == "PENDING"


async def test_a_stop_closes_what_a_question_was_open_about() -> None:
    desk = holding(policy=Policy.MANUAL)
    quiet(desk, 1, "1.55")
    quiet(desk, 1, "1.55")
    question = desk.ticket
    quiet(desk, 1, "0.40")
    quiet(desk, 1, "0.40")
    assert desk.state.tickets[question.id].state == "EXPIRED"
    assert desk.closed()[0][0] == "STOP_LOSS"


async def test_the_trail_arms_gives_back_its_share_and_closes_by_itself() -> None:
    desk = holding(policy=Policy.MANUAL)
    quiet(desk, 1, "1.40")
    quiet(desk, 1, "1.40")
    quiet(desk, 1, "1.40")
    assert desk.position.armed
    quiet(desk, 1, "1.25")
    assert desk.state.open_positions
    quiet(desk, 1, "1.19")
    quiet(desk, 1, "1.19")
    assert desk.closed()[0][0] == "TRAILING_STOP"


async def test_a_wide_or_silent_quote_proves_nothing() -> None:
    desk = holding()
    for _ in range(5):
        desk.clock.set(desk.now + timedelta(seconds=1))
        desk.market.price(desk.now)
        desk.quote(desk.position.contract, "0.50", "3.00")
        desk.look()
    assert exits(desk) == []
    assert desk.journey.live.marks[desk.position.id].stale


async def test_an_exit_without_a_bid_goes_out_at_the_lowest_price_and_takes_the_first_bid() -> None:
    desk = holding()
    desk.wait(1, spot="560")
    desk.clock.set(desk.now + timedelta(seconds=1))
    desk.market.put_underlying("SPY", desk.market._quote(Decimal(560), Decimal("560.02"), desk.now))
    desk.quote(desk.position.contract, None, "0.05")
    desk.journey.live.confirmations.clear()
    from engine.domain.commands import ClosePosition

    desk.command(ClosePosition(by="desk", position=desk.position.id))
    assert (desk.order.limit, desk.order.state) == (Decimal("0.01"), "WORKING")
    desk.clock.set(desk.now + timedelta(seconds=1))
    desk.quote(desk.position.contract, "0.03", "0.05")
    desk.look()
    assert desk.position.quantity == 0


async def test_a_working_exit_is_chased_further_each_time() -> None:
    desk = holding()
    contract = desk.position.contract
    desk.quote(contract, None, "9.00")
    from engine.domain.commands import ClosePosition

    desk.command(ClosePosition(by="desk", position=desk.position.id))
    desk.clock.set(desk.now + timedelta(seconds=1))
    desk.look()
    assert desk.facts(ev.OrderRepriced) == []
    desk.market.price(desk.now)
    desk.quote(contract, None, "9.00")
    desk.clock.set(desk.now + timedelta(seconds=2))
    desk.quote(contract, "5.00", "9.00", size=0)
    desk.look()
    assert [fact.attempt for fact in desk.facts(ev.OrderRepriced)] == [1]
    assert desk.order.limit == Decimal("4.30")


async def test_on_its_last_afternoon_a_contract_is_sold_by_the_ladder() -> None:
    desk = holding(TODAY_CALL)
    contract, entry = desk.position.contract, desk.position.entry
    bid, ask = str(entry - Decimal("0.10")), str(entry + Decimal("0.10"))
    seen: dict[int, tuple[str, Decimal | None]] = {}
    for left in (31, 30, 16, 15, 14, 13, 10):
        desk.clock.set(CLOSE - timedelta(minutes=left))
        desk.market.price(desk.now)
        desk.quote(contract, bid, ask, size=0)
        desk.look()
        order = next(iter(desk.state.open_orders.values()), None)
        fired = [fact.rule for fact in desk.facts(ev.ExitTriggered) if fact.reason == "TIME_OF_DAY"]
        seen[left] = (fired[-1] if fired else "", order and order.limit)
    assert seen[31] == ("", None)
    assert seen[30] == ("expires today T−30", None)
    assert seen[15] == ("clock T−15", entry)
    assert [seen[left][1] for left in (14, 13)] == [entry - Decimal("0.05"), entry - Decimal("0.10")]
    limit = seen[10][1]
    assert limit is not None
    assert limit < entry - Decimal("0.10")
    desk.clock.set(CLOSE - timedelta(minutes=9))
    desk.quote(contract, bid, ask)
    desk.look()
    assert desk.closed()[0][0] == "TIME_OF_DAY"


async def test_what_nobody_bought_by_the_close_is_settled_at_intrinsic_value() -> None:
    desk = holding(TODAY_CALL)
    contract = desk.position.contract
    for left in (15, 10, 5, 1):
        desk.clock.set(CLOSE - timedelta(minutes=left))
        desk.market.spot = Decimal("603.27")
        desk.market.price(desk.now)
        desk.quote(contract, None, "4.00")
        desk.look()
    assert desk.state.open_orders
    desk.market.put_close("SPY", date(2026, 11, 20), Decimal("603.27"))
    desk.clock.set(CLOSE)
    desk.look()
    desk.look()
    settled, closed = desk.last(ev.ContractSettled), desk.last(ev.PositionClosed)
    assert (settled.settlement, settled.price, settled.quantity) == (Decimal("603.27"), Decimal("3.27"), 2)
    assert (closed.reason, closed.average_exit) == ("EXPIRATION", Decimal("3.27"))
    assert desk.state.open_positions == {}
    assert all(order.state == "CANCELLED" for order in desk.state.orders.values() if order.purpose == "EXIT")


async def test_a_half_day_ends_at_one_and_settles_there() -> None:
    half = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)
    market = HandMarket()
    expiry = date(2026, 11, 27)
    plain = market.price
    market.price = lambda now, *_, **__: plain(now, expiries=[expiry])  # type: ignore[method-assign]
    desk = Desk(ROOMY, start=half, market=market)
    contract = OptionContract(symbol="SPY", expiry=expiry, right=Right.PUT, strike=Decimal(600))
    assert desk.command(OpenTicket(by="x", contract=contract.osi, quantity=1, reason="x", approve=True)).ok
    close = datetime(2026, 11, 27, 18, 0, tzinfo=UTC)
    desk.clock.set(close - timedelta(minutes=1))
    desk.quote(contract, None, "1.00")
    desk.look()
    assert desk.last(ev.ExitTriggered).reason == "TIME_OF_DAY"
    market.put_close("SPY", expiry, Decimal("601.00"))
    desk.clock.set(close)
    desk.look()
    desk.look()
    assert desk.last(ev.ContractSettled).price == Decimal(0)
    assert desk.closed()[0][0] == "EXPIRATION"


async def test_without_an_official_close_nothing_is_settled() -> None:
    desk = holding(TODAY_CALL)
    desk.quote(desk.position.contract, None, "1.00")
    desk.clock.set(CLOSE)
    desk.look()
    assert desk.facts(ev.ContractSettled) == []
    assert desk.state.open_positions


async def test_the_day_before_expiry_a_weekly_is_asked_about() -> None:
    desk = holding(policy=Policy.MANUAL)
    desk.until(datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    assert desk.ticket.exit_reason == "TIME_STOP"


async def test_a_day_that_lost_its_budget_halts_entries_and_takes_waiting_ones_back() -> None:
    desk = Desk(
        {"risk.max_risk": "1", "risk.base_risk": "0.022", "risk.day_budget": "0.0301", "risk.max_heat": "0.2"}
        | {"risk.symbol_heat": "1", "risk.group_heat": "1", "risk.max_delta_dollars": "100"},
        policy=Policy.MANUAL,
    )
    from engine.domain.commands import Approve

    desk.signal("240", contracts=8, stop=560.0, target_1=680.0, target_2=700.0)
    desk.signal("60", contracts=8, stop=560.0, target_1=680.0, target_2=700.0)

    desk.command(Approve(by="http", ticket=desk.ticket.id))
    quantity = desk.position.quantity
    desk.wait(1)
    desk.player.perform(
        lambda step: step.emit(ev.SessionOpened, session=date(2026, 11, 20), equity=Decimal("100000") + 300 * quantity)
    )
    question = OpenTicket(by="x", contract=WEEK_CALL, quantity=1, reason="x")
    desk.command(question)
    desk.wait(1, spot="592")
    halted = desk.last(ev.TradingHalted)
    assert (halted.by, halted.reason, halted.flatten) == ("engine", "day budget is lost", False)
    assert halted.numbers["limit"] == "3.01%"
    assert all(t.state != "PENDING" for t in desk.state.tickets.values() if t.purpose == "ENTRY")
    assert desk.state.open_positions
    assert desk.command(ResumeTrading(by="policy", reason="x")).refusal is not None


async def test_a_new_session_counts_its_day_from_the_equity_it_began_with() -> None:
    desk = holding(quantity=2)
    desk.wait(61, spot="598")
    desk.until(datetime(2026, 11, 20, 20, 59, tzinfo=UTC))
    equity = desk.last(ev.EquityMarked).equity
    desk.until(datetime(2026, 11, 23, 14, 30, tzinfo=UTC), quotes=False)
    opened = desk.facts(ev.SessionOpened)
    assert [fact.session.day for fact in opened] == [20, 23]
    assert opened[-1].equity == equity
    assert desk.state.account is not None
    assert desk.state.account.prior_equity == equity


async def test_after_a_restart_a_position_is_worth_its_last_kept_mark_until_quotes_come() -> None:
    desk = holding(quantity=2)
    desk.wait(61, spot="598")
    kept: Position = desk.position
    equity = desk.last(ev.EquityMarked).equity
    assert equity < Decimal("999990")
    desk.market.price = lambda *_, **__: None  # type: ignore[method-assign]  # no quotes after the restart
    later = await desk.again(after=70 * 3600)
    assert later.last(ev.SessionOpened).equity == equity
    assert later.state.positions[kept.id] == kept


@pytest.mark.parametrize("moment", [datetime(2026, 11, 20, 21, 20, tzinfo=UTC), datetime(2026, 11, 21, 15, tzinfo=UTC)])
async def test_nothing_is_marked_chased_or_closed_while_options_do_not_trade(moment: datetime) -> None:
    desk = holding()
    desk.wait(1)
    desk.until(datetime(2026, 11, 20, 20, 59, tzinfo=UTC))
    seq = desk.state.last_seq
    desk.until(moment, spot="590")
    desk.wait(2, spot="590")
    assert [kind for kind in desk.kinds(after=seq) if kind not in ("EquityMarked", "TradingHalted")] == []


# --- quotes unusable for long ----------------------------------------------------------------------------------------


def outage(desk: Desk, seconds: float, bid: str | None, ask: str | None, *, spot: bool = True) -> None:
    """A second at a time with a quote of the held contract that cannot be believed, and a fresh underlying."""
    for _ in range(round(seconds)):
        desk.clock.set(desk.now + timedelta(seconds=1))
        if spot:
            desk.market.put_underlying("SPY", desk.market._quote(*around(desk), desk.now))
        desk.quote(desk.position.contract, bid, ask)
        desk.look()


def around(desk: Desk) -> tuple[Decimal, Decimal]:
    return desk.market.spot - Decimal("0.01"), desk.market.spot + Decimal("0.01")


def alarms(desk: Desk) -> list[ev.ExitTriggered]:
    return [fact for fact in desk.facts(ev.ExitTriggered) if fact.rule == "quote unreliable"]


async def test_a_wide_quote_for_long_does_not_switch_the_stop_off() -> None:
    desk = holding(quantity=3)
    desk.wait(1)
    outage(desk, 10, "0.35", "0.50")
    assert exits(desk) == []
    outage(desk, 3, "0.35", "0.50")
    assert (exits(desk)[0].reason, exits(desk)[0].rule) == ("STOP_LOSS", "stop −50 %")
    assert desk.closed()[0][0] == "STOP_LOSS"
    assert [fact.action for fact in alarms(desk)] == ["ALERT"]
    assert alarms(desk)[0].numbers["model"] == "0.50"


async def test_with_no_bid_for_long_the_model_follows_the_underlying_and_equity_counts_nothing() -> None:
    desk = holding(quantity=3)
    desk.wait(1)
    before = desk.state.account
    assert before is not None
    entry = desk.position.entry
    outage(desk, 12, None, "9.00")
    mark = desk.journey.live.marks[desk.position.id]
    assert (mark.model, mark.stale) == (True, True)
    assert abs(mark.price - entry) < Decimal("0.10")
    desk.market.spot = Decimal("597")
    outage(desk, 1, None, "9.00")
    assert desk.journey.live.marks[desk.position.id].price < mark.price - 1
    assert len(alarms(desk)) == 1
    outage(desk, 60, None, "9.00")
    assert desk.last(ev.EquityMarked).equity == before.cash


async def test_a_stop_at_nothing_does_not_fire_on_a_model_value_of_nothing() -> None:
    desk = Desk({**ROOMY, "exits.stop_loss": "1", "exits.trail_arm": "50"})
    done = desk.command(OpenTicket(by="x", contract=TODAY_CALL, quantity=2, reason="test", approve=True))
    assert done.ok, done.text
    desk.wait(1)
    desk.market.spot = Decimal(570)
    outage(desk, 15, None, "0.05")
    assert desk.journey.live.marks[desk.position.id].price == Decimal("0.01")
    assert exits(desk) == []


async def test_the_days_budget_halts_although_nobody_bids_for_long() -> None:
    desk = Desk({"account.cash": "20000", "risk.max_position": "1", "risk.max_risk": "1"})
    done = desk.command(OpenTicket(by="x", contract=WEEK_CALL, quantity=2, reason="test", approve=True))
    assert done.ok, done.text
    desk.wait(1)
    outage(desk, 14, None, "9.00")
    assert desk.state.halt is not None
    assert desk.state.halt.latched


async def test_without_a_fresh_underlying_the_mark_stays_and_the_alarm_is_given() -> None:
    desk = holding(quantity=3)
    desk.wait(1)
    before = desk.journey.live.marks[desk.position.id].price
    desk.wait(6, quotes=False)
    outage(desk, 20, "0.35", "0.50", spot=False)
    mark = desk.journey.live.marks[desk.position.id]
    assert (mark.price, mark.model, mark.unreliable) == (before, False, True)
    assert alarms(desk)[0].numbers["model"] == "n/a"
    assert exits(desk) == []


async def test_a_recorded_minute_is_one_quote_and_one_bad_one_is_no_outage() -> None:
    desk = holding(quantity=3, market=HandMarket("recorded", 65.0))
    desk.wait(1)
    outage(desk, 65, "0.35", "0.50")
    assert alarms(desk) == []
    outage(desk, 3, "0.35", "0.50")
    assert len(alarms(desk)) == 1
    assert desk.closed()[0][0] == "STOP_LOSS"


async def test_while_options_do_not_trade_no_quote_is_missing() -> None:
    desk = holding(quantity=3)
    desk.wait(1)
    desk.until(CLOSE + timedelta(hours=1), quotes=False)
    desk.wait(60, quotes=False)
    mark = desk.journey.live.marks[desk.position.id]
    assert (mark.stale, mark.stale_since, mark.unreliable) == (True, None, False)
    assert alarms(desk) == []
