"""The early-exercise premium of options on a stock with cash dividends, by finite differences, one expiry at a time.

Called by `pricing.dividends`. The stock less the present value of its dividends, X, is lognormal (escrowed model); early
exercise pays X plus that value. Uniform grid in ln X about the spot, implicit Euler after every kink (expiry, ex-dates)
and Crank-Nicolson between (Rannacher 1984), the obstacle solved exactly at each step (Brennan and Schwartz 1977): the
grid runs from the exercised side outward, for calls mirrored. Solved twice, with and without early exercise: what is
returned is the difference, in which the errors of the grid cancel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.pricing.kernels.lanes import Lane, choose, exp, lane, larger, log
from engine.pricing.kernels.runtime import Kernel, blocks

LANES = 16
"""Contracts side by side."""
# Rows of the scratch array.
_K, _RATE, _CARRY, _VOL, _PUT, _STEP, _FIRST, _RATIO, _ALPHA, _BETA, _FLOOR, _EDGE, _EDGE_E, _LOW, _UP, _DIAGONAL = (
    LANES * row for row in range(16)
)
_NOW, _RIGHT, _RIGHT_E, _SHARE, _INVERSE, _ROWS = (LANES * row for row in range(16, 22))


@lane
def coefficients(rate: Lane, carry: Lane, vol: Lane, put: Lane, step: Lane) -> Lane:
    """Diffusion and drift of the grid's equation, per year; the drift mirrored for calls."""
    variance = vol * vol
    return 0.5 * variance / (step * step), put * (rate - carry - 0.5 * variance) / (2.0 * step)


@lane
def mean_payoff(x: Lane, strike: Lane, put: Lane, step: Lane) -> Lane:
    """The payoff at expiry, averaged over the cell about ln x: no error of where the strike falls in it."""
    half = 0.5 * step
    low, high = log(x) - half, log(x) + half
    kink = log(strike)
    kink = choose(kink < low, low, choose(kink > high, high, kink))
    begin, end = choose(put > 0.0, low, kink), choose(put > 0.0, kink, high)
    return put * (strike * (end - begin) - (exp(end) - exp(begin))) / step


@lane
def solved(right: Lane, low: Lane, before: Lane, inverse: Lane) -> Lane:
    return (right - low * before) * inverse


@lane
def exercised(put: Lane, strike: Lane, escrow: Lane, x: Lane) -> Lane:
    return put * (strike - escrow - x)


@lane
def explicit(value: Lane, inner: Lane, outer: Lane, part: Lane, alpha: Lane, beta: Lane, rate: Lane) -> Lane:
    """(1 + part · L) value, for the explicit share of a step; `inner` lies on the exercised side."""
    return value + part * ((alpha - beta) * inner + (alpha + beta) * outer - (2.0 * alpha + rate) * value)


@lane
def kept(floor: Lane, strike: Lane, escrow: Lane, put: Lane, discount: Lane) -> Lane:
    """What the strike is worth far in the money: exercised now or the best later moment."""
    now, later = strike - escrow, discount * floor
    return choose((now - later) * put > 0.0, now, later)


def _grid_loop(
    x0: Any, strike: Any, rate: Any, carry: Any, vol: Any, put: Any, step: Any,
    lengths: Any, implicit: Any, escrow: Any, nodes: Any, width: Any, out: Any,
) -> None:  # fmt: skip
    count, last, middle = x0.size, nodes - 1, nodes // 2
    w = np.empty(_ROWS)
    x, value, plain = np.empty((nodes, LANES)), np.empty((nodes, LANES)), np.empty((nodes, LANES))
    right, right_e, inverse = np.empty((nodes, LANES)), np.empty((nodes, LANES)), np.empty((nodes, LANES))
    for at in range(0, count, width):
        filled = min(width, count - at)
        for a in range(width):
            k = at + min(a, filled - 1)
            w[_K + a], w[_RATE + a], w[_CARRY + a], w[_VOL + a] = strike[k], rate[k], carry[k], vol[k]
            w[_PUT + a], w[_STEP + a], w[_NOW + a] = put[k], step[k], x0[k]
        for a in range(width):
            w[_ALPHA + a], w[_BETA + a] = coefficients(
                w[_RATE + a], w[_CARRY + a], w[_VOL + a], w[_PUT + a], w[_STEP + a]
            )
            w[_FLOOR + a] = w[_K + a]
        for j in range(nodes):
            away = float(j - middle)
            for a in range(width):
                here = w[_NOW + a] * exp(w[_PUT + a] * w[_STEP + a] * away)
                w[_RIGHT + a] = here
                w[_RIGHT_E + a] = mean_payoff(here, w[_K + a], w[_PUT + a], w[_STEP + a])
            for a in range(width):
                x[j, a] = w[_RIGHT + a]
            for a in range(width):
                value[j, a] = w[_RIGHT_E + a]
            for a in range(width):
                plain[j, a] = w[_RIGHT_E + a]
        elapsed = 0.0
        for n in range(lengths.size):
            dt = lengths[n]
            share = implicit[n]
            elapsed += dt
            level, dated = escrow[n, 0], escrow[n, 1]
            inside, outside = dt * share, dt * (1.0 - share)
            for a in range(width):
                w[_LOW + a] = -inside * (w[_ALPHA + a] - w[_BETA + a])
                w[_UP + a] = -inside * (w[_ALPHA + a] + w[_BETA + a])
                w[_DIAGONAL + a] = 1.0 + inside * (2.0 * w[_ALPHA + a] + w[_RATE + a])
                w[_FLOOR + a] = kept(w[_FLOOR + a], w[_K + a], level, w[_PUT + a], exp(-w[_RATE + a] * dt))
            for a in range(width):
                w[_FIRST + a] = x[0, a]
            for a in range(width):
                w[_EDGE + a] = w[_PUT + a] * (w[_FLOOR + a] - w[_FIRST + a])
                w[_EDGE_E + a] = w[_PUT + a] * (
                    w[_K + a] * exp(-w[_RATE + a] * elapsed) - w[_FIRST + a] * exp(-w[_CARRY + a] * elapsed)
                )
                w[_RIGHT + a] = 0.0
                w[_RIGHT_E + a] = 0.0
                w[_INVERSE + a] = 0.0
            for back in range(1, last):
                j = last - back
                for a in range(width):
                    w[_NOW + a] = explicit(
                        value[j, a], value[j - 1, a], value[j + 1, a], outside,
                        w[_ALPHA + a], w[_BETA + a], w[_RATE + a],
                    )  # fmt: skip
                for a in range(width):
                    w[_RATIO + a] = explicit(
                        plain[j, a], plain[j - 1, a], plain[j + 1, a], outside,
                        w[_ALPHA + a], w[_BETA + a], w[_RATE + a],
                    )  # fmt: skip
                for a in range(width):
                    part = w[_UP + a] * w[_INVERSE + a]
                    w[_INVERSE + a] = 1.0 / (w[_DIAGONAL + a] - part * w[_LOW + a])
                    w[_RIGHT + a] = w[_NOW + a] - part * w[_RIGHT + a]
                    w[_RIGHT_E + a] = w[_RATIO + a] - part * w[_RIGHT_E + a]
                for a in range(width):
                    inverse[j, a] = w[_INVERSE + a]
                for a in range(width):
                    right[j, a] = w[_RIGHT + a]
                for a in range(width):
                    right_e[j, a] = w[_RIGHT_E + a]
            for a in range(width):
                value[0, a] = w[_EDGE + a]
            for a in range(width):
                plain[0, a] = w[_EDGE_E + a]
            for j in range(1, last):
                for a in range(width):
                    w[_EDGE + a] = larger(
                        solved(right[j, a], w[_LOW + a], w[_EDGE + a], inverse[j, a]),
                        exercised(w[_PUT + a], w[_K + a], level, x[j, a]),
                    )
                for a in range(width):
                    w[_EDGE_E + a] = solved(right_e[j, a], w[_LOW + a], w[_EDGE_E + a], inverse[j, a])
                for a in range(width):
                    value[j, a] = w[_EDGE + a]
                for a in range(width):
                    plain[j, a] = w[_EDGE_E + a]
            if dated > level:
                # The last moment before the stock goes ex: whoever exercises then has the dividend too.
                for j in range(last):
                    for a in range(width):
                        value[j, a] = larger(value[j, a], exercised(w[_PUT + a], w[_K + a], dated, x[j, a]))
        for j in range(5):
            for a in range(filled):
                out[j, at + a] = value[middle - 2 + j, a] - plain[middle - 2 + j, a]
        for a in range(filled):
            out[5, at + a] = value[middle, a]


def _grid_blocks(*arguments: Any) -> None:
    contracts, plan, out = arguments[:7], arguments[7:11], arguments[12]
    for part in blocks(contracts[0].size):
        out[:, part] = _premium(*(each[part] for each in contracts), *plan)


def _premium(
    x0: Any, strike: Any, rate: Any, carry: Any, vol: Any, put: Any, step: Any,
    lengths: Any, implicit: Any, escrow: Any, nodes: Any,
) -> Any:  # fmt: skip
    """The same, all lanes abreast; operation for operation what the loop does."""
    last, middle = nodes - 1, nodes // 2
    alpha, beta = coefficients(rate, carry, vol, put, step)
    x = np.array([x0 * exp(put * step * float(j - middle)) for j in range(nodes)])
    value = np.array([mean_payoff(here, strike, put, step) for here in x])
    plain = value.copy()
    floor, elapsed = strike, 0.0
    right, right_e, inverse = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    for n in range(lengths.size):
        dt, share = lengths[n], implicit[n]
        elapsed += dt
        level, dated = escrow[n, 0], escrow[n, 1]
        inside, outside = dt * share, dt * (1.0 - share)
        low, up = -inside * (alpha - beta), -inside * (alpha + beta)
        diagonal = 1.0 + inside * (2.0 * alpha + rate)
        floor = kept(floor, strike, level, put, exp(-rate * dt))
        known = explicit(value[1:last], value[: last - 1], value[2:], outside, alpha, beta, rate)
        known_e = explicit(plain[1:last], plain[: last - 1], plain[2:], outside, alpha, beta, rate)
        gone = gone_e = turned = np.zeros_like(x0)
        for j in range(last - 1, 0, -1):
            part = up * turned
            turned = inverse[j] = 1.0 / (diagonal - part * low)
            gone = right[j] = known[j - 1] - part * gone
            gone_e = right_e[j] = known_e[j - 1] - part * gone_e
        edge = value[0] = put * (floor - x[0])
        edge_e = plain[0] = put * (strike * exp(-rate * elapsed) - x[0] * exp(-carry * elapsed))
        for j in range(1, last):
            edge = larger(solved(right[j], low, edge, inverse[j]), exercised(put, strike, level, x[j]))
            edge_e = solved(right_e[j], low, edge_e, inverse[j])
            value[j], plain[j] = edge, edge_e
        if dated > level:
            value[:last] = larger(value[:last], exercised(put, strike, dated, x[:last]))
    near = slice(middle - 2, middle + 3)
    return np.concatenate((value[near] - plain[near], value[middle : middle + 1]))


def _probe() -> tuple[Any, ...]:
    count, steps = 21, 9
    one = np.ones(count)
    lengths = np.full(steps, 0.5 / steps)
    escrow = np.zeros((steps, 2))
    escrow[5:] = 1.5
    escrow[4, 1] = 1.5
    implicit = np.where(np.arange(steps) % 5 < 2, 1.0, 0.5)
    return (
        98.5 * one, np.linspace(80.0, 120.0, count), 0.04 * one, 0.01 * one, np.linspace(0.1, 0.5, count),
        np.where(np.arange(count) % 2 == 0, 1.0, -1.0), np.linspace(0.02, 0.1, count),
        lengths, implicit, escrow, 41, LANES, np.empty((6, count)),
    )  # fmt: skip


_SIGNATURE = "void(" + "float64[::1], " * 9 + "float64[:, ::1], int64, int64, float64[:, ::1])"

GRID = Kernel(_grid_loop, _grid_blocks, _SIGNATURE, _probe, 1)
