"""The broker's line as a fold: connected or not, our books agreed with its own or not. Called by the fold of facts.

There is a line only to a broker outside this process; the paper broker has none and is always there.
"""

from __future__ import annotations

import msgspec

from engine.domain.entities import BrokerLink
from engine.domain.events import (
    BrokerConnected,
    BrokerDisconnected,
    BrokerReconciled,
    ForeignExecutionSeen,
    ForeignOrderSeen,
)
from engine.domain.values import Side

LinkFact = BrokerDisconnected | BrokerConnected | BrokerReconciled | ForeignOrderSeen | ForeignExecutionSeen

REMEMBERED = 500
"""Foreign orders and executions that are known again; the facts of older ones stay in the ledger."""


def link_after(link: BrokerLink | None, fact: LinkFact) -> BrokerLink:
    """The line once `fact` has happened. Only a connection is ever reconciled, and each is anew."""
    match fact:
        case BrokerDisconnected(broker=broker, reason=reason):
            return BrokerLink(
                broker=broker,
                connected=False,
                reconciled=False,
                since=fact.at,
                changed=fact.seq,
                reason=reason,
                foreign=link.foreign if link is not None else (),
            )
        case BrokerConnected(broker=broker):
            return BrokerLink(
                broker=broker,
                connected=True,
                reconciled=False,
                since=fact.at,
                changed=fact.seq,
                foreign=link.foreign if link is not None else (),
            )
    if link is None:
        raise ValueError(f"{fact.kind} of a broker that was never connected")
    match fact:
        case BrokerReconciled():
            return link if link.reconciled else msgspec.structs.replace(link, reconciled=True, since=fact.at)
        case ForeignOrderSeen():
            key = order_key(fact.broker_id, fact.order, fact.what, fact.side, fact.quantity)
        case ForeignExecutionSeen():
            key = fact.execution
    return msgspec.structs.replace(link, foreign=(*link.foreign, key)[-REMEMBERED:])


def order_key(broker_id: str, order: str, what: str, side: Side, quantity: int) -> str:
    """What tells one foreign order from another: all of it, for the broker's id alone may be given out again."""
    return f"{broker_id}/{order}/{what}/{side}/{quantity}"
