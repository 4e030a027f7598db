"""Cash dividends: against a lattice of the same model, and what the model must do at its edges."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pricing import american, european
from engine.pricing.dividends import (
    CashDividend,
    equivalent_yield,
    greeks_with_dividends,
    present_value,
    price_with_dividends,
)
from engine.pricing.european import RAW

STEPS = 1200


def lattice(
    spot: float, strike: float, t: float, r: float, vol: float, is_call: bool, dividends: list[CashDividend]
) -> float:
    """Binomial in the escrowed spot; every ex-date falls on a step, where exercise comes with the dividend."""
    dt = t / STEPS
    up = np.exp(vol * np.sqrt(dt))
    p, discount, sign = (np.exp(r * dt) - 1 / up) / (up - 1 / up), np.exp(-r * dt), 1.0 if is_call else -1.0
    start, held = spot - present_value(dividends, t, r), np.zeros(0)
    for level in range(STEPS - 1, -1, -1):
        moment = level * dt
        x = start * up ** (2.0 * np.arange(level + 1) - level)
        held = (
            european.price(x, strike, dt, r, 0.0, vol, is_call)
            if level == STEPS - 1
            else discount * (p * held[1:] + (1 - p) * held[:-1])
        )
        escrow = sum(each.amount * np.exp(-r * (each.t - moment)) for each in dividends if each.t > moment - 1e-9)
        held = np.maximum(held, sign * (x + escrow - strike))
    return float(held[0])


@pytest.mark.parametrize("seed", range(12))
def test_within_half_a_cent_of_a_lattice(seed: int) -> None:
    random = np.random.default_rng(seed)
    t = float(random.choice([0.1, 0.25, 0.5, 1.0, 2.0]))
    steps = np.unique(random.integers(0.05 * STEPS, 0.95 * STEPS, random.integers(1, 5)))
    dividends = [CashDividend(step * t / STEPS, float(random.uniform(0.2, 1.5))) for step in steps]
    r, vol = float(random.uniform(0.0, 0.08)), float(random.uniform(0.1, 0.5))
    strike = float(100.0 * np.exp(random.normal(0.0, 0.7) * vol * np.sqrt(t)))
    for is_call in (True, False):
        found = float(price_with_dividends(100.0, strike, t, r, vol, is_call, dividends))
        assert found == pytest.approx(lattice(100.0, strike, t, r, vol, is_call, dividends), abs=0.004)


def test_without_dividends_it_is_the_american_value() -> None:
    strike = np.linspace(80.0, 125.0, 16)
    for t, r, q, is_call in ((0.25, 0.05, 0.0, False), (1.0, 0.03, 0.06, True), (0.5, 0.05, 0.0, True)):
        assert price_with_dividends(100.0, strike, t, r, 0.25, is_call, [], q) == pytest.approx(
            american.price(100.0, strike, t, r, q, 0.25, is_call), abs=0.003
        )


def test_dividends_at_or_after_expiry_or_gone_are_none() -> None:
    dead = [CashDividend(0.5, 5.0), CashDividend(0.7, 5.0), CashDividend(0.0, 5.0), CashDividend(-0.1, 5.0)]
    with_them, without = (price_with_dividends(100.0, 95.0, 0.5, 0.04, 0.2, True, each) for each in (dead, []))
    assert with_them == without


def test_the_forward_is_the_markets() -> None:
    """At small strikes a call is the escrowed stock less the discounted strike, and parity of Europeans gives the forward."""
    dividends = [CashDividend(0.2, 1.0), CashDividend(0.45, 1.0)]
    q = equivalent_yield(100.0, 0.5, 0.05, dividends)
    assert 100.0 * np.exp(-q * 0.5) == pytest.approx(100.0 - present_value(dividends, 0.5, 0.05), abs=1e-12)
    put = european.price(100.0 - present_value(dividends, 0.5, 0.05), 100.0, 0.5, 0.05, 0.0, 0.2, False)
    assert european.price(100.0, 100.0, 0.5, 0.05, q, 0.2, False) == pytest.approx(put, abs=1e-12)


def test_calls_are_exercised_before_the_ex_date_and_only_then() -> None:
    """Deep in the money a call is worth exercising the moment before; with a small dividend never."""
    soon = [CashDividend(1e-5, 2.0)]
    assert float(price_with_dividends(100.0, 60.0, 0.25, 0.02, 0.15, True, soon)) == pytest.approx(40.0, abs=1e-3)
    small = [CashDividend(0.1, 0.02)]
    european_value = european.price(100.0 - present_value(small, 0.25, 0.05), 95.0, 0.25, 0.05, 0.0, 0.2, True)
    assert float(price_with_dividends(100.0, 95.0, 0.25, 0.05, 0.2, True, small)) == pytest.approx(
        float(european_value), abs=1e-6
    )


def test_puts_wait_for_the_ex_date() -> None:
    """A deep put a day before a large dividend is worth more than exercising now; the day after it is exercised."""
    ahead = greeks_with_dividends(60.0, 100.0, 0.25, 0.04, 0.15, False, [CashDividend(1 / 365, 2.0)])
    assert float(ahead.value) == pytest.approx(42.0 - 100.0 * 0.04 / 365, abs=5e-3)
    after = greeks_with_dividends(58.0, 100.0, 0.25, 0.04, 0.15, False, [])
    assert float(after.value) == pytest.approx(42.0, abs=1e-9)
    assert float(after.delta) == -1.0
    assert float(after.gamma) == float(after.vega) == float(after.theta) == float(after.rho) == 0.0


def test_greeks_are_slopes() -> None:
    dividends = [CashDividend(0.1, 0.8), CashDividend(0.35, 0.8)]
    strike = np.array([85.0, 95.0, 100.0, 105.0, 115.0])
    for is_call in (True, False):
        found = greeks_with_dividends(100.0, strike, 0.5, 0.05, 0.25, is_call, dividends, units=RAW)

        def value(spot: float = 100.0, vol: float = 0.25, r: float = 0.05, is_call: bool = is_call) -> np.ndarray:
            return price_with_dividends(spot, strike, 0.5, r, vol, is_call, dividends)

        assert found.delta == pytest.approx((value(100.5) - value(99.5)) / 1.0, abs=3e-3)
        assert found.vega == pytest.approx((value(vol=0.255) - value(vol=0.245)) / 0.01, abs=0.15)
        assert found.rho == pytest.approx((value(r=0.051) - value(r=0.049)) / 0.002, abs=0.3)
        sooner = [CashDividend(each.t - 0.004, each.amount) for each in dividends]
        later = price_with_dividends(100.0, strike, 0.496, 0.05, 0.25, is_call, sooner)
        assert found.theta == pytest.approx((later - value()) / 0.004, abs=0.25)


def test_what_cannot_be_priced() -> None:
    assert np.isnan(float(price_with_dividends(10.0, 10.0, 1.0, 0.05, 0.2, True, [CashDividend(0.5, 11.0)])))
    assert np.isnan(price_with_dividends(100.0, [100.0, -1.0, np.nan], 1.0, 0.05, [np.nan, 0.2, 0.2], True, [])).all()
    assert price_with_dividends(100.0, [90.0, 110.0], 0.0, 0.05, 0.2, True, []).tolist() == [10.0, 0.0]


def test_the_equivalent_yield_is_near_for_an_index_fund() -> None:
    """Quarterly 0.3 %: what speed costs is early exercise before and after the ex-date, cents on a spot of 600."""
    dividends = [CashDividend(0.06, 1.8), CashDividend(0.31, 1.8)]
    strike, vol = np.linspace(500.0, 680.0, 19), 0.17
    q = equivalent_yield(600.0, 0.4, 0.043, dividends)
    gaps = []
    for is_call in (True, False):
        exact = price_with_dividends(600.0, strike, 0.4, 0.043, vol, is_call, dividends)
        gaps.append(np.abs(american.price(600.0, strike, 0.4, 0.043, q, vol, is_call) - exact).max())
    assert gaps[0] < 0.02
    assert 0.1 < gaps[1] < 0.8
