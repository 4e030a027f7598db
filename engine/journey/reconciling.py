"""Reconcile: what a broker outside this process says of its line and shows in its books, and what becomes of our orders.

UNKNOWN is left only by evidence (or, where the books cannot tell, by a person: `settling`). When the line breaks, whatever
is at the broker is in doubt; when it is back, the books are read before anything is sent; exits that waited go first. An exit
that is said to be over is in doubt until the books agree: a fill may still be on its way, and a second exit would sell what is
gone already.
"""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from engine.domain import events as ev
from engine.domain.entities import Order, Position
from engine.domain.values import Code, OrderState, OrderType, Purpose, Quote, Side, refuse
from engine.journey import exiting, ordering
from engine.journey.step import Cancel, Send, Step, Submit
from engine.orders.link import order_key
from engine.orders.oms import BY_HAND, is_news
from engine.orders.reconcile import (
    NEVER_OURS,
    TOLD,
    TOO_MUCH,
    Adopt,
    Asked,
    Beyond,
    Doubtful,
    Finding,
    ForeignExecution,
    ForeignOrder,
    Found,
    Missing,
    Over,
    Reappeared,
    Surplus,
    Waiting,
    findings,
    named,
)
from engine.ports import (
    Accepted,
    BrokerExecution,
    BrokerOrder,
    BrokerReport,
    BrokerWord,
    Cancelled,
    Disconnected,
    Evidence,
    Expired,
    Filled,
    ForeignFilled,
    Reconnected,
    Rejected,
)
from engine.risk.kill_switch import ENGINE

NOT_HELD = "sold more than is held"
MISFITS = frozenset({TOO_MUCH, NEVER_OURS, NOT_HELD, TOLD})
"""What can only be when the broker and we disagree about an order of ours: trading stops until a person has looked."""


# --- what is said --------------------------------------------------------------------------------------------------


def begin(step: Step) -> None:
    """A process begins: what was sent before it is in doubt, until it has met the broker and read its books."""
    if step.live.far is not None and step.live.met is None:
        disconnected(step, "the engine started")


def heard(step: Step, word: BrokerWord) -> None:
    """Any word of a broker outside this process."""
    match word:
        case Disconnected(reason=reason):
            disconnected(step, reason)
        case Reconnected(data_lost=data_lost):
            connected(step, data_lost)
        case ForeignFilled(execution=execution):
            _spoken_of(step, execution.order)
            _foreign_execution(step, execution, "not ours")
        case BrokerReport():
            _reported(step, word)


def disconnected(step: Step, reason: str) -> None:
    """The line is broken: what is at the broker, or was on its way, is in doubt."""
    assert step.live.far is not None, "only a broker outside this process has a line"
    step.emit(ev.BrokerDisconnected, broker=step.live.far.name, reason=reason)
    step.live.beyond = frozenset()
    _doubt_all(step, reason)


def connected(step: Step, data_lost: bool) -> None:
    """The line is there. Where nobody said that it was broken, words may be lost all the same."""
    assert step.live.far is not None, "only a broker outside this process has a line"
    if step.state.link is None or step.state.link.connected:
        disconnected(step, "the line was made anew")
    elif step.live.met is None:
        _doubt_all(step, "the engine started")
    if step.live.met is None:
        step.live.met = step.monotonic
    step.live.ask = True
    step.emit(ev.BrokerConnected, broker=step.live.far.name, data_lost=data_lost)


def _doubt_all(step: Step, reason: str) -> None:
    for order in list(step.state.open_orders.values()):
        if order.id not in step.live.handing:
            _doubt(step, order, reason)


def _doubt(step: Step, order: Order, reason: str) -> None:
    if order.state in (OrderState.SUBMITTING, OrderState.WORKING, OrderState.PARTIALLY_FILLED):
        step.emit(ev.OrderDoubted, cause=ordering.order_seq(order.id), order=order.id, reason=reason)
        step.live.ask = True


def _spoken_of(step: Step, order: str) -> None:
    """Any word of an order, even one that was heard before: for a person it is again too early."""
    step.live.ask |= order in step.live.beyond
    step.note_change(order)


def _reported(step: Step, report: BrokerReport) -> None:
    _spoken_of(step, report.order)
    order = step.state.orders.get(report.order)
    if order is None:
        step.live.ask = True  # the books say whose it is
        return
    if isinstance(report, Filled):
        _executed(step, order, report)
    elif order.state is OrderState.UNKNOWN and isinstance(report, Accepted):
        step.live.ask = True  # it may be from before the doubt
    elif order.purpose is Purpose.EXIT and isinstance(report, Cancelled | Rejected | Expired):
        if is_news(order, report):
            _doubt(step, order, _said(report))
            step.live.ask = True
    else:
        ordering.reported(step, report)


def _said(report: BrokerReport) -> str:
    match report:
        case Cancelled(reason=reason):
            return f"said to be cancelled: {reason}"
        case Rejected(refusal=refusal):
            return f"said to be rejected: {refusal.text}"
        case _:
            return "said to be expired"


def _executed(step: Step, order: Order, report: Filled) -> None:
    """An execution counts once, whichever order it is said to belong to this time."""
    if any(report.execution in other.executions for other in step.state.orders.values()):
        return
    why = _misfit(step, order, report.quantity)
    if why:
        execution = BrokerExecution(
            execution=report.execution,
            order=order.id,
            at=report.at,
            what=order.contract.osi,
            side=order.side,
            quantity=report.quantity,
            price=report.price,
            fees=report.fees,
        )
        _foreign_execution(step, execution, why)
        return
    step.live.handed.pop(order.id, None)
    ordering.filled(step, order, report)


def _misfit(step: Step, order: Order, quantity: int) -> str:
    if order.state is OrderState.DENIED:
        return NEVER_OURS
    if any(known.startswith(BY_HAND) for known in order.executions):
        return TOLD
    if quantity < 1 or quantity > order.remaining:
        return TOO_MUCH
    if order.side is Side.SELL:
        position = step.state.positions.get(order.position or "")
        if position is None or quantity > position.quantity:
            return NOT_HELD
    return ""


# --- what is asked -------------------------------------------------------------------------------------------------


def tend(step: Step) -> None:
    """Orders that were handed over and got no word for longer than they can be on their way are in doubt."""
    if step.live.far is None:
        return
    for key, at in list(step.live.handed.items()):
        order = step.state.orders.get(key)
        if order is None or order.state is not OrderState.SUBMITTING:
            del step.live.handed[key]
        elif step.monotonic - at >= step.live.far.settle:
            _doubt(step, order, "no word of it")


def question(step: Step, wanted: bool) -> Asked | None:
    """What the broker's books are asked for now; None when nothing is in doubt and they are not `wanted` otherwise, or
    when nobody could be asked."""
    link, met = step.state.link, step.live.met
    if step.live.far is None or met is None or link is None or not link.connected:
        return None
    doubted = any(order.state is OrderState.UNKNOWN for order in step.state.open_orders.values())
    if link.reconciled and not doubted and not wanted:
        return None
    return Asked(
        orders=dict(step.state.orders),
        waited={key: _waited(step, key, met) for key in step.state.open_orders},
        withheld=frozenset(step.live.handing),
        line=link.changed,
    )


def _waited(step: Step, order: str, met: float) -> float:
    """Seconds since an order was handed over, changed or was spoken of. What an earlier process did with it has no reading here: for
    that the wait begins when this one met the broker."""
    return step.monotonic - max(met, step.live.changed.get(order, met), step.live.handed.get(order, met))


def reconciled(step: Step, asked: Asked, evidence: Evidence) -> None:
    """The books were read: executions are adopted, doubts settled, and what waited is sent."""
    link, met = step.state.link, step.live.met
    assert link is not None, "who was asked was connected"
    assert met is not None, "and it was met"
    assert step.live.far is not None, "who was asked is outside this process"
    same_line = link.connected and link.changed == asked.line
    adopted = 0
    lost: list[Order] = []
    settled = False
    beyond: set[str] = set()
    for finding in findings(step.state.orders, asked, evidence, step.live.far.settle, same_line=same_line):
        adopted += isinstance(finding, Adopt)
        settled |= isinstance(finding, Found | Over | Missing)
        if isinstance(finding, Missing) and step.state.orders[finding.order].purpose is Purpose.EXIT:
            lost.append(step.state.orders[finding.order])
        # What was spoken of since the books were asked for may be younger than they are.
        if isinstance(finding, Beyond) and _waited(step, finding.order, met) >= step.live.far.settle:
            beyond.add(finding.order)
        _apply(step, finding)
    whole = same_line and evidence.complete
    step.live.beyond = frozenset(beyond) if whole else step.live.beyond - named(evidence)
    if same_line and evidence.complete and (not link.reconciled or adopted or settled):
        doubts = [o.id for o in step.state.open_orders.values() if o.state is OrderState.UNKNOWN]
        step.emit(ev.BrokerReconciled, broker=link.broker, adopted=adopted, unresolved=tuple(doubts))
        if not link.reconciled:
            _release(step)
    for order in lost:
        _anew(step, order)


def _apply(step: Step, finding: Finding) -> None:
    orders = step.state.orders
    match finding:
        case Adopt(execution=execution):
            _executed(step, orders[execution.order], _as_word(execution))
        case Found(order=key):
            step.live.handed.pop(key, None)
            step.emit(ev.OrderAccepted, cause=ordering.order_seq(key), order=key)
        case Over(order=key, state=state, reason=reason):
            over(step, orders[key], state, reason)
        case Missing(order=key, reason=reason):
            over(step, orders[key], OrderState.CANCELLED, reason)
        case Doubtful(order=key, why=why):
            _doubt(step, orders[key], why)
        case Waiting():
            pass
        case Reappeared(order=key):
            was = orders[key].state.value
            step.emit(ev.OrderReappeared, cause=ordering.order_seq(key), order=key, was=was)
            step.effects.append(Cancel(key))
        case Surplus(order=key, seen=seen, why=why):
            _foreign_order(step, seen, why)
            step.effects.append(Cancel(key))
        case ForeignOrder(seen=seen, why=why):
            _foreign_order(step, seen, why)
        case ForeignExecution(seen=seen, why=why):
            _foreign_execution(step, seen, why)
        case _:
            assert_never(finding)


def over(step: Step, order: Order, state: OrderState, reason: str) -> None:
    """It has ended so; an exit's rule may ask again."""
    if not order.state.is_open:
        return  # an execution of the same books filled it
    step.live.handed.pop(order.id, None)
    cause = ordering.order_seq(order.id)
    if state is OrderState.REJECTED:
        refusal = refuse(Code.BROKER_REJECTED, reason=reason)
        step.emit(ev.OrderRejected, cause=cause, order=order.id, refusal=refusal)
    elif state is OrderState.EXPIRED:
        step.emit(ev.OrderExpired, cause=cause, order=order.id)
    else:
        step.emit(ev.OrderCancelled, cause=cause, order=order.id, reason=reason or "cancelled")
    if order.purpose is Purpose.EXIT:
        ordering.let_ask_again(step, order.position, order.exit_reason)


def _as_word(execution: BrokerExecution) -> Filled:
    """An execution of the books as if it had been said: nobody knows the quote it met."""
    return Filled(
        order=execution.order,
        at=execution.at,
        execution=execution.execution,
        quantity=execution.quantity,
        price=execution.price,
        fees=execution.fees,
        slippage=Decimal(0),
        quote=Quote(bid=None, ask=None, at=execution.at, source="books"),
    )


def _foreign_order(step: Step, seen: BrokerOrder, why: str) -> None:
    link = step.state.link
    key = order_key(seen.broker_id, seen.order, seen.what, seen.side, seen.quantity)
    if link is None or key in link.foreign:
        return
    step.emit(
        ev.ForeignOrderSeen,
        broker_id=seen.broker_id,
        order=seen.order,
        what=seen.what,
        side=seen.side,
        quantity=seen.quantity,
        filled=seen.filled,
        why=why,
    )


def _foreign_execution(step: Step, seen: BrokerExecution, why: str) -> None:
    """Recorded, once, and not traded. One that an order of ours cannot explain halts trading: somebody is wrong."""
    link = step.state.link
    if link is None or seen.execution in link.foreign:
        return
    fact = step.emit(
        ev.ForeignExecutionSeen,
        execution=seen.execution,
        order=seen.order,
        what=seen.what,
        side=seen.side,
        quantity=seen.quantity,
        price=seen.price,
        fees=seen.fees,
        executed=seen.at,
        why=why,
    )
    halt = step.state.halt
    if why in MISFITS and (halt is None or not halt.latched):
        numbers = {"execution": seen.execution, "order": seen.order, "quantity": str(seen.quantity)}
        step.emit(ev.TradingHalted, cause=fact.seq, by=ENGINE, reason=f"the broker's books: {why}", numbers=numbers)


# --- what waited ---------------------------------------------------------------------------------------------------


def _release(step: Step) -> None:
    """The line is ready. Cancels that may have been lost and exits go first; entries that wait are looked at again."""
    for order in step.state.open_orders.values():
        if order.id in step.live.taken_back:
            step.effects.append(Cancel(order.id))
    for purpose in (Purpose.EXIT, Purpose.ENTRY):
        for order in list(step.state.open_orders.values()):
            if order.purpose is not purpose:
                continue
            if order.id in step.live.handing:
                _price_anew(step, order)
                step.effects.append(Submit(order.id))
            elif order.state is OrderState.APPROVED:
                _price_anew(step, order)
                step.effects.append(Send(order.id))


def _price_anew(step: Step, order: Order) -> None:
    """An exit that waited goes out at the price of now."""
    quote = step.world.quotes.option(order.contract)
    if order.purpose is not Purpose.EXIT or order.type is not OrderType.MARKETABLE or quote is None:
        return
    limit = exiting.worst(quote, order.attempts)
    if limit != order.limit:
        cause = ordering.order_seq(order.id)
        step.emit(ev.OrderRepriced, cause=cause, order=order.id, limit=limit, attempt=order.attempts)


def _anew(step: Step, order: Order) -> None:
    """An exit that never arrived is asked for anew, for what it had left to sell."""
    position: Position | None = step.state.open_positions.get(order.position or "")
    session = step.world.calendar.session_at(step.now)
    trades = session is not None and session.open <= step.now < session.options_close
    if position is None or not position.quantity or not trades or order.exit_reason is None:
        return
    quantity = min(order.remaining, position.quantity)
    exiting.close(step, position, quantity, order.exit_reason, cause=ordering.order_seq(order.id))
