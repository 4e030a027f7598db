"""What every broker behind the port must do, whatever it is made of.

A broker is entered with a `Bench`: how to make it, how to bring a market to it, how to let its words arrive, and, where
there is a line to it, how to break that. Another one adds its bench to `BENCHES` and passes the same tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import pytest

from engine.clock import SetClock
from engine.domain.entities import Order
from engine.domain.events import OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, OrderRejected
from engine.domain.values import Code, OrderState, OrderType, Side, TimeInForce
from engine.orders.fees import us_option_fees
from engine.orders.oms import is_news, order_after
from engine.orders.paper import BOOKS, PaperBroker
from engine.ports import (
    Accepted,
    Broker,
    BrokerAway,
    BrokerOrder,
    BrokerReport,
    BrokerWord,
    Cancelled,
    Disconnected,
    Evidence,
    Expired,
    Filled,
    Reconnected,
    Rejected,
    Sink,
)
from engine.settings import Settings
from tests.builders_trading import CALENDAR, NOON, WEEKLY, HandQuotes, d, order, quote, seconds
from tests.fakes.far_broker import Exchange, FarBroker


class Bench(Protocol):
    """A broker in a market that the test controls."""

    def connect(self, sink: Sink) -> Broker:
        """The broker, connected. Called again it is the same account after a restart of ours."""
        ...

    def market(self, bid: str | None, ask: str | None, size: int) -> None:
        """A moment later this is the market, and the broker has noticed."""
        ...

    def settle(self) -> None:
        """Return once the broker has said all it has to say."""
        ...

    def line(self, *, up: bool) -> bool:
        """Break the line or make it; False where there is none to break."""
        ...


class PaperBench:
    def __init__(self) -> None:
        self.clock = SetClock(NOON)
        self.quotes = HandQuotes()
        self.broker: PaperBroker | None = None

    def connect(self, sink: Sink) -> Broker:
        self.broker = PaperBroker(self.quotes, self.clock, CALENDAR, Settings(), us_option_fees())
        self.broker.connect(sink)
        return self.broker

    def market(self, bid: str | None, ask: str | None, size: int) -> None:
        self.clock.set(self.clock.now() + seconds(1))
        self.quotes.options[WEEKLY] = quote(bid, ask, self.clock.now(), size, size)
        self.settle()

    def settle(self) -> None:
        if self.broker is not None:
            self.broker.match()

    def line(self, *, up: bool) -> bool:
        return False


class FarBench:
    """A broker across a line. Behind it, one that fills as the paper broker does: at the touch, what is shown."""

    def __init__(self) -> None:
        self.clock = SetClock(NOON)
        self.exchange = Exchange(NOON)
        self.broker: FarBroker | None = None
        self.shown: tuple[str | None, str | None, int] = (None, None, 0)

    def connect(self, sink: Sink) -> Broker:
        self.broker = FarBroker(self.clock, self.exchange)
        self.broker.connect(sink)
        self.broker.raise_line()
        return self.broker

    def market(self, bid: str | None, ask: str | None, size: int) -> None:
        self.clock.set(self.clock.now() + seconds(1))
        self.shown = (bid, ask, size)
        self.settle()

    def settle(self) -> None:
        assert self.broker is not None
        for _ in range(3):
            self.broker.calm()
            self._trade()

    def line(self, *, up: bool) -> bool:
        assert self.broker is not None
        if up:
            self.broker.raise_line()
        else:
            self.broker.drop()
        return True

    def _trade(self) -> None:
        assert self.broker is not None
        bid, ask, size = self.shown
        for key, booked in self.exchange.orders.items():
            touch = ask if booked.order.side is Side.BUY else bid
            limit = booked.order.limit
            if not booked.works or touch is None or limit is None:
                continue
            if (limit - d(touch)) * booked.order.side.sign >= 0 and size:
                self.broker.fill(key, size, touch)
                self.shown = (bid, ask, 0)
            if booked.order.tif is TimeInForce.IOC:
                self.broker.cancel(key)


BENCHES: dict[str, Callable[[], Bench]] = {"paper": PaperBench, "far": FarBench}


class Account:
    """Our side: sends, listens, and folds what it hears into orders, as the engine does."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.heard: list[BrokerReport] = []
        self.line: list[BrokerWord] = []
        self.orders: dict[str, Order] = {}
        self.broker = bench.connect(self.hear)

    def hear(self, report: BrokerWord) -> None:
        if not isinstance(report, BrokerReport):
            self.line.append(report)
            return
        self.heard.append(report)
        made = self.orders[report.order]
        if is_news(made, report):
            self.orders[report.order] = order_after(made, fact_of(report))

    def send(self, made: Order) -> None:
        self.orders[made.id] = made
        self.broker.submit(made)
        self.bench.settle()

    def restart(self) -> None:
        self.broker = self.bench.connect(self.hear)
        self.broker.restore([made for made in self.orders.values() if made.state.is_open])
        self.bench.settle()

    def books(self) -> Evidence:
        """The broker's books, asked for in the ordinary way."""
        return asyncio.run(self.broker.evidence())

    @property
    def fills(self) -> Sequence[Filled]:
        return [report for report in self.heard if isinstance(report, Filled)]


def fact_of(
    report: BrokerReport,
) -> OrderAccepted | OrderFilled | OrderCancelled | OrderRejected | OrderExpired:
    seq, at, name = 1, report.at, report.order
    match report:
        case Accepted():
            return OrderAccepted(seq=seq, at=at, order=name)
        case Filled():
            return OrderFilled(
                seq=seq, at=at, order=name, execution=report.execution, quantity=report.quantity, price=report.price,
                fees=report.fees, slippage=report.slippage, quote=report.quote, underlying=None, position="P9",
            )  # fmt: skip
        case Cancelled():
            return OrderCancelled(seq=seq, at=at, order=name, reason=report.reason)
        case Rejected():
            return OrderRejected(seq=seq, at=at, order=name, refusal=report.refusal)
        case Expired():
            return OrderExpired(seq=seq, at=at, order=name)
        case _:
            raise AssertionError(f"a broker said {report}, which the port does not know")


@pytest.fixture(params=sorted(BENCHES))
def account(request: pytest.FixtureRequest) -> Account:
    return Account(BENCHES[request.param]())


def test_it_has_a_name(account: Account) -> None:
    assert account.broker.name


def test_a_marketable_order_is_accepted_and_filled_within_its_limit(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(quantity=2, limit="2.10"))
    made = account.orders["O7"]
    assert made.state is OrderState.FILLED
    assert made.average is not None
    assert made.average <= d("2.10")
    assert isinstance(account.heard[0], Accepted)


def test_every_execution_has_its_own_id_a_quote_a_fee_and_a_time(account: Account) -> None:
    account.bench.market("2.00", "2.04", 1)
    account.send(order(quantity=3, limit="2.20"))
    for _ in range(2):
        account.bench.market("2.00", "2.04", 1)
    assert account.orders["O7"].state is OrderState.FILLED
    assert len({fill.execution for fill in account.fills}) == len(account.fills) == 3
    moments: list[datetime] = [fill.at for fill in account.fills]
    assert moments == sorted(moments)
    for fill in account.fills:
        assert fill.quote.two_sided or fill.quote.mid is None  # what it met, or that nobody said
        assert fill.fees >= 0
        assert fill.quote.at <= fill.at


def test_a_limit_out_of_reach_rests_and_can_be_cancelled(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(limit="1.50", type=OrderType.LIMIT))
    assert account.orders["O7"].state is OrderState.WORKING
    account.broker.cancel("O7")
    account.bench.settle()
    assert account.orders["O7"].state is OrderState.CANCELLED
    account.bench.market("1.00", "1.04", 10)
    assert account.fills == []


def test_a_new_limit_takes_effect(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(limit="1.50", type=OrderType.LIMIT))
    account.broker.replace("O7", d("2.10"))
    account.bench.settle()
    assert account.orders["O7"].state is OrderState.FILLED


def test_the_same_order_again_is_harmless(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    made = order(limit="2.10")
    account.send(made)
    heard = len(account.heard)
    account.broker.submit(made)
    account.bench.settle()
    assert sum(fill.quantity for fill in account.fills) == made.quantity
    assert not any(is_news(account.orders["O7"], report) for report in account.heard[heard:])


def test_a_sale_never_brings_less_than_its_limit(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(Side.SELL, 2, "1.95"))
    assert all(fill.price >= d("1.95") for fill in account.fills)
    assert account.orders["O7"].state is OrderState.FILLED


def test_immediate_or_cancel_ends_at_once(account: Account) -> None:
    account.bench.market("2.00", "2.04", 1)
    account.send(order(quantity=3, limit="2.20", tif=TimeInForce.IOC))
    assert not account.orders["O7"].state.is_open
    assert account.orders["O7"].filled == 1


def test_what_rested_goes_on_after_a_restart_and_is_filled_once(account: Account) -> None:
    account.bench.market("2.00", "2.04", 1)
    account.send(order(quantity=3, limit="2.20"))
    account.restart()
    account.bench.market("2.00", "2.04", 10)
    made = account.orders["O7"]
    assert made.state is OrderState.FILLED
    assert sum(fill.quantity for fill in account.fills) == 3
    assert len({fill.execution for fill in account.fills}) == len(account.fills)


def test_an_order_lost_on_the_way_is_answered_after_a_restart(account: Account) -> None:
    account.orders["O7"] = order(limit="1.50", type=OrderType.LIMIT, state=OrderState.SUBMITTING)
    account.restart()
    if account.broker.durable_handover:  # it never arrived: the books say so by not knowing it
        books = account.books()
        assert books.complete
        assert not [seen for seen in everything(books) if seen.order == "O7"]
    else:
        assert account.orders["O7"].state is not OrderState.SUBMITTING


def test_too_large_an_order_is_rejected_with_a_code(account: Account) -> None:
    account.send(order(quantity=100_000, limit="2.20"))
    made = account.orders["O7"]
    assert made.state is OrderState.REJECTED
    assert made.refusal is not None
    assert isinstance(made.refusal.code, Code)


def test_words_about_unknown_orders_are_never_spoken(account: Account) -> None:
    account.broker.cancel("O99")
    account.broker.replace("O99", Decimal(1))
    account.bench.settle()
    assert account.heard == []


# --- the books ----------------------------------------------------------------------------------------------------------


def everything(books: Evidence) -> list[BrokerOrder]:
    """All orders of whole books."""
    assert books.open_orders is not None
    assert books.completed is not None
    return [*books.open_orders, *books.completed]


def test_the_books_name_orders_by_our_id_and_say_how_far_they_got(account: Account) -> None:
    account.bench.market("2.00", "2.04", 1)
    account.send(order(quantity=3, limit="2.20"))
    account.send(order(limit="1.50", type=OrderType.LIMIT, id="O8"))
    books = account.books()
    assert books.complete
    assert books.open_orders is not None
    found = {seen.order: seen for seen in books.open_orders}
    assert set(found) == {"O7", "O8"}
    assert (found["O7"].state, found["O7"].filled, found["O7"].remaining) == (OrderState.PARTIALLY_FILLED, 1, 2)
    assert (found["O8"].state, found["O8"].filled, found["O8"].limit) == (OrderState.WORKING, 0, d("1.50"))
    assert {(seen.what, seen.side, seen.quantity) for seen in found.values()} == {
        (WEEKLY.osi, Side.BUY, 3), (WEEKLY.osi, Side.BUY, 2)
    }  # fmt: skip
    assert books.completed == ()


def test_the_books_keep_what_has_ended_and_how(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(limit="2.10"))
    account.send(order(limit="1.50", type=OrderType.LIMIT, id="O8"))
    account.broker.cancel("O8")
    account.bench.settle()
    account.send(order(quantity=100_000, limit="2.20", id="O9"))
    books = account.books()
    assert books.open_orders == ()
    ended = {seen.order: (seen.state, seen.filled) for seen in everything(books)}
    assert ended == {
        "O7": (OrderState.FILLED, 2), "O8": (OrderState.CANCELLED, 0), "O9": (OrderState.REJECTED, 0)
    }  # fmt: skip
    assert all(seen.reason for seen in everything(books) if seen.state is OrderState.REJECTED)


def test_the_books_executions_are_those_that_were_said(account: Account) -> None:
    account.bench.market("2.00", "2.04", 1)
    account.send(order(quantity=3, limit="2.20"))
    account.bench.market("2.00", "2.04", 1)
    books = account.books()
    assert books.executions is not None
    said = [(f.execution, f.order, f.at, f.quantity, f.price, f.fees) for f in account.fills]
    assert [(e.execution, e.order, e.at, e.quantity, e.price, e.fees) for e in books.executions] == said
    assert {(e.what, e.side) for e in books.executions} == {(WEEKLY.osi, Side.BUY)}
    assert books.since <= books.executions[0].at
    assert sum(e.quantity for e in books.executions) == everything(books)[0].filled


def test_asking_changes_nothing(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(limit="1.50", type=OrderType.LIMIT))
    heard = len(account.heard)
    assert account.books() == account.books()
    account.bench.settle()
    assert len(account.heard) == heard


def test_a_replace_of_what_is_over_makes_nothing_new(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(limit="2.10"))
    account.broker.replace("O7", d("2.20"))
    account.bench.settle()
    assert sum(fill.quantity for fill in account.fills) == 2
    assert len(everything(account.books())) == 1


def test_a_broken_line_is_said_and_the_books_cannot_be_had_over_it(account: Account) -> None:
    account.bench.market("2.00", "2.04", 10)
    account.send(order(limit="1.50", type=OrderType.LIMIT))
    account.line.clear()
    if not account.bench.line(up=False):
        assert not account.broker.durable_handover, "who outlives this process is across a line"
        return
    assert [type(word) for word in account.line] == [Disconnected]
    account.broker.submit(order(limit="2.10", id="O8"))  # lost, as on the way
    account.broker.cancel("O7")
    with pytest.raises(BrokerAway):
        account.books()
    account.bench.line(up=True)
    assert isinstance(account.line[-1], Reconnected)
    account.bench.settle()
    books = account.books()
    assert [(seen.order, seen.state) for seen in everything(books)] == [("O7", OrderState.WORKING)]


def test_a_broker_that_outlives_us_speaks_of_its_line_before_it_is_sent_to(account: Account) -> None:
    assert [type(word) for word in account.line] == ([Reconnected] if account.broker.durable_handover else [])
    assert account.broker.settle_seconds >= 0


def test_the_paper_books_go_back_as_far_as_they_say() -> None:
    bench = PaperBench()
    account = Account(bench)
    bench.market("2.00", "2.04", 10)
    begin = account.books().since
    for number in range(BOOKS + 1):
        account.orders[f"O{number}"] = made = order(quantity=0, id=f"O{number}")
        account.broker.submit(made)
    books = account.books()
    assert len(everything(books)) == BOOKS
    assert books.since > begin
    assert books.since > bench.clock.now()  # of this moment one is gone
