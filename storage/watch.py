"""Watches over what is done with the database: says when it is slow, and gives it up after a while. Used by `committing`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_GRACE, _LAST_GRACE = 0.01, 0.5


class Watch:
    """One thing `over` at a time. `slow` is called once it takes longer than `stall` seconds, and again while it lasts.

    `cut` breaks the connection: that ends a wait for its answer at once, where to ask the server to stop would be one
    more wait. What was no answer of the server's is cancelled after that.
    """

    def __init__(self, stall: float, slow: Callable[[], None], cut: Callable[[], None]) -> None:
        self._stall, self._slow, self._cut = stall, slow, cut
        self._look: asyncio.TimerHandle | None = None
        self._end: asyncio.TimerHandle | None = None
        self._until = 0.0
        """When `_end` is due. Kept here, for not every loop's handle can say it."""
        self._limit: asyncio.Timeout | None = None

    async def over(self, work: Callable[[], Awaitable[object]], until: float) -> None:
        """Do it, until a loop time at most. Raises what it raises, `TimeoutError` when it was given up."""
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(self._stall, self._look_again)
        self._end, self._until = loop.call_at(until, self._give_up), until
        try:
            async with asyncio.timeout(None) as self._limit:
                await work()
        finally:
            self._look.cancel()
            self._end.cancel()
            self._end = self._limit = None

    def hasten(self, until: float) -> None:
        """What is under way has no longer than this."""
        if self._end is not None and self._until > until:
            self._end.cancel()
            self._end, self._until = asyncio.get_running_loop().call_at(until, self._give_up), until

    def _look_again(self) -> None:
        """If it was this loop that stood still, the answer may be here already and only has to be read."""
        self._look = asyncio.get_running_loop().call_later(min(_GRACE, self._stall), self._is_slow)

    def _is_slow(self) -> None:
        self._look = asyncio.get_running_loop().call_later(self._stall, self._is_slow)
        self._slow()

    def _give_up(self) -> None:
        self._cut()
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + _LAST_GRACE)
