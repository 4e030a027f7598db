"""Open positions: mark with its age, profit, Greeks, best and worst, and the next exit. X opens an exit ticket."""

from __future__ import annotations

from engine.domain.views import PositionRow, PositionsView
from widgets import numbers
from widgets.canvas import LEFT
from widgets.panels.rows import RowsPanel
from widgets.table import Column
from widgets.theme import Look


def _gain(row: PositionRow) -> str:
    if row.stale or not row.pnl:
        return "mid"
    return "gain" if row.pnl > 0 else "loss"


def _detail(row: PositionRow) -> str:
    parts = ["0DTE"] if row.dte == 0 else []
    if row.closing:
        parts.append(f"closing {row.closing}")
    return " · ".join(parts)


def _mark(row: PositionRow) -> str:
    return ("≈\u2009" if row.model else "") + numbers.price(row.mark)


def _by(row: PositionRow) -> str:
    """Where the Greeks are from, and how old."""
    return f"mid {numbers.age(row.age)} · {row.greeks_by}" if row.greeks_by else "no Greeks: its quote gives no vol"


def _greek(value: float | None, decimals: int) -> str:
    return numbers.plain(value, decimals)


COLUMNS = (
    Column[PositionRow]("Contract", lambda r: r.contract, "QQQ 28 Nov 26 600 C", LEFT, weight=600, stretch=True,
                        detail=_detail, sort=lambda r: r.contract, help="Underlying, expiry, strike, right"),
    Column[PositionRow]("Qty", lambda r: f"{r.quantity:,}", "100", help="Contracts held", sort=lambda r: r.quantity),
    Column[PositionRow]("Entry", lambda r: numbers.price(r.entry), "00.00", tone="mid", drop=3, help="Average paid, per share"),
    Column[PositionRow]("Mark", _mark, "≈00.00", weight=600, help="Mid of the last usable quote; ≈ is the model's value"),
    Column[PositionRow]("Age", lambda r: numbers.age(r.age), "9.9 s", tone=lambda r: "hi" if r.stale else "low",
                        help="Of the quote behind the mark", sort=lambda r: r.age),
    Column[PositionRow]("P&L $", lambda r: numbers.change(r.pnl), "▲ +9,999.00", tone=_gain, weight=500,
                        help="Unrealised, dollars, before fees", sort=lambda r: r.pnl,
                        spoken=lambda r: numbers.spoken(r.pnl, "dollars")),
    Column[PositionRow]("P&L %", lambda r: numbers.change(r.pnl_fraction, as_percent=True), "▲ +99.99 %", tone=_gain, drop=6,
                        help="Of the premium paid", sort=lambda r: r.pnl_fraction),
    Column[PositionRow]("R", lambda r: numbers.signed(r.r), "+0.00", tone=_gain, drop=8,
                        help="Profit in units of the risk at entry", sort=lambda r: r.r),
    Column[PositionRow]("IV", lambda r: numbers.percent(r.iv, 1), "000.0 %", tone="mid", drop=12, help="Implied vol of the mid, a year",
                        sort=lambda r: r.iv, tip=_by),
    Column[PositionRow]("Δ", lambda r: _greek(r.delta, 2), "−0.00", tone="mid", drop=7, help="Per share and 1.00 of the underlying",
                        sort=lambda r: r.delta, tip=_by),
    Column[PositionRow]("Γ", lambda r: _greek(r.gamma, 3), "0.000", tone="mid", drop=11, help="Per share and 1.00²",
                        sort=lambda r: r.gamma, tip=_by),
    Column[PositionRow]("Θ close", lambda r: numbers.plain(r.theta, 0), "−405", tone="mid", drop=9,
                        help="Dollars to the close, all contracts", sort=lambda r: r.theta, tip=_by),
    Column[PositionRow]("Vega", lambda r: numbers.plain(r.vega, 0), "000", tone="mid", drop=10,
                        help="Dollars per vol point, all contracts", sort=lambda r: r.vega, tip=_by),
    Column[PositionRow]("MFE", lambda r: numbers.percent(r.mfe, 0), "+99 %", tone="mid", drop=4,
                        help="Best mark since entry, of the premium", sort=lambda r: r.mfe),
    Column[PositionRow]("MAE", lambda r: numbers.percent(r.mae, 0), "−99 %", tone="mid", drop=5,
                        help="Worst mark since entry, of the premium", sort=lambda r: r.mae),
    Column[PositionRow]("Next exit", lambda r: r.next_exit or numbers.NONE, "profit +50 % · 41.5 pt", drop=1, elide=True,
                        help="The nearest rule and how far it is", sort=lambda r: r.nearness,
                        bar=lambda r: None if r.nearness is None else 1 - r.nearness),
)  # fmt: skip


class PositionsPanel(RowsPanel[PositionRow]):
    id = "positions"
    title = "Positions"
    buttons = {"panel.approvals": "Look at the tickets", "panel.welcome": "Show the steps"}  # noqa: RUF012

    def __init__(self, look: Look) -> None:
        super().__init__(look, COLUMNS, lambda row: row.id)

    def show_view(self, view: PositionsView) -> None:
        self.show_rows(view.face, view.rows)
        if not view.rows:
            self.summarise("none open")
            return
        self.summarise(
            f"{len(view.rows)} open · {numbers.dollars(view.pnl, 2, sign=True)}"
            f" · net Δ {numbers.dollars(view.delta_dollars)} · Θ to close {numbers.dollars(view.theta)}"
            f" · oldest mark {numbers.age(view.age)}"
        )

    def open_current(self) -> None:
        row = self.current
        if row:
            seq = row.trigger if row.trigger is not None else row.decision
            if seq is not None:
                self.story_asked.emit(seq)

    def why_current(self) -> None:
        if self.current:
            self.why_asked.emit(self.current.symbol, self.current.decision)
