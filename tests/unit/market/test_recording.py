from __future__ import annotations

import csv
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.values import OptionContract, Right, Timeframe
from engine.market.bars import BarBook
from engine.market.parquet import RecordingError
from engine.market.recording import RecordedMarket
from engine.sessions import new_york_calendar

CALENDAR = new_york_calendar()


def day_of(data: Path, name: str) -> RecordedMarket:
    return RecordedMarket(data / "option_day" / name, CALENDAR)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spy(strike: str, right: Right) -> OptionContract:
    return OptionContract(symbol="SPY", expiry=date(2023, 9, 1), right=right, strike=Decimal(strike))


def test_the_fills_of_the_reference_session_are_the_quotes_known_then(data: Path) -> None:
    text = (data / "option_day" / "SPY_20230803_reference_session.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    market = day_of(data, "SPY_20230803")
    seen = []
    for row in rows:
        contract = spy(f"{row['strike']}0", Right(row["right"]))
        for moment, side in ((row["entry_ts"], "ask"), (row["exit_ts"], "bid")):
            market.advance(datetime.fromisoformat(moment))
            quote = market.option(contract)
            assert quote is not None
            assert quote.at == datetime.fromisoformat(moment)
            seen.append(getattr(quote, side))
    assert seen == [Decimal(row[name]).quantize(Decimal("0.01")) for row in rows for name in ("entry_px", "exit_px")]


def test_an_opening_is_known_at_once_and_its_close_a_minute_later(data: Path) -> None:
    market, contract = day_of(data, "SPY_20230803"), spy("430.00", Right.CALL)
    market.advance(utc("2023-08-03T13:29:59.999"))
    assert market.option(contract) is None
    assert market.chain("SPY") is None
    market.advance(utc("2023-08-03T13:30:00"))
    opening = market.option(contract)
    assert opening is not None
    assert (opening.bid, opening.ask, opening.at) == (Decimal("21.19"), Decimal("24.19"), utc("2023-08-03T13:30"))
    assert (opening.bid_size, opening.ask_size) == (None, None), "a size is that of the bar's close"
    market.advance(utc("2023-08-03T13:30:59.999999"))
    assert market.option(contract) == opening
    market.advance(utc("2023-08-03T13:31:00"))
    later = market.option(contract)
    assert later is not None
    assert later.at == utc("2023-08-03T13:31")
    assert (later.bid_size, later.ask_size) == (20, 66), "the first bar's sizes, known at its end"


def test_at_the_end_of_a_minute_the_next_opening_is_newer_than_the_close(data: Path, tmp_path: Path) -> None:
    name = "SPY_20230803_option_quote_1m.parquet"
    table = pq.read_table(data / "option_day" / name)
    bids = [
        0.42 if (start, strike, right) == (utc("2023-08-03T14:01"), 470.0, "C") else bid
        for start, strike, right, bid in zip(
            *(table[column].to_pylist() for column in ("ts_utc", "strike", "right", "bid_o")), strict=True
        )
    ]
    pq.write_table(table.set_column(table.column_names.index("bid_o"), "bid_o", pa.array(bids)), tmp_path / name)
    market = RecordedMarket(tmp_path / "SPY_20230803", CALENDAR)
    market.advance(utc("2023-08-03T14:01"))
    quote = market.option(spy("470.00", Right.CALL))
    assert quote is not None
    assert quote.bid == Decimal("0.42")
    market.advance(utc("2023-08-03T14:02"))
    later = market.option(spy("470.00", Right.CALL))
    assert later is not None
    assert later.bid != Decimal("0.42")


def test_a_contract_without_a_bar_keeps_its_quote_and_ages(data: Path) -> None:
    market = day_of(data, "GOOG_20151224")
    market.advance(utc("2015-12-24T16:00"))
    chain = market.chain("GOOG")
    assert chain is not None
    ages = utc("2015-12-24T16:00").timestamp() - chain.at
    assert float(ages.min()) == 0
    assert float(ages.max()) > 65
    assert bool((ages >= 0).all())


def test_the_whole_chain_of_a_half_day_is_there(data: Path) -> None:
    market = day_of(data, "GOOG_20151224")
    market.advance(market.instants()[-1])
    chain = market.chain("GOOG")
    assert chain is not None
    assert len(chain) == 2192
    assert len(chain.expiries) == 12
    assert chain.expiries[0] == date(2015, 12, 24)
    assert bool((chain.open_interest == -1).all())
    trades = pq.read_table(data / "option_day" / "GOOG_20151224_option_trade_1m.parquet", columns=["volume"])
    assert int(chain.volume.sum()) == sum(trades["volume"].to_pylist())


def test_a_null_bid_is_no_bid_and_its_size_nothing(data: Path) -> None:
    market = day_of(data, "GOOG_20151224")
    market.advance(utc("2015-12-24T15:00"))
    chain = market.chain("GOOG")
    assert chain is not None
    rows = np.flatnonzero(np.isnan(chain.bid))
    assert len(rows)
    assert bool((chain.bid_size[rows] == 0).all())
    quote = market.option(chain.contract(int(rows[0])))
    assert quote is not None
    assert (quote.bid, quote.bid_size) == (None, 0)


@pytest.mark.parametrize(
    ("name", "symbol", "before", "known_at", "close"),
    [
        ("GOOG_20151224", "GOOG", "2015-12-24T17:59:59", "2015-12-24T18:00", "748.40"),
        ("SPY_20230803", "SPY", "2023-08-03T19:59:59", "2023-08-03T20:00", "448.84"),
        ("SPX_20210104", "SPX", "2021-01-04T21:00:59", "2021-01-04T21:01", "3700.65"),
        ("SPXW_20210104", "SPXW", "2021-01-04T21:00:59", "2021-01-04T21:01", "3700.65"),
    ],
)
def test_the_official_close_is_known_when_the_session_is_over(
    data: Path, name: str, symbol: str, before: str, known_at: str, close: str
) -> None:
    market = day_of(data, name)
    assert market.official_close(symbol, market.day) is None
    market.advance(utc(before))
    assert market.official_close(symbol, market.day) is None
    market.advance(utc(known_at))
    assert market.official_close(symbol, market.day) == Decimal(close)
    assert market.official_close(symbol, market.day - timedelta(days=1)) is None
    market.advance(market.instants()[-1])
    assert market.official_close(symbol, market.day) == Decimal(close), "what trades later does not change it"


def test_an_index_stands_on_both_sides_of_its_quote(data: Path) -> None:
    market = day_of(data, "SPXW_20210104")
    assert market.underlying("SPXW") is None
    market.advance(utc("2021-01-04T14:30"))
    quote = market.underlying("SPXW")
    assert quote is not None
    assert quote == market.underlying("SPX")
    assert (quote.bid, quote.ask, quote.mid) == (Decimal("3764.61"),) * 3
    assert market.last("SPXW") == Decimal("3764.61")


def test_crossed_quotes_are_kept_as_they_are_and_are_not_two_sided(data: Path) -> None:
    market = day_of(data, "SPXW_20210106")
    crossed = set()
    for moment in market.instants():
        market.advance(moment)
        chain = market.chain("SPXW")
        assert chain is not None
        for row in np.flatnonzero((chain.bid > chain.ask) & (chain.at == moment.timestamp())).tolist():
            quote = market.option(chain.contract(row))
            assert quote is not None
            assert not quote.two_sided
            crossed.add((moment, chain.contract(row).osi))
    assert len(crossed) >= 1
    assert chain is not None
    assert chain.spot.mid is None, "no underlying was recorded that day"
    assert market.underlying("SPXW") is None
    assert market.official_close("SPXW", market.day) is None
    assert chain.style == "european"


def test_time_never_goes_back(data: Path) -> None:
    market = day_of(data, "SPY_20230803")
    market.advance(utc("2023-08-03T15:00"))
    market.advance(utc("2023-08-03T15:00"))
    with pytest.raises(ValueError, match="go back"):
        market.advance(utc("2023-08-03T14:59"))


def test_instants_are_every_start_and_every_end_once(data: Path) -> None:
    market = day_of(data, "TWX_20140605")
    instants = market.instants()
    assert max(Counter(instants).values()) == 1
    assert list(instants) == sorted(instants)
    starts = set()
    for path in (data / "option_day").glob("TWX_20140605*.parquet"):
        starts |= set(pq.read_table(path, columns=["ts_utc"])["ts_utc"].to_pylist())
    assert set(instants) == starts | {start + timedelta(minutes=1) for start in starts}


def test_bars_are_those_of_the_regular_session_that_have_closed(data: Path) -> None:
    market = day_of(data, "SPY_20230803")
    book = BarBook(CALENDAR, market)
    market.advance(utc("2023-08-03T13:29"))
    assert book.bars("SPY", Timeframe.M5, utc("2023-08-03T13:29")) == ()
    assert book.facts_for("SPY", Timeframe.M5, utc("2023-08-03T13:29")).vwap is None
    market.advance(utc("2023-08-03T13:35"))
    (first,) = book.bars("SPY", Timeframe.M5, utc("2023-08-03T13:35"))
    rows = pq.read_table(data / "option_day" / "SPY_20230803_underlying_trade_1m.parquet").to_pylist()
    five = [row for row in rows if utc("2023-08-03T13:30") <= row["ts_utc"] < utc("2023-08-03T13:35")]
    assert (first.start, first.end) == (utc("2023-08-03T13:30"), utc("2023-08-03T13:35"))
    assert (first.open, first.close) == (five[0]["open"], five[-1]["close"])
    assert (first.high, first.low) == (max(row["high"] for row in five), min(row["low"] for row in five))
    assert first.volume == sum(row["volume"] for row in five)
    facts = book.facts_for("SPY", Timeframe.M5, utc("2023-08-03T13:35"))
    value = sum((row["high"] + row["low"] + row["close"]) / 3 * row["volume"] for row in five)
    assert facts.vwap == pytest.approx(value / first.volume)
    assert facts.price == first.close
    assert facts.atr is None
    later = book.facts_for("SPY", Timeframe.M5, utc("2023-08-03T15:35"))
    assert later == facts, "nothing is known beyond the moment the recording was played to"


def test_an_unrecorded_symbol_has_no_bars(data: Path) -> None:
    market = day_of(data, "SPXW_20210106")
    market.advance(utc("2021-01-06T18:00"))
    facts = BarBook(CALENDAR, market, market).facts_for("SPXW", Timeframe.M3, utc("2021-01-06T18:00"))
    assert (facts.price, facts.atr, facts.vwap, facts.bias_4h) == (None, None, None, None)


def test_a_folder_of_one_day_holds_all_its_symbols(data: Path, tmp_path: Path) -> None:
    for name in ("SPX_20210104", "SPXW_20210104"):
        for path in (data / "option_day").glob(f"{name}_*.parquet"):
            shutil.copyfile(path, tmp_path / path.name)
    market = RecordedMarket(tmp_path, CALENDAR)
    assert tuple(market.symbols()) == ("SPX", "SPXW")
    market.advance(utc("2021-01-04T15:00"))
    assert market.underlying("SPX") is not None
    assert market.underlying("SPXW") == market.underlying("SPX")
    chains = [market.chain(symbol) for symbol in ("SPX", "SPXW")]
    assert [len(chain) for chain in chains if chain] == [6, 12]
    assert market.find("SPXW210104C03700000") is not None


def test_files_without_a_prefix_are_named_by_their_root(data: Path, tmp_path: Path) -> None:
    for path in (data / "option_day").glob("SPY_20230803_*.parquet"):
        shutil.copyfile(path, tmp_path / path.name.removeprefix("SPY_20230803_"))
    market = RecordedMarket(tmp_path, CALENDAR)
    market.advance(utc("2023-08-03T15:00"))
    assert tuple(market.symbols()) == ("SPY",)
    assert market.underlying("SPY") is not None


def test_quotes_alone_give_the_close_as_their_mid(data: Path, tmp_path: Path) -> None:
    for kind in ("option_quote_1m", "underlying_quote_1m"):
        shutil.copyfile(
            data / "option_day" / f"GOOG_20151224_{kind}.parquet", tmp_path / f"GOOG_20151224_{kind}.parquet"
        )
    market = RecordedMarket(tmp_path, CALENDAR)
    market.advance(utc("2015-12-24T18:00"))
    assert market.official_close("GOOG", market.day) == Decimal("748.24")
    assert market.last("GOOG") is None
    chain = market.chain("GOOG")
    assert chain is not None
    assert bool((chain.volume == -1).all()), "nobody told us what traded"


def test_several_days_in_one_folder_must_be_named(data: Path) -> None:
    with pytest.raises(RecordingError, match=r"more than one day \(2014-06-05, 2015-12-24, .*SPY_20230803"):
        RecordedMarket(data / "option_day", CALENDAR)


def test_a_day_without_option_quotes_is_refused(data: Path, tmp_path: Path) -> None:
    name = "SPY_20230803_underlying_trade_1m.parquet"
    shutil.copyfile(data / "option_day" / name, tmp_path / name)
    with pytest.raises(RecordingError, match=rf"no option_quote_1m file beside {name}"):
        RecordedMarket(tmp_path / "SPY_20230803", CALENDAR)


def test_an_underlying_without_trades_has_quotes_and_no_bars(data: Path, tmp_path: Path) -> None:
    for kind in ("option_quote_1m", "underlying_quote_1m"):
        shutil.copyfile(data / "option_day" / f"TWX_20140605_{kind}.parquet", tmp_path / f"TWX_20140605_{kind}.parquet")
    market = RecordedMarket(tmp_path, CALENDAR)
    market.advance(utc("2014-06-05T18:00"))
    quote = market.underlying("TWX")
    assert quote is not None
    assert quote.two_sided
    facts = BarBook(CALENDAR, market, market).facts_for("TWX", Timeframe.M3, utc("2014-06-05T18:00"))
    assert (facts.price, facts.vwap) == (float(quote.mid or 0), None)


def test_the_index_is_found_beside_the_options_on_it_or_not_at_all(data: Path, tmp_path: Path) -> None:
    name = "SPXW_20210104_option_quote_1m.parquet"
    shutil.copyfile(data / "option_day" / name, tmp_path / name)
    market = RecordedMarket(tmp_path, CALENDAR)
    market.advance(utc("2021-01-04T18:00"))
    assert market.underlying("SPXW") is None
    assert tuple(market.symbols()) == ("SPXW",)
