"""Full bodies become structs; the first bad field is named, and its kind told from its range."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import pytest

from engine.domain.bodies import (
    BodyError,
    canonical_symbol,
    phase_from_body,
    signal_from_body,
    trend_from_body,
)
from engine.domain.signals import Phase, Signal, Trend
from engine.domain.values import Bias, Direction, MarketSession, Quality, Timeframe, Weekday
from tests.bodies import signal_body

CLOSE_MS = 1_795_021_200_000
CLOSE = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
MISSING = object()


def full_signal() -> dict[str, Any]:
    return signal_body("SPY", "240", price=600.0, timestamp=CLOSE_MS, bias="SHORT", weekday="WEDNESDAY")


def full_phase() -> dict[str, Any]:
    return {
        "meta": {"engine": "SATY_PO", "event_id": "evt_1", "event_type": "REGIME_PHASE_ENTRY"},
        "instrument": {"symbol": "AMEX:SPY", "exchange": "AMEX"},
        "timeframe": {"event_tf": "4H", "tf_role": "REGIME"},
        "event": {"name": "ENTER_ACCUMULATION", "directional_implication": "UPSIDE_POTENTIAL"},
        "confidence": {"htf_alignment": True, "confidence_score": 72},
        "execution_guidance": {"trade_allowed": False},
        "risk_hints": {"time_decay_minutes": 90},
    }


def full_trend() -> dict[str, Any]:
    words = ("bullish", "bearish", "neutral", "bullish", "bullish", "bearish", "neutral", "bullish")
    names = ("tf3min", "tf5min", "tf15min", "tf30min", "tf60min", "tf240min", "tf1week", "tf1month")
    return {
        "ticker": "SPY",
        "exchange": "AMEX",
        "timestamp": "2026-11-18T17:00:00Z",
        "price": 600.5,
        "timeframes": {
            name: {"direction": word, "open": 1.0, "close": 2.0} for name, word in zip(names, words, strict=True)
        },
    }


def changed(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with the field at `path` set, or taken away."""
    body = copy.deepcopy(body)
    inner, *names = body, *path.split(".")
    for name in names[:-1]:
        inner = inner[name]
    if value is MISSING:
        del inner[names[-1]]
    else:
        inner[names[-1]] = value
    return body


READERS: dict[str, tuple[Any, Any]] = {
    "signal": (full_signal, signal_from_body),
    "phase": (full_phase, phase_from_body),
    "trend": (full_trend, trend_from_body),
}


def refusal(kind: str, path: str, value: object) -> BodyError:
    make, read = READERS[kind]
    with pytest.raises(BodyError) as caught:
        read(changed(make(), path, value))
    return caught.value


def test_every_field_of_a_signal_comes_from_its_place() -> None:
    assert signal_from_body(full_signal()) == Signal(
        symbol="SPY",
        direction=Direction.LONG,
        timeframe=Timeframe.H4,
        quality=Quality.HIGH,
        ai_score=8.0,
        bar_close=CLOSE,
        price=600.0,
        stop_loss=594.0,
        target_1=612.0,
        target_2=621.0,
        rr_ratio_t1=2.0,
        recommended_contracts=2,
        volume_vs_avg=1.2,
        trend_strength=70.0,
        bias_4h=Bias.SHORT,
        bias_1h=Bias.SHORT,
        session=MarketSession.MIDDAY,
        weekday=Weekday.WEDNESDAY,
        exchange="AMEX",
        atr=2.4,
        vwap=600.0,
        components=("TREND", "VWAP"),
        assumed=(),
    )


def test_every_field_of_a_phase_comes_from_its_place() -> None:
    assert phase_from_body(full_phase()) == Phase(
        symbol="SPY",
        role="REGIME",
        event_tf="4H",
        name="ENTER_ACCUMULATION",
        implication=Bias.LONG,
        htf_alignment=True,
        confidence_score=72.0,
        trade_allowed=False,
        time_decay_minutes=90.0,
        event_id="evt_1",
    )


@pytest.mark.parametrize(
    ("word", "bias"),
    [("UPSIDE_POTENTIAL", Bias.LONG), ("DOWNSIDE_POTENTIAL", Bias.SHORT), ("NEUTRAL", Bias.NEUTRAL)],
)
def test_what_a_phase_implies(word: str, bias: Bias) -> None:
    assert phase_from_body(changed(full_phase(), "event.directional_implication", word)).implication is bias


def test_every_field_of_a_trend_comes_from_its_place() -> None:
    assert trend_from_body(full_trend()) == Trend(
        symbol="SPY", timestamp=CLOSE, price=600.5, directions=(1, -1, 0, 1, 1, -1, 0, 1)
    )


@pytest.mark.parametrize("path", ["risk_hints", "risk_hints.time_decay_minutes"])
@pytest.mark.parametrize("value", [MISSING, None])
def test_a_phase_without_decay_lives_by_its_timeframe(path: str, value: object) -> None:
    assert phase_from_body(changed(full_phase(), path, value)).time_decay_minutes == 0.0


@pytest.mark.parametrize("path", ["meta", "meta.event_id"])
def test_a_phase_without_an_id_has_none(path: str) -> None:
    assert phase_from_body(changed(full_phase(), path, MISSING)).event_id == ""


@pytest.mark.parametrize(
    ("path", "field", "absent"),
    [
        ("market_context.atr", "atr", None),
        ("market_context.vwap", "vwap", None),
        ("components", "components", ()),
        ("instrument.exchange", "exchange", ""),
    ],
)
def test_what_a_signal_may_leave_out(path: str, field: str, absent: object) -> None:
    assert getattr(signal_from_body(changed(full_signal(), path, MISSING)), field) == absent


@pytest.mark.parametrize(
    "path",
    ["signal.bar_time", "market_context.pmh", "score_breakdown", "risk.amount", "entry.stop_reason", "trend.rsi"],
)
def test_what_the_rules_do_not_read_may_be_missing_or_anything(path: str) -> None:
    expected = signal_from_body(full_signal())
    assert signal_from_body(changed(full_signal(), path, MISSING)) == expected
    assert signal_from_body(changed(full_signal(), path, ["what", {"ever": 1}])) == expected
    assert signal_from_body(full_signal() | {"timenow": "…", "extra": [1]}) == expected


SIGNAL_FIELDS = [
    "signal", "signal.type", "signal.timeframe", "signal.quality", "signal.ai_score", "signal.timestamp",
    "instrument", "instrument.ticker", "entry", "entry.price", "entry.stop_loss", "entry.target_1", "entry.target_2",
    "risk", "risk.rr_ratio_t1", "risk.recommended_contracts", "market_context", "market_context.volume_vs_avg",
    "trend", "trend.strength", "mtf_context", "mtf_context.4h_bias", "mtf_context.1h_bias",
    "time_context", "time_context.market_session", "time_context.day_of_week",
]  # fmt: skip
PHASE_FIELDS = [
    "instrument", "instrument.symbol", "timeframe", "timeframe.event_tf", "timeframe.tf_role", "event", "event.name",
    "event.directional_implication", "confidence", "confidence.htf_alignment", "confidence.confidence_score",
    "execution_guidance", "execution_guidance.trade_allowed",
]  # fmt: skip
TREND_FIELDS = ["ticker", "timestamp", "price", "timeframes", "timeframes.tf1month", "timeframes.tf3min.direction"]
NEEDED = [
    *[("signal", path) for path in SIGNAL_FIELDS],
    *[("phase", path) for path in PHASE_FIELDS],
    *[("trend", path) for path in TREND_FIELDS],
]


@pytest.mark.parametrize(("kind", "path"), NEEDED)
@pytest.mark.parametrize("value", [MISSING, None])
def test_a_missing_field_is_named(kind: str, path: str, value: object) -> None:
    error = refusal(kind, path, value)
    assert (error.path, error.message, error.out_of_range) == (path, "is missing", False)


@pytest.mark.parametrize(("kind", "path"), NEEDED)
def test_a_list_in_place_of_any_field_is_of_the_wrong_kind(kind: str, path: str) -> None:
    error = refusal(kind, path, [])
    assert (error.path, error.out_of_range) == (path, False)
    assert "a list" in error.message


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("signal", "signal.ai_score", True, "must be a number, not a boolean"),
        ("signal", "signal.ai_score", "8", "must be a number, not a text"),
        ("signal", "signal.ai_score", {}, "must be a number, not an object"),
        ("signal", "signal.type", "BUY", "must be one of LONG, SHORT"),
        ("signal", "signal.type", "long", "must be one of LONG, SHORT"),
        ("signal", "signal.type", 1, "must be a text, not a number"),
        ("signal", "signal.timeframe", 240, "must be a text, not a number"),
        ("signal", "signal.timeframe", "7", "must be one of 240, 60, 30, 15, 5, 3"),
        ("signal", "signal.quality", "GOOD", "must be one of MEDIUM, HIGH, EXTREME"),
        ("signal", "signal.timestamp", False, "must be milliseconds since the epoch or ISO 8601 text, not a boolean"),
        ("signal", "signal.timestamp", "yesterday", "is no ISO 8601 time"),
        ("signal", "signal.timestamp", "2026-11-18T17:00:00", "names no time zone"),
        ("signal", "risk.recommended_contracts", 2.5, "must be a whole number, not 2.5"),
        ("signal", "risk.recommended_contracts", "2", "must be a number, not a text"),
        ("signal", "mtf_context.4h_bias", "UP", "must be one of LONG, SHORT, NEUTRAL"),
        ("signal", "time_context.day_of_week", "SUNDAY", "must be one of MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY"),
        ("signal", "time_context.market_session", "LUNCH", "must be one of OPEN, MIDDAY, POWER_HOUR, AFTERHOURS"),
        ("signal", "components", "STRAT", "must be a list, not a text"),
        ("signal", "components", ["A", 1], "must be a text, not a number"),
        ("signal", "instrument.ticker", "ES1!", "is no US symbol (up to 12 of A-Z, 0-9 and the dot)"),
        ("signal", "instrument.exchange", "x" * 33, "has 33 characters, 32 are allowed"),
        ("phase", "confidence.htf_alignment", 1, "must be true or false, not a number"),
        ("phase", "execution_guidance.trade_allowed", "true", "must be true or false, not a text"),
        ("phase", "timeframe.tf_role", "NOISE", "must be one of REGIME, BIAS, SETUP_FORMATION, STRUCTURAL"),
        ("phase", "event.name", "A\ud800", "holds half of a surrogate pair"),
        ("phase", "meta.event_id", "x" * 201, "has 201 characters, 200 are allowed"),
        ("phase", "timeframe.event_tf", "x" * 9, "has 9 characters, 8 are allowed"),
        ("trend", "timeframes.tf5min.direction", "up", "must be one of bullish, neutral, bearish"),
        ("trend", "timestamp", "2026-11-18", "names no time zone"),
    ],
)
def test_a_value_of_the_wrong_kind(kind: str, path: str, value: object, message: str) -> None:
    error = refusal(kind, path, value)
    assert error.path.startswith(path)
    assert (error.message, error.out_of_range) == (message, False)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("signal", "signal.ai_score", 10.6),
        ("signal", "signal.ai_score", -0.1),
        ("signal", "signal.ai_score", 10**400),
        ("signal", "signal.timestamp", 1_767_968_100),  # seconds
        ("signal", "signal.timestamp", -(10**400)),
        ("signal", "signal.timestamp", 4_102_444_800_000),  # 2100
        ("signal", "signal.timestamp", "1999-12-31T23:59:59Z"),
        ("signal", "signal.timestamp", "2100-01-01T00:00:00Z"),
        ("signal", "signal.timestamp", "9999-12-31T23:59:59-10:00"),
        ("signal", "entry.price", 0),
        ("signal", "entry.price", -600.0),
        ("signal", "entry.stop_loss", 0.0),
        ("signal", "entry.target_1", 10_000_001),
        ("signal", "entry.target_2", -1),
        ("signal", "risk.rr_ratio_t1", -1),
        ("signal", "risk.recommended_contracts", -1),
        ("signal", "risk.recommended_contracts", 10_001),
        ("signal", "market_context.volume_vs_avg", -0.1),
        ("signal", "market_context.atr", -0.1),
        ("signal", "market_context.vwap", 0),
        ("signal", "trend.strength", 100.1),
        ("signal", "components", ["A"] * 65),
        ("phase", "confidence.confidence_score", 101),
        ("phase", "confidence.confidence_score", -1),
        ("phase", "risk_hints.time_decay_minutes", 525_601),
        ("trend", "price", 0),
    ],
)
def test_a_value_of_the_right_kind_out_of_its_range(kind: str, path: str, value: object) -> None:
    error = refusal(kind, path, value)
    assert (error.path, error.out_of_range) == (path, True)


@pytest.mark.parametrize(
    ("path", "value", "field", "kept"),
    [
        ("signal.ai_score", 10.5, "ai_score", 10.5),
        ("signal.ai_score", 0, "ai_score", 0.0),
        ("risk.recommended_contracts", 0, "recommended_contracts", 0),
        ("risk.recommended_contracts", 10_000, "recommended_contracts", 10_000),
        ("risk.recommended_contracts", 3.0, "recommended_contracts", 3),
        ("trend.strength", 100, "trend_strength", 100.0),
        ("market_context.volume_vs_avg", 0, "volume_vs_avg", 0.0),
        ("market_context.atr", 0, "atr", 0.0),
        ("entry.stop_loss", 0.0001, "stop_loss", 0.0001),
        ("entry.price", 10_000_000, "price", 1e7),
        ("mtf_context.1h_bias", "NEUTRAL", "bias_1h", Bias.NEUTRAL),
        ("signal.timestamp", "2026-11-18T12:00:00-05:00", "bar_close", CLOSE),
        ("signal.timestamp", float(CLOSE_MS), "bar_close", CLOSE),
        ("instrument.ticker", "nasdaq:qqq", "symbol", "QQQ"),
    ],
)
def test_a_value_at_its_bound_is_kept(path: str, value: object, field: str, kept: object) -> None:
    got = getattr(signal_from_body(changed(full_signal(), path, value)), field)
    assert got == kept
    assert type(got) is type(kept)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("signal", "signal.ai_score"),
        ("signal", "signal.timestamp"),
        ("signal", "market_context.pmh"),  # read by nobody
        ("phase", "confidence.confidence_score"),
        ("phase", "risk_hints.time_decay_minutes"),
        ("trend", "price"),
        ("trend", "timeframes.tf3min.open"),
    ],
)
def test_a_number_that_is_not_finite_is_named_wherever_it_stands(kind: str, path: str, bad: float) -> None:
    error = refusal(kind, path, bad)
    assert (error.path, error.message, error.out_of_range) == (path, "must be a finite number", False)


def test_the_first_of_several_bad_numbers_is_named() -> None:
    body = full_signal() | {"notes": [1, {"a": [0.5, nan]}, inf]}
    with pytest.raises(BodyError) as caught:
        signal_from_body(body)
    assert caught.value.path == "notes[1].a[1]"
    with pytest.raises(BodyError) as caught:
        signal_from_body({"z": {"b": nan, "a": inf}, "a": nan})
    assert caught.value.path == "z.b"


def test_a_path_made_of_unstorable_names_is_storable_and_short() -> None:
    with pytest.raises(BodyError) as caught:
        signal_from_body(full_signal() | {"\ud800" + "x" * 1000: nan})
    assert len(caught.value.path.encode()) < 300


@pytest.mark.parametrize("body", [[], "text", 1, None, True])
@pytest.mark.parametrize("kind", list(READERS))
def test_a_body_that_is_no_object(kind: str, body: Any) -> None:
    with pytest.raises(BodyError) as caught:
        READERS[kind][1](body)
    assert (caught.value.path, caught.value.out_of_range) == ("", False)
    assert str(caught.value).startswith("must be an object, not ")


@pytest.mark.parametrize(
    ("sent", "symbol"),
    [
        ("SPY", "SPY"),
        ("AMEX:SPY", "SPY"),
        ("amex:spy", "SPY"),
        (" SPY ", "SPY"),
        ("BATS:SPY", "SPY"),
        ("NASDAQ:QQQ", "QQQ"),
        ("NYSE:BRK.B", "BRK.B"),
        ("SP:SPX", "SPX"),
        ("US500", "US500"),
    ],
)
def test_names_of_one_security_are_one_symbol_and_others_stay_themselves(sent: str, symbol: str) -> None:
    assert canonical_symbol(sent) == symbol


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "AMEX:",
        "ES1!",
        "CME_MINI:ES1!",
        "BMV:SPY",
        ":SPY",
        "BTC/USD",
        "SPY QQQ",
        "ABCDEFGHIJKLM",
        ".SPY",
        "ſpy",
        "ß",
        "SPY\n!",
        "Ｓ",
        "�",
        "x" * 65,
    ],
)
def test_what_is_no_us_symbol_is_refused(sent: str) -> None:
    with pytest.raises(BodyError) as caught:
        canonical_symbol(sent, "instrument.ticker")
    assert caught.value.path == "instrument.ticker"
    assert not caught.value.out_of_range


def test_an_error_can_be_put_below_another_path() -> None:
    assert BodyError("a.b", "x").below("list[0]").path == "list[0].a.b"
    assert BodyError("", "x").below("list[0]").path == "list[0]"
    assert BodyError("[1]", "x", out_of_range=True).below("list").path == "list[1]"
    assert BodyError("[1]", "x", out_of_range=True).below("list").out_of_range
    assert str(BodyError("a", "is missing")) == "a: is missing"
