"""What every broker behind the port must do, whatever it is made of.

A broker is entered with a `Bench`: how to make it, how to bring a market to it, and how to let its words arrive. The
paper broker is the first; another one adds its bench to `BENCHES` and passes the same tests.
"""

from __future__ import annotations

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
from engine.orders.paper import PaperBroker
from engine.ports import Accepted, Broker, BrokerReport, BrokerWord, Cancelled, Expired, Filled, Rejected, Sink
from engine.settings import Settings
from tests.builders_trading import CALENDAR, NOON, WEEKLY, HandQuotes, d, order, quote, seconds


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


BENCHES: dict[str, Callable[[], Bench]] = {"paper": PaperBench}


class Account:
    """Our side: sends, listens, and folds what it hears into orders, as the engine does."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.heard: list[BrokerReport] = []
        self.orders: dict[str, Order] = {}
        self.broker = bench.connect(self.hear)

    def hear(self, report: BrokerWord) -> None:
        if not isinstance(report, BrokerReport):
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
        assert fill.quote.two_sided
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
