"""The forward of one expiry, from put-call parity over its liquid strikes near the money.

Called once per expiry before anything is priced on it: a header's spot and a flat dividend yield miss the forward by far more
than quotes do. European parity is an equality, C - P = D·(F - K). American prices satisfy it only after the value of early
exercise is taken off both sides, which needs the forward: `early_exercise` gives that value, and the two are iterated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.pricing.european import FloatArray
from engine.pricing.implied import implied_vol

BoolArray = NDArray[np.bool_]
EarlyExercise = Callable[[float, FloatArray, FloatArray, BoolArray], FloatArray]
"""(forward, strike, vol, is_call) -> dollars an American option is worth above the European with that vol."""

MIN_STRIKES = 3
"""Fewer strikes with both sides cannot outvote one bad quote."""
_MIN_NEAR = 14
_MAX_NEAR = 40
_REACH = 1.25
"""Strikes within this many at-the-money straddles of the forward are near the money."""
_TUKEY = 4.685
_ROUNDS = 30
_TICK_NOISE = 0.0029
"""Standard deviation of rounding to a cent: no residual is believed to be smaller."""
_MAX_RATE_ERROR = 0.01
"""A rate from the slope whose standard error is wider says nothing."""
_TICK = 0.01
_WIDER = (1.0, 2.0, 4.0)
"""What the quotes' intervals are multiplied by until most strikes agree."""
_MAJORITY = 0.35
_LEAST_AGREEING = 4
"""Fewer strikes than this may agree by chance, unless there are no more."""
_LEAST_SCALE = 0.3
"""Of a quote's supposed noise: a few strikes that happen to agree better prove nothing."""


class ForwardStatus(IntEnum):
    """Why there is, or is not, a forward."""

    OK = 0
    FEW_STRIKES = 1
    """Fewer than `MIN_STRIKES` strikes have two-sided quotes of both a call and a put."""
    NO_AGREEMENT = 2
    """The strikes contradict each other: too few agree on any forward."""
    RATE_UNKNOWN = 3
    """No rate was given and the strikes span too little to show one."""
    BAD_INPUT = 4
    """The time is not positive, or the rate is not a number."""


class Pairs(NamedTuple):
    """Strikes with both a call and a put; all arrays of one shape, dollars per share, strikes rising."""

    strike: FloatArray
    call_bid: FloatArray
    call_ask: FloatArray
    put_bid: FloatArray
    put_ask: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Forward:
    """A forward and how far to trust it. Floats are NaN unless the status is OK."""

    status: ForwardStatus
    t: float
    """Years to expiry, calendar."""
    forward: float = float("nan")
    """Dollars per share."""
    error: float = float("nan")
    """Standard error of the forward, dollars."""
    rate: float = float("nan")
    """Fraction per year, continuously compounded: the one given, or the one the strikes show."""
    rate_error: float = 0.0
    """Standard error of a rate taken from the strikes; 0 of a given one."""
    used: int = 0
    """Strikes that agreed."""
    rejected: tuple[float, ...] = ()
    """Strikes near the money whose quotes did not."""
    early_exercise: float = 0.0
    """Largest correction for early exercise at a strike used, dollars."""

    @property
    def ok(self) -> bool:
        return self.status is ForwardStatus.OK

    @property
    def discount(self) -> float:
        return float(np.exp(-self.rate * self.t))

    def carry(self, spot: float) -> float:
        """Dividends and borrow per year, continuously, that lead from `spot` to the forward."""
        return self.rate - float(np.log(self.forward / spot)) / self.t

    def dividends(self, spot: float) -> float:
        """The same as dollars today: the present value of what the holder of the share gets until the expiry."""
        return spot - self.forward * self.discount


def pair_strikes(strike: FloatArray, is_call: BoolArray, bid: FloatArray, ask: FloatArray) -> Pairs:
    """The strikes of one expiry that have both a call and a put; of doubles the narrower quote counts."""
    order = np.lexsort((np.where(np.isfinite(ask - bid), ask - bid, np.inf), strike))
    strike, is_call, bid, ask = strike[order], is_call[order], bid[order], ask[order]
    calls, call_rows = np.unique(strike[is_call], return_index=True)
    puts, put_rows = np.unique(strike[~is_call], return_index=True)
    both, c, p = np.intersect1d(calls, puts, assume_unique=True, return_indices=True)
    c, p = call_rows[c], put_rows[p]
    return Pairs(both, bid[is_call][c], ask[is_call][c], bid[~is_call][p], ask[~is_call][p])


def parity_forward(
    pairs: Pairs, t: float, rate: float | None, early_exercise: EarlyExercise | None = None, rounds: int = 6
) -> Forward:
    """The forward to `t` years. `rate` None takes the discount from the slope, which needs strikes far apart.

    `early_exercise` None means European options. Never raises for bad quotes: crossed, one-sided and missing ones are left
    out, and the status says when too little is left.
    """
    if not t > 0 or (rate is not None and not np.isfinite(rate)):
        return Forward(ForwardStatus.BAD_INPUT, t)
    good = (
        (pairs.call_bid > 0) & (pairs.put_bid > 0) & (pairs.call_ask >= pairs.call_bid)
        & (pairs.put_ask >= pairs.put_bid) & np.isfinite(pairs.strike + pairs.call_ask + pairs.put_ask)
    )  # fmt: skip
    if int(good.sum()) < MIN_STRIKES:
        return Forward(ForwardStatus.FEW_STRIKES, t, used=int(good.sum()))
    pairs = Pairs(*(array[good] for array in pairs))
    found = _fit(pairs, t, rate, np.zeros(len(pairs.strike)), lenient=early_exercise is not None)
    if early_exercise is None or not found.ok:
        return found
    centre = found.forward
    near = _near_the_money(pairs, centre if np.isfinite(centre) else float(np.median(pairs.strike)), 2 * _MAX_NEAR)
    pairs = Pairs(*(array[near] for array in pairs))
    held = np.zeros((2, len(pairs.strike)))
    for _ in range(rounds):
        held = _premiums(pairs, found, early_exercise, held)
        correction = held[0] - held[1]
        last = found.forward
        found = _fit(pairs, t, rate, correction)
        if not found.ok or abs(found.forward - last) < 1e-6 * last:
            break
    return found


def _fit(pairs: Pairs, t: float, rate: float | None, correction: FloatArray, lenient: bool = False) -> Forward:
    """`correction`: dollars by which early exercise lifts C - P at each strike. `lenient`: strikes may disagree, because
    the correction is not known yet."""
    strike = pairs.strike
    gap = 0.5 * (pairs.call_bid + pairs.call_ask - pairs.put_bid - pairs.put_ask) - correction
    noise = 0.25 * np.hypot(pairs.call_ask - pairs.call_bid, pairs.put_ask - pairs.put_bid) + _TICK_NOISE
    discount = np.exp(-(rate if rate is not None else 0.0) * t)
    centre = _weighted_median(strike + gap / discount, 1.0 / noise**2)
    near = _near_the_money(pairs, centre)
    strike, gap, noise = strike[near], gap[near], noise[near]
    if rate is None:
        return _fit_line(strike, gap, noise, t, near, correction)
    low = strike + (pairs.call_bid - pairs.put_ask - correction)[near] / discount
    high = strike + (pairs.call_ask - pairs.put_bid - correction)[near] / discount
    implied, noise = strike + gap / discount, noise / discount
    agree = _consensus(low, high, implied, noise, lenient)
    if agree is None:
        return Forward(ForwardStatus.NO_AGREEMENT, t)
    forward, error = _mean(implied[agree], noise[agree])
    if not forward > 0:  # quotes and strikes of different units, say
        return Forward(ForwardStatus.NO_AGREEMENT, t, used=int(agree.sum()))
    return Forward(
        ForwardStatus.OK, t, forward, error, float(rate), 0.0, int(agree.sum()),
        tuple(map(float, strike[~agree])), float(np.max(np.abs(correction[near]))),
    )  # fmt: skip


def _fit_line(
    strike: FloatArray, gap: FloatArray, noise: FloatArray, t: float, near: NDArray[np.int64], correction: FloatArray
) -> Forward:
    """C - P = D·F - D·K by reweighted least squares, both unknown."""
    middle = float(np.median(strike))
    columns = np.column_stack([np.ones_like(strike), strike - middle])
    weight = 1.0 / noise**2
    scale = 1.0
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        solution = np.linalg.lstsq(columns * root[:, None], gap * root, rcond=None)[0]
        standard = (gap - columns @ solution) / noise
        scale = max(1.4826 * float(np.median(np.abs(standard))), 0.05)
        weight = _tukey(standard / scale) / noise**2
        if int((weight > 0).sum()) < MIN_STRIKES:
            return Forward(ForwardStatus.NO_AGREEMENT, t)
    discount = -float(solution[1])
    agree = weight > 0
    if not discount > 0 or int(agree.sum()) < MIN_STRIKES:
        return Forward(ForwardStatus.NO_AGREEMENT, t, used=int(agree.sum()))
    covariance = np.linalg.pinv((columns * weight[:, None]).T @ columns) * scale**2
    rate_error = float(np.sqrt(covariance[1, 1])) / discount / t
    if not rate_error <= _MAX_RATE_ERROR:
        return Forward(ForwardStatus.RATE_UNKNOWN, t, used=int(agree.sum()))
    forward = middle + float(solution[0]) / discount
    slope = np.array([1.0 / discount, (forward - middle) / discount])
    error = float(np.sqrt(max(slope @ covariance @ slope, 0.0)))
    if not forward > 0:
        return Forward(ForwardStatus.NO_AGREEMENT, t, used=int(agree.sum()))
    return Forward(
        ForwardStatus.OK, t, forward, error, -float(np.log(discount)) / t, rate_error, int(agree.sum()),
        tuple(map(float, strike[~agree])), float(np.max(np.abs(correction[near]))),
    )  # fmt: skip


def _near_the_money(pairs: Pairs, centre: float, most: int = _MAX_NEAR) -> NDArray[np.int64]:
    """Rows of the strikes around `centre`: within reach of the straddle, but never fewer nor more than can be used."""
    away = np.abs(pairs.strike - centre)
    order = np.argsort(away, kind="stable")
    nearest = order[:MIN_STRIKES]
    straddle = float(
        np.median((pairs.call_bid + pairs.call_ask + pairs.put_bid + pairs.put_ask)[nearest] / 2 - away[nearest])
    )
    within = int((away <= _REACH * max(straddle, 0.0)).sum())
    return np.sort(order[: min(max(within, _MIN_NEAR) * most // _MAX_NEAR, most)])


def _premiums(pairs: Pairs, found: Forward, early_exercise: EarlyExercise, held: FloatArray) -> FloatArray:
    """(2, strikes) What early exercise is worth in the calls and in the puts, at the vols of the side that is out of the
    money, which it touches least. `held`: the same of the round before, taken out of the prices that give those vols."""
    strike, forward = pairs.strike, found.forward
    call_out = strike >= forward
    mid = 0.5 * np.where(call_out, pairs.call_bid + pairs.call_ask, pairs.put_bid + pairs.put_ask)
    mid = np.maximum(mid - np.where(call_out, held[0], held[1]), 1e-6)
    cash = forward * found.discount  # the European forward as a spot without carry
    vol = _filled(implied_vol(mid, cash, strike, found.t, found.rate, 0.0, call_out).vol)
    sides = np.repeat([True, False], len(strike))
    return early_exercise(forward, np.tile(strike, 2), np.tile(vol, 2), sides).reshape(2, -1)


def _filled(vol: FloatArray) -> FloatArray:
    """Vols with the gaps taken from the median: a strike without a vol has next to no weight in the end."""
    known = np.isfinite(vol)
    return np.where(known, vol, float(np.median(vol[known])) if known.any() else 0.2)


def _consensus(
    low: FloatArray, high: FloatArray, middle: FloatArray, noise: FloatArray, lenient: bool
) -> BoolArray | None:
    """The strikes that agree, None where too few do.

    Each strike says that the forward lies between what a conversion and a reversal cost at its quotes, `low` to `high`. The
    forward is where most strikes, narrow quotes counting more, can be right at once; if too few can, because quotes of
    different moments stand side by side, the intervals are widened, twice over at most. Junk, which lies off by more
    than its spread, has no say at all.
    """
    votes = 1.0 / noise
    agree = np.zeros(len(low), np.bool_)
    for wider in _WIDER:
        reach = wider * np.maximum(0.5 * (high - low), _TICK)
        centre = 0.5 * (low + high)
        bottom, top = centre - reach, centre + reach
        # Where a set of intervals overlaps, it overlaps at one's lower end.
        covered = (bottom[:, None] <= bottom[None, :] + 1e-12) & (bottom[None, :] <= top[:, None] + 1e-12)
        best = int(np.argmax(votes @ covered))
        agree = covered[:, best]
        if not agree.any():  # not a number among them
            return None
        point, _ = _mean(middle[agree], noise[agree])
        around = (bottom <= point) & (point <= top)
        agree = around if votes[around].sum() >= votes[agree].sum() else agree
        enough = int(agree.sum()) >= min(_LEAST_AGREEING, len(agree))
        if enough and votes[agree].sum() >= _MAJORITY * votes.sum():
            break
    else:
        if not lenient:
            return None
    return agree if int(agree.sum()) >= MIN_STRIKES or lenient else None


def _mean(values: FloatArray, noise: FloatArray) -> tuple[float, float]:
    """Weighted mean and its standard error, from how far the values really scatter."""
    weight = 1.0 / noise**2
    mean = float(np.sum(weight * values) / weight.sum())
    free = max(len(values) - 1, 1)
    scale = max(float(np.sqrt(np.sum(((values - mean) / noise) ** 2) / free)), _LEAST_SCALE)
    return mean, scale / float(np.sqrt(weight.sum()))


def _tukey(standard: FloatArray) -> FloatArray:
    return np.where(np.abs(standard) < _TUKEY, (1.0 - (standard / _TUKEY) ** 2) ** 2, 0.0)


def _weighted_median(values: FloatArray, weight: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(sums, 0.5 * sums[-1])])


class ParitySpot(NamedTuple):
    """The spot to which the forwards lead back."""

    spot: float
    """Dollars; NaN where no expiry has a forward."""
    error: float
    """Dollars: what the forwards nearest to now leave open."""
    carry: float
    """Slope of the nearest forwards, fraction per year, beyond the dividends taken out."""


def parity_spot(forwards: list[Forward], dividends: list[float], expiries: int = 8) -> ParitySpot:
    """The spot by which the nearest forwards are explained: their present values led back to now along a line.

    `dividends`: present value of the declared dividends before each forward's expiry. One expiry gives its present value.
    """
    ready = sorted(
        (
            (one.t, one.forward * one.discount + paid, one.error)
            for one, paid in zip(forwards, dividends, strict=True)
            if one.ok
        )
    )[:expiries]
    if not ready:
        return ParitySpot(float("nan"), float("nan"), 0.0)
    t, value, error = (np.array(column) for column in zip(*ready, strict=True))
    if len(ready) < 3:
        return ParitySpot(float(value[0]), float(error[0] + 0.001 * value[0]), 0.0)
    # Theil and Sen: the median of the slopes between all pairs, so that one expiry with a dividend unknown to us is outvoted.
    rows, columns = np.triu_indices(len(t), 1)
    apart = t[columns] - t[rows] > 1e-9
    slope = (
        float(np.median((value[columns] - value[rows])[apart] / (t[columns] - t[rows])[apart])) if apart.any() else 0.0
    )
    starts = value - slope * t
    spot = float(np.median(starts))
    spread = float(1.4826 * np.median(np.abs(starts - spot)))
    return ParitySpot(spot, spread + float(error[0]), -slope / spot)
