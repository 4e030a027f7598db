"""What an execution costs, by the dated table."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.domain.values import Side
from engine.orders.fees import (
    NO_FEES,
    Bill,
    FeeTableError,
    bill_after,
    bill_of,
    fees,
    load_fees,
    read_fees,
    us_option_fees,
)
from tests.builders_trading import FRIDAY, d, order

TABLE = us_option_fees()
NOW = FRIDAY


@pytest.mark.parametrize(
    ("day", "side", "quantity", "price", "expected"),
    [
        # 2026: commission max(q × tier, 1.00), OCC 0.025, ORF 0.02685; sells: TAF 0.00279 and 20.60 a million
        (NOW, Side.BUY, 1, "2.50", "1.05"),  # 1.00 + 0.05185
        (NOW, Side.BUY, 2, "2.50", "1.40"),  # 1.30 + 0.1037
        (NOW, Side.SELL, 2, "2.50", "1.42"),  # 1.30 + 0.1037 + 0.00558 + 0.0103
        (NOW, Side.BUY, 10, "0.10", "7.02"),
        (NOW, Side.BUY, 10, "0.09", "5.52"),
        (NOW, Side.BUY, 10, "0.05", "5.52"),
        (NOW, Side.BUY, 10, "0.04", "3.02"),
        (NOW, Side.SELL, 500, "2.50", "354.90"),  # 325 + 25.925 + 1.395 + 2.575
        # the SEC's rate was nothing between 14 May 2025 and 3 April 2026
        (date(2025, 5, 13), Side.SELL, 100, "10.00", "73.24"),
        (date(2025, 5, 14), Side.SELL, 100, "10.00", "70.46"),
        (date(2026, 4, 3), Side.SELL, 100, "10.00", "70.46"),
        (date(2026, 4, 4), Side.SELL, 100, "10.00", "72.52"),
        # replays: 24 December 2015 and 3 August 2023
        (date(2015, 12, 24), Side.SELL, 10, "5.00", "7.59"),  # 6.50 + 0.55 + 0.427 + 0.02 + 0.092
        (date(2023, 8, 3), Side.SELL, 10, "5.00", "7.07"),  # 6.50 + 0.20 + 0.3025 + 0.0244 + 0.04
    ],
)
def test_an_order_costs(day: date, side: Side, quantity: int, price: str, expected: str) -> None:
    assert fees(TABLE, day, side, quantity, d(price)) == d(expected)


def test_the_first_row_counts_for_days_before_it() -> None:
    assert fees(TABLE, date(2010, 1, 4), Side.BUY, 1, d(1)) == fees(TABLE, date(2014, 2, 3), Side.BUY, 1, d(1))


def test_a_minimum_counts_once_over_partial_fills() -> None:
    one = bill_after(TABLE, NOW, Side.BUY, 1, d("2.50"), Bill())
    two = bill_after(TABLE, NOW, Side.BUY, 1, d("2.50"), one)
    assert one.billed == d("1.05")
    assert two.billed == d("1.40")  # not 2.10


def test_no_table_no_fees() -> None:
    assert fees(NO_FEES, NOW, Side.SELL, 10, d("2.50")) == 0


@pytest.mark.parametrize(("quantity", "price"), [(1, "2.50"), (1, "0.06"), (3, "2.50"), (9, "0.04"), (200, "1.13")])
def test_a_restored_bill_goes_on_where_it_was(quantity: int, price: str) -> None:
    bill = bill_after(TABLE, NOW, Side.SELL, quantity, d(price), Bill())
    restored = order(Side.SELL, quantity + 5, filled=quantity, average=d(price), fees=bill.billed)
    assert bill_of(TABLE, NOW, restored) == bill


def test_an_order_without_fills_has_no_bill() -> None:
    assert bill_of(TABLE, NOW, order()) == Bill()


ROW: dict[str, Any] = {
    "fee": "occ", "basis": "contract", "sides": "both", "rate": "0.02", "valid_from": "2020-01-01",
    "source": "a page", "checked": "2026-01-01",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fee": "tax"}, "unknown fee"),
        ({"basis": "share"}, "unknown fee or basis"),
        ({"rate": "-1"}, "negative"),
        ({"sides": "buy"}, "'buy' is missing or unknown"),
        ({"rate": "much"}, "fee row 1"),
        ({"rate": None}, "fee row 1"),
        ({"valid_from": "soon"}, "fee row 1"),
        ({"fee": "commission", "rate": "0.655"}, "whole cents"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, Any], why: str) -> None:
    with pytest.raises(FeeTableError, match=why):
        read_fees({"rows": [{**ROW, **change}]})


def test_a_row_without_its_source_is_refused() -> None:
    row = {key: value for key, value in ROW.items() if key != "source"}
    with pytest.raises(FeeTableError, match="'source' is missing"):
        read_fees({"rows": [row]})


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(FeeTableError, match="no rows"):
        read_fees({})


@pytest.mark.parametrize("text", ["[]", "not json", '{"rows": []}'])
def test_a_file_that_is_no_table_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "fees.json"
    path.write_text(text)
    with pytest.raises(FeeTableError, match=r"fees\.json"):
        load_fees(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FeeTableError, match=r"gone\.json"):
        load_fees(tmp_path / "gone.json")


def test_every_shipped_row_says_where_it_comes_from() -> None:
    for row in TABLE.rows:
        assert row.source
        assert row.checked >= date(2026, 11, 20)
        assert row.valid_from <= row.checked


def test_shipped_numbers_are_text_so_that_none_is_rounded() -> None:
    path = Path(__file__).parents[3] / "resources" / "fees" / "us_options.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert all(isinstance(row["rate"], str) for row in rows)


def test_a_tier_that_no_row_covers_costs_no_commission() -> None:
    table = read_fees({"rows": [{**ROW, "fee": "commission", "rate": "0.65", "premium_from": "0.10"}]})
    assert fees(table, NOW, Side.BUY, 10, d("0.05")) == 0
    assert fees(table, NOW, Side.BUY, 10, d("0.10")) == Decimal("6.50")


def test_a_multiplier_scales_the_notional() -> None:
    small = bill_after(TABLE, NOW, Side.SELL, 1, d("2.50"), Bill(), multiplier=10)
    assert small.notional == d("25.00")
    assert replace(small, notional=d(0)).filled == 1
