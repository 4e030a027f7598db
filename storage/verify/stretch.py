"""Sees in a few microseconds a fact whether a stretch of the ledger is as it must be. Pure: it is handed the rows.

Called by `walk` with what the server sends. Nothing here may be lenient: whatever is not exactly what this program writes
makes the stretch unsound, and `faults` then says why.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

import msgspec

from storage.rows import key_from, stored_symbol, stored_text
from storage.verify.headers import READERS

FACTS = """COPY (
    SELECT seq, prev_hash, hash, at,
           ((cause IS NULL)::int + 2 * (symbol IS NULL)::int)::int2, coalesce(cause, 0), kind, coalesce(symbol, ''), body
    FROM strikedesk.ledger WHERE seq > {after} AND seq <= {until} ORDER BY seq
) TO STDOUT (FORMAT BINARY)"""
# The links of a stretch as one value, in the very bytes in which the facts bring theirs: compared at once.
LINKS = """
SELECT string_agg('\\x00000008'::bytea || int8send(seq) || '\\x00000020'::bytea || prev_hash || '\\x00000020'::bytea || hash,
                  '' ORDER BY seq)
FROM strikedesk.chain WHERE seq > %s AND seq <= %s"""
_FIXED = struct.Struct(">hiqi32si32siqihiqi")
"""The first six columns with their lengths, and the length of `kind`."""
_LENGTHS = (9, 8, 32, 32, 8, 2, 8)
_LENGTH = struct.Struct(">i").unpack_from
_LINK = slice(2, 2 + 84)
"""Where a fact's number and hashes stand."""
_SINCE_2000 = round((datetime(2000, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


class Stretch(NamedTuple):
    """What a sound stretch says."""

    after: int
    links: list[bytes]
    """Number and hashes of each fact, in the bytes in which the chain must have them."""
    keys: list[tuple[str, int]]
    """The dedupe keys there must be, as stored."""
    hash: bytes
    at: datetime
    """Of the last fact."""

    def hash_of(self, seq: int) -> bytes:
        return self.links[seq - self.after - 1][-32:]


def sound(rows: Iterable[bytes], after: int, digest: bytes) -> Stretch | None:
    """The stretch of these rows (of `FACTS`), which must follow fact `after` with this hash; None when anything in it is
    not as it must be, or nothing is in it."""
    seq = after
    links: list[bytes] = []
    keys: list[tuple[str, int]] = []
    symbols: dict[str, bytes] = {}
    at = 0
    for data in rows:
        seq += 1
        try:
            (
                columns, of_seq, found, of_prev, previous, of_hash, stored, of_at, at,
                of_flags, flags, of_cause, cause, of_kind,
            ) = _FIXED.unpack_from(data)  # fmt: skip
            begin = _FIXED.size + of_kind
            reader = READERS[data[_FIXED.size : begin]]
            begin += 4
            end = begin + _LENGTH(data, begin - 4)[0]
            symbol, body = data[begin:end], data[end + 4 :]
            header = reader.decode(body)
            said = reader.symbol(header) if reader.symbol is not None else ""
            if said not in symbols:
                symbols[said] = (stored_symbol(said) or "").encode()
            if (
                previous != digest
                or sha256(previous + body).digest() != stored
                or found != seq
                or header.seq != seq
                or header.fact != reader.kind
                or (header.cause or 0) != cause
                or (header.cause is None) + 2 * (not symbols[said]) != flags
                or symbols[said] != symbol
                or header.at.timestamp() != (at + _SINCE_2000) / 1_000_000
                or (columns, of_seq, of_prev, of_hash, of_at, of_flags, of_cause) != _LENGTHS
                or _LENGTH(data, end)[0] != len(body)
            ):
                return None
            if reader.key:
                keys.append((stored_text(key_from(header.receipt.key, seq)), seq))
        except (struct.error, KeyError, ValueError, OverflowError, msgspec.DecodeError):
            return None
        digest = stored
        links.append(data[_LINK])
    if not links:
        return None
    return Stretch(after, links, keys, digest, datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=at))
