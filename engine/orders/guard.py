"""The oversell guard and the price of a marketable order. The last check before an exit is intended; nobody passes it.

Pure. It decides on what executions proved (`Position.quantity`), never on what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from engine.domain.entities import Order, Position
from engine.domain.values import CENT, Code, Purpose, Quote, Refusal, Side, refuse, tick_down, tick_up

MARKETABLE_STEPS = (Decimal("0.05"), Decimal("0.10"), Decimal("0.20"))
"""Fraction of mid that a marketable order reaches beyond the touch: at first, then with each re-price."""


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


def marketable_limit(side: Side, quote: Quote, attempt: int = 0, tick: Decimal = CENT) -> Decimal | None:
    """The limit of a marketable order: the touch and max(2 ticks, 5 % of mid) beyond, 10 % at the first re-price,
    20 % from the second; rounded away from us, a sell never below 0.01. None where no price can be named (no ask).

    A sell without a bid is priced from a bid of zero: it waits at 0.01 and takes whatever bid comes first.
    """
    if quote.ask is None:
        return None if side is Side.BUY or quote.bid is None else _sell(quote.bid, quote.bid, attempt, tick)
    bid = quote.bid if quote.bid is not None else Decimal(0)
    mid = (bid + quote.ask) / 2
    if side is Side.BUY:
        return tick_up(quote.ask + _reach(mid, attempt, tick), tick)
    return _sell(bid, mid, attempt, tick)


def half_of(quantity: int) -> int:
    """Half of a position, halves up; a single contract is the whole."""
    return (quantity + 1) // 2


def _sell(bid: Decimal, mid: Decimal, attempt: int, tick: Decimal) -> Decimal:
    return max(tick_down(bid - _reach(mid, attempt, tick), tick), CENT)


def _reach(mid: Decimal, attempt: int, tick: Decimal) -> Decimal:
    return max(2 * tick, MARKETABLE_STEPS[min(attempt, len(MARKETABLE_STEPS) - 1)] * mid)


def _remaining(orders: Iterable[Order]) -> int:
    return sum(order.remaining for order in orders)
