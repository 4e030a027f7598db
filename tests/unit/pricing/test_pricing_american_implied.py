"""American implied vols: what a price came from is found again, and what has no vol says why."""

from __future__ import annotations

import numpy as np
import pytest

from app.commands.bench_american_sets import nothing_shared, regimes, two_boundaries
from app.commands.bench_pricing_sets import Contracts, chains
from engine.pricing import IvStatus, american
from engine.pricing.american_implied import implied_vol
from engine.pricing.kernels import runtime, warm


def given(contracts: Contracts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors (NaN where there is no vol), statuses and vegas of the vols of the contracts' own prices."""
    found = american.greeks(*contracts)
    implied = implied_vol(found.value, *contracts[:5], contracts.is_call)
    assert (np.isfinite(implied.vol) == (implied.status == IvStatus.CONVERGED)).all()
    return np.abs(implied.vol - contracts.vol), implied.status, found.vega


@pytest.mark.parametrize(
    "contracts", [chains(3000), nothing_shared(400), regimes(400, seed=3)], ids=["shared", "single", "regimes"]
)
def test_prices_give_back_their_vols(contracts: Contracts) -> None:
    error, status, vega = given(contracts)
    seen = vega > 1e-5 * contracts.spot
    assert (status[seen] == IvStatus.CONVERGED).all()
    # A vol is as good as the price (a few 1e-8 of the spot) seen through the vega.
    assert np.nanmax(error * vega * 100.0 / contracts.spot) < 1e-6
    assert np.nanmax(error[seen]) < 1e-4
    assert not (status == IvStatus.UNSOLVED).any()


def test_each_reason_for_no_vol() -> None:
    #        price, spot, strike, t, r, q, call
    asked = [
        (20.0, 80.0, 100.0, 1.0, 0.05, 0.0, False, IvStatus.EXERCISE_REGION),
        (19.9, 80.0, 100.0, 1.0, 0.05, 0.0, False, IvStatus.BELOW_INTRINSIC),
        (0.0, 120.0, 100.0, 1.0, 0.05, 0.0, False, IvStatus.NO_TIME_VALUE),
        (120.0 - 100.0 * np.exp(-0.05), 120.0, 100.0, 1.0, 0.05, 0.0, True, IvStatus.NO_TIME_VALUE),
        (24.0, 120.0, 100.0, 1.0, 0.05, 0.0, True, IvStatus.BELOW_INTRINSIC),
        (100.0, 80.0, 100.0, 1.0, 0.05, 0.0, False, IvStatus.ABOVE_BOUND),
        (121.0, 120.0, 100.0, 1.0, 0.05, 0.0, True, IvStatus.ABOVE_BOUND),
        (5.0, 100.0, 100.0, 0.0, 0.05, 0.0, True, IvStatus.EXPIRED),
        (np.nan, 100.0, 100.0, 1.0, 0.05, 0.0, True, IvStatus.BAD_INPUT),
        (-1.0, 100.0, 100.0, 1.0, 0.05, 0.0, True, IvStatus.BAD_INPUT),
        (5.0, 0.0, 100.0, 1.0, 0.05, 0.0, False, IvStatus.BAD_INPUT),
        (5.0, 100.0, 100.0, np.nan, 0.05, 0.0, False, IvStatus.BAD_INPUT),
    ]
    *columns, expected = zip(*asked, strict=True)
    found = implied_vol(*(np.array(each) for each in columns))
    assert [IvStatus(each) for each in found.status] == list(expected)
    assert np.isnan(found.vol).all()


def test_a_put_dearer_than_any_european_one_has_a_vol() -> None:
    """An American put may cost more than the discounted strike, which bounds European ones."""
    price = float(american.price(40.0, 100.0, 3.0, 0.1, 0.0, 1.6, False))
    assert price > 100.0 * np.exp(-0.3)
    found = implied_vol(price, 40.0, 100.0, 3.0, 0.1, 0.0, False)
    assert found.vol[0] == pytest.approx(1.6, abs=1e-6)


def test_a_cent_over_intrinsic_value_is_a_vol_and_the_right_one() -> None:
    strikes = np.array([101.0, 103.0, 106.0, 110.0, 120.0])
    prices = strikes - 100.0 + 0.01
    found = implied_vol(prices, 100.0, strikes, 0.25, 0.05, 0.0, False)
    assert (found.status == IvStatus.CONVERGED).all()
    assert american.price(100.0, strikes, 0.25, 0.05, 0.0, found.vol, False) == pytest.approx(prices, abs=2e-6)


def test_where_two_boundaries_are() -> None:
    vols = np.array([0.05, 0.12, 0.3])
    prices = american.price(100.0, 101.0, 1.0, -0.01, -0.02, vols, False)
    found = implied_vol(prices, 100.0, 101.0, 1.0, -0.01, -0.02, False)
    assert found.vol == pytest.approx(vols, abs=1e-5)


def test_no_wrong_number_for_prices_that_mean_nothing() -> None:
    """Random prices between nothing and twice the spot: every vol found gives its price again."""
    random = np.random.default_rng(17)
    contracts = regimes(2000, seed=13)
    contracts = contracts.where(~two_boundaries(contracts) | (np.arange(2000) < 200))
    prices = random.uniform(0.0, 1.0, contracts.spot.size) ** 3 * 2.0 * np.maximum(contracts.spot, contracts.strike)
    found = implied_vol(prices, *contracts[:5], contracts.is_call)
    solved = found.status == IvStatus.CONVERGED
    assert solved.sum() > 500
    again = american.price(*contracts.where(solved)._replace(vol=found.vol[solved]))
    size = np.maximum(contracts.spot, contracts.strike)[solved]
    assert (np.abs(again - prices[solved]) / size).max() < 2e-6
    assert not (found.status == IvStatus.UNSOLVED).any()


def test_numpy_gives_the_same_vols_as_machine_code() -> None:
    contracts = chains(300)
    prices = american.price(*contracts)
    compiled = implied_vol(prices, *contracts[:5], contracts.is_call)
    assert runtime.state().serving is runtime.Serving.COMPILED
    runtime.cool()
    try:
        plain = implied_vol(prices, *contracts[:5], contracts.is_call)
    finally:
        warm()
    assert np.array_equal(compiled.vol, plain.vol, equal_nan=True)
    assert np.array_equal(compiled.status, plain.status)
