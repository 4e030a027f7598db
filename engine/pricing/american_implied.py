"""American implied volatility: the vol at which `american.price` gives a quoted price, many at once.

Called by marks, the chain and the surface. Every answer is right, to the accuracy of the prices seen through the vega, or
NaN with a status that says why. At a price of intrinsic value the holder exercises and every low vol gives that price:
EXERCISE_REGION, n/a. The European vol of the price is where the search starts, and never lies far below the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing import american
from engine.pricing.american_limits import without_vol
from engine.pricing.american_tables import Piece, flattened, grouped, put_form, settled, tables
from engine.pricing.implied import ImpliedVols, IvStatus
from engine.pricing.implied import implied_vol as european_implied_vol
from engine.pricing.kernels.american_search import ABOVE_RANGE, BELOW_RANGE, FOUND, SEARCH
from engine.pricing.kernels.american_shared import LANES, MIDDLE, SCALE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NOISE = 2e-8
"""Time value of an option in the money below this share of max(spot, strike) is lost in the rounding of the boundary."""
BOUND_FLOOR = 1e-9
_SMALLEST_PRICE = 1e-290
_LEAST_TOTAL, _MOST_TOTAL = 1e-5, 12.0
"""Vol·√t outside this is no vol: the price is a bound's."""
_ROUNDS = 24
_TURNS = 40
_AROUND = (0.8, 1.04)
"""First range around the European vol: the American one is lower, by the premium over the vega."""
_FIRST_HALVINGS, _HALVINGS = 8, 80
_EXACT = 1e-9


def implied_vol(
    price: ArrayLike, spot: ArrayLike, strike: ArrayLike, t: ArrayLike, r: ArrayLike, q: ArrayLike, is_call: ArrayLike
) -> ImpliedVols:
    """Implied vols of American option prices (dollars per share). Arguments broadcast; units as in `american`."""
    shape, quoted, spots, strikes, years, rates, carries, calls = flattened(price, spot, strike, t, r, q, flag=is_call)
    shape = shape or (1,)
    vol = np.full(quoted.size, np.nan)
    status = _first_look(quoted, spots, strikes, years, rates, carries, calls)
    rows = np.flatnonzero(status == IvStatus.CONVERGED)
    first, second = settled(rates, carries, calls)
    double = (first < 0) & (second < first)
    usual, rare = rows[~double[rows]], rows[double[rows]]
    arguments = (quoted, spots, strikes, years, rates, carries, calls)
    if usual.size:
        _search(usual, arguments, vol, status)
    if rare.size:
        _halve(rare, arguments, vol, status)
    vol[status != IvStatus.CONVERGED] = np.nan
    return ImpliedVols(vol.reshape(shape), status.reshape(shape))


def _first_look(
    quoted: FloatArray, spot: FloatArray, strike: FloatArray, t: FloatArray, r: FloatArray, q: FloatArray, calls: Any
) -> NDArray[np.int8]:
    """CONVERGED where there is something to search, else why not. The last that applies is the status."""
    status = np.full(quoted.size, IvStatus.CONVERGED, np.int8)
    least = without_vol(spot, strike, t, r, q, np.zeros_like(t), calls)[0]
    intrinsic = np.maximum(np.where(calls, spot - strike, strike - spot), 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        most = np.where(calls, spot * np.exp(np.maximum(-q * t, 0.0)), strike * np.exp(np.maximum(-r * t, 0.0)))
        size = np.maximum(spot, strike)
        time_value = quoted - least
        floor = np.where(least > 0, NOISE * size, _SMALLEST_PRICE)
        exercised = (least > 0) & (intrinsic >= least)
        status[quoted >= most * (1.0 - BOUND_FLOOR)] = IvStatus.ABOVE_BOUND
        none = time_value <= floor
        status[none] = np.where(exercised[none], IvStatus.EXERCISE_REGION, IvStatus.NO_TIME_VALUE)
        status[time_value < -np.minimum(floor, 1e-10 * size)] = IvStatus.BELOW_INTRINSIC
        good = np.isfinite(quoted + spot + strike + t + r + q) & (quoted >= 0) & (spot > 0) & (strike > 0)
    status[t <= 0] = IvStatus.EXPIRED
    status[~good] = IvStatus.BAD_INPUT
    return status


def _search(rows: IntArray, arguments: tuple[Any, ...], vol: FloatArray, status: NDArray[np.int8]) -> None:
    """Rounds of: tables over the vols still possible, Newton inside them; who runs out of a table gets the next one."""
    quoted, spot, strike, t, r, q, calls = (each[rows] for each in arguments)
    guess = european_implied_vol(quoted, spot, strike, t, r, q, calls)
    root = np.sqrt(t)
    # Where no European vol gives the price (American options may cost more than European ones can): from a large one.
    start = np.where(guess.status == IvStatus.CONVERGED, guess.vol, 1.0 / root)
    start = np.clip(start, 2.0 * _LEAST_TOTAL / root, 0.5 * _MOST_TOTAL / root)
    low, high = _AROUND[0] * start, _AROUND[1] * start
    found, state = start.copy(), np.zeros(start.size)
    floor, ceiling = low.copy(), high.copy()
    left = np.arange(start.size)
    for _ in range(_ROUNDS):
        groups = grouped(put_form(t[left], r[left], q[left], calls[left], low[left], high[left]), sharing=0)
        for piece in tables(groups):
            here = piece._replace(order=left[piece.order])
            _set_range(here, floor, ceiling)
            first = np.clip(start, floor, ceiling)
            SEARCH(
                here.order, here.starts, spot, strike, quoted, first, floor, ceiling,
                here.group, here.points, here.boundary, here.level, _TURNS, LANES, found, state,
            )  # fmt: skip
        below, above = state == BELOW_RANGE, state == ABOVE_RANGE
        ended = below & (floor * root < _LEAST_TOTAL) | above & (ceiling * root > _MOST_TOTAL)
        left = left[(below | above)[left] & ~ended[left]]
        if not left.size:
            break
        going_up = above[left]
        low[left] = np.where(going_up, 0.99 * ceiling[left], 0.45 * floor[left])
        high[left] = np.where(going_up, 2.2 * ceiling[left], 1.01 * floor[left])
        start[left] = np.where(going_up, ceiling[left], floor[left])
    vol[rows] = found
    intrinsic = np.where(calls, spot - strike, strike - spot)
    lost = np.where(
        state == ABOVE_RANGE,
        IvStatus.ABOVE_BOUND,
        np.where(
            state == BELOW_RANGE,
            np.where(intrinsic > 0, IvStatus.EXERCISE_REGION, IvStatus.NO_TIME_VALUE),
            IvStatus.UNSOLVED,
        ),
    )
    status[rows] = np.where(state == FOUND, IvStatus.CONVERGED, lost)


def _set_range(piece: Piece, floor: FloatArray, ceiling: FloatArray) -> None:
    """The vols each contract's table covers."""
    sizes = np.diff(piece.starts)
    half = 1.0 / piece.group[:, SCALE]
    floor[piece.order] = np.repeat(np.exp(piece.group[:, MIDDLE] - half), sizes)
    ceiling[piece.order] = np.repeat(np.exp(piece.group[:, MIDDLE] + half), sizes)


def _halve(rows: IntArray, arguments: tuple[Any, ...], vol: FloatArray, status: NDArray[np.int8]) -> None:
    """False position in ln vol (Illinois), halving first, for the rare rates with two boundaries, whose prices are slow."""
    quoted, spot, strike, t, r, q, calls = (each[rows] for each in arguments)
    root, size = np.sqrt(t), np.maximum(spot, strike)
    low, high = np.log(_LEAST_TOTAL / root), np.log(_MOST_TOTAL / root)

    def gap(which: IntArray, log_vol: FloatArray) -> FloatArray:
        found = american.price(spot[which], strike[which], t[which], r[which], q[which], np.exp(log_vol), calls[which])
        gaps: FloatArray = (found - quoted[which]) / size[which]
        return gaps

    left = np.arange(rows.size)
    below, above = gap(left, low), gap(left, high)
    found, off = np.full(rows.size, np.nan), np.full(rows.size, np.inf)
    side = np.zeros(rows.size)
    left = left[(below < 0) & (above > 0)]
    for turn in range(_HALVINGS):
        if not left.size:
            break
        share = below[left] / (below[left] - above[left]) if turn >= _FIRST_HALVINGS else 0.5
        middle = low[left] + np.clip(share, 1e-3, 1.0 - 1e-3) * (high[left] - low[left])
        here = gap(left, middle)
        found[left], off[left] = middle, np.abs(here)
        under = here < 0
        # The end that stays twice counts half, so that both come in.
        again = np.where(under, side[left] < 0, side[left] > 0)
        above[left] = np.where(under, np.where(again, 0.5 * above[left], above[left]), here)
        below[left] = np.where(under, here, np.where(again, 0.5 * below[left], below[left]))
        low[left], high[left] = np.where(under, middle, low[left]), np.where(under, high[left], middle)
        side[left] = np.where(under, -1.0, 1.0)
        left = left[(np.abs(here) > _EXACT) & (high[left] - low[left] > _EXACT)]
    vol[rows] = np.exp(found)
    status[rows] = np.where(off <= NOISE, IvStatus.CONVERGED, IvStatus.UNSOLVED)
