"""Pictures of the desk: `python -m tests.gui.snapshots OUT_DIR` draws every face, dark and light, off screen."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from app.actions import ACTIONS
from engine.domain.values import Purpose, Side
from engine.domain.views import DeskUpdate, TicketsView
from tests.gui import samples
from widgets.theme import Look
from widgets.window import DeskWindow

SIZE = (1680, 1050)


def settle(milliseconds: int = 60) -> None:
    """Let layouts and paints happen."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    getattr(loop, "exec")()  # noqa: B009 - the script has no other loop; the desk itself never nests one


def window(look: Look, folder: Path, size: tuple[int, int] = SIZE) -> DeskWindow:
    desk = DeskWindow(lambda _: None, lambda _: None, folder / "state.ini", ACTIONS, look)
    desk.resize(*size)
    desk.show()
    settle()
    desk.docks.reset()
    settle()
    return desk


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    look = Look()
    look.apply(app)
    with tempfile.TemporaryDirectory() as folder:
        for theme in ("dark", "light"):
            look.set(theme=theme)
            for name, update in (
                ("full", samples.full()),
                ("first-start", samples.empty()),
                ("stale", samples.with_face(samples.full(), samples.STALE)),
                ("error", samples.with_face(samples.full(), samples.ERROR)),
                ("error-empty", samples.with_face(samples.empty(), samples.ERROR)),
            ):
                desk = window(look, Path(folder))
                draw(desk, update, name)
                desk.grab().save(str(out / f"{name}-{theme}.png"))
                desk.close_now()
        look.set(theme="dark")
        for name in (
            "palette",
            "keys",
            "exit",
            "override",
            "reject",
            "change",
            "halted",
            "hold",
            "review",
            "quiet",
            "chain",
        ):
            desk = window(look, Path(folder))
            draw(desk, samples.full(), "full")
            pose(desk, name)
            settle()
            desk.grab().save(str(out / f"{name}.png"))
            desk.close_now()
        look.set(pair="blue-orange", scale=120)
        desk = window(look, Path(folder))
        draw(desk, samples.full(), "full")
        desk.grab().save(str(out / "blue-orange-120.png"))
        desk.close_now()
        look.set(pair="teal-vermilion", scale=100)
        desk = window(look, Path(folder), (1366, 768))
        draw(desk, samples.full(), "full")
        desk.grab().save(str(out / "small-1366.png"))
        desk.close_now()


def draw(desk: DeskWindow, update: DeskUpdate, name: str) -> None:
    desk.apply(update)
    desk.activateWindow()
    if name == "full":
        desk.show_panel("positions")
        desk.positions.view.choose("P-1")
        desk.follow("SPY")
    elif name.startswith(("first", "error-empty")):
        desk.show_panel("welcome")
    settle()


def pose(desk: DeskWindow, name: str) -> None:
    if name == "palette":
        desk.open_palette()
        desk.palette_view.line.setText("cl")
    elif name == "keys":
        desk.cheat_sheet.open()
    elif name == "exit":
        desk.exit_ticket()
    elif name == "override":
        desk.follow("QQQ")
        desk.do_by_id("decision.override")
    elif name == "reject":
        desk.approvals.reject()
    elif name == "change":
        note = "HTF_CONFLICT: the entry says 4H LONG, the board's 240 says SHORT. Half size, by hand only."
        exit_ticket = samples.ticket(id="T-2", purpose=Purpose.EXIT, side=Side.SELL, payoff=())
        desk.apply(DeskUpdate(tickets=TicketsView(rows=(samples.ticket(notes=(note,)), exit_ticket))))
        desk.approvals.change()
    elif name == "halted":
        lamps = samples.health().lamps
        bad = tuple(samples.broken(lamp) for lamp in lamps)
        desk.apply(
            DeskUpdate(
                header=samples.header(halted=True, halt_by="desk", halt_reason="news, waiting for the open"),
                health=samples.HealthView(lamps=bad),
            )
        )
        desk.say("Denied: the book's heat would be over its limit: heat 8.4%, limit 8% · HEAT_OVER_LIMIT")
    elif name == "hold":
        desk.notice.hold("Keep holding: sell 3 SPY 26 Nov 26 658 C at once, market 6.45 × 6.51", 400)
    elif name in ("review", "quiet", "chain"):
        desk.docks.arrange(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
