"""Facts in bulk: a file that `ledger export` wrote, or facts by the hundred thousand, into an empty or a continuing ledger.

Called by `ledger import` and the benchmarks. It holds the engine's lock, so no engine runs meanwhile; facts, links, keys
and the projections folded from them are one transaction: an import is whole or it never was. Every hash that comes along
is checked, and the first fact must follow the last that is there.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import msgspec
import psycopg

from engine.domain.canonical import decode_fact
from engine.domain.events import AnyFact
from engine.ports import Head, LedgerAway
from storage.database import Database
from storage.export import Format, format_of
from storage.rebuild import Fold, folded_rows
from storage.rows import Row, Tail, key_of, link, stored_text, symbol_of
from storage.writing import Writer, open_writer

BATCH = 5000
"""Facts that are written before their links and keys follow."""
SLICE = 50
"""Rows made at a time: the server is looked after in between."""
_PAGE = 5000


class ImportRefused(ValueError):
    """What was to be imported is not sound, or does not follow what is there. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    facts: int
    skipped: int
    """Facts of the file that the ledger had already."""
    head: Head
    projections: int
    """Projection rows there are now."""


Rows = Iterator[tuple[Row, str | None]]
"""Rows in order, each with the dedupe key it brings."""
_Source = Callable[[Head], Rows]
"""Given where the ledger ends."""


async def import_file(database: Database, path: Path, fold: Fold) -> Imported:
    """The facts of an exported file. Those the ledger has already must be the same there and are skipped.

    Raises `ImportRefused` for a file that is not sound or does not follow, `ValueError` for an ending that is no format,
    `EngineRunning` while an engine runs, `LedgerAway` without the database.
    """
    format_of(path)
    skipped = 0

    def rows(head: Head) -> Rows:
        nonlocal skipped
        last, digest = 0, bytes(32)
        for seq, stored, previous, body in _lines(path):
            if last == 0 and seq <= head.seq + 1:
                last, digest = seq - 1, previous
            if seq != last + 1:
                raise ImportRefused(f"{path.name}: fact {seq} comes after fact {last or head.seq}")
            if previous != digest or link(previous, body) != stored:
                raise ImportRefused(f"{path.name}: fact {seq} was changed, or does not follow the fact before it")
            last, digest = seq, stored
            if seq <= head.seq:
                skipped += 1
                if seq == head.seq and stored != head.hash:
                    raise ImportRefused(f"{path.name}: its fact {seq} is another than the ledger's last")
                continue
            if seq == head.seq + 1 and previous != head.hash:
                raise ImportRefused(f"{path.name}: its fact {seq} does not follow the ledger's fact {head.seq}")
            yield _row(path, seq, body, stored, previous)
        if 0 < last < head.seq:
            raise ImportRefused(f"{path.name}: ends with fact {last}; the ledger is at fact {head.seq} already")

    facts, head, projections = await _import(database, rows, fold)
    return Imported(facts, skipped, head, projections)


async def import_facts(
    database: Database, steps: Iterable[tuple[Sequence[AnyFact], Mapping[str, int]]], fold: Fold
) -> Imported:
    """Facts that were never in a ledger, with the keys they bring: chained here, numbered on from what is there.

    Raises `ImportRefused` when they do not follow, `EngineRunning` while an engine runs, `LedgerAway` without the
    database.
    """

    def rows(head: Head) -> Rows:
        tail = Tail(head)
        for facts, keys in steps:
            named = {seq: stored_text(key) for key, seq in keys.items()}
            try:
                chained = tail.chain(facts)
            except ValueError as error:
                raise ImportRefused(str(error)) from error
            for row in chained:
                yield row, named.get(row.seq)

    facts, head, projections = await _import(database, rows, fold)
    return Imported(facts, 0, head, projections)


def _row(path: Path, seq: int, body: bytes, stored: bytes, previous: bytes) -> tuple[Row, str | None]:
    try:
        fact = decode_fact(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImportRefused(f"{path.name}: fact {seq} cannot be read: {error}") from error
    if fact.seq != seq:
        raise ImportRefused(f"{path.name}: fact {seq} calls itself {fact.seq}")
    key = key_of(fact)
    row = Row(seq, fact.at, fact.kind, fact.cause, symbol_of(fact), body.decode(), stored, previous)
    return row, None if key is None else stored_text(key)


# --- into the database ------------------------------------------------------------------------------------------------


async def _import(database: Database, rows: _Source, fold: Fold) -> tuple[int, Head, int]:
    try:
        writer = await open_writer(database.app)
        try:
            async with writer.connection.transaction():
                count, head = await _copy_all(writer, rows(writer.head))
                projections = await _project(writer, fold)
        finally:
            await writer.close()
    except psycopg.OperationalError as error:
        raise LedgerAway(f"the database is away: {error}") from error
    except psycopg.errors.UniqueViolation as error:
        raise ImportRefused(f"something in it is in the ledger already: {error}") from error
    return count, head, projections


class _Slice(NamedTuple):
    """A few rows as three tables take them."""

    rows: int
    head: Head
    months: Sequence[datetime]
    """A moment of each month they belong to."""
    ledger: bytes
    chain: bytes
    dedupe: bytes


async def _copy_all(writer: Writer, rows: Rows) -> tuple[int, Head]:
    """Write them batch by batch; rows are made while the server works on those before."""
    made: asyncio.Queue[_Slice | None] = asyncio.Queue(maxsize=2 * BATCH // SLICE)
    making = asyncio.create_task(_make(rows, made), name="rows to import")
    head, count = writer.head, 0
    try:
        following = await made.get()
        while following is not None:
            for moment in following.months:
                await writer.prepare_months(moment)
            batch, following = await _copy_batch(writer, following, made)
            head, count = batch[-1].head, count + sum(one.rows for one in batch)
            await _copy(writer, _CHAIN_TABLE, b"".join([one.chain for one in batch]))
            await _copy(writer, _DEDUPE_TABLE, b"".join([one.dedupe for one in batch]))
        await making
    finally:
        making.cancel()
        await asyncio.wait([making])
    return count, head


async def _copy_batch(
    writer: Writer, first: _Slice, made: asyncio.Queue[_Slice | None]
) -> tuple[list[_Slice], _Slice | None]:
    """Facts into the ledger, up to `BATCH` or a month that may have no partition yet; and the slice that follows."""
    batch, following = [first], await made.get()
    async with writer.connection.cursor().copy(_COPY.format(_LEDGER_TABLE).encode()) as copy:
        await copy.write(_SIGNATURE + first.ledger)
        months = {(month.year, month.month) for month in first.months}
        while (
            following is not None
            and len(batch) * SLICE < BATCH
            and all((month.year, month.month) in months for month in following.months)
        ):
            await copy.write(following.ledger)
            batch.append(following)
            following = await made.get()
        await copy.write(_END)
    return batch, following


async def _make(rows: Rows, made: asyncio.Queue[_Slice | None]) -> None:
    """Rows as bytes. Always ends with None, also after an error, so that nobody waits for more."""
    try:
        while part := list(islice(rows, SLICE)):
            last = part[-1][0]
            await made.put(
                _Slice(
                    rows=len(part),
                    head=Head(seq=last.seq, hash=last.hash, at=last.at),
                    months=list({(row.at.year, row.at.month): row.at for row, _ in part}.values()),
                    ledger=b"".join([_ledger_row(row) for row, _ in part]),
                    chain=b"".join([_CHAIN(3, 8, row.seq, 32, row.prev_hash, 32, row.hash) for row, _ in part]),
                    dedupe=b"".join([_dedupe_row(key, row.seq) for row, key in part if key is not None]),
                )
            )
            await asyncio.sleep(0)
    except Exception:
        await made.put(None)
        raise
    await made.put(None)


async def _project(writer: Writer, fold: Fold) -> int:
    """Fold everything, what was there before as well, and put the rows in place of the old ones."""

    async def pages() -> AsyncIterator[list[Row]]:
        async with writer.connection.cursor(name="fold") as cursor:
            await cursor.execute(
                "SELECT seq, at, kind, cause, symbol, body, hash, prev_hash FROM strikedesk.ledger ORDER BY seq"
            )
            while page := await cursor.fetchmany(_PAGE):
                yield [Row(*row) for row in page]

    _, folded = await folded_rows(pages(), fold)
    await writer.replace_projections(list(folded.values()))
    return len(folded)


# --- files ------------------------------------------------------------------------------------------------------------

_Line = tuple[int, bytes, bytes, bytes]
"""A fact in a file: seq, hash, hash of its predecessor, canonical bytes."""


class _Json(msgspec.Struct):
    seq: int
    hash: str
    prev_hash: str
    fact: msgspec.Raw


def _jsonl(path: Path) -> Iterator[_Line]:
    decode = msgspec.json.Decoder(_Json).decode
    with path.open("rb") as file:
        for line in file:
            found = decode(line)
            yield found.seq, bytes.fromhex(found.hash), bytes.fromhex(found.prev_hash), bytes(found.fact)


def _csv(path: Path) -> Iterator[_Line]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, strict=True):
            yield int(row["seq"]), bytes.fromhex(row["hash"]), bytes.fromhex(row["prev_hash"]), row["body"].encode()


def _parquet(path: Path) -> Iterator[_Line]:
    import pyarrow.parquet as pq  # heavy, and only needed here

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=["seq", "hash", "prev_hash", "body"]):
            for seq, digest, previous, body in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield seq, bytes.fromhex(digest), bytes.fromhex(previous), body.encode()


_READERS = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.PARQUET: _parquet}


def _lines(path: Path) -> Iterator[_Line]:
    """What the file says, fact by fact. Raises `ImportRefused` for a file that is no export."""
    read = _READERS[format_of(path)]
    seq = 0
    try:
        for line in read(path):
            yield line
            seq = line[0]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error, OSError) as error:
        raise ImportRefused(f"{path.name}: cannot be read after fact {seq}: {error}") from error


# --- rows as COPY takes them ------------------------------------------------------------------------------------------

_COPY = "COPY strikedesk.{} FROM STDIN (FORMAT BINARY)"
_LEDGER_TABLE = "ledger (seq, at, kind, cause, symbol, body, hash, prev_hash)"
_CHAIN_TABLE = "chain (seq, prev_hash, hash)"
_DEDUPE_TABLE = "dedupe (key, seq)"
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BEGIN = Struct(">hiqiq").pack
_LENGTH = Struct(">i").pack
_NUMBER = Struct(">iq").pack
_CHAIN = Struct(">hiqi32si32s").pack
_HASHES = Struct(">i32si32s").pack


async def _copy(writer: Writer, target: str, rows: bytes) -> None:
    async with writer.connection.cursor().copy(_COPY.format(target).encode()) as copy:
        await copy.write(_SIGNATURE + rows + _END)


def _ledger_row(row: Row) -> bytes:
    text = row.body.encode()
    return b"".join(
        (
            _BEGIN(8, 8, row.seq, 8, (row.at - _EPOCH) // _MICROSECOND),
            _text(row.kind),
            _NULL if row.cause is None else _NUMBER(8, row.cause),
            _NULL if row.symbol is None else _text(row.symbol),
            _LENGTH(len(text)),
            text,
            _HASHES(32, row.hash, 32, row.prev_hash),
        )
    )


def _dedupe_row(key: str, seq: int) -> bytes:
    return b"\0\2" + _text(key) + _NUMBER(8, seq)


def _text(value: str) -> bytes:
    data = value.encode()
    return _LENGTH(len(data)) + data
