"""What the broker's books prove about our orders. Pure: orders and evidence in, findings out, in the order they are applied.

The journey asks, applies what is found and makes the facts. Rules: an execution counts once, by its id, whatever else is
said; more than one part of the books may be missing, and a missing part proves nothing; only whole books prove absence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from engine.domain.entities import Order
from engine.domain.values import OrderState
from engine.orders.oms import BY_HAND, NEVER_SENT
from engine.ports import BrokerExecution, BrokerOrder, Evidence


@dataclass(frozen=True, slots=True)
class Asked:
    """The question the evidence answers. An order that changed since then is left to the next one."""

    orders: Mapping[str, Order]
    """As they were when it was asked."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds since each open order was handed over, last changed or was last spoken of, then, by a clock that cannot
    leap."""
    withheld: frozenset[str] = frozenset()
    """Orders that were certainly not handed over when it was asked."""
    line: int = 0
    """Which connection it was asked over."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """An execution of ours that we had not heard of."""

    execution: BrokerExecution


@dataclass(frozen=True, slots=True)
class Found:
    """It works at the broker."""

    order: str


@dataclass(frozen=True, slots=True)
class Over:
    """It has ended at the broker, and all its executions are counted."""

    order: str
    state: OrderState
    reason: str


@dataclass(frozen=True, slots=True)
class Missing:
    """It is in no part of the whole books, and cannot be on its way any more: it never arrived, or is gone."""

    order: str
    reason: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The books do not fit what we have of it, and do not settle it either."""

    order: str
    why: str


@dataclass(frozen=True, slots=True)
class Beyond(Doubtful):
    """No later books can settle it: it is older than they are, works no more, and is not on its way either."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The books say nothing about it yet."""

    order: str
    why: str


@dataclass(frozen=True, slots=True)
class Reappeared:
    """It works at the broker though it is over for us."""

    order: str


@dataclass(frozen=True, slots=True)
class Surplus:
    """More works under its id than we ordered: all of it is to be taken back."""

    order: str
    seen: BrokerOrder
    why: str


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    seen: BrokerOrder
    why: str


@dataclass(frozen=True, slots=True)
class ForeignExecution:
    seen: BrokerExecution
    why: str


Finding = Adopt | Found | Over | Missing | Doubtful | Waiting | Reappeared | Surplus | ForeignOrder | ForeignExecution

NOT_OURS = "not ours"
OTHER_CONTRACT = "names an order of ours for another contract or side"
TOO_MUCH = "more than was ordered"
TOLD = "a person told what was filled of this order"
NEVER_OURS = "names an order that we never sent"


def findings(
    orders: Mapping[str, Order], asked: Asked, evidence: Evidence, settle: float, *, same_line: bool = True
) -> list[Finding]:
    """Executions first, by their time; then what the books say of each order of ours, oldest first; then what is not
    ours. `settle`: how many seconds what was handed over may be on its way. An answer that does not come over the connection
    it was asked over proves executions, and nothing else."""
    found: list[Finding] = []
    counted = {key: order.filled for key, order in orders.items()}
    known = {execution for order in orders.values() for execution in order.executions}
    for execution in sorted(evidence.executions or (), key=lambda e: (e.at, e.execution)):
        if execution.execution in known:
            continue
        known.add(execution.execution)
        order = orders.get(execution.order)
        why = misfit(order, execution, counted.get(execution.order, 0))
        if why:
            found.append(ForeignExecution(execution, why))
        else:
            counted[execution.order] += execution.quantity
            found.append(Adopt(execution))
    working, ended, strange = _sorted(orders, evidence)
    for key, order in orders.items():
        unchanged = same_line and asked.orders.get(key) is order and key not in asked.withheld
        if unchanged:
            found += _about(order, counted[key], working.get(key, []), ended.get(key, []), asked, evidence, settle)
    return found + strange


def named(evidence: Evidence) -> frozenset[str]:
    """The orders that any part of the books speaks of."""
    spoken = (evidence.open_orders, evidence.completed, evidence.executions)
    return frozenset(seen.order for part in spoken for seen in part or ())


def misfit(order: Order | None, execution: BrokerExecution, counted: int) -> str:
    """Why an execution cannot be one of this order, of which `counted` contracts are filled; empty when it can."""
    if order is None:
        return NOT_OURS
    if execution.what != order.contract.osi or execution.side is not order.side:
        return OTHER_CONTRACT
    if order.state in NEVER_SENT:
        return NEVER_OURS
    if any(known.startswith(BY_HAND) for known in order.executions):
        return TOLD
    if execution.quantity < 1 or counted + execution.quantity > order.quantity:
        return TOO_MUCH
    return ""


Books = dict[str, list[BrokerOrder]]


def _sorted(orders: Mapping[str, Order], evidence: Evidence) -> tuple[Books, Books, list[Finding]]:
    """What works and what ended by our ids, and what is not ours."""
    working: Books = {}
    ended: Books = {}
    strange: list[Finding] = []
    for part, books in ((evidence.open_orders, working), (evidence.completed, ended)):
        for seen in part or ():
            order = orders.get(seen.order)
            if order is None:
                strange.append(ForeignOrder(seen, NOT_OURS))
            elif seen.what != order.contract.osi or seen.side is not order.side:
                strange.append(ForeignOrder(seen, OTHER_CONTRACT))
            else:
                books.setdefault(seen.order, []).append(seen)
    return working, ended, strange


def _about(
    order: Order,
    counted: int,
    working: list[BrokerOrder],
    ended: list[BrokerOrder],
    asked: Asked,
    evidence: Evidence,
    settle: float,
) -> Iterator[Finding]:
    if order.state is OrderState.APPROVED or order.state in NEVER_SENT:
        for seen in working:
            yield Surplus(order.id, seen, NEVER_OURS)
        return
    over = {seen.broker_id for seen in ended}
    working = [seen for seen in working if seen.broker_id not in over]  # ended while the books were read
    if len(working) > 1:
        # A change that crossed a broken line may leave two of it: which of them fills nobody knows.
        for seen in working[1:]:
            yield Surplus(order.id, seen, "works more than once")
        if order.state.is_open:
            yield Doubtful(order.id, "works more than once")
    elif working:
        yield from _working(order, counted, working[0], sum(seen.filled for seen in working + ended))
    elif not order.state.is_open or counted == order.quantity:
        return
    elif ended:
        yield _ended(order, counted, ended, asked, evidence, settle)
    elif not evidence.complete:
        yield Waiting(order.id, "the books are not whole")
    else:
        yield _absent(order, counted, asked, evidence, settle)


def _working(order: Order, counted: int, seen: BrokerOrder, filled: int) -> Iterator[Finding]:
    if counted == order.quantity:
        if order.remaining == 0:  # else it was filled while the books were read: it worked when that was asked
            yield Surplus(order.id, seen, "works on though all of it was filled")
    elif not order.state.is_open:
        yield Reappeared(order.id)
    elif filled > counted:
        yield Doubtful(order.id, f"{filled} filled, executions of {counted}")
    elif order.state in (OrderState.UNKNOWN, OrderState.SUBMITTING):
        yield Found(order.id)


def _ended(
    order: Order, counted: int, ended: list[BrokerOrder], asked: Asked, evidence: Evidence, settle: float
) -> Finding:
    """The cancel may be confirmed while executions say filled: they win, and one that is missing is waited for."""
    last = ended[-1]
    filled = sum(seen.filled for seen in ended)
    if filled > counted or last.state is OrderState.FILLED:
        why = f"{filled} filled, executions of {counted}"
        beyond = _beyond(order, evidence) and not _may_be_under_way(order, asked, settle)
        return Beyond(order.id, why) if beyond else Doubtful(order.id, why)
    return Over(order.id, last.state, last.reason)


def _absent(order: Order, counted: int, asked: Asked, evidence: Evidence, settle: float) -> Finding:
    """What may be on its way is waited for, however old it is: an exit may wait for the line for hours before it goes."""
    if counted > order.filled:
        return Waiting(order.id, "was filled while the books were read")
    if _may_be_under_way(order, asked, settle):
        return Waiting(order.id, "may be on its way")
    if _beyond(order, evidence):
        return Beyond(order.id, f"older than the books, which begin {evidence.since.isoformat()}")
    return Missing(order.id, "not in the broker's books any more" if counted else "never arrived at the broker")


def _may_be_under_way(order: Order, asked: Asked, settle: float) -> bool:
    """It to the broker, or a word of it to us. Of what has no wait nobody knows."""
    return asked.waited.get(order.id, 0.0) < settle


def _beyond(order: Order, evidence: Evidence) -> bool:
    """Whether it may have come to the broker before the books begin, so that they cannot tell all of it.

    The last thing that is known for certain, after a restart too, is when it was noted that it is about to be handed
    over. It goes only after that. So what was noted in the time of the books was handed over in it, and its absence
    proves that nothing of it was traded: it may be sent anew. What was noted before, but went after they began, is
    taken for older than it is: a person is asked in vain, and nothing is sold twice.
    """
    noted = order.submitted or order.created
    return evidence.complete and noted < evidence.since
