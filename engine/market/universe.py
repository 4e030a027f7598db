"""What each simulated symbol is like: price level, volatility, liquidity, and how its options are listed.

SPY, QQQ and IWM are described by hand; any other ticker gets plausible numbers derived from its letters, so that fifty
made-up symbols are fifty different stocks, the same ones every time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from engine.market.noise import choice, stream

_TICKER = re.compile(r"[A-Z][A-Z0-9.]{0,5}\Z")


class Listing(StrEnum):
    """Which weekdays expire in the coming week; all list Fridays for two months and third Fridays beyond."""

    DAILY = "daily"
    MON_WED_FRI = "mon-wed-fri"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Traits:
    """One simulated underlying."""

    symbol: str
    price: float
    """Dollars around which it wanders."""
    vol: float
    """At-the-money volatility a year, on average."""
    dividend: float
    """Dividend yield a year."""
    skew: float
    """Relative change of volatility per standard deviation of moneyness, at the money."""
    width: float
    """Option spreads as a multiple of SPY's."""
    depth: float
    """Displayed contracts at the touch, at the money."""
    shares: float
    """Shares traded a day."""
    listing: Listing
    step: float
    """Narrowest distance between strikes, dollars."""


_KNOWN = {
    "SPY": Traits("SPY", 662.0, 0.15, 0.012, -0.085, 1.0, 180.0, 72e6, Listing.DAILY, 1.0),
    "QQQ": Traits("QQQ", 604.0, 0.19, 0.006, -0.075, 1.3, 120.0, 44e6, Listing.DAILY, 1.0),
    "IWM": Traits("IWM", 238.0, 0.21, 0.011, -0.065, 1.5, 140.0, 30e6, Listing.MON_WED_FRI, 1.0),
}


def valid_ticker(symbol: str) -> bool:
    """A symbol the simulation can make up: one to six capitals, digits or dots, beginning with a letter."""
    return _TICKER.match(symbol) is not None


@cache
def traits(symbol: str) -> Traits:
    """The nature of a symbol. Raises `ValueError` for what is no ticker."""
    known = _KNOWN.get(symbol)
    if known is not None:
        return known
    if not valid_ticker(symbol):
        raise ValueError(f"{symbol!r} is not a ticker")
    size, nerve, crowd = (choice(stream("traits", symbol, name)) for name in ("price", "vol", "liquidity"))
    price = round(25.0 * 20.0**size, 2)
    return Traits(
        symbol=symbol,
        price=price,
        vol=round(0.20 + 0.35 * nerve, 3),
        dividend=0.0,
        skew=-0.05,
        width=round(1.8 + 2.2 * (1 - crowd), 2),
        depth=round(20.0 + 60.0 * crowd),
        shares=float(round(2e6 * 20.0**crowd)),
        listing=Listing.WEEKLY,
        step=0.5 if price < 50 else 1.0 if price < 150 else 2.5,
    )
