"""What an execution costs, from a dated table. Called by the paper broker and wherever a round trip is estimated.

The arithmetic is pure: the table is passed in. Only `load_fees` reads a file. A live broker's commission report
replaces these estimates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from engine.domain.averages import total_price
from engine.domain.entities import Order
from engine.domain.values import Side, Value, money

_TABLE = Path(__file__).resolve().parent.parent.parent / "resources" / "fees" / "us_options.json"
_FEES = frozenset({"commission", "minimum", "occ", "orf", "taf", "sec31"})
_BASES = frozenset({"contract", "notional", "order"})


class FeeTableError(ValueError):
    """A fee table that cannot be read or contradicts itself; the message names the file and the row."""


class FeeRow(Value, frozen=True, kw_only=True):
    """One rate of one fee from one day on, and where we know it from."""

    fee: str
    """commission, minimum, occ, orf, taf or sec31."""
    basis: str
    """contract, notional (per dollar of premium) or order (the least commission of one order)."""
    sells_only: bool
    rate: Decimal
    valid_from: date
    source: str
    checked: date
    premium_from: Decimal = Decimal(0)
    """Commission only: the lowest premium per share this rate is for."""
    note: str = ""


class FeeTable(Value, frozen=True, kw_only=True):
    """All rows, newest first. An empty table charges nothing."""

    rows: tuple[FeeRow, ...] = ()

    def in_force(self, day: date) -> tuple[FeeRow, ...]:
        """One row per fee and premium tier: the newest that has begun, or the first there is for days before it."""
        chosen: dict[tuple[str, Decimal], FeeRow] = {}
        for row in self.rows:
            key = (row.fee, row.premium_from)
            if key not in chosen or chosen[key].valid_from > day:
                chosen[key] = row
        return tuple(chosen.values())


NO_FEES = FeeTable()


class Bill(Value, frozen=True, kw_only=True):
    """What one order has been charged so far; the basis of its next execution's fee."""

    filled: int = 0
    notional: Decimal = Decimal(0)
    """Dollars of premium."""
    commission: Decimal = Decimal(0)
    """Before the order's minimum."""
    billed: Decimal = Decimal(0)
    """All fees charged, to the cent: what the executions' fees add up to."""


def bill_after(
    table: FeeTable, day: date, side: Side, quantity: int, price: Decimal, before: Bill, multiplier: int = 100
) -> Bill:
    """The order's bill once `quantity` more were executed at `price` per share.

    The execution's fee is the rise of `billed`. So the fees of partial fills add up to the whole order's, to the
    cent: the minimum counts once, and nothing is rounded twice.
    """
    filled = before.filled + quantity
    notional = before.notional + price * quantity * multiplier
    rows = table.in_force(day)
    commission = before.commission + quantity * _commission(rows, price)
    least = sum((row.rate for row in rows if row.fee == "minimum"), Decimal(0))
    billed = money(max(commission, least) + _others(rows, side, filled, notional))
    return Bill(filled=filled, notional=notional, commission=commission, billed=billed)


def fees(table: FeeTable, day: date, side: Side, quantity: int, price: Decimal, multiplier: int = 100) -> Decimal:
    """Fees of a whole order filled at one price, dollars to the cent."""
    return bill_after(table, day, side, quantity, price, Bill(), multiplier).billed


def bill_of(table: FeeTable, day: date, order: Order) -> Bill:
    """The bill of an order that was restored, from what its executions left in it.

    Commission is what remains of its fees after the others. While that is no more than the minimum, the tier of the
    average premium is taken: exact unless fewer than five contracts filled on both sides of a tier (then off by less
    than the minimum).
    """
    if not order.filled or order.average is None:
        return Bill()
    multiplier = order.contract.multiplier
    notional = total_price(order.average, order.filled) * multiplier
    rows = table.in_force(day)
    charged = order.fees - money(_others(rows, order.side, order.filled, notional))
    least = sum((row.rate for row in rows if row.fee == "minimum"), Decimal(0))
    commission = charged if charged > least else order.filled * _commission(rows, order.average)
    return Bill(filled=order.filled, notional=notional, commission=commission, billed=order.fees)


def read_fees(table: Mapping[str, Any]) -> FeeTable:
    """A table from its JSON form. Raises `FeeTableError` naming the row."""
    rows = []
    for number, entry in enumerate(table.get("rows", ()), start=1):
        try:
            row = FeeRow(
                fee=entry["fee"],
                basis=entry["basis"],
                sells_only={"both": False, "sell": True}[entry["sides"]],
                rate=Decimal(entry["rate"]),
                valid_from=date.fromisoformat(entry["valid_from"]),
                source=entry["source"],
                checked=date.fromisoformat(entry["checked"]),
                premium_from=Decimal(entry.get("premium_from", "0")),
                note=entry.get("note", ""),
            )
        except KeyError as error:
            raise FeeTableError(f"fee row {number}: {error.args[0]!r} is missing or unknown") from error
        except (TypeError, ValueError, InvalidOperation) as error:
            raise FeeTableError(f"fee row {number}: {error}") from error
        _check(row, number)
        rows.append(row)
    if not rows:
        raise FeeTableError("fee table has no rows")
    return FeeTable(rows=tuple(sorted(rows, key=lambda row: row.valid_from, reverse=True)))


def load_fees(path: Path) -> FeeTable:
    """The table of a file. Raises `FeeTableError` naming the file."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(table, dict):
            raise FeeTableError("not a fee table")
        return read_fees(table)
    except (OSError, ValueError) as error:
        raise FeeTableError(f"{path}: {error}") from error


@cache
def us_option_fees() -> FeeTable:
    """The shipped table, read once. Found beside the engine, in a frozen app too."""
    return load_fees(_TABLE)


def _commission(rows: tuple[FeeRow, ...], premium: Decimal) -> Decimal:
    """Per contract: the highest tier that the premium reaches."""
    tiers = [row for row in rows if row.fee == "commission" and premium >= row.premium_from]
    return max(tiers, key=lambda row: row.premium_from).rate if tiers else Decimal(0)


def _others(rows: tuple[FeeRow, ...], side: Side, filled: int, notional: Decimal) -> Decimal:
    """Everything but the broker's commission, unrounded."""
    total = Decimal(0)
    for row in rows:
        if row.fee in ("commission", "minimum") or (row.sells_only and side is Side.BUY):
            continue
        total += row.rate * (filled if row.basis == "contract" else notional)
    return total


def _check(row: FeeRow, number: int) -> None:
    if row.fee not in _FEES or row.basis not in _BASES or row.rate < 0:
        raise FeeTableError(f"fee row {number}: unknown fee or basis, or a negative rate ({row.fee}, {row.basis})")
    if row.fee in ("commission", "minimum") and row.rate != money(row.rate):
        # bill_of tells commission from the rest by its whole cents
        raise FeeTableError(f"fee row {number}: a {row.fee} must be whole cents, not {row.rate}")
