"""What the desk remembers from start to start: where the window was, its look, its layouts. One file, `desk.ini`.

Only the window calls it. A file that means nothing is passed over: the desk is then as it was designed.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QMainWindow

from widgets.docks import LAYOUTS, Docks
from widgets.theme import PAIRS, THEMES, Look


def restore(path: Path, window: QMainWindow, docks: Docks, layout: str) -> None:
    """As it was left; `layout` names the one to begin with instead, as designed."""
    settings = _file(path)
    geometry = settings.value("window/geometry")
    if isinstance(geometry, QByteArray):
        window.restoreGeometry(geometry)
    if layout or not docks.restore(settings):
        docks.arrange(layout or LAYOUTS[0], fresh=True)


def restore_look(path: Path, look: Look) -> None:
    """The look it was left with. Before any widget is made: a label that was inked and never shown keeps its first ink."""
    settings = _file(path)
    theme, pair = str(settings.value("look/theme", "")), str(settings.value("look/pair", ""))
    scale = str(settings.value("look/scale", ""))
    if theme or pair or scale:
        look.set(
            theme=theme if theme in THEMES else None,
            pair=pair if pair in PAIRS else None,
            scale=int(scale) if scale.isascii() and scale.isdigit() else None,
        )


def save(path: Path, window: QMainWindow, docks: Docks, look: Look) -> None:
    settings = _file(path)
    for name, value in (("theme", look.theme), ("pair", look.pair), ("scale", look.scale)):
        settings.setValue(f"look/{name}", value)
    settings.setValue("window/geometry", window.saveGeometry())
    docks.save(settings)
    settings.sync()


def _file(path: Path) -> QSettings:
    return QSettings(str(path), QSettings.Format.IniFormat)
