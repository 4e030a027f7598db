"""Chances of profit and of touch: against closed forms, a simulation written here, and each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from engine.pricing.payoff import outline
from engine.pricing.probability import Lognormal, Tabulated, of_profit, of_touch
from engine.pricing.scenarios import legs

SPOT, T, R, Q, VOL = 100.0, 0.25, 0.04, 0.01, 0.3
FORWARD = SPOT * np.exp((R - Q) * T)
AROUND = Lognormal(FORWARD, VOL, T)


def structure(strikes: list[float], quantities: list[float], paid: list[float], calls: list[bool]):  # type: ignore[no-untyped-def]
    return legs(
        spot=SPOT, strike=strikes, t=T, vol=VOL, rate=R, carry=Q, is_call=calls, quantity=quantities, entry=paid
    )


def above(price: float) -> float:
    """N(d2) of a strike, by the textbook."""
    return float(ndtr((np.log(FORWARD / price) - 0.5 * VOL**2 * T) / (VOL * np.sqrt(T))))


@pytest.mark.parametrize(
    ("strikes", "quantities", "paid", "calls", "chance"),
    [
        ([100.0], [1.0], [4.0], [True], above(104)),
        ([100.0], [-1.0], [4.0], [True], 1 - above(104)),
        ([100.0], [1.0], [4.0], [False], 1 - above(96)),
        ([100.0, 110.0], [1.0, -1.0], [6.0, 2.5], [True, True], above(103.5)),
        ([90.0, 95.0, 105.0, 110.0], [1.0, -1.0, -1.0, 1.0], [1.0, 2.0, 2.2, 1.1], [False, False, True, True], above(92.9) - above(107.1)),
        ([100.0, 100.0], [1.0, 1.0], [5.0, 5.0], [True, False], above(110) + 1 - above(90)),
        ([100.0], [1.0], [0.0], [True], above(100)),
        ([90.0, 100.0], [1.0, -1.0], [1.0, 12.0], [True, True], 1.0),
    ],
)  # fmt: skip
def test_chance_of_profit_is_that_of_the_stretches_that_gain(
    strikes: list[float], quantities: list[float], paid: list[float], calls: list[bool], chance: float
) -> None:
    assert of_profit(structure(strikes, quantities, paid, calls), AROUND) == pytest.approx(chance, abs=1e-12)


def test_a_smile_told_as_a_table_gives_the_same_chance_as_the_formula() -> None:
    prices = np.linspace(1, 500, 200_000)
    told = Tabulated(prices, AROUND.below(prices))
    call = structure([100.0], [1.0], [4.0], [True])
    assert of_profit(call, told) == pytest.approx(of_profit(call, AROUND), abs=1e-6)


def test_before_expiry_the_chance_is_that_of_the_break_even_of_that_day() -> None:
    call = structure([100.0], [1.0], [4.0], [True])
    seen = outline(call, 20.0)
    there = Lognormal(SPOT * np.exp((R - Q) * 20 / 365), VOL, 20 / 365)
    assert of_profit(call, there, seen) == pytest.approx(float(1 - there.below(seen.break_evens[0])), abs=1e-12)


@pytest.mark.parametrize(
    "table", [([1.0, 1.0], [0.0, 1.0]), ([1.0, 2.0], [0.5, 0.4]), ([1.0, 2.0], [-0.1, 1.0]), ([], [])]
)
def test_a_table_that_is_no_distribution_is_refused(table: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="rises"):
        Tabulated(np.array(table[0]), np.array(table[1]))


def test_without_vol_the_underlying_is_at_its_forward() -> None:
    sure = Lognormal(101.0, 0.0, T)
    assert sure.below([100.9, 101.0, 102.0]).tolist() == [0.0, 1.0, 1.0]
    assert AROUND.below([0.0, -1.0]).tolist() == [0.0, 0.0]


def test_chance_of_touch_against_a_simulation_of_paths() -> None:
    random = np.random.default_rng(7)
    steps, paths = 500, 40_000
    low, high = np.full(paths, SPOT), np.full(paths, SPOT)
    log = np.full(paths, np.log(SPOT))
    each = T / steps
    for _ in range(steps):
        log += (R - Q - 0.5 * VOL**2) * each + VOL * np.sqrt(each) * random.standard_normal(paths)
        np.minimum(low, np.exp(log), out=low)
        np.maximum(high, np.exp(log), out=high)
    # Between two looks a path goes beyond what was seen: Broadie, Glasserman and Kou move the barrier by this much.
    shift = np.exp(0.5826 * VOL * np.sqrt(each))
    for barrier, seen in (
        (85.0, (low <= 85.0 * shift)),
        (115.0, (high >= 115.0 / shift)),
        (103.0, (high >= 103.0 / shift)),
    ):
        assert float(of_touch(SPOT, barrier, T, R, Q, VOL)) == pytest.approx(float(seen.mean()), abs=0.012)


def test_chance_of_touch_at_its_edges() -> None:
    assert float(of_touch(100, 100, 0.0, R, Q, VOL)) == 1.0
    assert float(of_touch(100, 110, 0.0, R, Q, VOL)) == 0.0
    assert float(of_touch(100, 101, 1.0, 0.05, 0.0, 0.0)) == 1.0  # carried there
    assert float(of_touch(100, 99, 1.0, 0.05, 0.0, 0.0)) == 0.0
    assert float(of_touch(100, 1e-3, 1.0, R, Q, VOL)) < 1e-12
    assert float(of_touch(100, 1e6, 3.0, 0.0, 0.0, 0.02)) == 0.0
    assert of_touch(100, [90, 110], 0.1, R, Q, [[0.1], [0.5]]).shape == (2, 2)
