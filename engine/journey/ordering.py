"""Order: intents that become durable before anything is sent, and the broker's word about them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.domain import events as ev
from engine.domain.entities import Order, Position, Ticket
from engine.domain.values import (
    Bucket,
    Code,
    ExitReason,
    Greeks,
    OptionContract,
    OrderState,
    OrderType,
    Purpose,
    Quote,
    Refusal,
    Side,
    TimeInForce,
    refuse,
)
from engine.exits.monitor import ask_again
from engine.journey.step import Send, Step, Submit
from engine.orders.oms import is_news
from engine.portfolio.attribution import closing
from engine.ports import Accepted, BrokerReport, Cancelled, Expired, Filled, Rejected
from engine.pricing.contract import greeks_of
from engine.pricing.time import expiry_moment


@dataclass(frozen=True, slots=True)
class Intent:
    contract: OptionContract
    side: Side
    quantity: int
    limit: Decimal | None
    purpose: Purpose
    type: OrderType = OrderType.MARKETABLE
    ticket: str | None = None
    position: str | None = None
    exit_reason: ExitReason | None = None


def intend(step: Step, cause: int, intent: Intent) -> Order:
    """The intent is a fact with our own id; it is sent when that fact is durable."""
    order = step.next_id("O")
    step.emit(
        ev.OrderIntended,
        cause=cause,
        order=order,
        contract=intent.contract,
        side=intent.side,
        quantity=intent.quantity,
        type=intent.type,
        limit=intent.limit,
        tif=TimeInForce.DAY,
        purpose=intent.purpose,
        ticket=intent.ticket,
        position=intent.position,
        exit_reason=intent.exit_reason,
    )
    step.effects.append(Send(order))
    return step.state.orders[order]


def submitted(step: Step, order_id: str, broker: str) -> bool:
    """Note that a durable intent is handed over; False if it was cancelled or halted in between.

    A broker outside this process gets it only when this note is durable, too (`handed`). While the line to it is not
    ready an exit waits where it is, and goes first afterwards.
    """
    order = step.state.orders[order_id]
    if order.state is not OrderState.APPROVED:
        return False
    if order.purpose is Purpose.ENTRY:
        why_not = _not_any_more(step, order)
        if why_not:
            step.emit(ev.OrderCancelled, cause=order_seq(order_id), order=order_id, reason=why_not)
            return False
    elif not ready(step):
        return False
    step.emit(ev.OrderSubmitted, cause=order_seq(order_id), order=order_id, broker=broker)
    if step.live.far is None:
        return True
    step.live.handing[order_id] = None
    step.effects.append(Submit(order_id))
    return False


def handed(step: Step, order_id: str) -> bool:
    """The order goes to the broker now; False when it must not any more, or, for an exit, not yet."""
    if order_id not in step.live.handing:
        return False
    order = step.state.orders[order_id]
    why_not = _not_any_more(step, order) if order.purpose is Purpose.ENTRY else ""
    if order_id in step.live.taken_back:
        why_not = "taken back before it was sent"
    if why_not:
        never_sent(step, order, why_not)
        return False
    if not ready(step):
        return False
    del step.live.handing[order_id]
    step.live.handed[order_id] = step.monotonic
    return True


def withdrawn(step: Step, order_id: str) -> bool:
    """A cancel is about to go out. True when the order never went: then it is over here, and the broker is not asked."""
    order = step.state.orders.get(order_id)
    waits = order_id in step.live.handing
    if step.live.far is None or order is None or not (waits or order.state is OrderState.APPROVED):
        return False
    never_sent(step, order, "taken back before it was sent")
    return True


def never_sent(step: Step, order: Order, why: str) -> None:
    """An order that the broker certainly never saw is over."""
    step.live.handing.pop(order.id, None)
    if order.state.is_open:
        step.emit(ev.OrderCancelled, cause=order_seq(order.id), order=order.id, reason=why)
        if order.purpose is Purpose.EXIT:
            let_ask_again(step, order.position, order.exit_reason)


def ready(step: Step) -> bool:
    """Orders may be sent: the broker is in this process, or the line to it is up and its books were read."""
    if step.live.far is None:
        return True
    return step.live.met is not None and step.state.link is not None and step.state.link.ready


def may_reprice(step: Step, order: Order) -> bool:
    """A new price would reach it: it works, as far as we know, and is not only waiting to go."""
    if step.live.far is None:
        return True
    return ready(step) and order.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED)


def no_new_risk(step: Step) -> Refusal | None:
    """Why no risk is added now: the ledger is behind, or the broker is away, or its books were not read since."""
    if step.live.behind is not None:
        return step.live.behind
    if ready(step):
        return None
    link = step.state.link
    line = "no line" if link is None or not link.connected else "books not read"
    since = link.since.isoformat() if link is not None else "never"
    assert step.live.far is not None, "a broker in this process is always ready"
    return refuse(Code.BROKER_AWAY, broker=step.live.far.name, line=line, since=since)


def _not_any_more(step: Step, order: Order) -> str:
    """Why an entry is not sent although it was approved: its commit took so long that it is another trade by now."""
    if step.live.behind is not None:
        return "the ledger is behind"
    if not ready(step):
        return "the broker is away"
    halt = step.state.halt
    if halt is not None and halt.latched:
        return "halted before it was sent"
    ticket = step.state.tickets.get(order.ticket) if order.ticket is not None else None
    if ticket is not None and (step.now - order.created).total_seconds() >= entry_life(step, ticket):
        return "too late to send"
    session = step.world.calendar.session_at(step.now)
    if session is None or not session.open <= step.now < session.close:
        return "the session is over"
    return ""


def reported(step: Step, report: BrokerReport) -> None:
    """A broker's word about an order. What it says becomes facts; from a broker in this process a word about an order
    that is not ours is an error."""
    order = step.state.orders.get(report.order)
    if order is None:
        raise LookupError(f"the broker spoke of order {report.order}, which we do not know")
    cause = order_seq(order.id)
    if not is_news(order, report):
        return
    step.live.handed.pop(order.id, None)
    match report:
        case Accepted():
            step.emit(ev.OrderAccepted, cause=cause, order=order.id)
        case Filled():
            filled(step, order, report)
        case Cancelled(reason=reason):
            step.emit(ev.OrderCancelled, cause=cause, order=order.id, reason=reason)
        case Rejected(refusal=refusal):
            step.emit(ev.OrderRejected, cause=cause, order=order.id, refusal=refusal)
        case Expired():
            step.emit(ev.OrderExpired, cause=cause, order=order.id)
    if order.purpose is Purpose.EXIT and isinstance(report, Cancelled | Rejected | Expired):
        let_ask_again(step, order.position, order.exit_reason)


def let_ask_again(step: Step, position: str | None, reason: ExitReason | None) -> None:
    """An exit that was asked for or sent came to nothing: its rule may speak again while its condition holds."""
    confirmation = step.live.confirmations.get(position) if position is not None else None
    if position is not None and confirmation is not None and reason is not None:
        step.live.confirmations[position] = ask_again(confirmation, reason)


def filled(step: Step, order: Order, report: Filled) -> None:
    """One execution: cash, the order, and the position that it opens, adds to, reduces or closes."""
    underlying = step.world.quotes.underlying(order.contract.symbol)
    spot = underlying.mid if underlying is not None else None
    fact = step.emit(
        ev.OrderFilled,
        cause=order_seq(order.id),
        order=order.id,
        execution=report.execution,
        quantity=report.quantity,
        price=report.price,
        fees=report.fees,
        slippage=report.slippage,
        quote=report.quote,
        underlying=spot,
        greeks=greeks_now(step, order.contract, report.quote, spot),
        position=position_of(step, order),
    )
    position = step.state.positions[fact.position]
    if position.quantity == 0:
        close_books(step, position.id, fact.seq)


def position_of(step: Step, order: Order) -> str:
    """The position an execution belongs to: an exit names it; an entry gives birth to one and then adds to it."""
    if order.position is not None:
        return order.position
    for position in step.state.positions.values():
        if position.ticket == order.ticket:
            return position.id
    return step.next_id("P")


def greeks_now(step: Step, contract: OptionContract, quote: Quote, spot: Decimal | None) -> Greeks | None:
    mid = quote.mid
    if mid is None or spot is None:
        return None
    expiry = expiry_moment(contract.expiry, step.world.calendar)
    return greeks_of(contract, mid, spot, step.now, expiry, step.terms(contract))


def close_books(step: Step, position_id: str, cause: int) -> None:
    """The last contract is gone: what the trade made, and why it ended."""
    position = step.state.positions[position_id]
    reason = position.exit_reason or ExitReason.MANUAL
    summary = closing(position)
    step.emit(
        ev.PositionClosed,
        cause=cause,
        position=position.id,
        reason=reason,
        gross=summary.gross,
        fees=position.fees,
        net=summary.net,
        r=summary.r,
        average_exit=summary.average_exit,
        held_seconds=(step.now - position.opened).total_seconds(),
        best=summary.best,
        worst=summary.worst,
        attribution=summary.attribution,
    )
    for ticket in list(step.state.pending_tickets.values()):
        if ticket.position == position.id:  # nothing is left to ask about
            step.emit(ev.TicketExpired, cause=cause, ticket=ticket.id)
    step.live.marks.pop(position.id, None)
    step.live.confirmations.pop(position.id, None)
    step.live.marked.pop(position.id, None)
    step.live.exposures.pop(position.id, None)


def entry_life(step: Step, ticket: Ticket) -> float:
    """Seconds an approved entry may rest before what is left of it is taken back."""
    approvals = step.settings.approvals
    if ticket.bucket is Bucket.ZERO_DTE:
        return approvals.life_0dte
    return approvals.life_longer if ticket.bucket is Bucket.LONGER else approvals.life_weekly


def has_expired(step: Step, contract: OptionContract) -> bool:
    """The close of its last session has come: nothing is decided about it any more but its settlement."""
    return expiry_moment(contract.expiry, step.world.calendar) <= step.now


def closing_orders(step: Step, position: Position) -> list[Order]:
    """Exit orders of a position that may still fill."""
    return [
        order
        for order in step.state.open_orders.values()
        if order.purpose is Purpose.EXIT and order.position == position.id
    ]


def order_seq(order_id: str) -> int:
    """Seq of the fact an order was born from."""
    return int(order_id[1:])
