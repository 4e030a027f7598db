"""Everything one flush looks at, taken at one moment, and the two roundings that keep equal views equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from engine.domain.marks import Mark
from engine.domain.values import OptionContract, Timeframe
from engine.ports import Quotes
from engine.pricing.terms import Terms
from engine.risk.book import Book
from engine.sessions import Calendar, Session
from engine.settings import Settings
from engine.state import State


def no_atr(_symbol: str, _timeframe: Timeframe) -> float | None:
    """Bars are not looked at."""
    return None


def spot_alone(_contract: OptionContract) -> Terms:
    """No chain is looked at."""
    return Terms(0.04)


@dataclass(frozen=True, slots=True)
class Seen:
    """`book` is None until an account is open. `references`: what each symbol's change is counted from, dollars.

    `atr`: ATR(14) of a symbol's completed bars now, dollars; None where there are too few of them.
    """

    now: datetime
    state: State
    marks: Mapping[str, Mark]
    quotes: Quotes
    settings: Settings
    calendar: Calendar
    book: Book | None
    session: Session | None
    references: Mapping[str, Decimal]
    atr: Callable[[str, Timeframe], float | None] = no_atr
    terms: Callable[[OptionContract], Terms] = spot_alone
    """On which a contract is priced now."""

    @property
    def to_close(self) -> float | None:
        """Seconds to the session's close, None while it is not open."""
        session = self.session
        if session is None or not session.open <= self.now < session.close:
            return None
        return float(round((session.close - self.now).total_seconds()))


def age(seconds: float) -> float:
    """To tenths under ten seconds, to seconds under a minute, then to minutes: what the screen shows anyway."""
    if seconds < 9.95:
        return round(max(0.0, seconds), 1)
    return float(round(seconds)) if seconds < 60 else float(int(seconds // 60) * 60)


def left(seconds: float) -> float:
    """What is left: to seconds under two hours, then to minutes."""
    return float(round(max(0.0, seconds))) if seconds < 7200 else float(int(seconds // 60) * 60)
