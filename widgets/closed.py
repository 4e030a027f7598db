"""The story of a trade that was closed from the desk: when the position is over, Story shows it, so that it is one chord away.

Fed by the window with what is sent and what is held. A story that is being read is never taken away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from engine.domain.commands import ClosePosition, Command
from engine.domain.views import OrderRow, PositionRow

if TYPE_CHECKING:
    from widgets.window import DeskWindow


def story_of(row: PositionRow, orders: Iterable[OrderRow]) -> int | None:
    """A fact of a position's story: what led to it, else one of its orders."""
    if row.trigger is not None:
        return row.trigger
    if row.decision is not None:
        return row.decision
    return next((order.seq for order in orders if order.position == row.id and order.seq is not None), None)


class Closed:
    """Positions that were asked to be closed from here and are not over yet."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._stories: dict[str, int] = {}

    def sent(self, command: Command) -> None:
        if isinstance(command, ClosePosition):
            self._asked.add(command.position)

    def over(self, held: Iterable[PositionRow], orders: Iterable[OrderRow]) -> list[int]:
        """Stories of those that are held no more, once each. What is held now tells where its story is."""
        rows, made = {row.id: row for row in held}, list(orders)
        for name in self._asked & rows.keys():
            seq = story_of(rows[name], made)
            if seq is not None:
                self._stories[name] = seq
        ended = self._asked - rows.keys()
        self._asked -= ended
        return [self._stories.pop(name) for name in sorted(ended) if name in self._stories]


def tell_closed(desk: DeskWindow) -> None:
    """Fetch the story of what was closed from here and is over, unless one is being read."""
    for seq in desk.closed.over(desk.positions.model.rows, desk.orders.model.rows):
        if desk.active_panel != desk.story.id:
            desk.open_story(seq)
