"""American values and Greeks of contracts in groups that share expiry, rates and right: the chain's kernel.

Called by `pricing.american_tables`. The boundary of a group is a polynomial in ζ (the contract's ln vol, scaled to
[-1, 1]) at each quadrature point; nothing of it depends on the spot, so a tick of the underlying is this kernel alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.pricing.kernels.american_premium import (
    european_part,
    moneyness,
    polynomial,
    polynomial_slope,
    premium_point,
    premium_rho,
    premium_vega,
    value_and_slopes,
    vega_and_rho,
)
from engine.pricing.kernels.lanes import log
from engine.pricing.kernels.runtime import BLOCK, Kernel

LANES = 64
"""Contracts side by side."""
# Columns of `group`.
R, Q, PUT, T, ROOT, CASH, STOCK, DRIFT, MIDDLE, SCALE, GROUP_COLUMNS = range(11)
# Columns of `points`.
P_ROOT, P_OVER, P_LAG, P_DRIFT, P_SHRINK, P_CASH, P_STOCK, POINT_COLUMNS = range(8)
# Rows of the scratch array.
_SPOT, _STRIKE, _VOL, _X, _LOGX, _OVERX, _SCALED, _ZETA, _OVERVOL, _E, _ELEG, _ECURVE, _ECASH = (
    LANES * row for row in range(13)
)
_ESTOCK, _EVEGA, _V, _LEG, _PULL, _CURVE, _VEGA, _RHO, _DENSITY, _MINUS, _PLUS, _G, _CASHN = (
    LANES * row for row in range(13, 26)
)
_STOCKN, _LEVEL, _DELTA, _GAMMA, _THETA, _ALIVE, _RHO_OUT, _ROWS = (LANES * row for row in range(26, 34))


def _shared_loop(
    order: Any, starts: Any, spot: Any, strike: Any, vol: Any,
    group: Any, points: Any, boundary: Any, level: Any, by_rate: Any,
    vol_unit: Any, time_unit: Any, rate_unit: Any, full: Any, width: Any,
    value: Any, delta: Any, gamma: Any, vega: Any, theta: Any, rho: Any,
) -> None:  # fmt: skip
    w = np.empty(_ROWS)
    many = points.shape[1]
    for g in range(starts.size - 1):
        r, q, put, t = group[g, R], group[g, Q], group[g, PUT], group[g, T]
        root_t, grown, held, drift_t = group[g, ROOT], group[g, CASH], group[g, STOCK], group[g, DRIFT]
        middle, stretch = group[g, MIDDLE], group[g, SCALE]
        for at in range(starts[g], starts[g + 1], width):
            filled = min(width, starts[g + 1] - at)
            for a in range(filled):
                i = order[at + a]
                w[_SPOT + a] = spot[i]
                w[_STRIKE + a] = strike[i]
                w[_VOL + a] = vol[i]
            for a in range(filled):
                scale, x, log_x, over_x = moneyness(w[_SPOT + a], w[_STRIKE + a], put)
                sigma = w[_VOL + a]
                w[_SCALED + a] = scale
                w[_X + a] = x
                w[_LOGX + a] = log_x
                w[_OVERX + a] = over_x
                w[_OVERVOL + a] = 1.0 / sigma
                w[_ZETA + a] = (log(sigma) - middle) * stretch
                e, leg, curve, cash, stock, e_vega = european_part(
                    log_x, x, over_x, sigma, root_t, drift_t, grown, held
                )
                w[_E + a] = e
                w[_ELEG + a] = leg
                w[_ECURVE + a] = curve
                w[_ECASH + a] = cash
                w[_ESTOCK + a] = stock
                w[_EVEGA + a] = e_vega
                w[_V + a] = 0.0
                w[_LEG + a] = 0.0
                w[_PULL + a] = 0.0
                w[_CURVE + a] = 0.0
                w[_VEGA + a] = 0.0
                w[_RHO + a] = 0.0
            for k in range(many):
                root, over_root, lag = points[g, k, P_ROOT], points[g, k, P_OVER], points[g, k, P_LAG]
                drift, shrink = points[g, k, P_DRIFT], points[g, k, P_SHRINK]
                cash_weight, stock_weight = points[g, k, P_CASH], points[g, k, P_STOCK]
                b0, b1, b2, b3 = boundary[g, k, 0], boundary[g, k, 1], boundary[g, k, 2], boundary[g, k, 3]
                b4, b5, b6, b7 = boundary[g, k, 4], boundary[g, k, 5], boundary[g, k, 6], boundary[g, k, 7]
                l0, l1, l2, l3 = level[g, k, 0], level[g, k, 1], level[g, k, 2], level[g, k, 3]
                l4, l5, l6, l7 = level[g, k, 4], level[g, k, 5], level[g, k, 6], level[g, k, 7]
                for a in range(filled):
                    z = w[_ZETA + a]
                    height = polynomial(z, l0, l1, l2, l3, l4, l5, l6, l7)
                    v, leg, pull, curve, density, minus, plus, _gain, cash, stock = premium_point(
                        w[_LOGX + a], w[_X + a], w[_OVERX + a], polynomial(z, b0, b1, b2, b3, b4, b5, b6, b7), height,
                        w[_VOL + a], w[_OVERVOL + a], root, over_root, drift, shrink, r, q, cash_weight, stock_weight,
                    )  # fmt: skip
                    w[_V + a] += v
                    w[_LEG + a] += leg
                    w[_PULL + a] += pull
                    w[_CURVE + a] += curve
                    w[_DENSITY + a] = density
                    w[_MINUS + a] = minus
                    w[_PLUS + a] = plus
                    w[_G + a] = pull
                    w[_CASHN + a] = cash
                    w[_STOCKN + a] = stock
                    w[_LEVEL + a] = height
                if full:
                    r0, r1, r2, r3 = by_rate[g, k, 0], by_rate[g, k, 1], by_rate[g, k, 2], by_rate[g, k, 3]
                    r4, r5, r6, r7 = by_rate[g, k, 4], by_rate[g, k, 5], by_rate[g, k, 6], by_rate[g, k, 7]
                    for a in range(filled):
                        z = w[_ZETA + a]
                        by_vol = polynomial_slope(z, b1, b2, b3, b4, b5, b6, b7) * stretch * w[_OVERVOL + a]
                        w[_VEGA + a] += premium_vega(
                            w[_DENSITY + a], w[_MINUS + a], w[_PLUS + a], r, q, w[_LEVEL + a], root, w[_G + a], by_vol
                        )
                        w[_RHO + a] += premium_rho(
                            w[_X + a], w[_CASHN + a], w[_STOCKN + a], w[_G + a], put, r, q, lag,
                            cash_weight, stock_weight, polynomial(z, r0, r1, r2, r3, r4, r5, r6, r7),
                        )  # fmt: skip
            b0, b1, b2, b3 = boundary[g, many, 0], boundary[g, many, 1], boundary[g, many, 2], boundary[g, many, 3]
            b4, b5, b6, b7 = boundary[g, many, 4], boundary[g, many, 5], boundary[g, many, 6], boundary[g, many, 7]
            for a in range(filled):
                edge = polynomial(w[_ZETA + a], b0, b1, b2, b3, b4, b5, b6, b7)
                v, d, c, th, alive = value_and_slopes(
                    w[_E + a], w[_ELEG + a], w[_ECURVE + a], w[_V + a], w[_LEG + a], w[_PULL + a], w[_CURVE + a],
                    w[_X + a], w[_LOGX + a], w[_OVERX + a], edge, w[_SCALED + a], put, w[_VOL + a], r, q, held, time_unit,
                )  # fmt: skip
                w[_V + a] = v
                w[_DELTA + a] = d
                w[_GAMMA + a] = c
                w[_THETA + a] = th
                w[_ALIVE + a] = alive
            for a in range(filled):
                i = order[at + a]
                value[i] = w[_V + a]
                delta[i] = w[_DELTA + a]
                gamma[i] = w[_GAMMA + a]
                theta[i] = w[_THETA + a]
            if full:
                for a in range(filled):
                    ve, rh = vega_and_rho(
                        w[_EVEGA + a], w[_VEGA + a], w[_ECASH + a], w[_ESTOCK + a], w[_RHO + a], w[_X + a], t,
                        grown, held, w[_ALIVE + a], w[_SCALED + a], put, vol_unit, rate_unit,
                    )  # fmt: skip
                    w[_VEGA + a] = ve
                    w[_RHO_OUT + a] = rh
                for a in range(filled):
                    i = order[at + a]
                    vega[i] = w[_VEGA + a]
                    rho[i] = w[_RHO_OUT + a]


def _shared_blocks(
    order: Any, starts: Any, spot: Any, strike: Any, vol: Any,
    group: Any, points: Any, boundary: Any, level: Any, by_rate: Any,
    vol_unit: Any, time_unit: Any, rate_unit: Any, full: Any, width: Any,
    value: Any, delta: Any, gamma: Any, vega: Any, theta: Any, rho: Any,
) -> None:  # fmt: skip
    member = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    for first in range(0, order.size, BLOCK):
        rows, g = order[first : first + BLOCK], member[first : first + BLOCK]
        own = group[g].T
        r, q, put, t, root_t, grown, held, drift_t = own[R], own[Q], own[PUT], own[T], own[ROOT], own[CASH], own[STOCK], own[DRIFT]  # fmt: skip
        sigma = vol[rows]
        scale, x, log_x, over_x = moneyness(spot[rows], strike[rows], put)
        over_vol = 1.0 / sigma
        z = (log(sigma) - own[MIDDLE]) * own[SCALE]
        e, e_leg, e_curve, e_cash, e_stock, e_vega = european_part(
            log_x, x, over_x, sigma, root_t, drift_t, grown, held
        )
        v, leg, pull, curve, vegas, rhos = (np.zeros(rows.size) for _ in range(6))
        for k in range(points.shape[1]):
            at = points[g, k].T
            b = boundary[g, k].T
            height = polynomial(z, *level[g, k].T)
            v1, leg1, pull1, curve1, density, minus, plus, _gain, cash, stock = premium_point(
                log_x, x, over_x, polynomial(z, *b), height, sigma, over_vol,
                at[P_ROOT], at[P_OVER], at[P_DRIFT], at[P_SHRINK], r, q, at[P_CASH], at[P_STOCK],
            )  # fmt: skip
            v, leg, pull, curve = v + v1, leg + leg1, pull + pull1, curve + curve1
            if full:
                by_vol = polynomial_slope(z, *b[1:]) * own[SCALE] * over_vol
                vegas = vegas + premium_vega(density, minus, plus, r, q, height, at[P_ROOT], pull1, by_vol)
                rhos = rhos + premium_rho(
                    x, cash, stock, pull1, put, r, q, at[P_LAG], at[P_CASH], at[P_STOCK],
                    polynomial(z, *by_rate[g, k].T),
                )  # fmt: skip
        edge = polynomial(z, *boundary[g, points.shape[1]].T)
        value[rows], delta[rows], gamma[rows], theta[rows], alive = value_and_slopes(
            e, e_leg, e_curve, v, leg, pull, curve, x, log_x, over_x, edge, scale, put, sigma, r, q, held, time_unit
        )
        if full:
            vega[rows], rho[rows] = vega_and_rho(
                e_vega, vegas, e_cash, e_stock, rhos, x, t, grown, held, alive, scale, put, vol_unit, rate_unit
            )


def _probe() -> tuple[Any, ...]:
    count, many = 150, 3
    order = np.arange(count)[::-1].copy()
    starts = np.array([0, 70, 150], np.int64)
    group = np.array([[0.04, 0.01, 1.0, 0.5], [0.01, 0.04, -1.0, 1.0]])
    r, q, put, t = group.T
    columns = (r, q, put, t, np.sqrt(t), np.exp(-r * t), np.exp(-q * t), (r - q) * t, np.log(0.25) + 0 * t, 2.0 + 0 * t)
    lag = t[:, None] * np.array([0.1, 0.5, 0.9])
    root = np.sqrt(lag)
    drift = (r - q)[:, None] * lag
    points = np.stack(
        (root, 1 / root, lag, drift, np.exp(-drift), 0.3 * np.exp(-lag), 0.3 * np.exp(-0.5 * lag)), axis=-1
    )
    boundary = np.linspace(-0.2, 0.01, 2 * (many + 1) * 8).reshape(2, many + 1, 8)
    level = np.ascontiguousarray(np.exp(boundary[:, :many]))
    strike = np.linspace(60.0, 140.0, count)
    return (
        order.astype(np.int64), starts, np.full(count, 100.0), strike, np.linspace(0.15, 0.4, count),
        np.ascontiguousarray(np.stack(columns, axis=-1)), np.ascontiguousarray(points),
        boundary, level, np.ascontiguousarray(0.1 * boundary[:, :many]),
        0.01, 1 / 365, 0.01, 1, LANES, *(np.zeros(count) for _ in range(6)),
    )  # fmt: skip


_SIGNATURE = (
    "void(int64[::1], int64[::1], float64[::1], float64[::1], float64[::1], float64[:, ::1], "
    + "float64[:, :, ::1], " * 4
    + "float64, float64, float64, int64, int64, "
    + ", ".join(["float64[::1]"] * 6)
    + ")"
)

SHARED = Kernel(_shared_loop, _shared_blocks, _SIGNATURE, _probe, 6)
