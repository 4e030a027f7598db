from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.domain.signals import ExitNotice, Signal
from engine.domain.values import Bias, Code, Direction, MarketSession, Quality, Timeframe, Weekday
from tests.fakes.doors import MOMENT
from tests.unit.intake.helpers import GivenBars, read, short

LONG, SHORT = Direction.LONG, Direction.SHORT


def signal(body: dict[str, Any], **options: Any) -> Signal:
    heard = read(body, **options)
    assert isinstance(heard.value, Signal), heard.refusal
    return heard.value


def notice(body: dict[str, Any]) -> ExitNotice:
    heard = read(body)
    assert isinstance(heard.value, ExitNotice), heard.refusal
    assert heard.kind == "exit"
    return heard.value


def refusal(body: dict[str, Any], **options: Any) -> tuple[str, str, int]:
    heard = read(body, **options)
    assert heard.refusal is not None, heard.value
    return heard.refusal.code, heard.refusal.path, heard.status


def test_a_short_alert_is_completed_by_the_table_and_names_all_it_did_not_send() -> None:
    bars = GivenBars(
        price=661.0, atr=1.5, vwap=659.0, volume_vs_avg=1.3, trend_strength=72.0, bias_4h=Bias.LONG, bias_1h=Bias.SHORT
    )
    assert signal(short(), bars=bars) == Signal(
        symbol="SPY",
        direction=LONG,
        timeframe=Timeframe.M5,
        quality=Quality.MEDIUM,
        ai_score=0.0,
        bar_close=MOMENT,
        price=660.0,
        stop_loss=658.5,
        target_1=663.0,
        target_2=665.25,
        rr_ratio_t1=2.0,
        recommended_contracts=1,
        volume_vs_avg=1.3,
        trend_strength=72.0,
        bias_4h=Bias.LONG,
        bias_1h=Bias.SHORT,
        session=MarketSession.OPEN,
        weekday=Weekday.FRIDAY,
        atr=1.5,
        vwap=659.0,
        assumed=(
            "atr", "stop_loss", "target_1", "target_2", "rr_ratio_t1", "quality", "session", "weekday", "bias_4h",
            "bias_1h", "vwap", "ai_score", "recommended_contracts", "volume_vs_avg", "trend_strength",
        ),
    )  # fmt: skip


def test_without_bars_trend_and_volume_are_zero_biases_neutral_and_the_stop_a_share_of_the_price() -> None:
    found = signal(short(interval="240", time="2026-11-20T11:00:00Z"))
    assert (found.trend_strength, found.volume_vs_avg) == (0.0, 0.0)
    assert (found.bias_4h, found.bias_1h) == (Bias.NEUTRAL, Bias.NEUTRAL)
    assert (found.atr, found.vwap) == (None, None)
    assert found.stop_loss == pytest.approx(660 - 6.6)
    assert (found.target_1, found.target_2) == (pytest.approx(660 + 13.2), pytest.approx(660 + 23.1))
    assert "atr_by_price" in found.assumed


def test_a_short_signal_mirrors_stop_and_targets() -> None:
    found = signal(short(action="sell"), bars=GivenBars(atr=2.0))
    assert (found.direction, found.stop_loss, found.target_1, found.target_2) == (SHORT, 662.0, 656.0, 653.0)


@pytest.mark.parametrize("atr", [0.0, -1.0, 400.0])
def test_an_impossible_atr_of_ours_makes_no_stop(atr: float) -> None:
    found = signal(short(), bars=GivenBars(atr=atr))
    assert found.atr is None
    assert "atr_by_price" in found.assumed


def test_the_price_comes_from_our_bars_where_none_was_sent() -> None:
    found = signal(short(price=None), bars=GivenBars(price=650.0))
    assert found.price == 650.0
    assert "price" in found.assumed


def test_no_price_at_all_is_refused() -> None:
    assert refusal(short(price=None)) == (Code.BAD_FIELD, "$.price", 400)


def test_what_was_sent_counts_and_is_not_named() -> None:
    found = signal(
        short(
            sl="656", tp1=668, tp2=674.0, quality="high", aiScore=7.5, recommended_contracts=3, marketSession="MIDDAY",
            day_of_week="MONDAY", vwap=659.5, atr=1.1, volume_vs_avg=0.9, trend_strength=55, exchange="AMEX",
            **{"4h_bias": "SHORT", "1h_bias": "NEUTRAL"},
        ),
        bars=GivenBars(atr=9.0, vwap=1.0, bias_4h=Bias.LONG),
    )  # fmt: skip
    assert (found.stop_loss, found.target_1, found.target_2, found.rr_ratio_t1) == (656.0, 668.0, 674.0, 2.0)
    assert (found.quality, found.ai_score, found.recommended_contracts) == (Quality.HIGH, 7.5, 3)
    assert (found.session, found.weekday) == (MarketSession.MIDDAY, Weekday.MONDAY)
    assert (found.vwap, found.atr, found.volume_vs_avg, found.trend_strength) == (659.5, 1.1, 0.9, 55.0)
    assert (found.bias_4h, found.bias_1h, found.exchange) == (Bias.SHORT, Bias.NEUTRAL, "AMEX")
    assert found.assumed == ("rr_ratio_t1",)


def test_the_targets_follow_a_stop_that_was_sent() -> None:
    found = signal(short(sl=659.0))
    assert (found.target_1, found.target_2, found.rr_ratio_t1) == (662.0, 663.5, 2.0)
    assert "atr_by_price" not in found.assumed


def test_reward_to_risk_is_that_of_the_levels_sent_and_target_2_is_never_nearer() -> None:
    found = signal(short(sl=659.0, tp1=665.0))
    assert (found.target_1, found.target_2, found.rr_ratio_t1) == (665.0, 665.0, 5.0)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sl": 661}, "$.sl"),
        ({"sl": 660}, "$.sl"),
        ({"sl": 400}, "$.sl"),
        ({"tp1": 659}, "$.tp1"),
        ({"tp2": 659}, "$.tp2"),
        ({"action": "sell", "stop_loss": 659}, "$.stop_loss"),
        ({"action": "sell", "take_profit": 661}, "$.take_profit"),
    ],
)
def test_a_level_on_the_wrong_side_is_out_of_range(changes: dict[str, Any], path: str) -> None:
    assert refusal(short(**changes)) == (Code.OUT_OF_RANGE, path, 422)


def test_shares_of_a_strategy_are_never_our_contracts() -> None:
    found = signal(short(contracts=200, qty=200, **{"strategy.order.contracts": 200}))
    assert found.recommended_contracts == 1


@pytest.mark.parametrize(
    ("times", "close", "assumed"),
    [
        ({"time": "2026-11-20T14:55:00Z"}, MOMENT, False),
        ({"time": "2026-11-20T14:50:00Z"}, MOMENT - timedelta(minutes=5), False),
        ({"time": "2026-11-20T09:50:00-05:00"}, MOMENT - timedelta(minutes=5), False),
        ({"time": 1795186200000}, MOMENT - timedelta(minutes=5), False),
        ({"time": 1795186200}, MOMENT - timedelta(minutes=5), False),
        ({"time": "1795186200"}, MOMENT - timedelta(minutes=5), False),
        ({"time": None, "timestamp": "2026-11-20T14:50:00Z"}, MOMENT - timedelta(minutes=5), False),
        ({"time": "2026-11-20T14:55:00Z", "timenow": "2026-11-20T14:57:30Z"}, MOMENT - timedelta(seconds=150), False),
        ({"time": "2026-11-20T14:58:00Z"}, MOMENT, False),
        ({"time": None, "timenow": "2026-11-20T14:59:00Z"}, MOMENT - timedelta(minutes=1), False),
        ({"time": None}, MOMENT, True),
    ],
)
def test_the_bar_closes_one_timeframe_after_its_time_and_never_after_the_firing(
    times: dict[str, Any], close: datetime, assumed: bool
) -> None:
    found = signal(short(**times))
    assert found.bar_close == close
    assert ("bar_close" in found.assumed) is assumed


@pytest.mark.parametrize(
    ("sent", "symbol", "exchange"),
    [
        ({"ticker": "spy"}, "SPY", ""),
        ({"ticker": "AMEX:SPY"}, "SPY", "AMEX"),
        ({"ticker": "BRK.B"}, "BRK.B", ""),
        ({"ticker": None, "symbol": "QQQ", "exchange": "NASDAQ"}, "QQQ", "NASDAQ"),
        ({"ticker": None, "underlying": "SPX"}, "SPX", ""),
    ],
)
def test_symbols_are_canonical(sent: dict[str, Any], symbol: str, exchange: str) -> None:
    found = signal(short(**sent))
    assert (found.symbol, found.exchange) == (symbol, exchange)


@pytest.mark.parametrize(
    ("names", "direction"),
    [
        ({"action": "BUY"}, LONG),
        ({"action": "short"}, SHORT),
        ({"action": None, "type": "LONG_ENTRY"}, LONG),
        ({"action": "ENTRY", "signal": "SELL", "type": "SHORT"}, SHORT),
        ({"action": None, "event": "BUY"}, LONG),
        ({"action": None, "direction": "put"}, SHORT),
        ({"action": None, "strategy.order.action": "sell"}, SHORT),
        ({"action": None, "strategy-order-action": "buy"}, LONG),
        ({"action": None, "strategy": {"order": {"action": "sell"}}}, SHORT),
        ({"action": "buy", "type": "market"}, LONG),
        ({"action": "buy", "event": 5}, LONG),
        ({"market_position": "long"}, LONG),
        ({"market_position": "long", "prev_market_position": "short"}, LONG),
        ({"market_position": "long", "prev_market_position": "long"}, LONG),
        ({"prev_market_position": "flat"}, LONG),
        ({"action": "sell", "market_position": "short", "prev_market_position": "long"}, SHORT),
    ],
)
def test_the_side_is_found_under_every_name(names: dict[str, Any], direction: Direction) -> None:
    assert signal(short(**names)).direction is direction


@pytest.mark.parametrize(
    ("changes", "closed", "said"),
    [
        ({"action": "close"}, None, "close"),
        ({"action": "exit"}, None, "exit"),
        ({"action": "flat"}, None, "flat"),
        ({"action": "tp"}, None, "tp"),
        ({"action": "SL"}, None, "sl"),
        ({"action": "close long"}, LONG, "close long"),
        ({"action": "sell to close"}, LONG, "sell to close"),
        ({"action": "close", "direction": "short"}, SHORT, "close"),
        ({"action": "sell", "type": "exit"}, LONG, "exit"),
        ({"action": "close", "prev_market_position": "short"}, SHORT, "close"),
        ({"action": "sell", "market_position": "flat"}, LONG, "market_position: flat"),
        ({"action": "buy", "market_position": "flat"}, SHORT, "market_position: flat"),
        ({"action": None, "market_position": "flat", "prev_market_position": "long"}, LONG, "market_position: flat"),
        ({"action": None, "market_position": "FLAT"}, None, "market_position: flat"),
        ({"action": "sell", "market_position": "long"}, LONG, "sell that leaves market_position: long"),
        ({"action": "buy", "market_position": "short"}, SHORT, "buy that leaves market_position: short"),
        ({"action": "sell", "prev_market_position": "long"}, LONG, "sell after prev_market_position: long"),
        ({"action": "buy", "prev_market_position": "short"}, SHORT, "buy after prev_market_position: short"),
    ],
)
def test_what_ends_a_position_is_an_exit_notice(changes: dict[str, Any], closed: Direction | None, said: str) -> None:
    found = notice(short(**changes))
    assert (found.symbol, found.timeframe, found.direction, found.said) == ("SPY", Timeframe.M5, closed, said)
    assert found.time == MOMENT - timedelta(minutes=5)


@pytest.mark.parametrize("interval", [None, "1", "1D", "whatever"])
def test_an_exit_notice_needs_no_timeframe_of_the_board(interval: str | None) -> None:
    assert notice(short(action="close", interval=interval)).timeframe is None


def test_an_exit_notice_without_a_time_counts_by_its_bytes() -> None:
    heard = read(short(action="close", time=None))
    assert heard.windowed
    assert heard.key == f"sha256:{heard.sha256}"


@pytest.mark.parametrize(
    ("changes", "code", "path", "status"),
    [
        ({"interval": None}, Code.BAD_FIELD, "$.timeframe", 400),
        ({"interval": ""}, Code.BAD_FIELD, "$.timeframe", 400),
        ({"interval": "5x"}, Code.BAD_FIELD, "$.interval", 400),
        ({"interval": True}, Code.BAD_FIELD, "$.interval", 400),
        ({"interval": "1"}, Code.OUT_OF_RANGE, "$.interval", 422),
        ({"interval": 45}, Code.OUT_OF_RANGE, "$.interval", 422),
        ({"timeframe": "15"}, Code.BAD_FIELD, "$.interval", 400),
        ({"ticker": None}, Code.BAD_FIELD, "$.ticker", 400),
        ({"ticker": "ES1!"}, Code.BAD_FIELD, "$.ticker", 400),
        ({"ticker": 5}, Code.BAD_FIELD, "$.ticker", 400),
        ({"ticker": "A" * 200}, Code.BAD_FIELD, "$.ticker", 400),
        ({"ticker": "{{ticker}}"}, Code.BAD_FIELD, "$.ticker", 400),
        ({"action": None}, Code.UNKNOWN_FORM, "$.action", 400),
        ({"action": None, "event": "CANDLE_CLOSED"}, Code.UNKNOWN_FORM, "$.event", 400),
        ({"action": "BUYY"}, Code.BAD_FIELD, "$.action", 400),
        ({"action": "BUYY", "type": "LONG"}, Code.BAD_FIELD, "$.action", 400),
        ({"type": "SHORT"}, Code.BAD_FIELD, "$.type", 400),
        ({"Action": "sell"}, Code.BAD_FIELD, "$.Action", 400),
        ({"market_position": "up"}, Code.BAD_FIELD, "$.market_position", 400),
        ({"market_position": 1}, Code.BAD_FIELD, "$.market_position", 400),
        ({"price": "NaN"}, Code.NOT_FINITE, "$.price", 400),
        ({"price": "1,5"}, Code.BAD_FIELD, "$.price", 400),
        ({"price": True}, Code.BAD_FIELD, "$.price", 400),
        ({"price": [1]}, Code.BAD_FIELD, "$.price", 400),
        ({"price": "9" * 200}, Code.BAD_FIELD, "$.price", 400),
        ({"price": 0}, Code.OUT_OF_RANGE, "$.price", 422),
        ({"price": 1e9}, Code.OUT_OF_RANGE, "$.price", 422),
        ({"aiScore": 11}, Code.OUT_OF_RANGE, "$.aiScore", 422),
        ({"quality": "BEST"}, Code.BAD_FIELD, "$.quality", 400),
        ({"time": "yesterday"}, Code.BAD_FIELD, "$.time", 400),
        ({"time": "2026-11-20T14:55:00"}, Code.BAD_FIELD, "$.time", 400),
        ({"time": "1999-11-20T14:55:00Z"}, Code.OUT_OF_RANGE, "$.time", 422),
        ({"time": "0001-01-01T00:00:00+14:00"}, Code.OUT_OF_RANGE, "$.time", 422),
        ({"time": 10**17}, Code.OUT_OF_RANGE, "$.time", 422),
        ({"time": 5}, Code.OUT_OF_RANGE, "$.time", 422),
    ],
)
def test_a_short_alert_that_would_need_a_guess_is_refused(
    changes: dict[str, Any], code: Code, path: str, status: int
) -> None:
    assert refusal(short(**changes)) == (code, path, status)


def test_the_nested_short_form_is_read_with_its_own_close() -> None:
    body = {
        "signal": {"type": "LONG", "aiScore": 8.5, "symbol": "SPY", "timestamp": 1795186500000, "timeframe": "15"},
        "satyPhase": {"phase": "ACCUMULATION", "value": 61.2},
        "marketSession": "MIDDAY",
        "price": 660,
    }
    found = signal(body)
    assert (found.symbol, found.direction, found.timeframe, found.ai_score) == ("SPY", LONG, Timeframe.M15, 8.5)
    assert (found.session, found.bar_close) == (MarketSession.MIDDAY, datetime(2026, 11, 20, 14, 55, tzinfo=UTC))
    del body["signal"]["timeframe"]  # type: ignore[attr-defined]
    assert refusal(body) == (Code.BAD_FIELD, "$.timeframe", 400)


def test_a_weekend_has_no_weekday() -> None:
    saturday = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
    found = signal(short(time="2026-11-21T14:55:00Z"), now=saturday)
    assert (found.weekday, found.session) == (None, MarketSession.AFTERHOURS)
