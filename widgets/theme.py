"""The look of the desk: tokens become colours, fonts, a palette and a small style sheet.

Made once by the desktop's start and handed to every widget; a change of theme, pair or scale is announced by `changed`.
It never knows what is drawn with it, and it is the only reader of `resources/tokens.toml`.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontMetrics, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
THEMES = ("dark", "light")
PAIRS = ("teal-vermilion", "blue-orange")
SCALES = (90, 140)
"""Smallest and largest text, percent."""
SMALLEST = 11
"""No text is drawn smaller than this many pixels at 100 %."""


@cache
def tokens() -> dict[str, Any]:
    """`resources/tokens.toml` as read."""
    return tomllib.loads((RESOURCES / "tokens.toml").read_text("utf-8"))


@cache
def load_fonts() -> str:
    """Register the fonts that are shipped; the family to use. Falls back to what the system has."""
    loaded = {
        family
        for path in sorted((RESOURCES / "fonts").glob("*.otf"))
        for family in QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(path)))
    }
    wanted = str(tokens()["type"]["family"])
    return wanted if wanted in loaded else QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()


class Look(QObject):
    """Colours by name, fonts by role, sizes by scale.

    Notification `changed` has no arguments: whoever draws reads everything again.
    """

    changed = Signal()

    def __init__(self, theme: str = "dark", pair: str = PAIRS[0], scale: int = 100) -> None:
        super().__init__()
        self.family = load_fonts()
        self.theme, self.pair, self.scale = theme, pair, scale
        self.reduced_motion = False
        self._read()

    def set(self, theme: str | None = None, pair: str | None = None, scale: int | None = None) -> None:
        """Change any of the three and announce it. Unknown names are an error; the scale is bounded to 90–140 %."""
        theme, pair = theme or self.theme, pair or self.pair
        if theme not in THEMES or pair not in PAIRS:
            raise ValueError(f"no such look: {theme} {pair}")
        self.theme, self.pair = theme, pair
        self.scale = max(SCALES[0], min(SCALES[1], scale or self.scale))
        self._read()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            self.apply(app)
        self.changed.emit()

    def _read(self) -> None:
        table = tokens()
        half = table[self.theme]
        self.colours = {name: QColor(value) for name, value in half["colours"].items()}
        for name, value in half["pairs"][self.pair].items():
            colour = QColor(value)
            self.colours[name] = colour
            wash = QColor(colour)
            wash.setAlphaF(table["alpha"]["wash"])
            self.colours[f"{name}_wash"] = wash
        self.colours["scrim"].setAlphaF(table["alpha"]["scrim"])
        self._fonts: dict[tuple[str, int], QFont] = {}
        self._metrics: dict[tuple[str, int], QFontMetrics] = {}

    def colour(self, name: str) -> QColor:
        return self.colours[name]

    def tone(self, gain: bool | None, otherwise: str = "hi") -> QColor:
        """Gain, loss, or neither."""
        return self.colours[otherwise if gain is None else "gain" if gain else "loss"]

    def px(self, pixels: float) -> int:
        """A length that grows with the text."""
        return round(pixels * self.scale / 100)

    def space(self, name: str) -> int:
        return self.px(tokens()["space"][name])

    def font(self, role: str = "data", weight: int = 400) -> QFont:
        """Roles: data, label, title, big. Figures are tabular. Weights shipped: 400, 500, 600."""
        key = (role, weight)
        if key not in self._fonts:
            font = QFont(self.family)
            font.setPixelSize(max(round(SMALLEST * min(self.scale, 100) / 100), self.px(tokens()["type"][role])))
            font.setWeight(QFont.Weight(weight))
            for feature in tokens()["type"]["features"]:
                font.setFeature(QFont.Tag(feature), 1)
            self._fonts[key] = font
        return self._fonts[key]

    def metrics(self, role: str = "data", weight: int = 400) -> QFontMetrics:
        key = (role, weight)
        if key not in self._metrics:
            self._metrics[key] = QFontMetrics(self.font(role, weight))
        return self._metrics[key]

    def palette(self) -> QPalette:
        c, role, palette = self.colours, QPalette.ColorRole, QPalette()
        for which, name in (
            (role.Window, "surface0"),
            (role.WindowText, "hi"),
            (role.Base, "surface1"),
            (role.AlternateBase, "surface2"),
            (role.Text, "hi"),
            (role.PlaceholderText, "low"),
            (role.Button, "raised"),
            (role.ButtonText, "hi"),
            (role.BrightText, "focus"),
            (role.Highlight, "selected"),
            (role.HighlightedText, "hi"),
            (role.ToolTipBase, "raised"),
            (role.ToolTipText, "hi"),
            (role.Link, "hi"),
            (role.Mid, "line"),
            (role.Dark, "surface0"),
            (role.Light, "raised"),
            (role.Accent, "focus"),
        ):
            palette.setColor(which, c[name])
        for which in (role.Text, role.WindowText, role.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, which, c["low"])
        return palette

    def style_sheet(self) -> str:
        """`resources/style.qss` with its @names filled in."""
        values = {name: colour.name(QColor.NameFormat.HexArgb) for name, colour in self.colours.items()}
        values |= {"gap": f"{self.space('gap')}px", "radius": f"{tokens()['space']['radius']}px"}
        text = (RESOURCES / "style.qss").read_text("utf-8")
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        return re.sub(r"@(\w+)", lambda found: values[found[1]], text)

    def apply(self, app: QApplication) -> None:
        """Give the application its style, palette, font and sheet."""
        style = QStyleFactory.create("Fusion")
        if style is not None and app.style().objectName() != "fusion":
            app.setStyle(style)
        app.styleHints().setColorScheme(Qt.ColorScheme.Dark if self.theme == "dark" else Qt.ColorScheme.Light)
        app.setPalette(self.palette())
        app.setFont(self.font())
        app.setStyleSheet(self.style_sheet())
