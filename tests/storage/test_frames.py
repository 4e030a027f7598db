"""Frames of the spool: what went in comes out, a torn end is told from damage, and no changed byte goes unseen."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.frames import END, HEADER, Damage, Frame, Kept, Place, decode, encode, scan
from storage.rows import NOTHING, Entry, Tail
from tests.storage.builders import heard, rejected, row

GENESIS = Place(0, bytes(32))


def entries(tail: Tail, *sizes: int, reason: str = "") -> list[Entry]:
    """Appends of so many facts, each with a row, a removed row and a key."""
    made = []
    for size in sizes:
        seqs = range(tail.seq + 1, tail.seq + 1 + size)
        facts = [heard(seq) if number == 0 else rejected(seq, reason) for number, seq in enumerate(seqs)]
        changes = [row(f"a{seqs[-1]}"), row(f"b{seqs[-1]}", None)]
        made.append(tail.extend(facts, changes, {f"key-{seqs[0]}": seqs[0]}, asyncio.Future(loop=LOOP)))
    return made


LOOP = asyncio.new_event_loop()
LOOP.close()


def file_of(*groups: tuple[int, ...], reason: str = "") -> tuple[bytes, list[Frame], list[Entry]]:
    """A file of frames, one a group of appends."""
    tail, data, frames, written = Tail(NOTHING), b"", [], []
    for sizes in groups:
        before = Place(tail.seq, tail.hash)
        group = entries(tail, *sizes, reason=reason)
        part, frame = encode(group, before, len(data))
        data += part
        frames.append(frame)
        written += group
    return data, frames, written


def kept(data: bytes, frames: list[Frame]) -> list[Kept]:
    return [one for frame in frames for one in decode(data[frame.offset : frame.end], frame)]


def as_written(written: list[Entry]) -> list[Kept]:
    return [Kept(entry.rows, entry.changes, entry.keys) for entry in written]


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=5), st.text(max_size=30))
@settings(max_examples=40)
def test_what_went_in_comes_out(groups: list[list[int]], reason: str) -> None:
    data, frames, written = file_of(*map(tuple, groups), reason=reason)
    assert scan(data, last=True) == (frames, len(data))
    assert scan(data, last=False) == (frames, len(data))
    assert kept(data, frames) == as_written(written)
    assert all(earlier.after == later.before for earlier, later in pairwise(frames))


def test_a_file_cut_off_at_any_byte_keeps_every_whole_frame() -> None:
    data, frames, _ = file_of((1, 2), (3,), (1, 1, 1))
    for size in range(len(data)):
        found, end = scan(data[:size], last=True)
        assert found == [frame for frame in frames if frame.end <= size]
        assert end == (found[-1].end if found else 0)


def test_only_the_last_file_may_end_in_a_torn_frame() -> None:
    data, frames, _ = file_of((1,), (2,))
    for size in range(len(data)):
        if size in (0, frames[0].end):
            continue
        with pytest.raises(Damage):
            scan(data[:size], last=False)


@pytest.mark.parametrize("last", [True, False])
def test_a_changed_byte_is_damage_wherever_it_is(last: bool) -> None:
    data, _, _ = file_of((1, 2), (3,), (1, 1))
    for place in range(len(data)):
        for bit in (0x01, 0x80, 0xFF):
            changed = bytearray(data)
            changed[place] ^= bit
            with pytest.raises(Damage):
                scan(bytes(changed), last=last)


def test_frames_taken_out_doubled_or_swapped_are_damage() -> None:
    data, frames, _ = file_of((1,), (2,), (3,))
    first, second, third = (data[frame.offset : frame.end] for frame in frames)
    for wrong in (first + third, first + first + second + third, second + first + third, first + third + second):
        with pytest.raises(Damage, match="goes on after fact"):
            scan(wrong, last=True)


def test_sectors_that_were_never_written_are_a_torn_end_and_nothing_else() -> None:
    data, frames, _ = file_of((2,), (8, 8), reason="x" * 200)
    last = frames[1]
    for sector in range(last.offset // 512 + 1, last.end // 512):
        lost = data[: sector * 512] + bytes(512) + data[(sector + 1) * 512 :]
        assert scan(lost, last=True) == (frames[:1], frames[0].end)
        with pytest.raises(Damage):
            scan(lost, last=False)
        with pytest.raises(Damage):  # an end that is not the end
            scan(lost + data[: frames[0].end], last=True)
    zeros = data[: last.offset] + bytes(last.end - last.offset)
    assert scan(zeros, last=True) == (frames[:1], frames[0].end)


def test_a_frame_that_was_forged_with_sound_checksums_still_has_to_lead_to_its_hash() -> None:
    _, frames, written = file_of((3,))
    forged = [Entry([written[0].rows[0]._replace(body="{}"), *written[0].rows[1:]], [], [], written[0].done)]
    data, frame = encode(forged, GENESIS)
    assert scan(data, last=True)[0] == [frame]
    with pytest.raises(Damage, match="does not lead to the hash of fact 3"):
        decode(data, frame)
    skipped = [Entry([written[0].rows[0], written[0].rows[2]], [], [], written[0].done)]
    data, frame = encode(skipped, GENESIS)
    with pytest.raises(Damage, match="holds fact 3 in the place of fact 2"):
        decode(data, frame)
    with pytest.raises(Damage, match="not what was written"):
        decode(data, frames[0]._replace(after=GENESIS))


def test_a_frame_ends_in_no_zero() -> None:
    """Else a lost last sector could be told from nothing."""
    assert 0 not in END
    assert HEADER > 0
