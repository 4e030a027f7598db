"""The equation of the early-exercise boundary, term by term: the lanes of `american_boundary`.

Put with strike 1; B = X·e^y at time τ to expiry, u the lag within the integral. E and R name the two sides of the equation.
"""

from __future__ import annotations

import numpy as np

from engine.pricing.kernels.lanes import (
    INV_ROOT_TWO_PI,
    Lane,
    cdf_from_core,
    choose,
    density_core,
    exp,
    lane,
    larger,
    log,
    smaller,
)


@lane
def start_of_boundary(r: Lane, q: Lane) -> Lane:
    """ln X: the boundary just before expiry, min(1, r/q)."""
    return choose((r > 0.0) & (q > r), log(r / choose(q > 0.0, q, 1.0)), 0.0)


@lane
def end_of_boundary(r: Lane, q: Lane, vol: Lane, start: Lane) -> Lane:
    """ln(B∞/X) ≤ 0 of the perpetual put: the boundary's lower bound."""
    variance = vol * vol
    g = (r - q) / variance - 0.5
    two = 2.0 * r / variance
    root = np.sqrt(larger(g * g + two, 0.0))
    # The negative root of the quadratic, written so that nothing cancels for either sign of g.
    size = choose(g < 0.0, two / (root - g), g + root)
    return smaller(-log(1.0 + 1.0 / larger(size, 1e-290)) - start, -1e-13)


@lane
def first_guess(r: Lane, q: Lane, vol: Lane, root_t: Lane, start: Lane, end: Lane) -> Lane:
    """y near the root: the short-time asymptotes (r ≥ q: Φ(d) in proportion to √τ; r < q: linear in √τ), bent to B∞."""
    spread = vol * root_t
    gain = larger(r - q, 0.0) + larger(q, 0.0) * spread * 0.8
    level = larger(smaller(0.32 * root_t / vol * gain, 0.4), 1e-290)
    t = np.sqrt(-2.0 * log(level))
    quantile = larger(t - (2.30753 + 0.27061 * t) / (1.0 + 0.99229 * t + 0.04481 * t * t), 0.6)
    away = quantile * spread
    away = choose(r < q, larger(away + start, 0.638 * spread), away)
    return larger(smaller(end * (1.0 - exp(away / end)), -1e-14), -50.0)


@lane
def past_boundary(square: Lane, floor: Lane) -> Lane:
    """y from its interpolated square, and 1/y where the square is itself and no floor (else 0: no sensitivity)."""
    least = larger(floor, 1e-28)
    y = -np.sqrt(choose(square > least, square, least))
    return y, choose(square > least, 1.0 / y, 0.0)


@lane
def maturity_terms(at: Lane, tau: Lane, r: Lane, q: Lane, vol: Lane) -> Lane:
    """At ln B = `at`: 1/B, 1/(σ√τ), d+, d-, e^(-qτ)Φ(d+), and its derivative in ln B, e^(-qτ)φ(d+)/(σ√τ)."""
    spread = vol * np.sqrt(tau)
    inverse = 1.0 / spread
    over = exp(-at)
    minus = (at + (r - q) * tau) * inverse - 0.5 * spread
    plus = minus + spread
    core = density_core(minus)
    discount = exp(-q * tau)
    slope = exp(-r * tau) * core * INV_ROOT_TWO_PI * over * inverse
    return over, inverse, plus, minus, discount * cdf_from_core(plus, density_core(plus)), slope


@lane
def past_terms(
    y: Lane, past: Lane, over_past: Lane, start: Lane, over: Lane, lag: Lane, spread: Lane, r: Lane, q: Lane,
    grown: Lane, held: Lane,
) -> Lane:  # fmt: skip
    """One quadrature point: d-, d+, Φ(d+), B(τ-u), P (weighted e^(-ru)φ/(σ√u)), r - qB, and what E, R and J gain."""
    inverse = 1.0 / spread
    minus = (y - past + (r - q) * lag) * inverse - 0.5 * spread
    plus = minus + spread
    earlier = exp(start + past)
    core = density_core(minus)
    density = grown * core * INV_ROOT_TWO_PI * inverse
    gain = r - q * earlier
    # B·φ(d+)e^(-qu) = B(τ-u)·φ(d-)e^(-ru) spares an exponential.
    below = cdf_from_core(plus, core * (earlier * over) * (grown / held))
    e_gain = q * held * below
    e_slope = q * density * earlier * over
    r_gain = density * gain
    r_slope = -r_gain * minus * inverse
    e_past = -e_slope * over_past
    r_past = (-r_slope - q * density * earlier) * over_past
    return minus, plus, below, earlier, density, gain, e_gain, e_slope, r_gain, r_slope, e_past, r_past


@lane
def by_parameters(
    dr: Lane, dq: Lane, sign: Lane, q: Lane, vol: Lane, lag: Lane, spread: Lane, held: Lane,
    minus: Lane, plus: Lane, below: Lane, earlier: Lane, density: Lane, e_slope: Lane, r_gain: Lane,
) -> Lane:  # fmt: skip
    """What one quadrature point adds to dE/dσ, dR/dσ, dE/drate, dR/drate and dR/d ln X, the y held."""
    return (
        -e_slope * (spread / vol) * minus,
        r_gain * (minus * plus - 1.0) / vol,
        dq * held * (1.0 - q * lag) * below + e_slope * sign * lag,
        density * (dr - dq * earlier) - r_gain * dr * lag - r_gain * minus * sign * lag / spread,
        -q * density * earlier,
    )


@lane
def start_by_rate(r: Lane, q: Lane, dr: Lane) -> Lane:
    """d ln X / d rate."""
    bent = (r > 0.0) & (q > r)
    return choose(bent, dr / choose(r > 0.0, r, 1.0) - (1.0 - dr) / choose(q > 0.0, q, 1.0), 0.0)


@lane
def moved(y: Lane, step: Lane, end: Lane, bad: Lane) -> Lane:
    """The next y: a Newton step held within a factor, above the perpetual boundary; away from it where there was none."""
    new = y - step
    new = choose(new < 3.0 * y, 3.0 * y, choose(new > 0.3 * y, 0.3 * y, new))
    new = larger(new, end)
    return choose((bad > 0.0) | (new != new), 0.7 * y, new)


@lane
def residual(y: Lane, start: Lane, e: Lane, r: Lane) -> Lane:
    return start + y + log(e) - log(r)


@lane
def worse(bad: Lane, e: Lane, r: Lane) -> Lane:
    return choose((e > 0.0) & (r > 0.0), bad, 1.0)


@lane
def relative_step(new: Lane, old: Lane, so_far: Lane) -> Lane:
    return larger(abs(new / old - 1.0), so_far)
