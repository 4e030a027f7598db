from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from engine.domain.values import OptionContract, Right
from engine.market.listing import expiries, on_grid, parse_osi, strikes
from engine.market.universe import Listing, traits
from engine.sessions import new_york_calendar

CALENDAR = new_york_calendar()


def days(kind: Listing, day: str, count: int) -> list[str]:
    return [one.isoformat() for one in expiries(kind, CALENDAR, date.fromisoformat(day))][:count]


def test_daily_lists_every_coming_session_today_first_and_skips_the_holiday() -> None:
    assert days(Listing.DAILY, "2026-11-23", 6) == [
        "2026-11-23",
        "2026-11-24",
        "2026-11-25",
        "2026-11-27",
        "2026-11-30",
        "2026-12-01",
    ]


def test_mon_wed_fri_lists_only_those() -> None:
    assert days(Listing.MON_WED_FRI, "2026-11-17", 4) == ["2026-11-18", "2026-11-20", "2026-11-23", "2026-11-27"]


def test_weekly_lists_fridays_for_two_months_and_then_third_fridays() -> None:
    assert days(Listing.WEEKLY, "2026-08-24", 99) == [
        "2026-08-28",
        "2026-09-04",
        "2026-09-11",
        "2026-09-18",
        "2026-09-25",
        "2026-10-02",
        "2026-10-09",
        "2026-10-16",
        "2026-10-23",
        "2026-11-20",
        "2026-12-18",
        "2027-01-15",
        "2027-02-19",
    ]


def test_a_third_friday_that_is_a_holiday_expires_the_day_before() -> None:
    assert "2026-06-18" in days(Listing.WEEKLY, "2026-04-20", 99)
    assert "2026-06-19" not in days(Listing.WEEKLY, "2026-04-20", 99)


def test_a_holiday_friday_in_this_very_week_expires_on_thursday_or_not_at_all() -> None:
    assert days(Listing.WEEKLY, "2026-12-24", 1) == ["2026-12-24"]
    assert days(Listing.WEEKLY, "2026-12-21", 1) == ["2026-12-24"]


def test_the_listing_ends_with_the_calendar() -> None:
    assert days(Listing.DAILY, "2028-12-27", 99) == ["2028-12-27", "2028-12-29"]
    assert days(Listing.WEEKLY, "2028-12-29", 99) == ["2028-12-29"]


@pytest.mark.parametrize("kind", Listing)
def test_what_is_listed_stays_listed_until_it_expires(kind: Listing) -> None:
    day, before = date(2026, 1, 2), set[date]()
    while day < date(2027, 6, 1):
        now = set(expiries(kind, CALENDAR, day))
        assert {one for one in before if one >= day} <= now
        assert all(CALENDAR.session(one) for one in now)
        before, day = now, CALENDAR.next_session(day).day


def test_strikes_come_in_pairs_around_the_spot_finer_for_the_near_expiries() -> None:
    listed = (date(2026, 11, 20), date(2026, 11, 27), date(2026, 12, 18), date(2027, 3, 19))
    shown = strikes(traits("SPY"), 662.4, date(2026, 11, 20), listed)
    for index, step in enumerate((1.0, 1.0, 5.0, 5.0)):
        rows = shown.expiry == index
        grid = shown.strike[rows & shown.is_call]
        assert np.array_equal(grid, shown.strike[rows & ~shown.is_call])
        assert set(np.diff(grid).tolist()) == {step}
        assert grid[0] < 662.4 < grid[-1]
        assert bool((grid % step == 0).all())


def test_no_strike_of_a_cheap_stock_is_zero() -> None:
    shown = strikes(traits("S02"), 2.0, date(2026, 11, 20), (date(2026, 12, 18),))
    assert float(shown.strike.min()) > 0


@pytest.mark.parametrize(
    ("osi", "expected"),
    [
        (
            "SPY261120C00600000",
            OptionContract(symbol="SPY", expiry=date(2026, 11, 20), right=Right.CALL, strike=Decimal("600.00")),
        ),
        (
            "S01261120P00062500",
            OptionContract(symbol="S01", expiry=date(2026, 11, 20), right=Right.PUT, strike=Decimal("62.50")),
        ),
        ("SPY261131C00600000", None),
        ("SPY261120X00600000", None),
        ("SPY   261120C00600000", None),
        ("", None),
    ],
)
def test_an_osi_symbol_names_a_contract_or_nothing(osi: str, expected: OptionContract | None) -> None:
    assert parse_osi(osi) == expected
    if expected is not None:
        assert expected.osi == osi


def test_a_strike_off_the_grid_or_far_away_was_never_listed() -> None:
    assert on_grid(traits("SPY"), 660, Decimal("601.00"))
    assert not on_grid(traits("SPY"), 660, Decimal("601.50"))
    assert not on_grid(traits("SPY"), 660, Decimal("100.00"))
    assert not on_grid(traits("SPY"), 660, Decimal("2000.00"))
