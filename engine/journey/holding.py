"""Hold: positions are marked on new quotes, every exit rule is looked at, and what fires is done, asked or said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import numpy as np
from msgspec.structs import replace

from engine.approvals.desk import life, policy_approves
from engine.domain import events as ev
from engine.domain.entities import Order, Position, Ticket
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import (
    CENT,
    Bucket,
    ExitAction,
    ExitReason,
    Greeks,
    OrderType,
    Purpose,
    Quote,
    Right,
    Side,
    Style,
    money,
)
from engine.exits.context import ExitContext, exit_context
from engine.exits.ladder import ladder_limit, ladder_step, reprice_due
from engine.exits.monitor import Confirmation, evaluate
from engine.journey import answering, exiting
from engine.journey.clockwork import equity_now
from engine.journey.ordering import closing_orders, has_expired, may_reprice
from engine.journey.step import Step
from engine.portfolio.marks import known_vol, mark, reliable, unreliable
from engine.pricing import styles, value_at
from engine.pricing.contract import MIN_SECONDS_FOR_IV, MIN_VEGA_FOR_IV, rounded
from engine.pricing.terms import Terms
from engine.pricing.time import SECONDS_A_YEAR, expiry_moment
from engine.risk.kill_switch import ENGINE, automatic
from engine.sessions import Session, new_york_day


def held(step: Step) -> list[Position]:
    """Positions that hold something, oldest first."""
    return [p for p in step.state.open_positions.values() if p.quantity]


def watch(step: Step, positions: Sequence[Position]) -> None:
    """Mark these positions and look at their exits. A few at a time: nothing on the loop may take long."""
    # What has expired is settled, not sold: an exit would be sent and taken back until the options stop trading.
    held = [p for p in positions if p.is_open and p.quantity and not has_expired(step, p.contract)]
    if held:
        quotes = {p.id: step.world.quotes.option(p.contract) for p in held}
        spots = {symbol: step.world.quotes.underlying(symbol) for symbol in dict.fromkeys(p.symbol for p in held)}
        found = _greeks(step, held, quotes, spots)
        for position in held:
            _look(step, position, quotes[position.id], spots[position.symbol], found.get(position.id))


def tend(step: Step) -> None:
    """What is looked at once a moment: working exits are chased, equity is kept, halts latch and flatten."""
    exiting.flatten(step)
    _chase(step)
    _keep_equity(step)
    if step.world.parity is not None:
        step.world.parity.remind(step.world.quotes, step.now)


def _greeks(
    step: Step, held: list[Position], quotes: dict[str, Quote | None], spots: dict[str, Quote | None]
) -> dict[str, Greeks]:
    """Greeks of all positions in one batch. Positions whose quote gives no vol are left out: they keep their last."""
    rows: list[tuple[float, ...]] = []
    known: list[tuple[str, Terms]] = []
    for position in held:
        quote, spot = quotes[position.id], spots[position.symbol]
        if quote is None or not quote.two_sided or quote.mid is None or spot is None or spot.mid is None:
            continue
        seconds = (expiry_moment(position.contract.expiry, step.world.calendar) - step.now).total_seconds()
        if seconds < MIN_SECONDS_FOR_IV:
            continue
        contract, terms = position.contract, step.terms(position.contract)
        known.append((position.id, terms))
        rows.append(
            (
                float(quote.mid),
                float(spot.mid) * terms.basis,
                float(contract.strike),
                seconds / SECONDS_A_YEAR,
                terms.rate,
                terms.carry,
                contract.right is Right.CALL,
                contract.style is Style.AMERICAN,
            )
        )
    if not rows:
        return {}
    mid, at, strike, t, rate, carry, calls, american = np.array(rows, dtype=np.float64).T
    vol = styles.implied_vol(mid, at, strike, t, rate, carry, calls != 0, american != 0).vol
    found = np.isfinite(vol)
    used = np.where(found, vol, 0.2)
    arrays = styles.greeks(at, strike, t, rate, carry, used, calls != 0, american != 0)
    return {
        key: rounded(float(vol[row]), arrays, row, terms)
        for row, (key, terms) in enumerate(known)
        if found[row] and arrays.vega[row] >= MIN_VEGA_FOR_IV
    }


def _look(step: Step, position: Position, quote: Quote | None, spot: Quote | None, found: Greeks | None) -> None:
    market, exits = step.settings.market, step.settings.exits
    zero_dte = position.contract.expiry == new_york_day(step.now)
    max_age = market.quote_age(quote.source if quote is not None else "", zero_dte)
    fresh_spot = spot if spot is not None and spot.age(step.now) <= market.quote_age(spot.source) else None
    previous = step.live.marks.get(position.id)
    trusted = reliable(quote, step.now, max_age, exits.confirm_spread)
    patience = _patience(step, quote or spot)
    lost = unreliable(previous, trusted, step.now, patience)
    marked = mark(
        position,
        quote,
        fresh_spot.mid if fresh_spot is not None else None,
        found,
        step.now,
        previous,
        max_age=max_age,
        max_spread=exits.confirm_spread,
        unreliable_after=patience,
        model=_model_value(step, position, fresh_spot, previous) if lost else None,
    )
    working = next(iter(closing_orders(step, position)), None)
    context = exit_context(
        position,
        step.now,
        step.world.calendar,
        underlying=fresh_spot,
        working=working,
        ticket=_exit_ticket(step, position),
    )
    if context is None:
        # While options do not trade no quote is missing; the doubt begins anew when they do.
        step.live.marks[position.id] = replace(marked, stale_since=None, unreliable=False)
        return
    confirmation = step.live.confirmations.get(position.id) or Confirmation()
    result = evaluate(position, marked, confirmation, context, exits)
    step.live.marks[position.id] = result.mark
    step.live.confirmations[position.id] = result.confirmation
    if result.fired or (result.armed and not position.armed) or _mark_due(step, position):
        _keep_mark(step, position, result.mark, armed=result.armed)
    for exit_ in result.fired:
        _act(step, position, exit_, context)


def _patience(step: Step, quote: Quote | None) -> float:
    """Seconds of unusable quotes before the model's value counts. A minute of recorded data is one quote: a single
    bad one is not yet an outage."""
    source = quote.source if quote is not None else ""
    market = step.settings.market
    return max(step.settings.exits.unreliable_seconds, market.quote_age(source) if source.startswith("recorded") else 0)


def _model_value(step: Step, position: Position, spot: Quote | None, previous: Mark | None) -> Decimal | None:
    """What the option is worth at the last volatility that was known, a cent at least while it lives; None without that
    or a fresh underlying."""
    vol = known_vol(position, previous)
    if vol is None or spot is None or spot.mid is None:
        return None
    expiry = expiry_moment(position.contract.expiry, step.world.calendar)
    value = value_at(position.contract, spot.mid, vol, step.now, expiry, step.terms(position.contract))
    return max(money(value), CENT)


def _exit_ticket(step: Step, position: Position) -> Ticket | None:
    return next((t for t in step.state.pending_tickets.values() if t.position == position.id), None)


def _mark_due(step: Step, position: Position) -> bool:
    last = step.live.marked.get(position.id)
    return last is None or step.now - last >= timedelta(seconds=step.settings.exits.mark_seconds)


def _keep_mark(step: Step, position: Position, marked: Mark, *, armed: bool) -> None:
    step.live.marked[position.id] = step.now
    step.emit(
        ev.PositionMarked,
        cause=int(position.id[1:]),
        position=position.id,
        mark=marked.price,
        bid=marked.quote.bid if marked.quote is not None else None,
        ask=marked.quote.ask if marked.quote is not None else None,
        underlying=marked.underlying,
        greeks=marked.greeks,
        unrealised=marked.unrealised,
        best=marked.best,
        worst=marked.worst,
        armed=armed,
    )


def _act(step: Step, position: Position, exit_: ExitDistance, context: ExitContext) -> None:
    """What fired is a fact; then it closes, asks or only speaks."""
    fact = step.emit(
        ev.ExitTriggered,
        cause=int(position.id[1:]),
        position=position.id,
        rule=exit_.rule,
        reason=exit_.reason,
        priority=exit_.priority,
        action=exit_.action,
        quantity=exit_.quantity,
        numbers=exit_.numbers,
    )
    if exit_.action is ExitAction.ALERT:
        return
    if context.working is not None:
        # One closer at a time: take the slower one back, wait for the broker's word, then the rule fires again.
        step.take_back(context.working.id)
        return
    quantity = min(exit_.quantity, position.quantity)
    if exit_.action is ExitAction.TICKET:
        ticket = _open_exit_ticket(step, position, exit_, quantity, fact.seq)
        if ticket is None or not policy_approves(ticket, step.world.policy, paper=step.world.paper):
            return
        answering.approve_by_policy(step, ticket)
        return
    pending = _exit_ticket(step, position)
    if pending is not None:
        step.emit(ev.TicketExpired, cause=fact.seq, ticket=pending.id)
    exiting.close(
        step, position, quantity, exit_.reason, fact.seq, limit=_ladder_price(step, position, context, exit_.reason)
    )


def _ladder_price(step: Step, position: Position, context: ExitContext, reason: ExitReason) -> Decimal | None:
    """On its last afternoon the clock's own exit leaves by the ladder: at mid first, at any price last. A stop does not
    wait for a better price. None: marketable."""
    if position.contract.expiry != context.today or reason is not ExitReason.TIME_OF_DAY:
        return None
    rung = ladder_step(step.now, context.closes, step.settings.exits)
    quote = step.world.quotes.option(position.contract)
    return ladder_limit(rung, quote) if rung is not None and quote is not None else None


def _open_exit_ticket(step: Step, position: Position, exit_: ExitDistance, quantity: int, cause: int) -> Ticket | None:
    quote = step.world.quotes.option(position.contract)
    if quote is None:
        return None
    bucket = position.bucket or Bucket.WEEKLY
    ticket = Ticket(
        id=step.next_id("T"),
        purpose=Purpose.EXIT,
        symbol=position.symbol,
        direction=position.direction,
        contract=position.contract,
        side=Side.SELL,
        quantity=quantity,
        limit=exiting.worst(quote, 0),
        quote=quote,
        opened=step.now,
        changed=step.now,
        expires=step.now + life(bucket, step.settings.approvals),
        position=position.id,
        bucket=bucket,
        exit_reason=exit_.reason,
        notes=(exit_.rule, *(f"{name} {value}" for name, value in exit_.numbers.items())),
    )
    step.emit(ev.TicketOpened, cause=cause, ticket=ticket)
    return ticket


def _chase(step: Step) -> None:
    """Working exits are priced anew when they are due: by the clock on their last day, else further each time."""
    session = step.world.calendar.session_at(step.now)
    if session is None or not session.open <= step.now < session.options_close:
        return
    for order in list(step.state.open_orders.values()):
        if order.purpose is not Purpose.EXIT or not order.state.is_open or order.limit is None:
            continue
        if not may_reprice(step, order):
            continue
        if not reprice_due(order, step.now, session.day, session.close, step.settings.exits):
            continue
        limit = _next_price(step, order, session)
        if limit is not None and limit != order.limit:
            exiting.reprice(step, order, limit)


def _next_price(step: Step, order: Order, session: Session) -> Decimal | None:
    quote = step.world.quotes.option(order.contract)
    if quote is None:
        return None
    if order.type is OrderType.LIMIT and order.contract.expiry == session.day:
        rung = ladder_step(step.now, session.close, step.settings.exits)
        by_ladder = ladder_limit(rung, quote) if rung is not None else None
        if by_ladder is not None:
            return by_ladder
    return exiting.worst(quote, order.attempts + 1)


def _keep_equity(step: Step) -> None:
    """Equity once a minute while it moves; and the halts that it asks for."""
    account = step.state.account
    if account is None or account.session is None:
        return
    equity = equity_now(step)
    latch = automatic(step.state.halt, account, equity, step.settings.risk)
    if latch is not None:
        fact = step.emit(ev.TradingHalted, by=ENGINE, reason=latch.reason, numbers=latch.numbers)
        answering.take_back_entries(step, ENGINE, fact.seq)
    marked = step.live.equity_marked
    due = marked is None or step.now - marked >= timedelta(seconds=step.settings.exits.mark_seconds)
    if due and equity != step.live.equity:
        step.live.equity_marked = step.now
        step.live.equity = equity
        step.emit(ev.EquityMarked, equity=equity, cash=account.cash)
