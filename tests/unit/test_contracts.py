"""Contract selection: windows, liquidity, deltas, and the reasons of the contracts that were not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.contracts import Choice, NoChoice, bucket_of, choose, target_delta
from engine.domain.chain import Chain
from engine.domain.values import Bucket, Code, Direction, Quote, Right, Timeframe
from engine.pricing import expiry_moment, price, year_fraction
from engine.sessions import new_york_calendar
from engine.settings import ContractSettings, Settings

CALENDAR = new_york_calendar()
SETTINGS = Settings()
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
LONG, SHORT = Direction.LONG, Direction.SHORT
SPOT = 600.0


def chain(
    days: Sequence[int] = (0, 3, 5, 7, 14, 35),
    strikes: Sequence[float] = tuple(range(580, 621)),
    symbol: str = "SPY",
    spread: float = 0.02,
    now: datetime = NOW,
    **changes: Any,
) -> Chain:
    """Calls and puts at a vol of 18 %, fresh and liquid, unless a test says otherwise."""
    expiries = tuple(TODAY + timedelta(days=n) for n in days)
    rows = [(i, k, call) for i in range(len(days)) for k in strikes for call in (True, False)]
    index = np.array([r[0] for r in rows], np.int64)
    strike, is_call = np.array([r[1] for r in rows], float), np.array([r[2] for r in rows], bool)
    moments = [year_fraction(now, expiry_moment(e, CALENDAR)) for e in expiries]
    middle = price(SPOT, strike, np.array(moments)[index], 0.04, 0.0, 0.18, is_call)
    bid = np.round(middle - spread / 2, 2)
    count = len(rows)
    fields: dict[str, Any] = {
        "symbol": symbol,
        "known_at": now,
        "source": "simulated",
        "spot": Quote(bid=Decimal("599.99"), ask=Decimal("600.01"), at=now),
        "expiries": expiries,
        "expiry": index,
        "strike": strike,
        "is_call": is_call,
        "bid": np.where(bid > 0, bid, np.nan),
        "ask": np.round(np.maximum(bid, 0) + spread, 2),
        "bid_size": np.full(count, 10, np.int64),
        "ask_size": np.full(count, 10, np.int64),
        "at": np.full(count, now.timestamp() - 1),
        "open_interest": np.full(count, 1000, np.int64),
        "volume": np.full(count, 1000, np.int64),
    }
    return Chain(**{**fields, **changes})


def at_row(source: Chain, strike: float, *, call: bool = True, expiry: int = 0) -> int:
    return int(np.flatnonzero((source.strike == strike) & (source.is_call == call) & (source.expiry == expiry))[0])


def changed(source: Chain, name: str, row: int, value: float) -> Chain:
    array = getattr(source, name).copy()
    array[row] = value
    return replace(source, **{name: array})


def chosen(
    source: Chain, direction: Direction = LONG, timeframe: Timeframe | None = Timeframe.M5, **more: Any
) -> Choice:
    found = choose(source, direction, timeframe, more.pop("now", NOW), SETTINGS, CALENDAR, **more)
    assert isinstance(found, Choice), found
    return found


def refused(source: Chain, timeframe: Timeframe = Timeframe.M5, **more: Any) -> NoChoice:
    found = choose(source, LONG, timeframe, more.pop("now", NOW), SETTINGS, CALENDAR, **more)
    assert isinstance(found, NoChoice), found
    return found


@pytest.mark.parametrize(
    ("timeframe", "listed", "dte", "note"),
    [
        ("3", (0, 3), 0, ()),
        ("5", (0, 1), 0, ()),
        ("5", (1, 4), 1, ("no expiry in 0DTE: 1 days, 21 Nov 26",)),
        ("5", (7, 9), 7, ("no expiry in 0DTE: 7 days, 27 Nov 26",)),
        ("15", (0, 1, 2, 5), 2, ()),
        ("30", (0, 7), 7, ()),
        ("60", (0, 1, 35), 1, ("no expiry in 2-7 days: 1 days, 21 Nov 26",)),
        ("60", (1, 8), 8, ("no expiry in 2-7 days: 8 days, 28 Nov 26",)),
        ("15", (14,), 14, ("no expiry in 2-7 days: 14 days, 04 Dec 26",)),
        ("240", (29, 35, 42), 35, ()),
        ("240", (7, 29), 29, ("no expiry in 30-45 days: 29 days, 19 Dec 26",)),
        ("240", (23, 60), 23, ("no expiry in 30-45 days: 23 days, 13 Dec 26",)),
        ("240", (52,), 52, ("no expiry in 30-45 days: 52 days, 11 Jan 27",)),
        *((tf, (days,), days, ()) for tf in ("15", "30", "60", None) for days in (2, 7)),
        *((tf, (1,), 1, ("no expiry in 2-7 days: 1 days, 21 Nov 26",)) for tf in ("15", "30", "60", None)),
        *((tf, (8,), 8, ("no expiry in 2-7 days: 8 days, 28 Nov 26",)) for tf in ("15", "30", "60", None)),
        *(("240", (days,), days, ()) for days in (30, 45)),
        ("240", (46,), 46, ("no expiry in 30-45 days: 46 days, 05 Jan 27",)),
        *((tf, (1,), 1, ("no expiry in 0DTE: 1 days, 21 Nov 26",)) for tf in ("3", "5")),
    ],
)
def test_the_expiry_follows_the_triggers_timeframe(
    timeframe: str | None, listed: tuple[int, ...], dte: int, note: tuple[str, ...]
) -> None:
    found = chosen(chain(listed), timeframe=Timeframe(timeframe) if timeframe else None)
    assert (found.dte, found.notes) == (dte, note)
    assert found.contract.expiry == TODAY + timedelta(days=dte)


@pytest.mark.parametrize(
    ("timeframe", "listed"), [("5", (8,)), ("15", (15, 35)), ("240", (22, 53)), ("240", (0, 7)), ("5", ())]
)
def test_no_expiry_within_a_week_of_the_window_is_refused(timeframe: str, listed: tuple[int, ...]) -> None:
    found = refused(chain(listed), Timeframe(timeframe))
    assert found.refusal.code is Code.NO_EXPIRY
    assert found.refusal.numbers["listed_days"] == (",".join(map(str, listed)) or "none")


def test_a_contract_that_already_expired_today_is_not_listed_any_more() -> None:
    evening = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert chosen(chain((-1, 0, 3), now=evening), now=evening).dte == 3
    minute_before = evening - timedelta(minutes=20)
    assert chosen(chain((0, 3), now=minute_before, strikes=(600, 601)), now=minute_before).dte == 0


@pytest.mark.parametrize(
    ("dte", "bucket", "delta"),
    [
        (0, Bucket.ZERO_DTE, 0.50),
        (1, Bucket.ONE_DTE, 0.45),
        (2, Bucket.WEEKLY, 0.45),
        (7, Bucket.WEEKLY, 0.45),
        (8, Bucket.LONGER, 0.35),
        (29, Bucket.LONGER, 0.35),
        (30, Bucket.LONGER, 0.40),
        (45, Bucket.LONGER, 0.40),
        (46, Bucket.LONGER, 0.35),
    ],
)
def test_bucket_and_target_delta_by_days_to_expiry(dte: int, bucket: Bucket, delta: float) -> None:
    assert bucket_of(dte) is bucket
    assert target_delta(dte, ContractSettings()) == delta


@pytest.mark.parametrize(("direction", "right"), [(LONG, Right.CALL), (SHORT, Right.PUT)])
def test_long_buys_the_call_and_short_the_put_nearest_the_target_delta(direction: Direction, right: Right) -> None:
    found = chosen(chain(), direction, Timeframe.H1)
    assert found.contract.right is right
    assert abs(found.delta) == pytest.approx(0.45, abs=0.03)
    assert found.delta * direction.sign > 0
    assert found.greeks.iv == pytest.approx(0.18, abs=0.01)
    assert found.target_delta == 0.45
    assert found.bucket is Bucket.WEEKLY
    assert found.quote.bid is not None
    assert found.quote == chain().quote(found.row)
    for other in found.neighbours:
        assert other.delta is not None
        assert abs(abs(other.delta) - 0.45) >= abs(abs(found.delta) - 0.45)


def test_the_neighbours_not_taken_say_how_far_off_they_are() -> None:
    found = chosen(chain(strikes=(598, 599, 600, 601, 602)))
    assert found.contract.strike == 600
    assert [n.contract.strike for n in found.neighbours] == [601, 599, 602] or [
        n.contract.strike for n in found.neighbours
    ] == [599, 601, 602]
    assert all("further from 0.50" in n.why for n in found.neighbours)


FAULTS = [
    ("bid", float("nan"), "one-sided"),
    ("ask", float("nan"), "one-sided"),
    ("bid", 9.99, "crossed 9.99 x"),
    ("at", NOW.timestamp() - 2.5, "quote 2.5 s old, limit 2 s"),
    ("open_interest", 99, "open interest 99, volume 249"),
]


@pytest.mark.parametrize(("name", "value", "why"), FAULTS)
def test_the_nearest_contract_is_passed_over_and_says_why(name: str, value: float, why: str) -> None:
    source = chain()
    row = at_row(source, 600.0)
    source = changed(source, name, row, value)
    if name == "open_interest":
        source = changed(source, "volume", row, 249)
    found = chosen(source)
    assert found.contract.strike != 600
    near = {n.contract.strike: n for n in found.neighbours}[Decimal(600)]
    assert why in near.why
    assert (near.delta is None) == (name in ("bid", "ask"))


def test_a_locked_quote_is_passed_over() -> None:
    source = chain()
    row = at_row(source, 600.0)
    found = chosen(changed(source, "bid", row, float(source.ask[row])))
    assert found.contract.strike != 600
    locked = next(n for n in found.neighbours if n.why.startswith("locked at"))
    assert locked.delta is None


@pytest.mark.parametrize(
    ("interest", "volume", "liquid"),
    [
        (100, 0, True),
        (99, 249, False),
        (99, 250, True),
        (-1, 249, True),
        (-1, 250, True),
        (99, -1, False),
        (-1, -1, True),
        (0, -1, False),
        (-1, 0, True),
    ],
)
def test_open_interest_or_volume_must_show_where_known(interest: int, volume: int, liquid: bool) -> None:
    source = chain(strikes=(600,))
    rows = len(source)
    source = replace(source, open_interest=np.full(rows, interest, np.int64), volume=np.full(rows, volume, np.int64))
    found = choose(source, LONG, Timeframe.M5, NOW, SETTINGS, CALENDAR)
    assert isinstance(found, Choice) == liquid


@pytest.mark.parametrize(
    ("symbol", "bid", "ask", "liquid"),
    [
        ("SPY", 0.20, 0.22, True),
        ("SPY", 0.30, 0.33, False),
        ("SPY", 1.00, 1.06, True),
        ("SPY", 1.00, 1.07, False),
        ("QQQ", 1.00, 1.07, False),
        ("IWM", 0.30, 0.33, True),
        ("IWM", 1.00, 1.08, True),
        ("IWM", 1.00, 1.09, False),
        ("TSLA", 1.00, 1.10, True),
        ("TSLA", 1.00, 1.12, False),
        ("SPY", 0.19, 0.20, False),
    ],
)
def test_spread_and_lowest_bid_by_symbol(symbol: str, bid: float, ask: float, liquid: bool) -> None:
    source = chain((0,), (600,), symbol=symbol)
    source = replace(source, bid=np.full(2, bid), ask=np.full(2, ask))
    found = choose(source, LONG, Timeframe.M5, NOW, SETTINGS, CALENDAR)
    assert isinstance(found, Choice) == liquid


@pytest.mark.parametrize(
    ("dte", "bid", "liquid"), [(3, 0.10, True), (3, 0.09, False), (0, 0.20, True), (0, 0.19, False)]
)
def test_the_lowest_bid_is_higher_for_what_expires_today(dte: int, bid: float, liquid: bool) -> None:
    source = chain((dte,), (602,))
    source = replace(source, bid=np.full(2, bid), ask=np.full(2, bid + 0.01))
    assert isinstance(choose(source, LONG, Timeframe.M5, NOW, SETTINGS, CALENDAR), Choice) == liquid


@pytest.mark.parametrize(
    ("source", "dte", "age", "fresh"),
    [
        ("simulated", 0, 2.0, True),
        ("simulated", 0, 2.1, False),
        ("simulated", 3, 5.0, True),
        ("simulated", 3, 5.1, False),
        ("recorded:SPY", 0, 65.0, True),
        ("recorded:SPY", 0, 65.1, False),
    ],
)
def test_how_old_a_quote_may_be(source: str, dte: int, age: float, fresh: bool) -> None:
    made = chain((dte,), (600,), source=source, at=np.full(2, NOW.timestamp() - age))
    found = choose(made, LONG, Timeframe.M5, NOW, SETTINGS, CALENDAR)
    assert isinstance(found, Choice) == fresh


def test_an_old_quote_counts_while_the_underlying_stood_still() -> None:
    made = chain((0,), (600,), at=np.full(2, NOW.timestamp() - 30))
    seen: list[float] = []

    def still(at: np.ndarray) -> np.ndarray:
        seen.extend(at)
        return np.full(at.shape, -0.00019)

    assert isinstance(chosen(made, moved=still), Choice)
    assert seen == [NOW.timestamp() - 30]
    for far in (0.0002, -0.0003, float("nan")):
        assert refused(made, moved=lambda at, far=far: np.full(at.shape, far)).refusal.code is Code.NO_LIQUID_CONTRACT
    assert isinstance(chosen(made, max_age=30.0), Choice)


def test_fresh_quotes_do_not_ask_how_far_the_underlying_moved() -> None:
    def never(at: np.ndarray) -> np.ndarray:
        raise AssertionError("asked")

    assert chosen(chain(), moved=never).contract.strike == 600


def test_without_a_liquid_contract_the_three_nearest_say_why() -> None:
    source = chain(spread=0.60)
    found = refused(source)
    assert found.refusal.code is Code.NO_LIQUID_CONTRACT
    assert len(found.neighbours) == 3
    assert all("spread 0.60 over" in n.why for n in found.neighbours)
    assert "SPY261120C00600000=delta 0.5" in found.refusal.text
    assert found.refusal.numbers["days"] == "0"


def test_quotes_without_any_vol_are_named_by_the_nearest_strike() -> None:
    source = chain((0,), (590, 600, 612), bid=np.full(6, np.nan))
    found = refused(source)
    assert [n.contract.strike for n in found.neighbours] == [600, 590, 612]
    assert [n.why for n in found.neighbours] == ["one-sided"] * 3
    assert "delta n/a, one-sided" in found.refusal.text


def test_in_the_last_ten_minutes_there_is_no_vol_to_choose_by() -> None:
    late = datetime(2026, 11, 20, 20, 51, tzinfo=UTC)
    source = chain((0,), (600,), now=late, bid=np.full(2, 0.50), ask=np.full(2, 0.52))
    found = refused(source, now=late)
    assert found.neighbours[0].why == "no implied vol"


def test_ten_minutes_before_expiry_there_still_is_one() -> None:
    late = datetime(2026, 11, 20, 20, 50, tzinfo=UTC)
    source = chain((0,), (600,), now=late, bid=np.full(2, 0.50), ask=np.full(2, 0.52))
    assert chosen(source, now=late).bucket is Bucket.ZERO_DTE


def test_unknown_sizes_of_interest_are_said_to_be_unknown() -> None:
    source = chain((0,), (600,))
    nothing, unknown = np.zeros(2, np.int64), np.full(2, -1, np.int64)
    assert refused(replace(source, open_interest=nothing, volume=unknown)).neighbours[0].why == (
        "open interest 0, volume n/a"
    )


def test_a_quote_below_intrinsic_value_is_never_chosen() -> None:
    source = chain((0,), (580, 600))
    row = at_row(source, 580.0)
    for name, value in (("bid", 18.00), ("ask", 18.02)):
        source = changed(source, name, row, value)
    found = chosen(source)
    assert {n.contract.strike: n.why for n in found.neighbours} == {Decimal(580): "no implied vol"}


def test_of_equal_deltas_the_one_that_shows_the_size_wins() -> None:
    source = chain((0,), (600,))
    twice = {
        name: np.concatenate([getattr(source, name)] * 2)
        for name in (
            "expiry",
            "strike",
            "is_call",
            "bid",
            "ask",
            "bid_size",
            "ask_size",
            "at",
            "open_interest",
            "volume",
        )
    }
    twice["ask_size"] = np.array([5, 5, 50, 50], np.int64)
    doubled = replace(source, **twice)
    assert chosen(doubled, quantity_hint=20).row == 2
    assert chosen(doubled, quantity_hint=5).row == 0


def test_a_multiplier_other_than_100_is_an_adjusted_contract() -> None:
    found = refused(chain(multiplier=150))
    assert found.refusal.text == "ADJUSTED_CONTRACT symbol=SPY multiplier=150"


def test_without_the_underlyings_quote_nothing_is_chosen() -> None:
    one_sided = Quote(bid=None, ask=Decimal("600.01"), at=NOW)
    assert refused(chain(spot=one_sided)).refusal.code is Code.NO_MARKET_DATA
    aged = Quote(bid=Decimal("599.99"), ask=Decimal("600.01"), at=NOW - timedelta(seconds=5))
    assert chosen(chain(spot=aged)).spot is aged
    old = Quote(bid=Decimal("599.99"), ask=Decimal("600.01"), at=NOW - timedelta(seconds=6))
    found = refused(chain(spot=old)).refusal
    assert found.text == "STALE_QUOTE symbol=SPY age=6.0s limit=5s"
