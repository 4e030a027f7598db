"""How appends lie in a spool file: frames, each whole or not at all. Pure: bytes in, values out. Called by `spool`.

One frame is what one fsync made durable: some appends, their facts, projection rows and keys. Its header says which part
of the chain it holds; checksums guard header and contents, the chain's own hashes the facts. A frame that was cut off
can only be the last one and was never acknowledged: it is torn, and dropped. Anything else that does not fit is damage,
and is said.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from storage.rows import Entry, Row, StoredChange, link

MAGIC = b"SDS1"
END = b"\xf5end"
"""Closes a frame: its last sector is never empty, so that one which was not written shows."""
_HEADER = struct.Struct("<4sIIIq32sq32s")
_CHECK = struct.Struct("<I")
HEADER = _HEADER.size + _CHECK.size
_SECTOR = 512
"""What a disk writes as a whole; what it did not write after a power cut reads as zeros."""


class Place(NamedTuple):
    """A point of the chain: the fact and its hash."""

    seq: int
    hash: bytes


class Frame(NamedTuple):
    """One frame of a file: where it lies, and from where to where it takes the chain."""

    offset: int
    end: int
    facts: int
    before: Place
    after: Place


class Kept(NamedTuple):
    """One append, as it was kept."""

    rows: list[Row]
    changes: list[StoredChange]
    keys: list[tuple[str, int]]


class Damage(Exception):
    """A file holds what nobody wrote there. `offset` is where."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset


_Fact = tuple[int, datetime, str, int | None, str | None, str]
"""A row without its hashes: they follow from the ones before."""
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[
    list[tuple[list[_Fact], list[tuple[str, str, int, int, str | None]], list[tuple[str, int]]]]
]
_decoder = msgspec.msgpack.Decoder(
    list[tuple[list[_Fact], list[tuple[str, str, int, int, str | None]], list[tuple[str, int]]]]
)


def encode(entries: Sequence[Entry], before: Place, offset: int = 0) -> tuple[bytes, Frame]:
    """These appends, which follow `before`, as a frame that will lie at `offset`."""
    contents = _encoder.encode([([row[:6] for row in one.rows], one.changes, one.keys) for one in entries])
    rows = [row for entry in entries for row in entry.rows]
    after = Place(rows[-1].seq, rows[-1].hash) if rows else before
    head = _HEADER.pack(MAGIC, len(contents), crc32(contents), len(rows), *before, *after)
    data = b"".join((head, _CHECK.pack(crc32(head)), contents, END))
    return data, Frame(offset, offset + len(data), len(rows), before, after)


def decode(data: bytes | memoryview, frame: Frame) -> list[Kept]:
    """The appends of a frame; `data` is the frame's own bytes. Raises `Damage` when they are not what was written."""
    found, contents = _header(data, 0), bytes(data[HEADER : -len(END)])
    if found is None or found[0] != frame.before or found[1] != frame.after or crc32(contents) != found[3]:
        raise Damage(frame.offset, "is not what was written there")
    digest, seq = frame.before.hash, frame.before.seq
    kept = []
    for facts, changes, keys in _decoder.decode(contents):
        rows = []
        for fact in facts:
            seq, before = seq + 1, digest
            digest = link(before, fact[5].encode())
            if fact[0] != seq:
                raise Damage(frame.offset, f"holds fact {fact[0]} in the place of fact {seq}")
            rows.append(Row(*fact, digest, before))
        kept.append(Kept(rows, [StoredChange(*change) for change in changes], keys))
    if (seq, digest) != frame.after:
        raise Damage(frame.offset, f"does not lead to the hash of fact {frame.after.seq}")
    return kept


def scan(data: bytes, *, last: bool) -> tuple[list[Frame], int]:
    """The frames of a file and where the last whole one ends. Only the `last` file may end in a torn frame.

    Raises `Damage` for anything else: a changed byte, a frame that does not follow the one before it, something after
    a torn frame.
    """
    frames: list[Frame] = []
    offset = 0
    while offset < len(data):
        frame = _frame_at(data, offset, last=last)
        if frame is None:
            break
        if frames and frame.before != frames[-1].after:
            raise Damage(offset, f"goes on after fact {frame.before.seq}, not after fact {frames[-1].after.seq}")
        frames.append(frame)
        offset = frame.end
    return frames, offset


def _frame_at(data: bytes, offset: int, *, last: bool) -> Frame | None:
    """The whole frame that begins here; None for a torn one."""
    header = _header(data, offset)
    if header is None:
        torn = len(data) - offset < HEADER or _unwritten(data, offset, len(data))
        if last and torn and not _header_after(data, offset):
            return None
        raise Damage(offset, "has no readable beginning")
    before, after, length, check, facts = header
    end = offset + HEADER + length + len(END)
    if len(data) < end:
        if last:
            return None
        raise Damage(offset, "was cut off")
    contents = memoryview(data)[offset + HEADER : end - len(END)]
    if crc32(contents) != check or data[end - len(END) : end] != END:
        if last and len(data) == end and _unwritten(data, offset, end):
            return None
        raise Damage(offset, "was changed after it was written")
    return Frame(offset, end, facts, before, after)


def _header(data: bytes | memoryview, offset: int) -> tuple[Place, Place, int, int, int] | None:
    """Before, after, length, checksum and facts of the header here; None where there is no sound one."""
    if len(data) - offset < HEADER:
        return None
    head = bytes(data[offset : offset + _HEADER.size])
    fields: tuple[Any, ...] = _HEADER.unpack(head)
    if fields[0] != MAGIC or _CHECK.unpack_from(data, offset + _HEADER.size)[0] != crc32(head):
        return None
    _, length, check, facts, seq, digest, last_seq, last_digest = fields
    return Place(seq, digest), Place(last_seq, last_digest), length, check, facts


def _header_after(data: bytes, offset: int) -> bool:
    """Whether a sound header follows: then what is here is not the end."""
    while (offset := data.find(MAGIC, offset + 1)) >= 0:
        if _header(data, offset) is not None:
            return True
    return False


def _unwritten(data: bytes, start: int, end: int) -> bool:
    """Whether a sector of this stretch, or its part of one, was never written."""
    while start < end:
        stop = min(start - start % _SECTOR + _SECTOR, end)
        if not any(data[start:stop]):
            return True
        start = stop
    return False
