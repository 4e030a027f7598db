"""The report of a run, made from its facts alone: decisions, orders, fills, trades, what is open, refusals, digests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.domain import events as ev
from engine.domain.averages import average_price
from engine.domain.canonical import time_text
from engine.domain.entities import Account, Position, Ticket
from engine.domain.events import AnyFact
from engine.domain.marks import Mark
from engine.domain.values import Side
from engine.operations.digest import decisions_digest, ledger_digest


def report(
    facts: Sequence[AnyFact],
    positions: Mapping[str, Position],
    marks: Mapping[str, Mark],
    account: Account | None,
    equity: Decimal,
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """Everything as plain JSON values: money as text with two decimals or the price's own tick."""
    intents = {f.order: f for f in facts if isinstance(f, ev.OrderIntended)}
    fills = [f for f in facts if isinstance(f, ev.OrderFilled)]
    return {
        "settings": dict(settings),
        "receipts": dict(Counter(f.kind for f in facts if isinstance(f, ev.RECEIPTS))),
        "decisions": [_decision(f) for f in facts if isinstance(f, ev.DecisionMade)],
        "verdicts": dict(Counter(f.decision.verdict.value for f in facts if isinstance(f, ev.DecisionMade))),
        "orders": [_order(f) for f in intents.values()],
        "fills": [_fill(f, intents[f.order]) for f in fills],
        "trades": _trades(facts, intents),
        "open": [_open(p, marks.get(p.id)) for p in positions.values() if p.is_open],
        "denials": [_denial(f) for f in facts if isinstance(f, ev.EntryDenied)],
        "refusals": dict(sorted(Counter(_codes(facts)).items())),
        "equity_curve": [
            {"time": time_text(f.at), "equity": str(f.equity)} for f in facts if isinstance(f, ev.EquityMarked)
        ],
        "cash": str(account.cash) if account else None,
        "equity": str(equity),
        "facts": len(facts),
        "digests": {"decisions": decisions_digest(facts), "ledger": ledger_digest(facts)},
    }


def _codes(facts: Sequence[AnyFact]) -> list[str]:
    return [
        f.refusal.code.value
        for f in facts
        if isinstance(
            f,
            ev.EntryDenied
            | ev.ReceiptRefused
            | ev.SignalSetAside
            | ev.OrderDenied
            | ev.OrderRejected
            | ev.CommandRefused,
        )
    ]


def _decision(fact: ev.DecisionMade) -> dict[str, Any]:
    decision = fact.decision
    return {
        "seq": fact.seq,
        "time": time_text(fact.at),
        "symbol": fact.symbol,
        "by": fact.by,
        "verdict": decision.verdict.value,
        "direction": decision.direction.value if decision.direction else None,
        "confluence": decision.confluence_score,
        "multiplier": decision.breakdown.final_multiplier if decision.breakdown else None,
        "reason": decision.reason,
    }


def _order(fact: ev.OrderIntended) -> dict[str, Any]:
    return {
        "id": fact.order,
        "time": time_text(fact.at),
        "contract": fact.contract.osi,
        "side": fact.side.value,
        "quantity": fact.quantity,
        "type": fact.type.value,
        "limit": str(fact.limit) if fact.limit is not None else None,
        "purpose": fact.purpose.value,
        "exit_reason": fact.exit_reason.value if fact.exit_reason else None,
    }


def _fill(fact: ev.OrderFilled, intent: ev.OrderIntended) -> dict[str, Any]:
    return {
        "order": fact.order,
        "execution": fact.execution,
        "time": time_text(fact.at),
        "contract": intent.contract.osi,
        "side": intent.side.value,
        "quantity": fact.quantity,
        "price": str(fact.price),
        "fees": str(fact.fees),
        "slippage": str(fact.slippage),
        "bid": _text(fact.quote.bid),
        "ask": _text(fact.quote.ask),
        "quote_time": time_text(fact.quote.at),
        "position": fact.position,
    }


def _denial(fact: ev.EntryDenied) -> dict[str, Any]:
    return {
        "time": time_text(fact.at),
        "symbol": fact.symbol,
        "decision": fact.decision,
        "trigger": fact.trigger,
        "stage": fact.stage,
        "code": fact.refusal.code.value,
        "numbers": fact.refusal.numbers,
    }


def _trades(facts: Sequence[AnyFact], intents: Mapping[str, ev.OrderIntended]) -> list[dict[str, Any]]:
    """Every closed position, told from its own facts: the state keeps only the last of them."""
    tickets = {f.ticket.id: f.ticket for f in facts if isinstance(f, ev.TicketOpened)}
    buys: dict[str, list[ev.OrderFilled]] = {}
    trades = []
    for fact in facts:
        if isinstance(fact, ev.OrderFilled) and intents[fact.order].side is Side.BUY:
            buys.setdefault(fact.position, []).append(fact)
        elif isinstance(fact, ev.PositionClosed):
            trades.append(_trade(fact, buys[fact.position], intents, tickets))
    return trades


def _trade(
    fact: ev.PositionClosed,
    buys: Sequence[ev.OrderFilled],
    intents: Mapping[str, ev.OrderIntended],
    tickets: Mapping[str, Ticket],
) -> dict[str, Any]:
    entry = intents[buys[0].order]
    assert entry.ticket is not None, "an entry comes from a ticket"
    quantity = sum(fill.quantity for fill in buys)
    paid = sum((fill.price * fill.quantity for fill in buys), Decimal(0))
    return {
        "position": fact.position,
        "contract": entry.contract.osi,
        "direction": tickets[entry.ticket].direction.value,
        "quantity": quantity,
        "entry_time": time_text(buys[0].at),
        "entry": str(average_price(paid, quantity)),
        "exit_time": time_text(fact.at),
        "exit": str(fact.average_exit),
        "reason": fact.reason.value,
        "gross": str(fact.gross),
        "fees": str(fact.fees),
        "net": str(fact.net),
        "r": str(fact.r),
        "attribution": {name: str(value) for name, value in fact.attribution.items()},
    }


def _open(position: Position, mark: Mark | None) -> dict[str, Any]:
    return {
        "position": position.id,
        "contract": position.contract.osi,
        "direction": position.direction.value,
        "quantity": position.quantity,
        "entry": str(position.entry),
        "mark": str(mark.price) if mark else None,
        "mark_time": time_text(mark.quote.at if mark.quote is not None else mark.at) if mark else None,
        "stale": mark.stale if mark else None,
        "unrealised": str(mark.unrealised) if mark else None,
    }


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)
