"""American values and Greeks against other methods: another library's finest engine, lattices, differences, exact limits."""

from __future__ import annotations

import numpy as np
import pytest

from app.commands.bench_american_sets import PRECISE, Oracle, nothing_shared, regimes, two_boundaries
from app.commands.bench_pricing_sets import Contracts, chains
from engine.pricing import american, european
from engine.pricing.american import Boundaries
from engine.pricing.european import RAW
from engine.pricing.kernels import runtime, warm


def values(contracts: Contracts, *, precise: bool = False) -> np.ndarray:
    return american.price(*contracts, precise=precise)


def lattice(
    spot: float, strike: float, t: float, r: float, q: float, vol: float, is_call: bool, steps: int = 1600
) -> float:
    """Binomial, Black-Scholes in the last step, extrapolated in the number of steps (Broadie and Detemple 1996)."""

    def tree(count: int) -> float:
        dt = t / count
        up = np.exp(vol * np.sqrt(dt))
        p, discount = (np.exp((r - q) * dt) - 1 / up) / (up - 1 / up), np.exp(-r * dt)
        sign = 1.0 if is_call else -1.0
        held = np.zeros(0)
        for level in range(count - 1, -1, -1):
            x = spot * up ** (2.0 * np.arange(level + 1) - level)
            held = (
                european.price(x, strike, dt, r, q, vol, is_call)
                if level == count - 1
                else discount * (p * held[1:] + (1 - p) * held[:-1])
            )
            held = np.maximum(held, sign * (x - strike))
        return float(held[0])

    return 2 * tree(steps) - tree(steps // 2)


# ---- accuracy


def test_every_regime_against_another_library_at_its_finest() -> None:
    contracts = regimes(300, seed=21)
    contracts = contracts.where(~two_boundaries(contracts))
    gap = values(contracts) - Oracle(contracts, PRECISE).values()
    # A tenth of a cent at most and a hundredth of one on average are allowed.
    assert np.abs(gap).max() < 1e-4
    assert np.sqrt(np.mean(gap * gap)) < 1e-5


def test_the_precise_scheme_has_ten_digits() -> None:
    """Where two libraries' finest schemes are at their best: at the money, a year."""
    contracts = Contracts(
        *(np.array(each) for each in ([100.0] * 4, [100.0, 100.0, 90.0, 110.0], [1.0] * 4)),
        np.array([0.05, 0.075, 0.03, 0.08]),
        np.array([0.05, 0.05, 0.06, 0.02]),
        np.array([0.25, 0.25, 0.3, 0.2]),
        np.array([False, False, True, False]),
    )
    precise = values(contracts, precise=True)
    assert np.abs(precise - Oracle(contracts, PRECISE).values()).max() < 2e-7
    assert np.abs(values(contracts) - precise).max() < 2e-6


@pytest.mark.parametrize("contracts", [chains(600), nothing_shared(600)], ids=["shared", "single"])
def test_a_chain_is_right_where_boundaries_are_shared_and_where_not(contracts: Contracts) -> None:
    usual, precise = american.greeks(*contracts, units=RAW), american.greeks(*contracts, units=RAW, precise=True)
    spot, root = contracts.spot, np.sqrt(contracts.t)
    size = {
        "value": 5e-7 * spot,
        "delta": 1e-4 + 0 * spot,
        "gamma": 2e-2 / (spot * contracts.vol * root),
        "vega": 3e-4 * spot * root,
        "theta": 1e-2 * spot * contracts.vol / root,
        "rho": 1e-3 * contracts.strike * contracts.t,
    }
    for name, allowed in size.items():
        gap = np.abs(getattr(usual, name) - getattr(precise, name))
        assert (gap <= allowed).all(), name
        assert np.sqrt(np.mean((gap / allowed) ** 2)) < 0.2, name


def test_sharing_a_boundary_moves_no_value() -> None:
    """The same contract among hundreds of its expiry, and alone."""
    strikes, vols = np.linspace(60, 150, 300), np.geomspace(1.6, 0.08, 300)
    for t, r, q, is_call in ((0.02, 0.05, 0.0, False), (1.2, 0.05, 0.02, False), (2.5, 0.02, 0.06, True)):
        together = american.price(100.0, strikes, t, r, q, vols, is_call)
        alone = [float(american.price(100.0, k, t, r, q, v, is_call)) for k, v in zip(strikes, vols, strict=True)]
        assert np.abs(together - alone).max() < 3e-6


def test_greeks_are_the_slopes_of_the_precise_value() -> None:
    contracts = regimes(500, seed=5)
    total = contracts.vol * np.sqrt(contracts.t)
    found = american.greeks(*contracts, units=RAW)
    held = (found.gamma > 0) & ~two_boundaries(contracts) & (total > 0.02) & (contracts.vol < 1.0)
    # Within a step of the boundary a difference straddles it.
    inner = np.abs(found.value - np.maximum(np.where(contracts.is_call, 1, -1) * (100 - contracts.strike), 0)) > 1e-2
    contracts = contracts.where(held & inner)
    found = american.greeks(*contracts, units=RAW)
    spot, strike, t, r, q, vol, _is_call = contracts
    assert spot.size > 120

    def slope(up: Contracts, down: Contracts, width: np.ndarray | float) -> np.ndarray:
        slopes: np.ndarray = (values(up, precise=True) - values(down, precise=True)) / (2 * width)
        return slopes

    step = 1e-3 * spot * contracts.vol * np.sqrt(t)
    up, down = contracts._replace(spot=spot + step), contracts._replace(spot=spot - step)
    delta, here = slope(up, down, step), values(contracts, precise=True)
    gamma = (values(up, precise=True) - 2 * here + values(down, precise=True)) / step**2
    vega = slope(contracts._replace(vol=vol * 1.001), contracts._replace(vol=vol * 0.999), vol * 1e-3)
    theta = -slope(contracts._replace(t=t * 1.001), contracts._replace(t=t * 0.999), t * 1e-3)
    rho = slope(contracts._replace(r=r + 1e-5), contracts._replace(r=r - 1e-5), 1e-5)
    root = np.sqrt(t)
    assert np.abs(found.delta - delta).max() < 5e-4
    assert (np.abs(found.gamma - gamma) * spot * vol * root).max() < 2e-2
    assert (np.abs(found.vega - vega) / (spot * root)).max() < 1e-3
    assert (np.abs(found.theta - theta) * root / (spot * vol)).max() < 2e-2
    # Where one rate is another, or nothing, the boundary has a corner and the difference takes the mean of two sides.
    smooth = (np.abs(r - q) > 1e-4) & (np.abs(r) > 1e-4) & (np.abs(q) > 1e-4)
    assert (np.abs(found.rho - rho) / (strike * t))[smooth].max() < 3e-3


def test_second_greeks_are_the_slopes_of_the_first() -> None:
    strike = np.linspace(85, 118, 12)
    arguments = (strike, 0.7, 0.05, 0.02, 0.25, strike > 100)
    found = american.full_greeks(100.0, *arguments, units=RAW)
    up, down = (american.greeks(100.0 + side, *arguments, units=RAW) for side in (0.05, -0.05))
    assert found.vanna == pytest.approx((up.vega - down.vega) / 0.1, abs=2e-3)
    higher, lower = (
        american.greeks(100.0, strike, 0.7, 0.05, 0.02, v, strike > 100, units=RAW) for v in (0.252, 0.248)
    )
    assert found.volga == pytest.approx((higher.vega - lower.vega) / 0.004, abs=0.2)
    sooner, later = (
        american.greeks(100.0, strike, t, 0.05, 0.02, 0.25, strike > 100, units=RAW) for t in (0.701, 0.699)
    )
    assert found.charm == pytest.approx((later.delta - sooner.delta) / 0.002, abs=5e-3)


@pytest.mark.parametrize(
    ("strike", "t", "r", "q", "vol"),
    [
        (100.0, 3.0, -0.0057, -0.0177, 0.03),
        (103.0, 3.0, -0.0145, -0.019, 0.095),
        (98.0, 0.5, -0.0052, -0.0228, 0.2),
        (104.0, 0.1, -0.0041, -0.025, 0.33),
        (95.0, 1.0, -0.01, -0.0101, 0.15),
    ],
)
def test_two_boundaries_against_a_lattice(strike: float, t: float, r: float, q: float, vol: float) -> None:
    put = float(american.price(100.0, strike, t, r, q, vol, False))
    assert put == pytest.approx(lattice(100.0, strike, t, r, q, vol, False), abs=2e-4)
    call = float(american.price(strike, 100.0, t, q, r, vol, True))
    assert call == pytest.approx(put, abs=1e-12)
    found = american.greeks(100.0, strike, t, r, q, vol, False, units=RAW)
    by_spot = [float(american.price(100.0 + side, strike, t, r, q, vol, False)) for side in (0.02, 0.0, -0.02)]
    assert float(found.delta) == pytest.approx((by_spot[0] - by_spot[2]) / 0.04, abs=2e-4)
    by_rate = [float(american.price(100.0, strike, t, r + side, q, vol, False)) for side in (1e-5, -1e-5)]
    assert float(found.rho) == pytest.approx((by_rate[0] - by_rate[1]) / 2e-5, abs=1e-3 * strike * t)


def test_inside_two_boundaries_the_holder_exercises() -> None:
    """Above r/q of the strike and below it; deeper in the money he waits, for the rate he would pay is negative."""
    found = american.greeks([95.0, 20.0], 100.0, 0.05, -0.01, -0.03, 0.05, False)
    assert found.value[0] == pytest.approx(5.0, abs=1e-12)
    assert found.delta[0] == -1.0
    assert found.gamma[0] == found.vega[0] == found.theta[0] == found.rho[0] == 0.0
    assert found.value[1] > 80.0


# ---- limits


@pytest.mark.parametrize(("r", "q"), [(0.0, 0.02), (-0.02, 0.0), (-0.01, -0.005), (0.0, 0.0), (-0.01, -0.01)])
def test_a_put_nobody_exercises_early_is_european(r: float, q: float) -> None:
    strike = np.linspace(60, 160, 21)
    assert american.price(100.0, strike, 1.3, r, q, 0.3, False) == pytest.approx(
        european.price(100.0, strike, 1.3, r, q, 0.3, False), abs=1e-12
    )
    assert american.price(100.0, strike, 1.3, q, r, 0.3, True) == pytest.approx(
        european.price(100.0, strike, 1.3, q, r, 0.3, True), abs=1e-12
    )


def test_in_the_exercise_region_everything_is_exact() -> None:
    found = american.greeks([60.0, 170.0], 100.0, 1.0, 0.05, [0.0, 0.09], 0.2, [False, True])
    assert found.value.tolist() == pytest.approx([40.0, 70.0], abs=1e-12)
    assert found.delta.tolist() == [-1.0, 1.0]
    for each in (found.gamma, found.vega, found.theta, found.rho):
        assert each.tolist() == [0.0, 0.0]


def test_without_time_vol_spot_or_strike() -> None:
    assert american.price([90.0, 110.0], 100.0, [0.0, -1.0], 0.05, 0.0, 0.2, [False, True]).tolist() == [10.0, 10.0]
    still = american.greeks(100.0, [120.0, 90.0, 105.0], 2.0, 0.05, 0.01, 0.0, [False, True, True], units=RAW)
    forward = 100.0 * np.exp(-0.02) - np.array([90.0, 105.0]) * np.exp(-0.1)
    assert still.value == pytest.approx([20.0, *forward], abs=1e-12)
    assert still.delta == pytest.approx([-1.0, np.exp(-0.02), np.exp(-0.02)], abs=1e-12)
    assert still.rho == pytest.approx([0.0, 2 * 90 * np.exp(-0.1), 2 * 105 * np.exp(-0.1)], abs=1e-9)
    # A certain path may pay best in between: the yield eats the stock at first faster than the rate the strike.
    assert float(american.price(100.0, 120.0, 40.0, 0.01, 0.5, 0.0, False)) == pytest.approx(
        108.9809045611846, abs=1e-9
    )
    assert american.price([0.0, 0.0], 100.0, 1.0, [0.05, -0.05], 0.0, 0.2, False) == pytest.approx(
        [100.0, 100.0 * np.exp(0.05)], abs=1e-12
    )
    assert american.price([0.0, 100.0], [100.0, 0.0], 1.0, 0.05, 0.01, 0.2, True).tolist() == [0.0, 100.0]


@pytest.mark.parametrize("rate", [5e-324, 2.3e-309, 1e-200, 1e-13, 1e-9, 1e-5])
@pytest.mark.parametrize("other", [0.0, 0.0625, -0.02, 1e-7, -1e-7])
def test_rates_next_to_nothing(rate: float, other: float) -> None:
    for r in (rate, -rate):
        for is_call in (False, True):
            found = american.greeks(5.0, 5.0, 1.0, r, other, 1.0, is_call, units=RAW)
            near = american.greeks(5.0, 5.0, 1.0, 0.0, other, 1.0, is_call, units=RAW)
            assert float(found.value) == pytest.approx(float(near.value), abs=1e-6 + 30 * rate)
            assert all(np.isfinite(float(each)) for each in found)


def test_small_vols_pass_into_none() -> None:
    vols = np.array([3e-2, 1e-2, 1e-3, 1e-4, 1e-5])
    for q, is_call in ((0.0, False), (0.02, False), (0.08, True)):
        found = american.price(100.0, 101.0, 1.0, 0.05, q, vols, is_call)
        assert np.isfinite(found).all()
        assert (np.diff(found) <= 1e-6).all()
        limit = float(american.price(100.0, 101.0, 1.0, 0.05, q, 0.0, is_call))
        assert float(found[-1]) == pytest.approx(limit, abs=1e-3)


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_option_has_no_value(place: int, bad: float) -> None:
    good = [100.0, 100.0, 1.0, 0.05, 0.02, 0.2]
    good[place] = bad
    assert all(np.isnan(float(each)) for each in american.greeks(*good, False))
    double = [100.0, 100.0, 1.0, -0.01, -0.02, 0.2]
    double[place] = bad
    assert np.isnan(float(american.price(*double, False)))


@pytest.mark.parametrize("place", [0, 1, 5])
def test_no_negative_spot_strike_or_vol(place: int) -> None:
    good = [100.0, 100.0, 1.0, 0.05, 0.02, 0.2]
    good[place] *= -1
    assert np.isnan(float(american.price(*good, False)))


# ---- boundaries kept


def test_kept_boundaries_give_what_fresh_ones_give() -> None:
    contracts = chains(400)
    kept = Boundaries(*contracts[1:])
    for move in (0.97, 1.0, 1.02):
        spot = contracts.spot * move
        fresh = american.greeks(spot, *contracts[1:])
        tick = kept.price_greeks(spot)
        for mine, other in zip(tick, fresh, strict=True):
            assert np.array_equal(mine, other)
        quick = kept.price_greeks(spot, full=False)
        assert np.array_equal(quick.value, fresh.value)
        assert np.isnan(quick.vega).all()
        assert np.isnan(quick.rho).all()


def test_boundaries_hold_for_their_own_numbers_only() -> None:
    contracts = chains(60)
    kept = Boundaries(*contracts[1:])
    assert kept.holds(*contracts[1:])
    for field in ("strike", "t", "r", "q", "vol"):
        changed = getattr(contracts, field).copy()
        changed[7] = np.nextafter(changed[7], np.inf)
        assert not kept.holds(*contracts._replace(**{field: changed})[1:]), field
    flipped = contracts.is_call.copy()
    flipped[7] = ~flipped[7]
    assert not kept.holds(*contracts._replace(is_call=flipped)[1:])
    assert not kept.holds(*contracts.where(slice(0, 59))[1:])


def test_shapes_scalars_and_read_only_arrays() -> None:
    assert american.price(100.0, 100.0, 1.0, 0.05, 0.0, 0.2, False).shape == ()
    strikes = np.linspace(90.0, 110.0, 6).reshape(2, 3)
    strikes.flags.writeable = False
    found = american.greeks(100.0, strikes, 1.0, 0.05, 0.0, 0.2, np.array([[True], [False]]))
    assert found.delta.shape == (2, 3)
    assert (found.delta[0] > 0).all()
    assert (found.delta[1] < 0).all()
    assert american.price(100.0, [], 1.0, 0.05, 0.0, 0.2, False).shape == (0,)


def test_numpy_gives_the_same_bits_as_machine_code() -> None:
    contracts = regimes(150, seed=8)
    compiled = american.greeks(*contracts)
    assert runtime.state().serving is runtime.Serving.COMPILED
    runtime.cool()
    try:
        plain = american.greeks(*contracts)
    finally:
        warm()
    for mine, other in zip(compiled, plain, strict=True):
        assert np.array_equal(mine, other)
