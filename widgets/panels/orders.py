"""Orders, working ones first: state, limit against the market, filled, how long. Delete cancels the chosen one."""

from __future__ import annotations

from engine.domain.commands import CancelOrder
from engine.domain.values import OrderState
from engine.domain.views import OrderRow, OrdersView
from widgets import numbers
from widgets.canvas import LEFT
from widgets.panels.rows import RowsPanel
from widgets.table import Column
from widgets.theme import Look

WAITING = frozenset({OrderState.SUBMITTING, OrderState.WORKING, OrderState.PARTIALLY_FILLED})


def _detail(row: OrderRow) -> str:
    parts = [numbers.words(row.why)]
    if row.attempts:
        parts.append(f"re-priced {row.attempts}{numbers.TIMES}")
    if row.refusal:
        parts.append(row.refusal)
    return " · ".join(parts)


def _since(row: OrderRow) -> str:
    """`14:02 · 4 m`."""
    return f"{numbers.clock(row.changed, seconds=False)} · {numbers.span(row.since)}"


COLUMNS = (
    Column[OrderRow]("Order", lambda r: f"{r.side} {r.quantity} {r.contract}", "SELL 10 SPY 20 Nov 26 600 C", LEFT,
                     weight=600, stretch=True, detail=_detail, help="Side, contracts, contract and why"),
    Column[OrderRow]("State", lambda r: r.state.value.replace("_", " "), "PARTIALLY FILLED",
                     tone=lambda r: "hi" if r.is_open else "low", weight=500, help="UNKNOWN is left by the broker's evidence, or by a person's word where the books cannot tell",
                     sort=lambda r: r.state.value),
    Column[OrderRow]("Limit", lambda r: numbers.price(r.limit), "000.00", weight=600, help="Dollars per share"),
    Column[OrderRow]("Bid × ask", lambda r: numbers.market(r.bid, r.ask) if r.is_open else "", "00.00 × 00.00", tone="mid", drop=2,
                     help="The market now, of working ones"),
    Column[OrderRow]("Age", lambda r: numbers.age(r.age) if r.is_open else "", "00.0 s", tone="low", drop=4, help="Of that quote"),
    Column[OrderRow]("Filled", lambda r: f"{r.filled} / {r.quantity}", "100 / 100", help="Contracts",
                     sort=lambda r: r.filled),
    Column[OrderRow]("Average", lambda r: numbers.price(r.average), "00.00", tone="mid", drop=3, help="Of what was filled"),
    Column[OrderRow]("Since", _since, "14:06 · 3 h 59 m", tone="low", drop=1,
                     help="Its last change or fill: time of day in New York, and how long ago", sort=lambda r: r.since),
)  # fmt: skip


class OrdersPanel(RowsPanel[OrderRow]):
    id = "orders"
    title = "Orders"

    def __init__(self, look: Look) -> None:
        super().__init__(look, COLUMNS, lambda row: row.id)

    def show_view(self, view: OrdersView) -> None:
        self.show_rows(view.face, view.rows)
        working = sum(row.is_open for row in view.rows)
        unknown = sum(row.state is OrderState.UNKNOWN for row in view.rows)
        words = f"{working} working · {len(view.rows) - working} done" if view.rows else "none yet"
        self.summarise(f"{unknown} UNKNOWN · {words}" if unknown else words)

    def open_current(self) -> None:
        if self.current and self.current.seq is not None:
            self.story_asked.emit(self.current.seq)

    why_current = open_current

    def cancel_current(self) -> None:
        """Ask for the chosen order to be cancelled, where there is something left to cancel."""
        row = self.current
        if row is None:
            self.said.emit("No order is selected")
        elif not row.is_open:
            self.said.emit(f"{row.contract}: already {numbers.words(row.state.value)}")
        else:
            self.commanded.emit(CancelOrder(by="desk", order=row.id))
