"""What each fact is found by, told by the fold: facts that name an order or a position are found by its symbol, too.

Called behind the ledger, never on a signal's way. Pure: the state it is given has folded the fact already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from engine.domain import events as ev
from engine.domain.entities import Order, Position, Ticket
from engine.domain.events import AnyFact
from engine.domain.findable import Findable, words_in
from engine.domain.values import OptionContract, Refusal
from engine.operations.story import words_of
from engine.ports import Change
from engine.state import State

MANUAL = "manual"


class Fold:
    """The fold of facts with what each is found by: what follows a ledger and what looks at a past state needs."""

    def __init__(self) -> None:
        self.state = State()

    def load(self, rows: Iterable[tuple[str, str, bytes]], seq: int, at: datetime | None) -> None:
        """Begin with the projection rows after fact `seq`."""
        self.state = State.load(rows, seq, at)

    def apply(self, fact: AnyFact) -> Sequence[Change]:
        """Fold a fact; the rows it changed."""
        self.state.apply(fact)
        return self.state.drain()

    def finding(self, fact: AnyFact) -> Findable:
        """What a fact that was just folded is found by."""
        return finding(fact, self.state)


def finding(fact: AnyFact, state: State) -> Findable:
    """What `fact` is found by."""
    ticket, order, position = _things(fact, state)
    contract = _contract(fact, ticket, order, position)
    symbol = _symbol(fact) or (contract.symbol if contract is not None else None)
    refusal = getattr(fact, "refusal", None)
    reason = refusal.code.value if isinstance(refusal, Refusal) else None
    decision = outcome = None
    if isinstance(fact, ev.DecisionMade):
        decision = fact.decision.verdict.value
    elif isinstance(fact, ev.PositionClosed):
        outcome = "WIN" if fact.net > 0 else "LOSS" if fact.net < 0 else "FLAT"
        reason = fact.reason.value
    elif isinstance(fact, ev.ExitTriggered):
        reason = fact.reason.value
    elif isinstance(fact, ev.OrderIntended) and fact.exit_reason is not None:
        reason = fact.exit_reason.value
    names = [value for value in (_id(fact, name) for name in ("ticket", "order", "position", "execution")) if value]
    opened = getattr(fact, "ticket", None)
    if isinstance(opened, Ticket):
        names.append(opened.id)
    labels = [contract.label, contract.osi] if contract is not None else []
    return Findable(
        symbol=symbol,
        decision=decision,
        strategy=_strategy(fact, ticket),
        outcome=outcome,
        reason=reason,
        words=words_in(
            fact.kind, symbol or "", reason or "", outcome or "", *names, *labels, words_of(fact), *_said(fact)
        ),
    )


def _things(fact: AnyFact, state: State) -> tuple[Ticket | None, Order | None, Position | None]:
    position = state.positions.get(_id(fact, "position"))
    order = state.orders.get(_id(fact, "order"))
    named = _id(fact, "ticket") or (order.ticket if order is not None else None)
    named = named or (position.ticket if position is not None else None)
    return (state.tickets.get(named) if named else None), order, position


def _contract(
    fact: AnyFact, ticket: Ticket | None, order: Order | None, position: Position | None
) -> OptionContract | None:
    own = getattr(fact, "contract", None)
    if isinstance(own, OptionContract):
        return own
    for thing in (order, position, ticket):
        if thing is not None:
            return thing.contract
    opened = getattr(fact, "ticket", None)
    return opened.contract if isinstance(opened, Ticket) else None


def _symbol(fact: AnyFact) -> str | None:
    for part in (fact, *(getattr(fact, name, None) for name in ("signal", "phase", "trend", "notice", "ticket"))):
        symbol = getattr(part, "symbol", None)
        if isinstance(symbol, str) and symbol:
            return symbol
    inner = getattr(getattr(fact, "active", None), "signal", None) or getattr(fact, "active", None)
    symbol = getattr(inner, "symbol", None)
    return symbol if isinstance(symbol, str) else None


def _strategy(fact: AnyFact, ticket: Ticket | None) -> str | None:
    receipt = getattr(fact, "receipt", None)
    if isinstance(receipt, ev.Receipt):
        return receipt.door
    if isinstance(fact, ev.DecisionOverridden):
        return MANUAL
    opened = getattr(fact, "ticket", None)
    ticket = opened if isinstance(opened, Ticket) else ticket
    if ticket is None:
        return None
    return MANUAL if ticket.trigger is None else "webhook"


def _id(fact: AnyFact, name: str) -> str:
    value = getattr(fact, name, None)
    return value if isinstance(value, str) else ""


def _said(fact: AnyFact) -> list[str]:
    """What a person or a rule wrote, and who."""
    return [
        value
        for name in ("by", "rule", "stage", "command", "target")
        if isinstance(value := getattr(fact, name, None), str)
    ]
