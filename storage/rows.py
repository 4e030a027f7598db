"""From facts to rows: canonical text, hash chain, and the checks that keep a wrong append out of the ledger.

Used by every ledger (`ledger`, `memory`) and by those who read rows back (`verify`, `export`). Pure: no database, no clock.
`Tail` is where the chain grows: what it accepts is in order for good, so nothing is checked twice.
"""

from __future__ import annotations

import re
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from engine.domain import events as ev
from engine.domain.canonical import canonical
from engine.domain.events import AnyFact
from engine.ports import Change, Head

GENESIS = bytes(32)
NOTHING = Head(seq=0, hash=GENESIS, at=None)
MAX_KEY = 1024
"""Bytes of a key as stored. Postgres cannot index longer ones; a sender's text belongs hashed into a key."""


class Row(NamedTuple):
    """One fact as the ledger stores it."""

    seq: int
    at: datetime
    kind: str
    cause: int | None
    symbol: str | None
    body: str
    hash: bytes
    prev_hash: bytes


class StoredChange(NamedTuple):
    """One projection row as stored: last changed by fact `seq`, as the `place`-th change of its append."""

    kind: str
    key: str
    seq: int
    place: int
    body: str | None


@dataclass(slots=True)
class Entry:
    """One append, checked and chained, on its way into the ledger."""

    rows: list[Row]
    changes: list[StoredChange]
    keys: list[tuple[str, int]]
    done: Future[None]


def link(prev_hash: bytes, body: bytes) -> bytes:
    """The hash of a fact: SHA-256 over its predecessor's hash and its canonical bytes."""
    return sha256(prev_hash + body).digest()


def row_of(fact: AnyFact, prev_hash: bytes) -> Row:
    body = canonical(fact)
    digest = link(prev_hash, body)
    return Row(fact.seq, fact.at, fact.kind, fact.cause, symbol_of(fact), body.decode(), digest, prev_hash)


class Tail:
    """The end of the chain, including what is queued and not yet durable."""

    def __init__(self, head: Head) -> None:
        self.seq = head.seq
        self.hash = head.hash

    def extend(
        self, facts: Sequence[AnyFact], changes: Sequence[Change], keys: Mapping[str, int], done: Future[None]
    ) -> Entry:
        """Check and chain one append. Raises `ValueError` and changes nothing when it does not fit."""
        seq, digest = self.seq, self.hash
        rows = []
        for fact in facts:
            seq += 1
            if fact.seq != seq:
                raise ValueError(f"{fact.kind} {fact.seq} does not follow fact {seq - 1}")
            if fact.cause is not None and not 0 < fact.cause < seq:
                raise ValueError(f"{fact.kind} {seq} names fact {fact.cause} as its cause, which is not before it")
            if fact.at.tzinfo is None:
                raise ValueError(f"{fact.kind} {seq} has a time without a zone")
            row = row_of(fact, digest)
            digest = row.hash
            rows.append(row)
        if (changes or keys) and not facts:
            raise ValueError("projections and keys change by facts only")
        stored = [
            StoredChange(stored_text(change.kind), stored_text(change.key), seq, place, _body_text(change))
            for place, change in enumerate(changes)
        ]
        for key, of in keys.items():
            if not 0 < of <= seq:
                raise ValueError(f"key {key!r} names fact {of}, which is not there")
        pairs = [(stored_text(key), of) for key, of in keys.items()]
        self._advance(rows)
        return Entry(rows, stored, pairs, done)

    def chain(self, facts: Sequence[AnyFact]) -> list[Row]:
        """Facts without projections, checked and chained. Raises `ValueError` and changes nothing when they do not fit."""
        rows = self._chained(facts)
        self._advance(rows)
        return rows

    def _chained(self, facts: Sequence[AnyFact]) -> list[Row]:
        seq, digest = self.seq, self.hash
        rows = []
        for fact in facts:
            seq += 1
            if fact.seq != seq:
                raise ValueError(f"{fact.kind} {fact.seq} does not follow fact {seq - 1}")
            if fact.cause is not None and not 0 < fact.cause < seq:
                raise ValueError(f"{fact.kind} {seq} names fact {fact.cause} as its cause, which is not before it")
            if fact.at.tzinfo is None:
                raise ValueError(f"{fact.kind} {seq} has a time without a zone")
            row = row_of(fact, digest)
            digest = row.hash
            rows.append(row)
        return rows

    def _advance(self, rows: Sequence[Row]) -> None:
        if rows:
            self.seq, self.hash = rows[-1].seq, rows[-1].hash


def _body_text(change: Change) -> str | None:
    if change.body is None:
        return None
    text = change.body.decode()
    if "\0" in text:
        raise ValueError(f"row {change.kind} {change.key!r} holds a NUL: not canonical")
    return text


# --- text that a database can hold ----------------------------------------------------------------------------------

_UNSTORABLE = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(\\|u[0-9a-f]{4})")


def stored_text(text: str) -> str:
    """A key as stored. Postgres holds neither NUL nor lone surrogates, so they and `\\` are escaped; undone by
    `plain_text`. Raises `ValueError` for a key too long to be indexed."""
    if _UNSTORABLE.search(text):
        text = _UNSTORABLE.sub(lambda found: "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}", text)
    if len(text) > MAX_KEY // 4 and len(text.encode()) > MAX_KEY:
        raise ValueError(f"key of {len(text)} characters is too long: {text[:60]!r}…")
    return text


def plain_text(text: str) -> str:
    """The key that was stored."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: "\\" if found[1] == "\\" else chr(int(found[1][1:], 16)), text)


# --- what a fact brings and is about -------------------------------------------------------------------------------------------

ACCEPTED = (ev.SignalReceived, ev.PhaseReceived, ev.TrendReceived, ev.ExitNoticeReceived)


def key_of(fact: AnyFact) -> str | None:
    """The dedupe key a fact brings: only accepted receipts do."""
    return key_from(fact.receipt.key, fact.seq) if isinstance(fact, ACCEPTED) else None


def key_from(key: str, seq: int) -> str:
    """A receipt's key as the ledger's. A body without a time of its own may come again later: its key, which is its
    digest, names its place too."""
    return f"{key}@{seq}" if key.startswith("sha256:") else key


HOLDERS = ("signal", "phase", "trend", "notice", "active", "ticket", "contract")


def symbol_of(fact: AnyFact) -> str | None:
    """The underlying a fact is about, where it names one: for finding a symbol's facts, not part of the hash."""
    found = _symbol_getter(type(fact))(fact)
    return stored_symbol(found) if isinstance(found, str) else None


def stored_symbol(text: str) -> str | None:
    """A symbol as its column holds it: a sender's text may be anything."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)[:64] or None


@cache
def _symbol_getter(cls: type[Any]) -> Callable[[Any], object]:
    """Reads the symbol of one class of facts: its own field, or that of the first part that has one."""
    fields = {field.name: field.type for field in msgspec.structs.fields(cls)}
    if fields.get("symbol") is str:
        return lambda fact: fact.symbol
    for holder in HOLDERS:
        held = fields.get(holder)
        if isinstance(held, type) and issubclass(held, msgspec.Struct):
            inner = _symbol_getter(held)
            return lambda fact: inner(getattr(fact, holder))
    return lambda fact: None
