"""An engine in its own process for the benchmarks: the real wiring under uvloop or qasync, with its milestones at the end."""

from __future__ import annotations

import asyncio
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

from app.lifecycle import serve
from app.logs import start as start_logs
from app.options import Options
from app.wiring import Engine, ask
from engine.pricing import kernels
from engine.pricing.kernels import Serving


def engine_process(options: Options, face: str, pipe: Connection) -> None:
    """Entry of the process. Sends the address when it listens; on any word from the pipe the milestones, on `stop` it stops, and
    when nobody is at the other end any more. A SIGTERM to the whole group is the measuring process's to answer."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asked = ask(options)
    start_logs(asked.home, asked.secrets.values())

    async def wait(engine: Engine) -> None:
        engine.ready.set()
        said = {
            "address": engine.address,
            "secrets": {"signal": asked.secrets.webhook_signal},
            "api": asked.secrets.api_token,
        }
        try:
            pipe.send(said)
        except OSError:
            return  # nobody is at the other end any more
        loop = asyncio.get_running_loop()
        asking = asyncio.Event()
        loop.add_reader(pipe.fileno(), asking.set)
        while True:
            await asking.wait()
            asking.clear()
            if not pipe.poll():
                continue  # the same word was seen twice before it was read
            try:
                word = pipe.recv()
            except EOFError:
                word = "stop"
            if word == "stop":
                loop.remove_reader(pipe.fileno())
                return
            pulse = engine.conductor.pulse
            pipe.send(
                {
                    "milestones": list(pulse.milestones),
                    "slowest_step": pulse.slowest_step,
                    "seq": engine.ledger.head.seq,
                    # As a desk is a moment after its start: measured is what lasts.
                    "warm": pulse.warm and kernels.state().serving in (Serving.COMPILED, Serving.UNAVAILABLE),
                    "dsn": engine.database.dsn if engine.database is not None else "",
                }
            )
            pulse.milestones.clear()
            pulse.slowest_step = 0.0

    if face == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(asked, wait))
        return
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    from qasync import QEventLoop

    def loop_factory() -> Any:
        return QEventLoop(application)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve(asked, wait))
