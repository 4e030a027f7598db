"""What every market behind the Quotes port owes its callers, whoever the market is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from engine.clock import SetClock
from engine.domain.values import CENT, OptionContract, Quote, Right
from engine.market.quotes import MarketBook, ticks
from engine.market.recording import RecordedMarket
from engine.market.simulator import SimulatedMarket
from engine.ports import Quotes
from engine.sessions import new_york_calendar
from engine.settings import Settings

CALENDAR = new_york_calendar()
UNHEARD_OF = OptionContract(symbol="ZZZZ", expiry=date(2026, 12, 18), right=Right.CALL, strike=Decimal("10.00"))


@dataclass
class Case:
    market: Quotes
    symbol: str
    moment: datetime
    close_day: date | None
    after_close: Callable[[], None]


def simulated(data: Path) -> Case:
    moment = datetime(2026, 11, 20, 15, 7, 3, tzinfo=UTC)
    clock = SetClock(moment)
    market = SimulatedMarket(CALENDAR, clock, Settings())
    return Case(market, "SPY", moment, date(2026, 11, 20), lambda: clock.set(moment + timedelta(hours=7)))


def recorded(data: Path) -> Case:
    moment = datetime(2015, 12, 24, 15, 7, 3, tzinfo=UTC)
    market = RecordedMarket(data / "option_day" / "GOOG_20151224", CALENDAR)
    market.advance(moment)
    return Case(market, "GOOG", moment, market.day, lambda: market.advance(moment + timedelta(hours=6)))


def pushed(data: Path) -> Case:
    moment = datetime(2026, 11, 20, 15, 7, 3, tzinfo=UTC)
    market = MarketBook("pushed", 5.0)
    spot = Quote(bid=Decimal("99.99"), ask=Decimal("100.01"), at=moment, source="pushed", bid_size=3, ask_size=4)
    market.put_underlying("ABC", spot)
    for strike in (95, 100, 105):
        for right in Right:
            contract = OptionContract(
                symbol="ABC", expiry=date(2026, 11, 27), right=right, strike=Decimal(strike).quantize(CENT)
            )
            quote = replace_bid(strike, right, moment)
            market.put_option(contract, quote)
    day = date(2026, 11, 20)
    return Case(market, "ABC", moment, day, lambda: market.put_close("ABC", day, Decimal("100.50")))


def replace_bid(strike: int, right: Right, at: datetime) -> Quote:
    bid = None if (strike, right) == (105, Right.CALL) else Decimal("1.10")
    return Quote(bid=bid, ask=Decimal("1.15"), at=at, bid_size=None if bid is None else 5, ask_size=6, source="pushed")


MARKETS = MappingProxyType({"simulated": simulated, "recorded": recorded, "pushed": pushed})


@pytest.fixture(params=MARKETS)
def case(request: pytest.FixtureRequest, data: Path) -> Case:
    return MARKETS[request.param](data)


def test_it_names_its_source_and_how_old_its_quotes_may_be(case: Case) -> None:
    quote = case.market.underlying(case.symbol)
    chain = case.market.chain(case.symbol)
    assert quote is not None
    assert chain is not None
    assert quote.source == chain.source == case.market.source
    assert case.market.max_age > 0


def test_what_it_lists_it_quotes(case: Case) -> None:
    assert case.symbol in case.market.symbols()
    quote = case.market.underlying(case.symbol)
    assert quote is not None
    assert quote.two_sided
    assert quote.at <= case.moment


def test_what_it_does_not_know_is_none_and_never_made_up(case: Case) -> None:
    market = case.market
    assert market.underlying("ZZZZ") is None
    assert market.chain("ZZZZ") is None
    assert market.option(UNHEARD_OF) is None
    assert market.find(UNHEARD_OF.osi) is None
    assert market.find("nonsense") is None
    assert market.official_close("ZZZZ", date(2026, 11, 20)) is None
    chain = market.chain(case.symbol)
    assert chain is not None
    never = replace_contract(chain.contract(0), strike=Decimal("0.07"))
    assert market.option(never) is None


def replace_contract(contract: OptionContract, *, strike: Decimal) -> OptionContract:
    return OptionContract(symbol=contract.symbol, expiry=contract.expiry, right=contract.right, strike=strike)


def test_every_row_of_the_chain_is_the_quote_of_its_contract(case: Case) -> None:
    chain = case.market.chain(case.symbol)
    assert chain is not None
    assert len(chain) > 5
    for row in range(0, len(chain), max(len(chain) // 40, 1)):
        contract = chain.contract(row)
        assert case.market.find(contract.osi) == contract
        assert case.market.option(contract) == chain.quote(row)


def test_the_chain_knows_nothing_from_after_its_own_moment(case: Case) -> None:
    chain = case.market.chain(case.symbol)
    assert chain is not None
    known = chain.known_at.timestamp()
    assert chain.known_at <= case.moment
    assert bool((chain.at <= known).all())
    assert chain.spot.at <= chain.known_at


def test_the_chains_arrays_agree_in_length_and_the_expiries_are_sorted(case: Case) -> None:
    chain = case.market.chain(case.symbol)
    assert chain is not None
    columns = (chain.expiry, chain.is_call, chain.bid, chain.ask, chain.bid_size, chain.ask_size, chain.at)
    assert {len(column) for column in (*columns, chain.open_interest, chain.volume)} == {len(chain)}
    assert list(chain.expiries) == sorted(chain.expiries)


def test_a_side_without_a_price_stays_without_one(case: Case) -> None:
    chain = case.market.chain(case.symbol)
    assert chain is not None
    empty = np.flatnonzero(np.isnan(chain.bid))
    assert len(empty)
    quote = case.market.option(chain.contract(int(empty[0])))
    assert quote is not None
    assert quote.bid is None
    assert not quote.two_sided
    assert quote.mid is None


def test_a_snapshot_does_not_change_after_it_was_given(case: Case) -> None:
    before = case.market.chain(case.symbol)
    assert before is not None
    copy = replace(before, bid=before.bid.copy(), ask=before.ask.copy(), at=before.at.copy())
    case.after_close()
    if isinstance(case.market, MarketBook):
        case.market.put_option(before.contract(0), replace_bid(95, Right.CALL, case.moment + timedelta(seconds=1)))
    case.market.chain(case.symbol)
    for name in ("bid", "ask", "at"):
        assert np.array_equal(getattr(before, name), getattr(copy, name), equal_nan=True)


def test_the_official_close_is_unknown_until_it_is_known(case: Case) -> None:
    assert case.close_day is not None
    assert case.market.official_close(case.symbol, case.close_day) is None
    case.after_close()
    close = case.market.official_close(case.symbol, case.close_day)
    assert close is not None
    assert close > 0
    assert case.market.official_close(case.symbol, date(2026, 11, 22)) is None


def test_ticks_are_what_became_known_after_a_moment(case: Case) -> None:
    chain = case.market.chain(case.symbol)
    quote = case.market.underlying(case.symbol)
    assert chain is not None
    assert quote is not None
    row = int(np.argmax(chain.at))
    contract = chain.contract(row)
    every = ticks(case.market, [case.symbol, "ZZZZ"], [contract, UNHEARD_OF])
    assert every.underlyings == {case.symbol: quote}
    assert every.options == {contract.osi: chain.quote(row)}
    before = ticks(case.market, [case.symbol], [contract], chain.known_at - timedelta(minutes=2))
    assert before == every
    assert not ticks(case.market, [case.symbol], [contract], chain.known_at)
