"""Approve: prices are read again and every rule is asked again; only then does a ticket become an intent."""

from __future__ import annotations

from decimal import Decimal

from engine.approvals.desk import answerable, check_override, entry_limit, needs_reprice, reprice
from engine.domain import events as ev
from engine.domain.commands import Done
from engine.domain.entities import RuleVerdict, Ticket
from engine.domain.signals import ActiveSignal
from engine.domain.values import Bucket, Code, ExitReason, OrderType, Purpose, Refusal, Verdict, refuse
from engine.journey import entering, exiting
from engine.journey.booking import book_of
from engine.journey.ordering import Intent, greeks_now, intend, no_new_risk
from engine.journey.step import Step
from engine.orders.guard import closing_allowed
from engine.risk.book import Proposal
from engine.risk.guards import Guarded, contradicted, cooling_down
from engine.risk.manager import Assessment, assess

POLICY = "policy"
TICK = Decimal("0.01")
"""Dollars: the grid of a ticket's limit."""


def approve(step: Step, ticket: Ticket, by: str, quantity: int | None, limit: Decimal | None, reason: str) -> Done:
    """The first answer wins; a price that ran away restarts the question instead of answering it."""
    refusal = answerable(ticket, step.now, step.settings.approvals, by_hand=by == "desk") or check_override(
        ticket, quantity, limit, reason
    )
    if refusal is not None:
        return Done(ok=False, refusal=refusal)
    if ticket.purpose is Purpose.EXIT:
        return _approve_exit(step, ticket, by, quantity, reason)
    return _approve_entry(step, ticket, by, quantity, limit, reason)


def _approve_exit(step: Step, ticket: Ticket, by: str, quantity: int | None, reason: str) -> Done:
    assert ticket.position is not None, "an exit ticket names its position"
    position = step.state.open_positions.get(ticket.position)
    if position is None or position.quantity == 0:
        refusal = refuse(Code.POSITION_UNKNOWN, position=ticket.position)
        return Done(ok=False, refusal=refusal)
    wanted = min(quantity or ticket.quantity, position.quantity)
    denied = closing_allowed(position, step.state.open_orders.values(), wanted)
    if denied is not None:  # the question stays open: its answer could not be carried out
        return Done(ok=False, refusal=denied)
    approved = step.emit(
        ev.TicketApproved,
        cause=int(ticket.id[1:]),
        ticket=ticket.id,
        by=by,
        reason=reason,
        quantity=wanted,
        limit=ticket.limit,
        quote=ticket.quote,
    )
    done = exiting.close(step, position, wanted, ticket.exit_reason or ExitReason.MANUAL, approved.seq)
    return Done(ok=done.ok, refusal=done.refusal, seq=approved.seq, created=done.created)


def _approve_entry(
    step: Step, ticket: Ticket, by: str, quantity: int | None, limit: Decimal | None, reason: str
) -> Done:
    away = no_new_risk(step)
    if away is not None:  # the question stays open: it may be answered once the broker is back
        return Done(ok=False, refusal=away)
    quote, spot = step.world.quotes.option(ticket.contract), step.world.quotes.underlying(ticket.symbol)
    if quote is None or spot is None:
        return Done(ok=False, refusal=refuse(Code.NO_MARKET_DATA, contract=ticket.contract.osi))
    against = None if ticket.by_hand else _against(step, ticket)
    if against is not None:
        return _deny(step, ticket, against, ())
    if limit is None and ticket.own_limit:
        limit = ticket.limit
    if limit is None and needs_reprice(ticket, quote, step.settings.approvals):
        return _reprice(step, ticket, by)
    # What a person said yes to is the most that is paid; a price that came down is followed.
    most = min(ticket.limit, entry_limit(quote, TICK)) if limit is None else limit
    wish = wish_of(step, ticket, most)
    proposal = entering.proposal_of(step, wish, ticket=ticket, quantity=quantity)
    assessment = assess(proposal, book_of(step), step.settings)
    if assessment.refusal is not None:
        return _deny(step, ticket, assessment.refusal, assessment.verdicts)
    if by == POLICY and assessment.asks:
        # Something changed since it was opened that a person should see: it waits for one.
        return Done(ok=False, refusal=assessment.asks[0])
    if quantity is not None and quantity != ticket.quantity and ticket.decision is not None:
        step.emit(
            ev.DecisionOverridden,
            cause=int(ticket.id[1:]),
            decision=ticket.decision,
            by=by,
            reason=reason,
            changes={"quantity": f"{ticket.quantity} to {quantity}"},
        )
    kind = OrderType.LIMIT if limit is not None else OrderType.MARKETABLE
    return _intend_entry(step, ticket, by, reason, proposal, assessment, kind)


def _against(step: Step, ticket: Ticket) -> Refusal | None:
    """The guards again: what was heard and what happened since the ticket was opened. How far the price went is the
    rules' question."""
    board = step.state.boards.get(ticket.symbol)
    trigger = _trigger(step, ticket)
    if board is None or board.decision is None:
        return None
    if board.decision.verdict is Verdict.EXECUTE and board.decision.direction is ticket.direction.opposite:
        return refuse(Code.SIGNAL_CONTRADICTED, decision=board.decision_seq, now=board.decision.direction)
    refusal = contradicted(board, step.now)
    if refusal is None and trigger is not None:
        refusal = cooling_down(board, ticket.direction, trigger, step.now, step.settings.risk)
    return refusal


def approve_at_once(step: Step, ticket: Ticket, proposal: Proposal, assessment: Assessment) -> Done:
    """The policy's yes in the very step that put the question: the prices were read and every rule was asked a moment
    ago, in this same moment, so they are not asked again."""
    return _intend_entry(step, ticket, POLICY, "", proposal, assessment, OrderType.MARKETABLE)


def _intend_entry(
    step: Step,
    ticket: Ticket,
    by: str,
    reason: str,
    proposal: Proposal,
    assessment: Assessment,
    kind: OrderType,
) -> Done:
    approved = step.emit(
        ev.TicketApproved,
        cause=int(ticket.id[1:]),
        ticket=ticket.id,
        by=by,
        reason=reason,
        quantity=assessment.quantity,
        limit=proposal.limit,
        quote=proposal.quote,
        verdicts=assessment.verdicts,
    )
    order = intend(
        step,
        approved.seq,
        Intent(
            contract=ticket.contract,
            side=ticket.side,
            quantity=assessment.quantity,
            limit=proposal.limit,
            purpose=Purpose.ENTRY,
            type=kind,
            ticket=ticket.id,
        ),
    )
    step.live.entries.append(step.now)
    return Done(ok=True, seq=approved.seq, created=order.id)


def wish_of(step: Step, ticket: Ticket, limit: Decimal | None) -> entering.Wish:
    """A ticket as a wish again, with the prices of now."""
    quote, spot = step.world.quotes.option(ticket.contract), step.world.quotes.underlying(ticket.symbol)
    assert quote is not None, "the caller looked"
    assert spot is not None, "the caller looked"
    assert ticket.plan is not None, "an entry ticket has an exit plan"
    return entering.Wish(
        symbol=ticket.symbol,
        direction=ticket.direction,
        contract=ticket.contract,
        quote=quote,
        spot=spot,
        greeks=greeks_now(step, ticket.contract, quote, spot.mid) or ticket.greeks,
        bucket=ticket.bucket or Bucket.WEEKLY,
        plan=ticket.plan,
        recommended=ticket.quantity,
        tick=TICK,
        guarded=Guarded(),
        decision=ticket.decision,
        trigger=_trigger(step, ticket),
        limit=limit,
    )


def _trigger(step: Step, ticket: Ticket) -> ActiveSignal | None:
    board = step.state.boards.get(ticket.symbol)
    if board is None or ticket.trigger is None:
        return None
    return next((a for a in board.signals if a.source == ticket.trigger), None)


def _reprice(step: Step, ticket: Ticket, by: str) -> Done:
    quote = step.world.quotes.option(ticket.contract)
    assert quote is not None, "the caller looked"
    trigger = _trigger(step, ticket)
    fresh = reprice(
        ticket,
        quote,
        step.now,
        step.settings.approvals,
        valid_until=trigger.expires if trigger is not None else None,
    )
    if isinstance(fresh, Refusal):
        step.emit(ev.TicketExpired, cause=int(ticket.id[1:]), ticket=ticket.id)
        return Done(ok=False, refusal=fresh)
    step.emit(
        ev.TicketRepriced,
        cause=int(ticket.id[1:]),
        ticket=ticket.id,
        limit=fresh.limit,
        quote=fresh.quote,
        expires=fresh.expires,
    )
    return Done(
        ok=False,
        refusal=refuse(
            Code.TICKET_REPRICED, ticket=ticket.id, limit=f"{ticket.limit} to {fresh.limit}", attempt=fresh.attempt
        ),
    )


def _deny(step: Step, ticket: Ticket, refusal: Refusal, verdicts: tuple[RuleVerdict, ...]) -> Done:
    step.emit(
        ev.EntryDenied,
        cause=int(ticket.id[1:]),
        symbol=ticket.symbol,
        decision=ticket.decision,
        trigger=ticket.trigger,
        refusal=refusal,
        stage="approval",
        verdicts=verdicts,
        ticket=ticket.id,
    )
    return Done(ok=False, refusal=refusal)
