"""Which contracts a simulated symbol lists on a day: expiries of the kinds that are really listed, strikes on a grid.

A contract once listed stays listed until it expires: the horizon only ever comes nearer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import FloatArray
from engine.domain.values import OptionContract, Right
from engine.market.universe import Listing, Traits
from engine.sessions import Calendar

NEAR_SESSIONS = 5
FRIDAY_DAYS = 60
MONTHLY_DAYS = 190
LOWEST, HIGHEST = 0.35, 2.5
"""Strikes that are quoted, as multiples of the spot."""

_OSI = re.compile(r"(?P<root>[A-Z][A-Z0-9.]{0,5})(?P<day>\d{6})(?P<right>[CP])(?P<strike>\d{8})\Z")


@dataclass(frozen=True, slots=True)
class Strikes:
    """The contracts shown in the chain of one day, ordered by expiry, strike, call before put."""

    expiry: NDArray[np.int64]
    strike: FloatArray
    is_call: NDArray[np.bool_]


def expiries(kind: Listing, calendar: Calendar, day: date) -> tuple[date, ...]:
    """Listed expiry dates on a trading day, the nearest first; that day's own where it expires one."""
    found: set[date] = set()
    session = calendar.session(day)
    for _ in range(NEAR_SESSIONS + 1):
        if session is None:
            break
        if kind is Listing.DAILY or (kind is Listing.MON_WED_FRI and session.day.weekday() in (0, 2, 4)):
            found.add(session.day)
        session = calendar.next_session(session.day) if _inside(calendar, session.day) else None
    friday = day + timedelta(days=4 - day.weekday())
    while friday <= min(day + timedelta(days=MONTHLY_DAYS), calendar.last):
        monthly = 15 <= friday.day <= 21
        last = friday if calendar.session(friday) else calendar.previous_session(friday).day
        if monthly or friday <= day + timedelta(days=FRIDAY_DAYS):
            found.add(last)
        friday += timedelta(days=7)
    return tuple(sorted(found))


def strikes(traits: Traits, spot: float, day: date, expiry_days: tuple[date, ...]) -> Strikes:
    """The strikes shown around `spot`: fine and many for the near expiries, coarser and wider further out."""
    grids = []
    for expiry in expiry_days:
        step, count = _grid(traits, spot, (expiry - day).days)
        middle = round(spot / step)
        grids.append(np.arange(max(middle - count, 1), middle + count + 1) * step)
    index = np.repeat(np.arange(len(grids)), [2 * len(grid) for grid in grids])
    strike = np.repeat(np.concatenate(grids), 2)
    is_call = np.arange(len(strike)) % 2 == 0
    return Strikes(expiry=index, strike=np.round(strike, 2), is_call=is_call)


def expiry_close(calendar: Calendar, expiry: date) -> datetime:
    """When contracts of a listed expiry are settled: that day's close."""
    session = calendar.session(expiry)
    assert session is not None, f"{expiry} is listed as an expiry and is no session"
    return session.close


def parse_osi(osi: str) -> OptionContract | None:
    """The contract an unpadded OSI symbol names; None for what is none."""
    match = _OSI.match(osi)
    if match is None:
        return None
    try:
        expiry = date.fromisoformat(f"20{match['day'][:2]}-{match['day'][2:4]}-{match['day'][4:]}")
    except ValueError:
        return None
    strike = (Decimal(match["strike"]) / 1000).quantize(Decimal("0.01"))
    return OptionContract(symbol=match["root"], expiry=expiry, right=Right(match["right"]), strike=strike)


def on_grid(traits: Traits, spot: float, strike: Decimal) -> bool:
    """A strike that could have been listed while the spot was near here."""
    near = LOWEST * spot <= float(strike) <= HIGHEST * spot
    return near and strike % Decimal(repr(traits.step)) == 0


def _grid(traits: Traits, spot: float, days: int) -> tuple[float, int]:
    """(step, strikes on each side)."""
    if days <= 1:
        return traits.step, 16
    if days <= 7:
        return traits.step, 14
    wide = traits.step * (5.0 if spot > 300 else 2.0)
    return wide, 9 if days <= FRIDAY_DAYS else 8


def _inside(calendar: Calendar, day: date) -> bool:
    return day + timedelta(days=7) <= calendar.last
