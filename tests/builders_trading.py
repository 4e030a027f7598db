"""Builders for tests of orders, portfolio and exits: a known Friday, a known contract, quotes by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.domain.chain import Chain
from engine.domain.entities import ExitPlan, Order, Position, Sizing, Ticket
from engine.domain.events import OrderFilled, OrderIntended
from engine.domain.marks import Mark
from engine.domain.values import (
    Bucket,
    Direction,
    ExitReason,
    Greeks,
    OptionContract,
    OrderState,
    OrderType,
    Purpose,
    Quote,
    Right,
    Side,
    TimeInForce,
)
from engine.sessions import Calendar

FRIDAY = date(2026, 11, 20)
HALF_DAY = date(2026, 11, 27)
OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
CALENDAR = Calendar(
    date(2026, 1, 1),
    date(2027, 12, 31),
    frozenset({date(2026, 11, 26), date(2026, 12, 25)}),
    frozenset({HALF_DAY, date(2026, 12, 24)}),
)
WEEKLY = OptionContract(symbol="SPY", expiry=date(2026, 11, 25), right=Right.CALL, strike=Decimal(600))
TODAY = OptionContract(symbol="SPY", expiry=FRIDAY, right=Right.CALL, strike=Decimal(600))
GREEKS = Greeks(iv=0.20, delta=0.45, gamma=0.03, vega=0.30, theta=-0.12, rho=0.05)


def d(text: str | int) -> Decimal:
    return Decimal(text)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def quote(
    bid: str | None, ask: str | None, at: datetime = NOON, bid_size: int | None = 10, ask_size: int | None = 10
) -> Quote:
    return Quote(
        bid=None if bid is None else Decimal(bid),
        ask=None if ask is None else Decimal(ask),
        at=at,
        bid_size=bid_size,
        ask_size=ask_size,
        source="simulated",
    )


def order(side: Side = Side.BUY, quantity: int = 2, limit: str | None = None, **fields: Any) -> Order:
    made: dict[str, Any] = {
        "id": "O7",
        "contract": WEEKLY,
        "side": side,
        "quantity": quantity,
        "type": OrderType.MARKETABLE,
        "limit": None if limit is None else Decimal(limit),
        "tif": TimeInForce.DAY,
        "purpose": Purpose.ENTRY if side is Side.BUY else Purpose.EXIT,
        "created": NOON,
        "state": OrderState.SUBMITTING,
        "position": None if side is Side.BUY else "P9",
    }
    return Order(**{**made, **fields})


def intended(order_: Order, seq: int = 7) -> OrderIntended:
    return OrderIntended(
        seq=seq,
        at=order_.created,
        order=order_.id,
        contract=order_.contract,
        side=order_.side,
        quantity=order_.quantity,
        type=order_.type,
        limit=order_.limit,
        tif=order_.tif,
        purpose=order_.purpose,
        ticket=order_.ticket,
        position=order_.position,
        exit_reason=order_.exit_reason,
    )


def filled(
    quantity: int,
    price: str | Decimal,
    *,
    fees: str | Decimal = "0",
    at: datetime = NOON,
    execution: str = "",
    underlying: str | None = "600",
    greeks: Greeks | None = GREEKS,
    seq: int = 9,
) -> OrderFilled:
    return OrderFilled(
        seq=seq,
        at=at,
        order="O7",
        execution=execution or f"O7-{seq}-{at.isoformat()}-{price}-{quantity}",
        quantity=quantity,
        price=Decimal(price),
        fees=Decimal(fees),
        slippage=Decimal(0),
        quote=quote("2.00", "2.04", at),
        underlying=None if underlying is None else Decimal(underlying),
        greeks=greeks,
        position="P9",
    )


PLAN = ExitPlan(
    stop_fraction=Decimal("0.50"),
    profit_fraction=Decimal("0.50"),
    underlying_stop=Decimal("595.00"),
    target_1=Decimal("605.00"),
    target_2=Decimal("610.00"),
)


def ticket(quantity: int = 2, **fields: Any) -> Ticket:
    made: dict[str, Any] = {
        "id": "T5",
        "purpose": Purpose.ENTRY,
        "symbol": "SPY",
        "direction": Direction.LONG,
        "contract": WEEKLY,
        "side": Side.BUY,
        "quantity": quantity,
        "limit": Decimal("2.04"),
        "quote": quote("2.00", "2.04"),
        "opened": NOON,
        "changed": NOON,
        "expires": NOON + seconds(90),
        "bucket": Bucket.WEEKLY,
        "plan": PLAN,
        "sizing": Sizing(
            quantity=quantity,
            recommended=quantity,
            risk_budget=Decimal(500),
            loss_per_contract=Decimal("105.50"),
            confidence_factor=Decimal(1),
            regime_factor=Decimal(1),
        ),
        "decision": 3,
        "trigger": 2,
    }
    return Ticket(**{**made, **fields})


def position(quantity: int = 4, entry: str = "2.00", **fields: Any) -> Position:
    made: dict[str, Any] = {
        "id": "P9",
        "symbol": "SPY",
        "direction": Direction.LONG,
        "contract": WEEKLY,
        "quantity": quantity,
        "bought": quantity,
        "sold": 0,
        "entry": Decimal(entry),
        "proceeds": Decimal(0),
        "fees": Decimal(0),
        "opened": OPEN + timedelta(minutes=30),
        "ticket": "T5",
        "plan": PLAN,
        "bucket": Bucket.WEEKLY,
        "risk": Decimal(400),
        "entry_underlying": Decimal(600),
        "best": Decimal(entry),
        "worst": Decimal(entry),
    }
    return Position(**{**made, **fields})


def mark(price: str, at: datetime = NOON, **fields: Any) -> Mark:
    mid = Decimal(price)
    made: dict[str, Any] = {
        "position": "P9",
        "at": at,
        "quote": Quote(bid=mid - Decimal("0.01"), ask=mid + Decimal("0.01"), at=at, bid_size=10, ask_size=10),
        "price": mid,
        "model": False,
        "underlying": Decimal(600),
        "greeks": GREEKS,
        "unrealised": Decimal(0),
        "best": Decimal("2.00"),
        "worst": Decimal("2.00"),
    }
    return Mark(**{**made, **fields})


class HandQuotes:
    """The Quotes port set by hand: what is not set is not known."""

    source = "simulated"

    def __init__(self, max_age: float = 5.0) -> None:
        self.max_age = max_age
        self.options: dict[OptionContract, Quote] = {}
        self.underlyings: dict[str, Quote] = {}

    def underlying(self, symbol: str) -> Quote | None:
        return self.underlyings.get(symbol)

    def option(self, contract: OptionContract) -> Quote | None:
        return self.options.get(contract)

    def chain(self, symbol: str) -> Chain | None:
        return None

    def find(self, osi: str) -> OptionContract | None:
        return next((contract for contract in self.options if contract.osi == osi), None)

    def symbols(self) -> Sequence[str]:
        return tuple(self.underlyings)

    def official_close(self, symbol: str, day: date) -> Decimal | None:
        return None


__all__ = [
    "CALENDAR", "CLOSE", "FRIDAY", "GREEKS", "HALF_DAY", "NOON", "OPEN", "PLAN", "TODAY", "WEEKLY", "ExitReason",
    "HandQuotes", "d", "filled", "intended", "mark", "order", "position", "quote", "seconds", "ticket",
]  # fmt: skip
