"""Exit: one closer at a time, never more than is held, priced to trade, chased until it does."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from engine.domain import events as ev
from engine.domain.commands import Done
from engine.domain.entities import Order, Position
from engine.domain.marketable import marketable_limit
from engine.domain.values import CENT, ExitReason, OrderType, Purpose, Quote, Side
from engine.journey.ordering import Intent, closing_orders, has_expired, intend
from engine.journey.step import Replace, Step
from engine.orders.guard import closing_allowed


def close(
    step: Step, position: Position, quantity: int, reason: ExitReason, cause: int, *, limit: Decimal | None = None
) -> Done:
    """Intend the sale of `quantity` contracts, or say why not. Entry orders of the position are taken back first."""
    for order in step.state.open_orders.values():
        if order.purpose is Purpose.ENTRY and order.ticket == position.ticket:
            step.take_back(order.id)
    refusal = closing_allowed(position, step.state.open_orders.values(), quantity)
    if refusal is not None:
        return Done(ok=False, refusal=refusal)
    order = intend(
        step,
        cause,
        Intent(
            contract=position.contract,
            side=Side.SELL,
            quantity=quantity,
            limit=limit if limit is not None else worst(step.world.quotes.option(position.contract), 0),
            purpose=Purpose.EXIT,
            type=OrderType.MARKETABLE if limit is None else OrderType.LIMIT,
            position=position.id,
            exit_reason=reason,
        ),
    )
    return Done(ok=True, seq=int(order.id[1:]), created=order.id)


def flatten(step: Step) -> None:
    """While a halt asks for it, what is held is closed at the market: at once, and again until nothing is held. An exit
    that waits for its price, or sells only a part, is taken back first; the rest follows at the broker's word."""
    halt = step.state.halt
    session = step.world.calendar.session_at(step.now)
    if halt is None or not halt.latched or not halt.flatten:
        return
    if session is None or not session.open <= step.now < session.options_close:
        return
    again = timedelta(seconds=step.settings.exits.chase_seconds)
    for position in list(step.state.open_positions.values()):
        if has_expired(step, position.contract):
            continue
        orders = [order for order in step.state.orders.values() if order.position == position.id]
        working = next((order for order in orders if order.state.is_open), None)
        if working is not None:
            if working.type is not OrderType.MARKETABLE or working.remaining < position.quantity:
                step.take_back(working.id)
        elif position.quantity:
            last = orders[-1] if orders else None
            if last is not None and last.exit_reason is ExitReason.KILL_SWITCH and step.now - last.created < again:
                continue
            close(step, position, position.quantity, ExitReason.KILL_SWITCH, cause=int(position.id[1:]))


def fulfil(step: Step) -> None:
    """What a person wanted closed while a smaller or slower exit worked: all of it, once that was taken back."""
    for key, reason in list(step.live.wishes.items()):
        position = step.state.open_positions.get(key)
        if position is not None and position.quantity:
            if closing_orders(step, position):
                continue
            close(step, position, position.quantity, reason, cause=int(key[1:]))
        del step.live.wishes[key]


def reprice(step: Step, order: Order, limit: Decimal) -> None:
    step.emit(ev.OrderRepriced, cause=int(order.id[1:]), order=order.id, limit=limit, attempt=order.attempts + 1)
    step.effects.append(Replace(order.id, limit))


def worst(quote: Quote | None, attempt: int) -> Decimal:
    """The worst price we would take. Without any quote an exit still goes out: at the lowest price there is, it takes
    whatever bid comes first."""
    if quote is None:
        return CENT
    return marketable_limit(Side.SELL, quote, attempt) or CENT
