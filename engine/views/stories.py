"""The facts of one story as linked cards: heard, decided, ruled, approved, ordered, filled, ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from engine.domain import events as ev
from engine.domain.events import AnyFact
from engine.domain.values import ExitAction, Purpose, Side
from engine.domain.views import Face, FaceKind, LedgerRow, Point, StoryCard, StoryStep, StoryView

HEARD = (
    ev.SignalReceived,
    ev.PhaseReceived,
    ev.TrendReceived,
    ev.ExitNoticeReceived,
    ev.ReceiptRefused,
    ev.DuplicateReceived,
)
PARTS = ("delta", "gamma", "vega", "theta", "residual")
"""In the order in which they are read; a ledger's own text sorts them by name."""
NO_STORY = StoryView(
    face=Face(kind=FaceKind.EMPTY, what="No story is open.", then="Press Enter on a signal, an order or a position.")
)


def story_view(seq: int, facts: Sequence[AnyFact]) -> StoryView:
    """`facts`: all of the story, in order, as `Ledger.story` gives them."""
    if not facts:
        return StoryView(
            face=Face(kind=FaceKind.EMPTY, what=f"There is no fact {seq:,}.", then="It may not be durable yet.")
        )
    makers = (_signal, _decision, _rules, _approval, _order, _fills, _exit)
    cards: list[StoryCard] = []
    last: datetime | None = None
    stopped = False
    for make, step in zip(makers, StoryStep, strict=True):
        card = make(facts) or StoryCard(step=step, title="did not come" if stopped else "not yet")
        if card.at is not None:
            if last is not None:
                card = _with_after(card, max(0.0, (card.at - last).total_seconds()))
            last = card.at
        stopped = stopped or card.stopped
        cards.append(card)
    closed = next((f for f in facts if isinstance(f, ev.PositionClosed)), None)
    intent = next((f for f in facts if isinstance(f, ev.OrderIntended)), None)
    outcome = "open" if any(isinstance(f, ev.OrderFilled) for f in facts) else "no position"
    if closed is not None:
        outcome = f"closed {_signed(closed.net)} net, {closed.r:+.2f} R".replace("-", "−")
    return StoryView(
        seq=seq,
        title=intent.contract.label if intent else cards[0].title,
        outcome=outcome,
        gain=None if closed is None or closed.net == 0 else closed.net > 0,
        cards=tuple(cards),
        facts=tuple(
            LedgerRow(seq=f.seq, at=f.at, kind=f.kind, text=fact_text(f), cause=f.cause)
            for f in facts
            if not isinstance(f, ev.PositionMarked)
        ),
    )


def _with_after(card: StoryCard, after: float) -> StoryCard:
    return StoryCard(step=card.step, title=card.title, at=card.at, after=after, points=card.points, seqs=card.seqs,
                     stopped=card.stopped)  # fmt: skip


def _signed(amount: Decimal) -> str:
    return f"{'−' if amount < 0 else '+'}${abs(amount):,.2f}"


def _points(*pairs: tuple[str, object]) -> tuple[Point, ...]:
    return tuple(Point(name=name, value=str(value)) for name, value in pairs if value not in (None, ""))


def _card(step: StoryStep, fact: AnyFact, title: str, *pairs: tuple[str, object], stopped: bool = False) -> StoryCard:
    return StoryCard(step=step, title=title, at=fact.at, points=_points(*pairs), seqs=(fact.seq,), stopped=stopped)


def _signal(facts: Sequence[AnyFact]) -> StoryCard | None:
    fact = next((f for f in facts if isinstance(f, HEARD)), None)
    if fact is None:
        return None
    if isinstance(fact, ev.SignalReceived):
        s = fact.signal
        return _card(StoryStep.SIGNAL, fact, f"{s.symbol} {s.timeframe.label} {s.direction} {s.quality}",
                     ("AI score", f"{s.ai_score:.1f}"), ("Price", f"{s.price:.2f}"), ("Stop", f"{s.stop_loss:.2f}"),
                     ("Reward to risk", f"{s.rr_ratio_t1:.1f}"), ("Late by", f"{fact.late:.1f} s"),
                     ("Assumed", f"{len(s.assumed)} fields" if s.assumed else ""))  # fmt: skip
    if isinstance(fact, ev.ReceiptRefused):
        return _card(StoryStep.SIGNAL, fact, "Not understood", ("Why", fact.refusal.text), stopped=True)
    if isinstance(fact, ev.DuplicateReceived):
        return _card(StoryStep.SIGNAL, fact, "Duplicate", ("Of", f"{fact.original:,}"), stopped=True)
    return _card(StoryStep.SIGNAL, fact, fact_text(fact))


def _decision(facts: Sequence[AnyFact]) -> StoryCard | None:
    fact = next((f for f in facts if isinstance(f, ev.DecisionMade)), None)
    if fact is None:
        return None
    d = fact.decision
    side = d.direction or d.leaning or ""
    final = f"× {d.breakdown.final_multiplier:.2f}" if d.breakdown else ""
    return _card(StoryStep.DECISION, fact, f"{d.verdict} {side} {d.confluence_score}".replace("  ", " "),
                 ("Multiplier", final), ("Contracts", d.recommended_contracts or ""), ("By", fact.by),
                 ("Inputs", f"{len(fact.signals)} signals, {len(fact.phases)} phases"),
                 ("Engine", d.engine_version), stopped=d.verdict != "EXECUTE")  # fmt: skip


def _rules(facts: Sequence[AnyFact]) -> StoryCard | None:
    opened = next((f for f in facts if isinstance(f, ev.TicketOpened) and f.ticket.purpose is Purpose.ENTRY), None)
    if opened is None:
        denied = next((f for f in facts if isinstance(f, ev.EntryDenied)), None)
        if denied is None:
            return None
        numbers = list(denied.refusal.numbers.items())[:4]
        return _card(
            StoryStep.RULES, denied, denied.refusal.code.value, ("Denied by", denied.stage), *numbers, stopped=True
        )
    ticket = opened.ticket
    passed = sum(verdict.passed for verdict in ticket.verdicts)
    size = f"{ticket.sizing.recommended} → {ticket.quantity}" if ticket.sizing else str(ticket.quantity)
    return _card(StoryStep.RULES, opened, f"{passed} rules passed", ("Contract", ticket.contract.label),
                 ("Delta", f"{ticket.greeks.delta:.2f}".replace("-", "−") if ticket.greeks else ""), ("Size", size),
                 ("Set by", ticket.sizing.capped_by if ticket.sizing else ""), ("Max loss", f"${ticket.max_loss:,.0f}"),
                 *(("Note", note) for note in ticket.notes))  # fmt: skip


def _approval(facts: Sequence[AnyFact]) -> StoryCard | None:
    for fact in facts:
        if isinstance(fact, ev.TicketApproved):
            return _card(StoryStep.APPROVAL, fact, f"Approved by {fact.by}", ("Quantity", fact.quantity),
                         ("Limit", f"{fact.limit:.2f}"), ("Reason", fact.reason))  # fmt: skip
        if isinstance(fact, ev.TicketRejected):
            return _card(StoryStep.APPROVAL, fact, f"Rejected by {fact.by}", ("Reason", fact.reason), stopped=True)
        if isinstance(fact, ev.TicketExpired):
            return _card(StoryStep.APPROVAL, fact, "Expired unanswered", stopped=True)
        if isinstance(fact, ev.EntryDenied) and fact.ticket is not None:
            return _card(StoryStep.APPROVAL, fact, fact.refusal.code.value, *list(fact.refusal.numbers.items())[:4], stopped=True)  # fmt: skip
    return None


def _order(facts: Sequence[AnyFact]) -> StoryCard | None:
    fact = next((f for f in facts if isinstance(f, ev.OrderIntended) and f.purpose is Purpose.ENTRY), None)
    if fact is None:
        return None
    sent = next((f for f in facts if isinstance(f, ev.OrderSubmitted) and f.order == fact.order), None)
    ended = (ev.OrderRejected, ev.OrderCancelled, ev.OrderExpired, ev.OrderDenied)
    over = next((f for f in facts if isinstance(f, ended) and f.order == fact.order), None)
    repriced = sum(isinstance(f, ev.OrderRepriced) and f.order == fact.order for f in facts)
    limit = "" if fact.limit is None else f" at {fact.limit:.2f}"
    return _card(StoryStep.ORDER, fact, f"{fact.side} {fact.quantity}{limit}", ("Type", f"{fact.type} {fact.tif}"),
                 ("Sent to", sent.broker if sent else ""), ("Re-priced", f"{repriced} ×" if repriced else ""),
                 ("Ended", over.kind.removeprefix("Order") if over else ""), stopped=over is not None)  # fmt: skip


def _fills(facts: Sequence[AnyFact]) -> StoryCard | None:
    entry = {f.order for f in facts if isinstance(f, ev.OrderIntended) and f.side is Side.BUY}
    fills = [f for f in facts if isinstance(f, ev.OrderFilled) and f.order in entry]
    if not fills:
        return None
    bought = sum(f.quantity for f in fills)
    average = sum((f.price * f.quantity for f in fills), Decimal(0)) / bought
    last = fills[-1]
    return StoryCard(
        step=StoryStep.FILLS,
        title=f"{bought} at {average:.2f}",
        at=last.at,
        seqs=tuple(f.seq for f in fills),
        points=_points(
            ("Executions", len(fills)),
            ("Against", f"{last.quote.bid} × {last.quote.ask}"),
            ("Fees", f"${sum((f.fees for f in fills), Decimal(0)):.2f}"),
            ("Slippage", f"{last.slippage:.2f}"),
            ("Underlying", last.underlying),
        ),
    )


def _exit(facts: Sequence[AnyFact]) -> StoryCard | None:
    closed = next((f for f in facts if isinstance(f, ev.PositionClosed)), None)
    if closed is None:
        rules = [f for f in facts if isinstance(f, ev.ExitTriggered)]
        fired = next((f for f in reversed(rules) if f.action is not ExitAction.ALERT), None)
        if fired is None:
            alerts = tuple(Point(name="Alert", value=f.rule) for f in rules[-4:])
            return StoryCard(step=StoryStep.EXIT, title="still open", points=alerts) if alerts else None
        return _card(
            StoryStep.EXIT, fired, f"{fired.rule} fired", ("Does", fired.action), *list(fired.numbers.items())[:3]
        )
    gain = None if closed.net == 0 else closed.net > 0
    names = [*PARTS, *(name for name in closed.attribution if name not in PARTS)]
    parts = [(name.capitalize(), closed.attribution[name]) for name in names if closed.attribution.get(name)]
    if closed.fees:
        parts.append(("Fees", -closed.fees))
    points = (
        Point(name="Net", value=_signed(closed.net), gain=gain),
        Point(name="R", value=f"{closed.r:+.2f}".replace("-", "−"), gain=gain),
        *_points(("At", f"{closed.average_exit:.2f}"), ("Held", f"{closed.held_seconds / 60:.0f} m")),
        *(Point(name=name, value=_signed(amount)) for name, amount in parts),  # all of them: they add up to the net
    )
    return StoryCard(
        step=StoryStep.EXIT,
        title=closed.reason.value.replace("_", " "),
        at=closed.at,
        points=points,
        seqs=(closed.seq,),
    )


def fact_text(fact: AnyFact) -> str:
    """One line of what a fact says."""
    match fact:
        case ev.SignalReceived(signal=s):
            return f"{s.symbol} {s.timeframe.label} {s.direction} {s.quality}, AI {s.ai_score:.1f}"
        case ev.PhaseReceived(phase=p):
            return f"{p.symbol} {p.role} {p.event_tf} {p.name}"
        case ev.TrendReceived(trend=t):
            return f"{t.symbol} trend of eight timeframes"
        case ev.ExitNoticeReceived(notice=n):
            return f"{n.symbol} exit: {n.said}"
        case ev.DecisionMade(decision=d):
            return f"{d.verdict} {d.confluence_score}: {d.reason}"
        case ev.EntryDenied(refusal=r) | ev.ReceiptRefused(refusal=r) | ev.SignalSetAside(refusal=r):
            return r.text
        case ev.OrderRejected(refusal=r) | ev.OrderDenied(refusal=r):
            return r.text
        case ev.CommandRefused(refusal=r, reason=reason):
            return r.text + (f"; reason given: {reason}" if reason else "")
        case ev.TicketOpened(ticket=t):
            return "; ".join((f"{t.side} {t.quantity} {t.contract.label} limit {t.limit}", *t.notes))
        case ev.TicketApproved():
            return f"{fact.quantity} at {fact.limit} by {fact.by} {fact.reason}".strip()
        case ev.TicketRejected() | ev.TradingHalted() | ev.TradingResumed() | ev.DecisionOverridden():
            return f"by {fact.by} {fact.reason}".strip()
        case ev.TicketRepriced():
            return f"limit {fact.limit}, quote {fact.quote.bid} × {fact.quote.ask}"
        case ev.OrderIntended():
            return f"{fact.side} {fact.quantity} {fact.contract.label} limit {fact.limit} {fact.tif}"
        case ev.OrderSubmitted():
            return f"to {fact.broker}"
        case ev.OrderRepriced():
            return f"limit {fact.limit}, attempt {fact.attempt}"
        case ev.OrderFilled():
            return f"{fact.quantity} at {fact.price}, fees {fact.fees}, quote {fact.quote.bid} × {fact.quote.ask}"
        case ev.OrderCancelled() | ev.OrderDoubted() | ev.BrokerDisconnected():
            return fact.reason
        case ev.OrderSettledByHand():
            filled = f"{fact.quantity} filled at {fact.price}" if fact.quantity else "no more filled"
            return f"by {fact.by}: {filled}, {fact.reason}"
        case ev.ForeignOrderSeen() | ev.ForeignExecutionSeen():
            return f"{fact.side} {fact.quantity} {fact.what}: {fact.why}"
        case ev.BrokerReconciled():
            return f"{fact.adopted} adopted, in doubt: {', '.join(fact.unresolved) or 'none'}"
        case ev.ExitTriggered():
            return f"{fact.rule}: {' '.join(f'{k}={v}' for k, v in fact.numbers.items())}"
        case ev.PositionClosed():
            return f"{fact.reason} net {_signed(fact.net)}, {fact.r:+.2f} R".replace("-", "−")
        case ev.ContractSettled():
            return f"{fact.quantity} at {fact.price}, underlying {fact.settlement}"
        case ev.SignalSuperseded():
            return f"kept {fact.kept:,}{', contradicted' if fact.contradicts else ''}"
        case ev.BiasFlipped():
            return fact.why
        case _:
            return ""
