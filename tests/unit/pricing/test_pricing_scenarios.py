"""The grid is a full revaluation: every point is what pricing each leg by itself would have said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.pricing import styles
from engine.pricing.scenarios import Legs, legs, scenario, values

MOVES, VOLS, DAYS = (-0.05, 0.0, 0.03), (-0.2, 0.0, 0.5), (0.0, 1.5, 20.0)


def book() -> Legs:
    """Long calls, short European puts, a far American put on another underlying, and shares of it."""
    return legs(
        spot=[600.0, 600.0, 50.0, 50.0],
        strike=[605.0, 590.0, 45.0, 0.0],
        t=[10 / 365, 40 / 365, 1.0, 0.0],
        vol=[0.18, 0.2, 0.4, 0.0],
        rate=0.04,
        carry=[0.012, 0.012, 0.0, 0.0],
        is_call=[True, False, False, True],
        american=[True, False, True, True],
        is_share=[False, False, False, True],
        quantity=[3.0, -2.0, 5.0, -150.0],
        multiplier=[100.0, 100.0, 100.0, 1.0],
        entry=[4.0, 6.5, 3.1, 52.0],
        beta=[1.0, 1.0, 1.4, 1.4],
    )


def test_every_point_is_each_leg_priced_by_itself() -> None:
    one, grid = book(), scenario(book(), MOVES, VOLS, DAYS)
    assert grid.pnl.shape == grid.delta.shape == grid.gamma.shape == grid.vega.shape == grid.theta.shape == (3, 3, 3)
    assert grid.by_leg.shape == (4, 3, 3, 3)
    for s, move in enumerate(MOVES):
        for v, vol in enumerate(VOLS):
            for d, days in enumerate(DAYS):
                pnl = delta = gamma = vega = theta = 0.0
                for n in range(4):
                    spot = one.spot[n] * (1 + one.beta[n] * move)
                    units = one.quantity[n] * one.multiplier[n]
                    if one.is_share[n]:
                        value, greeks = spot, (1.0, 0.0, 0.0, 0.0)
                    else:
                        found = styles.greeks(
                            spot, one.strike[n], max(one.t[n] - days / 365, 0), 0.04, one.carry[n], one.vol[n] * (1 + vol),
                            one.is_call[n], one.american[n],
                        )  # fmt: skip
                        value = float(found.value)
                        greeks = (float(found.delta), float(found.gamma), float(found.vega), float(found.theta))
                    pnl += units * (value - one.entry[n])
                    delta += units * greeks[0] * spot * one.beta[n]
                    gamma += units * greeks[1] * (spot * one.beta[n]) ** 2 / 100
                    vega += units * greeks[2]
                    theta += units * greeks[3]
                point = (s, v, d)
                assert grid.pnl[point] == pytest.approx(pnl, rel=1e-9, abs=1e-6)
                assert grid.delta[point] == pytest.approx(delta, rel=1e-9, abs=1e-6)
                assert grid.gamma[point] == pytest.approx(gamma, rel=1e-9, abs=1e-6)
                assert grid.vega[point] == pytest.approx(vega, rel=1e-9, abs=1e-6)
                assert grid.theta[point] == pytest.approx(theta, rel=1e-9, abs=1e-6)


def test_legs_add_up() -> None:
    grid = scenario(book(), MOVES, VOLS, DAYS)
    assert grid.by_leg.sum(axis=0) == pytest.approx(grid.pnl)


def test_a_leg_that_expires_on_the_way_is_worth_what_exercise_pays() -> None:
    grid = scenario(book(), MOVES, (0.0,), (11.0,))
    at = 600.0 * (1 + np.array(MOVES))
    assert grid.by_leg[0, :, 0, 0] == pytest.approx(300 * (np.maximum(at - 605, 0) - 4.0))


def test_without_entries_profit_counts_from_now() -> None:
    grid = scenario(legs(spot=100.0, strike=[95.0, 0.0], t=0.2, vol=0.3, is_call=True, is_share=[False, True], quantity=2.0), (0.0,))  # fmt: skip
    assert grid.by_leg[:, 0, 0, 0] == pytest.approx([0, 0], abs=1e-12)


def test_a_fall_of_more_than_everything_leaves_a_price_above_nothing() -> None:
    grid = scenario(legs(spot=100.0, strike=95.0, t=0.2, vol=0.3, is_call=True, quantity=1.0, beta=2.0), (-0.9,))
    assert np.isfinite(grid.pnl).all()


def test_values_at_today_agree_with_the_grid() -> None:
    one = book()
    grid = scenario(one, (0.0,))
    now = np.array([float(values(one, one.spot[n])[n]) for n in range(4)])
    assert one.units * (now - one.entry) == pytest.approx(grid.by_leg[:, 0, 0, 0])


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"spot": 0.0}, "spot"), ({"strike": -1.0}, "strike"), ({"t": -0.1}, "t"), ({"vol": -0.2}, "vol"),
        ({"vol": float("nan")}, "vol"), ({"quantity": float("inf")}, "quantity"), ({"multiplier": 0.0}, "multiplier"),
        ({"rate": float("nan")}, "rate"), ({"carry": float("nan")}, "carry"), ({"beta": float("nan")}, "beta"),
        ({"spot": [[100.0]]}, "one-dimensional"),
    ],
)  # fmt: skip
def test_a_leg_that_cannot_be_priced_is_refused_by_name(bad: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {"spot": 100.0, "strike": 100.0, "t": 0.1, "vol": 0.2, "is_call": True, "quantity": 1.0}
    with pytest.raises(ValueError, match=named):
        legs(**(good | bad))
