"""European values and Greeks against Black-Scholes-Merton at 60 digits, derivatives taken there numerically."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from engine.pricing.european import RAW, black76_full_greeks, black76_greeks, black76_price, full_greeks, greeks, price

CONTRACTS = 160


def exact_value(spot: Any, strike: Any, t: Any, r: Any, q: Any, vol: Any, is_call: bool) -> Any:
    sign = 1 if is_call else -1
    total = vol * mpmath.sqrt(t)
    d1 = (mpmath.log(spot / strike) + (r - q) * t) / total + total / 2
    legs = spot * mpmath.exp(-q * t), strike * mpmath.exp(-r * t)
    return sign * (legs[0] * mpmath.ncdf(sign * d1) - legs[1] * mpmath.ncdf(sign * (d1 - total)))


def exact(spot: float, strike: float, t: float, r: float, q: float, vol: float, is_call: bool) -> dict[str, float]:
    """All derivatives by differences at 60 digits: no formula of ours is used."""
    point = [mpmath.mpf(each) for each in (spot, strike, t, r, q, vol)]

    def derivative(*orders: int) -> Any:
        def value(*moved: Any) -> Any:
            at = list(point)
            for place, each in zip((0, 2, 3, 5), moved, strict=True):
                at[place] = each
            return exact_value(*at, is_call)

        if not any(orders):
            return exact_value(*point, is_call)
        return mpmath.diff(value, (point[0], point[2], point[3], point[5]), orders)

    return {
        "value": derivative(0, 0, 0, 0),
        "delta": derivative(1, 0, 0, 0),
        "gamma": derivative(2, 0, 0, 0),
        "vega": derivative(0, 0, 0, 1),
        "theta": -derivative(0, 1, 0, 0),
        "rho": derivative(0, 0, 1, 0),
        "vanna": derivative(1, 0, 0, 1),
        "volga": derivative(0, 0, 0, 2),
        "charm": -derivative(1, 1, 0, 0),
    }


def contracts() -> list[tuple[Any, ...]]:
    """Two minutes to three years, vol 2 to 400 %, six standard deviations to both sides, rates of both signs."""
    random = np.random.default_rng(60)
    found: list[tuple[Any, ...]] = []
    for n in range(CONTRACTS):
        t = float(np.exp(random.uniform(np.log(2 / 525600), np.log(3.0))))
        vol = float(np.exp(random.uniform(np.log(0.02), np.log(4.0))))
        spot = float(np.exp(random.uniform(np.log(0.5), np.log(8000.0))))
        strike = spot * float(np.exp(random.uniform(-6.0, 6.0) * vol * np.sqrt(t)))
        r, q = random.uniform(-0.05, 0.12, 2)
        found.append((spot, strike, t, float(r), float(q), vol, n % 2 == 0))
    return found


@pytest.fixture(scope="module")
def table() -> list[tuple[tuple[Any, ...], dict[str, float]]]:
    with mpmath.workdps(60):
        return [(each, exact(*each)) for each in contracts()]


# How far a Greek may be off, as a share of what it is at most: one part in 1e12 for all, and where a Greek itself hangs
# on the distance in standard deviations, that distance's own rounding (1e-16 over the total vol) beside it.
SCALES: dict[str, Callable[..., float]] = {
    "value": lambda spot, strike, t, r, q, vol: spot,
    "delta": lambda spot, strike, t, r, q, vol: 1.0,
    "gamma": lambda spot, strike, t, r, q, vol: 1.0 / (spot * vol * np.sqrt(t)),
    "vega": lambda spot, strike, t, r, q, vol: spot * np.sqrt(t),
    "theta": lambda spot, strike, t, r, q, vol: spot * vol / np.sqrt(t) + abs(r) * strike + abs(q) * spot,
    "rho": lambda spot, strike, t, r, q, vol: strike * t,
    "vanna": lambda spot, strike, t, r, q, vol: 1.0 / vol,
    "volga": lambda spot, strike, t, r, q, vol: spot * np.sqrt(t) / vol,
    "charm": lambda spot, strike, t, r, q, vol: 1.0 / t + abs(r - q) / (vol * np.sqrt(t)) + abs(q),
}


@pytest.mark.parametrize("name", list(SCALES))
def test_everything_is_exact_to_twelve_digits(name: str, table: Any) -> None:
    asked = [np.array(column) for column in zip(*(each for each, _ in table), strict=True)]
    found = getattr(full_greeks(*asked, units=RAW), name)
    for n, (each, known) in enumerate(table):
        total = each[5] * np.sqrt(each[2])
        conditioning = 0.0 if name == "value" else 16 * np.finfo(float).eps / total
        error = abs(float(mpmath.mpf(float(found[n])) - known[name])) / SCALES[name](*each[:6])
        assert error <= 1e-12 + conditioning, (each, error)


def test_the_three_ways_to_ask_agree_to_the_bit() -> None:
    asked = [np.array(column) for column in zip(*contracts(), strict=True)]
    full, five = full_greeks(*asked), greeks(*asked)
    assert np.array_equal(full.value, price(*asked))
    for name in five._fields:
        assert np.array_equal(getattr(full, name), getattr(five, name)), name


def test_desk_units_are_raw_units_scaled() -> None:
    asked = [np.array(column) for column in zip(*contracts(), strict=True)]
    desk, raw = full_greeks(*asked), full_greeks(*asked, units=RAW)
    units = {"vega": 0.01, "theta": 1 / 365, "rho": 0.01, "vanna": 0.01, "volga": 1e-4, "charm": 1 / 365}
    for name in raw._fields:
        assert getattr(desk, name) == pytest.approx(getattr(raw, name) * units.get(name, 1.0), rel=1e-14, abs=1e-300)


def test_black_76_is_the_derivative_with_respect_to_the_forward() -> None:
    """The rate discounts and does nothing else."""
    forward, strike, t, r, vol = 105.0, 100.0, 0.4, 0.06, 0.3
    for is_call in (True, False):
        found = black76_full_greeks(forward, strike, t, r, vol, is_call, units=RAW)

        def undiscounted(f: Any, time: Any, v: Any, is_call: bool = is_call) -> Any:
            return exact_value(f, mpmath.mpf(strike), time, 0, 0, v, is_call)

        with mpmath.workdps(40):
            at = [mpmath.mpf(each) for each in (forward, t, vol)]

            def value(f: Any, time: Any, v: Any, rate: Any, known: Any = undiscounted) -> Any:
                return mpmath.exp(-rate * time) * known(f, time, v)

            point = (*at, mpmath.mpf(r))
            known = {
                "value": value(*point),
                "delta": mpmath.diff(value, point, (1, 0, 0, 0)),
                "gamma": mpmath.diff(value, point, (2, 0, 0, 0)),
                "vega": mpmath.diff(value, point, (0, 0, 1, 0)),
                "theta": -mpmath.diff(value, point, (0, 1, 0, 0)),
                "rho": mpmath.diff(value, point, (0, 0, 0, 1)),
                "vanna": mpmath.diff(value, point, (1, 0, 1, 0)),
                "volga": mpmath.diff(value, point, (0, 0, 2, 0)),
                "charm": -mpmath.diff(value, point, (1, 1, 0, 0)),
            }
        for name, expected in known.items():
            assert float(getattr(found, name)) == pytest.approx(float(expected), rel=1e-12), (name, is_call)
        assert float(black76_price(forward, strike, t, r, vol, is_call)) == float(found.value)
        assert black76_greeks(forward, strike, t, r, vol, is_call, units=RAW).rho == found.rho


@pytest.mark.parametrize("is_call", [True, False])
def test_nothing_is_a_number_only_where_an_input_is_none(is_call: bool) -> None:
    spots = np.array([1e-8, 1.0, 100.0, 1e6])
    strikes = np.array([0.0, 1e-6, 100.0, 1e7])
    grid = np.meshgrid(spots, strikes, [0.0, 1e-12, 0.5, 50.0], [-0.2, 0.0, 0.3], [-0.2, 0.3], [0.0, 1e-9, 0.3, 30.0])
    found = full_greeks(*grid, is_call)
    for name in found._fields:
        assert np.isfinite(getattr(found, name)).all(), name
    smallest = np.abs(np.array(found))
    assert not ((smallest > 0) & (smallest < np.finfo(float).tiny)).any(), "a subnormal number"


@pytest.mark.parametrize("place", range(6))
def test_a_missing_or_impossible_input_gives_no_number(place: int) -> None:
    asked: list[Any] = [100.0, 100.0, 0.1, 0.04, 0.0, 0.2]
    asked[place] = np.nan
    assert np.isnan(np.array(full_greeks(*asked, True))).all()
    if place in (0, 1, 5):
        asked[place] = -1.0
        assert np.isnan(price(*asked, True))
