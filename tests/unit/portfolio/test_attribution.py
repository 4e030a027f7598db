"""Where a result came from, step by step, computed beside it by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from engine.domain.entities import Attribution
from engine.domain.events import ContractSettled, PositionMarked
from engine.domain.values import Greeks
from engine.portfolio.attribution import (
    attribution_after_buy,
    attribution_after_mark,
    attribution_after_sell,
    attribution_after_settlement,
    attribution_parts,
    closing,
)
from tests.builders_trading import GREEKS, NOON, WEEKLY, d, filled, position

OPENED = attribution_after_buy(None, filled(2, "2.00"))
HALF_A_DAY = timedelta(hours=12)


def marked(underlying: str | None, greeks: Greeks | None, **fields: Any) -> PositionMarked:
    made: dict[str, Any] = {
        "seq": 12, "at": NOON + HALF_A_DAY, "position": "P9", "mark": d("2.60"), "bid": None, "ask": None,
        "underlying": None if underlying is None else d(underlying), "greeks": greeks, "unrealised": d(0),
        "best": d(3), "worst": d(1), "armed": False,
    }  # fmt: skip
    return PositionMarked(**{**made, **fields})


def test_one_step_is_a_taylor_expansion_times_what_is_held() -> None:
    after = attribution_after_mark(OPENED, marked("602", replace(GREEKS, iv=0.21, delta=0.5)))
    # two contracts of 100: delta 0.45 × 2, gamma ½ × 0.03 × 4, vega 0.30 × 1 point, theta −0.12 × ½ day
    assert (after.delta, after.gamma, after.vega, after.theta) == pytest.approx((180.0, 12.0, 60.0, -12.0))
    assert after.underlying == d(602)
    assert after.greeks is not None
    assert after.greeks.delta == 0.5


def test_the_next_step_starts_where_the_last_ended() -> None:
    one = attribution_after_mark(OPENED, marked("602", replace(GREEKS, delta=0.5)))
    two = attribution_after_mark(one, marked("601", replace(GREEKS, delta=0.5), at=one.at))
    assert two.delta == pytest.approx(180.0 - 100.0)
    assert two.theta == pytest.approx(one.theta)


def test_without_the_underlying_the_next_point_spans_the_gap() -> None:
    assert attribution_after_mark(OPENED, marked(None, GREEKS)) == OPENED


def test_without_new_greeks_the_old_ones_carry_on_and_volatility_stands_still() -> None:
    after = attribution_after_mark(OPENED, marked("602", None))
    assert (after.delta, after.vega) == (pytest.approx(180.0), 0.0)
    assert after.greeks == GREEKS


@pytest.mark.parametrize("known", [{"greeks": None}, {"underlying": None}])
def test_a_start_without_greeks_or_underlying_explains_nothing_yet(known: dict[str, Any]) -> None:
    blind = attribution_after_buy(None, filled(2, "2.00", **known))
    after = attribution_after_mark(blind, marked("602", GREEKS))
    assert (after.delta, after.gamma, after.vega, after.theta) == (0.0, 0.0, 0.0, 0.0)
    assert (after.underlying, after.greeks) == (d(602), GREEKS)


def test_fills_step_with_what_was_held_before_them() -> None:
    more = attribution_after_buy(OPENED, filled(3, "2.10", underlying="601"))
    assert (more.quantity, more.delta) == (5, pytest.approx(90.0))
    fewer = attribution_after_sell(more, filled(4, "2.10", underlying="602"))
    assert (fewer.quantity, fewer.delta) == (1, pytest.approx(90.0 + 225.0))


def test_settlement_is_the_last_step() -> None:
    fact = ContractSettled(
        seq=13, at=NOON, position="P9", contract=WEEKLY, quantity=2, settlement=d("604"), price=d("4"), fees=d(0)
    )
    after = attribution_after_settlement(OPENED, fact)
    assert (after.quantity, after.delta, after.vega) == (0, pytest.approx(360.0), 0.0)


def test_parts_and_residual_sum_to_gross_to_the_cent() -> None:
    explained = replace(OPENED, delta=180.004, gamma=12.005, vega=-3.3333, theta=-0.005)
    parts = attribution_parts(explained, d("150.00"))
    assert parts == {
        "delta": d("180.00"), "gamma": d("12.01"), "vega": d("-3.33"), "theta": d("-0.01"), "residual": d("-38.67")
    }  # fmt: skip
    assert sum(parts.values()) == d("150.00")


def test_nothing_known_is_all_residual() -> None:
    assert attribution_parts(None, d("12.34"))["residual"] == d("12.34")


def test_a_closed_position_adds_up() -> None:
    done = position(
        quantity=0, bought=4, sold=4, proceeds=d("1000.00"), fees=d("5.60"), average_exit=d("2.50"),
        best=d("2.90"), worst=d("1.80"), attribution=replace(OPENED, delta=150.0),
    )  # fmt: skip
    found = closing(done)
    assert (found.gross, found.fees, found.net, found.r) == (d("200.00"), d("5.60"), d("194.40"), d("0.4860"))
    assert (found.average_exit, found.best, found.worst) == (d("2.50"), d("2.90"), d("1.80"))
    assert found.attribution["delta"] == d("150.00")
    assert sum(found.attribution.values()) == found.gross


def test_a_closed_position_about_which_little_is_known_still_adds_up() -> None:
    done = position(quantity=0, bought=1, sold=1, entry="2.00", best=None, worst=None, risk=d(0))
    found = closing(done)
    assert (found.gross, found.r, found.average_exit) == (d("-200.00"), d(0), d(0))
    assert (found.best, found.worst) == (d("2.00"), d("2.00"))


def test_sums_are_kept_to_six_decimals() -> None:
    assert isinstance(OPENED, Attribution)
    after = attribution_after_mark(OPENED, marked("600.333333", replace(GREEKS, iv=0.2000000001)))
    assert after.delta == round(after.delta, 6)
