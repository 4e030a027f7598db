"""One expiry's smile as Gatheral's raw SVI: total variance w(k) = a + b(ρ(k - m) + √((k - m)² + σ²)), k = ln(strike/forward).

Called per expiry by the surface. Fitted to out-of-the-money mids, weighted by their spreads, robust against junk; the result
has no butterfly arbitrage on a dense grid far into the wings, and stays under the smile of the expiry after it. Few
quotes get fewer parameters: three (an SSVI slice, free of butterflies by its bounds), or a flat line.

Sources: Gatheral and Jacquier, Arbitrage-free SVI volatility surfaces (2014); Durrleman's condition g ≥ 0 ibid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from engine.pricing.european import FloatArray

GRID_DEVIATIONS = 8.0
"""Arbitrage is looked for on |k| up to this many at-the-money standard deviations, and past every quote."""
GRID_POINTS = 161
ARBITRAGE_TOLERANCE = 1e-9
FIVE_PARAMETERS = 8
THREE_PARAMETERS = 4
"""Least numbers of quotes for so many parameters."""
_MAX_WING = 1.99
"""Lee's bound on the slope of total variance in |k| is 2."""
_PENALTIES = (30.0, 1e3, 3e4)
"""Price of a unit of negative g, in half spreads; the next is taken only where the one before left arbitrage."""
_MARGIN = 3e-3
"""g the fit aims at, so that between the grid's points there is none either."""
_NOISE_VOL = 5e-4
"""No mid is believed to be better than 0.05 vol points."""
_LEAST_SHARE = 0.02
"""The smile's least variance is no less than this share of that at the money: a wing does not fall to nothing unseen."""
_FINER = 10
_BEND = np.sinh(np.linspace(-3.0, 3.0, 81))
"""Where the bend of a smile is watched, in its σ from its m."""
_FAR = 4.0
"""Standard deviations from the money at which a quote's noise counts double."""
_SOFT = 2.0
"""Residuals beyond this many half spreads pull less and less."""


class Svi(NamedTuple):
    """Raw parameters. Total variance is dimensionless: vol² · years."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    @property
    def least(self) -> float:
        """The smallest total variance at any k."""
        return self.a + self.b * self.sigma * float(np.sqrt(1.0 - self.rho * self.rho))

    def variance(self, k: FloatArray | float) -> FloatArray:
        """Total variance at log-moneyness k."""
        x = np.asarray(k, np.float64) - self.m
        return np.asarray(self.a + self.b * (self.rho * x + np.sqrt(x * x + self.sigma * self.sigma)))

    def slopes(self, k: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """First and second derivative of total variance in k."""
        x = np.asarray(k, np.float64) - self.m
        root = np.sqrt(x * x + self.sigma * self.sigma)
        return np.asarray(self.b * (self.rho + x / root)), np.asarray(self.b * self.sigma**2 / root**3)


@dataclass(frozen=True, slots=True)
class Smile:
    """A fitted smile and its quality."""

    parameters: Svi
    years: float
    """On whatever clock the vols were given: variance = vol² · years."""
    kind: str
    """svi, three-parameter or flat."""
    quotes: int
    error: float
    """Root mean square of the quotes' distance, vol (0.001 = 0.1 vol points), junk left out."""
    spreads: float
    """Median distance in half spreads: below 1, the smile passes between bid and ask of most quotes."""
    inside: float
    """Share of the quotes whose bid and ask the smile passes between."""
    low: float
    high: float
    """Log-moneyness of the outermost quotes."""
    butterfly: float
    """Least value of Durrleman's g on the grid; below 0 there would be butterflies to buy for nothing."""
    calendar: float
    """Least distance below the smile of the next expiry on the grid, total variance; infinite for the last."""

    def vol(self, k: FloatArray | float) -> FloatArray:
        """Implied vol at log-moneyness k."""
        return np.asarray(np.sqrt(np.maximum(self.parameters.variance(k), 0.0) / self.years))

    @property
    def free(self) -> bool:
        """Without butterfly or calendar arbitrage on the grid."""
        return self.butterfly >= -ARBITRAGE_TOLERANCE and self.calendar >= -ARBITRAGE_TOLERANCE


def durrleman(parameters: Svi, k: FloatArray) -> FloatArray:
    """g(k), whose sign is that of the risk-neutral density: negative means butterfly arbitrage."""
    w = np.maximum(parameters.variance(k), 1e-14)
    first, second = parameters.slopes(k)
    return np.asarray((1.0 - 0.5 * k * first / w) ** 2 - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second)


def arbitrage_grid(deviation: float, low: float, high: float) -> FloatArray:
    """Log-moneyness where arbitrage is looked for: denser at the money. `deviation`: vol·√years at the money."""
    reach = max(GRID_DEVIATIONS * deviation, 1.2 * abs(low), 1.2 * abs(high))
    unit = np.linspace(-1.0, 1.0, GRID_POINTS)
    return np.asarray(reach * np.sign(unit) * np.abs(unit) ** 1.5)


def fit_smile(
    k: FloatArray, vol: FloatArray, half_spread: FloatArray, years: float, after: Smile | None = None
) -> Smile | None:
    """The smile of one expiry; None without a single quote.

    `k` log-moneyness, `vol` mid vols, `half_spread` half the distance of the ask's vol from the bid's, all of one shape.
    `after`: the smile of the next expiry, which this one may not exceed at equal k: expiries are fitted from the last to the
    first, because the wings of the longer, which have quotes, bound those of the shorter, which have none. Where obeying would
    take the smile off its own quotes, these win, and `calendar` is negative.
    """
    good = np.isfinite(k + vol + half_spread) & (vol > 0) & (half_spread >= 0)
    k, vol, half_spread = k[good], vol[good], half_spread[good]
    if len(k) == 0 or not years > 0:
        return None
    centre = _weighted_median(vol, 1.0 / np.hypot(half_spread, _NOISE_VOL))
    at_money = _near_vol(k, vol, np.hypot(half_spread, _NOISE_VOL), centre)
    deviation = at_money * np.sqrt(years)
    # Far out a quote is a few ticks of a lottery ticket: it may bend the wing, not the middle.
    noise = np.hypot(half_spread, _NOISE_VOL) * (1.0 + (k / (_FAR * deviation)) ** 2)
    # Where the quotes disagree about the middle, the fit may end above it: the higher of them say how far to look.
    high = max(deviation, float(np.quantile(vol, 0.75)) * float(np.sqrt(years)))
    grid = arbitrage_grid(high, float(k.min()), float(k.max()))
    quotes = _Quotes(k, vol, half_spread, noise, years, at_money, grid)
    alone = _fit(quotes, None)
    if after is None:
        return _judged(quotes, *alone, None)
    ceiling = after.parameters.variance(grid)
    free = _judged(quotes, *alone, ceiling)
    if free.free:
        return free
    # The next smile, shrunk in time, is under its own ceiling and as free of butterflies: a start that obeys.
    share = years / after.years if years < after.years else 1.0
    start = after.parameters._replace(a=share * after.parameters.a, b=share * after.parameters.b)
    bound = _judged(quotes, *_fit(quotes, ceiling, start), ceiling)
    return bound if bound.butterfly >= 0 and bound.spreads <= 1.5 * free.spreads + 0.25 else free


class _Quotes(NamedTuple):
    """What is fitted: `noise` is the half spread, floored, and wider far out."""

    k: FloatArray
    vol: FloatArray
    half_spread: FloatArray
    noise: FloatArray
    years: float
    at_money: float
    grid: FloatArray


def _fit(quotes: _Quotes, ceiling: FloatArray | None, start: Svi | None = None) -> tuple[Svi, str]:
    """Parameters and kind by the number of distinct strikes."""
    distinct = len(np.unique(quotes.k))
    if distinct < THREE_PARAMETERS:
        level = _weighted_median(quotes.vol, 1.0 / quotes.noise)
        return _lowered(Svi(level * level * quotes.years, 0.0, 0.0, 0.0, 0.1), quotes, ceiling), "flat"
    if distinct < FIVE_PARAMETERS:
        return _lowered(_fit_three(quotes, ceiling), quotes, ceiling), "three-parameter"
    found = _lowered(_fit_five(quotes, ceiling, start), quotes, ceiling)
    if _least_g(found, quotes.grid) < 0:
        # The penalty did not quite do: step towards the slice that cannot have butterflies until the grid shows none.
        safe = _lowered(_fit_three(quotes, ceiling), quotes, ceiling)
        found = _towards(found, safe, quotes.grid)
    return found, "svi"


def _near_vol(k: FloatArray, vol: FloatArray, noise: FloatArray, centre: float) -> float:
    """Vol at the money, roughly and robustly: the weighted median of the nearest quotes."""
    nearest = np.argsort(np.abs(k), kind="stable")[:5]
    found = _weighted_median(vol[nearest], 1.0 / noise[nearest])
    return found if 0.2 * centre < found < 5 * centre else centre


def _fit_five(quotes: _Quotes, ceiling: FloatArray | None, start: Svi | None) -> Svi:
    """Raw SVI: least squares over all five parameters from `start`, or from the best of a coarse grid over (m, σ), where the
    rest is linear."""
    deviation = quotes.at_money * np.sqrt(quotes.years)
    start = start if start is not None else _coarse(quotes, deviation)
    lower = np.array([_LEAST_SHARE * deviation**2, 0.0, -0.999, -3.0 * deviation - 0.05, 0.02 * deviation])
    upper = np.array([25.0, _MAX_WING, 0.999, 3.0 * deviation + 0.05, 20.0 * deviation + 0.5])

    def build(x: FloatArray) -> Svi:
        lowest, b, rho, m, sigma = map(float, x)
        return Svi(lowest - b * sigma * float(np.sqrt(1.0 - rho * rho)), b, rho, m, sigma)

    lowest = max(start.a + start.b * start.sigma * np.sqrt(1.0 - start.rho**2), 2.0 * _LEAST_SHARE * deviation**2)
    first = np.array([lowest, start.b, start.rho, start.m, start.sigma])
    return _solve(build, np.clip(first, lower + 1e-12, upper - 1e-9), (lower, upper), quotes, ceiling)


def _fit_three(quotes: _Quotes, ceiling: FloatArray | None) -> Svi:
    """An SSVI slice: at-the-money variance θ, skew ρ, curvature φ = λ·(largest that is free of butterflies)."""

    def build(x: FloatArray) -> Svi:
        theta, rho, share = map(float, x)
        wing = 1.0 + abs(rho)
        phi = share * min(4.0 / (theta * wing), 2.0 / float(np.sqrt(theta * wing)))
        flat = 1.0 - rho * rho
        return Svi(0.5 * theta * flat, 0.5 * theta * phi, rho, -rho / phi, float(np.sqrt(flat)) / phi)

    bounds = (np.array([1e-9, -0.999, 1e-4]), np.array([25.0, 0.999, 0.999]))
    first = np.clip(np.array([quotes.at_money**2 * quotes.years, -0.3, 0.3]), bounds[0] + 1e-12, bounds[1] - 1e-9)
    return _solve(build, first, bounds, quotes, ceiling)


def _solve(
    build: Callable[[FloatArray], Svi],
    first: FloatArray,
    bounds: tuple[FloatArray, FloatArray],
    quotes: _Quotes,
    ceiling: FloatArray | None,
) -> Svi:
    """Robust least squares in half spreads of vol, with butterflies and crossings of the smile after made dear."""
    k, vol, noise, years, grid = quotes.k, quotes.vol, quotes.noise, quotes.years, quotes.grid
    hair = _hair(quotes)
    x = first
    for penalty in _PENALTIES:

        def residuals(x: FloatArray, penalty: float = penalty) -> FloatArray:
            parameters = build(x)
            away = (np.sqrt(np.maximum(parameters.variance(k), 1e-14) / years) - vol) / noise
            # Pseudo-Huber, written as the square root of its loss, so that the penalties stay quadratic.
            pull = np.sign(away) * _SOFT * np.sqrt(2.0 * (np.sqrt(1.0 + (away / _SOFT) ** 2) - 1.0))
            parts = [pull, penalty * np.minimum(durrleman(parameters, _watched(parameters, grid)) - _MARGIN, 0.0)]
            if ceiling is not None:
                parts.append(0.03 * penalty / hair * np.minimum(ceiling - parameters.variance(grid), 0.0))
            return np.concatenate(parts)

        x = least_squares(residuals, x, bounds=bounds, x_scale="jac", max_nfev=80, xtol=1e-9, ftol=1e-9).x
        found = build(x)
        above = float(np.max(found.variance(grid) - ceiling)) if ceiling is not None else 0.0
        if _least_g(found, grid) >= 0 and above <= hair:
            break
    return found


def _watched(parameters: Svi, grid: FloatArray) -> FloatArray:
    """The grid, and points about the bend of the smile, which may be sharper than the grid is fine."""
    return np.concatenate([grid, parameters.m + parameters.sigma * _BEND])


def _least_g(parameters: Svi, grid: FloatArray) -> float:
    """Least g on a grid `_FINER` times as fine as the one the fit is held to, and about the bend."""
    places = np.arange((len(grid) - 1) * _FINER + 1) / _FINER
    fine = np.interp(places, np.arange(len(grid)), grid)
    return float(durrleman(parameters, _watched(parameters, fine)).min())


def _hair(quotes: _Quotes) -> float:
    """Total variance that no quote could tell: the change of the median vol by `_NOISE_VOL`."""
    return 2.0 * float(np.median(quotes.vol)) * quotes.years * _NOISE_VOL


def _coarse(quotes: _Quotes, deviation: float) -> Svi:
    """The best of a grid over m and σ: there w is linear in (a, bρσ, bσ); reweighted twice, so that junk does not choose."""
    k = quotes.k
    variance = quotes.vol**2 * quotes.years
    spread = 2.0 * quotes.vol * quotes.years * quotes.noise
    centres, widths = np.meshgrid(deviation * np.linspace(-1.5, 1.5, 7), deviation * 2.0 ** np.arange(-3.0, 4.0))
    m, sigma = centres.ravel(), widths.ravel()
    y = (k[None, :] - m[:, None]) / sigma[:, None]
    columns = np.stack([np.ones_like(y), y, np.sqrt(y * y + 1.0)], axis=-1)
    weight = np.broadcast_to(1.0 / spread**2, y.shape)
    for _ in range(3):
        weighted = columns * weight[:, :, None]
        normal = np.matmul(weighted.transpose(0, 2, 1), columns)
        ridge = 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        right = np.matmul(weighted.transpose(0, 2, 1), variance[:, None])
        solution = np.linalg.solve(normal + ridge, right)[:, :, 0]
        away = np.abs(np.matmul(columns, solution[:, :, None])[:, :, 0] - variance) / spread
        weight = 1.0 / spread**2 / np.maximum(1.0, away / _SOFT)
    a, d, c = solution.T
    c = np.maximum(c, 1e-12)
    rho = np.clip(d / c, -0.99, 0.99)
    b = np.minimum(c / sigma, _MAX_WING / (1.0 + np.abs(rho)))
    x = k[None, :] - m[:, None]
    fitted = a[:, None] + b[:, None] * (rho[:, None] * x + np.sqrt(x * x + (sigma**2)[:, None]))
    best = int(np.argmin(np.minimum(np.abs(fitted - variance) / spread, 10.0).sum(axis=1)))
    return Svi(float(a[best]), float(b[best]), float(rho[best]), float(m[best]), float(sigma[best]))


def _lowered(parameters: Svi, quotes: _Quotes, ceiling: FloatArray | None) -> Svi:
    """Brought down by what the penalty left above the ceiling, if it is no more than a hair and variance stays positive."""
    if ceiling is None:
        return parameters
    above = float(np.max(parameters.variance(quotes.grid) - ceiling))
    small = 0 < above <= _hair(quotes) and above < 0.9 * parameters.least
    return parameters._replace(a=parameters.a - above) if small else parameters


def _towards(found: Svi, safe: Svi, grid: FloatArray) -> Svi:
    """The nearest to `found` on the way to `safe` without butterflies on the grid, by halving."""
    low, high = 0.0, 1.0
    for _ in range(20):
        share = 0.5 * (low + high)
        if _least_g(_mixed(found, safe, share), grid) >= 0:
            high = share
        else:
            low = share
    return _mixed(found, safe, high)


def _mixed(found: Svi, safe: Svi, share: float) -> Svi:
    """Between the two in their least variance and the other parameters, so that variance stays positive."""
    least = (1.0 - share) * found.least + share * safe.least
    b, rho, m, sigma = ((1.0 - share) * one + share * other for one, other in zip(found[1:], safe[1:], strict=True))
    return Svi(least - b * sigma * float(np.sqrt(1.0 - rho * rho)), b, rho, m, sigma)


def _judged(quotes: _Quotes, found: Svi, kind: str, ceiling: FloatArray | None) -> Smile:
    away = np.abs(np.sqrt(np.maximum(found.variance(quotes.k), 0.0) / quotes.years) - quotes.vol)
    standard = away / np.hypot(quotes.half_spread, _NOISE_VOL)
    typical = float(np.median(standard))
    sound = standard <= max(6.0 * typical, 6.0)
    return Smile(
        parameters=found,
        years=quotes.years,
        kind=kind,
        quotes=len(quotes.k),
        error=float(np.sqrt(np.mean(away[sound] ** 2))),
        spreads=typical,
        inside=float(np.mean(away <= quotes.half_spread)),
        low=float(quotes.k.min()),
        high=float(quotes.k.max()),
        butterfly=_least_g(found, quotes.grid),
        calendar=float(np.min(ceiling - found.variance(quotes.grid))) if ceiling is not None else float("inf"),
    )


def _weighted_median(values: FloatArray, weight: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(sums, 0.5 * sums[-1])])
