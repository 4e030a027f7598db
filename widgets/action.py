"""What a person can do on the desk, each declared once: menu, palette, key, context menu and cheat sheet are made from it.

`app.actions` declares them; a key that is used twice is an error when that module is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from PySide6.QtGui import QKeySequence

HOLD_MS = 400
"""How long a dangerous key is held."""


def _always(_: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `when` answers why it cannot be done now, or nothing; `preview` what it would send."""

    id: str
    title: str
    menu: str
    run: Callable[[Any], None]
    keys: tuple[str, ...] = ()
    when: Callable[[Any], str] = _always
    preview: Callable[[Any], str] = _always
    danger: bool = False
    hold: int = 0
    """Milliseconds its key must be held; the menu and the palette ask instead, by `asks`."""
    asks: Callable[[Any], None] | None = None
    repeat: bool = False
    """A key that is kept down does it again."""
    panel: str = ""
    """Only while this panel has the keyboard."""

    @property
    def does(self) -> str:
        """What it does, and in which panel alone: a line of the cheat sheet and of the manual."""
        return self.title.rstrip("…") + (f" (in {self.panel})" if self.panel else "")

    @property
    def keys_text(self) -> str:
        """As shown beside the title, in the manner of this machine."""
        return " or ".join(native(key) for key in self.keys[:1])


def native(key: str) -> str:
    """`Ctrl+Shift+H` as this machine writes it (⇧⌘H on a Mac); chords keep their space."""
    texts = (QKeySequence.fromString(part).toString(QKeySequence.SequenceFormat.NativeText) for part in key.split())
    return " ".join("Enter" if text == "Return" else text for text in texts)


class Actions:
    """All actions, by id and by key. Raises `ValueError` for a key or an id that is used twice."""

    def __init__(self, actions: Iterable[Action]) -> None:
        self._by_id: dict[str, Action] = {}
        self._by_key: dict[tuple[str, str], Action] = {}
        for action in actions:
            if action.id in self._by_id:
                raise ValueError(f"action {action.id} is declared twice")
            self._by_id[action.id] = action
            for key in action.keys:
                self._claim(key, action)
        starts = {key.split()[0] for key, _ in self._by_key if " " in key}
        for key, panel in self._by_key:
            if key in starts:
                raise ValueError(f"{key} is both a key ({self._by_key[key, panel].id}) and the start of a chord")
        self.chord_starts = frozenset(starts)

    def _claim(self, key: str, action: Action) -> None:
        for (known, panel), other in self._by_key.items():
            if known == key and (not panel or not action.panel or panel == action.panel):
                raise ValueError(f"{key} is the key of both {other.id} and {action.id}")
        self._by_key[key, action.panel] = action

    def __iter__(self) -> Iterator[Action]:
        return iter(self._by_id.values())

    def __getitem__(self, name: str) -> Action:
        return self._by_id[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_id

    def for_key(self, key: str, panel: str) -> Action | None:
        """The action of a key (`J`, `Ctrl+K`, `G S`) while `panel` has the keyboard."""
        return self._by_key.get((key, panel)) or self._by_key.get((key, ""))

    def menus(self) -> dict[str, list[Action]]:
        """Actions by menu, in the order they were declared."""
        found: dict[str, list[Action]] = {}
        for action in self:
            found.setdefault(action.menu, []).append(action)
        return found
