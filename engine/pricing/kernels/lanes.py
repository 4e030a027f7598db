"""The mathematics of the kernels: exp, log and the normal tail from +, -, ·, / and √ alone, without a branch.

Every function here is elementwise and has two readings: on float64 arrays by numpy, and on single numbers inside a
compiled loop, where LLVM makes SIMD of it. Both perform the same correctly rounded operations in the same order (the
compiler may not contract or reorder them), so both give the same bits, on every machine. Nothing here is called by name
from outside the kernels.

To write a lane: only arithmetic, comparisons, `abs`, `np.sqrt`, `&` and `|` between comparisons, and the lanes of this
file; no `if`, no `min`/`max`. `choose` evaluates both sides. NaN in gives NaN out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

Lane = Any
"""A float64 array in the one reading, a float in the other."""

ROOT_TWO_PI = 2.5066282746310002
INV_ROOT_TWO_PI = 0.3989422804014327
FAR = 37.0
"""Beyond so many standard deviations the normal tail (below 1e-299) is exactly 0: no subnormal is ever made."""

_F = TypeVar("_F", bound=Callable[..., Any])
LANES: list[Callable[..., Any]] = []
"""Every lane, for the compiler."""


def lane(function: _F) -> _F:
    """Declare an elementwise function that kernels and other lanes may call; it stays plain Python until compiled."""
    LANES.append(function)
    return function


# ---- the four primitives: the compiler has its own reading of each (compiler.py)


def choose(condition: Lane, yes: Lane, no: Lane) -> Lane:
    """`yes` where the condition holds, else `no`."""
    return np.where(condition, yes, no)


def bits_of(x: Lane) -> Lane:
    """The 64 bits of a float64 as an int64."""
    return x.view(np.int64)


def float_of(bits: Lane) -> Lane:
    """The float64 that has these bits."""
    return bits.view(np.float64)


def whole_float(k: Lane) -> Lane:
    """An int64 of at most 51 bits as a float64."""
    return k.astype(np.float64)


# ---- built on them


@lane
def larger(a: Lane, b: Lane) -> Lane:
    """max(a, b); NaN where `a` is NaN (give the constant second)."""
    return choose(a < b, b, a)


@lane
def smaller(a: Lane, b: Lane) -> Lane:
    """min(a, b); NaN where `a` is NaN (give the constant second)."""
    return choose(a > b, b, a)


@lane
def exp(x: Lane) -> Lane:
    """e^x to 1 ulp for -690 ≤ x ≤ 700; clamped outside (1e-300, 1e304), so that no subnormal and no inf comes out."""
    x = larger(smaller(x, 700.0), -690.0)
    # Adding 1.5·2^52 rounds to an integer and leaves it in the low bits.
    shifted = x * 1.4426950408889634 + 6755399441055744.0
    k = shifted - 6755399441055744.0
    f = (x - k * 0.6931471803691238) - k * 1.9082149292705877e-10
    f2 = f * f
    f4 = f2 * f2
    # (e^f - 1 - f)/f², Chebyshev at 60 digits, error 3e-19; Estrin's order keeps the chain short.
    low = (0.5 + f * 0.1666666666666667) + f2 * (0.04166666666666667 + f * 0.008333333333326084)
    mid = (0.0013888888888883711 + f * 0.0001984126987500228) + f2 * (2.480158732567746e-05 + f * 2.755725517000089e-06)
    top = (2.755727347871858e-07 + f * 2.5105312729622103e-08) + f2 * 2.09147553258932e-09
    p = 1.0 + (f + f2 * (low + f4 * (mid + f4 * top)))
    return p * float_of((bits_of(shifted) << 52) + 4607182418800017408)


@lane
def _log_parts(x: Lane) -> Lane:
    """Exponent k and mantissa m in [0.707, 1.414) with x = m·2^k, for positive normal x (2.2e-308 below that)."""
    bits = bits_of(larger(x, 2.2250738585072014e-308))
    e = (bits - 4604544271217802189) >> 52  # split at √½
    return whole_float(e), float_of(bits - (e << 52))


@lane
def _log_of_parts(k: Lane, g: Lane) -> Lane:
    """k·ln 2 + ln(1+g) for -0.293 ≤ g ≤ 0.415."""
    f = g / (2.0 + g)
    z = f * f
    z2 = z * z
    # (2 atanh f - 2f)/f³, Chebyshev at 60 digits, error 5e-19.
    p = z * (
        ((0.6666666666666666 + z * 0.400000000000009) + z2 * (0.2857142857078817 + z * 0.22222222395207486))
        + (z2 * z2)
        * ((0.18181795267569884 + z * 0.1538625992668246) + z2 * (0.1326823260723225 + z * 0.1309226769119501))
    )
    half = 0.5 * g * g
    # ln(1+g) = g - (g²/2 - f·(g²/2 + p)), which loses nothing next to 1.
    return k * 0.6931471803691238 + (g - (half - (f * (half + p) + k * 1.9082149292705877e-10)))


@lane
def log(x: Lane) -> Lane:
    """ln x to 1 ulp for positive normal x; ln 2.2e-308 below that, NaN for negative and infinite x."""
    k, m = _log_parts(x)
    return choose(x < 0.0, np.nan, _log_of_parts(k, m - 1.0)) + (x - x)


@lane
def log_of_ratio(a: Lane, b: Lane) -> Lane:
    """ln(a/b) for positive a and b, to 1 ulp even where they are nearly equal; ±690 at most. NaN where either is NaN."""
    ratio = a / b
    # A strike of nothing is infinitely in the money, not a missing number.
    ratio = larger(smaller(ratio, 1e300), 1e-300)
    k, m = _log_parts(ratio)
    return choose((a < 0.0) | (b < 0.0), np.nan, _log_of_parts(k, choose(k == 0.0, (a - b) / b, m - 1.0))) + (
        ratio - ratio
    )


@lane
def mills(a: Lane) -> Lane:
    """Φ(-a)/φ(a), Mills' ratio, for a ≥ 0: rational of degree 10/11 exact to 3e-17, 3 ulp in floats; falls as 1/a."""
    a = smaller(a, 1e20)
    a2 = a * a
    a4 = a2 * a2
    a8 = a4 * a4
    p = (
        ((1.2533141373155001 + a * 2.1579260283216843) + a2 * (1.8349106192623743 + a * 0.9988352702071057))
        + a4 * ((0.3824005361129063 + a * 0.10719830603144209) + a2 * (0.022272312377164878 + a * 0.003393812407902026))
    ) + a8 * ((0.00036480677892731237 + a * 2.520291757586895e-05) + a2 * 8.634943994072101e-07)
    q = (
        ((1.0 + a * 2.5196604221553853) + a2 * (2.9744450028664335 + a * 2.176350294818652))
        + a4 * ((1.0994979979374775 + a * 0.4039518693304244) + a2 * (0.11054171261622948 + a * 0.022635392167119316))
    ) + a8 * (
        (0.0034190153254793935 + a * 0.000365670273326713) + a2 * (2.5202917575868965e-05 + a * 8.634943994072101e-07)
    )
    return p / q


@lane
def density_core(d: Lane) -> Lane:
    """e^(-d²/2), exactly 0 beyond `FAR` standard deviations."""
    return choose(abs(d) >= FAR, 0.0, exp(-0.5 * d * d))


@lane
def normal_cdf(d: Lane) -> Lane:
    """Φ(d), to 3 ulp of the smaller tail; exactly 0 and 1 beyond `FAR`."""
    return cdf_from_core(d, density_core(d))


@lane
def cdf_from_core(d: Lane, core: Lane) -> Lane:
    """Φ(d) where `density_core(d)` is at hand already."""
    tail = core * INV_ROOT_TWO_PI * mills(abs(d))
    return choose(d < 0.0, tail, 1.0 - tail)
