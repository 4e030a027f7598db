"""`python -m app.manual` writes the keys into docs/manual.md, from the declarations. A test fails while it is stale."""

from __future__ import annotations

import re
from pathlib import Path

from app.actions import ACTIONS
from widgets.action import Action

MANUAL = Path(__file__).resolve().parent.parent / "docs" / "manual.md"
BEGIN, END = "<!-- keys: written by python -m app.manual -->", "<!-- end of keys -->"


def keys_section() -> str:
    """A table for each menu: title, keys as written in the keymap, and whether they are held."""
    parts = []
    for menu, actions in ACTIONS.menus().items():
        rows = [f"| {_keys(action)} | {_does(action)} |" for action in actions]
        parts.append("\n".join((f"**{menu}**", "", "| keys | do |", "|---|---|", *rows)))
    return "\n\n".join(parts)


def _keys(action: Action) -> str:
    return " or ".join(f"`{key}`" for key in action.keys) or "menu, palette"


def _does(action: Action) -> str:
    return action.does + (f" (hold {action.hold} ms; from a menu it asks)" if action.hold else "")


def written(text: str) -> str:
    """The manual with its keys as they are declared now. Raises `ValueError` where the marks are missing."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{MANUAL}: the marks of the keys are missing")
    return re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n\n{keys_section()}\n\n{END}",
        text,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    MANUAL.write_text(written(MANUAL.read_text("utf-8")), "utf-8")
