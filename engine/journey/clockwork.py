"""The clock's chapter: what happens because time passed. Expiries come before arrivals of the same instant."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from engine.decision.board import expire, next_expiry
from engine.decision.matrices import ENGINE_VERSION
from engine.domain import events as ev
from engine.domain.entities import SymbolBoard
from engine.domain.values import OrderState, Purpose, Side, money
from engine.journey import deciding, ordering, reconciling
from engine.journey.step import Step
from engine.portfolio.account import equity
from engine.portfolio.settlement import settle
from engine.sessions import new_york_day
from engine.settings import describe


def open_engine(step: Step, version: str, market: str) -> None:
    step.emit(
        ev.EngineStarted,
        version=version,
        engine_version=ENGINE_VERSION,
        market=market,
        policy=step.world.policy.value,
        settings=describe(step.settings),
    )
    if step.state.account is None:
        step.emit(ev.AccountOpened, cash=money(step.settings.account.cash))
    for order in list(step.state.open_orders.values()):
        # An intent that was durable but never handed over: the paper broker died with us, and of any other that an
        # order goes out would be durable, so nothing can have been filled. An entry is not sent late; an exit is taken
        # up again by the rule that wanted it.
        if order.state is OrderState.APPROVED:
            step.emit(ev.OrderCancelled, order=order.id, reason="not sent before the engine stopped")
    reconciling.begin(step)
    advance(step)


def advance(step: Step) -> None:
    """Apply everything that was due up to now."""
    _session(step)
    _board(step)
    _tickets(step)
    _entries(step)
    _expiries(step)


def _session(step: Step) -> None:
    account = step.state.account
    session = step.world.calendar.session_at(step.now)
    if account is None or session is None or account.session == session.day or step.now < session.open:
        return
    step.emit(ev.SessionOpened, session=session.day, equity=equity_now(step))


def equity_now(step: Step) -> Decimal:
    """Cash plus open positions at their last marks (at cost before the first)."""
    account = step.state.account
    assert account is not None, "an account is opened before equity is asked for"
    return equity(account, step.state.open_positions.values(), step.live.marks)


def _board(step: Step) -> None:
    """Every expiry instant up to now, in order of time; at one instant symbols in order of their names."""
    while True:
        due: tuple[datetime, str] | None = None
        for symbol, board in step.state.boards.items():
            instant = _next_expiry(step, board)
            if instant is not None and instant <= step.now and (due is None or (instant, symbol) < due):
                due = (instant, symbol)
        if due is None:
            return
        instant, symbol = due
        left = expire(step.state.boards[symbol], instant)
        then = step.now
        step.now = instant if step.state.last_at is None else max(instant, step.state.last_at)
        try:
            fact = step.emit(
                ev.InputsExpired,
                symbol=symbol,
                signals=left.signals,
                phases=left.phases,
                trends=left.trends,
            )
            deciding.decide_after_expiry(step, symbol, instant, fact.seq)
        finally:
            step.now = then


def _next_expiry(step: Step, board: SymbolBoard) -> datetime | None:
    """Looked up for every receipt and every tick, so it is worked out once per change of a board."""
    known = step.live.expiries.get(board.symbol)
    if known is None or known[0] is not board:
        known = step.live.expiries[board.symbol] = (board, next_expiry(board))
    return known[1]


def _tickets(step: Step) -> None:
    for ticket in list(step.state.pending_tickets.values()):
        if ticket.expires <= step.now:
            step.emit(ev.TicketExpired, cause=ticket_seq(ticket.id), ticket=ticket.id)
            ordering.let_ask_again(step, ticket.position, ticket.exit_reason)


def ticket_seq(ticket_id: str) -> int:
    """Seq of the fact a ticket was born from."""
    return int(ticket_id[1:])


def _entries(step: Step) -> None:
    """What is left of an entry after its ticket's life is taken back: the price it was approved at is history. While
    trading is halted, or the ledger is too far behind, every entry is, also one that a crash kept from being cancelled."""
    halted = step.live.behind is not None or (step.state.halt is not None and step.state.halt.latched)
    for order in list(step.state.open_orders.values()):
        if order.purpose is not Purpose.ENTRY or order.state is OrderState.APPROVED or order.ticket is None:
            continue
        ticket = step.state.tickets.get(order.ticket)
        old = ticket is not None and (step.now - order.created).total_seconds() >= ordering.entry_life(step, ticket)
        if halted or old:
            step.take_back(order.id)


def _expiries(step: Step) -> None:
    """Contracts that expired while held: settled at intrinsic against the official close."""
    today = new_york_day(step.now)
    for position in [p for p in step.state.open_positions.values() if p.contract.expiry <= today]:
        expiry, calendar = position.contract.expiry, step.world.calendar
        # An old monthly that expired on a Saturday was last traded on the session before.
        session = calendar.session(expiry) or calendar.previous_session(expiry)
        if step.now < session.close or position.quantity == 0:
            continue
        close = step.world.quotes.official_close(position.symbol, session.day)
        if close is None:
            continue
        working = [o for o in step.state.open_orders.values() if o.position == position.id and o.side is Side.SELL]
        for order in working:
            step.take_back(order.id)
        if working and (step.now < session.options_close or step.live.far is not None):
            continue  # at a broker outside this process one that has not ended may have been filled
        settlement = settle(position, close)
        fact = step.emit(
            ev.ContractSettled,
            cause=position_seq(position.id),
            position=position.id,
            contract=position.contract,
            quantity=position.quantity,
            settlement=close,
            price=settlement.price,
            fees=settlement.fees,
        )
        ordering.close_books(step, position.id, fact.seq)


def position_seq(position_id: str) -> int:
    """Seq of the fill a position was born from."""
    return int(position_id[1:])
