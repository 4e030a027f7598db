"""The terminal: the same engine inside Qt's own loop (qasync), a window that draws it, and a clean way out.

Nothing here nests an event loop. Closing the window asks the engine to stop; only when it has does the window go.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from app.display import display_problem
from app.faults import explained
from app.lifecycle import serve
from app.logs import start as start_logs
from app.options import Options, UsageError
from app.paths import throwaway_home
from app.wiring import Asked, Engine, ask
from engine.domain.values import Timeframe

TEST_TIMEFRAMES = (Timeframe.H4, Timeframe.H1)
"""What the test sends: the smallest pair that is enough for an EXECUTE."""
SETTLED = 0.5
"""Seconds after which the first window is painted and what was put off may begin."""


def run_desk(options: Options, *, smoke: bool, layout: str) -> int:
    problem = display_problem()
    if problem is not None:
        raise UsageError(problem)
    with contextlib.ExitStack() as stack:
        if smoke:
            from app.smoke import smoke_options

            if options.home is None:
                options = replace(options, home=stack.enter_context(throwaway_home("smoke")))
            options = smoke_options(options)
        stack.enter_context(explained())
        asked = ask(options)
        logs = start_logs(asked.home, asked.secrets.values())
        stack.callback(logs.close)
        return _run(asked, smoke=smoke, layout=layout)


def _run(asked: Asked, *, smoke: bool, layout: str) -> int:
    from PySide6.QtWidgets import QApplication  # before qasync, which takes the binding that is loaded

    application = QApplication.instance() or QApplication(["strikedesk"])
    assert isinstance(application, QApplication)
    application.setApplicationName("Strikedesk")
    application.setQuitOnLastWindowClosed(False)
    from qasync import QEventLoop

    desk = Desk(asked, application, smoke=smoke, layout=layout)

    def loop_factory() -> Any:
        return QEventLoop(application)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(asked, desk.face))
    return desk.code


class Desk:
    """The face of the engine that is a window."""

    def __init__(self, asked: Asked, application: Any, *, smoke: bool, layout: str) -> None:
        from widgets.theme import Look

        self.code = 0
        self._asked = asked
        self._smoke = smoke
        self._layout = layout
        self._look = Look()
        self._look.apply(application)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine for a slot, and keep hold of it until it is done. Its error is the loop's to report."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a command of the desk failed", "exception": task.exception(), "task": task}
            )

    async def face(self, engine: Engine) -> None:
        from app.actions import ACTIONS
        from app.bridge import Bridge
        from widgets.window import DeskWindow

        leaving = asyncio.Event()
        bridge: Bridge | None = None

        def send(command: Any) -> None:
            assert bridge is not None, "the window speaks after it was made"
            bridge.send(command)

        def open_story(seq: int) -> None:
            assert bridge is not None, "the window speaks after it was made"
            bridge.open_story(seq)

        state = self._asked.home.root / "desk.ini"
        window = DeskWindow(send, open_story, state, ACTIONS, self._look, self._layout)
        bridge = Bridge(engine, window, self.spawn, _ledger_name(engine))
        window.closing.connect(leaving.set)
        window.asked.connect(lambda name: self._asked_for(engine, window, name))
        with _stopped_by_signals(leaving):
            try:
                window.show()
                bridge.start()
                # One more turn of the loop paints the window.
                asyncio.get_running_loop().call_later(SETTLED, engine.ready.set)
                if self._smoke:
                    from app.smoke import drive

                    self.code = await drive(engine, window)
                else:
                    _say_ready(engine)
                    await leaving.wait()
            finally:
                bridge.stop()
                for task in list(self._tasks):
                    task.cancel()
                if self._tasks:
                    await asyncio.wait(self._tasks)
                window.close_now()

    def _asked_for(self, engine: Engine, window: Any, name: str) -> None:
        if name == "welcome.test":
            self.spawn(_send_test_signal(engine, window))


async def _send_test_signal(engine: Engine, window: Any) -> None:
    """The welcome panel's button: two full alerts through the real webhook, as a sender would post them. The first says
    WAIT, both together say EXECUTE."""
    import httpx

    from app.probe import signal_body

    quotes = {symbol: engine.market.underlying(symbol) for symbol in engine.market.symbols()}
    priced = [(symbol, quote.mid) for symbol, quote in quotes.items() if quote is not None and quote.mid is not None]
    if not priced:
        window.say(f"Nothing was sent: there is no quote of {', '.join(quotes)} yet")
        return
    symbol, price = priced[0]
    stamp, said = int(engine.clock.wall().timestamp() * 1000), []
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            for number, timeframe in enumerate(TEST_TIMEFRAMES):
                answer = await client.post(
                    f"{engine.address}/webhook/signal",
                    json=signal_body(symbol, timeframe.value, float(price), stamp + number),
                    headers={"Authorization": f"Bearer {engine.asked.secrets.webhook_signal}"},
                )
                said.append(f"{timeframe.label} LONG answered {answer.status_code}")
    except httpx.HTTPError as error:
        window.say(f"The webhook at {engine.address} did not answer: {type(error).__name__}")
        return
    window.say(f"Sent two made-up alerts of {symbol}: {', '.join(said)}")


def _ledger_name(engine: Engine) -> str:
    return str(engine.database) if engine.database is not None and engine.external else "embedded Postgres"


def _say_ready(engine: Engine) -> None:
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout.write(f"Strikedesk listens on {engine.address}; the window is open.\n")
        sys.stdout.flush()


@contextlib.contextmanager
def _stopped_by_signals(leaving: asyncio.Event) -> Any:
    """Ctrl-C and SIGTERM leave the way the window's close button does."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, leaving.set)
    try:
        yield
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)
