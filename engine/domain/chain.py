"""A chain snapshot: every listed contract of one underlying as parallel arrays, ready for vectorised selection and pricing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from engine.domain.values import CENT, OptionContract, Quote, Right, Style

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """All arrays have one entry per contract. Prices are dollars per share; NaN = no such side.

    `at`: seconds since the epoch when each contract's quote last changed (became known).
    `bid_size`, `ask_size`, `open_interest`, `volume`: contracts, -1 = unknown.
    `expiry` indexes `expiries`; `spot` is the underlying's quote known at the same time.
    """

    symbol: str
    known_at: datetime
    source: str
    spot: Quote
    expiries: tuple[date, ...]
    expiry: NDArray[np.int64]
    strike: FloatArray
    is_call: NDArray[np.bool_]
    bid: FloatArray
    ask: FloatArray
    bid_size: NDArray[np.int64]
    ask_size: NDArray[np.int64]
    at: FloatArray
    open_interest: NDArray[np.int64]
    volume: NDArray[np.int64]
    multiplier: int = 100
    style: Style = Style.AMERICAN
    tick: Decimal = CENT
    synthetic: bool = False

    def __len__(self) -> int:
        return len(self.strike)

    def contract(self, row: int) -> OptionContract:
        """The contract of one row."""
        return OptionContract(
            symbol=self.symbol,
            expiry=self.expiries[int(self.expiry[row])],
            right=Right.CALL if self.is_call[row] else Right.PUT,
            strike=_decimal(float(self.strike[row])),
            multiplier=self.multiplier,
            style=self.style,
        )

    def quote(self, row: int) -> Quote:
        """The quote of one row, with money as Decimal on the tick grid."""
        bid, ask = float(self.bid[row]), float(self.ask[row])
        bid_size, ask_size = int(self.bid_size[row]), int(self.ask_size[row])
        return Quote(
            bid=None if bid != bid else _decimal(bid),
            ask=None if ask != ask else _decimal(ask),
            bid_size=None if bid_size < 0 else bid_size,
            ask_size=None if ask_size < 0 else ask_size,
            at=EPOCH + timedelta(microseconds=round(float(self.at[row]) * 1e6)),
            source=self.source,
            synthetic=self.synthetic,
        )


EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _decimal(price: float) -> Decimal:
    """Shortest exact text of a quoted price: 4.88, not 4.879999…; at least two decimals."""
    value = Decimal(repr(round(price, 4)))
    exponent = value.as_tuple().exponent
    return value.quantize(CENT) if isinstance(exponent, int) and exponent > -2 else value
