"""Randomness as a function: the same stream and position always give the same number, in any order of asking.

Streams are named by text (seed, symbol, purpose, day) and hashed; positions are mixed with SplitMix64 (Steele, Lea and
Flood, 2014). Nothing here remembers anything.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.domain.chain import FloatArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SCALE = 2.0**-53
_HALF_SCALE = 2.0**-32
_LOW = np.uint64(0xFFFFFFFF)


def stream(*names: object) -> np.uint64:
    """The stream of these names."""
    text = "\x1f".join(map(str, names)).encode()
    return np.uint64(int.from_bytes(blake2b(text, digest_size=8).digest(), "little"))


def uniforms(source: np.uint64 | NDArray[np.uint64], positions: NDArray[np.uint64]) -> FloatArray:
    """Numbers strictly between 0 and 1, one per position."""
    return ((_bits(source, positions) >> np.uint64(11)).astype(np.float64) + 0.5) * _SCALE


def pairs(source: np.uint64 | NDArray[np.uint64], positions: NDArray[np.uint64]) -> tuple[FloatArray, FloatArray]:
    """Two independent coarser numbers strictly between 0 and 1 per position, from one hash."""
    bits = _bits(source, positions)
    high, low = (bits >> np.uint64(32)).astype(np.float64), (bits & _LOW).astype(np.float64)
    return (high + 0.5) * _HALF_SCALE, (low + 0.5) * _HALF_SCALE


def normals(source: np.uint64 | NDArray[np.uint64], positions: NDArray[np.uint64]) -> FloatArray:
    """Standard normal numbers, one per position."""
    values: FloatArray = ndtri(uniforms(source, positions))
    return values


def choice(source: np.uint64) -> float:
    """One number strictly between 0 and 1."""
    return float(uniforms(source, np.zeros(1, dtype=np.uint64))[0])


def _bits(source: np.uint64 | NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (positions + np.uint64(1)) * _GOLDEN
    z = z + source
    z ^= z >> np.uint64(30)
    z *= _MIX_1
    z ^= z >> np.uint64(27)
    z *= _MIX_2
    z ^= z >> np.uint64(31)
    return z
