"""Early-exercise boundaries of many contracts as small tables: found once, good for any spot. Pure numpy around kernels.

Called by `american` and `american_implied`. Contracts of one expiry, right and pair of rates share a boundary but for their
vol: it is fitted at 8 vols and carried between them by a polynomial in ln vol (a vol range wider than 2.5 is split). A
contract with too few like it gets a fit of its own. Everything here is in the put form: strike 1, (r, q) exchanged for calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.pricing.kernels.american_boundary import BOUNDARY
from engine.pricing.kernels.american_boundary import LANES as FIT_LANES
from engine.pricing.kernels.american_schemes import (
    DEGREE,
    FINEST,
    PRECISE,
    SCHEMES,
    WIDEST,
    Scheme,
    choose_scheme,
    vol_polynomial,
)
from engine.pricing.kernels.american_shared import GROUP_COLUMNS, POINT_COLUMNS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

SHARING = 9
"""Contracts a group must have for its polynomial to be cheaper than their own fits."""
PIECE = 2048
"""Groups in one table at most: it stays in the cache."""
EUROPEAN = -1
"""In place of a scheme: never exercised early."""
_NEVER = -1e300
_NO_RATE = 1e-12
_UNSETTLED = 1e-3
"""Last Newton step, as a share, above which a fit is done again with the finest scheme and more passes."""
_MORE_PASSES = 24
_ZETA, _TO_COEFFICIENTS = vol_polynomial()
_NARROWEST = 0.02
"""Half the least range of ln vol of a polynomial."""


class Contracts(NamedTuple):
    """What a boundary depends on, and the range of vols its table must cover (equal ends: just this vol)."""

    t: FloatArray
    r: FloatArray
    q: FloatArray
    put: FloatArray
    """1 for puts, -1 for calls."""
    low: FloatArray
    high: FloatArray

    def at(self, rows: IntArray) -> Contracts:
        return Contracts(*(each[rows] for each in self))


class Piece(NamedTuple):
    """Boundaries of some groups of contracts, as the kernels take them (see `kernels.american_shared`)."""

    order: IntArray
    """Contracts, group by group."""
    starts: IntArray
    """(G + 1) where each group begins in `order`."""
    group: FloatArray
    points: FloatArray
    boundary: FloatArray
    level: FloatArray
    by_rate: FloatArray


class Groups(NamedTuple):
    order: IntArray
    starts: IntArray
    """(G + 1)"""
    each: Contracts
    """One for each group."""
    single: BoolArray
    """Fitted at its one vol."""


def put_form(
    t: FloatArray, r: FloatArray, q: FloatArray, is_call: BoolArray, low: FloatArray, high: FloatArray
) -> Contracts:
    """A call is a put on the strike, paid for in stock: r and q change places."""
    first, second = settled(r, q, is_call)
    return Contracts(t, first, second, np.where(is_call, -1.0, 1.0), low, high)


def settled(r: FloatArray, q: FloatArray, is_call: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Both rates of the put form; those too small to matter are 0, for their ratio could be anything."""
    rate, carry = (np.where(np.abs(each) < _NO_RATE, 0.0, each) for each in (r, q))
    return np.where(is_call, carry, rate), np.where(is_call, rate, carry)


def grouped(contracts: Contracts, *, sharing: float) -> Groups:
    """Contracts in groups of exactly equal (t, r, q, right) and a vol range one polynomial can carry.

    Groups of fewer than `sharing` contracts fall apart into single ones; with 0 none does.
    """
    order, starts = _alike(contracts)
    low, high = np.minimum.reduceat(contracts.low[order], starts), np.maximum.reduceat(contracts.high[order], starts)
    sizes = np.diff(np.append(starts, order.size))
    member = np.repeat(np.arange(starts.size), sizes)
    parts = np.maximum(np.ceil(np.log(high / low) / np.log(WIDEST)), 1.0).astype(np.int64)
    alone = sizes < sharing * parts
    if alone.any() or parts.max() > 1:
        middle = np.sqrt(contracts.low[order] * contracts.high[order])
        share = np.log(middle / low[member]) / np.maximum(np.log(high / low), 1e-300)[member]
        part = np.clip((share * parts[member]).astype(np.int64), 0, parts[member] - 1)
        part = np.where(alone[member], np.arange(order.size) - starts[member], part)
        rank = np.concatenate(([0], np.cumsum(np.where(alone, sizes, parts))[:-1]))[member] + part
        shuffle = np.argsort(rank, kind="stable")
        order, rank, alone = order[shuffle], rank[shuffle], alone[member[shuffle]]
        starts = np.flatnonzero(np.concatenate(([True], rank[1:] != rank[:-1])))
        alone = alone[starts]
        low = np.minimum.reduceat(contracts.low[order], starts)
        high = np.maximum.reduceat(contracts.high[order], starts)
    head = contracts.at(order[starts])._replace(low=low, high=high)
    return Groups(order, np.append(starts, order.size), head, alone)


def _capped(each: Contracts) -> Contracts:
    """Expiries no later than matters: where the drift leads away from the boundary (put form, over the widest vol) what
    is left to come after T falls as e^(-(m²/2 + r)T), m = drift / vol; beyond e^-36 the option is perpetual."""
    pull = (each.r - each.q) / each.high - 0.5 * each.high
    pace = 0.5 * pull * pull + each.r
    with np.errstate(divide="ignore"):
        enough = np.where((each.r > 0) & (pull > 0), 36.0 / pace, np.inf)
    return each._replace(t=np.minimum(each.t, enough))


def _alike(contracts: Contracts) -> tuple[IntArray, IntArray]:
    """Contracts sorted so that equal (t, r, q, right) lie together, and where each run begins."""
    key = np.zeros(contracts.t.size, np.uint64)
    for each, odd in zip(contracts[:4], (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 3), strict=True):
        mixed = each.view(np.uint64) * np.uint64(odd)
        key = (key ^ mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    order = np.argsort(key)
    changes = np.zeros(order.size, np.bool_)
    # Compared themselves, not by key: were two keys ever to collide, the runs would only be shorter.
    for each in contracts[:4]:
        there = each[order]
        changes[1:] |= there[1:] != there[:-1]
    changes[:1] = True
    return order, np.flatnonzero(changes)


def tables(groups: Groups, *, precise: bool = False) -> Iterator[Piece]:
    """Fit every group's boundary, `precise` all by `PRECISE`. The pieces together hold every contract once."""
    groups = groups._replace(each=_capped(groups.each))
    each = groups.each
    fineness = choose_scheme(each.t, each.r, each.q, each.low)
    if not groups.single.all():
        fineness = np.maximum(fineness, choose_scheme(each.t, each.r, each.q, each.high))
    fineness = np.full(each.t.size, PRECISE) if precise else fineness
    fineness = np.where((each.r > 0) | (each.q < each.r), fineness, EUROPEAN)
    kinds = np.where(groups.single, fineness * 2 + 1, fineness * 2)
    for kind in np.unique(kinds):
        chosen = np.flatnonzero(kinds == kind)
        for first in range(0, chosen.size, PIECE):
            yield from _fitted(groups, chosen[first : first + PIECE], int(kind) >> 1)


def _fitted(groups: Groups, chosen: IntArray, kind: int) -> Iterator[Piece]:
    """Tables of groups that are all single or all not, by one scheme; what does not settle, again by the finest."""
    sizes = np.diff(groups.starts)[chosen]
    starts = np.concatenate(([0], np.cumsum(sizes)))
    order = groups.order[np.repeat(groups.starts[:-1][chosen] - starts[:-1], sizes) + np.arange(starts[-1])]
    each, single = groups.each.at(chosen), bool(groups.single[chosen[0]])
    middle = 0.5 * (np.log(each.low) + np.log(each.high))
    half = np.ones(middle.size) if single else np.maximum(0.5 * (np.log(each.high) - np.log(each.low)), _NARROWEST)
    t, r, q = each.t, each.r, each.q
    columns = (r, q, each.put, t, np.sqrt(t), np.exp(-r * t), np.exp(-q * t), (r - q) * t, middle, 1.0 / half)
    group = np.empty((t.size, GROUP_COLUMNS))
    for column, values in enumerate(columns):
        group[:, column] = values
    if kind == EUROPEAN:
        nothing, edge = np.zeros((t.size, 0, DEGREE)), np.zeros((t.size, 1, DEGREE))
        edge[:, 0, 0] = _NEVER
        yield Piece(order, starts, group, np.zeros((t.size, 0, POINT_COLUMNS)), edge, nothing, nothing)
        return
    scheme = SCHEMES[kind]
    vols = np.exp(middle) if single else np.exp(middle[:, None] + half[:, None] * _ZETA).ravel()
    boundary, by_vol, by_rate, last = _boundaries(each, vols, scheme, scheme.fitting.passes)
    unsettled = ~(last < _UNSETTLED).reshape(t.size, -1).all(axis=1)
    if unsettled.any() and kind < FINEST:
        yield from _fitted(groups, chosen[unsettled], FINEST)
        if not unsettled.all():
            yield from _fitted(groups, chosen[~unsettled], kind)
        return
    if unsettled.any():
        boundary, by_vol, by_rate, last = _boundaries(each, vols, scheme, _MORE_PASSES)
    level = np.exp(boundary)
    if single:
        shape = (*boundary.shape, DEGREE)
        first, height, rate = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        first[..., 0], first[..., 1], height[..., 0], rate[..., 0] = boundary, by_vol * vols, level, by_rate
    else:
        shape = (boundary.shape[0], t.size, DEGREE)
        first, height, rate = (
            np.einsum("kgz,cz->kgc", values.reshape(shape), _TO_COEFFICIENTS) for values in (boundary, level, by_rate)
        )
    yield Piece(
        order, starts, group, _points(each, scheme),
        *(np.ascontiguousarray(table.transpose(1, 0, 2)) for table in (first, height[:-1], rate[:-1])),
    )  # fmt: skip


def _points(each: Contracts, scheme: Scheme) -> FloatArray:
    """What the kernel needs to know of each quadrature point (columns `P_*`)."""
    sine, weight = scheme.premium.sine, scheme.premium.weight
    lag = each.t[:, None] * (sine * sine)
    root = np.sqrt(each.t)[:, None] * sine
    drift = (each.r - each.q)[:, None] * lag
    width = each.t[:, None] * weight
    points = np.empty((*lag.shape, POINT_COLUMNS))
    columns = (
        root, 1.0 / root, lag, drift, np.exp(-drift),
        width * np.exp(-each.r[:, None] * lag), width * np.exp(-each.q[:, None] * lag),
    )  # fmt: skip
    for column, values in enumerate(columns):
        points[..., column] = values
    return points


def _boundaries(
    each: Contracts, vols: FloatArray, scheme: Scheme, passes: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """ln B at the premium's points and (last row) at T, its slopes in vol and in the rate, and the last Newton step."""
    repeats = vols.size // each.t.size
    t, r, q, put = (np.repeat(values, repeats) for values in (each.t, each.r, each.q, each.put))
    nodes = scheme.fitting.xi.size
    y, by_vol, by_rate = (np.empty((nodes, vols.size)) for _ in range(3))
    last = np.empty(vols.size)
    BOUNDARY(
        r, q, vols, t, np.where(put > 0, 1.0, 0.0), *scheme.fitting._replace(passes=passes), FIT_LANES,
        y, by_vol, by_rate, last,
    )  # fmt: skip
    bent = (r > 0) & (q > r)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        start = np.where(bent, np.log(r / q), 0.0)
        start_by_rate = np.where(bent, np.where(put > 0, 1.0 / r, -1.0 / q), 0.0)
    square = _mixed(scheme.premium.past, y * y)
    least = np.maximum(scheme.premium.floor[:, None] * (y[0] * y[0]), 1e-28)
    past = -np.sqrt(np.maximum(square, least))
    free = np.where(square > least, 1.0 / past, 0.0)
    return (
        np.concatenate((past, y[-1:])) + start,
        np.concatenate((_mixed(scheme.premium.past, y * by_vol) * free, by_vol[-1:])),
        np.concatenate((_mixed(scheme.premium.past, y * by_rate) * free, by_rate[-1:])) + start_by_rate,
        last,
    )


def _mixed(matrix: FloatArray, values: FloatArray) -> FloatArray:
    """matrix · values without BLAS, whose sums depend on the machine's threads and kernels."""
    mixed: FloatArray = np.einsum("pn,nl->pl", matrix, values)
    return mixed


def flattened(*arrays: ArrayLike, flag: ArrayLike) -> tuple[Any, ...]:
    """The broadcast shape, the arrays as float64 and the flag as bool: flat, contiguous and writable."""
    given = [np.asarray(each) for each in (*arrays, flag)]
    shape = np.broadcast_shapes(*(each.shape for each in given))
    return (shape, *(whole(each, shape, np.float64) for each in given[:-1]), whole(given[-1], shape, np.bool_))


def whole(array: NDArray[Any], shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """Of that shape, flat. Filled by hand: `broadcast_to` costs a few contracts more than pricing them."""
    if array.shape == shape:
        return flat(array, kind)
    copies = np.empty(shape, kind)
    copies[...] = array
    return copies.ravel()


def flat(array: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    """As the kernels' signatures want it; a copy only where needed."""
    return np.require(array.ravel(), kind, ["C", "W"])
