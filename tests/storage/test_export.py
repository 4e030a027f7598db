"""The ledger as a file that says the same, whole or not at all."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a moment

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from engine.domain.canonical import canonical, decode_fact
from engine.ports import LedgerAway
from storage.database import Database
from storage.dsn import replaced
from storage.export import COLUMNS, Format, export, format_of
from storage.ledger import PostgresLedger
from storage.rows import link
from tests.storage.builders import at, heard, rejected

FACTS = [heard(1), rejected(2, 'comma, "quote"\nnew line \0 é', cause=1), *(rejected(seq) for seq in range(3, 601))]


@pytest_asyncio.fixture
async def filled(database: Database) -> Database:
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append(FACTS, [], {"key-1": 1})
    await ledger.close()
    return database


async def test_csv(filled: Database, tmp_path: Path) -> None:
    assert await export(filled, tmp_path / "ledger.csv") == 600
    with (tmp_path / "ledger.csv").open(newline="", encoding="utf-8") as file:
        first, *rows = csv.reader(file)
    assert tuple(first) == COLUMNS
    assert rows[0][:5] == ["1", at(1).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "TrendReceived", "", "SPY"]
    assert rows[1][:5][3:] == ["1", ""]
    assert [decode_fact(row[5]) for row in rows] == FACTS


async def test_json_lines_can_be_checked_without_us(filled: Database, tmp_path: Path) -> None:
    await export(filled, tmp_path / "ledger.jsonl")
    digest = bytes(32)
    lines = (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    for fact, line in zip(FACTS, lines, strict=True):
        tree = json.loads(line)
        text = line.partition('"fact": ')[2][:-1]
        assert text.encode() == canonical(fact)
        assert tree["prev_hash"] == digest.hex()
        digest = link(digest, text.encode())
        assert (tree["seq"], tree["hash"]) == (fact.seq, digest.hex())


async def test_parquet(filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.export._ROW_GROUP", 500)
    assert await export(filled, tmp_path / "ledger.parquet") == 600
    table = pq.read_table(tmp_path / "ledger.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert [decode_fact(body) for body in table["body"].to_pylist()] == FACTS
    assert table["at"].to_pylist()[1] == at(2)
    assert table["cause"].to_pylist()[:2] == [None, 1]
    assert pq.ParquetFile(tmp_path / "ledger.parquet").num_row_groups == 2


@pytest.mark.parametrize("form", list(Format))
async def test_a_range(filled: Database, tmp_path: Path, form: Format) -> None:
    assert await export(filled, tmp_path / "part", form, after=10, until=20) == 10
    assert await export(filled, tmp_path / "none", form, after=600) == 0
    assert (tmp_path / "none").exists()


async def test_a_file_that_could_not_be_finished_does_not_appear(filled: Database, tmp_path: Path) -> None:
    filled.app = replaced(filled.app, host="/nowhere")
    with pytest.raises(LedgerAway):
        await export(filled, tmp_path / "ledger.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", Format.CSV), ("a.JSON", Format.JSONL), ("a.ndjson", Format.JSONL), ("a.b.parquet", Format.PARQUET)],
)
def test_the_ending_names_the_format(name: str, form: Format) -> None:
    assert format_of(Path(name)) is form


@pytest.mark.parametrize("name", ["ledger.xls", "ledger"])
def test_an_ending_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="must end in"):
        format_of(Path(name))


async def test_csv_is_what_the_csv_module_writes(database: Database, tmp_path: Path) -> None:
    odd = ['a,"b"', "line\nbreak", "plain", '"', ""]
    facts = [heard(seq, symbol=symbol) for seq, symbol in enumerate(odd, 1)]
    ledger = PostgresLedger(database)
    await ledger.open()
    ledger.append(facts, [], {f"key-{seq}": seq for seq in range(1, len(odd) + 1)})
    await ledger.close()
    await export(database, tmp_path / "ledger.csv")
    written = (tmp_path / "ledger.csv").read_text(encoding="utf-8")
    with (tmp_path / "ledger.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[4] for row in rows[1:]] == odd
    assert all(row[5].startswith("{") for row in rows[1:])
    assert written.endswith("\n")
