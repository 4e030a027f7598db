"""One line of a story: what a fact says, for a person who reads how a signal became a trade."""

from __future__ import annotations

from engine.domain import events as ev
from engine.domain.events import AnyFact
from engine.sessions import NEW_YORK


def line_of(fact: AnyFact) -> str:
    """`12  14:33:00 New York  SignalReceived  SPY 5m LONG HIGH`."""
    return f"{fact.seq:>8}  {fact.at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}  {fact.kind:<20} {words_of(fact)}"


def words_of(fact: AnyFact) -> str:
    """What the fact says, without its place and time."""
    match fact:
        case ev.SignalReceived(signal=s):
            return f"{s.symbol} {s.timeframe.label} {s.direction} {s.quality}, score {s.ai_score:g}, at {s.price:g}"
        case ev.PhaseReceived(phase=p):
            return f"{p.symbol} {p.role} {p.event_tf} {p.name}, {p.implication}"
        case ev.TrendReceived(trend=t):
            return f"{t.symbol} trend of eight timeframes"
        case ev.ExitNoticeReceived(notice=n):
            return f"{n.symbol} exit notice: {n.said}"
        case ev.ReceiptRefused(refusal=r, status=status):
            return f"{status} {r.text}"
        case ev.DuplicateReceived(original=original):
            return f"the same as {original}"
        case ev.SignalPlaced(active=a):
            s = a.signal
            return f"{s.symbol} {s.timeframe.label} {s.direction} {s.quality}, on the board until {a.expires.astimezone(NEW_YORK):%H:%M:%S}"
        case ev.SignalSuperseded(kept=kept, contradicts=contradicts):
            return f"the board kept {kept}" + (", which it contradicts" if contradicts else "")
        case ev.SignalSetAside(refusal=r):
            return r.text
        case ev.DecisionMade(decision=d):
            return f"{d.verdict}{f' {d.direction}' if d.direction else ''}, confluence {d.confluence_score}: {d.reason}"
        case ev.EntryDenied(refusal=r, stage=stage):
            return f"{stage}: {r.text}"
        case ev.TicketOpened(ticket=t):
            line = f"{t.side} {t.quantity} {t.contract.label}, limit {t.limit}, max loss {t.max_loss}"
            return "; ".join((line, *t.notes))
        case ev.TicketRepriced(limit=limit):
            return f"limit {limit}"
        case ev.TicketApproved(by=by, quantity=quantity, limit=limit, reason=reason):
            return f"by {by}: {quantity} at {limit}" + (f", {reason}" if reason else "")
        case ev.TicketRejected(by=by, reason=reason):
            return f"by {by}" + (f": {reason}" if reason else "")
        case ev.DecisionOverridden(by=by, reason=reason, changes=changes):
            return f"by {by}: {reason} ({', '.join(f'{name} {value}' for name, value in changes.items())})"
        case ev.OrderIntended(side=side, quantity=quantity, contract=c, limit=limit, exit_reason=why):
            return f"{side} {quantity} {c.label} at {limit}" + (f", {why}" if why else "")
        case ev.OrderFilled(quantity=quantity, price=price, fees=fees, quote=q):
            return f"{quantity} at {price}, fees {fees}, quote {q.bid} x {q.ask} {q.source}"
        case ev.OrderRepriced(limit=limit, attempt=attempt):
            return f"limit {limit}, try {attempt}"
        case ev.OrderCancelled(reason=reason):
            return reason
        case ev.OrderDoubted(reason=reason) | ev.BrokerDisconnected(reason=reason):
            return reason
        case ev.OrderReappeared(order=order, was=was):
            return f"{order} works at the broker, was {was}"
        case ev.OrderSettledByHand(by=by, reason=reason, quantity=quantity, price=price):
            return f"by {by}: {f'{quantity} filled at {price}' if quantity else 'no more filled'}, {reason}"
        case ev.BrokerConnected(broker=broker, data_lost=data_lost):
            return f"{broker}, data {'lost' if data_lost else 'kept'}"
        case ev.BrokerReconciled(adopted=adopted, unresolved=unresolved):
            return f"{adopted} executions adopted, in doubt: {', '.join(unresolved) or 'none'}"
        case ev.ForeignOrderSeen(side=side, quantity=quantity, what=what, why=why):
            return f"{side} {quantity} {what}: {why}"
        case ev.ForeignExecutionSeen(side=side, quantity=quantity, what=what, price=price, why=why):
            return f"{side} {quantity} {what} at {price}: {why}"
        case ev.OrderRejected(refusal=r) | ev.OrderDenied(refusal=r):
            return r.text
        case ev.PositionMarked(mark=mark, unrealised=unrealised):
            return f"{mark}, unrealised {unrealised}"
        case ev.ExitTriggered(rule=rule, reason=reason, action=action, quantity=quantity):
            return f"{rule}: {reason}, {action} {quantity}"
        case ev.PositionClosed(reason=reason, gross=gross, fees=fees, net=net, r=r):
            return f"{reason}: gross {gross}, fees {fees}, net {net}, {r} R"
        case ev.ContractSettled(settlement=settlement, price=price):
            return f"against {settlement}, paid {price}"
        case ev.BiasFlipped(against=against, why=why):
            return f"against {against}: {why}"
        case ev.CommandRefused(command=command, target=target, refusal=r, reason=reason):
            return f"{command} {target}: {r.text}" + (f"; reason given: {reason}" if reason else "")
        case ev.TradingHalted(by=by, reason=reason) | ev.TradingResumed(by=by, reason=reason):
            return f"by {by}: {reason}"
        case ev.SessionOpened(session=day, equity=equity):
            return f"{day}, equity {equity}"
        case ev.EquityMarked(equity=equity, cash=cash):
            return f"equity {equity}, cash {cash}"
        case ev.EngineStarted(version=version, market=market, policy=policy):
            return f"{version}, market {market}, policy {policy}"
        case ev.EngineStopped(reason=reason):
            return reason
        case _:
            return ""
