"""The four faces every panel has: full; empty, with why and what to do; stale, dimmed with its age; error, with what still works.

`Panel` is the ground of all panels: it owns the strip, the face and the summary. Panels never talk to the engine: they
draw a view and say what the trader asked for.
"""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from engine.domain.views import FULL, Face, FaceKind
from widgets import numbers
from widgets.canvas import Canvas
from widgets.handbutton import HandButton
from widgets.table import TableView
from widgets.theme import Look


class Strip(Canvas):
    """One line over a panel that is stale or partly failed: an outlined word, then what and what still works."""

    def __init__(self, look: Look, name: str) -> None:
        super().__init__(look, name, "State of this panel")
        self.word = self.text = ""
        self.hide()

    def say(self, word: str, text: str) -> None:
        if (word, text) != (self.word, self.text):
            self.word, self.text = word, text
            self.describe(f"{word} {text}")
            self.setToolTip(text)
            self.update()
        self.setVisible(bool(word))

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(120), self.look.px(25))

    def draw(self, painter: QPainter) -> None:
        pad = self.look.px(8)
        painter.fillRect(self.rect(), self.look.colour("surface2"))
        used = self.chip(painter, pad, self.height() // 2, self.word, "hi")
        room = QRect(pad + used, 0, self.width() - 2 * pad - used, self.height())
        self.put(painter, room, self.text, role="label", tone="mid", elide=True)
        self.hairline(painter, 0, self.height() - 1, self.width(), self.height() - 1)


class FaceCard(QWidget):
    """A whole panel that has nothing to show, and says why.

    Notification `acted`: the id of the action its one button offers.
    """

    acted = Signal(str)

    def __init__(self, look: Look, name: str) -> None:
        super().__init__()
        self.look = look
        self.setObjectName(name)
        self.setAccessibleName("Nothing to show")
        self.word, self.what, self.then = QLabel(), QLabel(), QLabel()
        self.button = HandButton()
        self.button.setObjectName(f"{name}.button")
        self.button.setAccessibleName("What to do")
        self.button.setCursor(Qt.CursorShape.PointingHandCursor)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 10, 16, 10)
        box.setSpacing(4)
        box.addStretch(2)
        for label in (self.word, self.what, self.then):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setWordWrap(True)
            box.addWidget(label)
        box.addSpacing(4)
        box.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        box.addStretch(3)
        self._action = ""
        self.button.clicked.connect(lambda: self.acted.emit(self._action))
        look.changed.connect(self._restyle)
        self._restyle()

    def say(self, face: Face, button: str) -> None:
        error = face.kind is FaceKind.ERROR
        self.word.setText("NOT WORKING" if error else "")
        self.word.setVisible(error)
        self.what.setText(face.what)
        self.then.setText(face.then)
        self._action = face.action
        self.button.setText(button)
        self.button.setVisible(bool(face.action and button))
        self.setAccessibleDescription(f"{face.what} {face.then}")

    def _restyle(self) -> None:
        for label, tone, weight in ((self.word, "hi", 600), (self.what, "mid", 500), (self.then, "low", 400)):
            palette = label.palette()
            palette.setColor(label.foregroundRole(), self.look.colour(tone))
            label.setPalette(palette)
            label.setFont(self.look.font("label" if label is self.word else "data", weight))


class Panel(QFrame):
    """Ground of all panels.

    Notifications:
        summarised: the one-line summary for the title.
        commanded: a `Command` for the engine.
        story_asked: the seq of a fact whose story is wanted.
        symbol_chosen: a symbol the other panels should follow.
        why_asked: the symbol and the seq of the decision (or None) that should be explained.
        said: one line for the trader, where a key could not do what it says.
        action_asked: the id of a screen action (an empty face's button).
        raised: the panel wants to be seen.
    """

    id: ClassVar[str] = ""
    title: ClassVar[str] = ""
    buttons: ClassVar[dict[str, str]] = {}
    """Words on the button of a face, by action id."""

    summarised = Signal(str)
    commanded = Signal(object)
    story_asked = Signal(int)
    symbol_chosen = Signal(str)
    why_asked = Signal(str, object)
    action_asked = Signal(str)
    said = Signal(str)
    raised = Signal()

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self.setObjectName(f"panel.{self.id}")
        self.setAccessibleName(self.title)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.summary = ""
        self.strip = Strip(look, f"{self.id}.strip")
        self.card = FaceCard(look, f"{self.id}.face")
        self.card.acted.connect(self.action_asked)
        self.content = QWidget()
        self.content.setObjectName(f"{self.id}.content")
        self.content.setAccessibleName(self.title)
        self.box = QVBoxLayout(self.content)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(0)
        self._stack = QStackedLayout()
        self._stack.addWidget(self.content)
        self._stack.addWidget(self.card)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.strip)
        outer.addLayout(self._stack, 1)
        self.face = FULL

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(160), self.look.px(70))

    def show_face(self, face: Face, has_rows: bool) -> None:
        """Choose the face. Rows that are there stay in sight, whatever failed."""
        self.face = face
        alone = not has_rows and face.kind is not FaceKind.FULL
        if alone:
            self.card.say(face, self.buttons.get(face.action, ""))
        self._stack.setCurrentWidget(self.card if alone else self.content)
        words = " · ".join(part for part in (face.what, face.then) if part)
        if alone or face.kind in (FaceKind.FULL, FaceKind.EMPTY):
            self.strip.say("", "")
        elif face.kind is FaceKind.STALE:
            self.strip.say(f"STALE {numbers.age(face.age)}", words)
        else:
            self.strip.say("NOT WORKING", words)
        self.dim_content(face.kind is FaceKind.STALE)

    def dim_content(self, dim: bool) -> None:
        """Dim every painted widget and table of the panel."""
        for canvas in self.content.findChildren(Canvas):
            canvas.dim = dim
        for table in self.content.findChildren(TableView):
            table.set_dim(dim)

    def summarise(self, text: str) -> None:
        if text != self.summary:
            self.summary = text
            self.summarised.emit(text)

    # What keys do in a panel; panels with rows override them.

    def step(self, by: int) -> None:
        """J and K."""

    def open_current(self) -> None:
        """Enter."""

    def why_current(self) -> None:
        """Space."""

    def take_keyboard(self) -> None:
        """The panel is asked for. One that has nothing to show takes the keyboard itself: its content is out of sight."""
        if self._stack.currentWidget() is self.card:
            self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        else:
            self.focus_first()

    def focus_first(self) -> None:
        """Where the keyboard goes in a panel that has something to show."""
        self.content.setFocus(Qt.FocusReason.ShortcutFocusReason)
