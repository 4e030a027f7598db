"""What would end each position: every rule with its level, its distance, and who owns it. Nearest first."""

from __future__ import annotations

from engine.domain.values import ExitAction
from engine.domain.views import ExitRow, ExitsView
from widgets import numbers
from widgets.canvas import LEFT
from widgets.panels.rows import RowsPanel
from widgets.table import Column
from widgets.theme import Look

DOES = {ExitAction.CLOSE: "closes", ExitAction.TICKET: "asks", ExitAction.ALERT: "says"}

COLUMNS = (
    Column[ExitRow]("Position", lambda r: r.contract, "QQQ 28 Nov 26 600.5 C", LEFT, weight=600, elide=True, sort=lambda r: r.contract,
                    help="Which position it would end"),
    Column[ExitRow]("Rule", lambda r: r.rule, "underlying stop", LEFT, tone="mid", stretch=True,
                    help="The rule and its setting"),
    Column[ExitRow]("Level", lambda r: r.level or numbers.NONE, "0.10 / 0.90", tone="mid", drop=2, elide=True, help="Where it fires"),
    Column[ExitRow]("Distance", lambda r: "FIRED" if r.fired else r.distance, "not armed",
                    tone=lambda r: "hi" if r.fired or r.nearness < 0.25 else "mid", weight=500,
                    help="How far it is, in the rule's own unit", sort=lambda r: r.nearness,
                    bar=lambda r: 1 - r.nearness),
    Column[ExitRow]("Does", lambda r: f"{DOES[r.action]}", "closes", tone="low", drop=1,
                    help="closes: by itself; asks: opens a ticket; says: alerts"),
    Column[ExitRow]("Owner", lambda r: r.owner, "us", tone="low", drop=3, help="Who watches it: this engine or the broker"),
)  # fmt: skip


class ExitsPanel(RowsPanel[ExitRow]):
    id = "exits"
    title = "Exits"

    def __init__(self, look: Look) -> None:
        super().__init__(look, COLUMNS, lambda row: row.key)

    def show_view(self, view: ExitsView) -> None:
        self.show_rows(view.face, view.rows)
        if not view.rows:
            self.summarise("nothing to watch")
            return
        nearest = view.rows[0]
        said = sum(row.fired and row.action is ExitAction.ALERT for row in view.rows)
        alerts = f" · {numbers.count(said, 'alert')}" if said else ""
        more = f" · {view.more:,} further ones not shown" if view.more else ""
        self.summarise(f"nearest: {nearest.rule} {'fired' if nearest.fired else nearest.distance}{alerts}{more}")
