"""One point of the early-exercise premium, and what stands before and after the sum: the lanes shared by all kernels here.

The put with strike 1 at moneyness x: v = European + ∫ [r e^(-ru) Φ(-d-) - q x e^(-qu) Φ(-d+)] du with d± at x/B(T-u)
(Kim 1990; Jacka 1991; Carr, Jarrow and Myneni 1992). A call is the put with spot and strike, r and q exchanged. All
derivatives are those of the integral itself; x e^(-qu) φ(d+) = B e^(-ru) φ(d-) leaves one density a point.
"""

from __future__ import annotations

from engine.pricing.kernels.lanes import (
    INV_ROOT_TWO_PI,
    Lane,
    cdf_from_core,
    choose,
    density_core,
    lane,
    larger,
    log,
)


@lane
def polynomial(z: Lane, c0: Lane, c1: Lane, c2: Lane, c3: Lane, c4: Lane, c5: Lane, c6: Lane, c7: Lane) -> Lane:
    z2 = z * z
    return ((c0 + z * c1) + z2 * (c2 + z * c3)) + (z2 * z2) * ((c4 + z * c5) + z2 * (c6 + z * c7))


@lane
def polynomial_slope(z: Lane, c1: Lane, c2: Lane, c3: Lane, c4: Lane, c5: Lane, c6: Lane, c7: Lane) -> Lane:
    z2 = z * z
    return ((c1 + z * (2.0 * c2)) + z2 * (3.0 * c3 + z * (4.0 * c4))) + (z2 * z2) * (
        (5.0 * c5 + z * (6.0 * c6)) + z2 * (7.0 * c7)
    )


@lane
def moneyness(spot: Lane, strike: Lane, put: Lane) -> Lane:
    """The scale (strike of the put form), x, ln x and 1/x."""
    scale = choose(put > 0.0, strike, spot)
    other = choose(put > 0.0, spot, strike)
    x = other / scale
    return scale, x, log(x), scale / other


@lane
def european_part(
    log_x: Lane, x: Lane, over_x: Lane, vol: Lane, root_t: Lane, drift: Lane, grown: Lane, held: Lane
) -> Lane:
    """Value, x-slope of the stock leg, x²·gamma, Φ(-d-) and Φ(-d+) of the European put, and its vega."""
    spread = vol * root_t
    inverse = 1.0 / spread
    minus = (log_x + drift) * inverse - 0.5 * spread
    plus = minus + spread
    core = density_core(minus)
    cash = cdf_from_core(-minus, core)
    stock = cdf_from_core(-plus, core * (over_x * (grown / held)))
    density = grown * core * INV_ROOT_TWO_PI
    return grown * cash - held * x * stock, held * stock, density * inverse, cash, stock, density * root_t


@lane
def premium_point(
    log_x: Lane, x: Lane, over_x: Lane, boundary: Lane, level: Lane, vol: Lane, over_vol: Lane,
    root: Lane, over_root: Lane, drift: Lane, shrink: Lane, r: Lane, q: Lane, cash_weight: Lane, stock_weight: Lane,
) -> Lane:  # fmt: skip
    """One quadrature point: value, stock leg's slope, G (its slope in ln B), x²·gamma; then P, d-, d+, r - qB, Φs."""
    spread = vol * root
    inverse = over_vol * over_root
    minus = (log_x - boundary + drift) * inverse - 0.5 * spread
    plus = minus + spread
    core = density_core(minus)
    cash = cdf_from_core(-minus, core)
    stock = cdf_from_core(-plus, core * (level * over_x * shrink))
    density = cash_weight * core * INV_ROOT_TWO_PI * inverse
    gain = r - q * level
    pull = density * gain
    leg = q * stock_weight * stock
    return (
        r * cash_weight * cash - x * leg,
        leg,
        pull,
        density * (r + gain * minus * inverse),
        density,
        minus,
        plus,
        gain,
        cash,
        stock,
    )


@lane
def premium_vega(
    density: Lane, minus: Lane, plus: Lane, r: Lane, q: Lane, level: Lane, root: Lane, pull: Lane, boundary_by_vol: Lane
) -> Lane:
    return density * root * (r * plus - q * level * minus) + pull * boundary_by_vol


@lane
def premium_rho(
    x: Lane, cash: Lane, stock: Lane, pull: Lane, put: Lane, r: Lane, q: Lane, u: Lane,
    cash_weight: Lane, stock_weight: Lane, boundary_by_rate: Lane,
) -> Lane:  # fmt: skip
    """By the rate of the contract: the put form's r for a put (`put` = 1), its q for a call (-1)."""
    by_r = cash_weight * (1.0 - r * u) * cash
    by_q = -stock_weight * (1.0 - q * u) * x * stock
    return choose(put > 0.0, by_r, by_q) + pull * (boundary_by_rate - put * u)


@lane
def value_and_slopes(
    european: Lane, european_leg: Lane, european_curve: Lane, value: Lane, leg: Lane, pull: Lane, curve: Lane,
    x: Lane, log_x: Lane, over_x: Lane, edge: Lane, scale: Lane, put: Lane, vol: Lane, r: Lane, q: Lane,
    discount_q: Lane, time_unit: Lane,
) -> Lane:  # fmt: skip
    """Value, delta, gamma and theta in dollars, and 1 where the option lives on (0 where it is to be exercised now)."""
    held = log_x > edge
    premium = larger(value, 0.0)
    intrinsic = 1.0 - x
    v = choose(held, larger(european + premium, intrinsic), intrinsic)
    slope = choose(held, -european_leg - leg - pull * over_x, -1.0)
    # Where it is never exercised, a negative yield makes the stock leg worth more than the stock.
    steepest = choose(edge < -1e200, -larger(discount_q, 1.0), -1.0)
    slope = choose(slope < steepest, steepest, choose(slope > 0.0, 0.0, slope))
    bend = choose(held, larger(european_curve + curve, 0.0), 0.0)
    is_put = put > 0.0
    delta = choose(is_put, slope, v - x * slope)
    gamma = choose(is_put, bend * over_x * over_x, bend) / scale
    dollars = scale * v
    # The equation both r and q obey: theta of a call in the put form's terms is the same expression.
    theta = r * v - (r - q) * x * slope - 0.5 * vol * vol * bend
    return dollars, delta, gamma, choose(held, scale * theta * time_unit, 0.0), choose(held, 1.0, 0.0)


@lane
def vega_and_rho(
    european_vega: Lane, vega: Lane, european_cash: Lane, european_stock: Lane, rho: Lane, x: Lane, t: Lane,
    grown: Lane, held: Lane, alive: Lane, scale: Lane, put: Lane, vol_unit: Lane, rate_unit: Lane,
) -> Lane:  # fmt: skip
    european_rho = choose(put > 0.0, -t * grown * european_cash, t * held * x * european_stock)
    return (
        choose(alive > 0.0, scale * (european_vega + vega) * vol_unit, 0.0),
        choose(alive > 0.0, scale * (european_rho + rho) * rate_unit, 0.0),
    )
