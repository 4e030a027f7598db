"""The menu bar, and the hint of keys in the status bar, both made from the declared actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QAction

if TYPE_CHECKING:
    from widgets.window import DeskWindow


def fill_menus(desk: DeskWindow) -> None:
    bar = desk.menuBar()
    bar.setObjectName("menus")
    bar.setAccessibleName("Menus")
    roles = {"desk.quit": QAction.MenuRole.QuitRole}
    for title, actions in desk.registry.menus().items():
        menu = bar.addMenu(title)
        menu.setObjectName(f"menu.{title}")
        menu.setAccessibleName(title)
        for action in actions:
            shown = QAction(f"{action.title}\t{action.keys_text}", menu)
            shown.setObjectName(action.id)
            shown.setMenuRole(roles.get(action.id, QAction.MenuRole.NoRole))
            shown.triggered.connect(lambda _=False, action=action: desk.do(action))
            menu.addAction(shown)
    hints = [
        f"{desk.registry[name].keys_text} {words}"
        for name, words in (("desk.palette", "palette"), ("desk.keys", "keys"), ("ticket.approve", "approve"),
                            ("position.exit", "exit ticket"), ("position.close", "hold: close now"))
        if name in desk.registry
    ]  # fmt: skip
    desk.lamps.hint = " · ".join(hints)
