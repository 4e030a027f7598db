"""Orders, positions, exits and Greeks as a person sees them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import msgspec

from engine.domain.marks import ExitDistance
from engine.domain.values import Code, ExitAction, ExitReason, OrderState, Priority, Side, Style, refuse
from engine.domain.views import FaceKind
from engine.pricing.terms import Terms
from engine.state import State
from engine.views import holdings
from tests.builders_journey import Desk
from tests.builders_trading import GREEKS, NOON, TODAY, HandQuotes, mark, order, position, quote
from tests.unit.views.views import seen_by_hand, seen_of

D = Decimal


def distance(rule: str, nearness: float, **fields: object) -> ExitDistance:
    made: dict[str, object] = {
        "rule": rule, "reason": ExitReason.STOP_LOSS, "priority": Priority.HIGH, "action": ExitAction.CLOSE,
        "level": "1.00", "distance": "50 pt", "nearness": nearness, "quantity": 4, "fired": False,
    }  # fmt: skip
    return ExitDistance(**{**made, **fields})  # type: ignore[arg-type]


def holding(*positions: object) -> State:
    state = State()
    for one in positions:
        state.open_positions[one.id] = one  # type: ignore[attr-defined]
    return state


# --- orders


def test_without_orders_it_says_what_makes_them() -> None:
    view = holdings.orders_view(seen_by_hand())
    assert (view.rows, view.face.kind) == ((), FaceKind.EMPTY)


def test_working_orders_come_first_and_show_the_market() -> None:
    state, quotes = State(), HandQuotes()
    working = order(Side.BUY, 2, "2.02", id="O3", state=OrderState.WORKING, attempts=1)
    done = order(
        Side.SELL, 1, "2.50", id="O8", state=OrderState.FILLED, filled=1, average=D("2.51"),
        exit_reason=ExitReason.TARGET_1, updated=NOON + timedelta(seconds=90),
    )  # fmt: skip
    refused = order(Side.BUY, 2, id="O5", state=OrderState.REJECTED, refusal=refuse(Code.BAD_QUANTITY, got=0))
    state.orders |= {o.id: o for o in (working, refused, done)}
    state.open_orders[working.id] = working
    quotes.options[working.contract] = quote("2.00", "2.04")
    now = NOON + timedelta(seconds=3)
    view = holdings.orders_view(seen_by_hand(state, now=now, quotes=quotes))
    first, second, third = view.rows
    assert (first.id, first.bid, first.ask, first.age, first.working, first.attempts) == (
        "O3", D("2.00"), D("2.04"), 3.0, 3.0, 1,
    )  # fmt: skip
    assert (first.why, first.seq, first.refusal) == ("entry", 3, "")
    assert (second.id, second.why, second.bid, second.age, second.working) == ("O8", "TARGET_1", None, None, 90.0)
    assert (third.refusal, third.working) == ("BAD_QUANTITY got=0", 3.0)
    later = holdings.orders_view(seen_by_hand(state, now=NOON + timedelta(seconds=90 + 185), quotes=quotes)).rows
    assert [(row.changed, row.since) for row in later] == [
        (NOON, 240.0),
        (NOON + timedelta(seconds=90), 180.0),
        (NOON, 240.0),
    ]


def test_a_working_order_without_a_quote_has_no_market() -> None:
    state, working = State(), order(state=OrderState.WORKING)
    state.orders[working.id] = state.open_orders[working.id] = working
    (row,) = holdings.orders_view(seen_by_hand(state)).rows
    assert (row.bid, row.ask, row.age) == (None, None, None)


def test_of_finished_orders_the_newest_stay_in_sight() -> None:
    state = State()
    for number in range(100, 100 + holdings.DONE_SHOWN + 3):
        state.orders[f"O{number}"] = order(id=f"O{number}", state=OrderState.CANCELLED)
    rows = holdings.orders_view(seen_by_hand(state)).rows
    assert len(rows) == holdings.DONE_SHOWN
    assert rows[0].id == f"O{100 + holdings.DONE_SHOWN + 2}"


# --- positions


def test_without_positions_it_says_so() -> None:
    view = holdings.positions_view(seen_by_hand())
    assert view.face.what == "No position is open."
    assert (view.pnl, view.theta, view.age, view.delta_dollars) == (None, None, None, None)


def test_a_position_before_its_first_mark_is_stale_and_says_nothing_it_does_not_know() -> None:
    view = holdings.positions_view(seen_by_hand(holding(position())))
    (row,) = view.rows
    assert row.stale
    assert (row.mark, row.pnl, row.pnl_fraction, row.r, row.delta, row.theta, row.mfe, row.next_exit) == (
        None, None, None, None, None, None, None, "",
    )  # fmt: skip
    assert (view.face.kind, view.face.age) == (FaceKind.STALE, None)


def test_a_marked_position_shows_profit_greeks_and_its_nearest_exit() -> None:
    exits = (
        distance("theta", 0.1, action=ExitAction.ALERT),
        distance("profit +50 %", 0.6, distance="30 pt"),
        distance("stop −50 %", 0.81249, distance="40 pt"),
    )
    marked = mark("2.50", unrealised=D(200), best=D("2.60"), worst=D("1.90"), exits=exits)
    closing = order(Side.SELL, 3, "2.70", id="O9", state=OrderState.WORKING, position="P9", filled=1)
    entry = order(Side.BUY, 5, id="O4", state=OrderState.WORKING)
    state = holding(position(trigger=41, decision=43))
    state.open_orders |= {closing.id: closing, entry.id: entry}
    view = holdings.positions_view(seen_by_hand(state, marks={"P9": marked}))
    (row,) = view.rows
    assert (row.mark, row.pnl, row.pnl_fraction, row.r) == (D("2.50"), D(200), 0.25, 0.5)
    assert (row.delta, row.gamma, row.vega) == (0.45, 0.03, D(120))
    to_close = 4 * 3600
    assert row.theta == D(round(-0.12 * to_close / 86400 * 400))
    assert (round(row.mfe or 0, 3), round(row.mae or 0, 3)) == (0.3, -0.05)
    assert (row.next_exit, row.nearness) == ("profit +50 % · 30 pt", 0.6)
    assert (row.closing, row.trigger, row.dte) == (2, 41, 5)
    assert (view.pnl, view.theta, view.age) == (D(200), row.theta, 0.0)
    assert view.face.kind is FaceKind.FULL


def test_theta_to_the_close_is_nothing_once_it_has_closed() -> None:
    evening = seen_by_hand(holding(position()), now=NOON + timedelta(hours=6), marks={"P9": mark("2.00")})
    (row,) = holdings.positions_view(evening).rows
    assert row.theta == 0


def test_one_fresh_mark_is_enough_not_to_call_the_panel_stale() -> None:
    old = mark("2.00", stale=True)
    state = holding(position(), position(id="P12", decision=11, contract=TODAY))
    marks = {"P9": old, "P12": mark("1.00", position="P12", quote=None, greeks=None)}
    view = holdings.positions_view(seen_by_hand(state, marks=marks))
    assert view.face.kind is FaceKind.FULL
    stale, fresh = view.rows
    assert (stale.stale, fresh.stale, fresh.bid, fresh.dte, fresh.trigger) == (True, False, None, 0, 11)
    alone = holdings.positions_view(seen_by_hand(holding(position()), marks={"P9": old}))
    assert (alone.face.kind, alone.face.age) == (FaceKind.STALE, 0.0)


def test_a_position_by_hand_is_found_by_its_own_fact() -> None:
    (row,) = holdings.positions_view(seen_by_hand(holding(position(decision=None, trigger=None)))).rows
    assert row.trigger == 9


async def test_net_delta_counts_what_is_held_not_what_waits() -> None:
    desk = Desk()
    held = desk.bought()
    desk.wait(1)
    view = holdings.positions_view(seen_of(desk))
    marked = desk.journey.live.marks[held.id]
    assert marked.greeks is not None
    expected = marked.greeks.delta * 600 * held.quantity * 100
    assert view.delta_dollars is not None
    assert abs(float(view.delta_dollars) - expected) <= 2


# --- exits


def test_without_positions_there_is_nothing_to_watch() -> None:
    assert holdings.exits_view(seen_by_hand(holding(position()))).face.what == "Nothing to watch."


def test_exits_that_act_come_before_those_that_speak_and_fired_ones_first() -> None:
    exits = (
        distance("far stop", 0.9), distance("near target", 0.2, action=ExitAction.TICKET),
        distance("thesis", 0.5, fired=True), distance("theta", 0.0, action=ExitAction.ALERT, fired=True),
        distance("delta", 0.0, action=ExitAction.ALERT),
    )  # fmt: skip
    view = holdings.exits_view(seen_by_hand(holding(position()), marks={"P9": mark("2.00", exits=exits)}))
    assert [row.rule for row in view.rows] == ["thesis", "near target", "far stop", "theta", "delta"]
    assert view.rows[0].key == "P9/thesis"


def test_of_very_many_exits_the_nearest_are_shown_and_the_others_counted() -> None:
    exits = tuple(distance(f"rule {n}", n / 1000) for n in range(holdings.EXITS_SHOWN + 7, 0, -1))
    view = holdings.exits_view(seen_by_hand(holding(position()), marks={"P9": mark("2.00", exits=exits)}))
    assert (len(view.rows), view.more, view.rows[0].rule) == (holdings.EXITS_SHOWN, 7, "rule 1")


# --- Greeks


def test_an_empty_book_has_no_greeks() -> None:
    assert holdings.greeks_view(seen_by_hand(holding(position()))).face.what == "The book is empty."


async def test_greeks_are_summed_by_symbol_and_against_their_limits() -> None:
    desk = Desk()
    held = desk.bought()
    desk.wait(1)
    seen = seen_of(desk)
    view = holdings.greeks_view(seen)
    (spy,) = view.symbols
    gauges = {gauge.name: gauge for gauge in view.gauges}
    assert gauges["Delta $"].value == spy.delta_dollars
    assert gauges["Delta $"].limit == (6 * seen.book.equity).quantize(D(1))  # type: ignore[union-attr]
    assert gauges["Heat"].value is not None
    assert spy.pnl == desk.journey.live.marks[held.id].unrealised
    assert view.face.kind is FaceKind.FULL
    assert view.age == 0.0


async def test_a_position_without_greeks_is_left_out_and_said() -> None:
    desk = Desk()
    held = desk.bought()
    desk.wait(1)
    blind = msgspec.structs.replace(desk.journey.live.marks[held.id], greeks=None, quote=None)
    view = holdings.greeks_view(seen_of(desk, marks={held.id: blind}))
    assert view.face.kind is FaceKind.STALE
    assert view.face.what == "1 of 1 positions have no Greeks now"
    assert view.symbols[0].delta_dollars == 0
    assert view.age is None
    unmarked = holdings.greeks_view(seen_of(desk, marks={}))
    assert unmarked.face.kind is FaceKind.STALE


async def test_without_equity_there_is_no_heat() -> None:
    desk = Desk()
    desk.bought()
    seen = seen_of(desk)
    assert seen.book is not None
    broke = holdings.greeks_view(seen_of(desk, book=msgspec.structs.replace(seen.book, equity=D(0))))
    assert {gauge.name: gauge.value for gauge in broke.gauges}["Heat"] is None


def test_greeks_say_their_model_forward_and_source() -> None:
    parity, one = Terms(0.04, 0.012, 1.0, 601.0, 12), position(id="P1")
    other = position(id="P2", contract=msgspec.structs.replace(one.contract, style=Style.EUROPEAN))
    bare = position(id="P3")
    marks = {
        "P1": mark("3.00", quote=msgspec.structs.replace(quote("2.99", "3.01"), source="recorded:/days/x")),
        "P2": mark("3.00", quote=None),
        "P3": mark("3.00", greeks=None),
    }
    seen = seen_by_hand(holding(one, other, bare), marks=marks, terms=lambda _contract: parity)
    rows = {row.id: row.greeks_by for row in holdings.positions_view(seen).rows}
    assert rows == {"P1": "American, parity forward, recorded", "P2": "European, parity forward, no quote", "P3": ""}
    assert [row.iv for row in holdings.positions_view(seen).rows] == [GREEKS.iv, GREEKS.iv, None]
