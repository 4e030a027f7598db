"""Enter: an EXECUTE meets the guards, finds its contract, is sized and risk-checked, and becomes a ticket, or says why not."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from engine.approvals.desk import break_even, entry_limit, expires_at, policy_approves
from engine.contracts import Choice, NoChoice, bucket_of, choose
from engine.decision.matrices import DAY_FACTORS, RR_STEPS, SESSION_FACTORS, TREND_STEPS, VOLUME_STEPS
from engine.decision.sizing import step as factor_of
from engine.domain import events as ev
from engine.domain.commands import Done, OpenTicket, Override
from engine.domain.entities import ExitPlan, Neighbour, SymbolBoard, Ticket
from engine.domain.signals import ActiveSignal, Decision
from engine.domain.values import (
    Bucket,
    Code,
    Direction,
    Greeks,
    OptionContract,
    Purpose,
    Quote,
    Refusal,
    Right,
    Side,
    Timeframe,
    money,
    refuse,
)
from engine.journey import approving
from engine.journey.booking import book_of, used_triggers
from engine.journey.ordering import greeks_now, no_new_risk
from engine.journey.planning import fractions, plan_of_decision, plan_of_signal
from engine.journey.step import Step
from engine.orders.fees import fees
from engine.pricing.time import expiry_moment
from engine.risk.book import Proposal
from engine.risk.guards import Guarded, Multipliers, entry_signal_of, guard_entry, trigger_of
from engine.risk.manager import Assessment, assess
from engine.sessions import new_york_day

MULTIPLIERS = Multipliers(
    session=SESSION_FACTORS,
    weekday=DAY_FACTORS,
    volume=partial(factor_of, VOLUME_STEPS),
    trend=partial(factor_of, TREND_STEPS),
    rr=partial(factor_of, RR_STEPS),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be bought, before anybody has looked at its size."""

    symbol: str
    direction: Direction
    contract: OptionContract
    quote: Quote
    spot: Quote
    greeks: Greeks | None
    bucket: Bucket
    plan: ExitPlan
    recommended: int
    tick: Decimal
    guarded: Guarded
    neighbours: tuple[Neighbour, ...] = ()
    notes: tuple[str, ...] = ()
    decision: int | None = None
    decided: Decision | None = None
    trigger: ActiveSignal | None = None
    limit: Decimal | None = None


def enter(step: Step, made: ev.DecisionMade, heard: ev.AnyFact, before: Decision | None) -> None:
    """The automatic way in. `heard` is the receipt that caused the decision, `before` the symbol's decision before it."""
    decision = made.decision
    arrived = heard.seq if isinstance(heard, ev.SignalReceived) else None
    board = step.state.boards[made.symbol]
    used = used_triggers(step)
    trigger = trigger_of(made.by, decision, before, made.signals, arrived, used)
    entry = entry_signal_of(decision, made.signals)
    if trigger is None or entry is None or decision.direction is None:
        return
    away = no_new_risk(step)
    if away is not None:
        _deny(step, made.seq, made.symbol, made.seq, trigger.source, away, "guard")
        return
    if entry.signal.recommended_contracts == 0:
        # The frozen engine never recommends less than one; what was sent said none.
        refusal = refuse(Code.SIGNAL_SIZE_ZERO, timeframe=entry.signal.timeframe.label)
        _deny(step, made.seq, made.symbol, made.seq, trigger.source, refusal, "size")
        return
    guarded = guard_entry(
        trigger,
        entry,
        decision.direction,
        board,
        decision,
        signals=made.signals,
        phases=made.phases,
        trends=made.trends,
        late=trigger.late,
        underlying=step.world.quotes.underlying(made.symbol),
        now=step.now,
        calendar=step.world.calendar,
        settings=step.settings.risk,
        multipliers=MULTIPLIERS,
        bars=step.world.bars.facts_for(made.symbol, entry.signal.timeframe, step.now),
    )
    if guarded.refusal is not None:
        _deny(step, made.seq, made.symbol, made.seq, trigger.source, guarded.refusal, "guard")
        return
    found = _choose(step, made.symbol, decision.direction, trigger.signal.timeframe, decision.recommended_contracts)
    if isinstance(found, NoChoice):
        _deny(
            step,
            made.seq,
            made.symbol,
            made.seq,
            trigger.source,
            found.refusal,
            "contract",
            neighbours=found.neighbours,
        )
        return
    wish = _wish(
        step,
        found,
        decision.direction,
        plan=plan_of_decision(step, decision, trigger, found.bucket),
        recommended=decision.recommended_contracts,
        guarded=guarded,
        decision=made.seq,
        decided=decision,
        trigger=trigger,
    )
    proposal = proposal_of(step, wish)
    assessment = assess(proposal, book_of(step), step.settings)
    if assessment.refusal is not None:
        _deny(
            step, made.seq, made.symbol, made.seq, trigger.source, assessment.refusal, assessment.stage,
            assessment=assessment, neighbours=wish.neighbours,
        )  # fmt: skip
        return
    open_ticket(step, made.seq, wish, proposal, assessment)


def enter_override(step: Step, board: SymbolBoard, direction: Direction, command: Override, cause: int) -> Done:
    """A person executes a WAIT or SKIP: the same way in without the guards, sized by the person, checked by every rule."""
    decision = board.decision
    assert decision is not None, "only a decision is overridden"
    aligned = [a for a in board.signals if a.signal.direction is direction]
    trigger = min(aligned, key=lambda a: a.signal.timeframe.minutes, default=None)
    quantity = command.quantity or max((a.signal.recommended_contracts for a in aligned), default=0)
    timeframe = trigger.signal.timeframe if trigger is not None else None
    found = _choose(step, board.symbol, direction, timeframe, quantity)
    if isinstance(found, NoChoice):
        _deny(step, cause, board.symbol, command.decision, None, found.refusal, "contract", neighbours=found.neighbours)
        return Done(ok=False, refusal=found.refusal)
    plan = fractions(step, found.bucket)
    if trigger is not None:
        plan = plan_of_signal(step, trigger, found.bucket)
    wish = _wish(
        step,
        found,
        direction,
        plan=plan,
        recommended=quantity,
        guarded=Guarded(),
        decision=command.decision,
        trigger=trigger,
    )
    return _answered(step, _ask_for(step, cause, wish, command.by), command)


def enter_manual(step: Step, contract: OptionContract, command: OpenTicket) -> Done:
    """A person's own contract, under the same risk manager."""
    quote, spot = step.world.quotes.option(contract), step.world.quotes.underlying(contract.symbol)
    if quote is None or spot is None:
        return Done(ok=False, refusal=refuse(Code.NO_MARKET_DATA, contract=contract.osi))
    bucket = bucket_of((contract.expiry - new_york_day(step.now)).days)
    direction = Direction.LONG if contract.right is Right.CALL else Direction.SHORT
    wish = Wish(
        symbol=contract.symbol,
        direction=direction,
        contract=contract,
        quote=quote,
        spot=spot,
        greeks=greeks_now(step, contract, quote, spot.mid),
        bucket=bucket,
        plan=fractions(step, bucket),
        recommended=command.quantity,
        tick=Decimal("0.01"),
        guarded=Guarded(),
        notes=(f"by hand: {command.reason}",),
        limit=command.limit,
    )
    return _answered(step, _ask_for(step, None, wish, command.by), command)


def _answered(step: Step, done: Done, command: OpenTicket | Override) -> Done:
    """Who opened the ticket may have said yes in the same breath."""
    if not done.ok or not command.approve:
        return done
    ticket = step.state.tickets[done.created]
    answered = approving.approve(step, ticket, command.by, None, None, command.reason)
    return Done(ok=answered.ok, refusal=answered.refusal, seq=answered.seq, created=ticket.id)


def _ask_for(step: Step, cause: int | None, wish: Wish, by: str) -> Done:
    away = no_new_risk(step)
    if away is not None:
        _deny(step, cause, wish.symbol, wish.decision, None, away, "guard")
        return Done(ok=False, refusal=away)
    proposal = proposal_of(step, wish)
    assessment = assess(proposal, book_of(step), step.settings)
    if assessment.refusal is not None:
        _deny(
            step, cause, wish.symbol, wish.decision, None, assessment.refusal, assessment.stage,
            assessment=assessment, neighbours=wish.neighbours,
        )  # fmt: skip
        return Done(ok=False, refusal=assessment.refusal)
    ticket = open_ticket(step, cause, wish, proposal, assessment, asked_by=by)
    return Done(ok=True, seq=int(ticket.id[1:]), created=ticket.id)


def _choose(
    step: Step, symbol: str, direction: Direction, timeframe: Timeframe | None, quantity: int
) -> Choice | NoChoice:
    chain = step.world.quotes.chain(symbol)
    if chain is None:
        return NoChoice(refusal=refuse(Code.NO_MARKET_DATA, symbol=symbol))
    return choose(
        chain,
        direction,
        timeframe,
        step.now,
        step.settings,
        step.world.calendar,
        quantity_hint=max(quantity, 1),
        terms_of=step.chain_terms,
    )


def _wish(
    step: Step,
    choice: Choice,
    direction: Direction,
    *,
    plan: ExitPlan,
    recommended: int,
    guarded: Guarded,
    decision: int | None = None,
    decided: Decision | None = None,
    trigger: ActiveSignal | None = None,
) -> Wish:
    return Wish(
        symbol=choice.contract.symbol,
        direction=direction,
        contract=choice.contract,
        quote=choice.quote,
        spot=choice.spot,
        greeks=choice.greeks,
        bucket=choice.bucket,
        plan=plan,
        recommended=recommended,
        tick=choice.tick,
        guarded=guarded,
        neighbours=choice.neighbours,
        notes=choice.notes,
        decision=decision,
        decided=decided,
        trigger=trigger,
    )


def proposal_of(step: Step, wish: Wish, *, ticket: Ticket | None = None, quantity: int | None = None) -> Proposal:
    """What the risk manager is asked, with the prices of now."""
    trigger = wish.trigger.signal if wish.trigger is not None else None
    ours = step.world.bars.facts_for(wish.symbol, trigger.timeframe, step.now).atr if trigger is not None else None
    atr = ours if ours is not None else (trigger.atr if trigger is not None else None)
    limit = wish.limit if wish.limit is not None else entry_limit(wish.quote, wish.tick)
    day = new_york_day(step.now)
    price = wish.quote.ask or wish.quote.bid or Decimal(0)
    return Proposal(
        symbol=wish.symbol,
        direction=wish.direction,
        contract=wish.contract,
        bucket=wish.bucket,
        quote=wish.quote,
        underlying=wish.spot,
        limit=limit,
        greeks=wish.greeks,
        expiry=expiry_moment(wish.contract.expiry, step.world.calendar),
        plan=wish.plan,
        recommended=wish.recommended if quantity is None else quantity,
        round_trip_fees=sum((fees(step.world.fees, day, side, 1, price) for side in Side), Decimal(0)),
        final_multiplier=(
            Decimal(repr(wish.decided.breakdown.final_multiplier))
            if wish.decided is not None and wish.decided.breakdown is not None
            else None
        ),
        multiplier_factor=wish.guarded.multiplier_factor,
        size_factor=wish.guarded.size_factor,
        at_most=ticket.quantity if ticket is not None and quantity is None else None,
        terms=step.terms(wish.contract),
        signal_price=money(trigger.price) if trigger is not None else None,
        atr=Decimal(repr(round(atr, 6))) if atr is not None else None,
        own_atr=ours is not None,
        timeframe=trigger.timeframe if trigger is not None else None,
        trigger=wish.trigger.source if wish.trigger is not None and ticket is None else None,
        ticket=ticket.id if ticket is not None else None,
    )


def open_ticket(
    step: Step, cause: int | None, wish: Wish, proposal: Proposal, assessment: Assessment, asked_by: str = ""
) -> Ticket:
    """The question is put. A policy that may answer it does so at once."""
    valid_until = wish.trigger.expires if wish.trigger is not None else None
    ticket = Ticket(
        id=step.next_id("T"),
        purpose=Purpose.ENTRY,
        symbol=wish.symbol,
        direction=wish.direction,
        contract=wish.contract,
        side=Side.BUY,
        quantity=assessment.quantity,
        limit=proposal.limit,
        quote=wish.quote,
        opened=step.now,
        changed=step.now,
        expires=expires_at(wish.bucket, step.now, valid_until, step.settings.approvals),
        decision=wish.decision,
        trigger=wish.trigger.source if wish.trigger is not None else None,
        bucket=wish.bucket,
        plan=wish.plan,
        sizing=assessment.sizing,
        max_loss=assessment.max_loss,
        break_even=break_even(wish.direction, wish.contract.strike, proposal.limit),
        greeks=wish.greeks,
        verdicts=assessment.verdicts,
        neighbours=wish.neighbours,
        notes=(*wish.notes, *wish.guarded.notes, *(ask.text for ask in assessment.asks)),
        by_hand=bool(asked_by),
        manual=wish.guarded.manual or bool(assessment.asks),
        own_limit=wish.limit is not None,
    )
    step.emit(ev.TicketOpened, cause=cause, ticket=ticket)
    if not asked_by and policy_approves(ticket, step.world.policy, paper=step.world.paper):
        approving.approve_at_once(step, ticket, proposal, assessment)
    return ticket


def _deny(
    step: Step,
    cause: int | None,
    symbol: str,
    decision: int | None,
    trigger: int | None,
    refusal: Refusal,
    stage: str,
    *,
    assessment: Assessment | None = None,
    neighbours: tuple[Neighbour, ...] = (),
) -> None:
    step.emit(
        ev.EntryDenied,
        cause=cause,
        symbol=symbol,
        decision=decision,
        trigger=trigger,
        refusal=refusal,
        stage=stage,
        verdicts=assessment.verdicts if assessment is not None else (),
        neighbours=neighbours,
        sizing=assessment.sizing if assessment is not None else None,
    )
