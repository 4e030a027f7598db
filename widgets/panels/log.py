"""What the engine said, newest first, bounded. Words are shown as they are: nothing in them is ever interpreted."""

from __future__ import annotations

from engine.domain.views import LogRow, LogView
from widgets import numbers
from widgets.canvas import LEFT
from widgets.panels.rows import RowsPanel
from widgets.table import Column
from widgets.theme import Look

COLUMNS = (
    Column[LogRow]("Time", lambda r: numbers.clock(r.at), "00:00:00", LEFT, "low", help="New York"),
    Column[LogRow]("Level", lambda r: r.level.upper(), "CRITICAL", LEFT, lambda r: "low" if r.level == "info" else "hi", 500),
    Column[LogRow]("Source", lambda r: r.source, "SignalReceived 18,204", LEFT, "mid", drop=1, elide=True),
    Column[LogRow]("What", lambda r: " ".join(r.text.split()), "…", LEFT, stretch=True),
)  # fmt: skip


class LogPanel(RowsPanel[LogRow]):
    id = "log"
    title = "Log"

    def __init__(self, look: Look) -> None:
        super().__init__(look, COLUMNS, lambda row: row.id)

    def show_view(self, view: LogView) -> None:
        self.show_rows(view.face, view.rows)
        loud = sum(row.level != "info" for row in view.rows)
        self.summarise(f"{len(view.rows)} lines · {numbers.count(loud, 'warning')}" if view.rows else "")
