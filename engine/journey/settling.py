"""Settle: a person says what became of an order that the broker's books cannot tell any more. Called by `answering`.

Only such an order: the books were read whole over this line since the last word of it, when nothing of it could be on its
way any more; they begin after it was about to go, and it works there no more.
The word is a fact with its reason; what follows from it are the same facts that evidence makes. An exit is not sent anew:
the rule that wanted it, or a person, asks again.
"""

from __future__ import annotations

from decimal import Decimal

from engine.domain import events as ev
from engine.domain.commands import Done, SettleOrder
from engine.domain.entities import Order
from engine.domain.values import Code, OrderState, Quote, Refusal, Side, refuse
from engine.journey import ordering, reconciling
from engine.journey.step import Step
from engine.orders.fees import bill_after, bill_of
from engine.orders.oms import BY_HAND
from engine.ports import Filled
from engine.sessions import new_york_day


def settle(step: Step, command: SettleOrder) -> Done:
    order = step.state.orders.get(command.order)
    if order is None:
        return Done(ok=False, refusal=refuse(Code.ORDER_UNKNOWN, order=command.order))
    refusal = _not_a_persons(step, order) or _not_this(step, order, command)
    if refusal is not None:
        return Done(ok=False, refusal=refusal)
    cause = ordering.order_seq(order.id)
    paid = command.fees
    if command.quantity and paid is None:
        assert command.price is not None, "a fill has a price"
        paid = _by_the_table(step, order, command.quantity, command.price)
    fact = step.emit(
        ev.OrderSettledByHand,
        cause=cause,
        order=order.id,
        by=command.by,
        reason=command.reason,
        quantity=command.quantity,
        price=command.price,
        fees=paid,
    )
    if command.quantity:
        assert command.price is not None, "a fill has a price"
        assert paid is not None, "so it has fees"
        word = Filled(
            order=order.id,
            at=step.now,
            execution=f"{BY_HAND}{fact.seq}",
            quantity=command.quantity,
            price=command.price,
            fees=paid,
            slippage=Decimal(0),
            quote=Quote(bid=None, ask=None, at=step.now, source="hand"),
        )
        ordering.filled(step, order, word)
    reconciling.over(step, step.state.orders[order.id], OrderState.CANCELLED, f"by hand: {command.reason}")
    step.live.handed.pop(order.id, None)
    return Done(ok=True, seq=fact.seq, created=order.id)


def _by_the_table(step: Step, order: Order, quantity: int, price: Decimal) -> Decimal:
    """Dollars that an execution adds to the order's bill: what was charged before counts, and its minimum once."""
    table, day = step.world.fees, new_york_day(order.created)
    before = bill_of(table, day, order)
    return bill_after(table, day, order.side, quantity, price, before, order.contract.multiplier).billed - before.billed


def _not_a_persons(step: Step, order: Order) -> Refusal | None:
    """Why nobody is asked about it: it is not in doubt, or the broker's books may still say it."""
    if order.state is not OrderState.UNKNOWN:
        return refuse(Code.NOT_IN_DOUBT, order=order.id, state=order.state)
    away = ordering.no_new_risk(step) if not ordering.ready(step) else None
    if away is not None:
        return away
    if order.id not in step.live.beyond:
        return refuse(Code.BROKER_MAY_ANSWER, order=order.id)
    return None


def _not_this(step: Step, order: Order, command: SettleOrder) -> Refusal | None:
    """Why it cannot have been so."""
    if not command.reason.strip():
        return refuse(Code.REASON_MISSING, order=order.id)
    most = order.remaining
    if order.side is Side.SELL:
        position = step.state.positions.get(order.position or "")
        most = min(most, position.quantity if position is not None else 0)
    if not 0 <= command.quantity <= most:
        return refuse(Code.BAD_QUANTITY, quantity=command.quantity, most=most)
    if bool(command.quantity) != (command.price is not None):
        return refuse(Code.BAD_FIELD, "price", quantity=command.quantity, price=command.price or "none")
    if command.fees is not None and not command.quantity:
        return refuse(Code.BAD_FIELD, "fees", quantity=command.quantity, fees=command.fees)
    if command.price is None:
        return None
    worse = order.limit is not None and (command.price - order.limit) * order.side.sign > 0
    if command.price <= 0 or worse:
        return refuse(Code.BAD_FIELD, "price", price=command.price, limit=order.limit or "none")
    return None
