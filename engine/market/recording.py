"""A recorded day of one-minute quote and trade bars, played forward: the Quotes port of replays.

A bar that begins at `ts` says two things: its opening prices are known at `ts`, its closing prices and sizes 60 seconds
later. `advance(T)` applies everything known at T and nothing else, closes before opens; time never goes back. A
contract without a bar keeps its last quote, which ages. What a bar does not say (open interest, sizes at its opening)
stays unknown or as it was last known.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.domain.chain import Chain
from engine.domain.values import OptionContract, Quote
from engine.market.bars import Minutes
from engine.market.parquet import BarFile, RecordingError, read_quotes, read_trades, recorded_files
from engine.market.playback import MINUTE, OptionTape, UnderlyingTape
from engine.market.table import moment_of, seconds_of
from engine.sessions import Calendar, Session, new_york_day

SOURCE = "recorded"
UNDERLYING_OF = {"SPXW": "SPX"}
"""Roots whose underlying goes by another name."""


class RecordedMarket:
    """The Quotes port over one recorded day. Knows nothing before the first `advance`."""

    def __init__(self, place: Path, calendar: Calendar, max_age: float = 65.0) -> None:
        """`place`: a folder of one day's Parquet files, or the prefix of some (`…/GOOG_20151224`). Raises
        `RecordingError` naming the file and column that is missing or wrong."""
        self.source = SOURCE
        self.max_age = max_age
        self._options: dict[str, OptionTape] = {}
        self._underlyings: dict[str, UnderlyingTape] = {}
        self._chains: dict[str, Chain] = {}
        self._now: datetime | None = None
        self._cursor = 0
        found = recorded_files(place)
        read = {stem: {kind: _load(path, kind) for kind, path in kinds.items()} for stem, kinds in found.items()}
        self.day = _day_of(place, [file for files in read.values() for file in files.values()])
        """The New York day that was recorded."""
        self.session = calendar.session(self.day)
        for stem, files in read.items():
            self._add(stem, files, place if place.is_dir() else place.parent)
        if not self._options:
            raise RecordingError(
                f"{place}: no option_quote_1m file beside {next(iter(found[min(found)].values())).name}"
            )
        self._instants = self._timeline()

    def instants(self) -> Sequence[datetime]:
        """Every moment at which something becomes known, in order (UTC)."""
        return [moment_of(second) for second in self._instants.tolist()]

    def advance(self, moment: datetime) -> None:
        """Apply all that is known at `moment`: at each instant on the way closes first, then opens. Raises `ValueError`
        for a moment before the last one."""
        if self._now is not None and moment < self._now:
            raise ValueError(f"the recording was asked to go back from {self._now} to {moment}")
        until = seconds_of(moment)
        while self._cursor < len(self._instants) and self._instants[self._cursor] <= until:
            second = int(self._instants[self._cursor])
            for underlying in self._underlyings.values():
                underlying.apply(second)
            for options in self._options.values():
                options.apply(second)
            self._cursor += 1
        self._now = moment
        self._chains.clear()

    def underlying(self, symbol: str) -> Quote | None:
        tape = self._tape(symbol)
        return None if tape is None else tape.quote

    def last(self, symbol: str) -> Decimal | None:
        """The last trade of an underlying."""
        tape = self._tape(symbol)
        return None if tape is None else tape.last

    def option(self, contract: OptionContract) -> Quote | None:
        tape = self._options.get(contract.symbol)
        row = None if tape is None else tape.table.row.get(contract.osi)
        return None if tape is None or row is None else tape.table.quote(row, SOURCE)

    def chain(self, symbol: str) -> Chain | None:
        """Every contract that has been quoted so far. Where the underlying was not recorded its spot has no sides."""
        held, tape = self._chains.get(symbol), self._options.get(symbol)
        if held is not None or tape is None or self._now is None or not (tape.table.at == tape.table.at).any():
            return held
        spot = self.underlying(symbol) or Quote(bid=None, ask=None, at=self._now, source=SOURCE)
        self._chains[symbol] = tape.table.snapshot(self._now, SOURCE, spot)
        return self._chains[symbol]

    def find(self, osi: str) -> OptionContract | None:
        for tape in self._options.values():
            row = tape.table.row.get(osi)
            if row is not None:
                return tape.table.contracts[row]
        return None

    def symbols(self) -> Sequence[str]:
        return tuple(sorted(self._options.keys() | self._underlyings.keys()))

    def official_close(self, symbol: str, day: date) -> Decimal | None:
        """The last price of the regular session, from its close on; of an index, its print in the minute after."""
        tape = self._tape(symbol)
        return (
            tape.official_close(self._now) if tape is not None and self._now is not None and day == self.day else None
        )

    def minutes(self, symbol: str, session: Session, until: datetime) -> Minutes | None:
        """Regular one-minute bars that had closed by `until` and by the moment played to (see `BarBook`)."""
        tape = self._tape(symbol)
        if tape is None or self._now is None or session.day != self.day:
            return None
        return tape.minutes(seconds_of(min(until, self._now)))

    def _tape(self, symbol: str) -> UnderlyingTape | None:
        return self._underlyings.get(symbol) or self._underlyings.get(UNDERLYING_OF.get(symbol, ""))

    def _add(self, stem: str, files: dict[str, BarFile], folder: Path) -> None:
        name, _, day = stem.partition("_")
        quotes, trades = files.get("option_quote_1m"), files.get("option_trade_1m")
        if quotes is not None:
            traded = {} if trades is None else trades.roots()
            for root, part in quotes.roots().items():
                self._options[root] = OptionTape(root, part, traded.get(root), SOURCE)
            name = name or next(iter(self._options))
        bidding, index = files.get("underlying_quote_1m"), files.get("underlying_index_1m")
        prices = files.get("underlying_trade_1m") or index
        if prices is not None or bidding is not None:
            self._underlyings[name] = UnderlyingTape(
                bidding, prices, self.session, SOURCE, index="underlying_index_1m" in files
            )
        elif name in UNDERLYING_OF and UNDERLYING_OF[name] not in self._underlyings:
            beside = folder / f"{UNDERLYING_OF[name]}_{day}_underlying_index_1m.parquet"
            if beside.is_file():
                level = read_trades(beside, options=False)
                self._underlyings[UNDERLYING_OF[name]] = UnderlyingTape(None, level, self.session, SOURCE, index=True)

    def _timeline(self) -> NDArray[np.int64]:
        starts = [one for tape in self._underlyings.values() for one in tape.starts]
        starts += [one for tape in self._options.values() for one in tape.starts]
        instants: NDArray[np.int64] = np.unique(np.concatenate([*starts, *(start + MINUTE for start in starts)]))
        return instants


def _load(path: Path, kind: str) -> BarFile:
    read = read_quotes if "quote" in kind else read_trades
    return read(path, options=kind.startswith("option"))


def _day_of(place: Path, files: Sequence[BarFile]) -> date:
    """The one New York day all these bars belong to."""
    ends = {float(file.start[end]) for file in files for end in (0, -1)}
    days = sorted({new_york_day(moment_of(second)) for second in ends})
    if len(days) > 1:
        listed = ", ".join(day.isoformat() for day in days)
        raise RecordingError(f"{place}: holds more than one day ({listed}); name one by its prefix, like SPY_20230803")
    return days[0]
