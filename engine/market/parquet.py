"""Reads a recorded day's Parquet files into plain arrays, and says which file and column is wrong when one is.

Called by the recorded market only. Every bar row is checked once, here; nothing later has to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.chain import FloatArray
from engine.domain.values import OptionContract, Right, Style

KINDS = (
    "option_quote_1m",
    "option_trade_1m",
    "underlying_quote_1m",
    "underlying_trade_1m",
    "underlying_index_1m",
)
_NAME = re.compile(r"(?:(?P<stem>.+)_)?(?P<kind>" + "|".join(KINDS) + r")\.parquet\Z")
_KEY = ("root", "expiry", "right", "strike", "style")
_DAY_KEY = np.int64(1_000_000_000)


class RecordingError(ValueError):
    """A recorded day that is missing or malformed; the message names the file, and the column where there is one."""


@dataclass(frozen=True, slots=True)
class BarFile:
    """One file's columns. `start`: seconds since the epoch at which each one-minute bar begins, sorted."""

    path: Path
    start: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    contracts: tuple[OptionContract, ...] = ()
    contract: NDArray[np.int64] | None = None
    """Index into `contracts`, one per row; None for an underlying."""

    def __len__(self) -> int:
        return len(self.start)

    def roots(self) -> dict[str, BarFile]:
        """An option file as one per root: most hold one."""
        assert self.contract is not None
        roots = sorted({one.symbol for one in self.contracts})
        if len(roots) == 1:
            return {roots[0]: self}
        found = {}
        for root in roots:
            mine = np.array([one.symbol == root for one in self.contracts])
            rows = mine[self.contract]
            columns = {name: column[rows] for name, column in self.columns.items()}
            found[root] = BarFile(self.path, self.start[rows], columns, self.contracts, self.contract[rows])
        return found


def recorded_files(place: Path) -> dict[str, dict[str, Path]]:
    """The recording's files by stem (`GOOG_20151224`) and kind. `place`: a folder, or a prefix of files in one."""
    folder, prefix = (place, "") if place.is_dir() else (place.parent, place.name)
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("*.parquet")) if folder.is_dir() else ():
        match = _NAME.match(path.name)
        if match is None:
            continue
        stem = match["stem"] or ""
        if not prefix or stem == prefix:
            found.setdefault(stem, {})[match["kind"]] = path
    if not found:
        raise RecordingError(f"{place}: no recorded day here (files named like SPY_20230803_{KINDS[0]}.parquet)")
    return found


def read_quotes(path: Path, *, options: bool) -> BarFile:
    """One-minute quote bars: opening and closing bid and ask in dollars (NaN = no such side), closing sizes."""
    names = ("bid_o", "bid_c", "ask_o", "ask_c")
    sizes = ("bid_sz", "ask_sz")
    raw = _read(path, ("ts_utc", *names, *sizes, *(_KEY if options else ())))
    columns: dict[str, NDArray[Any]] = {name: _prices(raw, path, name, nullable=True) for name in names}
    columns |= {name: _counts(raw, path, name) for name in sizes}
    return _table(raw, path, columns, options=options)


def read_trades(path: Path, *, options: bool) -> BarFile:
    """One-minute trade bars: open, high, low, close in dollars, and volume."""
    names = ("open", "high", "low", "close")
    raw = _read(path, ("ts_utc", *names, "volume", *(_KEY if options else ())))
    columns: dict[str, NDArray[Any]] = {name: _prices(raw, path, name, nullable=False) for name in names}
    columns["volume"] = _counts(raw, path, "volume")
    return _table(raw, path, columns, options=options)


def _read(path: Path, wanted: Sequence[str]) -> pa.Table:
    try:
        present = pq.read_schema(path).names
        missing = [name for name in wanted if name not in present]
        if missing:
            raise RecordingError(f"{path}: no column {missing[0]!r}")
        raw = pq.read_table(path, columns=list(wanted))
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    if not raw.num_rows:
        raise RecordingError(f"{path}: no rows")
    return raw


def _cast(raw: pa.Table, path: Path, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return raw[name].cast(kind)
    except pa.ArrowException as error:
        raise RecordingError(f"{path}: column {name!r} is {raw[name].type}, not {kind}") from error


def _filled(raw: pa.Table, path: Path, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    column = _cast(raw, path, name, kind)
    if column.null_count:
        raise RecordingError(f"{path}: column {name!r} is empty in {column.null_count} rows")
    return column


def _prices(raw: pa.Table, path: Path, name: str, *, nullable: bool) -> FloatArray:
    column = _cast(raw, path, name, pa.float64()) if nullable else _filled(raw, path, name, pa.float64())
    values: FloatArray = np.array(column.to_numpy(), dtype=np.float64)
    if bool(np.isinf(values).any()) or bool((values < 0).any()) or (not nullable and bool(np.isnan(values).any())):
        raise RecordingError(f"{path}: column {name!r} holds a value that is no price")
    return values


def _counts(raw: pa.Table, path: Path, name: str) -> NDArray[np.int64]:
    values: NDArray[np.int64] = _filled(raw, path, name, pa.int64()).to_numpy()
    if bool((values < 0).any()):
        raise RecordingError(f"{path}: column {name!r} holds a negative count")
    return values


def _table(raw: pa.Table, path: Path, columns: dict[str, NDArray[Any]], *, options: bool) -> BarFile:
    if not (pa.types.is_timestamp(raw["ts_utc"].type) and raw["ts_utc"].type.tz):
        raise RecordingError(f"{path}: column 'ts_utc' is {raw['ts_utc'].type}, not a time with a zone")
    micros: NDArray[np.int64] = _filled(raw, path, "ts_utc", pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    if bool((micros % 60_000_000).any()):
        raise RecordingError(f"{path}: column 'ts_utc' holds a time that is not the start of a minute")
    start = micros // 1_000_000
    contracts, contract = _contracts(raw, path) if options else ((), None)
    if bool((start[1:] < start[:-1]).any()):
        order = np.argsort(start, kind="stable")
        start = start[order]
        columns = {name: column[order] for name, column in columns.items()}
        contract = None if contract is None else contract[order]
    return BarFile(path=path, start=start, columns=columns, contracts=contracts, contract=contract)


def _coded(raw: pa.Table, path: Path, name: str) -> tuple[list[str], NDArray[np.int64]]:
    """A text column as its distinct values and each row's index into them."""
    column = _filled(raw, path, name, pa.string()) if not pa.types.is_dictionary(raw[name].type) else raw[name]
    if column.null_count:
        raise RecordingError(f"{path}: column {name!r} is empty in {column.null_count} rows")
    coded = pc.dictionary_encode(column).combine_chunks()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy().astype(np.int64)


def _contracts(raw: pa.Table, path: Path) -> tuple[tuple[OptionContract, ...], NDArray[np.int64]]:
    """The distinct contracts of an option file, and each row's index into them."""
    roots, root = _coded(raw, path, "root")
    rights, right = _coded(raw, path, "right")
    styles, style = _coded(raw, path, "style")
    for name, values, allowed in (("right", rights, Right), ("style", styles, Style)):
        wrong = [value for value in values if value not in {member.value for member in allowed}]
        if wrong:
            raise RecordingError(f"{path}: column {name!r} holds {wrong[0]!r}")
    if len(roots) * len(styles) > 1000:
        raise RecordingError(f"{path}: column 'root' holds {len(roots)} different roots")
    days = _filled(raw, path, "expiry", pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
    milli = np.round(_prices(raw, path, "strike", nullable=False) * 1000).astype(np.int64)
    if bool((milli <= 0).any()) or bool((milli >= _DAY_KEY).any()):
        raise RecordingError(f"{path}: column 'strike' holds a value that is no strike")
    key = (((root * len(styles) + style) * 100_000 + days) * 2 + right) * _DAY_KEY + milli
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    contracts = tuple(
        OptionContract(
            symbol=roots[root[row]],
            expiry=date.fromordinal(_EPOCH_DAY + int(days[row])),
            right=Right(rights[right[row]]),
            strike=_strike(int(milli[row])),
            style=Style(styles[style[row]]),
        )
        for row in first.tolist()
    )
    return contracts, index.astype(np.int64)


_EPOCH_DAY = datetime.fromtimestamp(0, UTC).date().toordinal()


def _strike(milli: int) -> Decimal:
    return Decimal(milli).scaleb(-3) if milli % 10 else Decimal(milli // 10).scaleb(-2)
