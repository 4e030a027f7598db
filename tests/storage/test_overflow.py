"""The spool behind its thread: what it takes once only, what it takes anew, and what it gives back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.ports import LedgerAway
from storage.frames import Place
from storage.overflow import Overflow
from storage.rows import NOTHING, Entry, Tail
from storage.spool import Spool
from tests.storage.builders import rejected, row
from tests.storage.test_spool import no_more_files


@pytest_asyncio.fixture
async def overflow(tmp_path: Path) -> AsyncIterator[Overflow]:
    made = Overflow(Spool(tmp_path / "spool"))
    assert await made.open() is None
    yield made
    made.close()


def appends(count: int) -> list[Entry]:
    """One fact each, with a row and a key."""
    tail, loop = Tail(NOTHING), asyncio.get_running_loop()
    return [
        tail.extend([rejected(seq)], [row(str(seq % 3), str(seq))], {f"k{seq}": seq}, loop.create_future())
        for seq in range(1, count + 1)
    ]


def seqs(entries: list[Entry]) -> list[int]:
    return [row.seq for entry in entries for row in entry.rows]


async def test_what_is_there_is_not_written_again(overflow: Overflow) -> None:
    every = appends(6)
    await overflow.keep(every[:4], 0)
    await overflow.keep(every[2:], 0)
    assert seqs(await overflow.next(0, 100)) == [1, 2, 3, 4, 5, 6]
    await overflow.keep(every, 0)
    await overflow.keep([], 0)
    assert seqs(await overflow.next(0, 100)) == [1, 2, 3, 4, 5, 6]
    assert overflow.overlay.projected == 6


async def test_what_a_slow_commit_took_in_between_leaves_no_gap(overflow: Overflow) -> None:
    """The spool had 1 to 3, then a commit that began before brought the database to 5."""
    every = appends(7)
    await overflow.keep(every[:3], 0)
    with pytest.raises(ValueError, match="what follows fact 5 cannot be spooled after fact 3"):
        await overflow.keep(every[5:], 2)
    await overflow.keep(every[5:], 5)
    assert seqs(await overflow.next(5, 100)) == [6, 7]
    assert overflow.spool.begin == Place(5, every[4].rows[0].hash)
    assert overflow.overlay.keys == {"k6": 6, "k7": 7}


async def test_batches_follow_what_the_database_has_and_nothing_is_taken_out_before(overflow: Overflow) -> None:
    every = appends(10)
    for entry in every:
        await overflow.keep([entry], 0)
    for _ in range(2):  # asked again: the commit failed
        assert seqs(await overflow.next(0, 4)) == [1, 2, 3, 4]
    assert seqs(await overflow.next(4, 4)) == [5, 6, 7, 8]
    assert seqs(await overflow.next(8, 4)) == [9, 10]
    assert await overflow.next(10, 4) == []
    assert await overflow.holds(Place(7, every[6].rows[0].hash))
    assert not await overflow.holds(Place(7, every[5].rows[0].hash))
    assert not await overflow.holds(Place(11, bytes(32)))


async def test_a_question_that_is_given_up_loses_nothing(overflow: Overflow) -> None:
    every = appends(50)
    for entry in every:
        await overflow.keep([entry], 0)
    for steps in range(12):
        asked = asyncio.ensure_future(overflow.next(0, 50))
        for _ in range(steps):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    assert seqs(await overflow.next(0, 50)) == list(range(1, 51))


async def test_once_the_database_has_it_all_nothing_is_left(overflow: Overflow) -> None:
    await overflow.keep(appends(3), 0)
    await overflow.clear()
    assert await overflow.next(0, 10) == []
    assert (overflow.overlay.rows, overflow.overlay.keys, overflow.spool.end) == ({}, {}, None)


async def test_a_spool_that_cannot_be_read_now_is_away_for_who_asks(overflow: Overflow) -> None:
    every = appends(3)
    await overflow.keep(every, 0)
    with no_more_files(), pytest.raises(LedgerAway, match="the spool cannot be read now: Too many open files"):
        await overflow.rows(0)
    assert [row.seq for row in await overflow.rows(0)] == [1, 2, 3]


async def test_a_server_that_has_less_than_the_one_before_gets_what_follows_its_end(overflow: Overflow) -> None:
    for entry in appends(10):
        await overflow.keep([entry], 0)
    assert seqs(await overflow.next(6, 2)) == [7, 8]
    assert seqs(await overflow.next(3, 4)) == [4, 5, 6, 7]
