"""The signal body of smoke runs and benchmarks: a full form that passes every guard on the simulated market."""

from __future__ import annotations

from typing import Any


def signal_body(symbol: str, timeframe: str, price: float, timestamp: int) -> dict[str, Any]:
    return {
        "signal": {
            "type": "LONG",
            "timeframe": timeframe,
            "quality": "HIGH",
            "ai_score": 8.0,
            "timestamp": timestamp,
            "bar_time": "2026-11-20T16:00:00Z",
        },
        "instrument": {"exchange": "NASDAQ", "ticker": symbol, "current_price": price},
        "entry": {
            "price": price,
            "stop_loss": round(price * 0.99, 2),
            "target_1": round(price * 1.03, 2),
            "target_2": round(price * 1.05, 2),
            "stop_reason": "ATR",
        },
        "risk": {
            "amount": 500.0,
            "rr_ratio_t1": 3.0,
            "rr_ratio_t2": 5.0,
            "stop_distance_pct": 1.0,
            "recommended_shares": 0,
            "recommended_contracts": 2,
            "position_multiplier": 1.0,
            "account_risk_pct": 0.5,
            "max_loss_dollars": 500.0,
        },
        "market_context": {
            "vwap": price,
            "pmh": price,
            "pml": price,
            "day_open": price,
            "day_change_pct": 0.1,
            "price_vs_vwap_pct": 0.0,
            "distance_to_pmh_pct": 0.1,
            "distance_to_pml_pct": -0.1,
            "atr": round(price * 0.004, 4),
            "volume_vs_avg": 1.2,
            "candle_direction": "GREEN",
            "candle_size_atr": 0.5,
        },
        "trend": {
            "ema_8": price,
            "ema_21": price,
            "ema_50": price,
            "alignment": "BULLISH",
            "strength": 70.0,
            "rsi": 55.0,
            "macd_signal": "BULLISH",
        },
        "mtf_context": {"4h_bias": "LONG", "4h_rsi": 55.0, "1h_bias": "LONG"},
        "score_breakdown": {"strat": 2, "trend": 2, "gamma": 1, "vwap": 1, "mtf": 1, "golf": 1},
        "components": ["TREND"],
        "time_context": {"market_session": "MIDDAY", "day_of_week": "FRIDAY"},
    }
