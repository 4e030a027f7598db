"""What holds for every order, fill and fee, however it comes about."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from engine.clock import SetClock
from engine.domain.entities import Order
from engine.domain.events import (
    AnyFact,
    OrderAccepted,
    OrderCancelled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderRepriced,
    OrderSubmitted,
)
from engine.domain.marketable import marketable_limit
from engine.domain.values import Code, ExitReason, OrderState, OrderType, Quote, Side, refuse
from engine.orders.fees import Bill, bill_after, bill_of, fees, us_option_fees
from engine.orders.fills import fill, slippage_fraction
from engine.orders.oms import IllegalTransition, order_after
from engine.orders.paper import PaperBroker
from engine.ports import BrokerWord, Filled
from engine.settings import PaperSettings, Settings
from tests.builders_trading import CALENDAR, FRIDAY, NOON, WEEKLY, HandQuotes, filled, intended, order, seconds

PAPER = PaperSettings()
TABLE = us_option_fees()
cents = st.integers(1, 5000).map(lambda number: Decimal(number) / 100)
sides = st.sampled_from(Side)


class OrderLife(RuleBasedStateMachine):
    """Any facts in any sequence: an order either takes one or refuses it whole, and its sums always hold."""

    @initialize(quantity=st.integers(1, 20))
    def intend(self, quantity: int) -> None:
        self.order = order_after(None, intended(order(quantity=quantity, state=OrderState.APPROVED)))
        self.prices: list[Decimal] = []
        self.fees = Decimal(0)
        self.executions = 0

    def take(self, fact: AnyFact) -> bool:
        before = self.order
        try:
            self.order = order_after(before, fact)
        except IllegalTransition:
            assert self.order == before
            return False
        return True

    @rule(broker=st.sampled_from(["paper"]))
    def submitted(self, broker: str) -> None:
        self.take(OrderSubmitted(seq=8, at=NOON, order="O7", broker=broker))

    @rule()
    def accepted(self) -> None:
        self.take(OrderAccepted(seq=8, at=NOON, order="O7"))

    @rule(limit=cents)
    def repriced(self, limit: Decimal) -> None:
        if self.take(OrderRepriced(seq=8, at=NOON, order="O7", limit=limit, attempt=self.order.attempts + 1)):
            assert self.order.limit == limit

    @rule(quantity=st.integers(0, 8), price=cents, fee=cents)
    def executed(self, quantity: int, price: Decimal, fee: Decimal) -> None:
        self.executions += 1
        taken = self.take(filled(quantity, price, fees=fee, execution=f"e{self.executions}"))
        fits = 1 <= quantity <= self.order.quantity - len(self.prices)
        assert taken is (fits and self.order.state is not OrderState.DENIED)
        if taken:
            self.prices += [price] * quantity
            self.fees += fee

    @precondition(lambda self: self.order.executions)
    @rule()
    def executed_again(self) -> None:
        assert not self.take(filled(1, "1.00", execution=self.order.executions[-1]))

    @rule()
    def cancelled(self) -> None:
        was_open = self.order.state.is_open
        assert self.take(OrderCancelled(seq=8, at=NOON, order="O7", reason="asked")) is was_open

    @rule()
    def rejected(self) -> None:
        self.take(OrderRejected(seq=8, at=NOON, order="O7", refusal=refuse(Code.ORDER_TOO_LARGE)))

    @rule()
    def expired(self) -> None:
        self.take(OrderExpired(seq=8, at=NOON, order="O7"))

    @rule()
    def denied(self) -> None:
        self.take(OrderDenied(seq=8, at=NOON, order="O7", refusal=refuse(Code.ORDER_TOO_LARGE)))

    @invariant()
    def sums_hold(self) -> None:
        made = self.order
        assert made.filled == len(self.prices) <= made.quantity
        assert made.fees == self.fees
        assert (made.state is OrderState.FILLED) is (made.filled == made.quantity)
        if self.prices:
            assert made.average is not None
            assert (made.average * made.filled).quantize(Decimal("0.0001")) == sum(self.prices)
            assert made.state not in (OrderState.APPROVED, OrderState.DENIED, OrderState.WORKING)


TestOrderLife = OrderLife.TestCase
TestOrderLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(side=sides, price=cents, parts=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_fees_of_partial_fills_add_up_to_the_whole_order(side: Side, price: Decimal, parts: list[int]) -> None:
    bills = [Bill()]
    for quantity in parts:
        bills.append(bill_after(TABLE, FRIDAY, side, quantity, price, bills[-1]))
    charged = [after.billed - before.billed for before, after in pairwise(bills)]
    assert sum(charged) == fees(TABLE, FRIDAY, side, sum(parts), price)
    assert all(fee >= 0 for fee in charged)


@given(side=sides, parts=st.lists(st.tuples(st.integers(1, 60), cents), min_size=1, max_size=8))
def test_fees_do_not_depend_on_the_order_of_the_fills(side: Side, parts: list[tuple[int, Decimal]]) -> None:
    def total(fills: list[tuple[int, Decimal]]) -> Decimal:
        bill = Bill()
        for quantity, price in fills:
            bill = bill_after(TABLE, FRIDAY, side, quantity, price, bill)
        return bill.billed

    assert total(parts) == total(parts[::-1])


@given(side=sides, price=cents, first=st.integers(1, 200), second=st.integers(1, 200))
def test_a_restart_between_two_fills_changes_no_fee(side: Side, price: Decimal, first: int, second: int) -> None:
    before = bill_after(TABLE, FRIDAY, side, first, price, Bill())
    kept = order(side, first + second, filled=first, average=price, fees=before.billed)
    straight = bill_after(TABLE, FRIDAY, side, second, price, before)
    restarted = bill_after(TABLE, FRIDAY, side, second, price, bill_of(TABLE, FRIDAY, kept))
    assert straight == restarted


@st.composite
def books(draw: st.DrawFn) -> Quote:
    bid = draw(cents)
    ask = bid + draw(cents)
    sizes = st.none() | st.integers(0, 400)
    return Quote(bid=bid, ask=ask, at=NOON, bid_size=draw(sizes), ask_size=draw(sizes))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    quantity = draw(st.integers(1, 500))
    kind = draw(st.sampled_from(OrderType))
    limit = draw(cents) if kind is OrderType.LIMIT else draw(st.none() | cents)
    return replace(
        order(draw(sides), quantity),
        type=kind,
        limit=limit,
        filled=draw(st.integers(0, quantity - 1)),
        exit_reason=draw(st.none() | st.sampled_from(ExitReason)),
    )


@given(made=orders(), book=books(), edge=st.booleans(), resting=st.booleans())
def test_a_fill_is_never_better_than_the_market_nor_worse_than_the_limit(
    made: Order, book: Quote, edge: bool, resting: bool
) -> None:
    shown = book.ask_size if made.side is Side.BUY else book.bid_size
    found = fill(made, book, resting=resting, bound=made.limit, available=shown, near_edge=edge, settings=PAPER)
    if found is None:
        return
    assert book.bid is not None
    assert book.ask is not None
    sign = made.side.sign
    touch = book.ask if made.side is Side.BUY else book.bid
    assert 1 <= found.quantity <= made.remaining
    assert shown is None or found.quantity <= shown
    assert (found.price - touch) * sign >= 0
    assert found.price >= Decimal("0.01")
    assert found.price == found.price.quantize(Decimal("0.01"))
    if made.limit is not None:
        assert (made.limit - found.price) * sign >= 0
    if found.slippage:
        worst = slippage_fraction(made.quantity, PAPER, doubled=True)
        assert found.slippage <= touch * worst + Decimal("0.01")


@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=6),
    wanted=st.lists(st.tuples(sides, st.integers(1, 20)), min_size=1, max_size=6),
)
def test_no_quote_ever_gives_more_than_it_shows(sizes: list[int], wanted: list[tuple[Side, int]]) -> None:
    clock, quotes, said = SetClock(NOON), HandQuotes(), list[BrokerWord]()
    broker = PaperBroker(quotes, clock, CALENDAR, Settings(), TABLE)
    broker.connect(said.append)
    for number, size in enumerate(sizes):
        clock.set(NOON + seconds(number))
        quotes.options[WEEKLY] = Quote(
            bid=Decimal("2.00"), ask=Decimal("2.04"), at=clock.now(), bid_size=size, ask_size=size
        )
        broker.match()
        for place, (side, quantity) in enumerate(wanted):
            broker.submit(order(side, quantity, id=f"O{place}"))
            broker.replace(f"O{place}", Decimal("2.10") if side is Side.BUY else Decimal("1.90"))
    taken = Counter[tuple[datetime, Side]]()
    for report in said:
        if isinstance(report, Filled):
            taken[report.quote.at, wanted[int(report.order[1:])][0]] += report.quantity
    for (at, _), quantity in taken.items():
        assert quantity <= sizes[int((at - NOON).total_seconds())]
    for place, (_, quantity) in enumerate(wanted):
        mine = [r.quantity for r in said if isinstance(r, Filled) and r.order == f"O{place}"]
        assert sum(mine) <= quantity


@given(quantity=st.integers(1, 499))
def test_more_contracts_never_slip_less(quantity: int) -> None:
    assert slippage_fraction(quantity, PAPER, doubled=False) < slippage_fraction(quantity + 1, PAPER, doubled=False)


@given(side=sides, book=books(), attempt=st.integers(0, 5))
def test_a_marketable_limit_reaches_through_the_touch_and_further_each_time(
    side: Side, book: Quote, attempt: int
) -> None:
    now, later = marketable_limit(side, book, attempt), marketable_limit(side, book, attempt + 1)
    assert now is not None
    assert later is not None
    touch = book.ask if side is Side.BUY else book.bid
    assert touch is not None
    assert (now - touch) * side.sign >= 0
    assert (later - now) * side.sign >= 0
    assert now >= Decimal("0.01")
