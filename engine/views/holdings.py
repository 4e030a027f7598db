"""Rows of orders, positions, exits and the book's Greeks."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from operator import itemgetter

from engine.domain.entities import Order, Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, Greeks, Purpose
from engine.domain.views import (
    ExitRow,
    ExitsView,
    Face,
    FaceKind,
    Gauge,
    GreeksView,
    OrderRow,
    OrdersView,
    PositionRow,
    PositionsView,
    SymbolGreeks,
)
from engine.sessions import new_york_day
from engine.views.seen import Seen, age, left

DONE_SHOWN = 30
"""Finished orders that stay in sight, newest first."""
EXITS_SHOWN = 200
"""Exit rules in sight: all of fifteen positions, the nearest of more."""
SECONDS_A_DAY = 86400


def orders_view(seen: Seen) -> OrdersView:
    """Working ones first, each group newest first."""
    working = [_order(seen, order) for order in reversed(seen.state.open_orders.values())]
    done: list[OrderRow] = []
    for order in reversed(seen.state.orders.values()):
        if not order.state.is_open:
            done.append(_order(seen, order))
            if len(done) >= DONE_SHOWN:
                break
    rows = (*working, *done)
    empty = Face(kind=FaceKind.EMPTY, what="No order was made yet.", then="Approved tickets become orders.")
    return OrdersView(rows=rows, face=Face() if rows else empty)


def _order(seen: Seen, order: Order) -> OrderRow:
    quote = seen.quotes.option(order.contract) if order.state.is_open else None
    changed = order.updated or order.created
    ended = order.updated if order.updated is not None and not order.state.is_open else seen.now
    return OrderRow(
        id=order.id,
        contract=order.contract.label,
        symbol=order.contract.symbol,
        side=order.side,
        quantity=order.quantity,
        filled=order.filled,
        state=order.state,
        limit=order.limit,
        average=order.average,
        bid=quote.bid if quote else None,
        ask=quote.ask if quote else None,
        age=age(quote.age(seen.now)) if quote else None,
        purpose=order.purpose,
        why=order.exit_reason.value if order.exit_reason else order.purpose.value.lower(),
        working=left((ended - order.created).total_seconds()),
        changed=changed,
        since=_standing((seen.now - changed).total_seconds()),
        attempts=order.attempts,
        refusal=order.refusal.text if order.refusal else "",
        position=order.position,
        seq=int(order.id[1:]),
    )


def _standing(seconds: float) -> float:
    """So that a row that nothing happens to stands still: seconds in the first minute, then minutes."""
    whole = int(max(0.0, seconds))
    return float(whole if whole < 60 else whole // 60 * 60)


def positions_view(seen: Seen) -> PositionsView:
    held = list(seen.state.open_positions.values())
    closing: dict[str, int] = defaultdict(int)
    for order in seen.state.open_orders.values():
        if order.purpose is Purpose.EXIT and order.position is not None:
            closing[order.position] += order.remaining
    rows = tuple(position_row(seen, position, closing.get(position.id, 0)) for position in held)
    pnl = [row.pnl for row in rows if row.pnl is not None]
    thetas = [row.theta for row in rows if row.theta is not None]
    ages = [row.age for row in rows if row.age is not None]
    stale = [row for row in rows if row.stale]
    face = Face()
    if not rows:
        face = Face(kind=FaceKind.EMPTY, what="No position is open.", then="Fills open positions; their exits are watched from then on.")  # fmt: skip
    elif len(stale) == len(rows):
        face = Face(kind=FaceKind.STALE, what="No usable quote", then="the last marks are shown", age=max(ages, default=None))  # fmt: skip
    return PositionsView(
        rows=rows,
        delta_dollars=_delta(seen),
        theta=sum(thetas, Decimal(0)) if thetas else None,
        pnl=sum(pnl, Decimal(0)) if pnl else None,
        age=max(ages, default=None),
        face=face,
    )


def _delta(seen: Seen) -> Decimal | None:
    if seen.book is None:
        return None
    held = (e.delta_dollars for e in seen.book.exposures if not e.waiting)
    return sum(held, Decimal(0)).quantize(Decimal(1))


def greeks_by(seen: Seen, position: Position, mark: Mark | None) -> str:
    """Where a position's Greeks are from: model, forward, source of the quote. Empty where there are none."""
    if mark is None or mark.greeks is None:
        return ""
    source = mark.quote.source if mark.quote is not None else "no quote"
    style = position.contract.style.value.capitalize()
    return f"{style}, {seen.terms(position.contract).text}, {source.split(':', 1)[0]}"


def theta_to_close(seen: Seen, greeks: Greeks) -> float:
    """Theta is per calendar day: the share of one that is left of the session. Dollars per share."""
    return greeks.theta * (seen.to_close or 0.0) / SECONDS_A_DAY


def position_row(seen: Seen, position: Position, closing: int) -> PositionRow:
    mark: Mark | None = seen.marks.get(position.id)
    units = position.quantity * position.contract.multiplier
    greeks = mark.greeks if mark else None
    nearest = min(
        (e for e in mark.exits if e.action is not ExitAction.ALERT), key=lambda e: e.nearness, default=None
    ) if mark else None  # fmt: skip
    price, entry = mark.price if mark else None, position.entry
    quote = mark.quote if mark else None
    return PositionRow(
        id=position.id,
        contract=position.contract.label,
        symbol=position.symbol,
        direction=position.direction,
        dte=(position.contract.expiry - new_york_day(seen.now)).days,
        quantity=position.quantity,
        entry=entry,
        mark=price,
        bid=quote.bid if quote else None,
        ask=quote.ask if quote else None,
        age=age(quote.age(seen.now)) if quote else None,
        stale=mark.stale if mark else True,
        model=mark.model if mark else False,
        pnl=mark.unrealised if mark else None,
        pnl_fraction=float(price / entry - 1) if price is not None and entry else None,
        r=float(mark.unrealised / position.risk) if mark and position.risk else None,
        delta=greeks.delta if greeks else None,
        gamma=greeks.gamma if greeks else None,
        vega=_whole(greeks.vega * units) if greeks else None,
        theta=_whole(theta_to_close(seen, greeks) * units) if greeks else None,
        mfe=float(mark.best / entry - 1) if mark and entry else None,
        mae=float(mark.worst / entry - 1) if mark and entry else None,
        next_exit=f"{nearest.rule} · {nearest.distance}" if nearest else "",
        nearness=round(nearest.nearness, 3) if nearest else None,
        iv=round(greeks.iv, 4) if greeks else None,
        greeks_by=greeks_by(seen, position, mark),
        closing=closing,
        decision=position.decision,
        trigger=next((s for s in (position.trigger, position.decision) if s is not None), int(position.id[1:])),
    )


def _whole(dollars: float) -> Decimal:
    return Decimal(round(dollars))


def exits_view(seen: Seen) -> ExitsView:
    """Every rule of every position, nearest first; those that only say something come after those that act."""
    found: list[tuple[bool, bool, float, str, ExitDistance]] = []
    labels: dict[str, str] = {}
    for position in seen.state.open_positions.values():
        mark = seen.marks.get(position.id)
        if mark is None:
            continue
        labels[position.id] = position.contract.label
        found += [(one.action is ExitAction.ALERT, not one.fired, one.nearness, position.id, one) for one in mark.exits]
    found.sort(key=itemgetter(0, 1, 2))
    rows = tuple(
        ExitRow(
            position=key,
            contract=labels[key],
            rule=one.rule,
            level=one.level,
            distance=one.distance,
            nearness=round(one.nearness, 3),
            owner=one.owner,
            action=one.action,
            priority=one.priority,
            fired=one.fired,
        )
        for *_, key, one in found[:EXITS_SHOWN]
    )
    empty = Face(kind=FaceKind.EMPTY, what="Nothing to watch.", then="Each open position brings its own exit rules.")
    return ExitsView(rows=rows, more=len(found) - len(rows), face=Face() if rows else empty)


def greeks_view(seen: Seen) -> GreeksView:
    book = seen.book
    held = list(seen.state.open_positions.values())
    if book is None or not held:
        face = Face(kind=FaceKind.EMPTY, what="The book is empty.", then="Greeks appear with the first position.")
        return GreeksView(face=face)
    sums: dict[str, list[Decimal]] = {}
    unknown = 0
    for position in held:
        mark = seen.marks.get(position.id)
        row = sums.setdefault(position.symbol, [Decimal(0)] * 5)
        if mark is None or mark.greeks is None or mark.underlying is None:
            unknown += 1
            continue
        spot, units = float(mark.underlying), position.quantity * position.contract.multiplier
        parts = (
            mark.greeks.delta * spot * units,
            mark.greeks.gamma * spot * spot / 100 * units,
            theta_to_close(seen, mark.greeks) * units,
            mark.greeks.vega * units,
        )
        for place, part in enumerate(parts):
            row[place] += _whole(part)
        row[4] += mark.unrealised
    symbols = tuple(
        SymbolGreeks(symbol=symbol, delta_dollars=d, gamma_dollars=g, theta=t, vega=v, pnl=p)
        for symbol, (d, g, t, v, p) in sorted(sums.items())
    )
    heat = sum((e.risk for e in book.exposures), Decimal(0)) / book.equity if book.equity > 0 else None
    risk = seen.settings.risk
    delta_limit = (risk.max_delta_dollars * book.equity).quantize(Decimal(1))
    gauges = (
        Gauge(name="Delta $", value=sum((s.delta_dollars for s in symbols), Decimal(0)), limit=delta_limit, help="Dollars of the underlyings, all positions"),
        Gauge(name="Gamma $ / 1 %", value=sum((s.gamma_dollars for s in symbols), Decimal(0)), help="Change of delta dollars for 1 % of the underlyings"),
        Gauge(name="Theta to close", value=sum((s.theta for s in symbols), Decimal(0)), help="Dollars that pass by the session's close"),
        Gauge(name="Vega / pt", value=sum((s.vega for s in symbols), Decimal(0)), help="Dollars per vol point"),
        Gauge(name="Heat", value=None if heat is None else heat.quantize(Decimal("0.0001")), limit=risk.max_heat, unit="%", decimals=1, help="Loss of everything at its stop, of equity"),
    )  # fmt: skip
    marks = [seen.marks[p.id] for p in held if p.id in seen.marks]
    ages = [age(m.quote.age(seen.now)) for m in marks if m.quote is not None]
    what = f"{unknown} of {len(held)} positions have no Greeks now"
    face = Face(kind=FaceKind.STALE, what=what, then="they are left out of the sums") if unknown else Face()
    by = sorted({text for p in held if (text := greeks_by(seen, p, seen.marks.get(p.id)))})
    return GreeksView(gauges=gauges, symbols=symbols, age=max(ages, default=None), greeks_by="; ".join(by), face=face)
