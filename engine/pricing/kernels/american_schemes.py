"""How finely an early-exercise boundary is fitted and integrated: nodes, weights and interpolation matrices.

Collocation at Chebyshev points of ξ = √(τ/T) (Andersen, Lake and Offengenden 2016). Integrals over [0, τ] run in an
angle, u = τ sin²θ, so that the integrand is smooth at both ends: √u and √(τ - u) are both analytic in θ. Built once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FLOOR_SHARE = 0.09
"""Below the first node the squared log-boundary may not fall under this share of its quadratic start."""
DEGREE = 8
"""Coefficients of the polynomial in ln σ that carries a group's boundary over its vols."""
WIDEST = 2.5
"""Highest over lowest vol of one such polynomial."""


class Fitting(NamedTuple):
    """Where the boundary is solved: n nodes, l quadrature points for each."""

    xi: FloatArray
    """(n) √(τ/T) of the nodes, ascending to 1; τ = 0 is no unknown."""
    sine: FloatArray
    """(l) √(u/τ)"""
    weight: FloatArray
    """(l) 2 sinθ cosθ dθ: du = τ · weight"""
    past: FloatArray
    """(n, l, n) squared log-boundary at τ - u from that at the nodes"""
    floor: FloatArray
    """(n, l) least share of the first node's"""
    passes: int
    """Newton steps."""


class Premium(NamedTuple):
    """Where the premium is integrated: p points."""

    sine: FloatArray
    weight: FloatArray
    past: FloatArray
    """(p, n)"""
    floor: FloatArray
    """(p)"""


class Scheme(NamedTuple):
    fitting: Fitting
    premium: Premium


def _interpolation(nodes: int, at: FloatArray) -> FloatArray:
    """(len(at), nodes): values at ξ = `at` from those at the Chebyshev points, the value at ξ = 0 being 0."""
    points = -np.cos(np.pi * np.arange(nodes + 1) / nodes)
    weights = np.ones(nodes + 1)
    weights[1::2] = -1.0
    weights[0] *= 0.5
    weights[-1] *= 0.5
    matrix = np.zeros((at.size, nodes + 1))
    for row, place in enumerate(2.0 * at - 1.0):
        distance = place - points
        hit = np.flatnonzero(np.abs(distance) < 1e-15)
        if hit.size:
            matrix[row, hit[0]] = 1.0
        else:
            share = weights / distance
            matrix[row] = share / share.sum()
    return np.ascontiguousarray(matrix[:, 1:])


def _angles(points: int, clustered: bool) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre in θ on [0, π/2]; clustered: in √θ, which sees the layer next to the boundary."""
    y, w = np.polynomial.legendre.leggauss(points)
    share, width = 0.5 * (1.0 + y), 0.5 * w
    if clustered:
        return 0.5 * np.pi * share * share, np.pi * share * width
    return 0.5 * np.pi * share, 0.5 * np.pi * width


def _floor(at: FloatArray, first: float) -> FloatArray:
    return np.ascontiguousarray(FLOOR_SHARE * np.minimum(at / first, 1.0) ** 2)


def scheme(nodes: int, points: int, passes: int, premium_points: int) -> Scheme:
    """A scheme of so many boundary nodes, quadrature points, Newton passes, and points of the premium integral."""
    xi = 0.5 * (1.0 - np.cos(np.pi * np.arange(1, nodes + 1) / nodes))
    theta, d_theta = _angles(points, clustered=False)
    at = xi[:, None] * np.cos(theta)[None, :]
    past = _interpolation(nodes, at.ravel()).reshape(nodes, points, nodes)
    fitting = Fitting(
        xi, np.sin(theta), 2.0 * np.sin(theta) * np.cos(theta) * d_theta, past, _floor(at, float(xi[0])), passes
    )
    angle, d_angle = _angles(premium_points, clustered=True)
    premium = Premium(
        np.sin(angle),
        2.0 * np.sin(angle) * np.cos(angle) * d_angle,
        _interpolation(nodes, np.cos(angle)),
        _floor(np.cos(angle), float(xi[0])),
    )
    return Scheme(fitting, premium)


SCHEMES = (
    scheme(6, 8, 4, 10),
    scheme(7, 10, 4, 14),
    scheme(8, 12, 4, 20),
    scheme(12, 20, 5, 32),
    scheme(20, 32, 6, 64),
    scheme(28, 56, 8, 128),
)
"""Coarse to fine; `choose_scheme` says which."""
FINEST = 4
"""The finest that is chosen."""
PRECISE = 5
"""On demand only: to measure the others by."""


def choose_scheme(t: FloatArray, r: FloatArray, q: FloatArray, vol: FloatArray) -> NDArray[np.int64]:
    """Index into `SCHEMES` for each contract or group: the larger what is at stake (rate · t), the finer.

    Where drift outweighs diffusion the boundary bends early and the integrand is a step: there the finest.
    """
    steepest = np.maximum(np.abs(r), np.abs(q))
    stake, root = steepest * t, np.sqrt(t)
    drift = steepest * root / vol
    hard = (drift > 0.8) | (vol * root > 0.8) | (stake > 0.12)
    chosen = np.where(stake > 0.012, 2, np.where(stake > 0.0015, 1, 0))
    return np.where(drift > 3.0, FINEST, np.where(hard, 3, chosen))


def vol_polynomial() -> tuple[FloatArray, FloatArray]:
    """Chebyshev points ζ in [-1, 1] and the matrix (DEGREE, DEGREE) from values there to coefficients of ζ^k."""
    zeta = -np.cos(np.pi * (np.arange(DEGREE) + 0.5) / DEGREE)
    return zeta, np.linalg.inv(np.vander(zeta, DEGREE, increasing=True))
