"""First start: what is ready, and the few steps to the first signal. Everything that must be copied has a button for it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from engine.domain.views import WelcomeStep, WelcomeView
from widgets.handbutton import HandButton
from widgets.states import Panel
from widgets.theme import Look

MASK = "•" * 12


class Step(QFrame):
    """One step: number or tick, title, what it means, the text to copy, its button."""

    def __init__(self, look: Look, number: int, panel: WelcomePanel) -> None:
        super().__init__()
        self.look, self.number, self.panel = look, number, panel
        self.step = WelcomeStep(title="", detail="", done=False)
        self.setObjectName(f"welcome.step{number}")
        self.setAccessibleName(f"Step {number}")
        self.mark, self.title, self.detail = QLabel(), QLabel(), QLabel()
        self.copy_text = QLabel()
        self.copy_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.copy_text.setWordWrap(True)
        self.detail.setWordWrap(True)
        self.mark.setFixedWidth(look.px(26))
        self.mark.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter)
        self.copy = self._button("copy", "Copy")
        self.reveal = self._button("reveal", "Show")
        self.go = self._button("go", "")
        self.copy.clicked.connect(self._copy)
        self.reveal.clicked.connect(self._reveal)
        self.go.clicked.connect(lambda: panel.action_asked.emit(self.step.action))
        for label in (self.title, self.detail):
            label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        words = QVBoxLayout()
        words.setSpacing(1)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.copy_text, 1)
        for button in (self.reveal, self.copy, self.go):
            row.addWidget(button)
        words.addWidget(self.title)
        words.addWidget(self.detail)
        words.addLayout(row)
        across = QHBoxLayout(self)
        across.setContentsMargins(10, 5, 12, 5)
        across.setSpacing(8)
        across.addWidget(self.mark, 0, Qt.AlignmentFlag.AlignTop)
        across.addLayout(words, 1)
        self._open = False
        self.restyle()

    def _button(self, name: str, text: str) -> QPushButton:
        button = HandButton(text) if name == "go" else QPushButton(text)
        button.setObjectName(f"welcome.step{self.number}.{name}")
        button.setAccessibleName(text or "Do this step")
        return button

    def show_step(self, step: WelcomeStep) -> None:
        self.step = step
        self.mark.setText("✓" if step.done else str(self.number))
        self.title.setText(step.title)
        self.detail.setText(step.detail)
        hidden = step.secret and not self._open
        self.copy_text.setText(MASK if hidden else step.copy)
        self.copy_text.setVisible(bool(step.copy))
        self.copy.setVisible(bool(step.copy))
        self.copy.setAccessibleName(f"Copy: {step.title}")
        self.reveal.setVisible(step.secret)
        self.reveal.setText("Show" if hidden else "Hide")
        self.reveal.setAccessibleName(f"{self.reveal.text()}: {step.title}")
        self.go.setVisible(bool(step.action))
        self.go.setText(step.button)
        self.go.setAccessibleName(step.button or "Do this step")
        self.setAccessibleDescription(f"{step.title}. {'done' if step.done else step.detail}")
        self.restyle()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.step.copy)
        self.panel.said.emit(f"Copied: {self.step.title}")

    def _reveal(self) -> None:
        self._open = not self._open
        self.show_step(self.step)

    def restyle(self) -> None:
        look, done = self.look, self.step.done
        for label, tone, role, weight in (
            (self.mark, "low" if done else "hi", "title", 600),
            (self.title, "mid" if done else "hi", "title", 600),
            (self.detail, "low", "data", 400),
            (self.copy_text, "mid", "data", 500),
        ):
            palette = label.palette()
            palette.setColor(label.foregroundRole(), look.colour(tone))
            label.setPalette(palette)
            label.setFont(look.font(role, weight))


class WelcomePanel(Panel):
    id = "welcome"
    title = "Welcome"

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.page = QWidget()
        self.page.setObjectName("welcome.page")
        self.page.setAccessibleName("Steps")
        self.column = QVBoxLayout(self.page)
        self.column.setContentsMargins(4, 6, 4, 6)
        self.column.setSpacing(2)
        self.column.addStretch(1)
        self.area = QScrollArea()
        self.area.setObjectName("welcome.area")
        self.area.setAccessibleName(self.title)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(self.page)
        self.box.addWidget(self.area)
        self.steps: list[Step] = []
        look.changed.connect(self._restyle)

    def show_view(self, view: WelcomeView) -> None:
        while len(self.steps) < len(view.steps):
            step = Step(self.look, len(self.steps) + 1, self)
            self.steps.append(step)
            self.column.insertWidget(self.column.count() - 1, step)
        for number, widget in enumerate(self.steps):
            widget.setVisible(number < len(view.steps))
            if number < len(view.steps) and widget.step != view.steps[number]:
                widget.show_step(view.steps[number])
        self.show_face(view.face, bool(view.steps))
        done = sum(step.done for step in view.steps)
        self.summarise(f"{done} of {len(view.steps)} done" if view.steps else "")

    def _restyle(self) -> None:
        for step in self.steps:
            step.restyle()
