"""Implied vol: right or absent, with the reason."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from engine.pricing import IvStatus, implied_vol, price
from engine.pricing.kernels import implied


def hard_cases(data: Path) -> list[dict[str, str]]:
    with (data / "reference_tables" / "implied_vol_hard_cases_mpmath.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name]) for row in rows])


def test_hard_cases_are_solved_to_eleven_digits_where_a_float_holds_the_price(data: Path) -> None:
    rows = [row for row in hard_cases(data) if row["representable"] == "True"]
    forward, strike, total = column(rows, "forward"), column(rows, "strike"), column(rows, "total_vol")
    found = implied_vol(column(rows, "otm_price"), forward, strike, 1.0, 0.0, 0.0, strike >= forward)
    assert (found.status == IvStatus.CONVERGED).all()
    assert np.max(np.abs(found.vol / total - 1)) < 2e-11


def test_hard_cases_that_no_float_holds_have_no_vol(data: Path) -> None:
    rows = [row for row in hard_cases(data) if row["representable"] == "False"]
    assert rows
    forward, strike = column(rows, "forward"), column(rows, "strike")
    found = implied_vol(column(rows, "otm_price"), forward, strike, 1.0, 0.0, 0.0, strike >= forward)
    assert np.isnan(found.vol).all()
    assert (found.status == IvStatus.NO_TIME_VALUE).all()


@pytest.mark.parametrize("side", ["call", "put"])
def test_hard_cases_on_the_dear_side_are_right_or_refused(data: Path, side: str) -> None:
    rows = hard_cases(data)
    total = column(rows, "total_vol")
    found = implied_vol(
        column(rows, side), column(rows, "forward"), column(rows, "strike"), 1.0, 0.0, 0.0, side == "call"
    )
    solved = found.status == IvStatus.CONVERGED
    assert solved.sum() > 90
    assert np.isnan(found.vol[~solved]).all()
    # The quote's own rounding, seen through the vega, is all the error there is.
    assert np.max(np.abs(found.vol[solved] / total[solved] - 1)) < 1e-9


@pytest.mark.parametrize(
    ("quoted", "spot", "t", "is_call", "status"),
    [
        (float("nan"), 100.0, 0.1, True, IvStatus.BAD_INPUT),
        (-0.01, 100.0, 0.1, True, IvStatus.BAD_INPUT),
        (1.0, float("inf"), 0.1, True, IvStatus.BAD_INPUT),
        (1.0, 0.0, 0.1, True, IvStatus.BAD_INPUT),
        (1.0, 100.0, float("nan"), True, IvStatus.BAD_INPUT),
        (1.0, 100.0, 0.0, True, IvStatus.EXPIRED),
        (1.0, 100.0, -0.1, True, IvStatus.EXPIRED),
        (0.0, 90.0, 0.1, True, IvStatus.NO_TIME_VALUE),
        (9.99, 110.0, 0.1, True, IvStatus.BELOW_INTRINSIC),
        (10.0, 110.0, 0.1, True, IvStatus.NO_TIME_VALUE),
        (10.0 + 1e-11, 110.0, 0.1, True, IvStatus.NO_TIME_VALUE),
        (10.0 + 1e-9, 110.0, 0.1, True, IvStatus.CONVERGED),
        (10.0, 90.0, 0.1, False, IvStatus.NO_TIME_VALUE),
        (9.9, 90.0, 0.1, False, IvStatus.BELOW_INTRINSIC),
        (110.0, 110.0, 0.1, True, IvStatus.ABOVE_BOUND),
        (100.0, 90.0, 0.1, False, IvStatus.ABOVE_BOUND),
        (10.5, 110.0, 0.1, True, IvStatus.CONVERGED),
    ],
)
def test_a_price_without_a_vol_says_why(quoted: float, spot: float, t: float, is_call: bool, status: IvStatus) -> None:
    found = implied_vol(quoted, spot, 100.0, t, 0.0, 0.0, is_call)
    assert found.status[0] == status
    assert np.isnan(found.vol[0]) == (status is not IvStatus.CONVERGED)


def test_one_bad_quote_does_not_touch_its_neighbours() -> None:
    good = price(100.0, 100.0, 0.1, 0.04, 0.0, 0.2, True)
    found = implied_vol([good, np.nan, good, 1e9], 100.0, 100.0, 0.1, 0.04, 0.0, True)
    assert found.vol[[0, 2]] == pytest.approx([0.2, 0.2], abs=1e-12)
    assert list(found.status) == [IvStatus.CONVERGED, IvStatus.BAD_INPUT, IvStatus.CONVERGED, IvStatus.ABOVE_BOUND]


def test_an_empty_batch_is_an_empty_answer() -> None:
    found = implied_vol(np.array([]), 100.0, np.array([]), 0.1, 0.0, 0.0, np.array([], bool))
    assert len(found.vol) == len(found.status) == 0


def test_near_the_bound_a_price_is_rounding_and_has_no_vol() -> None:
    assert implied_vol(100.0 * (1 - 1e-15), 100.0, 100.0, 1.0, 0.0, 0.0, True).status[0] == IvStatus.ABOVE_BOUND
    dear = implied_vol(100.0 * (1 - 2e-9), 100.0, 100.0, 1.0, 0.0, 0.0, True)
    assert dear.status[0] == IvStatus.CONVERGED
    assert float(price(100.0, 100.0, 1.0, 0.0, 0.0, dear.vol[0], True)) == pytest.approx(100 * (1 - 2e-9), rel=1e-13)


def test_a_search_that_does_not_end_is_an_answer_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(implied, "PLAIN_STEPS", 1)
    monkeypatch.setattr(implied, "BRACKETED_STEPS", 0)
    found = implied_vol(price(100.0, 130.0, 0.1, 0.0, 0.0, 0.9, True), 100.0, 130.0, 0.1, 0.0, 0.0, True)
    assert found.status[0] == IvStatus.UNSOLVED
    assert np.isnan(found.vol[0])
