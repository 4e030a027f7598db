"""Long option positions as a fold over executions, marks and settlements. Called by the fold of facts.

Prices are per share, the rest dollars. Nothing here decides when to leave; it only counts.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.domain.averages import average_after, average_price
from engine.domain.entities import Order, Position, Ticket
from engine.domain.events import ContractSettled, OrderFilled, PositionMarked
from engine.domain.values import ExitReason, money


class Oversold(ValueError):
    """More was sold or settled than was held: the one thing that must never happen. The message has both numbers."""


def position_after_buy(position: Position | None, fill: OrderFilled, ticket: Ticket) -> Position:
    """The position once an entry execution is added; the first one opens it with its ticket's plan.

    One R is the ticket's loss per contract times what was really bought; without sizing, its share of the ticket's
    stated loss, and where that is unknown too, the premium paid.
    """
    if position is None:
        if ticket.plan is None or ticket.bucket is None:
            raise ValueError(f"ticket {ticket.id} opens a position but has no exit plan or bucket")
        return Position(
            id=fill.position,
            symbol=ticket.symbol,
            direction=ticket.direction,
            contract=ticket.contract,
            quantity=fill.quantity,
            bought=fill.quantity,
            sold=0,
            entry=fill.price,
            proceeds=Decimal(0),
            fees=fill.fees,
            opened=fill.at,
            ticket=ticket.id,
            plan=ticket.plan,
            bucket=ticket.bucket,
            risk=_risk(ticket, fill.quantity, fill.price),
            decision=ticket.decision,
            trigger=ticket.trigger,
            entry_underlying=fill.underlying,
            entry_greeks=fill.greeks,
            best=fill.price,
            worst=fill.price,
        )
    bought = position.bought + fill.quantity
    entry = average_after(position.entry, position.bought, fill.price, fill.quantity)
    return msgspec.structs.replace(
        position,
        quantity=position.quantity + fill.quantity,
        bought=bought,
        entry=entry,
        fees=position.fees + fill.fees,
        risk=_risk(ticket, bought, entry),
        # a late fill of the entry opens again what was sold out
        closed=None,
        exit_reason=None,
    )


def position_after_sell(position: Position, fill: OrderFilled, order: Order) -> Position:
    """The position once an exit execution is taken off; the last one leaves the order's reason behind.

    A first sale at target 1 that leaves something moves the rest's stop to break-even (`half_taken`). `closed` stays
    None: `PositionClosed` closes. Raises `Oversold` when more was sold than is held.
    """
    reason = order.exit_reason or ExitReason.MANUAL
    after = _reduced(position, fill.quantity, fill.price, fill.fees)
    if after.quantity:
        return msgspec.structs.replace(after, half_taken=position.half_taken or reason is ExitReason.TARGET_1)
    return msgspec.structs.replace(after, exit_reason=reason)


def position_after_settlement(position: Position, fact: ContractSettled) -> Position:
    """The position once its expired contracts were settled. Raises `Oversold` for more than is held."""
    after = _reduced(position, fact.quantity, fact.price, fact.fees)
    return msgspec.structs.replace(after, exit_reason=None if after.quantity else ExitReason.EXPIRATION)


def position_after_mark(position: Position, fact: PositionMarked) -> Position:
    """The position with the extremes of a mark that was worth keeping. An armed trail never disarms."""
    return msgspec.structs.replace(position, best=fact.best, worst=fact.worst, armed=position.armed or fact.armed)


def _reduced(position: Position, quantity: int, price: Decimal, fees: Decimal) -> Position:
    if quantity < 1 or quantity > position.quantity:
        raise Oversold(f"position {position.id}: {quantity} sold with {position.quantity} held")
    multiplier = position.contract.multiplier
    sold = position.sold + quantity
    proceeds = position.proceeds + price * quantity * multiplier
    return msgspec.structs.replace(
        position,
        quantity=position.quantity - quantity,
        sold=sold,
        proceeds=proceeds,
        fees=position.fees + fees,
        average_exit=average_price(proceeds / multiplier, sold),
    )


def _risk(ticket: Ticket, bought: int, entry: Decimal) -> Decimal:
    if ticket.sizing is not None and ticket.sizing.loss_per_contract > 0:
        return money(ticket.sizing.loss_per_contract * bought)
    if ticket.max_loss > 0:
        return money(ticket.max_loss * bought / ticket.quantity)
    return money(entry * bought * ticket.contract.multiplier)
