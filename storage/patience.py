"""How long a question to the database may take. A server that is frozen answers nothing and refuses nothing: only a
clock ends such a wait. Used where a person or a request waits for the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from engine.ports import LedgerAway

T = TypeVar("T")
ANSWER = 10.0
"""Seconds for a page of facts or a story."""
FOLDED = 60.0
"""Seconds for a past state, which may have thousands of facts to fold."""

_left: set[asyncio.Task[Any]] = set()


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns or raises; `LedgerAway` when it takes longer.

    Its end is not waited for then: to give up a query is one more question to a server that does not answer.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _leave(task)
        raise
    if done:
        return task.result()
    _leave(task)
    raise LedgerAway(f"the database has given no answer for {seconds:.0f} seconds")


def _leave(task: asyncio.Task[Any]) -> None:
    """Give it up, and keep it until it has ended: whatever it still raises is nobody's."""
    task.cancel()
    _left.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # nobody waits for it any more
