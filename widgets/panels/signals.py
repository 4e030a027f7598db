"""The tape: everything that was heard, newest first, and what became of it. Enter opens its story, Space says why."""

from __future__ import annotations

from engine.domain.values import Verdict
from engine.domain.views import SignalRow, SignalsView
from widgets import numbers
from widgets.canvas import LEFT
from widgets.panels.confluence import SHORT_QUALITY
from widgets.panels.rows import RowsPanel
from widgets.table import Column
from widgets.theme import Look

COLUMNS = (
    Column[SignalRow]("Time", lambda r: numbers.clock(r.at) if r.today else numbers.day(r.at), "00:00:00", LEFT, "low",
                      help="Arrival, New York; the day of older ones",
                      sort=lambda r: r.at),
    Column[SignalRow]("Signal", lambda r: r.text, "GOOG 30m SHORT", LEFT, "hi", 600, "Symbol, timeframe, side", elide=True,
                      sort=lambda r: r.text),
    Column[SignalRow]("Qual.", lambda r: SHORT_QUALITY[r.quality] if r.quality else "", "HIGH", LEFT, "mid",
                      help="As sent, or by our rules where it was not", sort=lambda r: r.quality.rank if r.quality else None,
                      drop=2),
    Column[SignalRow]("Score", lambda r: numbers.NONE if r.score is None else str(r.score), "100", tone="mid",
                      help="Confluence of the decision it caused, 0 to 100", sort=lambda r: r.score, drop=1),
    Column[SignalRow]("Outcome", lambda r: r.outcome, "denied PRICE_DRIFT", tone=lambda r: _tone(r), weight=500, stretch=True,
                      help="What became of it"),
)  # fmt: skip


def _tone(row: SignalRow) -> str:
    return "hi" if row.outcome.startswith(Verdict.EXECUTE.value) else "mid"


class SignalsPanel(RowsPanel[SignalRow]):
    id = "signals"
    title = "Signals"
    buttons = {"panel.welcome": "Show the steps", "welcome.test": "Send two test alerts"}  # noqa: RUF012

    def __init__(self, look: Look) -> None:
        super().__init__(look, COLUMNS, lambda row: row.seq)

    def show_view(self, view: SignalsView) -> None:
        self.show_rows(view.face, view.rows)
        heard = "nothing heard yet" if view.heard_ago is None else f"heard {numbers.age(view.heard_ago)} ago"
        self.summarise(f"{view.today:,} today · {heard}")

    def open_current(self) -> None:
        if self.current:
            self.story_asked.emit(self.current.seq)

    def why_current(self) -> None:
        if self.current:
            self.why_asked.emit(self.current.symbol, self.current.decision)
