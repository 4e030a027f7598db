"""What must hold for every European option, whatever its numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from app.commands.bench_pricing_laws import violations
from engine.pricing import IvStatus, greeks, implied_vol, price
from engine.pricing.european import RAW, full_greeks

spots = st.floats(5, 2000)
moneyness = st.floats(-0.7, 0.7)
years = st.floats(10 / (365 * 1440), 3)
rates = st.floats(-0.02, 0.10)
carries = st.floats(0, 0.06)
vols = st.floats(0.03, 3)
sides = st.booleans()


@given(spots, moneyness, years, rates, carries, vols)
def test_put_call_parity(spot: float, m: float, t: float, r: float, q: float, vol: float) -> None:
    strike = spot * np.exp(m)
    call, put = (float(price(spot, strike, t, r, q, vol, side)) for side in (True, False))
    assert abs(call - put - (spot * np.exp(-q * t) - strike * np.exp(-r * t))) <= 1e-12 * (spot + strike)


@given(spots, moneyness, years, rates, carries, vols, sides)
def test_bounds_of_the_value(spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool) -> None:
    strike = spot * np.exp(m)
    spot_leg, cash_leg = spot * np.exp(-q * t), strike * np.exp(-r * t)
    intrinsic = max(spot_leg - cash_leg if call else cash_leg - spot_leg, 0.0)
    value = float(price(spot, strike, t, r, q, vol, call))
    slack = 1e-12 * (spot + strike)
    assert intrinsic - slack <= value <= (spot_leg if call else cash_leg) + slack


@given(spots, moneyness, years, rates, carries, vols, sides)
def test_signs_and_bounds_of_the_greeks(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool
) -> None:
    found = greeks(spot, spot * np.exp(m), t, r, q, vol, call)
    delta = float(found.delta)
    assert (0 <= delta <= 1) if call else (-1 <= delta <= 0)
    assert found.gamma >= 0
    assert found.vega >= 0
    assert (found.rho >= 0) if call else (found.rho <= 0)


@given(spots, moneyness, years, rates, carries, vols, sides, st.floats(1.001, 2))
def test_value_grows_with_vol_and_with_moneyness(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool, more: float
) -> None:
    strike = spot * np.exp(m)
    slack = 1e-12 * (spot + strike)
    value = float(price(spot, strike, t, r, q, vol, call))
    assert float(price(spot, strike, t, r, q, vol * more, call)) >= value - slack
    higher = float(price(spot * more, strike, t, r, q, vol, call))
    assert (higher >= value - slack) if call else (higher <= value + slack)


@given(spots, moneyness, years, rates, carries, vols, sides)
def test_greeks_are_the_slopes_of_the_value(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool
) -> None:
    strike = spot * np.exp(m)
    assume(vol * np.sqrt(t) > 0.01)
    found = greeks(spot, strike, t, r, q, vol, call)
    step, bump = spot * 1e-5, 1e-5

    def slope(up: float, down: float, width: float) -> float:
        return (up - down) / (2 * width)

    by_spot = slope(
        float(price(spot + step, strike, t, r, q, vol, call)),
        float(price(spot - step, strike, t, r, q, vol, call)),
        step,
    )
    assert abs(by_spot - float(found.delta)) < 1e-4
    by_vol = slope(
        float(price(spot, strike, t, r, q, vol + bump, call)),
        float(price(spot, strike, t, r, q, vol - bump, call)),
        bump,
    )
    assert abs(by_vol / 100 - float(found.vega)) < 1e-6 * spot
    by_rate = slope(
        float(price(spot, strike, t, r + bump, q, vol, call)),
        float(price(spot, strike, t, r - bump, q, vol, call)),
        bump,
    )
    assert abs(by_rate / 100 - float(found.rho)) < 1e-6 * spot
    width = min(1e-6, t / 100)
    by_time = slope(
        float(price(spot, strike, t - width, r, q, vol, call)),
        float(price(spot, strike, t + width, r, q, vol, call)),
        width,
    )
    assert abs(by_time / 365 - float(found.theta)) < 1e-4 * spot


@given(spots, moneyness, years, rates, carries, vols, sides)
def test_implied_vol_of_a_value_is_its_vol_or_nothing(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool
) -> None:
    strike = spot * np.exp(m)
    found = greeks(spot, strike, t, r, q, vol, call)
    answer = implied_vol(found.value, spot, strike, t, r, q, call)
    if answer.status[0] != IvStatus.CONVERGED:
        assert np.isnan(answer.vol[0])
        return
    # A float's own rounding of the value, seen through the vega, is the only error allowed.
    rounding = 64 * np.finfo(float).eps * (spot + strike) / max(float(found.vega) * 100, 1e-300)
    assert abs(float(answer.vol[0]) - vol) <= max(1e-10, rounding)


@given(spots, moneyness, years, vols, sides)
def test_a_quote_with_visible_time_value_always_has_a_vol(
    spot: float, m: float, t: float, vol: float, call: bool
) -> None:
    strike = spot * np.exp(m)
    value = float(price(spot, strike, t, 0.04, 0.0, vol, call))
    cash_leg = strike * np.exp(-0.04 * t)
    time_value = value - max(spot - cash_leg if call else cash_leg - spot, 0.0)
    assume(time_value > 0.005)
    assume(value < 0.99 * (spot if call else cash_leg))
    assert implied_vol(value, spot, strike, t, 0.04, 0.0, call).status[0] == IvStatus.CONVERGED


@given(spots, moneyness, years, rates, carries, vols, sides, st.floats(1.001, 1.5))
def test_value_is_convex_in_spot_and_strike(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool, width: float
) -> None:
    strike = spot * np.exp(m)
    slack = 1e-14 * (spot + strike) * width
    for at in (np.array([spot / width, spot, spot * width]), spot):
        over = strike if at is not spot else np.array([strike / width, strike, strike * width])
        grid = at if at is not spot else over
        low, mid, high = price(at, over, t, r, q, vol, call)
        share = (grid[1] - grid[0]) / (grid[2] - grid[0])
        assert mid <= (1 - share) * low + share * high + slack


@given(spots, moneyness, years, rates, carries, vols, sides, st.floats(1e-3, 1e3))
def test_value_is_homogeneous_in_spot_and_strike(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool, scale: float
) -> None:
    strike = spot * np.exp(m)
    value = float(price(spot, strike, t, r, q, vol, call))
    scaled = float(price(spot * scale, strike * scale, t, r, q, vol, call))
    assert abs(scaled - scale * value) <= 1e-14 * scale * (spot + strike)


@given(spots, moneyness, years, rates, carries, vols, sides)
def test_second_greeks_are_the_slopes_of_the_first(
    spot: float, m: float, t: float, r: float, q: float, vol: float, call: bool
) -> None:
    strike, total = spot * np.exp(m), vol * np.sqrt(t)
    assume(total > 0.01)
    found = full_greeks(spot, strike, t, r, q, vol, call, units=RAW)
    step = spot * total * 1e-4
    up, down = (full_greeks(spot + each, strike, t, r, q, vol, call, units=RAW) for each in (step, -step))
    assert abs(float(up.delta - down.delta) / (2 * step) - float(found.gamma)) < 1e-6 / (spot * total)
    assert abs(float(up.vega - down.vega) / (2 * step) - float(found.vanna)) < 1e-6 * np.sqrt(t) / total
    bump = vol * 1e-4
    more, less = (full_greeks(spot, strike, t, r, q, vol + each, call, units=RAW) for each in (bump, -bump))
    assert abs(float(more.vega - less.vega) / (2 * bump) - float(found.volga)) < 1e-5 * spot * np.sqrt(t) / vol
    width = t * 1e-4
    later, sooner = (full_greeks(spot, strike, t + each, r, q, vol, call, units=RAW) for each in (width, -width))
    scale = 1.0 / t + (abs(r) + abs(q)) / total
    assert abs(float(sooner.delta - later.delta) / (2 * width) - float(found.charm)) < 1e-5 * scale


def test_no_law_is_broken_by_a_hundred_thousand_random_contracts() -> None:
    assert {law: number for law, number in violations(100_000, seed=1).items() if number} == {}
