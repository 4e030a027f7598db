"""The vol surface: one smile per expiry, and total variance anywhere between and beyond them.

Called by whatever needs a vol that is not quoted: scenarios, model marks, probabilities, the surface panel. Between expiries
total variance is linear in the clock's years (see `engine.pricing.time`) at equal forward log-moneyness, which keeps it
rising in time. Before the first expiry the first smile is kept at equal standardised moneyness k/√years; after the last,
variance goes on at the rate of the last at-the-money vol. Beyond the quotes of an expiry its SVI wings are straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.pricing.european import FloatArray
from engine.pricing.svi import Smile, fit_smile


class SurfaceError(ValueError):
    """A surface that cannot be built; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Arrays have one entry per expiry, earliest first."""

    t: FloatArray
    """Calendar years to expiry."""
    clock: FloatArray
    """Variance years to expiry; equal to `t` where no clock was given."""
    forward: FloatArray
    """Dollars."""
    smiles: tuple[Smile, ...]
    """Their years are calendar years."""

    def variance(self, k: ArrayLike, clock: ArrayLike) -> FloatArray:
        """Total variance at log-moneyness `k`, `clock` variance years from now; the two broadcast. 0 at and before now."""
        moneyness, years = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(clock, np.float64))
        found = np.zeros(moneyness.shape)
        first, last = self.clock[0], self.clock[-1]
        early, late = (years > 0) & (years <= first), years > last
        if early.any():
            share = years[early] / first
            found[early] = share * self.smiles[0].parameters.variance(moneyness[early] / np.sqrt(share))
        if late.any():
            end = self.smiles[-1].parameters
            found[late] = end.variance(moneyness[late]) + float(end.variance(0.0)) * (years[late] / last - 1.0)
        right = np.searchsorted(self.clock, years, side="left")
        for row in range(1, len(self.smiles)):
            here = (right == row) & ~late
            if here.any():
                low, high = self.clock[row - 1], self.clock[row]
                share = (years[here] - low) / (high - low)
                near, far = (self.smiles[at].parameters.variance(moneyness[here]) for at in (row - 1, row))
                found[here] = (1.0 - share) * near + share * far
        return np.asarray(np.maximum(found, 0.0))

    def vol(self, strike: ArrayLike, t: ArrayLike, clock: ArrayLike | None = None) -> FloatArray:
        """Implied vol per calendar year of `strike` (dollars) at `t` calendar years.

        `clock`: the variance years of the same moments; without them they are interpolated between the expiries'. NaN at
        t ≤ 0 and for strikes that are not positive.
        """
        years = np.asarray(t, np.float64)
        ticks = self.clock_at(years) if clock is None else np.asarray(clock, np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            k = np.log(np.asarray(strike, np.float64) / self.forward_at(years))
            found = np.sqrt(self.variance(k, ticks) / years)
        return np.asarray(np.where((years > 0) & np.isfinite(k), found, np.nan))

    def forward_at(self, t: ArrayLike) -> FloatArray:
        """Forward at `t` calendar years: its logarithm is linear between expiries, and goes on at the outer slopes."""
        return np.asarray(np.exp(_line(np.asarray(t, np.float64), self.t, np.log(self.forward))))

    def clock_at(self, t: ArrayLike) -> FloatArray:
        """Variance years of calendar years, linear between now and the expiries, beyond the last at the average pace."""
        years = np.asarray(t, np.float64)
        inside = np.interp(years, np.append(0.0, self.t), np.append(0.0, self.clock))
        return np.asarray(np.where(years > self.t[-1], years * self.clock[-1] / self.t[-1], inside))

    def at_money(self) -> FloatArray:
        """At-the-money-forward vol per expiry: the term structure, per calendar year."""
        return np.array([float(smile.vol(0.0)) for smile in self.smiles])

    def forward_vols(self) -> FloatArray:
        """At-the-money vol between each expiry and the one before (the first: from now), per variance year; NaN where
        variance falls."""
        total = np.array([float(smile.parameters.variance(0.0)) for smile in self.smiles])
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.diff(total, prepend=0.0) / np.diff(self.clock, prepend=0.0)))

    @property
    def free(self) -> bool:
        """Without butterfly arbitrage within, or calendar arbitrage between, the smiles on their grids."""
        return all(smile.free for smile in self.smiles)


def fit_surface(
    t: FloatArray,
    clock: FloatArray,
    forward: FloatArray,
    quotes: Sequence[tuple[FloatArray, FloatArray, FloatArray]],
) -> tuple[Surface | None, list[Smile | None]]:
    """Smiles of all expiries, fitted from the last to the first, and the surface of those that have one.

    `quotes` per expiry: log-moneyness, mid vol (per calendar year), half the spread in vol; NaN vols are left out. The list
    has an entry per expiry given, None where it has no quotes. Raises `SurfaceError` unless the expiries rise in time.
    """
    if len({len(t), len(clock), len(forward), len(quotes)}) != 1:
        raise SurfaceError("times, forwards and quotes differ in number")
    if np.any(np.diff(t) <= 0) or np.any(np.diff(clock) <= 0):
        raise SurfaceError("expiries must rise in time, on the calendar and on the clock")
    smiles: list[Smile | None] = [None] * len(t)
    after: Smile | None = None
    for row in reversed(range(len(t))):
        found = fit_smile(*quotes[row], float(t[row]), after)
        smiles[row] = found
        after = found if found is not None else after
    ready = [row for row, smile in enumerate(smiles) if smile is not None and clock[row] > 0]
    if not ready:
        return None, smiles
    surface = Surface(
        t=np.asarray(t, np.float64)[ready],
        clock=np.asarray(clock, np.float64)[ready],
        forward=np.asarray(forward, np.float64)[ready],
        smiles=tuple(smile for smile in (smiles[row] for row in ready) if smile is not None),
    )
    return surface, smiles


def _line(x: FloatArray, at: FloatArray, value: FloatArray) -> FloatArray:
    """Linear between the points, at the outer slopes beyond them; constant where there is one point."""
    if len(at) == 1:
        return np.full(x.shape, value[0])
    row = np.clip(np.searchsorted(at, x), 1, len(at) - 1)
    slope = (value[row] - value[row - 1]) / (at[row] - at[row - 1])
    return np.asarray(value[row - 1] + slope * (x - at[row - 1]))
