from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from engine.domain.chain import FloatArray
from engine.market import smile, spreads
from engine.market.noise import choice, normals, pairs, stream, uniforms
from engine.market.paths import PER_MINUTE, SPENT, Day, Paths, trading_number
from engine.market.recent import Recent
from engine.market.universe import traits
from engine.sessions import new_york_calendar

CALENDAR = new_york_calendar()
PATHS = Paths(20261120)


@pytest.fixture(scope="module")
def days() -> list[Day]:
    found, day = [], date(2023, 1, 3)
    while day < date(2026, 11, 20):
        found.append(PATHS.day("SPY", day))
        day = CALENDAR.next_session(day).day
    return found


def test_over_years_the_price_wanders_and_comes_back(days: list[Day]) -> None:
    closes = np.exp([day.close for day in days])
    assert closes.min() > 0.6 * traits("SPY").price
    assert closes.max() < 1.6 * traits("SPY").price
    assert closes.max() / closes.min() > 1.1


def test_daily_moves_have_the_volatility_of_the_symbol(days: list[Day]) -> None:
    returns = np.diff([day.close for day in days])
    assert np.std(returns) * 252**0.5 == pytest.approx(traits("SPY").vol * 0.92, rel=0.1)
    gaps = np.array([after.open - before.close for before, after in pairwise(days)])
    assert 0.3 < np.std(gaps) / np.std(returns) < 0.7


def test_volatility_is_stationary_and_rises_when_the_price_falls(days: list[Day]) -> None:
    levels = np.exp([day.vol_close for day in days])
    assert levels.min() > 0.4
    assert levels.max() < 2.5
    moves = np.array([day.close - day.open for day in days])
    fear = np.array([day.vol_close - day.vol_open for day in days])
    assert np.corrcoef(moves, fear)[0, 1] < -0.5


def test_volatility_does_not_jump_overnight(days: list[Day]) -> None:
    friday, monday = PATHS.day("SPY", date(2026, 11, 13)), PATHS.day("SPY", date(2026, 11, 16))
    assert friday.vol_close == pytest.approx(monday.vol_open)


def test_a_holidays_move_is_part_of_the_next_gap() -> None:
    wednesday, holiday, friday = (trading_number(date(2026, 11, day)) for day in (25, 26, 27))
    assert (holiday - wednesday, friday - holiday) == (1, 1)
    assert trading_number(date(2026, 11, 30)) - friday == 1


def test_the_day_is_busy_at_its_ends() -> None:
    moves = np.zeros(405)
    day = date(2026, 6, 1)
    for _ in range(60):
        path = np.log(PATHS.path("SPY", day))
        moves += (np.diff(path) ** 2).reshape(405, PER_MINUTE).sum(axis=1)
        day = CALENDAR.next_session(day).day
    opening, noon, closing, after = moves[:30].mean(), moves[150:240].mean(), moves[375:390].mean(), moves[390:].mean()
    assert opening > 1.5 * noon
    assert closing > 1.3 * noon
    assert after < 0.3 * noon


def test_volume_is_a_u_too_also_on_a_half_day() -> None:
    for day, count in ((date(2026, 11, 20), 390), (date(2026, 11, 27), 210)):
        session = CALENDAR.session(day)
        assert session is not None
        volume = PATHS.minutes("SPY", session).volume
        assert len(volume) == count
        middle = volume[count // 2 - 20 : count // 2 + 20].mean()
        assert volume[:10].mean() > 1.5 * middle
        assert volume[-3:].mean() > 1.5 * middle


def test_another_seed_is_another_market() -> None:
    assert Paths(1).day("SPY", date(2026, 11, 20)) != Paths(2).day("SPY", date(2026, 11, 20))
    assert PATHS.day("QQQ", date(2026, 11, 20)) != PATHS.day("SPY", date(2026, 11, 20))


def test_forgetting_changes_nothing() -> None:
    small = Paths(3, room=1)
    first = small.path("SPY", date(2026, 11, 20)).copy()
    for ahead in range(1, 4):
        small.path("SPY", date(2026, 11, 20) + timedelta(days=ahead))
    assert np.array_equal(small.path("SPY", date(2026, 11, 20)), first)


def test_the_memory_drops_what_was_not_asked_for_longest() -> None:
    memory: Recent[str, int] = Recent(2)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)


def test_variance_is_spent_from_none_to_all() -> None:
    assert SPENT[0] == 0
    assert SPENT[-1] == pytest.approx(1)
    assert bool((np.diff(SPENT) > 0).all())


def test_noise_is_uniform_and_normal_and_its_streams_are_apart() -> None:
    positions = np.arange(20_000, dtype=np.uint64)
    one, other = (uniforms(stream("noise", name), positions) for name in ("one", "other"))
    assert 0 < one.min() < one.max() < 1
    assert one.mean() == pytest.approx(0.5, abs=0.01)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.03
    high, low = pairs(stream("noise", "pair"), positions)
    assert abs(np.corrcoef(high, low)[0, 1]) < 0.03
    assert np.std(normals(stream("noise", "bell"), positions)) == pytest.approx(1, abs=0.02)
    assert choice(stream("a", "bc")) != choice(stream("ab", "c"))


def smile_at(skewed: FloatArray, sessions: float, vol: float) -> FloatArray:
    nature = traits("SPY")
    one = np.zeros(len(skewed), dtype=np.int64)
    terms = smile.terms(one, skewed, skewed >= 660, np.array([[sessions], [86400.0 * 1.45 * sessions]]))
    now = smile.moment(terms, nature, 660.0, vol, 0.0, 0.0, rate=0.0)
    return smile.values(terms, nature, now)[0]


def test_downside_protection_costs_more_than_the_same_upside() -> None:
    put, call = smile_at(np.array([660 * 0.95, 660 / 0.95]), 20, 0.15)
    assert put > 1.5 * call


def test_a_shock_to_volatility_moves_near_expiries_most() -> None:
    at_the_money = np.array([660.0])
    near, far = (
        (smile_at(at_the_money, sessions, 0.30) / smile_at(at_the_money, sessions, 0.15))[0] for sessions in (5, 250)
    )
    assert near > 1.8
    assert far < 1.3


def test_spreads_are_wider_at_the_open_before_the_close_and_most_after_it() -> None:
    noon = spreads.busy_factor(180, 210)
    assert noon == pytest.approx(1, abs=0.001)
    assert spreads.busy_factor(0, 390) == pytest.approx(2, abs=0.001)
    assert noon < spreads.busy_factor(389, 1) < spreads.busy_factor(395, -5) == 2.0


def test_a_value_on_the_grid_is_quoted_around_it_and_a_tiny_one_finds_no_bid() -> None:
    fair = np.array([3.0, 0.004, 0.0])
    bid, ask = spreads.touch(fair, np.zeros(3), 1.0, np.ones(3))
    assert bid[0] == 2.98
    assert ask[0] == 3.02
    assert np.isnan(bid[1:]).all()
    assert ask[1:].tolist() == [0.01, 0.01]
