"""One place where keys become actions: letters are dead in text fields, dangerous keys are held, chords are two keys.

Installed on the application by the window; it never sends anything itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from widgets.action import Action, native
from widgets.handbutton import HandButton
from widgets.sight import keep_in_sight

if TYPE_CHECKING:
    from widgets.window import DeskWindow

TEXT_FIELDS = (QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox)
MODIFIERS = frozenset({Qt.Key.Key_Control, Qt.Key.Key_Shift, Qt.Key.Key_Alt, Qt.Key.Key_Meta, Qt.Key.Key_AltGr})
CHORD_MS = 1200
REST_MS = 250
"""A key that comes back sooner than this after its release is a key that repeats by itself."""
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_KEYPAD = Qt.KeyboardModifier.KeypadModifier
_STRONG = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier


def key_name(event: QKeyEvent) -> str:
    """The portable name of a key press: `J`, `Shift+X`, `?`, `Return`, `Ctrl+Shift+H`."""
    key, modifiers = event.key(), event.modifiers() & ~_KEYPAD
    if key == Qt.Key.Key_Enter:
        key = Qt.Key.Key_Return
    letter = Qt.Key.Key_A <= key <= Qt.Key.Key_Z
    if not letter and 0x20 < key < 0x7F:
        modifiers &= ~_SHIFT  # which shift makes a ? depends on the keyboard
    return QKeySequence(key | modifiers.value).toString(QKeySequence.SequenceFormat.PortableText)


def _sends(button: QWidget) -> bool:
    """A button that leaves Space to its panel, where it asks why."""
    return isinstance(button, HandButton)


class Keys(QObject):
    """The event filter.

    Attributes:
        chord: the first key of a chord that is under way, or nothing.
        held: the action whose key is being held.
    """

    def __init__(self, desk: DeskWindow) -> None:
        super().__init__(desk)
        self.desk = desk
        self.chord = ""
        self.held: Action | None = None
        self._hint = ""
        """What is said while a chord is under way."""
        self._held_key = 0
        self._spent_key = 0
        """A key whose hold has fired: it counts again only once it was really let go."""
        self._let_go_of = QTimer(self)
        self._let_go_of.setSingleShot(True)
        self._let_go_of.setInterval(REST_MS)
        self._let_go_of.timeout.connect(self._rested)
        self._chord_over = QTimer(self)
        self._chord_over.setSingleShot(True)
        self._chord_over.setInterval(CHORD_MS)
        self._chord_over.timeout.connect(self._end_chord)
        self._hold = QTimer(self)
        self._hold.setSingleShot(True)
        self._hold.setTimerType(Qt.TimerType.PreciseTimer)
        self._hold.timeout.connect(self._held_long_enough)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and isinstance(watched, QWidget):
            return self.desk.owns(watched) and self._pressed(watched, event)
        if kind == QEvent.Type.KeyRelease and isinstance(event, QKeyEvent):
            self._released(event)
        elif kind == QEvent.Type.ApplicationDeactivate and self.held:
            self._let_go("The desk lost the keyboard: nothing was sent")
        return False

    def _pressed(self, watched: QWidget, event: QKeyEvent) -> bool:
        if event.key() in MODIFIERS:
            return False
        if event.key() == self._spent_key:
            self._let_go_of.stop()  # still held: its repeats are no new wish
            return True
        focus = QApplication.focusWidget() or watched
        name = key_name(event)
        strong = bool(event.modifiers() & _STRONG)
        in_text = isinstance(focus, TEXT_FIELDS)
        if self.desk.overlay_open:
            return False  # a sheet answers its own keys, and nothing happens behind it
        if in_text and not strong:
            return False
        if isinstance(focus, QAbstractButton) and (name == "Return" or (name == "Space" and not _sends(focus))):
            return False
        if self.desk.panel_takes(name):
            return False
        return self._act(name, event)

    def _act(self, name: str, event: QKeyEvent) -> bool:
        actions, panel = self.desk.registry, self.desk.active_panel
        if self.chord:
            name, first = f"{self.chord} {name}", self.chord
            self._end_chord()
            action = actions.for_key(name, panel)
            if action is None:
                self.desk.notice.say(f"{native(first)} then {native(name.split()[-1])} leads nowhere")
                return True
        elif name in actions.chord_starts:
            self.chord = name
            self._hint = f"{native(name)}…  " + self.desk.chord_help(name)
            self.desk.notice.say(self._hint, CHORD_MS)
            self._chord_over.start()
            return True
        else:
            action = actions.for_key(name, panel)
        if action is not None and not self.desk.docks.visible(panel):
            keep_in_sight(self.desk)
            action = actions.for_key(name, self.desk.active_panel)
        if action is None:
            return False
        if event.isAutoRepeat() and not action.repeat:
            return True
        if action.hold:
            self._start_hold(action, event)
        else:
            self.desk.do(action)
        return True

    def _end_chord(self) -> None:
        self.chord = ""
        self._chord_over.stop()
        if self.desk.notice.text == self._hint:  # it lies over the panels: it goes with the chord
            self.desk.notice.clear()
        self._hint = ""

    def _start_hold(self, action: Action, event: QKeyEvent) -> None:
        why_not = action.when(self.desk)
        if why_not:
            self.desk.notice.say(why_not)
            return
        self.held, self._held_key = action, event.key()
        self.desk.notice.hold(action.preview(self.desk) or action.title, action.hold)
        self._hold.start(action.hold)

    def _rested(self) -> None:
        self._spent_key = 0

    def _released(self, event: QKeyEvent) -> None:
        if event.key() == self._spent_key and not event.isAutoRepeat():
            self._let_go_of.start()
        # macOS sends no release of a letter while the command key is down: a modifier that comes up counts too.
        if self.held and not event.isAutoRepeat() and (event.key() == self._held_key or event.key() in MODIFIERS):
            self._let_go(f"Released too early, nothing was sent: hold {self.held.keys_text}")

    def _let_go(self, words: str) -> None:
        self._hold.stop()
        self.held = None
        self.desk.notice.say(words)

    def _held_long_enough(self) -> None:
        action, self.held = self.held, None
        self._spent_key = self._held_key
        if action is not None:
            self.desk.notice.clear()
            action.run(self.desk)
