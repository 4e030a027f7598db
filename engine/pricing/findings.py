"""What is wrong with a chain's quotes: arbitrage that could be traded at them, and quotes that look stale or broken.

Called after the chain is fitted. Arbitrage is judged at executable prices (buy at the ask, sell at the bid), so noise inside
the spread is never a finding; one part in the spread's fee is not looked at. Exercise style decides which bounds hold.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from engine.pricing.european import FloatArray

BoolArray = NDArray[np.bool_]

EPSILON = 0.005
"""Dollars per share. Less than half a cent is the rounding of a computed bound, not money."""
OUTLIER_SPREADS = 4.0
OUTLIER_DOLLARS = 0.05
_NEIGHBOURS = 3


class FindingKind(StrEnum):
    """What was found."""

    CROSSED = "crossed"
    LOCKED = "locked"
    ZERO_BID = "zero_bid"
    NO_QUOTE = "no_quote"
    BELOW_INTRINSIC = "below_intrinsic"
    VERTICAL = "vertical"
    BUTTERFLY = "butterfly"
    CALENDAR = "calendar"
    PARITY = "parity"
    OUTLIER = "outlier"
    SURFACE = "surface"


class Severity(StrEnum):
    """How much it matters."""

    ARBITRAGE = "arbitrage"
    """At these quotes money could be had for nothing: at least one of them is not real."""
    SUSPECT = "suspect"
    """Hardly a live quote."""
    NOTE = "note"
    """Ordinary, but good to know before using the quote."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`rows` of the chain, the doubtful one first. `size`: dollars per share, what the trade would bring or how far the quote
    lies off; 0 where that means nothing."""

    kind: FindingKind
    severity: Severity
    rows: tuple[int, ...]
    size: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """A chain. Arrays have one entry per contract; dollars per share, NaN = no such side. `expiry` indexes the arrays per
    expiry below, earliest first."""

    expiry: NDArray[np.int64]
    strike: FloatArray
    is_call: BoolArray
    bid: FloatArray
    ask: FloatArray
    american: bool
    spot: tuple[float, float]
    """Least and greatest spot there may be, dollars: the bounds on American options hold for any between."""
    forward: FloatArray
    """Per expiry; NaN leaves out the bounds that need it."""
    error: FloatArray
    """Standard error of each forward."""
    discount: FloatArray
    dividends: FloatArray
    """Per expiry: present value of what the share pays until then."""


def find_quotes(quotes: Quotes) -> list[Finding]:
    """Everything the quotes alone show, worst first. `find_outliers` adds what the smile shows."""
    found: list[Finding] = []
    for rows in _groups(quotes):
        found += _intrinsic(quotes, rows)
        found += _verticals(quotes, rows)
        found += _butterflies(quotes, rows)
    found += _parity(quotes)
    found += _calendars(quotes)
    return sort_findings(_broken(quotes) + _blamed(found))


def find_outliers(quotes: Quotes, model: FloatArray) -> list[Finding]:
    """Quotes whose mid lies off the smile's value (`model`, dollars per share, NaN where there is none) by more than
    `OUTLIER_SPREADS` half spreads, beyond what their neighbours on the same side lie off: a smile that does not bend
    enough is not a stale quote."""
    found = []
    for rows in _groups(quotes):
        live = rows[_two_sided(quotes, rows) & np.isfinite(model[rows])]
        if len(live) < 2 * _NEIGHBOURS + 1:
            continue
        half = 0.5 * (quotes.ask - quotes.bid)[live]
        away = 0.5 * (quotes.bid + quotes.ask)[live] - model[live]
        own = _off_neighbours(away)
        typical = float(np.median(own))
        limit = np.maximum(OUTLIER_SPREADS * np.maximum(half, EPSILON), max(OUTLIER_DOLLARS, 8.0 * typical))
        for row, size in zip(live[own > limit], own[own > limit], strict=True):
            found.append(
                Finding(
                    FindingKind.OUTLIER,
                    Severity.SUSPECT,
                    (int(row),),
                    float(size),
                    "mid off the smile of its neighbours",
                )
            )
    return sort_findings(found)


def _blamed(found: list[Finding]) -> list[Finding]:
    """One finding for each doubtful quote and kind: a single bad quote makes arbitrage with all its neighbours. Blamed is the
    quote that takes part in most of it; it stands first in `rows`, with the largest size it gives."""
    counts = Counter(row for one in found for row in one.rows)
    worst: dict[tuple[int, FindingKind], Finding] = {}
    for one in found:
        blamed = max(one.rows, key=lambda row: (counts[row], -one.rows.index(row)))
        rows = (blamed, *(row for row in one.rows if row != blamed))
        known = worst.get((blamed, one.kind))
        if known is None or one.size > known.size:
            worst[blamed, one.kind] = replace(one, rows=rows)
    return list(worst.values())


def sort_findings(found: list[Finding]) -> list[Finding]:
    """Arbitrage first, then suspects, then notes; the largest first, then by row."""
    order = {Severity.ARBITRAGE: 0, Severity.SUSPECT: 1, Severity.NOTE: 2}
    return sorted(found, key=lambda one: (order[one.severity], -one.size, one.rows))


def _groups(quotes: Quotes) -> list[NDArray[np.int64]]:
    """Rows of each expiry's calls and puts, by strike."""
    order = np.lexsort((quotes.strike, quotes.is_call, quotes.expiry))
    key = 2 * quotes.expiry[order] + quotes.is_call[order]
    cuts = np.flatnonzero(np.diff(key)) + 1
    return [rows for rows in np.split(order, cuts) if len(rows)]


def _two_sided(quotes: Quotes, rows: NDArray[np.int64]) -> BoolArray:
    bid, ask = quotes.bid[rows], quotes.ask[rows]
    return np.asarray((bid > 0) & (ask > bid))


def _broken(quotes: Quotes) -> list[Finding]:
    """Each quote by itself."""
    bid, ask = quotes.bid, quotes.ask
    found = []
    for row in np.flatnonzero(bid > ask):
        text = f"bid {bid[row]:.2f} above ask {ask[row]:.2f}"
        found.append(Finding(FindingKind.CROSSED, Severity.ARBITRAGE, (int(row),), float(bid[row] - ask[row]), text))
    for row in np.flatnonzero((bid == ask) & (bid > 0)):
        found.append(Finding(FindingKind.LOCKED, Severity.NOTE, (int(row),), 0.0, f"bid and ask {bid[row]:.2f}"))
    empty = ~(bid > 0) & ~(ask > 0)
    for row in np.flatnonzero(~(bid > 0) & (ask > 0)):
        found.append(Finding(FindingKind.ZERO_BID, Severity.NOTE, (int(row),), 0.0, f"no bid, ask {ask[row]:.2f}"))
    for row in np.flatnonzero(empty | ((bid > 0) & ~np.isfinite(ask))):
        found.append(Finding(FindingKind.NO_QUOTE, Severity.NOTE, (int(row),), 0.0, "no ask"))
    return found


def _intrinsic(quotes: Quotes, rows: NDArray[np.int64]) -> list[Finding]:
    """Asks below what exercise, now or at expiry, would bring for certain."""
    at = int(quotes.expiry[rows[0]])
    sign = 1.0 if quotes.is_call[rows[0]] else -1.0
    forward, slack = quotes.forward[at], 4.0 * quotes.error[at] + EPSILON
    floor = np.nan_to_num(quotes.discount[at] * (sign * (forward - quotes.strike[rows])) - slack, nan=-np.inf)
    if quotes.american:
        spot = quotes.spot[0] if sign > 0 else quotes.spot[1]
        floor = np.maximum(floor, sign * (spot - quotes.strike[rows]) - EPSILON)
    floor = np.maximum(floor, 0.0)
    below = floor - quotes.ask[rows]
    hit = (below > 0) & (quotes.ask[rows] > 0)
    return [
        Finding(
            FindingKind.BELOW_INTRINSIC, Severity.ARBITRAGE, (int(row),), float(size),
            f"ask {quotes.ask[row]:.2f} below the least value {quotes.ask[row] + size:.2f}",
        )
        for row, size in zip(rows[hit], below[hit], strict=True)
    ]  # fmt: skip


def _verticals(quotes: Quotes, rows: NDArray[np.int64]) -> list[Finding]:
    """The dearer of two strikes sold above the cheaper's price, or their difference above the strikes'. Of all pairs, the
    best partner for each row."""
    ordered = rows if quotes.is_call[rows[0]] else rows[::-1]  # worth less and less
    strike, bid, ask = quotes.strike[ordered], quotes.bid[ordered], quotes.ask[ordered]
    live_bid, live_ask = np.where(bid > 0, bid, -np.inf), np.where(ask > 0, ask, np.inf)
    found = []
    # Buy the better strike, sell the worse one for more.
    best = np.minimum.accumulate(live_ask)[:-1]
    credit = live_bid[1:] - best
    for at in np.flatnonzero(credit > EPSILON):
        first = int(np.argmin(live_ask[: at + 1]))
        pair = (int(ordered[at + 1]), int(ordered[first]))
        found.append(
            Finding(
                FindingKind.VERTICAL,
                Severity.ARBITRAGE,
                pair,
                float(credit[at]),
                "worth less, bid above the ask of the other",
            )
        )
    # Sell the better, buy the worse: never owed more than the strikes' difference.
    grown = 1.0 if quotes.american else float(quotes.discount[int(quotes.expiry[rows[0]])])
    if np.isfinite(grown):
        level = strike * grown if quotes.is_call[rows[0]] else -strike * grown
        # bid_i - ask_j > level_j - level_i for some j after i
        future = np.minimum.accumulate((live_ask + level)[::-1])[::-1]
        surplus = (live_bid + level)[:-1] - future[1:]
        for at in np.flatnonzero(surplus > EPSILON):
            then = int(at) + 1 + int(np.argmin((live_ask + level)[at + 1 :]))
            pair = (int(ordered[at]), int(ordered[then]))
            found.append(
                Finding(
                    FindingKind.VERTICAL,
                    Severity.ARBITRAGE,
                    pair,
                    float(surplus[at]),
                    "spread sold above the strikes' difference",
                )
            )
    return found


def _butterflies(quotes: Quotes, rows: NDArray[np.int64]) -> list[Finding]:
    """Bids above the lower convex hull of the other strikes' asks: two wings bought for less than the body brings."""
    usable = rows[quotes.ask[rows] > 0]
    if len(usable) < 3:
        return []
    strike, ask = quotes.strike[usable], quotes.ask[usable]
    corners = _lower_hull(strike, ask)
    value = np.interp(strike, strike[corners], ask[corners])
    bid = quotes.bid[usable]
    right = np.clip(np.searchsorted(strike[corners], strike), 1, len(corners) - 1)
    found = []
    for at in np.flatnonzero((bid > 0) & (bid - value > EPSILON)):
        low, high = corners[right[at] - 1], corners[right[at]]
        if at in (low, high):
            continue  # its own ask is the corner: a crossed quote, found already
        wings = (int(usable[at]), int(usable[low]), int(usable[high]))
        found.append(
            Finding(
                FindingKind.BUTTERFLY,
                Severity.ARBITRAGE,
                wings,
                float(bid[at] - value[at]),
                "bid above its wings' asks",
            )
        )
    return found


def _lower_hull(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Corners of the lower convex hull; x rises, of equal x the lower counts."""
    corners: list[int] = []
    for at in range(len(x)):
        if corners and x[at] == x[corners[-1]]:
            if y[at] >= y[corners[-1]]:
                continue
            corners.pop()
        while len(corners) >= 2:
            a, b = corners[-2], corners[-1]
            if (y[b] - y[a]) * (x[at] - x[a]) < (y[at] - y[a]) * (x[b] - x[a]):
                break
            corners.pop()
        corners.append(at)
    return np.array(corners, np.int64)


def _parity(quotes: Quotes) -> list[Finding]:
    """Calls against puts of one strike: a conversion or a reversal that brings money for certain."""
    found = []
    for at in range(len(quotes.forward)):
        here = np.flatnonzero(quotes.expiry == at)
        calls, puts = here[quotes.is_call[here]], here[~quotes.is_call[here]]
        strikes, c, p = np.intersect1d(quotes.strike[calls], quotes.strike[puts], return_indices=True)
        call, put = calls[c], puts[p]
        forward, discount = float(quotes.forward[at]), float(quotes.discount[at])
        slack = 4.0 * float(quotes.error[at]) + 2 * EPSILON
        low = high = discount * (forward - strikes)
        if quotes.american:
            # Merton's bounds for American options on a share that pays: what early exercise can cost either side.
            paid = max(float(quotes.dividends[at]), quotes.spot[1] - discount * forward, 0.0)
            low = discount * forward - np.maximum(strikes, discount * strikes)
            high = discount * forward + paid - np.minimum(strikes, discount * strikes)
        live = (quotes.bid[call] > 0) & (quotes.bid[put] > 0)
        dear = quotes.bid[call] - quotes.ask[put] - high - slack
        cheap = low - slack - (quotes.ask[call] - quotes.bid[put])
        for size, name in ((dear, "call dear against the put"), (cheap, "call cheap against the put")):
            for row in np.flatnonzero(live & (size > 0)):
                pair = (int(call[row]), int(put[row]))
                found.append(Finding(FindingKind.PARITY, Severity.ARBITRAGE, pair, float(size[row]), name))
    return found


def _calendars(quotes: Quotes) -> list[Finding]:
    """A later expiry offered below an earlier one's bid. American options: at the same strike. European: at the same
    forward moneyness, where the later is bought at the line between its two nearest strikes, which is worth no less."""
    found = []
    count = len(quotes.forward)
    for is_call in (True, False):
        sides = [np.flatnonzero((quotes.expiry == at) & (quotes.is_call == is_call)) for at in range(count)]
        sides = [rows[np.argsort(quotes.strike[rows], kind="stable")] for rows in sides]
        for at in range(count - 1):
            near, far = sides[at], sides[at + 1]
            near, far = near[quotes.bid[near] > 0], far[quotes.ask[far] > 0]
            if not len(near) or not len(far):
                continue
            if quotes.american:
                _, a, b = np.intersect1d(quotes.strike[near], quotes.strike[far], return_indices=True)
                size = quotes.bid[near[a]] - quotes.ask[far[b]]
                pairs: list[tuple[int, ...]] = [(int(near[i]), int(far[j])) for i, j in zip(a, b, strict=True)]
                slack = np.full(len(size), EPSILON)
            else:
                size, slack, pairs = _european_calendar(quotes, near, far, at)
            for one, excess, pair in zip(size, slack, pairs, strict=True):
                if one > excess:
                    found.append(
                        Finding(
                            FindingKind.CALENDAR,
                            Severity.ARBITRAGE,
                            pair,
                            float(one),
                            "bid above the ask of the next expiry",
                        )
                    )
    return found


def _european_calendar(
    quotes: Quotes, near: NDArray[np.int64], far: NDArray[np.int64], at: int
) -> tuple[FloatArray, FloatArray, list[tuple[int, ...]]]:
    forwards, discounts = quotes.forward[at : at + 2], quotes.discount[at : at + 2]
    if not np.isfinite(forwards).all() or len(far) < 2:
        return np.empty(0), np.empty(0), []
    wanted = quotes.strike[near] * forwards[1] / forwards[0]
    inside = (wanted >= quotes.strike[far[0]]) & (wanted <= quotes.strike[far[-1]])
    near, wanted = near[inside], wanted[inside]
    # Money of the near expiry for each of the far: both options in shares of their forward's present value.
    rate = (discounts[0] * forwards[0]) / (discounts[1] * forwards[1])
    cost = np.interp(wanted, quotes.strike[far], quotes.ask[far]) * rate
    right = np.clip(np.searchsorted(quotes.strike[far], wanted), 1, len(far) - 1)
    pairs: list[tuple[int, ...]] = [
        (int(one), int(far[j - 1]), int(far[j])) for one, j in zip(near, right, strict=True)
    ]
    slack = np.full(len(near), EPSILON + 4.0 * float(quotes.error[at : at + 2].sum()))
    return quotes.bid[near] - cost, slack, pairs


def _off_neighbours(values: FloatArray) -> FloatArray:
    """How far each value lies outside what its neighbours on both sides show, the least and the greatest of them left out;
    at the ends the neighbours of the nearest inner value."""
    count = len(values)
    offsets = np.concatenate([np.arange(-_NEIGHBOURS, 0), np.arange(1, _NEIGHBOURS + 1)])
    centre = np.clip(np.arange(count), _NEIGHBOURS, count - 1 - _NEIGHBOURS)
    window = centre[:, None] + offsets[None, :]
    window = np.where(window == np.arange(count)[:, None], centre[:, None], window)
    near = np.sort(values[window], axis=1)
    return np.asarray(np.maximum(np.maximum(near[:, 1] - values, values - near[:, -2]), 0.0))
