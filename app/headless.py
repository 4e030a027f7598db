"""The engine without a screen: the same wiring on a plain asyncio loop (uvloop). Says one JSON line when it is ready."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import uvloop

from app.faults import explained
from app.lifecycle import serve
from app.logs import start as start_logs
from app.options import Options
from app.wiring import Engine, ask


def run_engine(options: Options) -> int:
    with explained():
        asked = ask(options)
    logs = start_logs(asked.home, asked.secrets.values())

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            # From the first moment on: who is told to stop while starting stops cleanly as soon as it can.
            loop.add_signal_handler(name, stop.set)

        async def face(engine: Engine) -> None:
            _say_ready(engine)
            engine.ready.set()
            await stop.wait()

        await serve(asked, face)

    try:
        with explained(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    finally:
        logs.close()
    return 0


def _say_ready(engine: Engine) -> None:
    head = engine.ledger.head
    line = {
        "listening": engine.address,
        "ledger": {"seq": head.seq, "head": head.hash.hex()},
        "market": engine.market.source,
        "policy": engine.settings.approvals.policy.value,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
