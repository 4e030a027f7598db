from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np

from engine.domain.values import OptionContract, Quote, Right
from engine.market.quotes import MarketBook
from engine.market.table import moment_of, price_of, seconds_of

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def contract(strike: str, right: Right = Right.CALL, expiry: date = date(2026, 11, 27)) -> OptionContract:
    return OptionContract(symbol="ABC", expiry=expiry, right=right, strike=Decimal(strike))


def quote(
    bid: str | None, ask: str | None, seconds: float = 0, bid_size: int | None = None, ask_size: int | None = None
) -> Quote:
    return Quote(
        bid=None if bid is None else Decimal(bid),
        ask=None if ask is None else Decimal(ask),
        at=NOW + timedelta(seconds=seconds),
        source="feed",
        bid_size=bid_size,
        ask_size=ask_size,
    )


def book() -> MarketBook:
    return MarketBook("feed", 5.0)


def test_the_newest_quote_wins_and_a_late_one_is_dropped() -> None:
    market = book()
    for one in (quote("1.00", "1.10", 2), quote("0.90", "1.00", 1), quote("1.01", "1.11", 2)):
        market.put_underlying("ABC", one)
        market.put_option(contract("10.00"), one)
    assert market.underlying("ABC") == quote("1.01", "1.11", 2)
    assert market.option(contract("10.00")) == quote("1.01", "1.11", 2)


def test_a_side_that_went_away_is_not_kept_from_before() -> None:
    market = book()
    market.put_option(contract("10.00"), quote("1.00", "1.10", 0, bid_size=4, ask_size=5))
    market.put_option(contract("10.00"), quote(None, "1.10", 1, ask_size=6))
    held = market.option(contract("10.00"))
    assert held == quote(None, "1.10", 1, ask_size=6)
    chain = market.chain("ABC")
    assert chain is not None
    assert np.isnan(chain.bid[0])
    assert int(chain.bid_size[0]) == -1


def test_a_new_contract_finds_its_place_and_the_others_keep_their_quotes() -> None:
    market = book()
    market.put_option(contract("11.00"), quote("0.50", "0.60", 1))
    market.put_activity(contract("11.00"), open_interest=70, volume=8)
    market.put_option(contract("10.00", Right.PUT), quote("0.20", "0.30", 2))
    market.put_contracts([contract("10.00"), contract("11.00"), contract("9.00", expiry=date(2026, 11, 25))])
    market.put_activity(contract("11.00"), volume=9)
    market.put_activity(contract("11.00"), open_interest=71)
    chain = market.chain("ABC")
    assert chain is not None
    assert [chain.contract(row) for row in range(len(chain))] == [contract("10.00", Right.PUT), contract("11.00")]
    assert chain.quote(1) == quote("0.50", "0.60", 1)
    assert (int(chain.open_interest[1]), int(chain.volume[1])) == (71, 9)
    assert chain.known_at == NOW + timedelta(seconds=2)
    assert market.find(contract("9.00", expiry=date(2026, 11, 25)).osi) is not None
    assert market.option(contract("10.00")) is None


def test_a_chain_without_an_underlying_has_a_spot_without_sides() -> None:
    market = book()
    market.put_contracts([contract("10.00")])
    assert market.chain("ABC") is None
    market.put_option(contract("10.00"), quote("1.00", "1.10", 1))
    chain = market.chain("ABC")
    assert chain is not None
    assert chain.spot == Quote(bid=None, ask=None, at=NOW + timedelta(seconds=1), source="feed")
    market.put_underlying("ABC", quote("9.99", "10.01", 3))
    later = market.chain("ABC")
    assert later is not None
    assert later.known_at == NOW + timedelta(seconds=3)


def test_symbols_are_all_that_were_ever_pushed() -> None:
    market = book()
    assert market.symbols() == ()
    market.put_underlying("XYZ", quote("1.00", "1.01"))
    market.put_option(contract("10.00"), quote("1.00", "1.10"))
    assert market.symbols() == ("ABC", "XYZ")


def test_prices_keep_their_cents_and_what_lies_between() -> None:
    assert [str(price_of(price)) for price in (4.88, 0.1, 449.555, 1e5, 0.0)] == [
        "4.88",
        "0.10",
        "449.555",
        "100000.00",
        "0.00",
    ]
    assert price_of(float("nan")) is None


def test_moments_survive_the_way_through_seconds() -> None:
    moment = datetime(2026, 11, 20, 15, 0, 0, 123456, tzinfo=UTC)
    assert moment_of(seconds_of(moment)) == moment
