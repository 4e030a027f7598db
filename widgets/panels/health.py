"""Everything that must work, with its figure, its age and what to do when it does not."""

from __future__ import annotations

from engine.domain.views import HealthView, Lamp, LampState
from widgets import numbers
from widgets.canvas import LEFT
from widgets.panels.rows import RowsPanel
from widgets.table import Column
from widgets.theme import Look

WORDS = {LampState.OK: "ok", LampState.OFF: "not set", LampState.WARN: "WARNING", LampState.BAD: "NOT WORKING"}


FIGURE = "1,018,204 verified"
"""As long as a figure may be; longer words have the room of the detail."""


def _figure(lamp: Lamp) -> str:
    return lamp.text if len(lamp.text) <= len(FIGURE) else numbers.NONE


def _what(lamp: Lamp) -> str:
    said = lamp.text if len(lamp.text) > len(FIGURE) else ""
    return " · ".join(part for part in (said, lamp.todo, lamp.detail) if part)


COLUMNS = (
    Column[Lamp]("Part", lambda r: r.name, "Reconciliation", LEFT, weight=600, help="What must work"),
    Column[Lamp]("State", lambda r: WORDS[r.state], "NOT WORKING", LEFT,
                 lambda r: "hi" if r.state in (LampState.WARN, LampState.BAD) else "mid", 500),
    Column[Lamp]("Figure", _figure, FIGURE, LEFT, "mid", elide=True),
    Column[Lamp]("Age", lambda r: numbers.age(r.age), "00.0 s", tone="low", drop=1, help="Since it was last seen working"),
    Column[Lamp]("Detail, what to do", _what, "…", LEFT, "low", stretch=True),
)  # fmt: skip


def _named(names: list[str]) -> str:
    """`Ledger`, `Ledger and Notice`, `Ledger, Notice and Loop`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


class HealthPanel(RowsPanel[Lamp]):
    id = "health"
    title = "Health"

    def __init__(self, look: Look) -> None:
        super().__init__(look, COLUMNS, lambda lamp: lamp.id)

    def show_view(self, view: HealthView) -> None:
        self.show_rows(view.face, view.lamps)
        bad = [lamp.name for lamp in view.lamps if lamp.state in (LampState.BAD, LampState.WARN)]
        self.summarise(
            f"{_named(bad)} {'needs' if len(bad) == 1 else 'need'} you" if bad else "all that is set up works"
        )
