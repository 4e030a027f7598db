"""The paper broker, quote by quote."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from engine.clock import SetClock
from engine.domain.entities import Order
from engine.domain.values import Code, OptionContract, OrderState, OrderType, Side, TimeInForce
from engine.orders.fees import NO_FEES, us_option_fees
from engine.orders.paper import PaperBroker
from engine.ports import Accepted, BrokerWord, Cancelled, Expired, Filled, Rejected
from engine.settings import Settings, with_overrides
from tests.builders_trading import (
    CALENDAR,
    CLOSE,
    HALF_DAY,
    NOON,
    OPEN,
    TODAY,
    WEEKLY,
    HandQuotes,
    d,
    order,
    quote,
    seconds,
)


class Desk:
    """A paper broker with its clock, its quotes and everything it said."""

    def __init__(self, now: datetime = NOON, settings: Settings | None = None, *, fees: bool = False) -> None:
        self.clock = SetClock(now)
        self.quotes = HandQuotes()
        self.said: list[BrokerWord] = []
        self.settings = settings or Settings()
        self.fees = us_option_fees() if fees else NO_FEES
        self.broker = self.open_broker()

    def open_broker(self) -> PaperBroker:
        broker = PaperBroker(self.quotes, self.clock, CALENDAR, self.settings, self.fees)
        broker.connect(self.said.append)
        return broker

    def show(
        self,
        bid: str | None,
        ask: str | None,
        *,
        after: float = 0,
        size: int | None = 10,
        contract: OptionContract = WEEKLY,
    ) -> None:
        """A new quote becomes known `after` seconds from now, and the broker is told the time."""
        self.clock.set(self.clock.now() + seconds(after))
        self.quotes.options[contract] = quote(bid, ask, self.clock.now(), size, size)

    def match(self, after: float = 0) -> None:
        self.clock.set(self.clock.now() + seconds(after))
        self.broker.match()

    @property
    def fills(self) -> list[tuple[int, Decimal]]:
        return [(report.quantity, report.price) for report in self.said if isinstance(report, Filled)]

    @property
    def kinds(self) -> list[str]:
        return [type(report).__name__ for report in self.said]


def small(**fields: Any) -> Order:
    """One contract, so that slippage is 0.5 %."""
    return order(quantity=1, **fields)


def test_a_buy_fills_at_once_on_the_newest_quote() -> None:
    desk = Desk()
    desk.show("2.00", "2.04")
    desk.broker.submit(small())
    assert desk.kinds == ["Accepted", "Filled"]
    report = desk.said[1]
    assert isinstance(report, Filled)
    assert (report.price, report.slippage, report.execution) == (d("2.06"), d("0.02"), "O7-1")
    assert report.quote == desk.quotes.options[WEEKLY]
    assert desk.broker.working == ()


def test_without_a_quote_it_waits_for_one() -> None:
    desk = Desk()
    desk.broker.submit(small())
    desk.match(1)
    assert desk.kinds == ["Accepted"]
    desk.show("2.00", "2.04", after=1)
    desk.match()
    assert desk.fills == [(1, d("2.06"))]


@pytest.mark.parametrize(("bid", "ask"), [("2.04", "2.04"), ("2.05", "2.04"), (None, "2.04"), ("2.00", None)])
def test_a_locked_crossed_or_onesided_quote_fills_nothing(bid: str | None, ask: str | None) -> None:
    desk = Desk()
    desk.show(bid, ask)
    desk.broker.submit(small())
    assert desk.fills == []


@pytest.mark.parametrize(
    ("contract", "age", "filled"), [(WEEKLY, 5.0, True), (WEEKLY, 5.5, False), (TODAY, 2.0, True), (TODAY, 2.5, False)]
)
def test_a_stale_quote_fills_nothing(contract: OptionContract, age: float, filled: bool) -> None:
    desk = Desk()
    desk.show("2.00", "2.04", contract=contract)
    desk.clock.set(NOON + seconds(age))
    desk.broker.submit(small(contract=contract))
    assert bool(desk.fills) is filled


def test_recorded_minutes_may_be_a_minute_old_even_on_the_last_day() -> None:
    desk = Desk()
    desk.quotes.source = "recorded"
    desk.quotes.max_age = 65.0
    desk.show("2.00", "2.04", contract=TODAY)
    desk.clock.set(NOON + seconds(65))
    desk.broker.submit(small(contract=TODAY))
    assert desk.fills == [(1, d("2.06"))]


def test_the_same_quote_is_not_tried_twice() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=3)
    desk.broker.submit(order(quantity=5))
    desk.match(1)
    desk.match(1)
    assert [quantity for quantity, _ in desk.fills] == [3]


def test_the_displayed_size_fills_once_and_the_rest_on_later_quotes_within_the_first_price() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=3)
    desk.broker.submit(order(quantity=5))
    first = desk.fills[0][1]
    desk.show("2.10", "2.14", after=1, size=50)
    desk.match()
    assert desk.fills == [(3, first)]
    desk.show("2.00", "2.03", after=1, size=1)
    desk.match()
    desk.show("2.00", "2.04", after=1, size=50)
    desk.match()
    assert [quantity for quantity, _ in desk.fills] == [3, 1, 1]
    assert all(price <= first for _, price in desk.fills)
    executions = [report.execution for report in desk.said if isinstance(report, Filled)]
    assert executions == ["O7-3", "O7-4", "O7-5"]


def test_two_orders_share_one_displayed_size() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=3)
    desk.broker.submit(order(quantity=2, id="O1"))
    desk.broker.submit(order(quantity=2, id="O2"))
    assert [(report.order, report.quantity) for report in desk.said if isinstance(report, Filled)] == [
        ("O1", 2),
        ("O2", 1),
    ]


def test_a_sale_does_not_use_up_the_ask() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=2)
    desk.broker.submit(order(quantity=2, id="O1"))
    desk.broker.submit(order(Side.SELL, 2, id="O2"))
    assert [quantity for quantity, _ in desk.fills] == [2, 2]


def test_of_an_unknown_size_a_large_order_takes_its_share_once_per_quote() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=None)
    desk.broker.submit(order(quantity=60, limit="3.00"))
    desk.broker.replace("O7", d("3.10"))
    assert [quantity for quantity, _ in desk.fills] == [51]
    desk.show("2.00", "2.04", after=1, size=None)
    desk.match()
    assert [quantity for quantity, _ in desk.fills] == [51, 9]


def test_a_limit_rests_until_the_touch_reaches_it_and_is_met_at_its_price() -> None:
    desk = Desk()
    desk.show("2.00", "2.04")
    desk.broker.submit(small(limit="1.98", type=OrderType.LIMIT))
    assert desk.fills == []
    desk.show("1.90", "1.94", after=1)
    desk.match()
    assert desk.fills == [(1, d("1.98"))]


def test_a_new_limit_is_tried_at_once_on_the_same_quote() -> None:
    desk = Desk()
    desk.show("2.00", "2.04")
    desk.broker.submit(small(limit="1.98"))
    desk.broker.replace("O7", d("2.05"))
    assert desk.fills == [(1, d("2.05"))]


def test_a_new_limit_does_not_show_more_size() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=3)
    desk.broker.submit(order(quantity=5, limit="3.00"))
    desk.broker.replace("O7", d("3.10"))
    assert [quantity for quantity, _ in desk.fills] == [3]


@pytest.mark.parametrize("order_id", ["O7", "O8"])
def test_what_no_longer_rests_is_left_alone(order_id: str) -> None:
    desk = Desk()
    desk.show("2.00", "2.04")
    desk.broker.submit(small())
    before = list(desk.said)
    desk.broker.replace(order_id, d("3.00"))
    desk.broker.cancel(order_id)
    assert desk.said == before


def test_cancel_takes_back_what_rests() -> None:
    desk = Desk()
    desk.broker.submit(small())
    desk.broker.cancel("O7")
    desk.show("2.00", "2.04", after=1)
    desk.match()
    assert desk.said[1] == Cancelled(order="O7", at=NOON, reason="cancelled")
    assert desk.kinds == ["Accepted", "Cancelled"]


def test_immediate_or_cancel_keeps_nothing_resting() -> None:
    desk = Desk()
    desk.show("2.00", "2.04", size=3)
    desk.broker.submit(order(quantity=5, tif=TimeInForce.IOC))
    assert desk.kinds == ["Accepted", "Filled", "Cancelled"]
    assert desk.broker.working == ()


def test_immediate_or_cancel_that_filled_is_not_cancelled() -> None:
    desk = Desk()
    desk.show("2.00", "2.04")
    desk.broker.submit(small(tif=TimeInForce.IOC))
    assert desk.kinds == ["Accepted", "Filled"]


@pytest.mark.parametrize(
    ("made", "now", "code"),
    [
        (order(quantity=501), NOON, Code.ORDER_TOO_LARGE),
        (order(quantity=0), NOON, Code.BAD_QUANTITY),
        (order(limit="0"), NOON, Code.OUT_OF_RANGE),
        (order(type=OrderType.LIMIT), NOON, Code.BAD_FIELD),
        (order(), CLOSE + timedelta(minutes=15), Code.SESSION_CLOSED),
        (order(), datetime(2026, 11, 21, 17, 0, tzinfo=UTC), Code.SESSION_CLOSED),
        (order(contract=replace(WEEKLY, expiry=date(2026, 11, 19))), NOON, Code.NO_MARKET_DATA),
    ],
)
def test_what_cannot_be_taken_is_rejected_with_its_numbers(made: Order, now: datetime, code: Code) -> None:
    desk = Desk(now)
    desk.broker.submit(made)
    report = desk.said[0]
    assert isinstance(report, Rejected)
    assert report.refusal.code is code
    desk.broker.submit(made)
    assert len(desk.said) == 1


def test_five_hundred_are_still_taken() -> None:
    desk = Desk()
    desk.broker.submit(order(quantity=500))
    assert desk.kinds == ["Accepted"]


def test_before_the_open_it_waits_and_then_pays_double() -> None:
    desk = Desk(OPEN - seconds(1))
    desk.show("2.00", "2.04")
    desk.broker.submit(small())
    assert desk.kinds == ["Accepted"]
    desk.match(1)
    assert desk.fills == [(1, d("2.07"))]  # 2.04 × 1.01 up


@pytest.mark.parametrize(
    ("now", "price"),
    [
        (OPEN + timedelta(minutes=5) - seconds(1), "2.07"),
        (OPEN + timedelta(minutes=5), "2.06"),
        (CLOSE - timedelta(minutes=5) - seconds(1), "2.06"),
        (CLOSE - timedelta(minutes=5), "2.07"),
        (CLOSE + timedelta(minutes=10), "2.07"),
    ],
)
def test_slippage_doubles_at_the_edges_of_the_session(now: datetime, price: str) -> None:
    desk = Desk(now)
    desk.show("2.00", "2.04")
    desk.broker.submit(small())
    assert desk.fills == [(1, d(price))]


def test_a_day_order_expires_when_its_options_stop_trading() -> None:
    desk = Desk(CLOSE + timedelta(minutes=14))
    desk.broker.submit(small())
    desk.match(59)
    assert desk.kinds == ["Accepted"]
    desk.show("2.00", "2.04", after=1)
    desk.match()
    assert desk.said[-1] == Expired(order="O7", at=CLOSE + timedelta(minutes=15))
    assert desk.fills == []


def test_on_a_half_day_it_expires_in_the_afternoon() -> None:
    noon = datetime.combine(HALF_DAY, datetime.min.time(), UTC) + timedelta(hours=17)
    desk = Desk(noon)
    desk.broker.submit(small(contract=replace(WEEKLY, expiry=HALF_DAY)))
    desk.clock.set(noon + timedelta(hours=1, minutes=15))
    desk.broker.match(desk.clock.now())
    assert isinstance(desk.said[-1], Expired)


def test_the_same_order_again_does_nothing() -> None:
    desk = Desk()
    desk.broker.submit(small())
    desk.broker.submit(small())
    desk.show("2.00", "2.04", after=1)
    desk.match()
    desk.broker.submit(small())
    assert desk.kinds == ["Accepted", "Filled"]


def test_after_a_restart_it_goes_on_with_new_execution_ids_and_the_same_bill() -> None:
    whole, parted = Desk(fees=True), Desk(fees=True)
    for desk in (whole, parted):
        desk.show("2.00", "2.04", size=1)
        desk.broker.submit(order(quantity=3, limit="2.20"))
    done = next(report for report in parted.said if isinstance(report, Filled))
    kept = order(
        quantity=3, limit="2.20", state=OrderState.PARTIALLY_FILLED, filled=1, average=done.price, fees=done.fees
    )
    parted.broker = parted.open_broker()
    parted.broker.restore([kept])
    assert parted.broker.working == ("O7",)
    for desk in (whole, parted):
        desk.show("2.00", "2.05", after=1, size=9)
        desk.match()
    assert parted.said == whole.said
    assert [report.execution for report in whole.said if isinstance(report, Filled)] == ["O7-1", "O7-3"]


@pytest.mark.parametrize(
    ("state", "said", "working"),
    [
        (OrderState.APPROVED, [], False),
        (OrderState.SUBMITTING, ["Accepted"], True),
        (OrderState.UNKNOWN, ["Accepted"], True),
        (OrderState.WORKING, [], True),
        (OrderState.CANCELLED, [], False),
    ],
)
def test_restored_by_how_far_it_got(state: OrderState, said: list[str], working: bool) -> None:
    desk = Desk()
    desk.broker.restore([small(state=state), small(state=state)])
    assert desk.kinds == said
    assert bool(desk.broker.working) is working


def test_a_finished_order_is_not_taken_again_after_a_restart_but_an_unsent_one_is() -> None:
    desk = Desk()
    desk.broker.restore([small(id="O1", state=OrderState.FILLED), small(id="O2", state=OrderState.APPROVED)])
    desk.broker.submit(small(id="O1"))
    desk.broker.submit(small(id="O2"))
    assert desk.said == [Accepted(order="O2", at=NOON)]


def test_a_restored_rest_without_limit_keeps_the_price_it_had() -> None:
    desk = Desk()
    desk.broker.restore([order(quantity=3, state=OrderState.PARTIALLY_FILLED, filled=1, average=d("2.06"), fees=d(1))])
    desk.show("2.00", "2.07", after=1)
    desk.match()
    assert desk.fills == []
    desk.show("2.00", "2.05", after=1)
    desk.match()
    assert desk.fills == [(2, d("2.06"))]


def test_a_restored_rest_that_was_priced_anew_keeps_that_limit() -> None:
    desk = Desk()
    kept = order(quantity=3, state=OrderState.PARTIALLY_FILLED, filled=1, average=d("2.06"), limit="2.20", attempts=1)
    desk.broker.restore([kept])
    desk.show("2.00", "2.15", after=1)
    desk.match()
    assert desk.fills == [(2, d("2.17"))]


def test_what_was_restored_from_an_earlier_day_expires() -> None:
    desk = Desk()
    old = NOON - timedelta(days=1)
    desk.broker.restore(
        [small(created=old, state=OrderState.WORKING), small(id="O8", created=NOON - timedelta(days=5))]
    )
    desk.match()
    assert desk.kinds == ["Accepted", "Expired", "Expired"]


def test_fees_are_charged_per_execution_and_the_minimum_once() -> None:
    desk = Desk(fees=True)
    desk.show("2.00", "2.04", size=1)
    desk.broker.submit(order(quantity=2, limit="3.00"))
    desk.show("2.00", "2.04", after=1, size=1)
    desk.match()
    assert [report.fees for report in desk.said if isinstance(report, Filled)] == [d("1.05"), d("0.35")]


def test_slippage_can_be_switched_off() -> None:
    off = with_overrides(Settings(), {"paper.slippage": "0", "paper.slippage_100": "0", "paper.slippage_step": "0"})
    desk = Desk(settings=off)
    desk.show("2.00", "2.04")
    desk.broker.submit(small())
    assert desk.fills == [(1, d("2.04"))]


def test_a_broker_nobody_listens_to_says_so() -> None:
    desk = Desk()
    broker = PaperBroker(desk.quotes, desk.clock, CALENDAR, desk.settings, NO_FEES)
    with pytest.raises(RuntimeError, match="connect"):
        broker.submit(small())
