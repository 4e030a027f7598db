"""The vols at which groups of American options are worth their prices: Newton inside a bracket, boundaries interpolated.

Called by `pricing.american_implied`. One step costs one premium integral, because the group's boundary is a polynomial in
ln vol (see `american_shared`). A search that wants to leave the polynomial's range ends there and says so.
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
    premium_vega,
)
from engine.pricing.kernels.american_shared import (
    CASH,
    DRIFT,
    LANES,
    MIDDLE,
    P_CASH,
    P_DRIFT,
    P_OVER,
    P_ROOT,
    P_SHRINK,
    P_STOCK,
    PUT,
    ROOT,
    SCALE,
    SHARED,
    STOCK,
    Q,
    R,
)
from engine.pricing.kernels.lanes import Lane, choose, lane, larger, log, smaller
from engine.pricing.kernels.runtime import BLOCK, Kernel

FOUND, BELOW_RANGE, ABOVE_RANGE, SEARCHING = 1.0, 2.0, 3.0, 0.0
"""What `state` says at the end."""
_CLOSE = 1e-7
"""A Newton step smaller than this share of the vol is the last: the next would be its square."""
_SPOT, _STRIKE, _TARGET, _SIGMA, _LOW, _HIGH, _FLOOR, _CEILING, _STATE, _X, _LOGX, _OVERX, _INTRINSIC = (
    LANES * row for row in range(13)
)
_ZETA, _OVERVOL, _E, _EVEGA, _V, _VEGA, _NEXT, _NOW, _ROWS = (LANES * row for row in range(13, 22))


@lane
def newton_step(
    european: Lane, european_vega: Lane, premium: Lane, premium_slope: Lane, intrinsic: Lane, log_x: Lane, edge: Lane,
    target: Lane, sigma: Lane, low: Lane, high: Lane, floor: Lane, ceiling: Lane, state: Lane,
) -> Lane:  # fmt: skip
    """The next vol, the bracket, and the state. A lane that has ended stays as it is."""
    alive = log_x > edge
    v = choose(alive, larger(european + larger(premium, 0.0), intrinsic), intrinsic)
    slope = choose(alive, european_vega + premium_slope, 0.0)
    gap = v - target
    high = choose(gap > 0.0, smaller(high, sigma), high)
    low = choose(gap > 0.0, low, larger(low, sigma))
    usable = slope > 1e-300
    newton = sigma - gap / choose(usable, slope, 1.0)
    newton = choose(newton > ceiling, ceiling, choose(newton < floor, floor, newton))
    # A step this small ends the search even out of the bracket, whose end it then is to rounding.
    close = usable & (abs(newton - sigma) <= _CLOSE * sigma)
    inside = usable & (newton > low) & (newton < high)
    new = choose(inside | close, newton, 0.5 * (low + high))
    ended = choose(
        (gap > 0.0) & (sigma <= floor),
        2.0,
        choose((gap < 0.0) & (sigma >= ceiling), 3.0, choose(close | (gap == 0.0), 1.0, 0.0)),
    )
    new = choose(gap == 0.0, sigma, new)
    still = state == 0.0
    return choose(still, new, sigma), choose(still, low, low), choose(still, high, high), choose(still, ended, state)


def _search_loop(
    order: Any, starts: Any, spot: Any, strike: Any, target: Any, first: Any, floor: Any, ceiling: Any,
    group: Any, points: Any, boundary: Any, level: Any, most: Any, width: Any, found: Any, state: Any,
) -> None:  # fmt: skip
    w = np.empty(_ROWS)
    many = points.shape[1]
    for g in range(starts.size - 1):
        r, q, put = group[g, R], group[g, Q], group[g, PUT]
        root_t, grown, held, drift_t = group[g, ROOT], group[g, CASH], group[g, STOCK], group[g, DRIFT]
        middle, stretch = group[g, MIDDLE], group[g, SCALE]
        for at in range(starts[g], starts[g + 1], width):
            filled = min(width, starts[g + 1] - at)
            for a in range(filled):
                i = order[at + a]
                w[_SPOT + a] = spot[i]
                w[_STRIKE + a] = strike[i]
                w[_TARGET + a] = target[i]
                w[_SIGMA + a] = first[i]
                w[_FLOOR + a] = floor[i]
                w[_CEILING + a] = ceiling[i]
            for a in range(filled):
                scale, x, log_x, over_x = moneyness(w[_SPOT + a], w[_STRIKE + a], put)
                w[_X + a] = x
                w[_LOGX + a] = log_x
                w[_OVERX + a] = over_x
                w[_TARGET + a] = w[_TARGET + a] / scale
                w[_INTRINSIC + a] = 1.0 - x
                w[_LOW + a] = 0.999999 * w[_FLOOR + a]
                w[_HIGH + a] = 1.000001 * w[_CEILING + a]
                w[_STATE + a] = 0.0
            for _turn in range(most):
                for a in range(filled):
                    sigma = w[_SIGMA + a]
                    w[_OVERVOL + a] = 1.0 / sigma
                    w[_ZETA + a] = (log(sigma) - middle) * stretch
                    e, _leg, _curve, _cash, _stock, e_vega = european_part(
                        w[_LOGX + a], w[_X + a], w[_OVERX + a], sigma, root_t, drift_t, grown, held
                    )
                    w[_E + a] = e
                    w[_EVEGA + a] = e_vega
                    w[_V + a] = 0.0
                    w[_VEGA + a] = 0.0
                for k in range(many):
                    root, over_root = points[g, k, P_ROOT], points[g, k, P_OVER]
                    drift, shrink = points[g, k, P_DRIFT], points[g, k, P_SHRINK]
                    cash_weight, stock_weight = points[g, k, P_CASH], points[g, k, P_STOCK]
                    b0, b1, b2, b3 = boundary[g, k, 0], boundary[g, k, 1], boundary[g, k, 2], boundary[g, k, 3]
                    b4, b5, b6, b7 = boundary[g, k, 4], boundary[g, k, 5], boundary[g, k, 6], boundary[g, k, 7]
                    l0, l1, l2, l3 = level[g, k, 0], level[g, k, 1], level[g, k, 2], level[g, k, 3]
                    l4, l5, l6, l7 = level[g, k, 4], level[g, k, 5], level[g, k, 6], level[g, k, 7]
                    for a in range(filled):
                        z = w[_ZETA + a]
                        height = polynomial(z, l0, l1, l2, l3, l4, l5, l6, l7)
                        v, _leg, pull, _curve, density, minus, plus, _gain, _cash, _stock = premium_point(
                            w[_LOGX + a], w[_X + a], w[_OVERX + a], polynomial(z, b0, b1, b2, b3, b4, b5, b6, b7),
                            height, w[_SIGMA + a], w[_OVERVOL + a], root, over_root, drift, shrink, r, q,
                            cash_weight, stock_weight,
                        )  # fmt: skip
                        by_vol = polynomial_slope(z, b1, b2, b3, b4, b5, b6, b7) * stretch * w[_OVERVOL + a]
                        w[_V + a] += v
                        w[_VEGA + a] += premium_vega(density, minus, plus, r, q, height, root, pull, by_vol)
                b0, b1, b2, b3 = boundary[g, many, 0], boundary[g, many, 1], boundary[g, many, 2], boundary[g, many, 3]
                b4, b5, b6, b7 = boundary[g, many, 4], boundary[g, many, 5], boundary[g, many, 6], boundary[g, many, 7]
                for a in range(filled):
                    sigma, low, high, now = newton_step(
                        w[_E + a], w[_EVEGA + a], w[_V + a], w[_VEGA + a], w[_INTRINSIC + a], w[_LOGX + a],
                        polynomial(w[_ZETA + a], b0, b1, b2, b3, b4, b5, b6, b7),
                        w[_TARGET + a], w[_SIGMA + a], w[_LOW + a], w[_HIGH + a], w[_FLOOR + a], w[_CEILING + a],
                        w[_STATE + a],
                    )  # fmt: skip
                    w[_SIGMA + a] = sigma
                    w[_LOW + a] = low
                    w[_HIGH + a] = high
                    w[_STATE + a] = now
                unfinished = 0
                for a in range(filled):
                    if w[_STATE + a] == 0.0:
                        unfinished += 1
                if unfinished == 0:
                    break
            for a in range(filled):
                i = order[at + a]
                found[i] = w[_SIGMA + a]
                state[i] = w[_STATE + a]


def _search_blocks(
    order: Any, starts: Any, spot: Any, strike: Any, target: Any, first: Any, floor: Any, ceiling: Any,
    group: Any, points: Any, boundary: Any, level: Any, most: Any, width: Any, found: Any, state: Any,
) -> None:  # fmt: skip
    member = np.repeat(np.arange(starts.size - 1), np.diff(starts))
    for begin in range(0, order.size, BLOCK):
        rows, g = order[begin : begin + BLOCK], member[begin : begin + BLOCK]
        _search_rows(
            rows, g, spot, strike, target, first, floor, ceiling, group, points, boundary, level, most, found, state
        )


def _search_rows(
    rows: Any, g: Any, spot: Any, strike: Any, target: Any, first: Any, floor: Any, ceiling: Any,
    group: Any, points: Any, boundary: Any, level: Any, most: Any, found: Any, state: Any,
) -> None:  # fmt: skip
    own = group[g].T
    r, q = own[R], own[Q]
    scale, x, log_x, over_x = moneyness(spot[rows], strike[rows], own[PUT])
    goal = target[rows] / scale
    sigma, least, most_vol = first[rows], floor[rows], ceiling[rows]
    low, high, now = 0.999999 * least, 1.000001 * most_vol, np.zeros(rows.size)
    many = points.shape[1]
    for _turn in range(most):
        over_vol = 1.0 / sigma
        z = (log(sigma) - own[MIDDLE]) * own[SCALE]
        e, _leg, _curve, _cash, _stock, e_vega = european_part(
            log_x, x, over_x, sigma, own[ROOT], own[DRIFT], own[CASH], own[STOCK]
        )
        v, vega = np.zeros(rows.size), np.zeros(rows.size)
        for k in range(many):
            at, b = points[g, k].T, boundary[g, k].T
            height = polynomial(z, *level[g, k].T)
            v1, _leg, pull, _curve, density, minus, plus, _gain, _cash, _stock = premium_point(
                log_x, x, over_x, polynomial(z, *b), height, sigma, over_vol,
                at[P_ROOT], at[P_OVER], at[P_DRIFT], at[P_SHRINK], r, q, at[P_CASH], at[P_STOCK],
            )  # fmt: skip
            v = v + v1
            vega = vega + premium_vega(
                density,
                minus,
                plus,
                r,
                q,
                height,
                at[P_ROOT],
                pull,
                polynomial_slope(z, *b[1:]) * own[SCALE] * over_vol,
            )
        edge = polynomial(z, *boundary[g, many].T)
        sigma, low, high, now = newton_step(
            e, e_vega, v, vega, 1.0 - x, log_x, edge, goal, sigma, low, high, least, most_vol, now
        )
        if (now != 0.0).all():
            break
    found[rows], state[rows] = sigma, now


def _probe() -> tuple[Any, ...]:
    made = SHARED.probe()
    spot, strike = made[2], made[3]
    put_value = np.maximum(strike - spot, 0.0) + 4.0
    size = spot.size
    return (
        *made[:4], put_value, np.full(size, 0.2), np.full(size, 0.16), np.full(size, 0.39),
        *made[5:9], 12, LANES, np.zeros(size), np.zeros(size),
    )  # fmt: skip


_SIGNATURE = (
    "void(int64[::1], int64[::1], "
    + "float64[::1], " * 6
    + "float64[:, ::1], "
    + "float64[:, :, ::1], " * 3
    + "int64, int64, float64[::1], float64[::1])"
)

SEARCH = Kernel(_search_loop, _search_blocks, _SIGNATURE, _probe, 2)
