"""American options on stocks and ETFs with a continuous yield: value and Greeks of many at once.

Called wherever a contract that may be exercised early is priced. All arguments broadcast; results are float64 of the
broadcast shape. Units: `spot`, `strike` dollars; `t` years; `r`, `q`, `vol` fractions per year, continuously compounded, of
any sign but `vol`. Cash dividends: `dividends`. Method: Andersen, Lake and Offengenden 2016 (see `kernels.american_boundary`).

Nothing raises: t ≤ 0 gives the value at expiry, vol = 0 the best of exercising along the forward, NaN in any input and a
negative price, strike or vol give NaN. Greeks are derivatives of the integral, boundary included; none is a bumped price.
In the exercise region value is intrinsic, delta ±1, everything else 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.pricing.american_double import double_boundary
from engine.pricing.american_limits import without_vol
from engine.pricing.american_tables import (
    SHARING,
    FloatArray,
    Piece,
    flattened,
    grouped,
    put_form,
    settled,
    tables,
    whole,
)
from engine.pricing.european import DESK, FullGreeks, GreeksArrays, Units
from engine.pricing.kernels.american_shared import LANES, SHARED

LEAST_TOTAL_VOL = 1e-6
"""Below this vol·√t is none: an option at the money is worth less than a 10,000th of a cent per 100 of spot more."""
MOST_DRIFT = 1e4
"""Standard deviations of drift from which the path is as good as certain."""
_SPOT_BUMP = 1e-3
"""Of the contract's standard deviation: step of the differences of analytic Greeks (vanna, volga, charm)."""


class Boundaries:
    """The early-exercise boundaries of a chain, found once and good for every spot.

    They hold as long as strike, t, r, q, vol and right are what they were: `holds` says so, exactly. The spot is free.
    `precise` takes about a hundred times longer and leaves errors near 1e-9 of the spot: what the usual ones are measured by.
    """

    def __init__(
        self, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike,
        *, precise: bool = False,
    ) -> None:  # fmt: skip
        self.shape, self.strike, self.t, self.r, self.q, self.vol, self.is_call = flattened(
            strike, t, r, q, vol, flag=is_call
        )
        total = self.vol * np.sqrt(np.maximum(self.t, 0.0))
        drift = np.maximum(np.abs(self.r), np.abs(self.q)) * self.t
        usual = (total >= LEAST_TOTAL_VOL) & (drift <= MOST_DRIFT * total) & (self.strike > 0)
        usual &= np.isfinite(self.strike + total + drift)
        first, second = settled(self.r, self.q, self.is_call)
        double = usual & (first < 0) & (second < first)
        self._usual = np.flatnonzero(usual & ~double)
        self._double = np.flatnonzero(double)
        self._rest = np.flatnonzero(~usual)
        self._pieces: list[Piece] = []
        if self._usual.size:
            rows = self._usual
            each = put_form(
                self.t[rows], self.r[rows], self.q[rows], self.is_call[rows], self.vol[rows], self.vol[rows]
            )
            self._pieces = [
                piece._replace(order=rows[piece.order])
                for piece in tables(grouped(each, sharing=np.inf if precise else SHARING), precise=precise)
            ]

    def holds(
        self, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike
    ) -> bool:
        """Whether these are the very numbers the boundaries were found for (NaN equals NaN)."""
        shape, *arrays = flattened(strike, t, r, q, vol, flag=is_call)
        mine = (self.strike, self.t, self.r, self.q, self.vol, self.is_call)
        return bool(shape == self.shape) and all(
            np.array_equal(a, b, equal_nan=a.dtype != np.bool_) for a, b in zip(arrays, mine, strict=True)
        )

    def price_greeks(self, spot: ArrayLike, *, full: bool = True, units: Units = DESK) -> GreeksArrays:
        """Value and Greeks at a spot (a number, or one for each contract). Not `full`: vega and rho are NaN."""
        spots = whole(np.asarray(spot, np.float64), self.shape, np.float64)
        results = self._results(spots, full, units)
        return GreeksArrays(*(each.reshape(self.shape) for each in results))

    def _results(self, spots: FloatArray, full: bool, units: Units) -> list[FloatArray]:
        results = [np.empty(spots.size) for _ in range(6)]
        value, delta, gamma, vega, theta, rho = results
        if not full:
            vega.fill(np.nan)
            rho.fill(np.nan)
        fine = (spots > 0) & np.isfinite(spots)
        # The kernels see a harmless number where the spot is none, and the answer is put in after them.
        odd = np.flatnonzero(~fine)
        clean = spots if not odd.size else np.where(fine, spots, 1.0)
        for piece in self._pieces:
            SHARED(
                piece.order, piece.starts, clean, self.strike, self.vol, *piece[2:],
                units.vol, units.time, units.rate, int(full), LANES, value, delta, gamma, vega, theta, rho,
            )  # fmt: skip
        for rows in (self._double, self._rest, odd):
            if not rows.size:
                continue
            at = (
                (spots if rows is odd else clean)[rows],
                self.strike[rows],
                self.t[rows],
                self.r[rows],
                self.q[rows],
                self.vol[rows],
            )
            right = self.is_call[rows]
            found = double_boundary(*at, right, full) if rows is self._double else without_vol(*at, right)
            scaled = (1.0, 1.0, 1.0, units.vol, units.time, units.rate)
            for column, (result, values, unit) in enumerate(zip(results, found, scaled, strict=True)):
                if full or column not in (3, 5):
                    result[rows] = values * unit
        return results


def price(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike,
    *, precise: bool = False,
) -> FloatArray:  # fmt: skip
    """Value in dollars per share."""
    spots, boundaries = _with_spot(spot, strike, t, r, q, vol, is_call, precise)
    return boundaries.price_greeks(spots, full=False).value


def greeks(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike,
    *, units: Units = DESK, precise: bool = False,
) -> GreeksArrays:  # fmt: skip
    """Value and Greeks (see `GreeksArrays` for the units)."""
    spots, boundaries = _with_spot(spot, strike, t, r, q, vol, is_call, precise)
    return boundaries.price_greeks(spots, units=units)


def full_greeks(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike,
    *, units: Units = DESK,
) -> FullGreeks:  # fmt: skip
    """The same and vanna, volga and charm, which are central differences of the analytic vega, gamma and vega."""
    spots, boundaries = _with_spot(spot, strike, t, r, q, vol, is_call)
    here = boundaries.price_greeks(spots, units=units)
    shape = boundaries.shape
    sigma, years = boundaries.vol.reshape(shape), np.maximum(boundaries.t.reshape(shape), 0.0)
    rate, carry = boundaries.r.reshape(shape), boundaries.q.reshape(shape)
    step = np.maximum(spots * sigma * np.sqrt(years), 1e-6 * spots) * _SPOT_BUMP
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = (boundaries.price_greeks(spots + side * step, units=units) for side in (1.0, -1.0))
        vanna = (up.vega - down.vega) / (2.0 * step)
        speed = (up.gamma - down.gamma) / (2.0 * step)
        # d theta / d spot, by the equation the value obeys where the option lives on.
        alive = here.gamma > 0
        curve = sigma * sigma * spots * (here.gamma + 0.5 * spots * speed)
        charm = -(curve + (rate - carry) * spots * here.gamma - carry * here.delta) * units.time
        nudge = sigma * 1e-3
        arguments = (boundaries.strike.reshape(shape), years, rate, carry)
        more, less = (
            Boundaries(*arguments, sigma + side * nudge, boundaries.is_call.reshape(shape)).price_greeks(
                spots, units=units
            )
            for side in (1.0, -1.0)
        )
        volga = (more.vega - less.vega) / (2.0 * nudge) * units.vol
    return FullGreeks(*here, np.where(alive, vanna, 0.0), np.where(alive, volga, 0.0), np.where(alive, charm, 0.0))


def _with_spot(
    spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, vol: ArrayLike, is_call: ArrayLike,
    precise: bool = False,
) -> tuple[FloatArray, Boundaries]:  # fmt: skip
    spots, *others = (np.asarray(each) for each in (spot, strike, t, r, q, vol, is_call))
    shape = np.broadcast_shapes(spots.shape, *(each.shape for each in others))
    if others[0].shape != shape:
        others[0] = np.broadcast_to(others[0], shape)
    return np.asarray(spots, np.float64), Boundaries(*others, precise=precise)
