"""Answer: a person (or a policy) says yes, no, close, cancel, halt. Every refusal says why, with its numbers."""

from __future__ import annotations

from engine.domain import events as ev
from engine.domain.commands import (
    Approve,
    CancelOrder,
    ClosePosition,
    Command,
    Done,
    HaltTrading,
    OpenTicket,
    Override,
    Reject,
    ResumeTrading,
    SettleOrder,
)
from engine.domain.entities import Ticket
from engine.domain.values import (
    Code,
    Direction,
    ExitReason,
    OrderState,
    OrderType,
    Purpose,
    Refusal,
    TicketState,
    refuse,
)
from engine.journey import approving, entering, exiting, settling
from engine.journey.clockwork import equity_now
from engine.journey.ordering import closing_orders
from engine.journey.step import Step
from engine.risk.kill_switch import resume


def answer(step: Step, command: Command) -> Done:
    match command:
        case Approve():
            return _approve(step, command)
        case Reject():
            return _reject(step, command)
        case Override():
            return _override(step, command)
        case OpenTicket():
            return _open_ticket(step, command)
        case ClosePosition():
            return _close(step, command)
        case CancelOrder():
            return _cancel(step, command)
        case SettleOrder():
            return settling.settle(step, command)
        case HaltTrading():
            return _halt(step, command)
        case ResumeTrading():
            return _resume(step, command)
        case _:
            raise TypeError(f"{type(command).__name__} is not a command of the desk")


def target_of(command: Command) -> str:
    """What a command was about, for the ledger's note of a refusal."""
    for name in ("ticket", "decision", "position", "order", "contract"):
        value = getattr(command, name, None)
        if value is not None:
            return str(value)
    return ""


def reason_of(command: Command) -> str:
    """What the person wrote; empty where nothing was. The reason of a close is a code, and no words of a person's."""
    reason = getattr(command, "reason", "")
    return reason if isinstance(reason, str) and not isinstance(reason, ExitReason) else ""


def _no(refusal: Refusal) -> Done:
    return Done(ok=False, refusal=refusal)


def _approve(step: Step, command: Approve) -> Done:
    ticket = step.state.tickets.get(command.ticket)
    if ticket is None:
        return _no(refuse(Code.TICKET_UNKNOWN, ticket=command.ticket))
    changed = (command.quantity is not None and command.quantity != ticket.quantity) or command.limit is not None
    if changed and not command.reason.strip():
        return _no(refuse(Code.REASON_MISSING, ticket=ticket.id))
    if command.quantity is not None and command.quantity < 1:
        return _no(refuse(Code.BAD_QUANTITY, quantity=command.quantity))
    return approving.approve(step, ticket, command.by, command.quantity, command.limit, command.reason)


def approve_by_policy(step: Step, ticket: Ticket) -> Done:
    """The engine's own yes, where the policy allows it."""
    return approving.approve(step, ticket, approving.POLICY, None, None, "")


def _reject(step: Step, command: Reject) -> Done:
    ticket = step.state.tickets.get(command.ticket)
    if ticket is None:
        return _no(refuse(Code.TICKET_UNKNOWN, ticket=command.ticket))
    if ticket.state is not TicketState.PENDING:
        return _no(refuse(Code.TICKET_CLOSED, ticket=ticket.id, state=ticket.state.value))
    fact = step.emit(
        ev.TicketRejected, cause=int(ticket.id[1:]), ticket=ticket.id, by=command.by, reason=command.reason
    )
    return Done(ok=True, seq=fact.seq)


def _override(step: Step, command: Override) -> Done:
    """Execute what the engine would not. The decision stays what it was; the override stands beside it."""
    if not command.reason.strip():
        return _no(refuse(Code.REASON_MISSING, decision=command.decision))
    board = next((b for b in step.state.boards.values() if b.decision_seq == command.decision), None)
    if board is None or board.decision is None:
        return _no(refuse(Code.DECISION_UNKNOWN, decision=command.decision))
    direction = board.decision.direction or board.decision.leaning
    if command.direction is not None:
        if command.direction not in Direction.__members__:
            return _no(refuse(Code.BAD_FIELD, "direction", direction=command.direction))
        direction = Direction(command.direction)
    if direction is None:
        return _no(refuse(Code.DECISION_UNKNOWN, decision=command.decision, direction="none"))
    if command.quantity is not None and command.quantity < 1:
        return _no(refuse(Code.BAD_QUANTITY, quantity=command.quantity))
    changes = {"verdict": f"{board.decision.verdict.value} to EXECUTE", "direction": direction.value}
    if command.quantity is not None:
        changes["quantity"] = str(command.quantity)
    fact = step.emit(
        ev.DecisionOverridden,
        cause=command.decision,
        decision=command.decision,
        by=command.by,
        reason=command.reason,
        changes=changes,
    )
    return entering.enter_override(step, board, direction, command, fact.seq)


def _open_ticket(step: Step, command: OpenTicket) -> Done:
    if not command.reason.strip():
        return _no(refuse(Code.REASON_MISSING, contract=command.contract))
    if command.quantity < 1:
        return _no(refuse(Code.BAD_QUANTITY, quantity=command.quantity))
    contract = step.world.quotes.find(command.contract)
    if contract is None:
        return _no(refuse(Code.NO_MARKET_DATA, contract=command.contract))
    return entering.enter_manual(step, contract, command)


def _close(step: Step, command: ClosePosition) -> Done:
    position = step.state.open_positions.get(command.position)
    if position is None:
        return _no(refuse(Code.POSITION_UNKNOWN, position=command.position))
    if command.quantity is not None and not 1 <= command.quantity <= position.quantity:
        return _no(refuse(Code.BAD_QUANTITY, quantity=command.quantity, held=position.quantity))
    quantity = position.quantity if command.quantity is None else command.quantity
    working = next(iter(closing_orders(step, position)), None)
    if working is not None and (quantity > working.remaining or working.type is not OrderType.MARKETABLE):
        # It works slower or smaller than what is wanted now: taken back first, the rest follows at the broker's word.
        step.take_back(working.id)
        step.live.wishes[position.id] = command.reason
        return Done(ok=True, created=working.id)
    return exiting.close(step, position, quantity, command.reason, cause=int(position.id[1:]))


def _cancel(step: Step, command: CancelOrder) -> Done:
    order = step.state.open_orders.get(command.order)
    if order is None:
        return _no(refuse(Code.ORDER_UNKNOWN, order=command.order))
    if order.state is OrderState.APPROVED:
        fact = step.emit(
            ev.OrderCancelled, cause=int(order.id[1:]), order=order.id, reason="taken back before it was sent"
        )
        return Done(ok=True, created=order.id, seq=fact.seq)
    step.take_back(order.id)
    return Done(ok=True, created=order.id)


def _halt(step: Step, command: HaltTrading) -> Done:
    """Blocks entries, cancels working entries, rejects waiting entry tickets; exits and cancels always pass."""
    halt = step.state.halt
    cause: int | None = None
    if halt is None or not halt.latched or (command.flatten and not halt.flatten):
        reason = command.reason or "halted by hand"
        cause = step.emit(ev.TradingHalted, by=command.by, reason=reason, flatten=command.flatten).seq
    take_back_entries(step, command.by, cause)
    exiting.flatten(step)
    return Done(ok=True, seq=cause)


def take_back_entries(step: Step, by: str, cause: int | None) -> None:
    """No entry goes on once trading is halted: working ones are cancelled, waiting tickets rejected."""
    for order in list(step.state.open_orders.values()):
        if order.purpose is Purpose.ENTRY:
            step.take_back(order.id)
    for ticket in list(step.state.pending_tickets.values()):
        if ticket.purpose is Purpose.ENTRY:
            step.emit(ev.TicketRejected, cause=cause, ticket=ticket.id, by=by, reason="trading halted")


def _resume(step: Step, command: ResumeTrading) -> Done:
    assert step.state.account is not None, "an account is opened before anybody speaks"
    if step.live.behind is not None:
        return _no(step.live.behind)
    released = resume(step.state.halt, step.state.account, equity_now(step), command.by, command.reason, step.now)
    if isinstance(released, Refusal):
        return _no(released)
    fact = step.emit(
        ev.TradingResumed,
        by=command.by,
        reason=command.reason,
        accepted_drawdown=released.accepted_drawdown,
        accepted_peak=released.accepted_peak,
    )
    return Done(ok=True, seq=fact.seq)
