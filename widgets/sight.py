"""Where the keyboard is: always on a panel that is in sight, from the first moment, through every change of layout.

Called by the window. Qt leaves the focus on a panel that went behind a tab; a key must never act on what nobody sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgets.states import Panel

if TYPE_CHECKING:
    from widgets.window import DeskWindow

MAIN = {"trade": "signals", "review": "signals", "quiet": "positions", "chain": "chain"}
"""The panel of each layout that its keys are for."""


def main_panel(desk: DeskWindow) -> Panel:
    """The main panel of the layout that is shown."""
    return desk.panels[MAIN[desk.docks.layout_name]]


def take_main(desk: DeskWindow) -> None:
    """Give the keyboard to the layout's main panel, which comes to sight if it was put away."""
    panel = main_panel(desk)
    if not desk.docks.visible(panel.id):
        desk.docks.reveal(panel.id)
    panel.take_keyboard()


def keep_in_sight(desk: DeskWindow) -> None:
    """Before a key acts: when its panel is not in sight, what lies in front of it has the keyboard, else the main one."""
    here = desk.active_panel
    if here and desk.docks.visible(here):
        return
    front = desk.docks.in_front_of(here) if here else ""
    if front:
        desk.panels[front].take_keyboard()
    else:
        take_main(desk)
