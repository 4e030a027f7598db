"""The contracts of one root as parallel arrays: where a pushed or recorded market keeps its newest option quotes.

Rows are ordered by expiry, strike, call before put. A snapshot copies what changes and shares what does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import EPOCH, Chain, FloatArray
from engine.domain.values import OptionContract, Quote, Right, Style

Scalar = TypeVar("Scalar", bound=np.generic)

UNKNOWN = -1
"""A size, an open interest or a volume that nobody told us."""


class ContractTable:
    """Newest quote per contract. `bid`, `ask`: dollars, NaN = no such side; `at`: seconds since the epoch, NaN = no
    quote yet; sizes, `open_interest`, `volume`: contracts, -1 = unknown."""

    def __init__(self, symbol: str, contracts: Iterable[OptionContract]) -> None:
        rows = sorted(contracts, key=lambda one: (one.expiry, one.strike, one.right is Right.PUT))
        count = len(rows)
        self.symbol = symbol
        self.contracts = rows
        self.row = {contract.osi: index for index, contract in enumerate(rows)}
        self.expiries = tuple(sorted({contract.expiry for contract in rows}))
        position = {expiry: index for index, expiry in enumerate(self.expiries)}
        self.expiry = np.array([position[contract.expiry] for contract in rows], dtype=np.int64)
        self.strike: FloatArray = np.array([float(contract.strike) for contract in rows])
        self.is_call = np.array([contract.right is Right.CALL for contract in rows], dtype=np.bool_)
        self.bid: FloatArray = np.full(count, np.nan)
        self.ask: FloatArray = np.full(count, np.nan)
        self.at: FloatArray = np.full(count, np.nan)
        self.bid_size = _unknown(count)
        self.ask_size = _unknown(count)
        self.open_interest = _unknown(count)
        self.volume = _unknown(count)

    def take(self, other: ContractTable) -> None:
        """Take over what `other` knows about the contracts both list."""
        pairs = [(index, other.row[osi]) for osi, index in self.row.items() if osi in other.row]
        mine = np.array([here for here, _ in pairs], dtype=np.int64)
        theirs = np.array([there for _, there in pairs], dtype=np.int64)
        for name in ("bid", "ask", "at", "bid_size", "ask_size", "open_interest", "volume"):
            getattr(self, name)[mine] = getattr(other, name)[theirs]

    def quote(self, row: int, source: str) -> Quote | None:
        """The newest quote of a row; None before its first."""
        at = float(self.at[row])
        if at != at:
            return None
        bid, ask = float(self.bid[row]), float(self.ask[row])
        bid_size, ask_size = int(self.bid_size[row]), int(self.ask_size[row])
        return Quote(
            bid=price_of(bid),
            ask=price_of(ask),
            bid_size=None if bid_size < 0 else bid_size,
            ask_size=None if ask_size < 0 else ask_size,
            at=moment_of(at),
            source=source,
        )

    def snapshot(self, known_at: datetime, source: str, spot: Quote) -> Chain:
        """The chain of every contract that has had a quote, as it stands now."""
        seen = self.at == self.at
        whole = bool(seen.all())

        def column(values: NDArray[Scalar]) -> NDArray[Scalar]:
            return values.copy() if whole else values[seen]

        first = self.contracts[0] if self.contracts else None
        return Chain(
            symbol=self.symbol,
            known_at=known_at,
            source=source,
            spot=spot,
            expiries=self.expiries,
            expiry=self.expiry if whole else self.expiry[seen],
            strike=self.strike if whole else self.strike[seen],
            is_call=self.is_call if whole else self.is_call[seen],
            bid=column(self.bid),
            ask=column(self.ask),
            bid_size=column(self.bid_size),
            ask_size=column(self.ask_size),
            at=column(self.at),
            open_interest=column(self.open_interest),
            volume=column(self.volume),
            multiplier=first.multiplier if first else 100,
            style=first.style if first else Style.AMERICAN,
        )


def price_of(price: float) -> Decimal | None:
    """A quoted price as Decimal with at least two decimals; None for NaN."""
    if price != price:
        return None
    cents = round(price * 100)
    if abs(price * 100 - cents) < 1e-6:
        return Decimal(cents).scaleb(-2)
    return Decimal(repr(round(price, 4)))


def moment_of(seconds: float) -> datetime:
    """Seconds since the epoch as UTC time, to the microsecond."""
    return EPOCH + timedelta(microseconds=round(seconds * 1e6))


def seconds_of(moment: datetime) -> float:
    """UTC time as seconds since the epoch."""
    return (moment - EPOCH) / timedelta(seconds=1)


def _unknown(count: int) -> NDArray[np.int64]:
    return np.full(count, UNKNOWN, dtype=np.int64)
