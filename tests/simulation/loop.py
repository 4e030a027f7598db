"""An event loop without a machine beneath it: no sockets, no threads, no waiting. Time jumps to whatever is due next.

`Timeline` holds the time and the world's own events (the exchange, senders, persons, faults): they go on while no engine
runs. `VirtualLoop` is one engine's life on it. Callbacks run in the order they were asked for, or, for more hostility, in
an order that the seed chooses.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context, copy_context
from random import Random
from typing import Any, TypeVarTuple

Happening = Callable[[], None]
Ts = TypeVarTuple("Ts")

SPIN = 20_000
"""Callbacks at one instant after which the engine counts as running in circles."""


MOST = 1_000_000
"""Callbacks of one life: a thousand times what one takes."""


class Stuck(AssertionError):
    """The engine waits for something that will never happen, or runs without time going on."""


class Timeline:
    """Seconds since the run began, and what the world does when."""

    def __init__(self) -> None:
        self.time = 0.0
        self._due: list[tuple[float, int, Happening]] = []
        self._count = 0

    def after(self, seconds: float, happening: Happening) -> None:
        """Let something happen in the world; of two at one instant the one asked for first goes first."""
        self._count += 1
        heapq.heappush(self._due, (self.time + seconds, self._count, happening))

    @property
    def next(self) -> float | None:
        return self._due[0][0] if self._due else None

    def happen(self) -> None:
        """The next thing the world does; time goes on to it."""
        when, _, happening = heapq.heappop(self._due)
        if when > self.time:
            self.time = when
        happening()


class Call(asyncio.Handle):
    """A callback, without what asyncio's own keeps for debugging."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: VirtualLoop, context: Context | None) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class Timer(asyncio.TimerHandle):
    """A callback that is due at some time; compared with its like only."""

    __slots__ = ()

    def __init__(self, when: float, callback: Any, args: Any, loop: VirtualLoop, context: Context | None) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = False

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        return self._when < other._when  # type: ignore[attr-defined, no-any-return]


class VirtualLoop(asyncio.BaseEventLoop):
    """One life of an engine. `shuffle` picks the next callback among those that are ready; without it: first come, first
    served, as on a real loop."""

    def __init__(self, timeline: Timeline, shuffle: Random | None = None) -> None:
        super().__init__()
        self._timeline = timeline
        self._shuffle = shuffle
        self._spun = 0
        self.cut_after: int | None = None
        """Callbacks until the power goes; None: it stays."""
        self.dying = False
        """The power is gone: only what is ready runs, so that the tasks can end; neither time nor the world go on."""
        self.callbacks = 0
        self.set_exception_handler(self._complain)
        self.complaints: list[str] = []
        """What asyncio would only have logged: an exception that nobody asked for."""
        self._born: list[asyncio.Task[Any]] = []
        """Tasks in the order they were started: asyncio's own set of them has no order."""
        self.set_task_factory(self._bear)

    def time(self) -> float:
        return self._timeline.time

    def _bear(self, _: asyncio.AbstractEventLoop, coro: Any, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, context=context)
        self._born.append(task)
        return task

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self.dying:
            self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        """Callbacks one by one, and jumps of time, until the loop is stopped. BaseEventLoop's own asks a selector; here there
        is nothing to select."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        while not self._stopping:  # type: ignore[attr-defined]
            if not ready:
                if self.dying:
                    raise Stuck("a task does not end when it is cancelled")
                self._wait()
                continue
            self._spun += 1
            if self._spun > SPIN:
                raise Stuck(f"{SPIN} callbacks at {self._timeline.time:.3f} s")
            if self._shuffle is not None and len(ready) > 1:
                ready.rotate(-self._shuffle.randrange(len(ready)))
            handle = ready.popleft()
            self.callbacks += 1
            if self.callbacks > MOST:
                raise Stuck(f"{MOST:,} callbacks and no end")
            if not handle._cancelled:
                self._call(handle)
            handle = None
            if self.cut_after is not None and not self.dying:
                self.cut_after -= 1
                if self.cut_after <= 0:
                    self.stop()

    def _call(self, handle: Any) -> None:
        """What `Handle._run` does, one call nearer."""
        try:
            handle._context.run(handle._callback, *handle._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - the loop goes on, and the run hears of it
            context = {"message": f"Exception in callback {handle!r}", "exception": error, "handle": handle}
            self.call_exception_handler(context)

    def _wait(self) -> None:
        """Nothing is ready: go on to the next timer or the next event of the world, whichever is first."""
        self._spun = 0
        timeline = self._timeline
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        timer = scheduled[0]._when if scheduled else None
        world = timeline.next
        if timer is None and world is None:
            raise Stuck("nothing is left that could happen")
        if timer is None or (world is not None and world <= timer):
            timeline.happen()
            return
        timeline.time = max(timeline.time, timer)
        while scheduled and scheduled[0]._when <= timeline.time:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                self._ready.append(handle)  # type: ignore[attr-defined]

    # BaseEventLoop's own, without what it does for debugging and threads: they are called a thousand times a run.

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        self._check_closed()  # type: ignore[attr-defined]
        handle = Call(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._timeline.time + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        self._check_closed()  # type: ignore[attr-defined]
        timer = Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True
        return timer

    def _write_to_self(self) -> None:
        """Nobody sleeps in a selector."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when they come up."""

    def end(self) -> None:
        """Cancel every task and let them end, without time going on and without the world hearing of it."""
        self.dying = True
        self.cut_after = None
        tasks = [task for task in self._born if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()
