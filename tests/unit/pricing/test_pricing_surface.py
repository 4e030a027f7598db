"""The surface between and beyond its expiries, and what is read off a smile: moves, skew, probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pricing import european
from engine.pricing.forward import pair_strikes
from engine.pricing.moments import (
    density,
    expected_move,
    probability_below,
    quantile,
    skew,
    straddle_value,
    strike_of_delta,
)
from engine.pricing.surface import Surface, SurfaceError, fit_surface
from engine.pricing.svi import Smile, Svi, fit_smile
from tests.synthetic_chains import RATE, SPOT, smile_of, synthetic_chain

T = np.array([0.02, 0.1, 0.5])
CLOCK = np.array([0.015, 0.11, 0.5])
FORWARD = 100.0 * np.exp(0.03 * T)


def quotes_of(t: float, vol: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k = np.linspace(-3, 2, 31) * vol * np.sqrt(t)
    return k, np.sqrt(smile_of(t, vol).variance(k) / t), np.full(31, 0.002)


@pytest.fixture(scope="module")
def surface() -> Surface:
    found, smiles = fit_surface(T, CLOCK, FORWARD, [quotes_of(float(t)) for t in T])
    assert found is not None
    assert all(smile is not None for smile in smiles)
    return found


def flat_smile(vol: float = 0.2, t: float = 0.25) -> Smile:
    found = fit_smile(np.array([0.0]), np.array([vol]), np.array([0.001]), t)
    assert found is not None
    return found


def test_at_an_expiry_the_surface_is_its_smile(surface: Surface) -> None:
    for row, smile in enumerate(surface.smiles):
        k = np.linspace(-0.2, 0.2, 9)
        assert surface.variance(k, CLOCK[row]) == pytest.approx(smile.parameters.variance(k), rel=1e-12)
        strikes = FORWARD[row] * np.exp(k)
        assert surface.vol(strikes, T[row]) == pytest.approx(smile.vol(k), rel=1e-9)


def test_between_expiries_variance_is_linear_on_the_clock(surface: Surface) -> None:
    low, high = (smile.parameters.variance(0.03) for smile in surface.smiles[:2])
    assert surface.variance(0.03, 0.5 * (CLOCK[0] + CLOCK[1])) == pytest.approx(0.5 * (low + high), rel=1e-12)
    assert float(surface.clock_at(0.5 * (T[0] + T[1]))) == pytest.approx(0.5 * (CLOCK[0] + CLOCK[1]))


def test_before_the_first_expiry_standardised_moneyness_is_kept(surface: Surface) -> None:
    quarter = CLOCK[0] / 4
    assert surface.variance(0.01, quarter) == pytest.approx(surface.smiles[0].parameters.variance(0.02) / 4, rel=1e-12)
    assert float(surface.variance(0.01, 0.0)) == 0.0
    assert float(surface.variance(0.01, -1.0)) == 0.0


def test_after_the_last_expiry_variance_goes_on_at_its_pace(surface: Surface) -> None:
    last = surface.smiles[-1].parameters
    assert surface.variance(0.0, 2 * CLOCK[-1]) == pytest.approx(2 * last.variance(0.0), rel=1e-12)
    assert surface.vol(surface.forward_at(1.0), 1.0) == pytest.approx(surface.at_money()[-1], rel=1e-9)


def test_total_variance_rises_in_time_at_every_moneyness(surface: Surface) -> None:
    clock = np.linspace(1e-4, 1.0, 200)
    for k in (-0.3, -0.05, 0.0, 0.04, 0.2):
        assert np.all(np.diff(surface.variance(k, clock)) > 0)
    assert surface.free


def test_forwards_are_interpolated_in_their_logarithm(surface: Surface) -> None:
    assert surface.forward_at([0.0, 0.05, 0.3, 2.0]) == pytest.approx(
        100 * np.exp(0.03 * np.array([0.0, 0.05, 0.3, 2.0]))
    )


def test_strikes_and_times_that_are_none_have_no_vol(surface: Surface) -> None:
    assert np.isnan(surface.vol([0.0, -5.0, 100.0, np.nan], [0.1, 0.1, 0.0, 0.1])).all()


def test_the_term_structure_and_its_forward_vols(surface: Surface) -> None:
    assert surface.at_money() == pytest.approx([0.2] * 3, abs=3e-4)
    total = 0.2**2 * T
    assert surface.forward_vols() == pytest.approx(
        np.sqrt(np.diff(total, prepend=0) / np.diff(CLOCK, prepend=0)), rel=5e-3
    )


def test_expiries_must_rise_and_one_without_quotes_is_left_out() -> None:
    with pytest.raises(SurfaceError, match="rise"):
        fit_surface(T[::-1], CLOCK, FORWARD, [quotes_of(0.1)] * 3)
    with pytest.raises(SurfaceError, match="number"):
        fit_surface(T, CLOCK, FORWARD, [])
    nothing = (np.empty(0),) * 3
    found, smiles = fit_surface(T, CLOCK, FORWARD, [quotes_of(0.02), nothing, quotes_of(0.5)])
    assert found is not None
    assert smiles[1] is None
    assert found.t.tolist() == [0.02, 0.5]
    assert fit_surface(T, CLOCK, FORWARD, [nothing] * 3) == (None, [None] * 3)


def test_the_expected_move_by_straddle_and_by_vol() -> None:
    truth = synthetic_chain(days=(91,), noise=0.0)
    quotes = truth.quotes
    pairs = pair_strikes(quotes.strike, quotes.is_call, quotes.bid, quotes.ask)
    forward, t = float(truth.forward[0]), float(truth.t[0])
    smile = flat_smile(0.18, t)
    move = expected_move(smile, forward, t, RATE, pairs)
    assert move.deviation == pytest.approx(forward * 0.18 * np.sqrt(t))
    assert move.straddle == pytest.approx(straddle_value(smile, forward, t, RATE) * np.exp(RATE * t), rel=0.01)
    assert move.deviation / move.straddle == pytest.approx(np.sqrt(np.pi / 2), rel=0.01)
    assert np.isnan(expected_move(None, forward, t, RATE, None).straddle)
    assert np.isnan(expected_move(smile, 10 * SPOT, t, RATE, pairs).straddle)


def test_probabilities_of_a_flat_smile_are_the_lognormals() -> None:
    smile, t = flat_smile(0.3, 0.25), 0.25
    k = np.linspace(-0.5, 0.5, 11)
    put = european.greeks(1.0, np.exp(k), t, 0.0, 0.0, 0.3, False)
    dual = -put.delta  # N(-d1)
    assert np.all(probability_below(smile, k) > dual)
    assert probability_below(smile, 0.0) == pytest.approx(0.5 + 0.0298, abs=1e-3)  # N(sd / 2) with sd = 0.15
    assert probability_below(smile, quantile(smile, [0.05, 0.5, 0.95])) == pytest.approx([0.05, 0.5, 0.95], abs=1e-12)
    assert quantile(smile, 0.5) == pytest.approx(-0.5 * 0.09 * 0.25, abs=1e-9)
    assert np.isnan(quantile(smile, [0.0, 1.0, np.nan])).all()


def test_the_density_is_the_slope_of_the_probability_and_sums_to_one() -> None:
    smile = fit_smile(*quotes_of(0.25), 0.25)
    assert smile is not None
    k = np.linspace(-2.5, 1.5, 40001)
    values = density(smile, k)
    assert values.min() >= 0
    assert np.trapezoid(values, k) == pytest.approx(1.0, abs=1e-4)
    assert np.trapezoid(values * np.exp(k), k) == pytest.approx(1.0, abs=1e-3)  # the forward is the mean
    inner = slice(15000, 30000, 500)
    slope = np.gradient(probability_below(smile, k), k)
    assert values[inner] == pytest.approx(slope[inner], abs=1e-4)


def test_skew_is_signed_as_traders_say_it() -> None:
    smile = fit_smile(*quotes_of(0.25), 0.25)
    assert smile is not None
    found = skew(smile)
    assert found.risk_reversal < -0.005
    assert found.slope < 0
    assert found.butterfly > 0
    flat = skew(flat_smile())
    assert (flat.risk_reversal, flat.butterfly, flat.slope) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(("delta", "is_call"), [(0.25, True), (0.25, False), (0.5, True), (0.05, False)])
def test_the_strike_of_a_delta_has_that_delta(delta: float, is_call: bool) -> None:
    smile = fit_smile(*quotes_of(0.25), 0.25)
    assert smile is not None
    k = strike_of_delta(smile, delta, is_call)
    found = european.greeks(1.0, np.exp(k), 0.25, 0.0, 0.0, float(smile.vol(k)), is_call)
    assert abs(float(found.delta)) == pytest.approx(delta, abs=1e-6)


def test_parameters_are_raw_svi() -> None:
    smile = Svi(0.01, 0.1, -0.5, 0.02, 0.2)
    k = 0.3
    x = k - 0.02
    assert float(smile.variance(k)) == pytest.approx(0.01 + 0.1 * (-0.5 * x + np.sqrt(x * x + 0.04)))
