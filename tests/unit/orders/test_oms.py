"""The order's life as a table: from every state, with every fact."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.domain.entities import Order
from engine.domain.events import (
    AnyFact,
    OrderAccepted,
    OrderCancelled,
    OrderDenied,
    OrderDoubted,
    OrderExpired,
    OrderReappeared,
    OrderRejected,
    OrderRepriced,
    OrderSubmitted,
    TicketExpired,
)
from engine.domain.values import Code, OrderState, refuse
from engine.orders.oms import IllegalTransition, is_news, order_after
from engine.ports import Accepted, BrokerReport, Cancelled, Expired, Filled, Rejected
from tests.builders_trading import NOON, d, filled, intended, order, quote, seconds

S = OrderState
LATER = NOON + seconds(3)
REFUSAL = refuse(Code.ORDER_TOO_LARGE, quantity=501)
FACTS: dict[str, AnyFact] = {
    "submitted": OrderSubmitted(seq=8, at=LATER, order="O7", broker="paper"),
    "accepted": OrderAccepted(seq=8, at=LATER, order="O7"),
    "repriced": OrderRepriced(seq=8, at=LATER, order="O7", limit=d("1.90"), attempt=1),
    "partly": filled(1, "2.04", at=LATER),
    "fully": filled(2, "2.04", at=LATER),
    "cancelled": OrderCancelled(seq=8, at=LATER, order="O7", reason="asked"),
    "rejected": OrderRejected(seq=8, at=LATER, order="O7", refusal=REFUSAL),
    "expired": OrderExpired(seq=8, at=LATER, order="O7"),
    "denied": OrderDenied(seq=8, at=LATER, order="O7", refusal=REFUSAL),
    "doubted": OrderDoubted(seq=8, at=LATER, order="O7", reason="1100"),
    "reappeared": OrderReappeared(seq=8, at=LATER, order="O7", was="CANCELLED"),
}
X = None
TABLE: dict[str, dict[OrderState, OrderState | None]] = {
    "submitted": {
        S.APPROVED: S.SUBMITTING, S.SUBMITTING: S.SUBMITTING, S.WORKING: X, S.PARTIALLY_FILLED: X, S.FILLED: X,
        S.CANCELLED: X, S.REJECTED: X, S.EXPIRED: X, S.DENIED: X, S.UNKNOWN: X,
    },
    "accepted": {
        S.APPROVED: S.WORKING, S.SUBMITTING: S.WORKING, S.WORKING: S.WORKING, S.PARTIALLY_FILLED: S.PARTIALLY_FILLED,
        S.FILLED: S.FILLED, S.CANCELLED: S.CANCELLED, S.REJECTED: X, S.EXPIRED: S.EXPIRED, S.DENIED: X,
        S.UNKNOWN: S.WORKING,
    },
    "repriced": {
        S.APPROVED: S.APPROVED, S.SUBMITTING: S.SUBMITTING, S.WORKING: S.WORKING,
        S.PARTIALLY_FILLED: S.PARTIALLY_FILLED, S.FILLED: X, S.CANCELLED: X, S.REJECTED: X, S.EXPIRED: X, S.DENIED: X,
        S.UNKNOWN: X,
    },
    "partly": {
        S.APPROVED: S.PARTIALLY_FILLED, S.SUBMITTING: S.PARTIALLY_FILLED, S.WORKING: S.PARTIALLY_FILLED,
        S.PARTIALLY_FILLED: S.FILLED, S.FILLED: X, S.CANCELLED: S.CANCELLED, S.REJECTED: S.REJECTED,
        S.EXPIRED: S.EXPIRED, S.DENIED: X, S.UNKNOWN: S.UNKNOWN,
    },
    "fully": {
        S.APPROVED: S.FILLED, S.SUBMITTING: S.FILLED, S.WORKING: S.FILLED, S.PARTIALLY_FILLED: X, S.FILLED: X,
        S.CANCELLED: S.FILLED, S.REJECTED: S.FILLED, S.EXPIRED: S.FILLED, S.DENIED: X, S.UNKNOWN: S.FILLED,
    },
    "cancelled": {
        S.APPROVED: S.CANCELLED, S.SUBMITTING: S.CANCELLED, S.WORKING: S.CANCELLED, S.PARTIALLY_FILLED: S.CANCELLED,
        S.FILLED: X, S.CANCELLED: X, S.REJECTED: X, S.EXPIRED: X, S.DENIED: X, S.UNKNOWN: S.CANCELLED,
    },
    "rejected": {
        S.APPROVED: S.REJECTED, S.SUBMITTING: S.REJECTED, S.WORKING: S.REJECTED, S.PARTIALLY_FILLED: S.REJECTED,
        S.FILLED: X, S.CANCELLED: X, S.REJECTED: X, S.EXPIRED: X, S.DENIED: X, S.UNKNOWN: S.REJECTED,
    },
    "expired": {
        S.APPROVED: S.EXPIRED, S.SUBMITTING: S.EXPIRED, S.WORKING: S.EXPIRED, S.PARTIALLY_FILLED: S.EXPIRED,
        S.FILLED: X, S.CANCELLED: X, S.REJECTED: X, S.EXPIRED: X, S.DENIED: X, S.UNKNOWN: S.EXPIRED,
    },
    "denied": {
        S.APPROVED: S.DENIED, S.SUBMITTING: X, S.WORKING: X, S.PARTIALLY_FILLED: X, S.FILLED: X, S.CANCELLED: X,
        S.REJECTED: X, S.EXPIRED: X, S.DENIED: X, S.UNKNOWN: X,
    },
    "doubted": {
        S.APPROVED: X, S.SUBMITTING: S.UNKNOWN, S.WORKING: S.UNKNOWN, S.PARTIALLY_FILLED: S.UNKNOWN, S.FILLED: X,
        S.CANCELLED: X, S.REJECTED: X, S.EXPIRED: X, S.DENIED: X, S.UNKNOWN: S.UNKNOWN,
    },
    "reappeared": {
        S.APPROVED: X, S.SUBMITTING: X, S.WORKING: X, S.PARTIALLY_FILLED: X, S.FILLED: X, S.CANCELLED: S.UNKNOWN,
        S.REJECTED: S.UNKNOWN, S.EXPIRED: S.UNKNOWN, S.DENIED: X, S.UNKNOWN: X,
    },
}  # fmt: skip


def in_state(state: OrderState) -> Order:
    """An order of two contracts as it looks in that state."""
    one = {S.PARTIALLY_FILLED: 1, S.FILLED: 2}.get(state, 0)
    return order(state=state, filled=one, average=d("2.00") if one else None, fees=d("1.00") if one else d(0))


@pytest.mark.parametrize(("fact", "before"), [(fact, before) for fact in TABLE for before in S])
def test_every_fact_from_every_state(fact: str, before: OrderState) -> None:
    expected = TABLE[fact][before]
    if expected is None:
        with pytest.raises(IllegalTransition):
            order_after(in_state(before), FACTS[fact])
        return
    after = order_after(in_state(before), FACTS[fact])
    assert after.state is expected


def test_an_intent_makes_an_approved_order_with_everything_it_says() -> None:
    made = order(limit="2.10", ticket="T5", state=S.APPROVED, updated=NOON)
    assert order_after(None, intended(made)) == made


def test_an_order_is_not_intended_twice() -> None:
    with pytest.raises(IllegalTransition, match="twice"):
        order_after(order(), intended(order()))


def test_a_fact_before_the_intent_is_an_error() -> None:
    with pytest.raises(IllegalTransition, match="never intended"):
        order_after(None, FACTS["accepted"])


def test_a_fact_about_something_else_is_an_error() -> None:
    with pytest.raises(IllegalTransition, match="TicketExpired is no fact about an order"):
        order_after(order(), TicketExpired(seq=8, at=LATER, ticket="T5"))


def test_fills_average_and_add_their_fees() -> None:
    one = order_after(order(quantity=3), filled(1, "2.00", fees="1.05", execution="a"))
    both = order_after(one, filled(2, "2.03", fees="0.41", execution="b", at=LATER))
    assert (both.filled, both.remaining, both.state) == (3, 0, S.FILLED)
    assert both.average == d("2.02")
    assert both.fees == d("1.46")
    assert both.executions == ("a", "b")
    assert both.updated == LATER


def test_the_same_execution_counts_once() -> None:
    one = order_after(order(), filled(1, "2.00", execution="a"))
    with pytest.raises(IllegalTransition, match="counted before"):
        order_after(one, filled(1, "2.00", execution="a"))


@pytest.mark.parametrize("quantity", [0, -1, 3])
def test_more_than_was_ordered_or_nothing_is_refused_loudly(quantity: int) -> None:
    with pytest.raises(IllegalTransition, match=f"of {quantity} with 2 left"):
        order_after(order(), filled(quantity, "2.00"))


def test_a_fill_before_the_acknowledgement_stays_when_it_comes() -> None:
    early = order_after(order(), filled(1, "2.00"))
    assert order_after(early, FACTS["accepted"]) == early


def test_an_unknown_order_with_fills_is_partially_filled_once_acknowledged() -> None:
    lost = order(state=S.UNKNOWN, filled=1, average=d("2.00"))
    assert order_after(lost, FACTS["accepted"]).state is S.PARTIALLY_FILLED


def test_a_reprice_keeps_count() -> None:
    after = order_after(order(limit="2.00"), FACTS["repriced"])
    assert (after.limit, after.attempts, after.updated) == (d("1.90"), 1, LATER)


def test_when_it_was_about_to_be_handed_over_is_kept_whatever_comes_after() -> None:
    made = order(state=S.APPROVED)
    assert made.submitted is None
    after = order_after(made, FACTS["submitted"])
    for fact in ("accepted", "partly", "doubted"):
        after = order_after(after, FACTS[fact])
    assert (after.submitted, after.updated) == (LATER, LATER)
    later = OrderSubmitted(seq=9, at=LATER + seconds(60), order="O7", broker="paper")
    assert order_after(order(submitted=LATER), later).submitted == LATER + seconds(60), "the last time counts"


def test_a_refusal_is_kept() -> None:
    assert order_after(order(), FACTS["rejected"]).refusal == REFUSAL
    assert order_after(order(state=S.APPROVED), FACTS["denied"]).refusal == REFUSAL


FILL = Filled(
    order="O7", at=NOON, execution="a", quantity=1, price=d(2), fees=d(0), slippage=d(0), quote=quote("1", "2")
)
ACK = Accepted(order="O7", at=NOON)


@pytest.mark.parametrize(
    ("state", "report", "news"),
    [
        (S.SUBMITTING, ACK, True),
        (S.UNKNOWN, ACK, True),
        (S.WORKING, ACK, False),
        (S.CANCELLED, ACK, False),
        (S.WORKING, FILL, True),
        (S.CANCELLED, FILL, True),
        (S.FILLED, FILL, False),
        (S.DENIED, FILL, False),
        (S.WORKING, Cancelled(order="O7", at=NOON, reason=""), True),
        (S.CANCELLED, Cancelled(order="O7", at=NOON, reason=""), False),
        (S.FILLED, Expired(order="O7", at=NOON), False),
        (S.SUBMITTING, Rejected(order="O7", at=NOON, refusal=REFUSAL), True),
    ],
)
def test_only_news_becomes_a_fact(state: OrderState, report: BrokerReport, news: bool) -> None:
    assert is_news(in_state(state), report) is news


def test_a_known_execution_is_no_news() -> None:
    assert not is_news(replace(order(), executions=("a",)), FILL)
