"""Black-Scholes-Merton: shapes, and its limits at no time and no vol."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pricing import greeks, price
from engine.pricing.european import spread

DAYS_A_YEAR = 365.0


def test_a_whole_chain_is_the_same_as_one_by_one() -> None:
    strikes = np.array([580.0, 600.0, 620.0])
    calls = np.array([True, False, True])
    together = greeks(600.0, strikes, 0.1, 0.04, 0.01, 0.2, calls)
    for i in range(3):
        alone = greeks(600.0, strikes[i], 0.1, 0.04, 0.01, 0.2, calls[i])
        assert [float(x[i]) for x in together] == [float(x) for x in alone]
    assert np.array_equal(together.value, price(600.0, strikes, 0.1, 0.04, 0.01, 0.2, calls))


@pytest.mark.parametrize(
    ("spot", "is_call", "value", "delta"),
    [
        (110.0, True, 10.0, 1.0),
        (90.0, True, 0.0, 0.0),
        (110.0, False, 0.0, 0.0),
        (90.0, False, 10.0, -1.0),
        (100.0, True, 0.0, 0.5),
        (100.0, False, 0.0, -0.5),
    ],
)
def test_at_expiry_an_option_is_its_intrinsic_value(spot: float, is_call: bool, value: float, delta: float) -> None:
    found = greeks(spot, 100.0, 0.0, 0.04, 0.01, 0.2, is_call)
    assert float(found.value) == value
    assert float(found.delta) == delta
    assert (float(found.gamma), float(found.vega), float(found.rho)) == (0.0, 0.0, 0.0)


def test_past_expiry_is_expiry() -> None:
    assert float(price(110.0, 100.0, -1.0, 0.04, 0.0, 0.2, True)) == 10.0


def test_without_vol_an_option_is_its_discounted_forward_intrinsic() -> None:
    found = greeks(100.0, 90.0, 0.5, 0.04, 0.02, 0.0, True)
    expected = 100 * np.exp(-0.01) - 90 * np.exp(-0.02)
    assert float(found.value) == pytest.approx(expected, abs=1e-12)
    assert float(found.delta) == pytest.approx(np.exp(-0.01), abs=1e-12)
    assert float(found.theta) * DAYS_A_YEAR == pytest.approx(0.02 * 100 * np.exp(-0.01) - 0.04 * 90 * np.exp(-0.02))
    assert (float(found.gamma), float(found.vega)) == (0.0, 0.0)


def test_the_limit_at_small_vol_is_the_value_without_vol() -> None:
    for spot in (95.0, 105.0):
        near = greeks(spot, 100.0, 0.25, 0.04, 0.0, 1e-9, False)
        limit = greeks(spot, 100.0, 0.25, 0.04, 0.0, 0.0, False)
        assert np.allclose(np.array(near), np.array(limit), atol=1e-9)


def test_a_missing_input_gives_nothing_instead_of_a_number() -> None:
    found = price(np.array([np.nan, 100.0]), 100.0, 0.1, 0.04, 0.0, np.array([0.2, np.nan]), True)
    assert np.isnan(found).all()


@pytest.mark.parametrize(
    "argument", [600.0, np.array([600.0]), np.broadcast_to(600.0, (1,))], ids=["number", "array", "view"]
)
def test_compiled_code_is_given_no_read_only_view(argument: float | np.ndarray) -> None:
    flat = spread(np.asarray(argument, np.float64), (1,))
    assert flat.flags.writeable
    assert flat.flags.c_contiguous
