"""Values to text: signs, arrows, thousands, ages, countdowns. Pure; every panel words its figures here and nowhere else.

A missing figure is an em dash, never 0. Minus is U+2212, so that it is as wide as plus and never a hyphen.
"""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

NONE = "—"
MINUS = "−"
UP = "▲"
DOWN = "▼"
TIMES = "×"
NARROW = "\u202f"
"""Narrow no-break space: before % and units, and the number never parts from them."""

EXCHANGE = ZoneInfo("America/New_York")

Number = Decimal | float | int


def _fixed(value: Number, decimals: int) -> str:
    """Magnitude with thousands and fixed decimals, halves away from zero."""
    if isinstance(value, Decimal):
        value = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{abs(value):,.{decimals}f}"


def _is_zero(text: str) -> bool:
    return not any(figure in text for figure in "123456789")


def plain(value: Number | None, decimals: int = 2) -> str:
    """`1,234.50`, `−3.00`."""
    if value is None:
        return NONE
    text = _fixed(value, decimals)
    return MINUS + text if value < 0 and not _is_zero(text) else text


def price(value: Number | None) -> str:
    """A price as quoted: two decimals, four where the cents are not enough."""
    if value is None:
        return NONE
    if isinstance(value, Decimal) and value != value.quantize(Decimal("0.01")):
        return plain(value, 4).rstrip("0")
    return plain(value, 2)


def signed(value: Number | None, decimals: int = 2) -> str:
    """`+1.20`, `−1.20`, and `0.00` without a sign."""
    if value is None:
        return NONE
    text = _fixed(value, decimals)
    if _is_zero(text):
        return text
    return (MINUS if value < 0 else "+") + text


def dollars(value: Number | None, decimals: int = 0, *, sign: bool = False) -> str:
    """`$1,954`, `−$188`, with `sign` also `+$412.60`."""
    if value is None:
        return NONE
    text = _fixed(value, decimals)
    mark = "" if _is_zero(text) else MINUS if value < 0 else "+" if sign else ""
    return f"{mark}${text}"


def percent(fraction: Number | None, decimals: int = 2, *, sign: bool = False) -> str:
    """A fraction of 1 as `3.40 %`."""
    if fraction is None:
        return NONE
    value = fraction * 100
    return f"{signed(value, decimals) if sign else plain(value, decimals)}{NARROW}%"


def arrow(value: Number | None) -> str:
    """▲ for more than nothing, ▼ for less, nothing for nothing: colour is never alone."""
    if value is None or value == 0:
        return ""
    return UP if value > 0 else DOWN


def change(value: Number | None, decimals: int = 2, *, as_percent: bool = False) -> str:
    """`▲ +0.31 %`; the arrow follows what is shown, so that ▲ 0.00 cannot be."""
    if value is None:
        return NONE
    shown = value * 100 if as_percent else value
    text = signed(shown, decimals)
    tail = f"{NARROW}%" if as_percent else ""
    return f"{text}{tail}" if _is_zero(text) else f"{arrow(shown)}\u2009{text}{tail}"


def gain(value: Number | None) -> bool | None:
    """True gains, False loses, None is neither: what colours a figure."""
    return None if value is None or value == 0 else value > 0


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 contract`, `4 contracts`, `2,000 facts`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def age(seconds: float | None) -> str:
    """How old a value is: `0.4 s`, `14 s`, `3 m`, `2 h 5 m`, `4 d`."""
    if seconds is None:
        return NONE
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}{NARROW}s"
    if seconds < 59.5:
        return f"{seconds:.0f}{NARROW}s"
    return span(seconds)


def span(seconds: float | None) -> str:
    """A stretch of time to the minute, floored: `1 h 52 m`, `22 m`, `45 s`, `3 d 4 h`."""
    if seconds is None:
        return NONE
    whole = int(max(0.0, seconds) + 0.5) if seconds < 59.5 else int(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if whole < 60:
        return f"{whole}{NARROW}s"
    if days:
        return f"{days}{NARROW}d {hours}{NARROW}h" if hours else f"{days}{NARROW}d"
    if hours:
        return f"{hours}{NARROW}h {minutes}{NARROW}m" if minutes else f"{hours}{NARROW}h"
    return f"{minutes}{NARROW}m"


def countdown(seconds: float | None) -> str:
    """What is left: `0:31`, `4:05`, `1:02:09`; never below zero, and 0:00 only when it is over."""
    if seconds is None:
        return NONE
    left = max(0, -int(-seconds // 1))
    hours, rest = divmod(left, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def clock(at: datetime | None, *, seconds: bool = True) -> str:
    """The exchange's time of day: `14:06:58`."""
    return NONE if at is None else at.astimezone(EXCHANGE).strftime("%H:%M:%S" if seconds else "%H:%M")


def day(at: datetime) -> str:
    """The exchange's day: `24 Dec`."""
    there = at.astimezone(EXCHANGE)
    return f"{there.day} {there:%b}"


def local(at: datetime | None) -> str:
    """The same moment on this machine, for hovering: `2026-11-20 20:06:58 CET`."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def later(seconds: float | None) -> str:
    """How long after the step before: `+4 ms`, `+1.2 s`, `+3 m`."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"+{round(seconds * 1000)}{NARROW}ms"
    return "+" + age(seconds)


def market(bid: Number | None, ask: Number | None) -> str:
    """`4.86 × 4.90`, a missing side as a dash."""
    return f"{price(bid)} {TIMES} {price(ask)}"


def words(code: str) -> str:
    """A closed name as a person reads it: `PARTIALLY_FILLED` → `partially filled`."""
    return code.replace("_", " ").lower()


def spoken(value: Number | None, unit: str) -> str:
    """For a screen reader: `gain 124 dollars`, `loss 3 percent`."""
    if value is None:
        return "not known"
    return f"{'gain' if value > 0 else 'loss' if value < 0 else 'no change'} {abs(value):,.2f} {unit}"
