"""A ticket in fixed places: its headline, the five-second strip, and the line about book and rules. Text and paint only."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QPainter

from engine.domain.values import Purpose, Side
from engine.domain.views import Impact, TicketView
from widgets import numbers
from widgets.canvas import RIGHT, Canvas
from widgets.theme import Look

ORDINALS = {1: "1st", 2: "2nd", 3: "3rd"}
Pair = tuple[str, str, bool | None]


def heading(ticket: TicketView) -> str:
    """`buy 4 SPY 26 Nov 26 662 C`."""
    return f"{ticket.side.value.lower()} {ticket.quantity} {ticket.contract}"


def strip(ticket: TicketView) -> tuple[Pair, ...]:
    """The same names in the same places for every entry; an exit has its own set, as fixed."""
    sizes = f"{_size(ticket.bid_size)} {numbers.TIMES} {_size(ticket.ask_size)}"
    source = "synthetic" if ticket.synthetic else ticket.source
    market: tuple[Pair, ...] = (
        ("Bid × ask", numbers.market(ticket.bid, ticket.ask), None),
        ("Limit", f"{numbers.price(ticket.limit)} · {_against_mid(ticket.mid_ticks)}", None),
        ("Sizes", sizes, None),
        ("Quote", f"{source} · {numbers.age(ticket.age)}", None),
    )
    if ticket.purpose is Purpose.EXIT:
        return (
            *market,
            ("Why", ticket.exit_reason.replace("_", " ") or numbers.NONE, None),
            ("To the close", numbers.span(ticket.to_close), None),
        )
    return (
        *market,
        ("Loss at stop", f"{numbers.dollars(ticket.max_loss)} · {numbers.percent(ticket.loss_fraction)}", None),
        ("Budget after", numbers.dollars(ticket.budget_left), None),
        ("Stop, premium", _stop(ticket), None),
        ("Stop, spot", _underlying_stop(ticket), None),
        ("Break-even", _break_even(ticket), None),
        ("Targets", ticket.targets or numbers.NONE, None),
        ("To the close", numbers.span(ticket.to_close), None),
        ("Event", ticket.event or "none known", None),
        ("Same bet", _same_bet(ticket), None),
        ("Expiry", "today" if ticket.dte == 0 else numbers.count(ticket.dte, "day"), None),
    )


def _size(size: int | None) -> str:
    return numbers.NONE if size is None else f"{size:,}"


def _against_mid(ticks: int | None) -> str:
    if ticks is None:
        return "no mid"
    return "mid" if ticks == 0 else f"mid {numbers.signed(ticks, 0)} {'tick' if abs(ticks) == 1 else 'ticks'}"


def _stop(ticket: TicketView) -> str:
    if ticket.stop_fraction is None:
        return numbers.NONE
    return f"{numbers.percent(-ticket.stop_fraction, 0)} · {numbers.dollars(ticket.stop_dollars)}"


def _underlying_stop(ticket: TicketView) -> str:
    if ticket.stop_underlying is None:
        return numbers.NONE
    away = "" if ticket.stop_atr is None else f" · {ticket.stop_atr:.1f} ATR"
    return f"{numbers.price(ticket.stop_underlying)}{away}"


def _break_even(ticket: TicketView) -> str:
    if ticket.break_even is None:
        return numbers.NONE
    used = "" if ticket.move_used is None else f" · {ticket.move_used:.1f}{numbers.TIMES} move"
    return f"{numbers.price(ticket.break_even)}{used}"


def _same_bet(ticket: TicketView) -> str:
    number = ORDINALS.get(ticket.same_bets, f"{ticket.same_bets}th")
    if ticket.group and ticket.same_bets > 1:
        return f"{number} in {ticket.group}"
    return f"{number} {ticket.symbol} {ticket.direction.value.lower()}"


def _impact(impact: Impact) -> str:
    before, after = (numbers.plain(value, impact.decimals) for value in (impact.before, impact.after))
    return f"{impact.name} {before} → {after}{numbers.NARROW + impact.unit if impact.unit else ''}"


def _sized(ticket: TicketView) -> str:
    """`9,999 asked, 16 allowed by risk budget`."""
    if ticket.asked is None:
        return f"size by {ticket.sized_by}"
    return f"{ticket.asked:,} asked, {ticket.quantity:,} allowed by {ticket.sized_by}"


def footnote(ticket: TicketView, barred: str = "") -> list[str]:
    """Book before and after, rules passed and failed, what set the size, what cancels it. `barred`: what it waits for now."""
    lines = []
    if ticket.impacts:
        lines.append("Book after: " + " · ".join(_impact(impact) for impact in ticket.impacts))
    if ticket.odds is not None and ticket.touch is not None:
        ends, touches = numbers.percent(ticket.odds, 0), numbers.percent(ticket.touch, 0)
        lines.append(f"Options say: {ends} to end in profit, {touches} to touch break-even")
    passed = sum(verdict.passed for verdict in ticket.verdicts)
    failed = [verdict for verdict in ticket.verdicts if not verdict.passed]
    rules = [numbers.count(passed, "rule") + (" passed before" if barred else " passed")] if ticket.verdicts else []
    rules += [f"{v.rule} fails {v.value} of {v.limit}" for v in failed]
    if ticket.sized_by:
        rules.append(_sized(ticket))
    if ticket.reprices:
        rules.append(f"re-priced {ticket.reprices}{numbers.TIMES}")
    if rules:
        lines.append(" · ".join(rules))
    if ticket.cancels:
        lines.append(f"Cancelled by {ticket.cancels}")
    return lines


class Headline(Canvas):
    """Side, quantity and contract large; the countdown opposite; life running down beneath."""

    def __init__(self, look: Look) -> None:
        super().__init__(look, "approvals.headline", "Ticket")
        self.ticket: TicketView | None = None

    def show_ticket(self, ticket: TicketView) -> None:
        if ticket != self.ticket:
            self.ticket = ticket
            self.describe(heading(ticket))
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(240), self.look.px(42))

    def draw(self, painter: QPainter) -> None:
        ticket = self.ticket
        if ticket is None:
            return
        pad, tall = self.look.px(10), self.look.px(36)
        left = numbers.countdown(ticket.expires_in)
        wide = self.look.metrics("big", 600).horizontalAdvance("0:00:00") if len(left) > 5 else self.look.px(56)
        clock = QRect(self.width() - pad - wide, 0, wide, tall)
        self.put(painter, clock, left, role="big", weight=600, align=RIGHT)
        word = "BUY" if ticket.side is Side.BUY else "SELL"
        used = self.chip(painter, pad, tall // 2, word, "hi")
        room = QRect(pad + used, 0, clock.x() - pad - used - 4, tall)
        text = f"{ticket.quantity} {numbers.TIMES} {ticket.contract}"
        self.put(painter, room, text, role="head", weight=600, elide=True)
        track = QRect(0, self.height() - self.look.px(3), self.width(), self.look.px(2))
        painter.fillRect(track, self.look.colour("line"))
        life = round(max(0.0, min(1.0, ticket.life)) * track.width())
        painter.fillRect(QRect(0, track.y(), life, track.height()), self.ink("hi"))
