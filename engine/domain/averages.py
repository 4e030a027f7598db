"""Average prices that lose nothing: the sum of the prices comes back exactly. Used by orders and positions.

An average is kept to ten decimals; quoted prices have at most four, so the sum of up to a million contracts is
recovered by rounding to four.
"""

from __future__ import annotations

from decimal import Decimal

from engine.domain.values import CENT

_AVERAGE = Decimal("0.0000000001")
_PRICE = Decimal("0.0001")


def average_price(total: Decimal, quantity: int) -> Decimal:
    """`total` / `quantity` per share; plain cents where that is exact. `quantity` ≥ 1."""
    average = (total / quantity).quantize(_AVERAGE)
    cents = average.quantize(CENT)
    return cents if cents == average else average


def total_price(average: Decimal, quantity: int) -> Decimal:
    """The sum of the prices that `average` was made of."""
    return (average * quantity).quantize(_PRICE)


def average_after(average: Decimal | None, held: int, price: Decimal, quantity: int) -> Decimal:
    """The average once `quantity` more at `price` have joined `held`."""
    before = total_price(average, held) if average is not None else Decimal(0)
    return average_price(before + price * quantity, held + quantity)
