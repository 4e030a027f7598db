"""What an expired contract is paid."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.domain.values import Right
from engine.portfolio.settlement import intrinsic, settle, settlement_price
from tests.builders_trading import WEEKLY, d, position

PUT = replace(WEEKLY, right=Right.PUT)


@pytest.mark.parametrize(
    ("right", "close", "paid"),
    [
        (Right.CALL, "603.50", "3.50"),
        (Right.CALL, "600.01", "0.01"),
        (Right.CALL, "600.009", "0"),
        (Right.CALL, "600.00", "0"),
        (Right.CALL, "590.00", "0"),
        (Right.PUT, "596.50", "3.50"),
        (Right.PUT, "599.99", "0.01"),
        (Right.PUT, "599.995", "0"),
        (Right.PUT, "610.00", "0"),
    ],
)
def test_a_cent_in_the_money_is_paid_out(right: Right, close: str, paid: str) -> None:
    contract = replace(WEEKLY, right=right)
    assert settlement_price(contract, d(close)) == d(paid)
    assert settle(position(4, contract=contract), d(close)).price == d(paid)


def test_intrinsic_value_is_never_negative() -> None:
    assert intrinsic(PUT, d("700")) == 0
    assert intrinsic(PUT, d("599.995")) == d("0.005")


def test_settling_costs_nothing() -> None:
    assert settle(position(4), d("603.50")).fees == 0
