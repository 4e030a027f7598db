"""What an expired contract is worth. Called once the official close of its last day is known.

Cash stands in for shares: an option in the money by a cent or more is paid its intrinsic value against the official
close, which is what exercising it and trading the shares at that close would bring. Share legs and their margin
are not modelled here.
"""

from __future__ import annotations

from decimal import Decimal

from engine.domain.entities import Position
from engine.domain.values import CENT, OptionContract, Right, Value

IN_THE_MONEY = CENT
"""From this on an option is exercised without being asked."""


def intrinsic(contract: OptionContract, underlying: Decimal) -> Decimal:
    """Per share, never below zero."""
    value = underlying - contract.strike if contract.right is Right.CALL else contract.strike - underlying
    return max(value, Decimal(0))


def settlement_price(contract: OptionContract, official_close: Decimal) -> Decimal:
    """Per share: intrinsic value if in the money by at least 0.01, else nothing."""
    value = intrinsic(contract, official_close)
    return value if value >= IN_THE_MONEY else Decimal(0)


class Settlement(Value, frozen=True, kw_only=True):
    """What each contract is paid, per share, and what that costs in dollars."""

    price: Decimal
    fees: Decimal


def settle(position: Position, official_close: Decimal) -> Settlement:
    """The settlement of everything a position holds. Expiring and cash-settled exercise cost nothing here."""
    return Settlement(price=settlement_price(position.contract, official_close), fees=Decimal("0.00"))
