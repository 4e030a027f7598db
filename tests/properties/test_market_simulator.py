"""The simulated market under any seed, symbol and moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.chain import Chain
from engine.market.paths import GRID, PER_MINUTE, Paths
from engine.market.simulator import SimulatedMarket
from engine.market.universe import traits
from engine.sessions import Session, new_york_calendar
from engine.settings import Settings, with_overrides

CALENDAR = new_york_calendar()
SYMBOLS = ("SPY", "QQQ", "IWM", "S01", "S17", "AAPL")
DAYS = [date(2026, 1, 2) + timedelta(days=step) for step in range(600)]
SESSIONS = [session for day in DAYS if (session := CALENDAR.session(day)) is not None]

seeds = st.integers(0, 2**31)
symbols = st.sampled_from(SYMBOLS)
sessions = st.sampled_from(SESSIONS)
fractions = st.floats(0, 1)


class AnyTime:
    """A clock that may be turned back, which only a test may do."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    def wall(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


def market_at(seed: int, moment: datetime) -> tuple[SimulatedMarket, AnyTime]:
    clock = AnyTime(moment)
    chosen = with_overrides(Settings(), {"market.seed": str(seed), "market.symbols": ",".join(SYMBOLS)})
    return SimulatedMarket(CALENDAR, clock, chosen), clock


def image(chain: Chain | None) -> tuple[object, ...]:
    assert chain is not None
    columns = (chain.strike, chain.bid, chain.ask, chain.bid_size, chain.ask_size, chain.open_interest, chain.volume)
    return (chain.spot, chain.known_at, chain.expiries, *(column.tobytes() for column in columns))


@given(seed=seeds, asked=st.lists(st.tuples(symbols, st.integers(0, 40), fractions), min_size=2, max_size=5))
@settings(max_examples=20, deadline=None)
def test_the_market_is_the_same_whatever_was_asked_before(seed: int, asked: list[tuple[str, int, float]]) -> None:
    moments = [
        (symbol, session.open + fraction * (session.options_close - session.open))
        for symbol, index, fraction in asked
        for session in (SESSIONS[index],)
    ]
    one, clock = market_at(seed, moments[0][1])
    first = {}
    for symbol, moment in moments:
        clock.moment = moment
        first[symbol, moment] = image(one.chain(symbol))
    for symbol, moment in sorted(moments, key=lambda pair: pair[1], reverse=True):
        fresh, _ = market_at(seed, moment)
        assert image(fresh.chain(symbol)) == first[symbol, moment]


@given(seed=seeds, symbol=symbols, session=sessions, fraction=fractions)
@settings(max_examples=60, deadline=None)
def test_no_quote_gives_money_away(seed: int, symbol: str, session: Session, fraction: float) -> None:
    moment = session.open + fraction * (session.options_close - session.open)
    market, _ = market_at(seed, moment)
    chain = market.chain(symbol)
    assert chain is not None
    assert chain.spot.mid is not None
    spot = float(chain.spot.mid)
    sign = np.where(chain.is_call, 1.0, -1.0)
    assert bool((chain.ask >= sign * (spot - chain.strike) - 0.03).all()), "an ask below intrinsic value"
    two_sided = ~np.isnan(chain.bid)
    assert bool((chain.bid[two_sided] < chain.ask[two_sided]).all())
    assert bool((chain.bid[two_sided] >= 0.01).all())
    assert bool((chain.ask >= 0.01).all())
    assert not np.isnan(chain.ask).any()
    assert bool((chain.ask_size > 0).all())
    assert bool((chain.bid_size[two_sided] > 0).all())
    assert bool((chain.bid_size[~two_sided] == 0).all())
    assert bool((chain.open_interest > 0).all())
    assert bool((chain.volume >= 0).all())
    ticks = np.concatenate((chain.bid[two_sided], chain.ask)) * 100
    assert np.allclose(ticks, np.round(ticks), atol=1e-6)
    for expiry in range(len(chain.expiries)):
        for call in (True, False):
            rows = (chain.expiry == expiry) & (chain.is_call == call)
            strikes = chain.strike[rows]
            assert bool((np.diff(strikes) > 0).all())
            middle = (np.where(two_sided, chain.bid, 0.0) + chain.ask)[rows] / 2
            steps = np.diff(middle) * (-1 if call else 1)
            assert bool((steps >= -0.0101).all()), "a mid that goes the wrong way with the strike"
            assert bool((steps <= np.diff(strikes) * 1.06 + 0.0101).all()), "a vertical worth more than its width"


@given(seed=seeds, symbol=symbols, session=sessions)
@settings(max_examples=30, deadline=None)
def test_the_spot_never_jumps_inside_a_session(seed: int, symbol: str, session: Session) -> None:
    path = Paths(seed).path(symbol, session.day)
    assert bool((path > 0).all())
    moves = np.abs(np.diff(np.log(path)))
    # A quarter second is worth about 1/97200 of the day's variance, six times that at the open, √3 deviations at most.
    assert float(moves.max()) < traits(symbol).vol * 0.0012


@given(seed=seeds, symbol=symbols, session=sessions, minute=st.integers(0, 209))
@settings(max_examples=30, deadline=None)
def test_minute_bars_hold_every_quote_of_their_minute(seed: int, symbol: str, session: Session, minute: int) -> None:
    market, clock = market_at(seed, session.close)
    bars = market.minutes(symbol, session, session.close)
    assert bars is not None
    start = session.open + timedelta(minutes=minute)
    assert int(bars.start[minute]) == round(start.timestamp())
    for step in range(0, PER_MINUTE, 30):
        clock.moment = start + timedelta(seconds=step * GRID)
        last = market.last(symbol)
        assert last is not None
        assert bars.low[minute] - 1e-9 <= float(last) <= bars.high[minute] + 1e-9
    assert bars.low[minute] <= min(bars.open[minute], bars.close[minute])
    assert bars.high[minute] >= max(bars.open[minute], bars.close[minute])
    assert int(bars.volume[minute]) > 0


@given(seed=seeds, symbol=symbols, session=sessions, fraction=fractions, rows=st.lists(st.integers(0, 400), max_size=6))
@settings(max_examples=30, deadline=None)
def test_one_contract_is_quoted_as_in_the_chain(
    seed: int, symbol: str, session: Session, fraction: float, rows: list[int]
) -> None:
    moment = session.open + fraction * (session.options_close - session.open)
    market, _ = market_at(seed, moment)
    chain = market.chain(symbol)
    assert chain is not None
    contracts = [chain.contract(row) for row in rows]
    fresh, _ = market_at(seed, moment)
    many, _ = market_at(seed, moment)
    singly = {one.osi: fresh.option(one) for one in contracts}
    assert singly == {one.osi: chain.quote(row) for one, row in zip(contracts, rows, strict=True)}
    assert many.quotes(contracts) == singly


def test_held_contracts_stay_quoted_until_they_expire() -> None:
    market, clock = market_at(7, datetime(2026, 11, 20, 15, 0, tzinfo=UTC))
    chain = market.chain("SPY")
    assert chain is not None
    held = [chain.contract(row) for row in range(0, len(chain), 9)]
    day = date(2026, 11, 20)
    while day < date(2027, 6, 1):
        session = CALENDAR.next_session(day)
        day = session.day
        clock.moment = session.open + timedelta(hours=2)
        for contract in held:
            quote = market.option(contract)
            assert (quote is not None) == (contract.expiry >= day), f"{contract.osi} on {day}"
