"""State is the fold of facts: the same live, after a crash, and in replay. Only `State.apply` changes it.

How entities are kept, loaded and drained is `engine.kept`; here is which fact changes which of them, and how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from engine.domain import events as ev
from engine.domain.entities import Halt, Heard, SymbolBoard
from engine.domain.events import AnyFact
from engine.domain.values import Direction, ExitReason, Purpose, Side, TicketState, money
from engine.kept import KINDS, Kept
from engine.orders import link, oms
from engine.portfolio import account as accounts
from engine.portfolio import attribution
from engine.portfolio import positions as holdings

__all__ = ["KINDS", "State", "heard_row"]


class State(Kept):
    """Everything the engine knows."""

    def apply(self, fact: AnyFact) -> None:
        """Fold one fact. Facts come in order; a gap is an error, for it would mean a lost fact."""
        if fact.seq != self.last_seq + 1:
            raise ValueError(f"fact {fact.seq} does not follow {self.last_seq}")
        fold = _FOLDS.get(type(fact))
        if fold is not None:
            fold(self, fact)
        self.last_seq = fact.seq
        self.last_at = fact.at

    def _board(self, symbol: str) -> SymbolBoard:
        return self.boards.get(symbol) or SymbolBoard(symbol=symbol)

    def _hear(self, fact: ev.SignalReceived | ev.PhaseReceived | ev.TrendReceived | ev.ExitNoticeReceived) -> None:
        self._keep("heard", str(fact.seq), heard_row(fact))

    def _refused(self, fact: ev.ReceiptRefused) -> None:
        row = Heard(
            seq=fact.seq,
            at=fact.at,
            kind=fact.receipt.kind,
            symbol="",
            text=f"{fact.receipt.kind} not understood",
            outcome=fact.refusal.text,
            weighed=True,
        )
        self._keep("heard", str(fact.seq), row)

    def _duplicate(self, fact: ev.DuplicateReceived) -> None:
        original = self.heard.get(fact.original)
        row = Heard(
            seq=fact.seq,
            at=fact.at,
            kind=fact.receipt.kind,
            symbol=original.symbol if original else "",
            text=original.text if original else fact.receipt.kind,
            outcome="duplicate",
            decision=original.decision if original else None,
            weighed=True,
        )
        self._keep("heard", str(fact.seq), row)

    def _outcome(self, seq: int | None, outcome: str, **changes: Any) -> None:
        """What became of a receipt, where its row is still kept."""
        row = self.heard.get(seq) if seq is not None else None
        if row is not None:
            self._keep("heard", str(row.seq), replace(row, outcome=outcome, weighed=True, **changes))

    def _placed(self, fact: ev.SignalPlaced) -> None:
        board = self._board(fact.active.signal.symbol)
        others = tuple(a for a in board.signals if a.signal.timeframe != fact.active.signal.timeframe)
        self._keep("board", board.symbol, replace(board, signals=(*others, fact.active)))

    def _superseded(self, fact: ev.SignalSuperseded) -> None:
        self._outcome(fact.source, "superseded")
        board = self._board(fact.symbol)
        later = fact.until is not None and (board.contradicted_until is None or fact.until > board.contradicted_until)
        if fact.contradicts and later:
            self._keep(
                "board",
                board.symbol,
                replace(board, contradicted_until=fact.until, contradicted_by=fact.source),
            )

    def _set_aside(self, fact: ev.SignalSetAside) -> None:
        self._outcome(fact.source, fact.refusal.code.value)

    def _phase(self, fact: ev.PhasePlaced) -> None:
        board = self._board(fact.active.phase.symbol)
        slot = (fact.active.phase.role, fact.active.phase.event_tf)
        others = tuple(a for a in board.phases if (a.phase.role, a.phase.event_tf) != slot)
        self._keep("board", board.symbol, replace(board, phases=(*others, fact.active)))

    def _trend(self, fact: ev.TrendPlaced) -> None:
        board = self._board(fact.active.trend.symbol)
        self._keep("board", board.symbol, replace(board, trend=fact.active))

    def _expired(self, fact: ev.InputsExpired) -> None:
        board = self._board(fact.symbol)
        trend = None if board.trend is not None and board.trend.source in fact.trends else board.trend
        self._keep(
            "board",
            board.symbol,
            replace(
                board,
                signals=tuple(a for a in board.signals if a.source not in fact.signals),
                phases=tuple(a for a in board.phases if a.source not in fact.phases),
                trend=trend,
            ),
        )

    def _decided(self, fact: ev.DecisionMade) -> None:
        board = self._board(fact.symbol)
        self._keep("board", fact.symbol, replace(board, decision=fact.decision, decision_seq=fact.seq))
        row = self.heard.get(fact.cause) if fact.cause is not None else None
        if row is not None:
            verdict = fact.decision.verdict.value
            if row.outcome == "superseded":
                verdict = "superseded"
            self._outcome(row.seq, verdict, score=fact.decision.confluence_score, decision=fact.seq)

    def _entry_denied(self, fact: ev.EntryDenied) -> None:
        self._outcome(fact.trigger, f"denied {fact.refusal.text}")
        if fact.ticket is not None and fact.ticket in self.tickets:
            ticket = self.tickets[fact.ticket]
            self._keep(
                "ticket",
                ticket.id,
                replace(ticket, state=TicketState.DENIED, reason=fact.refusal.text, changed=fact.at),
            )

    def _ticket(self, fact: ev.TicketOpened) -> None:
        self._keep("ticket", fact.ticket.id, fact.ticket)
        if fact.ticket.purpose is Purpose.ENTRY:
            self._outcome(fact.ticket.trigger, "ticket", ticket=fact.ticket.id)

    def _repriced(self, fact: ev.TicketRepriced) -> None:
        ticket = self.tickets[fact.ticket]
        self._keep(
            "ticket",
            ticket.id,
            replace(
                ticket,
                limit=fact.limit,
                quote=fact.quote,
                expires=fact.expires,
                changed=fact.at,
                reprices=ticket.reprices + 1,
            ),
        )

    def _approved(self, fact: ev.TicketApproved) -> None:
        ticket = self.tickets[fact.ticket]
        self._keep(
            "ticket",
            ticket.id,
            replace(
                ticket,
                state=TicketState.APPROVED,
                quantity=fact.quantity,
                max_loss=money(ticket.max_loss * fact.quantity / ticket.quantity),
                limit=fact.limit,
                quote=fact.quote,
                changed=fact.at,
                answered_by=fact.by,
                reason=fact.reason,
            ),
        )
        self._outcome(ticket.trigger, "approved")

    def _rejected_ticket(self, fact: ev.TicketRejected) -> None:
        ticket = self.tickets[fact.ticket]
        self._keep(
            "ticket",
            ticket.id,
            replace(ticket, state=TicketState.REJECTED, changed=fact.at, answered_by=fact.by, reason=fact.reason),
        )
        self._outcome(ticket.trigger, "rejected")

    def _expired_ticket(self, fact: ev.TicketExpired) -> None:
        ticket = self.tickets[fact.ticket]
        self._keep("ticket", ticket.id, replace(ticket, state=TicketState.EXPIRED, changed=fact.at))
        self._outcome(ticket.trigger, "ticket expired")

    def _order(self, fact: Any) -> None:
        self._keep("order", fact.order, oms.order_after(self.orders.get(fact.order), fact))

    def _intended(self, fact: ev.OrderIntended) -> None:
        self._order(fact)
        assert self.account is not None, "an account is opened before the first order"
        self._keep("account", "paper", accounts.account_after_intent(self.account, fact))

    def _filled(self, fact: ev.OrderFilled) -> None:
        before = self.orders[fact.order]
        order = oms.order_after(before, fact)
        self._keep("order", order.id, order)
        assert self.account is not None, "an account is opened before the first order"
        self._keep("account", "paper", accounts.account_after_fill(self.account, fact, order))
        if order.side is Side.BUY:
            assert order.ticket is not None, "an entry comes from a ticket"
            ticket = self.tickets[order.ticket]
            before_fill = self.positions.get(fact.position)
            parts = before_fill.attribution if before_fill is not None else None
            position = replace(
                holdings.position_after_buy(before_fill, fact, ticket),
                attribution=attribution.attribution_after_buy(parts, fact, order.contract.multiplier),
            )
            self._outcome(ticket.trigger, "bought")
        else:
            position = holdings.position_after_sell(self.positions[fact.position], fact, order)
            if position.attribution is not None:
                position = replace(position, attribution=attribution.attribution_after_sell(position.attribution, fact))
        self._keep("position", position.id, position)

    def _link(self, fact: link.LinkFact) -> None:
        self._keep("broker", "broker", link.link_after(self.link, fact))

    def _marked(self, fact: ev.PositionMarked) -> None:
        position = replace(
            holdings.position_after_mark(self.positions[fact.position], fact),
            last_mark=fact.mark,
            last_bid=fact.mark if fact.bid is None else fact.bid,
        )
        if position.attribution is not None:
            position = replace(position, attribution=attribution.attribution_after_mark(position.attribution, fact))
        self._keep("position", position.id, position)

    def _triggered(self, fact: ev.ExitTriggered) -> None:
        if fact.reason is ExitReason.STOP_LOSS:
            position = self.positions[fact.position]
            board = self._board(position.symbol)
            self._keep(
                "board",
                board.symbol,
                replace(
                    board,
                    stopped_out=fact.at,
                    stopped_direction=position.direction,
                    # what a stop-out the other way began goes on
                    stopped_long=fact.at if position.direction is Direction.LONG else board.stopped(Direction.LONG),
                    stopped_short=fact.at if position.direction is Direction.SHORT else board.stopped(Direction.SHORT),
                ),
            )

    def _settled(self, fact: ev.ContractSettled) -> None:
        position = holdings.position_after_settlement(self.positions[fact.position], fact)
        if position.attribution is not None:
            parts = attribution.attribution_after_settlement(position.attribution, fact)
            position = replace(position, attribution=parts)
        self._keep("position", position.id, position)
        assert self.account is not None, "an account is opened before the first position"
        self._keep("account", "paper", accounts.account_after_settlement(self.account, fact))

    def _closed(self, fact: ev.PositionClosed) -> None:
        position = self.positions[fact.position]
        closed = replace(
            position, closed=fact.at, exit_reason=fact.reason, average_exit=fact.average_exit, booked_net=fact.net
        )
        self._keep("position", position.id, closed)
        assert self.account is not None, "an account is opened before the first position"
        self._keep("account", "paper", accounts.account_after_close(self.account, fact, position.booked_net))

    def _opened(self, fact: ev.AccountOpened) -> None:
        self._keep("account", "paper", accounts.account_opened(fact))

    def _session(self, fact: ev.SessionOpened) -> None:
        assert self.account is not None, "an account is opened before the first session"
        self._keep("account", "paper", accounts.account_after_session(self.account, fact))

    def _equity(self, fact: ev.EquityMarked) -> None:
        assert self.account is not None, "an account is opened before its equity is marked"
        self._keep("account", "paper", accounts.account_after_equity(self.account, fact))

    def _halted(self, fact: ev.TradingHalted) -> None:
        before = self.halt
        if before is not None and before.latched:
            # Who halted first, and why, stands; a second word can only ask for more.
            self._keep("halt", "halt", replace(before, flatten=before.flatten or fact.flatten))
            return
        halt = Halt(latched=True, by=fact.by, reason=fact.reason, since=fact.at, flatten=fact.flatten)
        self._keep("halt", "halt", halt)

    def _resumed(self, fact: ev.TradingResumed) -> None:
        halt = Halt(
            latched=False,
            by=fact.by,
            reason=fact.reason,
            since=fact.at,
            accepted_drawdown=fact.accepted_drawdown,
            accepted_peak=fact.accepted_peak,
        )
        self._keep("halt", "halt", halt)

    def _flipped(self, fact: ev.BiasFlipped) -> None:
        for key in fact.positions:
            self._keep("position", key, replace(self.positions[key], thesis_broken=fact.why))
        row = self.heard.get(fact.cause) if fact.cause is not None else None
        if row is not None and row.kind == "exit":
            self._outcome(row.seq, f"thesis broken, {len(fact.positions)} open" if fact.positions else "nothing open")


def heard_row(fact: ev.SignalReceived | ev.PhaseReceived | ev.TrendReceived | ev.ExitNoticeReceived) -> Heard:
    """The signals panel's row of a receipt that was understood."""
    if isinstance(fact, ev.SignalReceived):
        signal = fact.signal
        symbol, text = signal.symbol, f"{signal.symbol} {signal.timeframe.label} {signal.direction} {signal.quality}"
    elif isinstance(fact, ev.PhaseReceived):
        symbol, text = fact.phase.symbol, f"{fact.phase.symbol} {fact.phase.event_tf} {fact.phase.name}"
    elif isinstance(fact, ev.TrendReceived):
        symbol, text = fact.trend.symbol, f"{fact.trend.symbol} trend"
    else:
        symbol, text = fact.notice.symbol, f"{fact.notice.symbol} exit: {fact.notice.said}"
    return Heard(seq=fact.seq, at=fact.at, kind=fact.receipt.kind, symbol=symbol, text=text, outcome="")


_FOLDS: dict[type[Any], Callable[[State, Any], None]] = {
    ev.SignalReceived: State._hear,
    ev.PhaseReceived: State._hear,
    ev.TrendReceived: State._hear,
    ev.ExitNoticeReceived: State._hear,
    ev.ReceiptRefused: State._refused,
    ev.DuplicateReceived: State._duplicate,
    ev.SignalPlaced: State._placed,
    ev.SignalSuperseded: State._superseded,
    ev.SignalSetAside: State._set_aside,
    ev.PhasePlaced: State._phase,
    ev.TrendPlaced: State._trend,
    ev.InputsExpired: State._expired,
    ev.DecisionMade: State._decided,
    ev.EntryDenied: State._entry_denied,
    ev.TicketOpened: State._ticket,
    ev.TicketRepriced: State._repriced,
    ev.TicketApproved: State._approved,
    ev.TicketRejected: State._rejected_ticket,
    ev.TicketExpired: State._expired_ticket,
    ev.OrderIntended: State._intended,
    ev.OrderSubmitted: State._order,
    ev.OrderAccepted: State._order,
    ev.OrderRepriced: State._order,
    ev.OrderCancelled: State._order,
    ev.OrderRejected: State._order,
    ev.OrderExpired: State._order,
    ev.OrderDenied: State._order,
    ev.OrderDoubted: State._order,
    ev.OrderReappeared: State._order,
    ev.OrderFilled: State._filled,
    ev.BrokerDisconnected: State._link,
    ev.BrokerConnected: State._link,
    ev.BrokerReconciled: State._link,
    ev.ForeignOrderSeen: State._link,
    ev.ForeignExecutionSeen: State._link,
    ev.PositionMarked: State._marked,
    ev.ExitTriggered: State._triggered,
    ev.ContractSettled: State._settled,
    ev.PositionClosed: State._closed,
    ev.AccountOpened: State._opened,
    ev.SessionOpened: State._session,
    ev.EquityMarked: State._equity,
    ev.TradingHalted: State._halted,
    ev.TradingResumed: State._resumed,
    ev.BiasFlipped: State._flipped,
}
