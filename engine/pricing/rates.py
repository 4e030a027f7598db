"""Dated discount rates: the Treasury curve of a day, as continuously compounded zero rates.

Called by whoever prices a chain of some day. The table's text is passed in (see resources/rates); a day before the table
begins is an error, a day after its end gets the last row, whose date is kept so that its age can be shown.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike

from engine.pricing.european import FloatArray

_TENORS = {"1m": 1 / 12, "3m": 0.25, "6m": 0.5, "1y": 1.0, "2y": 2.0, "3y": 3.0}
_COUPONS_A_YEAR = 2.0


class RateError(ValueError):
    """A table that cannot be read, or a day it does not know; the message names which."""


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Zero rates of one day. `tenors` in years, rising; `rates` fractions per year, continuously compounded."""

    day: date
    tenors: tuple[float, ...]
    rates: tuple[float, ...]

    def rate(self, t: ArrayLike) -> FloatArray:
        """Rate to `t` years: linear between the tenors, flat beyond the first and the last."""
        return np.asarray(np.interp(np.asarray(t, np.float64), self.tenors, self.rates))

    def age(self, today: date) -> int:
        """Days between the curve's day and `today`."""
        return (today - self.day).days


def flat_curve(day: date, rate: float) -> RateCurve:
    """One rate for every tenor."""
    return RateCurve(day, (1.0,), (rate,))


class RateTable:
    """Curves of many days."""

    def __init__(self, curves: list[RateCurve]) -> None:
        if not curves:
            raise RateError("the rate table is empty")
        self._curves = sorted(curves, key=lambda curve: curve.day)
        self._days = [curve.day for curve in self._curves]

    @property
    def first(self) -> date:
        return self._days[0]

    @property
    def last(self) -> date:
        return self._days[-1]

    def curve(self, day: date) -> RateCurve:
        """The latest curve known on `day`. Raises `RateError` for a day before the first."""
        row = bisect_right(self._days, day)
        if row == 0:
            raise RateError(f"no rates are known on {day}: the table begins on {self.first}")
        return self._curves[row - 1]


def parse_rate_table(text: str) -> RateTable:
    """The table from its CSV text: `date,1m,3m,6m,1y,2y,3y` in per cent, semi-annual bond-equivalent; # begins a comment.

    Par yields are taken as zero yields, which to 3 years and at these slopes is a matter of a basis point or two.
    Raises `RateError` naming the line.
    """
    tenors: list[float] = []
    curves: list[RateCurve] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, *cells = line.split(",")
        try:
            if not tenors:
                tenors = [_TENORS[cell] for cell in cells]
                continue
            yields = np.array([float(cell) for cell in cells]) / 100.0
            if len(yields) != len(tenors) or not np.isfinite(yields).all():
                raise ValueError("a yield is missing")
            rates = _COUPONS_A_YEAR * np.log1p(yields / _COUPONS_A_YEAR)
            curves.append(RateCurve(date.fromisoformat(head), tuple(tenors), tuple(map(float, rates))))
        except (KeyError, ValueError) as error:
            raise RateError(f"rate table, line {number}: {error}") from error
    return RateTable(curves)
