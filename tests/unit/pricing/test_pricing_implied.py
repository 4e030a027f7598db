"""Implied vol: right or absent, with the reason."""

from __future__ import annotations

import csv
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy.special import erfcx, ndtr

from app.commands.bench_pricing_sets import hard
from engine.pricing import IvStatus, implied_vol, price
from engine.pricing.implied import black76_implied_vol, implied_band
from engine.pricing.kernels import implied, runtime


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
    assert np.max(np.abs(found.vol / total - 1)) < 1e-12


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
    runtime.cool()
    monkeypatch.setattr(implied, "PLAIN_STEPS", 1)
    monkeypatch.setattr(implied, "BRACKETED_STEPS", 0)
    found = implied_vol(price(100.0, 130.0, 0.1, 0.0, 0.0, 0.9, True), 100.0, 130.0, 0.1, 0.0, 0.0, True)
    assert found.status[0] == IvStatus.UNSOLVED
    assert np.isnan(found.vol[0])


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_the_hard_set_has_no_failure_and_errors_of_rounding_only(seed: int) -> None:
    """A minute to three years, 5 to 500 % vol, seven standard deviations: prices are scipy's, not ours."""
    known = hard(4_000, seed)
    spot, strike, t, r, q, vol, is_call = known.contracts
    found = implied_vol(known.price, spot, strike, t, r, q, is_call)
    assert (found.status == IvStatus.CONVERGED).all()
    assert np.max(np.abs(found.vol - vol) / known.conditioning) < 4.0
    assert np.median(np.abs(found.vol - vol)) < 1e-13


@pytest.mark.parametrize("furthest", [1e-9, 1e-3, 0.1, 3.0, 60.0])
def test_vols_come_back_from_out_of_the_money_prices_at_any_distance(furthest: float) -> None:
    """Prices to 250 digits below the spot and to a millionth under the bound; the value is of the series by mpmath."""
    random = np.random.default_rng(5)
    with mpmath.workdps(60):
        for _ in range(60):
            x = mpmath.mpf(float(furthest * random.uniform(0.0, 1.0)))
            d = float(random.uniform(-30.0, 5.0))
            half = (d + mpmath.sqrt(d * d + 2 * x)) / 2
            s = 2 * half
            strike = float(mpmath.exp(x))
            x = mpmath.log(strike)
            value = mpmath.ncdf(half - x / s) - strike * mpmath.ncdf(-half - x / s)
            if value > 1 - 1e-6 or value < mpmath.mpf("1e-280") or strike == 1.0:
                continue
            found = implied_vol(float(value), 1.0, strike, 1.0, 0.0, 0.0, True)
            assert found.status[0] == IvStatus.CONVERGED, (x, s)
            vega = mpmath.npdf(half - x / s)
            # One rounding of the price, and of the strike, which moves the price by N(d2) of itself.
            seen = 2.3e-16 * (value + strike * mpmath.ncdf(-half - x / s)) / vega
            assert abs(float(found.vol[0]) - s) <= 4 * seen + 4e-16 * s, (x, s, float(found.vol[0]))


def test_a_vol_on_a_future_discounts_only() -> None:
    found = black76_implied_vol(np.exp(-0.05 * 0.5) * 6.0, 100.0, 101.0, 0.5, 0.05, True)
    assert found.vol == pytest.approx(implied_vol(6.0, 100.0, 101.0, 0.5, 0.0, 0.0, True).vol, rel=1e-13)


def band(lower: float, upper: float, spot: float = 110.0, is_call: bool = True) -> tuple[float, float, int]:
    found = implied_band(lower, upper, spot, 100.0, 0.1, 0.0, 0.0, is_call)
    return float(found.low[0]), float(found.high[0]), int(found.status[0])


def test_a_band_is_the_vols_of_its_ends() -> None:
    low, high, status = band(10.4, 10.6)
    assert status == IvStatus.CONVERGED
    assert low == implied_vol(10.4, 110.0, 100.0, 0.1, 0.0, 0.0, True).vol[0]
    assert high == implied_vol(10.6, 110.0, 100.0, 0.1, 0.0, 0.0, True).vol[0]
    assert low < high


def test_a_band_says_what_a_price_alone_cannot() -> None:
    low, high, status = band(9.8, 10.3)  # the mid has no time value to speak of
    assert (low, status) == (0.0, IvStatus.CONVERGED)
    assert high == implied_vol(10.3, 110.0, 100.0, 0.1, 0.0, 0.0, True).vol[0]
    low, high, status = band(50.0, 200.0)
    assert (high, status) == (np.inf, IvStatus.CONVERGED)
    assert low == implied_vol(50.0, 110.0, 100.0, 0.1, 0.0, 0.0, True).vol[0]
    assert band(-0.005, 0.005, spot=90.0)[::2] == (0.0, IvStatus.CONVERGED)  # a mark of nothing, half a tick around


@pytest.mark.parametrize(
    ("lower", "upper", "status"),
    [
        (9.0, 9.9, IvStatus.BELOW_INTRINSIC),
        (9.0, 10.0, IvStatus.NO_TIME_VALUE),
        (110.0, 120.0, IvStatus.ABOVE_BOUND),
        (10.6, 10.4, IvStatus.BAD_INPUT),
        (float("nan"), 10.4, IvStatus.BAD_INPUT),
        (10.4, float("nan"), IvStatus.BAD_INPUT),
    ],
)
def test_where_there_is_no_band_it_says_why(lower: float, upper: float, status: IvStatus) -> None:
    low, high, found = band(lower, upper)
    assert found == status
    assert np.isnan(low)
    assert np.isnan(high)


def test_beyond_any_market_a_vol_is_right_or_not_found() -> None:
    """Strikes of e^60 to e^600 times the forward, where the steps have least to go by."""
    random = np.random.default_rng(6)
    x, d = random.uniform(60.0, 600.0, 4_000), random.uniform(-30.0, 5.0, 4_000)
    strike = np.exp(x)
    x = np.log(strike)
    root = np.sqrt(d * d + 2.0 * x)
    half = np.where(d > 0.0, (d + root) / 2.0, x / (root - d))
    near, far = half - x / (2.0 * half), half + x / (2.0 * half)
    # e^x·Φ(-far) as density(near)·Mills(far), which does not overflow.
    density = np.exp(-0.5 * near * near)
    value = (
        np.where(near > 0.0, ndtr(near), density * erfcx(-near / np.sqrt(2)) / 2)
        - density * erfcx(far / np.sqrt(2)) / 2
    )
    kept = (value > 1e-250) & (value < 1.0 - 1e-7)
    found = implied_vol(value[kept], 1.0, strike[kept], 1.0, 0.0, 0.0, True)
    solved = found.status == IvStatus.CONVERGED
    assert set(found.status) <= {IvStatus.CONVERGED, IvStatus.UNSOLVED}
    assert solved.sum() > 2_000
    assert np.max(np.abs(found.vol / (2.0 * half[kept]) - 1.0)[solved]) < 1e-9
