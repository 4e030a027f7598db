"""American options with two exercise boundaries: puts where q < r < 0, calls where r < q < 0.

Called by `american`. There it pays to exercise only in between: above r/q of the strike, below the strike, and less far the
longer the option lives, until both boundaries meet and early exercise ends. A path from outside meets the near boundary
first, so each solves an equation of its own (Andersen and Lake 2021; the upper one is that of `kernels.american_boundary`).
Slow beside the rest (tens of milliseconds for each t, r, q, vol): such rates are rare and held for long.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.pricing.kernels.american_premium import european_part, premium_point
from engine.pricing.kernels.american_schemes import Fitting, scheme

FloatArray = NDArray[np.float64]
Six = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]

_FITTING: Fitting = scheme(14, 28, 0, 1).fitting
_POINTS = 96
_PASSES = 16
_CLOSE = 1e-11
_SEARCHES = 24
_NEAR = 3e-3
"""The meeting point is found to this share: what lies between is worth its square."""
_INV_ROOT_TWO_PI = 0.3989422804014327
_VOL_BUMP, _RATE_BUMP = 1e-3, 1e-5


class Region(NamedTuple):
    """Where exercise pays: ln of both boundaries at the nodes, for times to expiry up to `until`."""

    until: float
    upper: FloatArray
    lower: FloatArray


def double_boundary(
    spot: FloatArray, strike: FloatArray, t: FloatArray, r: FloatArray, q: FloatArray, vol: FloatArray,
    is_call: NDArray[np.bool_],
    full: bool = True,
) -> Six:  # fmt: skip
    """Value, delta, gamma, vega, theta, rho in raw units. Vega and rho (if `full`) are differences, all found anew."""
    put = ~is_call
    scale, x = np.where(put, strike, spot), np.where(put, spot, strike) / np.where(put, strike, spot)
    first, second = np.where(put, r, q), np.where(put, q, r)
    value, slope, curve, alive = (np.empty(x.size) for _ in range(4))
    vega, rho = np.zeros(x.size), np.zeros(x.size)
    _, where = np.unique(np.stack((t, first, second, vol, put)), axis=1, return_inverse=True)
    for each in range(int(where.max()) + 1):
        rows = np.flatnonzero(where.ravel() == each)
        k = rows[0]
        years, rate, carry, sigma = float(t[k]), float(first[k]), float(second[k]), float(vol[k])
        value[rows], slope[rows], curve[rows], alive[rows] = _put(x[rows], years, rate, carry, sigma)
        if not full:
            continue
        nudge = _VOL_BUMP * sigma
        by_r, by_q = (1.0, 0.0) if put[k] else (0.0, 1.0)
        size = _RATE_BUMP
        more, less = (_put(x[rows], years, rate, carry, sigma + side * nudge)[0] for side in (1.0, -1.0))
        vega[rows] = (more - less) / (2.0 * nudge)
        more, less = (
            _put(x[rows], years, rate + side * size * by_r, carry + side * size * by_q, sigma)[0]
            for side in (1.0, -1.0)
        )
        rho[rows] = (more - less) / (2.0 * size)
    delta = np.where(put, slope, value - x * slope)
    gamma = np.where(put, curve / (x * x), curve) / scale
    theta = alive * (first * value - (first - second) * x * slope - 0.5 * vol * vol * curve)
    return scale * value, delta, gamma, scale * vega * alive, scale * theta, scale * rho * alive


def _put(
    x: FloatArray, t: float, r: float, q: float, vol: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value, slope, x²·curvature of the put with strike 1, and 1 where it lives on (0 in the exercise region)."""
    log_x, root = np.log(x), float(np.sqrt(t))
    one = np.ones_like(x)
    value, leg, curve, _cash, _stock, _vega = european_part(
        log_x, x, 1.0 / x, vol * one, root, (r - q) * t, np.exp(-r * t) * one, np.exp(-q * t) * one
    )
    slope = -leg
    alive = one.copy()
    region = _region(t, r, q, vol) if q < r < 0 else None
    if region is not None:
        y, w = np.polynomial.legendre.leggauss(_POINTS)
        angle = 0.5 * np.pi * (0.5 * (1.0 + y)) ** 2
        weight = region.until * np.sin(2.0 * angle) * np.pi * 0.5 * (1.0 + y) * 0.5 * w
        past = region.until * np.cos(angle) ** 2
        lags = t - past if t > region.until else t * np.sin(angle) ** 2
        share = np.cos(angle)
        lags, weight = lags[:, None], weight[:, None]
        spread = np.sqrt(lags)
        total, leg_sum, pull_sum, curve_sum = (np.zeros_like(x) for _ in range(4))
        for nodes, start, side in ((region.upper, 0.0, 1.0), (region.lower, np.log(r / q), -1.0)):
            boundary = start + np.sign(nodes[-1]) * np.sqrt(np.maximum(_at(share) @ (nodes * nodes), 0.0))[:, None]
            found = premium_point(
                log_x, x, 1.0 / x, boundary, np.exp(boundary), vol, 1.0 / vol, spread, 1.0 / spread,
                (r - q) * lags, np.exp((q - r) * lags), r, q, weight * np.exp(-r * lags), weight * np.exp(-q * lags),
            )  # fmt: skip
            total = total + side * found[0].sum(axis=0)
            leg_sum = leg_sum + side * found[1].sum(axis=0)
            pull_sum = pull_sum + side * found[2].sum(axis=0)
            curve_sum = curve_sum + side * found[3].sum(axis=0)
        value = value + np.maximum(total, 0.0)
        slope = slope - leg_sum - pull_sum / x
        curve = curve + curve_sum
        if t <= region.until:
            inside = (log_x <= region.upper[-1]) & (log_x >= np.log(r / q) + region.lower[-1])
            value, slope, curve = (np.where(inside, a, b) for a, b in ((1.0 - x, value), (-1.0, slope), (0.0, curve)))
            alive = np.where(inside, 0.0, alive)
    return np.maximum(value, 1.0 - x), slope, curve, alive


def _at(share: FloatArray) -> FloatArray:
    """Interpolation of the squared log-boundary from the nodes to √(τ/T) = `share`."""
    nodes = _FITTING.xi.size
    points = -np.cos(np.pi * np.arange(nodes + 1) / nodes)
    weights = (-1.0) ** np.arange(nodes + 1)
    weights[[0, -1]] *= 0.5
    distance = (2.0 * share - 1.0)[:, None] - points
    shares = weights / np.where(np.abs(distance) < 1e-15, 1e-15, distance)
    matrix: FloatArray = (shares / shares.sum(axis=1, keepdims=True))[:, 1:]
    return matrix


def _region(t: float, r: float, q: float, vol: float) -> Region | None:
    """The exercise region up to t, or up to where the boundaries meet before; None where even its start cannot be found."""
    found = _both(t, r, q, vol)
    if found is not None and _gap(found, r, q) > 0:
        return found
    low, high, best = 0.0, t, None
    for _ in range(_SEARCHES):
        middle = 0.5 * (low + high) if low > 0 else 0.25 * high
        found = _both(middle, r, q, vol)
        if found is not None and _gap(found, r, q) > 0:
            low, best = middle, found
        else:
            high = middle
        if best is not None and high - low < _NEAR * high:
            break
    return best


def _gap(region: Region, r: float, q: float) -> float:
    return float(region.upper[-1] - region.lower[-1] - np.log(r / q))


def _both(t: float, r: float, q: float, vol: float) -> Region | None:
    upper, lower = (_boundary(t, r, q, vol, is_upper) for is_upper in (True, False))
    return Region(t, upper, lower) if upper is not None and lower is not None else None


def _boundary(t: float, r: float, q: float, vol: float, is_upper: bool) -> FloatArray | None:
    """y = ln(B/X) at the nodes, by Newton's method; None where it does not converge (no such boundary that long)."""
    plan = _FITTING
    nodes = plan.xi.size
    start, side = (0.0, -1.0) if is_upper else (float(np.log(r / q)), 1.0)
    tau = t * plan.xi * plan.xi
    spread_0 = vol * np.sqrt(tau)
    if is_upper:
        level = np.minimum(0.32 * np.sqrt(tau) / vol * (r - q), 0.4)
        y = -np.maximum(np.sqrt(-2.0 * np.log(level)) - 0.6, 0.6) * spread_0
    else:
        y = 0.638 * spread_0
    lag = tau[:, None] * plan.sine**2
    spread = vol * np.sqrt(lag)
    width = tau[:, None] * plan.weight
    grown, held = width * np.exp(-r * lag), width * np.exp(-q * lag)
    for _ in range(_PASSES):
        square = plan.past @ (y * y)
        floor = np.maximum(plan.floor * (y[0] * y[0]), 1e-28)
        past = side * np.sqrt(np.maximum(square, floor))
        inward = np.where(square > floor, 1.0 / past, 0.0)
        minus = (y[:, None] - past + (r - q) * lag) / spread - 0.5 * spread
        plus = minus + spread
        earlier, here = np.exp(start + past), np.exp(start + y)
        density = grown * _INV_ROOT_TWO_PI * np.exp(-0.5 * minus * minus) / spread
        gain = r - q * earlier
        e = -side * q * (held * ndtr(-side * plus)).sum(axis=1)
        e_slope = q * density * earlier / here[:, None]
        own = e_slope.sum(axis=1)
        if is_upper:
            at = (y + (r - q) * tau) / spread_0 - 0.5 * spread_0
            e = e + np.exp(-q * tau) * ndtr(at + spread_0)
            own = own + np.exp(-r * tau - 0.5 * at * at) * _INV_ROOT_TWO_PI / here / spread_0
        right = (density * gain).sum(axis=1)
        r_slope = -density * gain * minus / spread
        if not ((e > 0).all() and (right > 0).all()):
            y = 0.7 * y
            continue
        residual = start + y + np.log(e) - np.log(right)
        outward = -e_slope * inward / e[:, None] - (-r_slope - q * density * earlier) * inward / right[:, None]
        jacobian = np.einsum("ik,ikj->ij", outward, plan.past) * y
        jacobian[np.diag_indices(nodes)] += 1.0 + own / e - r_slope.sum(axis=1) / right
        try:
            step = np.linalg.solve(jacobian, residual)
        except np.linalg.LinAlgError:
            return None
        new = y - step
        new = side * np.clip(side * new, 0.3 * side * y, 3.0 * side * y)
        moved = float(np.abs(new / y - 1.0).max())
        y = new
        if not np.isfinite(y).all():
            return None
        if moved < _CLOSE:
            return y
    return None
