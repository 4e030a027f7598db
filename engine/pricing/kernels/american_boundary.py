"""The early-exercise boundary of American puts with strike 1, for many (r, q, vol, T) at once, and its sensitivities.

Called by `pricing.american_tables`. The unknown at each node is y = ln(B/X) ≤ 0, X = min(1, r/q). At the boundary the
put's delta is -1 (smooth pasting); the density terms of the maturity cancel (B·φ(d+)e^(-qτ) = φ(d-)e^(-rτ)) and leave

    B(τ) [ e^(-qτ) Φ(d+(τ, B)) + q ∫ e^(-qu) Φ(d+(u, B/B(τ-u))) du ] = ∫ (r - q B(τ-u)) e^(-ru) φ(d-) / (σ√u) du

whose logarithm is nearly linear in y. Newton's method on all nodes together converges in 3 to 5 passes from the seed, and
the last pass's Jacobian gives the exact dB/dσ and dB/drate of the discrete system by two more right-hand sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.pricing.kernels.american_equation import (
    by_parameters,
    end_of_boundary,
    first_guess,
    maturity_terms,
    moved,
    past_boundary,
    past_terms,
    relative_step,
    residual,
    start_by_rate,
    start_of_boundary,
    worse,
)
from engine.pricing.kernels.american_schemes import SCHEMES
from engine.pricing.kernels.lanes import exp
from engine.pricing.kernels.runtime import BLOCK, Kernel, blocks

LANES = 32
"""Boundaries solved side by side: their matrices stay in the nearer caches."""
# Rows of the scratch array of the compiled loop.
_R, _Q, _VOL, _T, _DR, _START, _END, _ROOT, _NEW, _GROWN, _HELD, _BAD, _LAST = (LANES * row for row in range(13))
_Y, _FIRST, _TAU, _OVER, _E, _SLOPE, _EV, _ER, _RG, _ES, _RS, _RV, _RR = (LANES * row for row in range(13, 26))
_RX, _SQUARE, _EPAST, _RPAST, _MINUS, _PLUS, _BELOW, _EARLIER, _DENSITY, _A2, _A3 = (
    LANES * row for row in range(26, 37)
)


def _boundary_loop(
    r: Any, q: Any, vol: Any, t: Any, by_r: Any,
    xi: Any, sine: Any, weight: Any, past: Any, floor: Any, passes: Any, width: Any,
    y_out: Any, by_vol_out: Any, by_rate_out: Any, last_out: Any,
) -> None:  # fmt: skip
    # Everything one loop over lanes touches lies in `w`, a row for each name: the compiler then sees that rows do not
    # overlap. `width` is an argument, not a constant, or the loops would be unrolled instead of vectorised.
    count, nodes, points = r.size, xi.size, sine.size
    w = np.empty(40 * LANES)
    y, y2 = np.empty((nodes, LANES)), np.empty((nodes, LANES))
    e_past, r_past = np.empty((points, LANES)), np.empty((points, LANES))
    grown, held = np.empty((nodes, points, LANES)), np.empty((nodes, points, LANES))
    jacobian, right = np.empty((nodes, nodes, LANES)), np.empty((3, nodes, LANES))
    for at in range(0, count, width):
        filled = min(width, count - at)
        for a in range(width):
            k = at + min(a, filled - 1)
            w[_R + a], w[_Q + a], w[_VOL + a], w[_T + a], w[_DR + a] = r[k], q[k], vol[k], t[k], by_r[k]
        for a in range(width):
            rate, carry = w[_R + a], w[_Q + a]
            start = start_of_boundary(rate, carry)
            w[_START + a] = start
            w[_END + a] = end_of_boundary(rate, carry, w[_VOL + a], start)
            w[_ROOT + a] = np.sqrt(w[_T + a])
        for i in range(nodes):
            x = xi[i]
            square_x = x * x
            for a in range(width):
                w[_NEW + a] = first_guess(
                    w[_R + a], w[_Q + a], w[_VOL + a], w[_ROOT + a] * x, w[_START + a], w[_END + a]
                )
            for a in range(width):
                y[i, a] = w[_NEW + a]
            for k in range(points):
                share, s2 = weight[k], sine[k] * sine[k]
                for a in range(width):
                    tau = w[_T + a] * square_x
                    lag = tau * s2
                    w[_GROWN + a] = tau * share * exp(-w[_R + a] * lag)
                    w[_HELD + a] = tau * share * exp(-w[_Q + a] * lag)
                for a in range(width):
                    grown[i, k, a] = w[_GROWN + a]
                for a in range(width):
                    held[i, k, a] = w[_HELD + a]
        for turn in range(passes):
            final = turn == passes - 1
            for a in range(width):
                w[_BAD + a] = 0.0
                w[_LAST + a] = 0.0
            for i in range(nodes):
                for a in range(width):
                    y2[i, a] = y[i, a] * y[i, a]
            for i in range(nodes):
                square_x = xi[i] * xi[i]
                for a in range(width):
                    w[_Y + a] = y[i, a]
                for a in range(width):
                    w[_FIRST + a] = y2[0, a]
                for a in range(width):
                    tau = w[_T + a] * square_x
                    over, inverse, _plus, minus, below, density = maturity_terms(
                        w[_START + a] + w[_Y + a], tau, w[_R + a], w[_Q + a], w[_VOL + a]
                    )
                    w[_TAU + a] = tau
                    w[_OVER + a] = over
                    w[_E + a] = below
                    w[_SLOPE + a] = density
                    w[_EV + a] = -density * minus / (inverse * w[_VOL + a])
                    w[_ER + a] = density * (2.0 * w[_DR + a] - 1.0) * tau - (1.0 - w[_DR + a]) * tau * below
                    w[_RG + a] = 0.0
                    w[_ES + a] = 0.0
                    w[_RS + a] = 0.0
                    w[_RV + a] = 0.0
                    w[_RR + a] = 0.0
                    w[_RX + a] = 0.0
                for k in range(points):
                    for a in range(width):
                        w[_SQUARE + a] = 0.0
                    for j in range(nodes):
                        m = past[i, k, j]
                        for a in range(width):
                            w[_SQUARE + a] += m * y2[j, a]
                    for a in range(width):
                        w[_GROWN + a] = grown[i, k, a]
                    for a in range(width):
                        w[_HELD + a] = held[i, k, a]
                    s, s2, share = sine[k], sine[k] * sine[k], floor[i, k]
                    for a in range(width):
                        tau = w[_TAU + a]
                        lag = tau * s2
                        before, over_past = past_boundary(w[_SQUARE + a], share * w[_FIRST + a])
                        spread = w[_VOL + a] * np.sqrt(tau) * s
                        minus, plus, below, earlier, density, _gain, a1, a2, a3, a4, a5, a6 = past_terms(
                            w[_Y + a], before, over_past, w[_START + a], w[_OVER + a], lag, spread,
                            w[_R + a], w[_Q + a], w[_GROWN + a], w[_HELD + a],
                        )  # fmt: skip
                        w[_E + a] += a1
                        w[_ES + a] += a2
                        w[_RG + a] += a3
                        w[_RS + a] += a4
                        w[_EPAST + a] = a5
                        w[_RPAST + a] = a6
                        w[_MINUS + a] = minus
                        w[_PLUS + a] = plus
                        w[_BELOW + a] = below
                        w[_EARLIER + a] = earlier
                        w[_DENSITY + a] = density
                        w[_A2 + a] = a2
                        w[_A3 + a] = a3
                    if final:
                        for a in range(width):
                            sign, dq = 2.0 * w[_DR + a] - 1.0, 1.0 - w[_DR + a]
                            lag = w[_TAU + a] * s2
                            spread = w[_VOL + a] * np.sqrt(w[_TAU + a]) * s
                            ev, rv, er, rr, rx = by_parameters(
                                w[_DR + a], dq, sign, w[_Q + a], w[_VOL + a], lag, spread, w[_HELD + a],
                                w[_MINUS + a], w[_PLUS + a], w[_BELOW + a], w[_EARLIER + a], w[_DENSITY + a],
                                w[_A2 + a], w[_A3 + a],
                            )  # fmt: skip
                            w[_EV + a] += ev
                            w[_RV + a] += rv
                            w[_ER + a] += er
                            w[_RR + a] += rr
                            w[_RX + a] += rx
                    for a in range(width):
                        e_past[k, a] = w[_EPAST + a]
                    for a in range(width):
                        r_past[k, a] = w[_RPAST + a]
                for a in range(width):
                    w[_BAD + a] = worse(w[_BAD + a], w[_E + a], w[_RG + a])
                    w[_NEW + a] = residual(w[_Y + a], w[_START + a], w[_E + a], w[_RG + a])
                    ie = 1.0 / w[_E + a]
                    ir = 1.0 / w[_RG + a]
                    w[_FIRST + a] = 1.0 + (w[_SLOPE + a] + w[_ES + a]) * ie - w[_RS + a] * ir
                    w[_E + a] = ie
                    w[_RG + a] = ir
                for a in range(width):
                    right[0, i, a] = w[_NEW + a]
                if final:
                    for a in range(width):
                        rate, carry = w[_R + a], w[_Q + a]
                        w[_EV + a] = w[_EV + a] * w[_E + a] - w[_RV + a] * w[_RG + a]
                        w[_ER + a] = (w[_ER + a] * w[_E + a] - w[_RR + a] * w[_RG + a]) + start_by_rate(
                            rate, carry, w[_DR + a]
                        ) * (1.0 + w[_SLOPE + a] * w[_E + a] - w[_RX + a] * w[_RG + a])
                    for a in range(width):
                        right[1, i, a] = w[_EV + a]
                    for a in range(width):
                        right[2, i, a] = w[_ER + a]
                for k in range(points):
                    for a in range(width):
                        e_past[k, a] = e_past[k, a] * w[_E + a]
                    for a in range(width):
                        e_past[k, a] -= r_past[k, a] * w[_RG + a]
                for j in range(nodes):
                    for a in range(width):
                        w[_SQUARE + a] = 0.0
                    for k in range(points):
                        m = past[i, k, j]
                        for a in range(width):
                            w[_SQUARE + a] += e_past[k, a] * m
                    for a in range(width):
                        jacobian[i, j, a] = w[_SQUARE + a] * y[j, a]
                for a in range(width):
                    jacobian[i, i, a] += w[_FIRST + a]
            sides = 3 if final else 1
            for p in range(nodes):
                for i in range(p + 1, nodes):
                    for a in range(width):
                        w[_SQUARE + a] = jacobian[i, p, a] / jacobian[p, p, a]
                    for j in range(p + 1, nodes):
                        for a in range(width):
                            jacobian[i, j, a] -= w[_SQUARE + a] * jacobian[p, j, a]
                    for side in range(sides):
                        for a in range(width):
                            right[side, i, a] -= w[_SQUARE + a] * right[side, p, a]
            for back in range(nodes):
                i = nodes - 1 - back
                for side in range(sides):
                    for j in range(i + 1, nodes):
                        for a in range(width):
                            right[side, i, a] -= jacobian[i, j, a] * right[side, j, a]
                    for a in range(width):
                        right[side, i, a] /= jacobian[i, i, a]
            for i in range(nodes):
                for a in range(width):
                    w[_Y + a] = y[i, a]
                for a in range(width):
                    w[_NEW + a] = right[0, i, a]
                for a in range(width):
                    new = moved(w[_Y + a], w[_NEW + a], w[_END + a], w[_BAD + a])
                    w[_LAST + a] = relative_step(new, w[_Y + a], w[_LAST + a])
                    w[_NEW + a] = new
                for a in range(width):
                    y[i, a] = w[_NEW + a]
        for i in range(nodes):
            for a in range(filled):
                y_out[i, at + a] = y[i, a]
            for a in range(filled):
                by_vol_out[i, at + a] = -right[1, i, a]
            for a in range(filled):
                by_rate_out[i, at + a] = -right[2, i, a]
        for a in range(filled):
            last_out[at + a] = w[_LAST + a] + w[_BAD + a]


def _boundary_blocks(*arguments: Any) -> None:
    lanes_in, plan, results = arguments[:5], arguments[5:12], arguments[12:]
    nodes, points = plan[0].size, plan[1].size
    for part in blocks(lanes_in[0].size, max(BLOCK // (nodes * points), 1)):
        found = _solve(*(each[part] for each in lanes_in), *plan)
        for result, values in zip(results, found, strict=True):
            result[..., part] = values


def _solve(
    r: Any, q: Any, vol: Any, t: Any, by_r: Any,
    xi: Any, sine: Any, weight: Any, past: Any, floor: Any, passes: Any, width: Any,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """The same, all lanes, nodes and points abreast; every number comes from the same operations in the same order.

    Arrays are (nodes, points, lanes) or (nodes, lanes). A sum goes over its terms one after the other, as the loop does.
    """
    nodes, points = xi.size, sine.size
    start = start_of_boundary(r, q)
    end = end_of_boundary(r, q, vol, start)
    y = first_guess(r, q, vol, np.sqrt(t) * xi[:, None], start, end)
    sign, dq = 2.0 * by_r - 1.0, 1.0 - by_r
    moves = start_by_rate(r, q, by_r)
    tau = t * (xi * xi)[:, None]
    tau3 = tau[:, None]
    lag = tau3 * (sine * sine)[:, None]
    spread = vol * np.sqrt(tau3) * sine[:, None]
    share = tau3 * weight[:, None]
    grown, held = share * exp(-r * lag), share * exp(-q * lag)
    right = np.zeros((3, nodes, r.size))
    last = bad = np.zeros(r.size)
    for turn in range(passes):
        final = turn == passes - 1
        y2 = y * y
        over, inverse, _plus, at_expiry, e, slope = maturity_terms(start + y, tau, r, q, vol)
        square = np.zeros((nodes, points, r.size))
        for j in range(nodes):
            square = square + past[:, :, j, None] * y2[j]
        before, over_past = past_boundary(square, floor[:, :, None] * y2[0])
        minus, plus, below, earlier, density, _gain, a1, a2, a3, a4, e_past, r_past = past_terms(
            y[:, None], before, over_past, start, over[:, None], lag, spread, r, q, grown, held
        )
        ev = -slope * at_expiry / (inverse * vol)
        er = slope * sign * tau - dq * tau * e
        e, es, rg, rs = (_summed(first, terms) for first, terms in ((e, a1), (0.0, a2), (0.0, a3), (0.0, a4)))
        bad = np.zeros(r.size)
        for i in range(nodes):
            bad = worse(bad, e[i], rg[i])
        ie, ir = 1.0 / e, 1.0 / rg
        right[0] = residual(y, start, e, rg)
        if final:
            gains = by_parameters(
                by_r, dq, sign, q, vol, lag, spread, held, minus, plus, below, earlier, density, a2, a3
            )
            ev, rv, er, rr, rx = (_summed(first, g) for first, g in zip((ev, 0.0, er, 0.0, 0.0), gains, strict=True))
            right[1] = ev * ie - rv * ir
            right[2] = (er * ie - rr * ir) + moves * (1.0 + slope * ie - rx * ir)
        pull = e_past * ie[:, None] - r_past * ir[:, None]
        jacobian = np.zeros((nodes, nodes, r.size))
        for k in range(points):
            jacobian = jacobian + pull[:, k, None] * past[:, k, :, None]
        jacobian *= y
        for i in range(nodes):
            jacobian[i, i] += 1.0 + (slope[i] + es[i]) * ie[i] - rs[i] * ir[i]
        for p in range(nodes - 1):
            factor = jacobian[p + 1 :, p] / jacobian[p, p]
            jacobian[p + 1 :, p + 1 :] -= factor[:, None] * jacobian[p, p + 1 :]
            right[:, p + 1 :] -= factor * right[:, p, None]
        for i in range(nodes - 1, -1, -1):
            for j in range(i + 1, nodes):
                right[:, i] -= jacobian[i, j] * right[:, j]
            right[:, i] /= jacobian[i, i]
        new = moved(y, right[0], end, bad)
        last = np.zeros(r.size)
        for i in range(nodes):
            last = relative_step(new[i], y[i], last)
        y = new
    return y, -right[1], -right[2], last + bad


def _summed(first: Any, terms: Any) -> Any:
    """`first` and the terms of every point (axis 1), added in order."""
    total = first
    for k in range(terms.shape[1]):
        total = total + terms[:, k]
    return total


def _probe() -> tuple[Any, ...]:
    plan = SCHEMES[0].fitting
    r = np.linspace(0.001, 0.09, 37)
    q = np.linspace(0.07, -0.02, 37)
    vol, t = np.linspace(0.1, 0.9, 37), np.linspace(0.01, 2.0, 37) ** 2
    by_r = np.where(np.arange(37) % 2 == 0, 1.0, 0.0)
    shape = (plan.xi.size, 37)
    return (r, q, vol, t, by_r, *plan, LANES, *(np.empty(shape) for _ in range(3)), np.empty(37))


_SIGNATURE = (
    "void("
    + "float64[::1], " * 8
    + "float64[:, :, ::1], float64[:, ::1], int64, int64, "
    + "float64[:, ::1], " * 3
    + "float64[::1])"
)

BOUNDARY = Kernel(_boundary_loop, _boundary_blocks, _SIGNATURE, _probe, 4)
