"""Questions with a bound: what they give, what they raise, and that nothing is heard of them once they are given up."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from engine.ports import LedgerAway
from storage.patience import within


async def answered() -> int:
    return 7


async def refused() -> int:
    raise ValueError("no")


async def never(ended: list[str]) -> int:
    """Ends with an error of its own when it is given up, as a query does whose connection breaks by it."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        ended.append("it")
        raise ConnectionError("the connection is lost") from None
    return 0


async def test_it_gives_what_the_work_gives() -> None:
    assert await within(5, answered()) == 7
    with pytest.raises(ValueError, match="no"):
        await within(5, refused())


@pytest.mark.parametrize("how", ["too late", "caller gone"])
async def test_work_that_is_given_up_ends_without_a_word(how: str) -> None:
    loud: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))
    ended: list[str] = []
    if how == "too late":
        with pytest.raises(LedgerAway, match="given no answer"):
            await within(0.001, never(ended))
    else:
        caller = asyncio.create_task(within(60, never(ended)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        del caller
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert (ended, loud) == (["it"], [])
