"""The rows of recorded files, played forward: what opens and what closes at an instant, for one root or underlying.

Used by the recorded market only. An instant applies closes before opens; nothing is read before its time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from engine.domain.values import Quote
from engine.market.bars import Minutes
from engine.market.parquet import BarFile
from engine.market.table import UNKNOWN, ContractTable, moment_of, price_of, seconds_of
from engine.sessions import Session

MINUTE = 60


class BarRows:
    """One file's rows by the second at which they begin."""

    def __init__(self, file: BarFile) -> None:
        starts, first = np.unique(file.start, return_index=True)
        ends = [*first[1:].tolist(), len(file)]
        self.columns = file.columns
        self.starts = starts
        self._rows = {
            start: slice(low, high) for start, low, high in zip(starts.tolist(), first.tolist(), ends, strict=True)
        }

    def at(self, second: int, end: str) -> slice | None:
        """The rows whose closing (`c`) or opening (`o`) prices become known at `second`."""
        return self._rows.get(second - MINUTE if end == "c" else second)


class OptionTape:
    """One root's quotes into its contract table, and its trades into the day's volume."""

    def __init__(self, root: str, quotes: BarFile, trades: BarFile | None, source: str) -> None:
        listed = {one.osi: one for file in (quotes, trades) if file is not None for one in file.contracts}
        self.source = source
        self.table = ContractTable(root, [one for one in listed.values() if one.symbol == root])
        self._quotes = BarRows(quotes)
        self._quoted = self._table_rows(quotes)
        self._trades = None if trades is None else BarRows(trades)
        if trades is not None:
            self._traded = self._table_rows(trades)
            self.table.volume[:] = 0

    @property
    def starts(self) -> list[NDArray[np.int64]]:
        return [rows.starts for rows in (self._quotes, self._trades) if rows is not None]

    def apply(self, second: int) -> None:
        for end in ("c", "o"):
            rows = self._quotes.at(second, end)
            if rows is not None:
                self._quote(rows, second, end)
        rows = None if self._trades is None else self._trades.at(second, "c")
        if rows is not None and self._trades is not None:
            np.add.at(self.table.volume, self._traded[rows], self._trades.columns["volume"][rows])

    def _table_rows(self, file: BarFile) -> NDArray[np.int64]:
        """Each file row's row in the table."""
        assert file.contract is not None
        row = np.array([self.table.row.get(one.osi, -1) for one in file.contracts], dtype=np.int64)
        rows: NDArray[np.int64] = row[file.contract]
        return rows

    def _quote(self, rows: slice, second: int, end: str) -> None:
        columns, table, target = self._quotes.columns, self.table, self._quoted[rows]
        for side, held, size in (("bid", table.bid, table.bid_size), ("ask", table.ask, table.ask_size)):
            price = columns[f"{side}_{end}"][rows]
            held[target] = price
            # A bar's size is that of its close: at its opening the one known before still stands, if there was one.
            told = columns[f"{side}_sz"][rows] if end == "c" else size[target]
            size[target] = np.where(price != price, 0, np.where(told > 0, told, UNKNOWN))
        table.at[target] = second


class UnderlyingTape:
    """One underlying's quotes and trades. Without quotes (an index) its level stands on both sides."""

    def __init__(
        self, quotes: BarFile | None, trades: BarFile | None, session: Session | None, source: str, *, index: bool
    ) -> None:
        self._quotes = None if quotes is None else BarRows(quotes)
        self._trades = None if trades is None else BarRows(trades)
        self._source = source
        self._regular = _regular(trades, session)
        self._open = 0.0 if session is None else seconds_of(session.open)
        # An index prints its close in the minute after it.
        self._last = 0.0 if session is None else seconds_of(session.close) - (0 if index else MINUTE)
        self._close: Decimal | None = None
        self._close_known = None if session is None else session.close + timedelta(seconds=MINUTE if index else 0)
        self.quote: Quote | None = None
        self.last: Decimal | None = None

    @property
    def starts(self) -> list[NDArray[np.int64]]:
        return [rows.starts for rows in (self._quotes, self._trades) if rows is not None]

    def apply(self, second: int) -> None:
        for end in ("c", "o"):
            traded = None if self._trades is None else self._trades.at(second, end)
            if traded is not None and self._trades is not None:
                column = self._trades.columns["close" if end == "c" else "open"]
                self._trade(price_of(float(column[traded][-1])), second, end)
            quoted = None if self._quotes is None else self._quotes.at(second, end)
            if quoted is not None and self._quotes is not None:
                self._quote({name: column[quoted][-1] for name, column in self._quotes.columns.items()}, second, end)

    def official_close(self, now: datetime) -> Decimal | None:
        """The last price of the regular session, once `now` is late enough to know it."""
        return self._close if self._close_known is not None and now >= self._close_known else None

    def minutes(self, until: float) -> Minutes | None:
        """Regular one-minute bars that had closed by `until`, seconds since the epoch."""
        regular = self._regular
        if regular is None:
            return None
        known = int(np.searchsorted(regular.start, until - MINUTE, side="right"))
        return regular.first(known)

    def _trade(self, price: Decimal | None, second: int, end: str) -> None:
        self.last = price
        if end == "c" and self._open <= second - MINUTE <= self._last:
            self._close = price
        if self._quotes is None:
            self.quote = Quote(bid=price, ask=price, at=moment_of(second), source=self._source)

    def _quote(self, bar: dict[str, float], second: int, end: str) -> None:
        bid, ask = price_of(float(bar[f"bid_{end}"])), price_of(float(bar[f"ask_{end}"]))
        held = self.quote
        if end == "c":
            bid_size, ask_size = int(bar["bid_sz"]), int(bar["ask_sz"])
        else:
            bid_size, ask_size = (held.bid_size or 0, held.ask_size or 0) if held is not None else (0, 0)
        self.quote = Quote(
            bid=bid,
            ask=ask,
            bid_size=0 if bid is None else bid_size or None,
            ask_size=0 if ask is None else ask_size or None,
            at=moment_of(second),
            source=self._source,
        )
        if end == "c" and self._trades is None and self._open <= second - MINUTE <= self._last:
            self._close = self.quote.mid


def _regular(trades: BarFile | None, session: Session | None) -> Minutes | None:
    if trades is None or session is None:
        return None
    first, last = np.searchsorted(trades.start, [seconds_of(session.open), seconds_of(session.close)])
    part = slice(int(first), int(last))
    return Minutes(
        start=trades.start[part],
        volume=trades.columns["volume"][part],
        **{name: trades.columns[name][part] for name in ("open", "high", "low", "close")},
    )
