"""A ticket as a person answers it in five seconds."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from engine.domain.entities import Heard, Sizing
from engine.domain.values import ExitReason, Greeks, Policy, Purpose, Right, Side, Timeframe
from engine.domain.views import FaceKind
from engine.pricing.time import SECONDS_A_YEAR, expiry_moment
from engine.state import State
from engine.views import tickets
from tests.builders_journey import Desk
from tests.builders_trading import GREEKS, NOON, TODAY, HandQuotes, quote, seconds, ticket
from tests.unit.views.views import seen_by_hand, seen_of

D = Decimal


def asking(*waiting: object) -> State:
    state = State()
    for one in waiting:
        state.pending_tickets[one.id] = one  # type: ignore[attr-defined]
    return state


def spot(price: str = "600") -> HandQuotes:
    quotes = HandQuotes()
    quotes.underlyings["SPY"] = quote(price, price)
    return quotes


@pytest.mark.parametrize(
    ("policy", "what"),
    [("manual", "No ticket is waiting."), ("auto-paper", "No ticket is waiting: policy auto-paper approves.")],
)
def test_without_tickets_it_says_who_approves(policy: str, what: str) -> None:
    view = tickets.tickets_view(seen_by_hand(overrides={"approvals.policy": policy}))
    assert (view.rows, view.policy, view.face.kind, view.face.what) == ((), policy, FaceKind.EMPTY, what)


def test_what_expires_first_is_first() -> None:
    early = ticket(id="T8", expires=NOON + seconds(10))
    view = tickets.tickets_view(seen_by_hand(asking(ticket(), early)))
    assert [row.id for row in view.rows] == ["T8", "T5"]
    assert view.face.kind is FaceKind.FULL


async def test_an_entry_shows_what_it_risks_and_what_the_book_becomes() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    seen = seen_of(desk, atr=lambda symbol, timeframe: {Timeframe.H1: 1.5}.get(timeframe))
    (row,), asked = tickets.tickets_view(seen).rows, desk.ticket
    assert seen.book is not None
    assert (row.bid, row.ask, row.source, row.synthetic) == (asked.quote.bid, asked.quote.ask, "simulated", False)
    assert asked.quote.mid is not None
    assert row.mid_ticks == round((asked.limit - asked.quote.mid) * 100)
    assert row.loss_fraction == pytest.approx(float(asked.max_loss) / 100_000)
    assert row.budget_left == D(3000) - asked.max_loss
    assert (row.stop_fraction, row.stop_underlying, row.stop_atr) == (0.5, D("594.00"), 4.0)
    assert row.stop_dollars == -asked.limit * asked.quantity * 50
    assert row.targets == "612.00 · 621.00"
    assert (row.same_bets, row.expires_in, row.life) == (1, 90.0, 1.0)
    assert row.move_used is not None
    assert row.expected_move is not None
    assert row.break_even is not None
    assert row.move_used == pytest.approx(float(row.break_even - 600) / row.expected_move, abs=0.006)
    names = [impact.name for impact in row.impacts]
    assert names == ["Δ $", "heat"]
    assert row.impacts[1].before == 0
    assert row.impacts[1].after == round(asked.max_loss / 1000, 1)
    assert len(row.payoff) == tickets.POINTS
    worst, best = row.payoff[0], row.payoff[-1]
    assert worst.expiry == -round(float(asked.limit) * 100 * asked.quantity)
    assert best.expiry > 0
    assert all(point.now >= point.expiry - 1 for point in row.payoff)
    assert row.cancels.startswith("its time or any rule on Enter; a drift over 3")


def test_a_put_pays_below_its_strike() -> None:
    put = msgspec.structs.replace(ticket().contract, right=Right.PUT)
    asked = ticket(contract=put, greeks=GREEKS)
    (row,) = tickets.tickets_view(seen_by_hand(asking(asked), quotes=spot())).rows
    assert row.payoff[0].expiry > 0 > row.payoff[-1].expiry


@pytest.mark.parametrize(
    ("by_hand", "capped_by", "said"),
    [(False, "", "the decision"), (True, "", "hand"), (True, "risk budget", "risk budget"), (False, "guard", "guard")],
)
def test_the_size_is_said_to_be_whose_it_is(by_hand: bool, capped_by: str, said: str) -> None:
    sizing = Sizing(quantity=2, recommended=2, risk_budget=D(500), loss_per_contract=D(100), confidence_factor=None,
                    regime_factor=None, capped_by=capped_by)  # fmt: skip
    (row,) = tickets.tickets_view(seen_by_hand(asking(ticket(by_hand=by_hand, sizing=sizing)))).rows
    assert row.sized_by == said


def test_what_is_not_known_is_not_said() -> None:
    asked = ticket(plan=None, sizing=None, quote=quote(None, "2.04"), expires=NOON)
    (row,) = tickets.tickets_view(seen_by_hand(asking(asked))).rows
    assert (row.mid_ticks, row.loss_fraction, row.budget_left, row.stop_fraction, row.stop_underlying, row.stop_atr) == (
        None, None, None, None, None, None,
    )  # fmt: skip
    assert (row.stop_dollars, row.targets, row.sized_by, row.payoff, row.impacts, row.spot) == (
        None,
        "",
        "",
        (),
        (),
        None,
    )
    assert (row.expected_move, row.move_used, row.same_bets, row.life, row.expires_in) == (None, None, 1, 0.0, 0.0)


def test_without_a_vol_there_is_no_payoff() -> None:
    flat = ticket(greeks=Greeks(iv=0.0, delta=0.5, gamma=0, vega=0, theta=0, rho=0))
    (row,) = tickets.tickets_view(seen_by_hand(asking(flat), quotes=spot())).rows
    assert (row.payoff, row.expected_move) == ((), None)


def test_after_expiry_nothing_is_drawn_and_no_move_is_left() -> None:
    late = ticket(contract=TODAY, greeks=GREEKS, break_even=D(602))
    seen = seen_by_hand(asking(late), quotes=spot(), now=NOON + timedelta(hours=9))
    (row,) = tickets.tickets_view(seen).rows
    assert (row.expected_move, row.move_used, row.payoff) == (0.0, None, ())


def test_an_exit_has_no_budget_no_payoff_and_its_own_end() -> None:
    asked = ticket(purpose=Purpose.EXIT, side=Side.SELL, position="P9", exit_reason=ExitReason.TARGET_1, greeks=GREEKS)
    (row,) = tickets.tickets_view(seen_by_hand(asking(asked), quotes=spot())).rows
    assert (row.budget_left, row.impacts, row.payoff, row.exit_reason) == (None, (), (), "TARGET_1")
    assert row.cancels == "the position ending otherwise, or its time"


@pytest.mark.parametrize(
    ("row", "timeframe"),
    [
        (("signal", "SPY 5m LONG HIGH"), Timeframe.M5),
        (("signal", "SPY"), Timeframe.H1),
        (("trend", "SPY 5m"), Timeframe.H1),
        (None, Timeframe.H1),
    ],
)
def test_the_stop_is_measured_in_the_triggers_timeframe(row: tuple[str, str] | None, timeframe: Timeframe) -> None:
    state = asking(ticket())
    if row is not None:
        state.heard[2] = Heard(seq=2, at=NOON, kind=row[0], symbol="SPY", text=row[1], outcome="ticket")
    asked_for: list[Timeframe] = []

    def atr(_: str, one: Timeframe) -> float | None:
        asked_for.append(one)
        return 2.5

    (made,) = tickets.tickets_view(seen_by_hand(state, quotes=spot(), atr=atr)).rows
    assert asked_for == [timeframe]
    assert made.stop_atr == 2.0


def test_without_bars_the_stop_has_no_atr() -> None:
    state = asking(ticket(trigger=None))
    assert tickets.tickets_view(seen_by_hand(state, quotes=spot())).rows[0].stop_atr is None
    unpriced = ticket(plan=msgspec.structs.replace(ticket().plan, underlying_stop=None, target_2=None))
    (row,) = tickets.tickets_view(seen_by_hand(asking(unpriced), quotes=spot(), atr=lambda *_: 1.0)).rows
    assert (row.stop_atr, row.targets) == (None, "605.00")


async def test_a_second_ticket_counts_the_first_as_the_same_bet() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    desk.wait(70)
    desk.signal("30")
    rows = tickets.tickets_view(seen_of(desk)).rows
    assert len(rows) == 2, desk.kinds()
    assert [(row.same_bets, row.group) for row in rows] == [(2, "SPY/QQQ/IWM")] * 2
    broke = msgspec.structs.replace(seen_of(desk).book, equity=D(0))
    for row in tickets.tickets_view(seen_of(desk, book=broke)).rows:
        assert (row.loss_fraction, row.impacts) == (None, ())


async def test_the_books_delta_is_left_out_where_the_spot_is_not_known() -> None:
    desk = Desk(policy=Policy.MANUAL)
    desk.signal("240")
    desk.signal("60")
    (row,) = tickets.tickets_view(seen_of(desk, quotes=HandQuotes())).rows
    assert [impact.name for impact in row.impacts] == ["heat"]
    assert row.bid == desk.ticket.quote.bid


@pytest.mark.parametrize("right", [Right.CALL, Right.PUT])
def test_the_odds_are_those_of_the_contracts_own_vol(right: Right) -> None:
    contract = msgspec.structs.replace(ticket().contract, right=right)
    there = D(606) if right is Right.CALL else D(594)
    asked = ticket(contract=contract, greeks=GREEKS, break_even=there)
    seen = seen_by_hand(asking(asked), quotes=spot())
    (row,) = tickets.tickets_view(seen).rows
    t = (expiry_moment(contract.expiry, seen.calendar) - NOON).total_seconds() / SECONDS_A_YEAR
    rate, vol = 0.04, GREEKS.iv
    d2 = (math.log(600 / float(there)) + (rate - vol * vol / 2) * t) / (vol * math.sqrt(t))
    ends = 0.5 * math.erfc((-d2 if right is Right.CALL else d2) / math.sqrt(2))
    assert row.odds == pytest.approx(ends, abs=0.006)
    assert row.touch is not None
    assert row.odds is not None
    assert row.odds < row.touch < 2.2 * row.odds  # the reflection: about twice as likely to be touched


def test_without_a_vol_a_spot_or_time_there_are_no_odds() -> None:
    there = {"greeks": GREEKS, "break_even": D(606)}
    for asked, quotes in (
        (ticket(break_even=D(606)), spot()),
        (ticket(**there), HandQuotes()),
        (ticket(greeks=GREEKS, break_even=None), spot()),
    ):
        (row,) = tickets.tickets_view(seen_by_hand(asking(asked), quotes=quotes)).rows
        assert (row.odds, row.touch) == (None, None)
