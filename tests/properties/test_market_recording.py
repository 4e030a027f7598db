"""A recorded day never knows what comes later: whatever stood in the future, the state now is the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.values import Timeframe
from engine.market.bars import BarBook
from engine.market.parquet import recorded_files
from engine.market.recording import RecordedMarket
from engine.sessions import new_york_calendar

CALENDAR = new_york_calendar()
MINUTE = timedelta(minutes=1)


def state(market: RecordedMarket, moment: datetime) -> dict[str, Any]:
    """All a caller can learn at `moment`."""
    market.advance(moment)
    book = BarBook(CALENDAR, market, market)
    known: dict[str, Any] = {}
    for symbol in market.symbols():
        chain = market.chain(symbol)
        columns = (
            () if chain is None else (chain.bid, chain.ask, chain.bid_size, chain.ask_size, chain.at, chain.volume)
        )
        known[symbol] = (
            market.underlying(symbol),
            market.last(symbol),
            market.official_close(symbol, market.day),
            None if chain is None else [chain.contract(row).osi for row in range(len(chain))],
            [column.tobytes() for column in columns],
            [book.facts_for(symbol, timeframe, moment) for timeframe in Timeframe],
            book.bars(symbol, Timeframe.M3, moment),
        )
    return known


def with_another_future(path: Path, target: Path, now: datetime, seed: int) -> None:
    """The file with everything after `now` made up anew: bars not begun, and the ends of bars not over."""
    table = pq.read_table(path)
    random = np.random.default_rng(seed)
    starts = table["ts_utc"].to_pylist()
    future = {name: np.array([start > now for start in starts]) for name in table.column_names}
    unfinished = np.array([start + MINUTE > now for start in starts])
    for name in table.column_names:
        if name in ("ts_utc", "root", "expiry", "right", "strike", "style"):
            continue
        at_opening = name in ("open", "bid_o", "ask_o")
        rows = future[name] if at_opening else unfinished
        old = table[name].to_pylist()
        made = random.integers(1, 90_000, len(old)).tolist()
        whole = pa.types.is_integer(table.schema.field(name).type)
        one_sided = name[:3] in ("bid", "ask")
        values = [
            before
            if not later or (one_sided and before is None and not begun_later)
            else (number if whole else number / 100)
            for before, later, number, begun_later in zip(old, rows.tolist(), made, future[name].tolist(), strict=True)
        ]
        table = table.set_column(table.column_names.index(name), name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, target / path.name)


@pytest.mark.parametrize("day", ["SPY_20230803", "TWX_20140605", "SPX_20210104", "SPXW_20210106"])
@given(place=st.floats(0, 1), offset=st.sampled_from([0, 1, 30, 59]), seed=st.integers(0, 1000))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_state_at_a_moment_does_not_depend_on_what_was_recorded_later(
    data: Path, tmp_path_factory: pytest.TempPathFactory, day: str, place: float, offset: int, seed: int
) -> None:
    folder = data / "option_day"
    truth = RecordedMarket(folder / day, CALENDAR)
    instants = truth.instants()
    now = instants[int(place * (len(instants) - 1))] + timedelta(seconds=offset)
    target = tmp_path_factory.mktemp("future")
    for path in recorded_files(folder / day)[day].values():
        with_another_future(path, target, now, seed)
    other = RecordedMarket(target / day, CALENDAR)
    assert state(other, now) == state(truth, now)


@given(steps=st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_does_not_matter_in_how_many_steps_a_moment_is_reached(data: Path, steps: list[float]) -> None:
    place = data / "option_day" / "TWX_20140605"
    slowly, at_once = RecordedMarket(place, CALENDAR), RecordedMarket(place, CALENDAR)
    instants = slowly.instants()
    moments = sorted(instants[int(step * (len(instants) - 1))] for step in steps)
    for moment in moments[:-1]:
        state(slowly, moment)
    assert state(slowly, moments[-1]) == state(at_once, moments[-1])
