"""The words of short alerts: names of timeframes, sides and exits, as people and TradingView write them.

Pure tables and their reading. Called by `shortforms`. A word that is not here is not guessed at.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.domain.values import Direction, Timeframe

_TIMEFRAME = re.compile(r"\s*(\d{1,5})\s*(m|min|mins|minute|minutes|h|hr|hrs|hour|hours|)\s*\Z", re.I | re.A)
_OTHER_TIMEFRAME = re.compile(r"\s*\d{0,5}\s*(s|d|day|w|week|m|mo|month)\s*\Z", re.I | re.A)
_MONTHS = frozenset({"1M", "3M", "6M", "12M"})
"""TradingView's own names of monthly charts: 3M is a quarter of a year there, never three minutes."""
_BY_MINUTES = {timeframe.minutes: timeframe for timeframe in Timeframe}
_WORD = re.compile(r"[a-z]+")

_LONG = frozenset({"buy", "long", "call"})
_SHORT = frozenset({"sell", "short", "put"})
_EXIT = frozenset({"close", "exit", "flat", "tp", "sl", "cover"})
_ORDERS = frozenset({"buy", "sell"})
_AROUND = frozenset({"entry", "enter", "open", "order", "signal", "strong", "to", "new", "go"})
"""Words that may stand beside a side without changing it: LONG_ENTRY, buy to open."""


class OtherTimeframe(ValueError):
    """A timeframe by name, but not one of the board's six."""


def timeframe_named(name: str) -> Timeframe | None:
    """`5`, `5m`, `1h`, `4H`, `240` … None for what names none; `OtherTimeframe` for days, months, 1 and 45 minutes."""
    if name.strip() in _MONTHS:
        raise OtherTimeframe(name)
    found = _TIMEFRAME.match(name)
    if found is None:
        if _OTHER_TIMEFRAME.match(name):
            raise OtherTimeframe(name)
        return None
    minutes = int(found[1]) * (60 if found[2][:1].lower() == "h" else 1)
    if minutes not in _BY_MINUTES:
        raise OtherTimeframe(name)
    return _BY_MINUTES[minutes]


class Said(NamedTuple):
    """What one text says: a side, an end, both (`close long`), or neither."""

    direction: Direction | None
    """For an end, the side that ended: `sell to close` and `exit long` both end a LONG."""
    exit: bool
    known: bool
    """False when a word in it is none of ours."""
    order: bool = False
    """The side was said as an order (buy, sell), not as a position (long, short)."""


def said(text: str) -> Said:
    """Read `BUY`, `LONG_ENTRY`, `exit short`, `TP1`; a text that says both sides is not known."""
    words = set(_WORD.findall(text.lower()))
    long, short, ends = bool(words & _LONG), bool(words & _SHORT), bool(words & _EXIT)
    known = bool(words) and not words - _LONG - _SHORT - _EXIT - _AROUND and not (long and short)
    if not known:
        return Said(None, False, False)
    order = bool(words & _ORDERS)
    direction = Direction.LONG if long else Direction.SHORT if short else None
    if ends and "cover" in words:
        direction = Direction.SHORT
    elif ends and order and direction is not None:
        direction = direction.opposite
    return Said(direction, ends, True, order)
