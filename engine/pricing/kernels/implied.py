"""Kernel of implied vol: the total vol s at which the normalised Black value is a given price. Called by `pricing.implied`.

The price is reduced to the out-of-the-money side by parity and divided by √(forward·strike), both discounted; with
x = |ln(forward/strike)| the value is b(x, s), between 0 and its bound e^(-x/2). Half way up and below, ln b is solved;
above, the logarithm of what is missing to the bound. The start is the normal model's vol in closed form, which has the
exact limit for short times at any moneyness; Householder steps of fourth order follow, mostly two. What has not settled
after `PLAIN_STEPS` goes on inside a bracket. An answer is one only if the last step was so small that the next could not
change it. A contract's steps do not depend on its neighbours.

b(x, s) = e^(-x/2)·Φ(d) - e^(x/2)·Φ(d-s) with d = s/2 - x/s, written with Mills' ratio, so that far wings neither
underflow nor cancel; for small s by its series in s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.pricing.kernels.lanes import (
    INV_ROOT_TWO_PI,
    Lane,
    choose,
    exp,
    lane,
    larger,
    log,
    log_of_ratio,
    mills,
    smaller,
)
from engine.pricing.kernels.runtime import Kernel, blocks

CONVERGED, BAD_INPUT, EXPIRED, BELOW_INTRINSIC, NO_TIME_VALUE, ABOVE_BOUND, UNSOLVED = range(7)
"""The statuses of `pricing.implied.IvStatus`."""
BOUND_FLOOR = 1e-9
"""A price within this share of the bound is rounding noise of the bound."""
TIME_VALUE_FLOOR = 1e-12
"""Time value of an in-the-money option below this share of the larger leg is rounding noise of the quote."""
SMALLEST_PRICE = 1e-290
"""Below this a float has no full precision left to invert."""
PLAIN_STEPS = 4
BRACKETED_STEPS = 100
_SETTLED = 1e-4
"""Size of the last relative Newton step, weighed by the curvature, after which the next (of fourth order) is below rounding."""
_TRUSTED = 0.5
"""Newton steps larger than this share of s are not followed inside a bracket."""
_SERIES = 0.01
"""Total vol below which the difference of two Mills' ratios would lose digits, and its series does not."""
LEAST_SHARE = 0.025
"""s below this share of x gives prices under 1e-340."""
WIDTH = 512
"""Contracts the compiled loop takes through all steps together."""


@lane
def normalised(price: Lane, spot: Lane, strike: Lane, t: Lane, r: Lane, q: Lane, call: Lane) -> Lane:
    """Status, target b, what is missing to the bound, the bound, x, and forward less strike, all normalised."""
    spot_leg = spot * exp(-q * t)
    cash_leg = strike * exp(-r * t)
    signed = choose(call, spot_leg - cash_leg, cash_leg - spot_leg)
    inside = signed > 0.0
    time_value = choose(inside, price - signed, price)
    most = choose(spot_leg > cash_leg, spot_leg, cash_leg)
    least = choose(spot_leg > cash_leg, cash_leg, spot_leg)
    floor = choose(inside, TIME_VALUE_FLOOR * most, SMALLEST_PRICE)
    scale = np.sqrt(spot_leg) * np.sqrt(cash_leg)
    target = time_value / scale
    bound = least / scale
    missing = (least - time_value) / scale
    total = price + spot_leg + cash_leg + t
    usable = (price >= 0.0) & (spot > 0.0) & (strike > 0.0) & (total - total == 0.0) & (scale > 1e-140)
    # The order matters: the last that applies is the status.
    status = choose(missing <= bound * BOUND_FLOOR, 1.0 * ABOVE_BOUND, 1.0 * CONVERGED)
    status = choose(time_value <= floor, 1.0 * NO_TIME_VALUE, status)
    status = choose(time_value < -floor, 1.0 * BELOW_INTRINSIC, status)
    status = choose(t <= 0.0, 1.0 * EXPIRED, status)
    status = choose(usable, status, 1.0 * BAD_INPUT)
    fine = status == CONVERGED
    # A contract without an answer goes along as an easy one.
    return (
        status,
        choose(fine, target, 0.1),
        choose(fine, missing, 0.9),
        choose(fine, bound, 1.0),
        choose(fine, abs(log_of_ratio(spot_leg, cash_leg)), 0.0),
        choose(fine, (most - least) / scale, 0.0),
    )


@lane
def start_below(target: Lane, x: Lane, distance: Lane) -> Lane:
    """s from the normal model's vol, for prices up to half the bound: within 2 % for x < 0.3, 20 % for any x."""
    eta = smaller(larger(distance / target, 1e-6), 1e300)
    depth = log(1.0 + eta)
    v = np.sqrt(depth)
    # Standard deviations h out of the money as a function of v: h/v² rational, within 3e-4, fitted for h up to 37.
    over = 0.3987952177110561 + v * (0.00740052198829102 + v * (0.034945811925072595 + v * 0.019116159530634894))
    under = 1.0 + v * (
        0.011889889261891181 + v * (0.10959506500566826 + v * (0.023108077308164957 + v * 0.013568086501439007))
    )
    # x/distance takes normal vol to lognormal vol, exactly so for short times.
    ratio = choose(distance < 1e-8, 1.0, x / larger(distance, 1e-8))
    s = target * ratio * (eta * under) / (depth * over)
    u = s * s
    # Brenner-Subrahmanyam's next two terms.
    return smaller(s * (1.0 + u * (0.041666666666666664 + u * 0.0036458333333333334)), 100.0)


@lane
def start_above(missing: Lane, bound: Lane) -> Lane:
    """s for prices above half the bound: twice a normal quantile (Hastings), exact at the money."""
    tail = smaller(larger(missing / (bound + 1.0 / bound), 1e-300), 0.5)
    v = np.sqrt(-2.0 * log(tail))
    return 2.0 * (
        v - (2.515517 + v * (0.802853 + v * 0.010328)) / (1.0 + v * (1.432788 + v * (0.189269 + v * 0.001308)))
    )


@lane
def householder(s: Lane, target: Lane, missing: Lane, bound: Lane, x: Lane) -> Lane:
    """The relative step of s, whether the value at s is above the target, and how far from settled that is."""
    h = x / s
    half = 0.5 * s
    z = half - h
    small = s < _SERIES
    upper = target > 0.5 * bound
    h2 = h * h
    t2 = half * half
    near = mills(choose(small, h, abs(z)))
    far = mills(h + half)
    slope = INV_ROOT_TWO_PI * exp(-0.5 * (h2 + t2))
    # The odd derivatives of Mills' ratio at h.
    first = 1.0 - h * near
    third = (h2 + 2.0) - near * h * (h2 + 3.0)
    fifth = (h2 * h2 + 9.0 * h2 + 8.0) - near * h * (h2 * h2 + 10.0 * h2 + 15.0)
    series = s * (first + t2 * (third + t2 * (fifth * 0.05)) * 0.16666666666666666)
    past = (z > 0.0) & (s >= _SERIES)
    below = slope * choose(small, series, near - far)
    above = slope * (near + far)
    value = choose(past, bound - above, below)
    rest = choose(past, above, bound - below)
    # Either logarithm, with k = s·f'/f of what is under it.
    size = choose(upper, rest, value)
    goal = choose(upper, missing, target)
    k = s * slope / size
    k = choose(upper, -k, k)
    gap = log(goal / size)
    curve = h2 - t2
    second = curve - k
    cubic = curve * curve - 3.0 * h2 - t2 - 3.0 * curve * k + 2.0 * k * k
    n = larger(smaller(gap / k, 1e3), -1e3)
    step = n * (1.0 + 0.5 * n * second) / (1.0 + n * (second + n * cubic * 0.16666666666666666))
    # Newton's step tells how near the root is; Householder's is small far out on a flat wing, too.
    return larger(smaller(step, 1.0), -0.6), choose(upper, gap > 0.0, gap < 0.0), abs(n) * (1.0 + h2)


@lane
def plain_step(s: Lane, live: Lane, target: Lane, missing: Lane, bound: Lane, x: Lane) -> Lane:
    """s after one more step if it is still live (1.0), and whether it still is."""
    step, _above, unrest = householder(s, target, missing, bound, x)
    return choose(live > 0.0, s + s * step, s), choose(unrest <= _SETTLED, 0.0, live)


@lane
def bracketed_step(
    s: Lane, live: Lane, low: Lane, high: Lane, target: Lane, missing: Lane, bound: Lane, x: Lane
) -> Lane:
    """The same inside a bracket, which it narrows: s, live, low, high."""
    step, above, unrest = householder(s, target, missing, bound, x)
    low = choose(above, low, s)
    high = choose(above, s, high)
    moved = s + s * step
    # Where the wing is steep or flat a step says little: halve the bracket, in the logarithm.
    trusted = (moved >= low) & (moved <= high) & (unrest <= _TRUSTED * (1.0 + x * x / (s * s)))
    settled = trusted & (unrest <= _SETTLED)
    following = choose(trusted, moved, np.sqrt(low) * np.sqrt(high))
    return choose(live > 0.0, following, s), choose(settled, 0.0, live), low, high


def _loop(
    price: Any, spot: Any, strike: Any, t: Any, r: Any, q: Any, call: Any, vol: Any, status: Any
) -> None:  # fmt: skip
    code, target, missing, bound = np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH)
    x, distance, s, live = np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH)
    for start in range(0, vol.size, WIDTH):
        count = min(WIDTH, vol.size - start)
        for i in range(count):
            n = start + i
            code[i], target[i], missing[i], bound[i], x[i], distance[i] = normalised(
                price[n], spot[n], strike[n], t[n], r[n], q[n], call[n]
            )
        upper = 0
        for i in range(count):
            s[i] = start_below(target[i], x[i], distance[i])
            live[i] = 1.0
            upper += 1 if target[i] > 0.5 * bound[i] else 0
        if upper > 0:
            for i in range(count):
                s[i] = choose(target[i] > 0.5 * bound[i], start_above(missing[i], bound[i]), s[i])
        for _step in range(PLAIN_STEPS):
            left = 0
            for i in range(count):
                s[i], live[i] = plain_step(s[i], live[i], target[i], missing[i], bound[i], x[i])
            for i in range(count):
                left += 1 if live[i] > 0.0 else 0
            if left == 0:
                break
        if left > 0:
            for i in range(count):
                low, high = larger(x[i] * LEAST_SHARE, 1e-300), 1e3
                for _step in range(BRACKETED_STEPS):
                    if not live[i] > 0.0:
                        break
                    s[i], live[i], low, high = bracketed_step(
                        s[i], live[i], low, high, target[i], missing[i], bound[i], x[i]
                    )
        for i in range(count):
            n = start + i
            found = choose(code[i] == CONVERGED, choose(live[i] > 0.0, 1.0 * UNSOLVED, code[i]), code[i])
            vol[n] = choose(found == CONVERGED, s[i] / np.sqrt(t[n]), np.nan)
            status[n] = np.int8(found)


def _blocks(*arguments: Any) -> None:
    inputs: tuple[Any, ...] = arguments[:7]
    vol, status = arguments[7], arguments[8]
    for part in blocks(vol.size):
        code, target, missing, bound, x, distance = normalised(*(each[part] for each in inputs))
        upper = target > 0.5 * bound
        s: Any = np.where(upper, start_above(missing, bound), start_below(target, x, distance))
        live = np.ones_like(s)
        for _step in range(PLAIN_STEPS):
            s, live = plain_step(s, live, target, missing, bound, x)
            if not live.any():
                break
        rows: Any = np.flatnonzero(live)
        if rows.size:
            problem = (target[rows], missing[rows], bound[rows], x[rows])
            low, high = larger(x[rows] * LEAST_SHARE, 1e-300), np.full(rows.size, 1e3)
            kept, still = s[rows], live[rows]
            for _step in range(BRACKETED_STEPS):
                kept, still, low, high = bracketed_step(kept, still, low, high, *problem)
                if not still.any():
                    break
            s[rows], live[rows] = kept, still
        found = np.where((code == CONVERGED) & (live > 0.0), 1.0 * UNSOLVED, code)
        vol[part] = np.where(found == CONVERGED, s / np.sqrt(inputs[3][part]), np.nan)
        status[part] = found


def _probe() -> tuple[Any, ...]:
    strikes = np.geomspace(30.0, 400.0, 45)
    one = np.ones_like(strikes)
    prices = np.maximum(100.0 - strikes, 0.0) + np.geomspace(1e-12, 60.0, 45)[::-1] * np.minimum(1.0, strikes / 100.0)
    years = np.geomspace(1e-6, 3.0, 45)
    calls = np.ones(45, np.bool_)
    return prices, 100.0 * one, strikes, years, 0.0 * one, 0.0 * one, calls, np.empty_like(one), np.empty(45, np.int8)


IMPLIED = Kernel(_loop, _blocks, f"void({'float64[::1], ' * 6}boolean[::1], float64[::1], int8[::1])", _probe, 2)
