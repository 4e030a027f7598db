"""The oversell guard. The last check before an exit is intended; nobody passes it.

Pure. It decides on what executions proved (`Position.quantity`), never on what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.entities import Order, Position
from engine.domain.values import Code, Purpose, Refusal, refuse


def working_exits(position: Position, orders: Iterable[Order]) -> list[Order]:
    """The exit orders of this position that may still be filled, as far as we know."""
    return [
        order
        for order in orders
        if order.purpose is Purpose.EXIT and order.position == position.id and order.state.is_open
    ]


def closing_allowed(position: Position | None, orders: Iterable[Order], quantity: int) -> Refusal | None:
    """None when `quantity` contracts of the position may be sold now, else why not.

    One closer at a time: while an exit order may still be filled, a second is refused; cancel the first, wait for the
    broker's word, then send. So Σ working closing quantity never exceeds what is held.
    """
    if quantity < 1:
        return refuse(Code.BAD_QUANTITY, quantity=quantity)
    if position is None or position.quantity < 1:
        return refuse(Code.POSITION_UNKNOWN, held=0)
    working = working_exits(position, orders)
    if working:
        first = working[0]
        return refuse(Code.ALREADY_CLOSING, order=first.id, state=first.state, working=_remaining(working))
    if quantity > position.quantity:
        return refuse(Code.OVERSELL, quantity=quantity, held=position.quantity)
    return None


def half_of(quantity: int) -> int:
    """Half of a position, halves up; a single contract is the whole."""
    return (quantity + 1) // 2


def _remaining(orders: Iterable[Order]) -> int:
    return sum(order.remaining for order in orders)
