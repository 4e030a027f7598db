"""The ledger as a file: CSV, JSON lines or Parquet, for people and programs that read it elsewhere.

Called by `ledger export` and the app. Facts are streamed in pages, so a file may be larger than memory; it appears under
its name only when it is whole. Hashes come along (hexadecimal), so that the file can be checked without us.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from engine.domain.canonical import time_text
from engine.domain.findable import EVERYTHING, Question
from storage import reading
from storage.database import Database
from storage.queries import find_all
from storage.rows import Row

COLUMNS = ("seq", "at", "kind", "cause", "symbol", "body", "hash", "prev_hash")
_ROW_GROUP = 20_000

Write = Callable[[Sequence[Row]], None]


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


async def export(
    database: Database,
    path: Path,
    form: Format | None = None,
    *,
    after: int = 0,
    until: int | None = None,
    question: Question = EVERYTHING,
) -> int:
    """Write the facts with after < seq <= until, or those that answer a question, to `path` and return how many. The
    format follows from the file's ending unless given. Raises `ValueError` for an ending that is none of them, `LedgerAway` without the database."""
    form = form or format_of(path)
    partial = path.with_name(path.name + ".part")
    count = 0
    try:
        with _WRITERS[form](partial) as write:
            everything = question.everything
            pages = reading.pages(database.engine, after, until) if everything else find_all(database.engine, question)
            async for page in pages:
                write(page)
                count += len(page)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def format_of(path: Path) -> Format:
    """The format a file's ending asks for."""
    ending = path.suffix.lower().lstrip(".")
    try:
        return Format({"json": "jsonl", "ndjson": "jsonl"}.get(ending, ending))
    except ValueError:
        raise ValueError(f"{path.name}: the file must end in .csv, .jsonl or .parquet") from None


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    """Lines as the csv module writes them. It looks at each character of a body in turn, which takes ten times as long."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\r\n")

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                cause = "" if row.cause is None else row.cause
                symbol = "" if row.symbol is None else _field(row.symbol)
                body = row.body.replace('"', '""')
                file.write(
                    f'{row.seq},{time_text(row.at)},{row.kind},{cause},{symbol},"{body}",'
                    f"{row.hash.hex()},{row.prev_hash.hex()}\r\n"
                )

        yield write


def _field(text: str) -> str:
    """A field that may hold anything, quoted where it must be."""
    if any(sign in text for sign in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


@contextmanager
def _jsonl(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                # The text of the fact goes in as it is: it is what was hashed.
                beside = json.dumps({"seq": row.seq, "hash": row.hash.hex(), "prev_hash": row.prev_hash.hex()})
                file.write(f'{beside[:-1]}, "fact": {row.body}}}\n')

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa  # heavy, and only needed here
    import pyarrow.parquet as pq

    kinds = {"seq": pa.int64(), "cause": pa.int64(), "at": pa.timestamp("us", tz="UTC")}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    waiting: list[Row] = []

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            columns = zip(*((*row[:6], row.hash.hex(), row.prev_hash.hex()) for row in waiting), strict=True)
            writer.write_table(
                pa.table([pa.array(column, kind.type) for column, kind in zip(columns, schema, strict=True)], schema)
            )
            waiting.clear()

        def write(rows: Sequence[Row]) -> None:
            waiting.extend(rows)
            if len(waiting) >= _ROW_GROUP:
                flush()

        yield write
        if waiting:
            flush()


_WRITERS = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.PARQUET: _parquet}
