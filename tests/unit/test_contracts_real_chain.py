"""Contract selection on a real SPY chain of 3,160 contracts, judged by the exchange's own deltas."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.contracts import Choice, choose
from engine.domain.chain import Chain
from engine.domain.values import Bucket, Direction, Quote, Timeframe
from engine.sessions import new_york_calendar
from engine.settings import Settings

NOW = datetime(2025, 5, 16, 19, 59, tzinfo=UTC)
CALENDAR = new_york_calendar()
SETTINGS = Settings.model_validate({"contracts": {"rate": 0.043}})


@pytest.fixture(scope="module")
def quoted(data: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(data / "vendor_chain" / "SPY_cboe_20250516.parquet")
    return {name: table[name].to_numpy() for name in table.column_names}


@pytest.fixture(scope="module")
def real(quoted: dict[str, np.ndarray]) -> Chain:
    days = quoted["expiration"].astype("datetime64[D]")
    expiries, index = np.unique(days, return_inverse=True)
    count = len(days)
    return Chain(
        symbol="SPY",
        known_at=NOW,
        source="recorded",
        # The file's own spot is after hours; the quotes belong to what call and put parity says.
        spot=Quote(bid=Decimal("594.07"), ask=Decimal("594.09"), at=NOW),
        expiries=tuple(date.fromisoformat(str(day)) for day in expiries),
        expiry=index.astype(np.int64),
        strike=quoted["strike"].astype(float),
        is_call=quoted["right"] == "C",
        bid=np.where(quoted["bid"] > 0, quoted["bid"], np.nan),
        ask=quoted["ask"].astype(float),
        bid_size=np.full(count, -1, np.int64),
        ask_size=np.full(count, -1, np.int64),
        at=np.full(count, NOW.timestamp()),
        open_interest=quoted["open_interest"].astype(np.int64),
        volume=quoted["volume"].astype(np.int64),
    )


@pytest.mark.parametrize("direction", list(Direction))
def test_a_real_chain_gives_the_contract_whose_exchange_delta_is_nearest(
    real: Chain, quoted: dict[str, np.ndarray], direction: Direction
) -> None:
    target = 0.45
    found = choose(real, direction, Timeframe.M15, NOW, SETTINGS, CALENDAR)
    assert isinstance(found, Choice), found
    assert (found.bucket, found.dte, found.notes) == (Bucket.WEEKLY, 3, ())
    theirs = np.abs(quoted["delta"])
    side = (real.expiry == real.expiry[found.row]) & (real.is_call == real.is_call[found.row])
    # Dividends are not modelled: calls and puts are off by a hundredth or two, in opposite directions.
    assert abs(found.delta) == pytest.approx(theirs[found.row], abs=0.03)
    best = np.min(np.abs(theirs[side] - target))
    assert abs(theirs[found.row] - target) <= best + 0.03
    assert found.greeks.iv == pytest.approx(quoted["iv"][found.row], abs=0.02)


def test_a_chain_of_two_weeks_has_no_monthly_contract(real: Chain) -> None:
    found = choose(real, Direction.LONG, Timeframe.H4, NOW, SETTINGS, CALENDAR)
    assert not isinstance(found, Choice)
    assert found.refusal.text == "NO_EXPIRY symbol=SPY window=30-45 days listed_days=0,3,4,5,6,7,11,12,13,14"


def test_in_the_last_minute_nothing_that_expires_today_is_chosen(real: Chain) -> None:
    """The 0DTE expiry has no vol to choose by any more, and says so."""
    found = choose(real, Direction.LONG, Timeframe.M5, NOW, SETTINGS, CALENDAR)
    assert not isinstance(found, Choice)
    assert found.refusal.numbers["days"] == "0"
