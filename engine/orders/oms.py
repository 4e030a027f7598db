"""The life of an order as a fold: one fact in, the order's next state out. Called by the fold of facts, live and in replay.

Never sends anything and never reads a clock. An execution counts once: the caller asks `is_news` before a broker's word
becomes a fact, and a second fact with the same execution id is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from engine.domain.averages import average_after
from engine.domain.entities import Order
from engine.domain.events import (
    AnyFact,
    Fact,
    OrderAccepted,
    OrderCancelled,
    OrderDenied,
    OrderDoubted,
    OrderExpired,
    OrderFilled,
    OrderIntended,
    OrderReappeared,
    OrderRejected,
    OrderRepriced,
    OrderSubmitted,
)
from engine.domain.values import OrderState
from engine.ports import Accepted, BrokerReport, Filled

OPEN = frozenset(state for state in OrderState if state.is_open)
SENT = OPEN - {OrderState.APPROVED}
NEVER_SENT = frozenset({OrderState.DENIED})
BY_HAND = "hand:"
"""How the id of an execution begins that a person told: the broker's own word of it would count it twice."""


class IllegalTransition(ValueError):
    """A fact that cannot follow from the order's state; the message names both."""


def order_after(order: Order | None, fact: AnyFact) -> Order:
    """The order once `fact` has happened. `order` is None only for its `OrderIntended`.

    An execution counts whenever it arrives: before the acknowledgement, after a cancel, even after a rejection,
    because it proves more than any word. Only a denied order, which no broker ever saw, cannot be filled.
    A late acknowledgement changes nothing. Raises `IllegalTransition` otherwise, also for more than was ordered.
    """
    if isinstance(fact, OrderIntended):
        if order is not None:
            raise IllegalTransition(f"order {order.id} was intended twice")
        return _intended(fact)
    try:
        allowed, apply = _TRANSITIONS[type(fact)]
    except KeyError:
        raise IllegalTransition(f"{fact.kind} is no fact about an order") from None
    if order is None:
        raise IllegalTransition(f"{fact.kind} for an order that was never intended")
    if order.state not in allowed:
        raise IllegalTransition(f"{fact.kind} cannot follow {order.state} (order {order.id})")
    return apply(order, fact)


def is_news(order: Order, report: BrokerReport) -> bool:
    """Whether a broker's word changes anything; a repeated or late one does not and must not become a fact.

    An execution is news unless its id is known or nothing is left to fill.
    """
    if isinstance(report, Filled):
        return report.execution not in order.executions and order.remaining > 0 and order.state not in NEVER_SENT
    if isinstance(report, Accepted):
        return order.state in _BEFORE_ACCEPTED
    return order.state in OPEN


_BEFORE_ACCEPTED = frozenset({OrderState.APPROVED, OrderState.SUBMITTING, OrderState.UNKNOWN})


def _intended(fact: OrderIntended) -> Order:
    return Order(
        id=fact.order,
        contract=fact.contract,
        side=fact.side,
        quantity=fact.quantity,
        type=fact.type,
        limit=fact.limit,
        tif=fact.tif,
        purpose=fact.purpose,
        created=fact.at,
        ticket=fact.ticket,
        position=fact.position,
        exit_reason=fact.exit_reason,
        updated=fact.at,
    )


def _submitted(order: Order, fact: OrderSubmitted) -> Order:
    return msgspec.structs.replace(order, state=OrderState.SUBMITTING, updated=fact.at, submitted=fact.at)


def _accepted(order: Order, fact: OrderAccepted) -> Order:
    if order.state not in _BEFORE_ACCEPTED:
        return order
    state = OrderState.PARTIALLY_FILLED if order.filled else OrderState.WORKING
    return msgspec.structs.replace(order, state=state, updated=fact.at)


def _repriced(order: Order, fact: OrderRepriced) -> Order:
    return msgspec.structs.replace(order, limit=fact.limit, attempts=fact.attempt, updated=fact.at)


def _filled(order: Order, fact: OrderFilled) -> Order:
    filled = order.filled + fact.quantity
    if fact.execution in order.executions:
        raise IllegalTransition(f"order {order.id}: execution {fact.execution} was counted before")
    if fact.quantity < 1 or filled > order.quantity:
        raise IllegalTransition(
            f"order {order.id}: execution {fact.execution} of {fact.quantity} with {order.remaining} left"
        )
    if filled == order.quantity:
        state = OrderState.FILLED
    elif order.state.is_open and order.state is not OrderState.UNKNOWN:
        state = OrderState.PARTIALLY_FILLED
    else:
        state = order.state  # a part that was filled does not say what became of the rest
    return msgspec.structs.replace(
        order,
        state=state,
        filled=filled,
        average=average_after(order.average, order.filled, fact.price, fact.quantity),
        fees=order.fees + fact.fees,
        executions=(*order.executions, fact.execution),
        updated=fact.at,
    )


def _cancelled(order: Order, fact: OrderCancelled) -> Order:
    return msgspec.structs.replace(order, state=OrderState.CANCELLED, updated=fact.at)


def _rejected(order: Order, fact: OrderRejected) -> Order:
    return msgspec.structs.replace(order, state=OrderState.REJECTED, refusal=fact.refusal, updated=fact.at)


def _expired(order: Order, fact: OrderExpired) -> Order:
    return msgspec.structs.replace(order, state=OrderState.EXPIRED, updated=fact.at)


def _denied(order: Order, fact: OrderDenied) -> Order:
    return msgspec.structs.replace(order, state=OrderState.DENIED, refusal=fact.refusal, updated=fact.at)


def _doubted(order: Order, fact: OrderDoubted) -> Order:
    return msgspec.structs.replace(order, state=OrderState.UNKNOWN, updated=fact.at)


def _reappeared(order: Order, fact: OrderReappeared) -> Order:
    # In doubt, not working: it is taken back at once, and the books say when it is over.
    return msgspec.structs.replace(order, state=OrderState.UNKNOWN, refusal=None, updated=fact.at)


_EVER_SENT = frozenset(OrderState) - NEVER_SENT
_TRANSITIONS: dict[type[Fact], tuple[frozenset[OrderState], Callable[[Order, Any], Order]]] = {
    # UNKNOWN is left only by the broker's evidence: sending again is none
    OrderSubmitted: (frozenset({OrderState.APPROVED, OrderState.SUBMITTING}), _submitted),
    OrderAccepted: (_EVER_SENT - {OrderState.REJECTED}, _accepted),
    OrderRepriced: (OPEN - {OrderState.UNKNOWN}, _repriced),
    OrderFilled: (_EVER_SENT, _filled),
    OrderCancelled: (OPEN, _cancelled),
    OrderRejected: (OPEN, _rejected),
    OrderExpired: (OPEN, _expired),
    OrderDenied: (frozenset({OrderState.APPROVED}), _denied),
    OrderDoubted: (SENT, _doubted),
    OrderReappeared: (frozenset({OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED}), _reappeared),
}
