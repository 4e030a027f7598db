"""Panels in docks behind one class: titles with summaries, named layouts, state kept under a version. QDockWidget stays in here."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QByteArray, QEvent, QObject, QPoint, QRect, QSettings, QSize, Qt, QTimer
from PySide6.QtGui import QContextMenuEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QStyle, QTabWidget, QToolButton, QWidget

from widgets.canvas import RIGHT, Canvas
from widgets.states import Panel
from widgets.theme import Look

VERSION = 3
"""Of the saved state: another version is not read, the default layout is used instead."""

H, V = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
LAYOUTS = ("trade", "review", "quiet", "chain")


class TitleBar(Canvas):
    """Name, one-line summary, and a button that closes; the frame's upper edge. Dragging it moves the dock."""

    def __init__(self, look: Look, panel: Panel, close: Callable[[], object], float_: Callable[[], None]) -> None:
        super().__init__(look, f"title.{panel.id}", f"{panel.title} title")
        self.panel, self.active = panel, False
        self._close, self._float = close, float_
        self.button = QToolButton(self)
        self.button.setObjectName(f"title.{panel.id}.menu")
        self.button.setAccessibleName(f"{panel.title}: panel menu")
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.setAutoRaise(True)
        self.button.clicked.connect(lambda: self._menu(self.button.mapToGlobal(self.button.rect().bottomLeft())))
        self.button.setStyleSheet("border: none; background: transparent;")
        self.menu = QMenu(self)
        self.menu.addAction("Detach or put back", self._float)
        self.menu.addAction("Close (find it again under View)", self._close)
        panel.summarised.connect(self._summarised)

    def _summarised(self, text: str) -> None:
        self.setToolTip(text)
        self.describe(text)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(120), self.look.space("title"))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(60), self.look.space("title"))

    def set_active(self, active: bool) -> None:
        if active != self.active:
            self.active = active
            self.update()

    def draw(self, painter: QPainter) -> None:
        wide, tall = self.width(), self.height()
        painter.fillRect(self.rect(), self.look.colour("surface2"))
        edge = "line_focus" if self.active else "line"
        self.hairline(painter, 0, 0, wide - 1, 0, edge)
        self.hairline(painter, 0, 0, 0, tall - 1, edge)
        self.hairline(painter, wide - 1, 0, wide - 1, tall - 1, edge)
        self.hairline(painter, 1, tall - 1, wide - 2, tall - 1, "line")
        side = self.look.px(20)
        self.button.setGeometry(wide - side - 3, (tall - side) // 2, side, side)
        for dot in range(3):
            at = QPoint(wide - side // 2 - 4, tall // 2 - 4 + dot * 4)
            painter.fillRect(QRect(at.x(), at.y(), 2, 2), self.look.colour("low"))
        pad = self.look.px(8)
        room = QRect(pad, 0, wide - side - pad - self.look.px(6), tall)
        used = self.put(painter, room, self.panel.title, weight=600, tone="hi")
        rest = room.adjusted(used + self.look.px(14), 0, 0, 0)
        self.put(painter, rest, self.panel.summary, role="label", tone="low", align=RIGHT, elide=True)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self._menu(event.globalPos())

    def _menu(self, at: QPoint) -> None:
        self.menu.popup(at)


class Dock(QDockWidget):
    def __init__(self, look: Look, panel: Panel) -> None:
        super().__init__(panel.title)
        self.panel = panel
        self.setObjectName(f"dock.{panel.id}")
        self.setAccessibleName(panel.title)
        self.setWidget(panel)
        self.bar = TitleBar(look, panel, self.close, lambda: self.setFloating(not self.isFloating()))
        self.setTitleBarWidget(self.bar)


class Frame(QWidget):
    """Paints a panel's ground and the rest of its frame under the panel's own widgets."""

    def __init__(self, look: Look, panel: Panel) -> None:
        super().__init__(panel)
        self.look, self.active = look, False
        self.setObjectName(f"frame.{panel.id}")
        self.setAccessibleName("Frame")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.lower()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.look.colour("surface1"))
        painter.setPen(QPen(self.look.colour("line_focus" if self.active else "line"), 1))
        wide, tall = self.width() - 1, self.height() - 1
        painter.drawLine(0, 0, 0, tall)
        painter.drawLine(wide, 0, wide, tall)
        painter.drawLine(0, tall, wide, tall)
        painter.end()


class Docks(QMainWindow):
    """All panels of one desk, and where they are."""

    def __init__(self, look: Look, panels: dict[str, Panel]) -> None:
        super().__init__()
        self.look = look
        self.setObjectName("docks")
        self.setAccessibleName("Panels")
        self.setWindowFlags(Qt.WindowType.Widget)
        self.setDockNestingEnabled(True)
        self.setAnimated(False)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.docks: dict[str, Dock] = {}
        self.frames: dict[str, Frame] = {}
        for name, panel in panels.items():
            self.docks[name] = Dock(look, panel)
            layout = panel.layout()
            if layout is not None:
                layout.setContentsMargins(1, 0, 1, 1)
            self.frames[name] = Frame(look, panel)
            panel.installEventFilter(self)
        self.layout_name = LAYOUTS[0]
        self._saved: dict[str, QByteArray] = {}
        self._designed = False
        """The layout is as designed, and its sizes are due once the window has its own."""
        self._unsized = False
        """The layout does not have its designed sizes yet: it is nothing to come back to."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and isinstance(watched, Panel):
            self.frames[watched.id].setGeometry(watched.rect())
        return False

    def set_active(self, name: str) -> None:
        """The panel that has the keyboard is framed more strongly."""
        for known, dock in self.docks.items():
            dock.bar.set_active(known == name)
            frame = self.frames[known]
            if frame.active != (known == name):
                frame.active = known == name
                frame.update()

    def reveal(self, name: str) -> None:
        """Bring a panel to sight, wherever it was: one that the layout keeps out of sight has its place among tabs."""
        dock = self.docks[name]
        dock.show()
        dock.raise_()

    def visible(self, name: str) -> bool:
        return name in self.docks and not self.docks[name].visibleRegion().isEmpty()

    def in_front_of(self, name: str) -> str:
        """The panel in sight that shares a place with this one; nothing when there is none."""
        beside = self.tabifiedDockWidgets(self.docks[name])
        return next((dock.panel.id for dock in beside if isinstance(dock, Dock) and self.visible(dock.panel.id)), "")

    # -- layouts

    def arrange(self, name: str, *, fresh: bool = False) -> None:
        """Change to a named layout: as it was left, or as it was designed when `fresh` or never used."""
        if name != self.layout_name and not fresh and not self._unsized:
            self._saved[self.layout_name] = self.saveState(VERSION)
        self.layout_name = name
        self._designed = self._unsized = False
        if not fresh and name in self._saved and self.restoreState(self._saved[name], VERSION):
            return
        self._saved.pop(name, None)
        for dock in self.docks.values():
            dock.setFloating(False)
            self.removeDockWidget(dock)
        {"trade": self._trade, "review": self._review, "quiet": self._quiet, "chain": self._chain}[name]()
        self._designed, self._unsized = not self.isVisible(), True
        self._share_out()
        if self.isVisible():
            # Docks that were just placed are laid out once more when control returns: sizes hold only after that.
            QTimer.singleShot(0, self, self._settle)

    def _settle(self) -> None:
        if self._unsized:
            self._unsized = False
            self._share_out()

    def _share_out(self) -> None:
        """The designed sizes of the current layout."""
        sizes = {
            "trade": self._size_trade,
            "review": self._size_review,
            "quiet": self._size_quiet,
            "chain": self._size_chain,
        }
        sizes[self.layout_name]()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._designed:
            self._designed = False
            QTimer.singleShot(0, self, self._settle)

    def _place(self, first: str, *rest: tuple[str, str, Qt.Orientation]) -> None:
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.docks[first])
        self.docks[first].show()
        for name, beside, way in rest:
            self.splitDockWidget(self.docks[beside], self.docks[name], way)
            self.docks[name].show()

    def _tabs(self, on: str, *others: str) -> None:
        for name in others:
            self.tabifyDockWidget(self.docks[on], self.docks[name])
            self.docks[name].show()
        self.docks[on].raise_()

    def _behind(self, on: str, *others: str) -> None:
        """Panels out of sight, with their place beside `on`. A layout places every panel: what a saved state does not
        know, Qt puts back wherever there is room."""
        for name in others:
            self.tabifyDockWidget(self.docks[on], self.docks[name])
            self.docks[name].hide()
        self.docks[on].raise_()

    def _column(self, **heights: int) -> None:
        """Heights of a whole column, in these proportions. What is left over is shared out here: Qt would do it otherwise
        each time the layout is taken up again."""
        gap = self.style().pixelMetric(QStyle.PixelMetric.PM_DockWidgetSeparatorExtent, None, self)
        room, total = self.height() - gap * (len(heights) - 1), sum(heights.values())
        shares = [room * height // total for height in heights.values()]
        shares[-1] = max(1, room - sum(shares[:-1]))
        self.resizeDocks([self.docks[name] for name in heights], [max(1, share) for share in shares], V)

    def _sides(self, left: str, left_width: int, middle: str, right: str, right_width: int) -> None:
        """Side columns as wide as their text needs; the middle takes the rest."""
        widths = {name: self.look.px(width) for name, width in ((left, left_width), (right, right_width)) if name}
        widths[middle] = max(self.look.px(300), self.width() - sum(widths.values()))
        self.resizeDocks([self.docks[name] for name in widths], list(widths.values()), H)

    def _trade(self) -> None:
        self._place(
            "confluence",
            ("positions", "confluence", H), ("approvals", "positions", H),
            ("decision", "confluence", V), ("signals", "decision", V),
            ("orders", "positions", V), ("story", "orders", V),
            ("exits", "approvals", V), ("greeks", "exits", V),
        )  # fmt: skip
        self._tabs("story", "chain", "health", "log", "welcome")

    def _size_trade(self) -> None:
        self._sides("confluence", 384, "positions", "approvals", 432)
        self._column(confluence=246, decision=392, signals=300)
        self._column(positions=262, orders=148, story=520)
        self._column(approvals=480, exits=190, greeks=262)

    def _review(self) -> None:
        self._place(
            "signals", ("story", "signals", H), ("decision", "signals", V), ("log", "story", V), ("greeks", "log", H)
        )
        self._tabs("log", "health", "welcome")
        self._behind("story", "chain")
        self._behind("signals", "confluence")
        self._behind("log", "positions", "orders", "exits")
        self._behind("greeks", "approvals")

    def _size_review(self) -> None:
        self._sides("signals", 460, "story", "", 0)
        self._column(signals=480, decision=400)
        self._column(story=560, log=320)

    def _quiet(self) -> None:
        self._place("positions", ("approvals", "positions", H), ("exits", "positions", V), ("greeks", "approvals", V))
        self._behind("positions", "chain")
        self._behind("exits", "orders", "signals", "story", "health", "log", "welcome")
        self._behind("greeks", "confluence", "decision")

    def _size_quiet(self) -> None:
        self._sides("", 0, "positions", "approvals", 432)
        self._column(positions=560, exits=340)
        self._column(approvals=600, greeks=300)

    def _chain(self) -> None:
        self._place("chain", ("approvals", "chain", H), ("positions", "chain", V), ("greeks", "approvals", V))
        self._behind("positions", "orders", "exits", "signals", "story", "health", "log", "welcome")
        self._behind("greeks", "confluence", "decision")

    def _size_chain(self) -> None:
        self._sides("", 0, "chain", "approvals", 432)
        self._column(chain=680, positions=220)
        self._column(approvals=600, greeks=300)

    # -- state

    def save(self, settings: QSettings) -> None:
        self._saved[self.layout_name] = self.saveState(VERSION)
        settings.setValue("layout/version", VERSION)
        settings.setValue("layout/name", self.layout_name)
        for name, state in self._saved.items():
            settings.setValue(f"layout/{name}", state)

    def restore(self, settings: QSettings) -> bool:
        """Read what `save` wrote; False when there is nothing, or nothing of this version."""
        if str(settings.value("layout/version", "")) != str(VERSION):
            return False
        for name in LAYOUTS:
            state = settings.value(f"layout/{name}")
            if isinstance(state, QByteArray):
                self._saved[name] = state
        name = str(settings.value("layout/name", LAYOUTS[0]))
        if name not in LAYOUTS or name not in self._saved:
            return False
        self.arrange(name, fresh=True)  # every dock must be placed once before a state can be put on top
        self._saved[name] = settings.value(f"layout/{name}")
        restored = self.restoreState(self._saved[name], VERSION)
        self._designed = self._unsized = not restored
        return restored

    def reset(self) -> None:
        """Every layout as it was designed."""
        self._saved.clear()
        self.arrange(self.layout_name, fresh=True)
