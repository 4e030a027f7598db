"""Every panel in its four faces: nothing cut, everything named, and only what changed is drawn."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import PySide6
import pytest
from PySide6.QtCore import QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QAbstractSpinBox, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from engine.domain.views import DeskUpdate, HealthView, Lamp, LampState, PositionsView
from tests.gui import samples
from tests.gui.conftest import Hands
from widgets.canvas import Canvas
from widgets.panels.positions import COLUMNS
from widgets.states import Panel
from widgets.table import TableModel, TableView
from widgets.theme import PAIRS, RESOURCES, THEMES, Look

ROOT = Path(__file__).resolve().parents[2]
FACES = {
    "full": samples.full,
    "empty": samples.empty,
    "stale": lambda: samples.with_face(samples.full(), samples.STALE),
    "error": lambda: samples.with_face(samples.full(), samples.ERROR),
    "error without rows": lambda: samples.with_face(samples.empty(), samples.ERROR),
}
PANELS = ("signals", "confluence", "decision", "approvals", "orders", "positions", "greeks", "exits", "chain", "health", "log",
          "story", "welcome")  # fmt: skip


def cut_texts(root: QWidget) -> list[str]:
    """Texts on visible widgets that did not fit at the last paint."""
    found = []
    for canvas in root.findChildren(Canvas):
        if canvas.isVisible() and not canvas.visibleRegion().isEmpty():
            found += [f"{canvas.objectName()}: {text}" for text in canvas.cut]
    for table in root.findChildren(TableView):
        if table.isVisible() and not table.visibleRegion().isEmpty():
            found += [f"{table.objectName()}: {text}" for text in table.cut_text()]
    for label in root.findChildren(QLabel):
        if label.isVisible() and not label.visibleRegion().isEmpty() and label.text():
            needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
            if needed > label.height() or (not label.wordWrap() and label.sizeHint().width() > label.width()):
                found.append(f"{label.objectName()}: {label.text()}")
    for button in root.findChildren(QAbstractButton):
        if (
            button.isVisible()
            and button.text()
            and button.fontMetrics().horizontalAdvance(button.text()) > button.width()
        ):
            found.append(f"{button.objectName()}: {button.text()}")
    return found


@pytest.mark.parametrize("face", FACES)
def test_no_text_is_cut_in_any_face(qtbot: QtBot, hands: Hands, face: str) -> None:
    window = hands.window
    window.resize(QSize(1680, 1050))
    window.docks.reset()
    window.apply(FACES[face]())
    qtbot.wait(5)
    for name in PANELS:
        window.docks.reveal(name)
        qtbot.wait(5)
        window.grab()
        assert cut_texts(window) == [], name


@pytest.mark.parametrize("scale", [90, 100, 120])
@pytest.mark.parametrize("theme", THEMES)
def test_no_text_is_cut_at_other_sizes_of_text(qtbot: QtBot, hands: Hands, theme: str, scale: int) -> None:
    hands.look.set(theme=theme, scale=scale)
    hands.window.resize(QSize(1920, 1200))
    hands.window.docks.reset()
    hands.window.apply(samples.full())
    qtbot.wait(5)
    hands.window.grab()
    assert cut_texts(hands.window) == []


@pytest.mark.parametrize("name", PANELS)
def test_each_face_says_what_it_is(hands: Hands, name: str) -> None:
    panel: Panel = hands.window.panels[name]
    hands.window.docks.reveal(name)
    stale = samples.with_face(samples.full(), samples.STALE)
    hands.window.apply(stale)
    assert panel.strip.word.startswith("STALE 14")
    assert all(canvas.dim for canvas in panel.content.findChildren(Canvas))
    hands.window.apply(samples.with_face(samples.full(), samples.ERROR))
    assert panel.strip.word == "NOT WORKING"
    assert "Exits go on" in panel.strip.text
    hands.window.apply(samples.full())
    assert not panel.strip.isVisible()
    if name in ("health", "log", "welcome"):
        return
    hands.window.apply(samples.empty())
    assert panel.card.isVisible()
    assert panel.card.what.text()
    assert panel.card.then.text()
    hands.window.apply(samples.with_face(samples.empty(), samples.ERROR))
    assert panel.card.word.text() == "NOT WORKING"


def test_everything_that_can_be_used_has_a_name(hands: Hands) -> None:
    window = hands.window
    used = (QAbstractButton, QAbstractItemView, QLineEdit, QAbstractSpinBox, Canvas, Panel)
    nameless = [
        f"{type(widget).__name__} {widget.objectName()}"
        for widget in window.findChildren(QWidget)
        if isinstance(widget, used)
        and not widget.objectName().startswith("qt_")
        and not (widget.accessibleName() and widget.objectName())
    ]
    assert nameless == []


def test_tab_reaches_more_than_one_panel_and_never_ends(hands: Hands) -> None:
    window = hands.window
    window.show_panel("positions")
    seen = set()
    for _ in range(60):
        window.focusNextChild()
        seen.add(window.active_panel)
    assert {"positions", "signals", "approvals"} <= seen


def test_positions_show_age_sign_and_arrow(hands: Hands) -> None:
    model = hands.window.positions.model
    texts = [str(model.data(model.index(2, column))) for column in range(model.columnCount())]
    assert "▼\u2009−65.00" in texts
    assert "0.2\u202fs" in texts
    pnl = next(n for n, column in enumerate(COLUMNS) if column.title == "P&L $")
    assert model.data(model.index(2, pnl), Qt.ItemDataRole.AccessibleTextRole) == "P&L $: loss 65.00 dollars"


def test_the_summary_of_a_panel_is_in_its_title(hands: Hands) -> None:
    assert hands.window.positions.summary.startswith("4 open · +$469.00 · net Δ $61,240")
    assert hands.window.approvals.summary == "1 waiting · expires in 0:31"


def test_paper_is_said_over_the_whole_width(hands: Hands) -> None:
    assert hands.window.band.texts()[:2] == ("PAPER · SIMULATED MARKET", "PAPER")
    assert hands.window.band.width() == hands.window.centralWidget().width()


# --- the model -----------------------------------------------------------------------------------------------------


def model() -> TableModel[samples.PositionRow]:
    return TableModel(COLUMNS, lambda row: row.id)


def test_only_cells_that_changed_are_announced(qtbot: QtBot) -> None:
    table = model()
    rows = samples.positions().rows
    table.flush(rows)
    heard: list[tuple[int, int, int]] = []
    table.dataChanged.connect(lambda a, b: heard.append((a.row(), a.column(), b.column())))
    table.flush([msgspec.structs.replace(row) for row in rows])
    assert heard == []
    table.flush([rows[0], msgspec.structs.replace(rows[1], age=7.0), *rows[2:]])
    age = next(n for n, column in enumerate(COLUMNS) if column.title == "Age")
    assert heard == [(1, age, age)]


def test_rows_come_go_and_move_as_a_model_must(qtbot: QtBot) -> None:
    table = model()
    tester = QAbstractItemModelTester(table, QAbstractItemModelTester.FailureReportingMode.Fatal)
    rows = list(samples.positions().rows)
    for order in ([0, 1, 2, 3], [3, 1], [1, 3], [0, 1, 2, 3], [2, 0, 3, 1], [], [1], [0, 1, 2]):
        table.flush([rows[place] for place in order])
        assert [row.id for row in table.rows] == [rows[place].id for place in order]
    assert tester is not None


def test_the_chosen_row_stays_chosen_when_rows_move(hands: Hands) -> None:
    view = hands.window.positions.view
    view.choose("P-3")
    rows = samples.positions().rows
    hands.window.apply(DeskUpdate(positions=PositionsView(rows=(rows[2], rows[0]))))
    assert view.current is not None
    assert view.current.id == "P-3"


def test_sorting_compares_values_and_waits_under_the_pointer(hands: Hands) -> None:
    panel = hands.window.positions
    pnl = next(n for n, column in enumerate(COLUMNS) if column.title == "P&L $")
    panel.view.horizontalHeader().sectionClicked.emit(pnl)
    assert [row.id for row in panel.model.rows] == ["P-1", "P-2", "P-4", "P-3"]
    rows = list(samples.positions().rows)
    rows[2] = msgspec.structs.replace(rows[2], pnl=samples.D(900))
    panel.model.order_held = True
    panel.model.flush(rows)
    assert [row.id for row in panel.model.rows] == ["P-1", "P-2", "P-4", "P-3"]
    panel.model.order_held = False
    panel.model.flush(rows)
    assert [row.id for row in panel.model.rows] == ["P-3", "P-1", "P-2", "P-4"]


# --- the look ------------------------------------------------------------------------------------------------------


def contrast(one: QColor, other: QColor) -> float:
    def luminance(colour: QColor) -> float:
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in colour.getRgbF()[:3]]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    a, b = sorted((luminance(one), luminance(other)), reverse=True)
    return (a + 0.05) / (b + 0.05)


def over(top: QColor, under: QColor) -> QColor:
    """A translucent colour as it looks on another."""
    share = top.alphaF()
    mixed = [t * share + u * (1 - share) for t, u in zip(top.getRgbF()[:3], under.getRgbF()[:3], strict=True)]
    return QColor.fromRgbF(*mixed)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("theme", THEMES)
def test_text_is_readable_on_every_surface(look: Look, theme: str, pair: str) -> None:
    look.set(theme=theme, pair=pair)
    c = look.colour
    grounds = [c(name) for name in ("surface0", "surface1", "surface2", "raised", "selected", "band0", "band1")]
    for tone in ("hi", "mid"):
        assert min(contrast(c(tone), ground) for ground in grounds) >= 4.5, tone
    for tone in ("low", "gain", "loss"):
        assert (
            min(contrast(c(tone), c(name)) for name in ("surface0", "surface1", "surface2", "raised", "selected"))
            >= 4.5
        ), tone
    for tone in ("gain", "loss"):
        assert contrast(c(tone), over(c(f"{tone}_wash"), c("surface1"))) >= 4.5, tone
    assert contrast(c("on_live"), c("live")) >= 4.5
    assert contrast(c("surface0"), c("hi")) >= 4.5


def test_colours_are_written_in_tokens_only() -> None:
    literal = re.compile(r"#[0-9a-fA-F]{3,8}\b|QColor\([\"'\d]|Qt\.GlobalColor|\brgba?\(")
    for path in [*(ROOT / "widgets").rglob("*.py"), *(ROOT / "app").rglob("*.py"), RESOURCES / "style.qss"]:
        found = [line for line in path.read_text("utf-8").splitlines() if literal.search(line)]
        assert found == [], path
    assert tomllib.loads((RESOURCES / "tokens.toml").read_text("utf-8"))["dark"]["colours"]


def test_text_scale_is_bounded(look: Look) -> None:
    look.set(scale=300)
    assert look.scale == 140
    look.set(scale=10)
    assert look.scale == 90
    with pytest.raises(ValueError, match="no such look"):
        look.set(theme="sepia")


def test_the_shipped_font_is_used(look: Look) -> None:
    assert look.family == "Inter"
    metrics = look.metrics("data", 600)
    assert metrics.horizontalAdvance("1111") == metrics.horizontalAdvance("8888")
    assert (RESOURCES / "fonts" / "LICENSE-Inter.txt").is_file()


# --- the binding ---------------------------------------------------------------------------------------------------


def test_the_binding_is_one_that_survives_on_this_python() -> None:
    assert tuple(int(part) for part in PySide6.__version__.split(".")[:2]) < (6, 12)


class _Bell(QObject):
    rang = Signal(bool)


def test_emits_and_timer_ticks_do_not_wear_out_constants(qtbot: QtBot) -> None:
    bell, heard = _Bell(), [0, 0]
    bell.rang.connect(lambda on: heard.__setitem__(0, heard[0] + on))
    for _ in range(20_000):
        bell.rang.emit(True)
    timer = QTimer()
    timer.setInterval(0)

    def tick() -> None:
        heard[1] += 1

    timer.timeout.connect(tick)
    timer.start()
    qtbot.waitUntil(lambda: heard[1] >= 20_000, timeout=60_000)
    timer.stop()
    assert heard[0] == 20_000


def test_words_too_long_for_a_figure_are_the_detail(qtbot: QtBot, hands: Hands) -> None:
    words = "the database server died and is being started again"
    lamp = Lamp(id="problem0", name="Notice", state=LampState.WARN, text=words)
    hands.window.apply(DeskUpdate(health=HealthView(lamps=(lamp,))))
    hands.window.show_panel("health")
    qtbot.wait(5)
    model = hands.window.health.model
    shown = {column.title: model.cell(0, place)[0] for place, column in enumerate(model.columns)}
    assert shown["Figure"] == "—"
    assert shown["Detail, what to do"] == words
