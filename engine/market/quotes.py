"""The book of a feed that pushes: the newest quote of every underlying and option, and the chain put together from them.

Feeds call the `put_` methods; everybody else asks through the Quotes port. It keeps the last value and its time, and
never fills a side that was not quoted. It has no clock: how old a quote is, is for the caller to judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from engine.domain.chain import Chain
from engine.domain.values import OptionContract, Quote, Value
from engine.market.table import ContractTable, moment_of, seconds_of
from engine.ports import Quotes


class Ticks(Value, frozen=True, kw_only=True):
    """What became known after a moment: underlyings by symbol, options by OSI symbol."""

    underlyings: dict[str, Quote]
    options: dict[str, Quote]

    def __bool__(self) -> bool:
        return bool(self.underlyings or self.options)


def ticks(
    market: Quotes, symbols: Iterable[str], contracts: Iterable[OptionContract], after: datetime | None = None
) -> Ticks:
    """The quotes of these that became known after `after` (all known ones without it), from any market."""
    underlyings = {symbol: quote for symbol in symbols if (quote := market.underlying(symbol)) is not None}
    options = {one.osi: quote for one in contracts if (quote := market.option(one)) is not None}
    if after is None:
        return Ticks(underlyings=underlyings, options=options)
    return Ticks(
        underlyings={key: quote for key, quote in underlyings.items() if quote.at > after},
        options={key: quote for key, quote in options.items() if quote.at > after},
    )


class MarketBook:
    """Quotes that were pushed to us. A quote older than the one held is dropped: feeds may deliver out of order."""

    def __init__(self, source: str, max_age: float) -> None:
        self.source = source
        self.max_age = max_age
        self._underlyings: dict[str, Quote] = {}
        self._tables: dict[str, ContractTable] = {}
        self._closes: dict[tuple[str, date], Decimal] = {}

    def put_underlying(self, symbol: str, quote: Quote) -> None:
        held = self._underlyings.get(symbol)
        if held is None or quote.at >= held.at:
            self._underlyings[symbol] = quote

    def put_contracts(self, contracts: Iterable[OptionContract]) -> None:
        """List contracts, of any symbols; those already listed keep their quotes."""
        new: dict[str, dict[str, OptionContract]] = {}
        for contract in contracts:
            new.setdefault(contract.symbol, {})[contract.osi] = contract
        for symbol, listed in new.items():
            old = self._tables.get(symbol)
            if old is None:
                self._tables[symbol] = ContractTable(symbol, listed.values())
            elif not listed.keys() <= old.row.keys():
                kept = {contract.osi: contract for contract in old.contracts}
                self._tables[symbol] = ContractTable(symbol, (kept | listed).values())
                self._tables[symbol].take(old)

    def put_option(self, contract: OptionContract, quote: Quote) -> None:
        """The newest quote of a contract; one that was not listed is listed by it."""
        table = self._tables.get(contract.symbol)
        if table is None or contract.osi not in table.row:
            self.put_contracts((contract,))
            table = self._tables[contract.symbol]
        row = table.row[contract.osi]
        at = seconds_of(quote.at)
        if at < table.at[row]:
            return
        table.at[row] = at
        table.bid[row] = np.nan if quote.bid is None else float(quote.bid)
        table.ask[row] = np.nan if quote.ask is None else float(quote.ask)
        table.bid_size[row] = -1 if quote.bid_size is None else quote.bid_size
        table.ask_size[row] = -1 if quote.ask_size is None else quote.ask_size

    def put_activity(self, contract: OptionContract, *, open_interest: int = -1, volume: int = -1) -> None:
        """Open interest and today's volume of a contract; what is -1 stays as it was."""
        self.put_contracts((contract,))
        table = self._tables[contract.symbol]
        row = table.row[contract.osi]
        if open_interest >= 0:
            table.open_interest[row] = open_interest
        if volume >= 0:
            table.volume[row] = volume

    def put_close(self, symbol: str, day: date, price: Decimal) -> None:
        self._closes[(symbol, day)] = price

    def underlying(self, symbol: str) -> Quote | None:
        return self._underlyings.get(symbol)

    def option(self, contract: OptionContract) -> Quote | None:
        table = self._tables.get(contract.symbol)
        row = None if table is None else table.row.get(contract.osi)
        return None if table is None or row is None else table.quote(row, self.source)

    def chain(self, symbol: str) -> Chain | None:
        """The contracts that have been quoted, known as of the newest quote among them. None before the first."""
        table, spot = self._tables.get(symbol), self._underlyings.get(symbol)
        if table is None or not (table.at == table.at).any():
            return None
        known_at = moment_of(float(np.nanmax(table.at)))
        if spot is None:
            spot = Quote(bid=None, ask=None, at=known_at, source=self.source)
        return table.snapshot(max(known_at, spot.at), self.source, spot)

    def find(self, osi: str) -> OptionContract | None:
        for table in self._tables.values():
            row = table.row.get(osi)
            if row is not None:
                return table.contracts[row]
        return None

    def symbols(self) -> Sequence[str]:
        return tuple(sorted(self._underlyings.keys() | self._tables.keys()))

    def official_close(self, symbol: str, day: date) -> Decimal | None:
        return self._closes.get((symbol, day))
