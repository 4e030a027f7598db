"""Smiles: the truth through noise and junk, no butterflies, below the next expiry, and fewer parameters for fewer quotes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pricing.svi import Smile, Svi, arbitrage_grid, durrleman, fit_smile
from tests.synthetic_chains import smile_of

T = 0.25


def quoted(
    truth: Svi, t: float = T, count: int = 41, noise: float = 0.0, seed: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-moneyness, vols that wander by `noise` half spreads, half spreads that widen outwards."""
    random = np.random.default_rng(seed)
    deviation = float(np.sqrt(truth.variance(0.0)))
    k = np.linspace(-3.0 * deviation, 2.0 * deviation, count)
    half = 0.002 * (1.0 + np.abs(k) / deviation)
    return k, np.sqrt(truth.variance(k) / t) + noise * half * random.uniform(-1, 1, count), half


def fitted(*arguments: object, **named: object) -> Smile:
    found = fit_smile(*arguments, **named)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    "truth", [smile_of(T), smile_of(T, skew=-0.8), smile_of(T, skew=0.3), Svi(0.002, 0.03, -0.3, 0.02, 0.1)]
)
def test_exact_quotes_give_the_smile_back(truth: Svi) -> None:
    k, vol, half = quoted(truth)
    found = fitted(k, vol, half, T)
    assert found.kind == "svi"
    assert found.vol(k) == pytest.approx(vol, abs=2e-4)
    assert found.spreads < 0.1
    assert found.inside == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_noise_within_the_spread_averages_out(seed: int) -> None:
    truth = smile_of(T)
    k, vol, half = quoted(truth, noise=1.0, seed=seed)
    found = fitted(k, vol, half, T)
    real = np.sqrt(truth.variance(k) / T)
    middle = np.abs(k) < 0.1
    assert np.abs(found.vol(k) - real)[middle].max() < 0.0025
    assert found.butterfly >= 0


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_junk_does_not_bend_it(seed: int) -> None:
    truth = smile_of(T)
    k, vol, half = quoted(truth, noise=0.5, seed=seed)
    junk = np.random.default_rng(seed).choice(len(k), len(k) // 5, replace=False)
    spoilt = vol.copy()
    spoilt[junk] *= np.random.default_rng(seed + 9).choice([0.6, 1.5], len(junk))
    found = fitted(k, spoilt, half, T)
    middle = np.abs(k) < 0.1
    assert np.abs(found.vol(k) - np.sqrt(truth.variance(k) / T))[middle].max() < 0.006
    assert found.inside < 0.9


def test_quotes_with_a_butterfly_in_them_give_a_smile_without() -> None:
    """A bump no density can have: the fit passes by it rather than through it."""
    k, vol, half = quoted(smile_of(T))
    bump = vol + 0.08 * np.exp(-0.5 * ((k + 0.05) / 0.01) ** 2)
    found = fitted(k, bump, half, T)
    grid = arbitrage_grid(0.09, float(k.min()), float(k.max()))
    assert float(durrleman(found.parameters, np.linspace(grid[0], grid[-1], 5001)).min()) >= -1e-6
    assert found.butterfly >= 0


def test_a_wing_too_steep_for_any_density_is_held_back() -> None:
    k = np.linspace(-0.6, 0.6, 61)
    vol = np.sqrt((0.01 + 3.0 * np.abs(k)) / T)
    found = fitted(k, vol, np.full(61, 0.005), T)
    assert found.butterfly >= 0
    b, rho = found.parameters.b, found.parameters.rho
    assert b * (1 + abs(rho)) <= 2.0 + 1e-6


def test_the_smile_stays_under_that_of_the_next_expiry() -> None:
    near, far = smile_of(T), smile_of(0.27)
    after = fitted(*quoted(far, 0.27), 0.27)
    k, vol, half = quoted(near, noise=1.0)
    found = fitted(k, vol + 0.005, half, T, after)
    alone = fitted(k, vol + 0.005, half, T)
    grid = np.linspace(-0.5, 0.4, 200)
    assert np.any(alone.parameters.variance(grid) > after.parameters.variance(grid))
    assert found.calendar >= -1e-9
    assert found.free


def test_quotes_that_really_cross_win_over_the_next_expiry_and_it_is_said() -> None:
    after = fitted(*quoted(smile_of(0.27), 0.27), 0.27)
    k, vol, half = quoted(smile_of(T, vol=0.30))
    found = fitted(k, vol, half, T, after)
    assert found.vol(k) == pytest.approx(vol, abs=0.003)
    assert found.calendar < 0
    assert not found.free


@pytest.mark.parametrize(
    ("count", "kind"), [(1, "flat"), (3, "flat"), (4, "three-parameter"), (7, "three-parameter"), (8, "svi")]
)
def test_few_quotes_get_few_parameters(count: int, kind: str) -> None:
    k, vol, half = (
        quoted(smile_of(T), count=count) if count > 1 else (np.array([0.01]), np.array([0.2]), np.array([0.01]))
    )
    found = fitted(k, vol, half, T)
    assert found.kind == kind
    assert found.butterfly >= 0
    assert found.quotes == count
    assert np.isfinite(found.error)


def test_nothing_to_fit_is_no_smile() -> None:
    empty = np.empty(0)
    assert fit_smile(empty, empty, empty, T) is None
    one = np.array([0.0])
    assert fit_smile(one, np.array([np.nan]), one, T) is None
    assert fit_smile(one, np.array([0.2]), one, 0.0) is None


def test_the_same_quotes_give_the_same_bits() -> None:
    k, vol, half = quoted(smile_of(T), noise=1.0)
    assert fitted(k, vol, half, T) == fitted(k.copy(), vol.copy(), half.copy(), T)


def test_slopes_are_the_derivatives() -> None:
    smile, h = Svi(0.004, 0.04, -0.4, 0.03, 0.12), 1e-5
    for k in (-0.5, -0.03, 0.0, 0.4):
        first, second = smile.slopes(k)
        assert float(first) == pytest.approx(float(smile.variance(k + h) - smile.variance(k - h)) / (2 * h), rel=1e-6)
        assert float(second) == pytest.approx(
            float(smile.variance(k + h) - 2 * smile.variance(k) + smile.variance(k - h)) / h**2, rel=1e-3
        )


def test_g_is_the_density_up_to_a_positive_factor() -> None:
    """A smile with a negative g has falling-then-rising call prices: not convex just there."""
    bad = Svi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)  # Axel Vogt's example
    k = np.linspace(-1.5, 1.5, 3001)
    g = durrleman(bad, k)
    assert g.min() < -0.01
    from engine.pricing import european

    strike = np.exp(k)
    call = european.price(1.0, strike, 1.0, 0.0, 0.0, np.sqrt(bad.variance(k)), True)
    slopes = np.diff(call) / np.diff(strike)
    concave = np.flatnonzero(np.diff(slopes) < -1e-9) + 1
    assert np.all(g[concave] < 1e-3)
    assert len(concave) > 50
