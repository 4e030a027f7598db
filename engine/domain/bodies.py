"""From a full TradingView body to a domain struct: the one place that knows where each field lives.

Called by the webhook intake and by the file of decision cases. Pure: a body in, a struct out, or a `BodyError` that
names the first bad field. Fields the structs do not keep are ignored, but a NaN anywhere is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from engine.domain.fields import BodyError, Fields, checked_text, refuse_non_finite
from engine.domain.signals import TREND_TIMEFRAMES, Phase, Signal, Trend
from engine.domain.values import Bias, Direction, MarketSession, Quality, Timeframe, Weekday

__all__ = [
    "MAX_CONTRACTS",
    "MAX_PRICE",
    "MAX_SCORE",
    "BodyError",
    "canonical_symbol",
    "phase_from_body",
    "signal_from_body",
    "trend_from_body",
]

MAX_SCORE = 10.5
MAX_PRICE = 10_000_000.0
"""Dollars; beyond it a number is no price of a US share."""
MAX_CONTRACTS = 10_000
MAX_RATIO = 1_000_000.0
"""Bound of reward to risk and of volume against its average: beyond it a division by nearly nothing is speaking."""
MAX_DECAY = 525_600.0
"""Minutes in a year."""

US_PREFIXES = frozenset(
    {"AMEX", "ARCA", "BATS", "BZX", "CBOE", "CBOEBZX", "EDGX", "IEX", "NASDAQ", "NYSE", "NYSEAMERICAN", "NYSEARCA"}
    | {"OTC", "SP", "TVC"}
)
"""Exchange prefixes under which a ticker is the US listing itself. The same letters elsewhere (BMV:SPY) are another
security, so other prefixes are refused, not cut off."""

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.]{0,11}\Z")

_DIRECTIONS = MappingProxyType({member.value: member for member in Direction})
_TIMEFRAMES = MappingProxyType({member.value: member for member in Timeframe})
_QUALITIES = MappingProxyType({member.value: member for member in Quality})
_BIASES = MappingProxyType({member.value: member for member in Bias})
_SESSIONS = MappingProxyType({member.value: member for member in MarketSession})
_WEEKDAYS = MappingProxyType({member.value: member for member in Weekday})
_ROLES = MappingProxyType({role: role for role in ("REGIME", "BIAS", "SETUP_FORMATION", "STRUCTURAL")})
_IMPLICATIONS = MappingProxyType(
    {"UPSIDE_POTENTIAL": Bias.LONG, "DOWNSIDE_POTENTIAL": Bias.SHORT, "NEUTRAL": Bias.NEUTRAL}
)
_TREND_DIRECTIONS = MappingProxyType({"bullish": 1, "neutral": 0, "bearish": -1})


def canonical_symbol(text: object, path: str = "") -> str:
    """Our name of a US-listed symbol: `AMEX:SPY` and `spy` are SPY; SPX and US500 stay themselves.

    Raises `BodyError` for what cannot be one (`ES1!`, `BINANCE:BTCUSDT`, longer than 12 characters).
    """
    sent = checked_text(text, path, most=64)
    prefix, colon, ticker = sent.strip().rpartition(":")
    # Only ASCII is folded: upper() turns other letters into ones that look like a ticker (ß into SS).
    if not sent.isascii() or not _SYMBOL.match(ticker.upper()):
        raise BodyError(path, "is no US symbol (up to 12 of A-Z, 0-9 and the dot)")
    if colon and prefix.upper() not in US_PREFIXES:
        raise BodyError(path, f"names an exchange that lists no US symbol: {prefix}")
    return ticker.upper()


def signal_from_body(obj: Mapping[str, Any]) -> Signal:
    """The signal of a full signal body. `signal.timestamp` is the bar's close."""
    refuse_non_finite(obj)
    body = Fields(obj)
    head = body.section("signal")
    instrument = body.section("instrument")
    entry = body.section("entry")
    risk = body.section("risk")
    market = body.section("market_context")
    trend = body.section("trend")
    higher = body.section("mtf_context")
    when = body.section("time_context")
    return Signal(
        direction=head.choice("type", _DIRECTIONS),
        timeframe=head.choice("timeframe", _TIMEFRAMES),
        quality=head.choice("quality", _QUALITIES),
        ai_score=head.number("ai_score", 0, MAX_SCORE),
        bar_close=head.moment("timestamp"),
        symbol=_symbol(instrument, "ticker"),
        exchange=_optional_text(instrument, "exchange", most=32),
        price=_price(entry, "price"),
        stop_loss=_price(entry, "stop_loss"),
        target_1=_price(entry, "target_1"),
        target_2=_price(entry, "target_2"),
        rr_ratio_t1=risk.number("rr_ratio_t1", 0, MAX_RATIO),
        recommended_contracts=risk.integer("recommended_contracts", 0, MAX_CONTRACTS),
        volume_vs_avg=market.number("volume_vs_avg", 0, MAX_RATIO),
        atr=market.number("atr", 0, MAX_PRICE) if market.sent("atr") else None,
        vwap=_price(market, "vwap") if market.sent("vwap") else None,
        trend_strength=trend.number("strength", 0, 100),
        bias_4h=higher.choice("4h_bias", _BIASES),
        bias_1h=higher.choice("1h_bias", _BIASES),
        session=when.choice("market_session", _SESSIONS),
        weekday=when.choice("day_of_week", _WEEKDAYS),
        components=_components(body),
    )


def phase_from_body(obj: Mapping[str, Any]) -> Phase:
    """The phase of a full phase body. Without `risk_hints.time_decay_minutes` its timeframe says how long it lives."""
    refuse_non_finite(obj)
    body = Fields(obj)
    timeframe = body.section("timeframe")
    event = body.section("event")
    confidence = body.section("confidence")
    hints = body.section("risk_hints") if body.sent("risk_hints") else None
    decay = hints is not None and hints.sent("time_decay_minutes")
    return Phase(
        event_id=_optional_text(body.section("meta"), "event_id", most=200) if body.sent("meta") else "",
        symbol=_symbol(body.section("instrument"), "symbol"),
        event_tf=timeframe.text("event_tf", most=8),
        role=timeframe.choice("tf_role", _ROLES),
        name=event.text("name", most=100),
        implication=event.choice("directional_implication", _IMPLICATIONS),
        htf_alignment=confidence.flag("htf_alignment"),
        confidence_score=confidence.number("confidence_score", 0, 100),
        trade_allowed=body.section("execution_guidance").flag("trade_allowed"),
        time_decay_minutes=hints.number("time_decay_minutes", -MAX_DECAY, MAX_DECAY) if hints and decay else 0.0,
    )


def trend_from_body(obj: Mapping[str, Any]) -> Trend:
    """The trend of a full trend body; all eight timeframes have to be there."""
    refuse_non_finite(obj)
    body = Fields(obj)
    timeframes = body.section("timeframes")
    first, second, third, fourth, fifth, sixth, seventh, eighth = (
        timeframes.section(name).choice("direction", _TREND_DIRECTIONS) for name in TREND_TIMEFRAMES
    )
    return Trend(
        symbol=_symbol(body, "ticker"),
        timestamp=body.moment("timestamp"),
        price=_price(body, "price"),
        directions=(first, second, third, fourth, fifth, sixth, seventh, eighth),
    )


def _symbol(fields: Fields, name: str) -> str:
    return canonical_symbol(fields.text(name, most=64), fields.at(name))


def _price(fields: Fields, name: str) -> float:
    return fields.number(name, 0, MAX_PRICE, above=True)


def _optional_text(fields: Fields, name: str, most: int) -> str:
    return fields.text(name, most) if fields.sent(name) else ""


def _components(body: Fields) -> tuple[str, ...]:
    if not body.sent("components"):
        return ()
    return tuple(
        checked_text(item, f"{body.at('components')}[{index}]", most=64)
        for index, item in enumerate(body.items("components", most=64))
    )
