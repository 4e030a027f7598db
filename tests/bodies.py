"""Webhook bodies for tests and benchmarks: full signals in the documented shape, with only the differences named."""

from __future__ import annotations

from typing import Any


def signal_body(
    symbol: str = "SPY",
    timeframe: str = "60",
    direction: str = "LONG",
    *,
    price: float,
    timestamp: int,
    quality: str = "HIGH",
    ai_score: float = 8.0,
    contracts: int = 2,
    session: str = "MIDDAY",
    weekday: str = "FRIDAY",
    stop: float | None = None,
    target_1: float | None = None,
    target_2: float | None = None,
    bias: str | None = None,
    volume: float = 1.2,
    strength: float = 70.0,
    rr: float = 2.0,
) -> dict[str, Any]:
    """A full signal body; `timestamp` is the bar's close in milliseconds. Stop and targets default to 1 % and 2, 3.5 R."""
    sign = 1 if direction == "LONG" else -1
    risk = price * 0.01
    stop = round(price - sign * risk, 2) if stop is None else stop
    target_1 = round(price + sign * 2 * risk, 2) if target_1 is None else target_1
    target_2 = round(price + sign * 3.5 * risk, 2) if target_2 is None else target_2
    return {
        "signal": {
            "type": direction,
            "timeframe": timeframe,
            "quality": quality,
            "ai_score": ai_score,
            "timestamp": timestamp,
            "bar_time": "2026-11-20T15:00:00Z",
        },
        "instrument": {"exchange": "AMEX", "ticker": symbol, "current_price": price},
        "entry": {"price": price, "stop_loss": stop, "target_1": target_1, "target_2": target_2, "stop_reason": "ATR"},
        "risk": {
            "amount": 500.0,
            "rr_ratio_t1": rr,
            "rr_ratio_t2": rr * 1.75,
            "stop_distance_pct": 1.0,
            "recommended_shares": 0,
            "recommended_contracts": contracts,
            "position_multiplier": 1.0,
            "account_risk_pct": 0.5,
            "max_loss_dollars": 500.0,
        },
        "market_context": {
            "vwap": price,
            "pmh": price + 1,
            "pml": price - 1,
            "day_open": price,
            "day_change_pct": 0.1,
            "price_vs_vwap_pct": 0.0,
            "distance_to_pmh_pct": 0.1,
            "distance_to_pml_pct": -0.1,
            "atr": round(price * 0.004, 4),
            "volume_vs_avg": volume,
            "candle_direction": "GREEN" if sign > 0 else "RED",
            "candle_size_atr": 0.5,
        },
        "trend": {
            "ema_8": price,
            "ema_21": price,
            "ema_50": price,
            "alignment": "BULLISH" if sign > 0 else "BEARISH",
            "strength": strength,
            "rsi": 55.0,
            "macd_signal": "BULLISH" if sign > 0 else "BEARISH",
        },
        "mtf_context": {"4h_bias": bias or direction, "4h_rsi": 55.0, "1h_bias": bias or direction},
        "score_breakdown": {"strat": 2, "trend": 2, "gamma": 1, "vwap": 1, "mtf": 1, "golf": 1},
        "components": ["TREND", "VWAP"],
        "time_context": {"market_session": session, "day_of_week": weekday},
    }
