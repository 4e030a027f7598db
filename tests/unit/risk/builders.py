"""A book of 100,000 dollars in the middle of a session, and an entry that every rule lets pass, unless a test says otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.domain.entities import Account, ExitPlan, Halt
from engine.domain.values import Bucket, Direction, Greeks, OptionContract, Quote, Right
from engine.risk.book import Book, Exposure, Proposal
from engine.sessions import new_york_calendar
from engine.settings import Settings

CALENDAR = new_york_calendar()
SETTINGS = Settings()
NOW = datetime(2026, 11, 18, 16, 0, tzinfo=UTC)
"""Wednesday, 11:00 in New York."""
D = Decimal
LONG, SHORT = Direction.LONG, Direction.SHORT


def contract(symbol: str = "SPY", strike: str = "600", right: Right = Right.CALL, days: int = 2) -> OptionContract:
    return OptionContract(
        symbol=symbol, expiry=date(2026, 11, 18) + timedelta(days=days), right=right, strike=D(strike)
    )


def quote(bid: str | None, ask: str | None, age: float = 0.5, source: str = "simulated") -> Quote:
    return Quote(
        bid=D(bid) if bid else None, ask=D(ask) if ask else None, at=NOW - timedelta(seconds=age), source=source
    )


def account(**changes: Any) -> Account:
    fields: dict[str, Any] = {"cash": D(100000), "peak_equity": D(100000), "prior_equity": D(100000)}
    return Account(**{**fields, **changes})


def book(*exposures: Exposure, equity: Decimal | int = 100000, now: datetime = NOW, **changes: Any) -> Book:
    fields: dict[str, Any] = {"account": account(), "calendar": CALENDAR}
    return Book(now=now, equity=D(equity), exposures=exposures, **{**fields, **changes})


def exposure(key: str = "P1", **changes: Any) -> Exposure:
    fields: dict[str, Any] = {
        "symbol": "TSLA",
        "direction": LONG,
        "contract": contract("TSLA", "400"),
        "quantity": 1,
        "value": D(500),
        "risk": D(250),
        "delta_dollars": D(0),
        "expires_today": False,
        "structure": key,
    }
    return Exposure(key=key, **{**fields, **changes})


def plan(stop: str | None = "598", target: str | None = "604", fraction: str = "0.50") -> ExitPlan:
    return ExitPlan(
        stop_fraction=D(fraction),
        profit_fraction=D("0.50"),
        underlying_stop=D(stop) if stop else None,
        target_1=D(target) if target else None,
        target_2=D("607"),
    )


GREEKS = Greeks(iv=0.156682, delta=0.45, gamma=0.04, vega=0.2, theta=-0.5, rho=0.01)


def proposal(**changes: Any) -> Proposal:
    """A weekly SPY call at 2.98 x 3.00, spot 600.00, delta 0.45, its mid at a vol of 15.67 %."""
    fields: dict[str, Any] = {
        "symbol": "SPY",
        "direction": LONG,
        "contract": contract(),
        "bucket": Bucket.WEEKLY,
        "quote": quote("2.98", "3.00"),
        "underlying": quote("599.99", "600.01"),
        "limit": D("3.00"),
        "greeks": GREEKS,
        "expiry": datetime(2026, 11, 20, 21, 0, tzinfo=UTC),
        "plan": plan(),
        "recommended": 3,
        "round_trip_fees": D("1.40"),
        "final_multiplier": D("1.5"),
        "signal_price": D("600"),
        "atr": D("1.00"),
        "own_atr": True,
        "trigger": 7,
        "quantity": 3,
        "loss": D("200"),
    }
    return Proposal(**{**fields, **changes})


def halted(**changes: Any) -> Halt:
    fields: dict[str, Any] = {"latched": True, "by": "desk", "reason": "lunch", "since": NOW}
    return Halt(**{**fields, **changes})
