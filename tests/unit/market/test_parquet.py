from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.market.parquet import BarFile, RecordingError, read_quotes, read_trades, recorded_files

QUOTES = "TWX_20140605_option_quote_1m.parquet"


@pytest.fixture
def table(data: Path) -> pa.Table:
    return pq.read_table(data / "option_day" / QUOTES)


def put(name: str, make: Callable[[pa.Table], object]) -> Callable[[pa.Table], pa.Table]:
    """An edit that replaces one column."""

    def edit(table: pa.Table) -> pa.Table:
        return table.set_column(table.column_names.index(name), name, make(table))

    return edit


def first(name: str, value: object, kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    """An edit of one column's first value."""

    def make(table: pa.Table) -> object:
        column = table[name]
        plain = pa.string() if pa.types.is_dictionary(column.type) else column.type
        return pa.array([value, *column.to_pylist()[1:]], kind or plain)

    return put(name, make)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda table: table.drop_columns(["ask_o"]), "no column 'ask_o'"),
        (lambda table: table.drop_columns(["expiry"]), "no column 'expiry'"),
        (lambda table: table.slice(0, 0), "no rows"),
        (put("bid_c", lambda table: pa.array(["cheap"] * table.num_rows)), "column 'bid_c' is string, not double"),
        (put("ts_utc", lambda table: pa.array(range(table.num_rows))), "column 'ts_utc' is int64, not a time"),
        (first("ts_utc", None), "column 'ts_utc' is empty in 1 rows"),
        (first("ts_utc", datetime(2014, 6, 5, 13, 30, 7, tzinfo=UTC)), "'ts_utc' holds a time that is not the start"),
        (first("bid_o", float("inf")), "column 'bid_o' holds a value that is no price"),
        (first("ask_c", -0.01), "column 'ask_c' holds a value that is no price"),
        (first("bid_sz", None), "column 'bid_sz' is empty in 1 rows"),
        (first("ask_sz", -4), "column 'ask_sz' holds a negative count"),
        (first("strike", float("nan")), "column 'strike' holds a value that is no price"),
        (first("strike", 0.0), "column 'strike' holds a value that is no strike"),
        (first("right", "X"), "column 'right' holds 'X'"),
        (first("right", None), "column 'right' is empty in 1 rows"),
        (first("style", "bermudan"), "column 'style' holds 'bermudan'"),
        (first("root", None), "column 'root' is empty in 1 rows"),
        (first("expiry", None), "column 'expiry' is empty in 1 rows"),
    ],
)
def test_a_malformed_file_is_named_with_its_column(
    table: pa.Table, tmp_path: Path, edit: Callable[[pa.Table], pa.Table], complaint: str
) -> None:
    path = tmp_path / QUOTES
    pq.write_table(edit(table), path)
    with pytest.raises(RecordingError, match=complaint) as error:
        read_quotes(path, options=True)
    assert str(error.value).startswith(f"{path}: ")


def test_an_empty_text_of_another_encoding_is_refused_too(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / QUOTES
    coded = put("right", lambda one: pa.array([None, *one["right"].to_pylist()[1:]], pa.string()).dictionary_encode())
    pq.write_table(coded(table), path)
    with pytest.raises(RecordingError, match="column 'right' is empty in 1 rows"):
        read_quotes(path, options=True)


def test_too_many_roots_are_refused(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / QUOTES
    pq.write_table(put("root", lambda one: pa.array([f"R{n}" for n in range(one.num_rows)]))(table), path)
    with pytest.raises(RecordingError, match="column 'root' holds 30468 different roots"):
        read_quotes(path, options=True)


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / QUOTES
    path.write_text("ts_utc,bid")
    with pytest.raises(RecordingError, match="not a readable Parquet file"):
        read_quotes(path, options=True)


@pytest.mark.parametrize("place", ["nothing", "nothing/here", ""])
def test_a_place_without_a_recorded_day_is_an_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "notes.parquet").touch()
    with pytest.raises(RecordingError, match="no recorded day here"):
        recorded_files(tmp_path / place)


def test_a_prefix_chooses_exactly_one_day(data: Path) -> None:
    assert list(recorded_files(data / "option_day" / "SPX_20210104")) == ["SPX_20210104"]
    with pytest.raises(RecordingError):
        recorded_files(data / "option_day" / "SPX_2021")


def test_rows_in_any_order_are_put_in_order(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / QUOTES
    pq.write_table(table.take(list(range(table.num_rows))[::-1]), path)
    backwards = read_quotes(path, options=True)
    pq.write_table(table, path)
    straight = read_quotes(path, options=True)
    assert backwards.start.tolist() == straight.start.tolist()

    def rows(file: BarFile) -> list[tuple[int, str, int]]:
        assert file.contract is not None
        names = [file.contracts[index].osi for index in file.contract.tolist()]
        return sorted(zip(file.start.tolist(), names, file.columns["ask_sz"].tolist(), strict=True))

    assert rows(backwards) == rows(straight)


def test_several_roots_come_apart(data: Path, tmp_path: Path) -> None:
    folder = data / "option_day"
    both = [
        pq.read_table(folder / f"{name}_20210104_option_quote_1m.parquet").cast(
            pq.read_schema(folder / "SPX_20210104_option_quote_1m.parquet")
        )
        for name in ("SPX", "SPXW")
    ]
    path = tmp_path / "BOTH_20210104_option_quote_1m.parquet"
    pq.write_table(pa.concat_tables(both).unify_dictionaries(), path)
    parts = read_quotes(path, options=True).roots()
    assert {root: len(part) for root, part in parts.items()} == {"SPX": 2428, "SPXW": 4565}
    for root, part in parts.items():
        assert part.contract is not None
        assert {part.contracts[index].symbol for index in part.contract.tolist()} == {root}


def test_strikes_keep_their_tenths_of_a_cent(tmp_path: Path) -> None:
    path = tmp_path / "odd_option_trade_1m.parquet"
    start = datetime(2026, 11, 20, 15, tzinfo=UTC)
    pq.write_table(
        pa.table(
            {
                "ts_utc": pa.array([start, start + timedelta(minutes=1)], pa.timestamp("us", "UTC")),
                "root": ["ABC", "ABC"],
                "expiry": pa.array([date(2026, 12, 18)] * 2, pa.date32()),
                "right": ["C", "P"],
                "strike": [12.345, 12.5],
                "style": ["american", "american"],
                **{name: [1.0, 1.0] for name in ("open", "high", "low", "close")},
                "volume": [1, 2],
            }
        ),
        path,
    )
    contracts = read_trades(path, options=True).contracts
    assert sorted(contract.osi for contract in contracts) == ["ABC261218C00012345", "ABC261218P00012500"]
    assert sorted(str(contract.strike) for contract in contracts) == ["12.345", "12.50"]


def test_a_copy_of_real_files_is_read_as_they_are(data: Path, tmp_path: Path) -> None:
    path = tmp_path / QUOTES
    shutil.copyfile(data / "option_day" / QUOTES, path)
    file = read_quotes(path, options=True)
    assert len(file) == 30468
    assert len(file.contracts) == 184
