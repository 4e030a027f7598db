from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from engine.clock import SetClock
from engine.domain.values import CENT, OptionContract, Right, Timeframe
from engine.market.bars import BarBook
from engine.market.simulator import SimulatedMarket
from engine.market.universe import traits
from engine.sessions import new_york_calendar
from engine.settings import Settings, with_overrides

CALENDAR = new_york_calendar()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(text: str, **overrides: str) -> tuple[SimulatedMarket, SetClock]:
    clock = SetClock(utc(text))
    chosen = with_overrides(Settings(), {f"market.{name}": value for name, value in overrides.items()})
    return SimulatedMarket(CALENDAR, clock, chosen), clock


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-20T14:30", "2026-11-20T14:30"),
        ("2026-11-20T18:00", "2026-11-20T18:00"),
        ("2026-11-20T21:15:59.999", "2026-11-20T21:15:59.999"),
        ("2026-11-20T21:16", "2026-11-23T14:30"),
        ("2026-11-20T14:29:59", "2026-11-20T14:30"),
        ("2026-11-27T18:15", "2026-11-27T18:15"),
        ("2026-11-27T18:16", "2026-11-30T14:30"),
        ("2026-11-26T16:00", "2026-11-27T14:30"),
        ("2026-11-22T03:00", "2026-11-23T14:30"),
    ],
)
def test_the_closed_hours_are_skipped(moment: str, expected: str) -> None:
    market, _ = at("2026-11-20T15:00")
    assert market.skip(utc(moment)) == utc(expected)
    assert market.skip(utc(expected)) == utc(expected)


def test_quotes_stand_for_one_interval_and_say_when_they_became_known() -> None:
    market, clock = at("2026-11-20T15:00:00.100")
    first = market.underlying("SPY")
    assert first is not None
    assert first.at == utc("2026-11-20T15:00:00")
    clock.set(utc("2026-11-20T15:00:00.249999"))
    assert market.underlying("SPY") == first
    clock.set(utc("2026-11-20T15:00:00.250"))
    second = market.underlying("SPY")
    assert second is not None
    assert second.at == utc("2026-11-20T15:00:00.25")


def test_the_interval_is_a_setting() -> None:
    market, _ = at("2026-11-20T15:00:07.9", interval="2")
    quote = market.underlying("SPY")
    assert quote is not None
    assert quote.at == utc("2026-11-20T15:00:06")


def test_after_hours_the_last_quote_of_the_day_stands_and_ages() -> None:
    market, clock = at("2026-11-20T21:15")
    last = market.underlying("SPY")
    assert last is not None
    for later in ("2026-11-20T23:00", "2026-11-22T12:00", "2026-11-23T14:29:59"):
        clock.set(utc(later))
        assert market.underlying("SPY") == last
    clock.set(utc("2026-11-23T14:30"))
    opening = market.underlying("SPY")
    assert opening is not None
    assert opening.at == utc("2026-11-23T14:30")


@pytest.mark.parametrize(("symbol", "today"), [("SPY", True), ("QQQ", True), ("IWM", False)])
def test_tuesday_is_an_expiry_of_spy_and_qqq(symbol: str, today: bool) -> None:
    market, _ = at("2026-11-17T15:00")
    chain = market.chain(symbol)
    assert chain is not None
    assert (chain.expiries[0] == date(2026, 11, 17)) is today


def test_the_chain_is_made_once_per_instant() -> None:
    market, clock = at("2026-11-20T15:00:00")
    first = market.chain("SPY")
    assert market.chain("SPY") is first
    clock.set(utc("2026-11-20T15:00:00.25"))
    assert market.chain("SPY") is not first


def test_at_the_close_an_expiring_option_is_worth_its_intrinsic_value_and_far_wings_find_no_bid() -> None:
    market, _ = at("2026-11-20T21:00")
    chain, close = market.chain("SPY"), market.official_close("SPY", date(2026, 11, 20))
    assert chain is not None
    assert close is not None
    today = chain.expiry == 0
    inside = np.maximum(np.where(chain.is_call, 1, -1) * (float(close) - chain.strike), 0)
    bid = np.nan_to_num(chain.bid)
    assert bool((bid[today] <= inside[today] + 1e-9).all())
    assert bool((chain.ask[today] >= inside[today] - 0.01).all())
    nothing = today & (inside == 0)
    assert bool(np.isnan(chain.bid[nothing]).all())
    assert bool((chain.ask[nothing] <= 0.02).all())


def test_a_half_day_settles_at_one() -> None:
    market, clock = at("2026-11-27T17:59:59.9")
    assert market.official_close("SPY", date(2026, 11, 27)) is None
    chain = market.chain("SPY")
    assert chain is not None
    assert chain.expiries[0] == date(2026, 11, 27)
    clock.set(utc("2026-11-27T18:00"))
    close, last = market.official_close("SPY", date(2026, 11, 27)), market.last("SPY")
    assert close == last is not None
    session = CALENDAR.session(date(2026, 11, 27))
    assert session is not None
    bars = market.minutes("SPY", session, utc("2026-11-27T22:00"))
    assert bars is not None
    assert len(bars) == 210
    assert Decimal(str(float(bars.close[-1]))).quantize(CENT) == close
    clock.set(utc("2026-11-27T20:00"))
    quote = market.underlying("SPY")
    assert quote is not None
    assert quote.at == utc("2026-11-27T18:15")


def test_an_expired_contract_is_gone_the_next_session() -> None:
    market, clock = at("2026-11-20T20:59")
    chain = market.chain("SPY")
    assert chain is not None
    contract = chain.contract(20)
    assert contract.expiry == date(2026, 11, 20)
    clock.set(utc("2026-11-20T21:14"))
    assert market.option(contract) is not None
    clock.set(utc("2026-11-23T14:30"))
    assert market.option(contract) is None
    assert market.find(contract.osi) is None


def test_a_contract_beyond_the_shown_strikes_is_still_quoted() -> None:
    market, _ = at("2026-11-20T15:00")
    chain = market.chain("SPY")
    assert chain is not None
    far = OptionContract(symbol="SPY", expiry=date(2026, 11, 20), right=Right.CALL, strike=Decimal("600.00"))
    assert far.osi not in {chain.contract(row).osi for row in range(len(chain))}
    quote = market.option(far)
    assert quote is not None
    assert quote.bid is not None
    assert chain.spot.mid is not None
    assert abs(quote.bid - (chain.spot.mid - 600)) < 2
    assert market.find(far.osi) == far
    assert market.quotes([far]) == {far.osi: quote}


@pytest.mark.parametrize(
    "change", [{"multiplier": 10}, {"strike": Decimal("600.37")}, {"symbol": "TSLA"}, {"expiry": date(2026, 11, 21)}]
)
def test_what_is_not_listed_is_not_quoted(change: dict[str, object]) -> None:
    market, _ = at("2026-11-20T15:00")
    fields = {"symbol": "SPY", "expiry": date(2026, 11, 20), "right": Right.CALL, "strike": Decimal("660.00")} | change
    contract = OptionContract(**fields)  # type: ignore[arg-type]
    assert market.option(contract) is None
    assert market.quotes([contract]) == {}


def test_near_the_money_it_can_be_traded() -> None:
    market, clock = at("2026-11-20T15:30")
    for minutes in (0, 90, 200):
        clock.set(utc("2026-11-20T15:30") + timedelta(minutes=minutes))
        for symbol, widest in (("SPY", 0.06), ("QQQ", 0.06), ("IWM", 0.08)):
            chain = market.chain(symbol)
            assert chain is not None
            assert chain.spot.mid is not None
            near = (np.abs(chain.strike / float(chain.spot.mid) - 1) < 0.004) & (chain.bid >= 0.2)
            spread = chain.ask[near] - chain.bid[near]
            assert near.sum() >= 8
            assert bool((spread <= np.maximum(0.02, widest * (chain.ask + chain.bid)[near] / 2)).all())
            assert bool((chain.open_interest[near] >= 100).mean() > 0.9)


def test_more_symbols_can_be_watched_and_nonsense_cannot() -> None:
    market, _ = at("2026-11-20T15:00")
    assert tuple(market.symbols()) == ("SPY", "QQQ", "IWM")
    assert market.underlying("NVDA") is None
    assert market.last("NVDA") is None
    market.watch("NVDA")
    assert market.underlying("NVDA") is not None
    assert market.chain("NVDA") is not None
    for nonsense in ("", "ES1!", "spy", "TOOLONGNAME"):
        with pytest.raises(ValueError, match="not a ticker"):
            market.watch(nonsense)
        with pytest.raises(ValueError, match="not a ticker"):
            traits(nonsense)


def test_fifty_made_up_symbols_are_fifty_different_stocks() -> None:
    made = [traits(f"S{number:02d}") for number in range(1, 51)]
    assert len({(one.price, one.vol) for one in made}) == 50
    assert all(20 <= one.price <= 600 and 0.15 < one.vol < 0.6 for one in made)


def test_bars_know_nothing_of_the_minute_in_work_nor_of_another_symbol() -> None:
    market, clock = at("2026-11-20T14:30:59")
    session = CALENDAR.session(date(2026, 11, 20))
    assert session is not None
    early = market.minutes("SPY", session, utc("2026-11-20T20:00"))
    assert early is not None
    assert len(early) == 0
    clock.set(utc("2026-11-20T14:31"))
    one = market.minutes("SPY", session, utc("2026-11-20T20:00"))
    assert one is not None
    assert len(one) == 1
    assert market.minutes("NVDA", session, utc("2026-11-20T20:00")) is None
    tomorrow = CALENDAR.next_session(session.day)
    nothing = market.minutes("SPY", tomorrow, tomorrow.close)
    assert nothing is not None
    assert len(nothing) == 0


def test_the_books_facts_do_not_depend_on_when_it_was_first_asked() -> None:
    late, clock = at("2026-11-20T17:00:01")
    early, walking = at("2026-11-19T15:00")
    fresh, walked = BarBook(CALENDAR, late, late), BarBook(CALENDAR, early, early)
    for moment in ("2026-11-19T15:00", "2026-11-20T14:30", "2026-11-20T15:17:30", "2026-11-20T17:00:01"):
        walking.set(utc(moment))
        walked.facts_for("SPY", Timeframe.M5, utc(moment))
    now = clock.now()
    for timeframe in Timeframe:
        facts = fresh.facts_for("SPY", timeframe, now)
        assert facts == walked.facts_for("SPY", timeframe, now)
        assert None not in (facts.price, facts.atr, facts.vwap, facts.volume_vs_avg, facts.trend_strength)
        assert None not in (facts.bias_4h, facts.bias_1h)
        assert fresh.bars("SPY", timeframe, now) == walked.bars("SPY", timeframe, now)
