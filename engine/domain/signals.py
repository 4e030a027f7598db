"""What TradingView tells us, normalised: signal, phase, trend; and the frozen engine's answer, the decision.

The same three structs are the pure decision engine's inputs, so a stored decision can be made again bit for bit.
Numbers are as sent (floats): analytics, not money. Rules: see the decision page of the specification.
"""

from __future__ import annotations

from datetime import datetime

from engine.domain.values import Bias, Direction, MarketSession, Quality, Timeframe, Value, Verdict, Weekday


class Signal(Value, frozen=True, kw_only=True):
    """One directional signal of one symbol and timeframe, from a full or a short body."""

    symbol: str
    direction: Direction
    timeframe: Timeframe
    quality: Quality
    ai_score: float
    bar_close: datetime
    """When the bar that made it closed, by the sender (UTC)."""
    price: float
    stop_loss: float
    target_1: float
    target_2: float
    rr_ratio_t1: float
    recommended_contracts: int
    volume_vs_avg: float
    trend_strength: float
    bias_4h: Bias
    bias_1h: Bias
    session: MarketSession
    weekday: Weekday | None
    """None on a weekend (short forms only)."""
    exchange: str = ""
    atr: float | None = None
    vwap: float | None = None
    components: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    """Names of the fields that were not sent and were filled by our rules: a decision never hides what it assumed."""


class Phase(Value, frozen=True, kw_only=True):
    """A phase event of the SATY oscillator for one symbol, role and timeframe."""

    symbol: str
    role: str
    """REGIME, BIAS, SETUP_FORMATION or STRUCTURAL."""
    event_tf: str
    """As sent: 4H, 1H, 30M …"""
    name: str
    implication: Bias
    """UPSIDE_POTENTIAL is LONG, DOWNSIDE_POTENTIAL is SHORT."""
    htf_alignment: bool
    confidence_score: float
    trade_allowed: bool
    time_decay_minutes: float
    event_id: str = ""


class Trend(Value, frozen=True, kw_only=True):
    """Direction of eight timeframes of one symbol: -1 bearish, 0 neutral, 1 bullish, in `TREND_TIMEFRAMES` order."""

    symbol: str
    timestamp: datetime
    price: float
    directions: tuple[int, int, int, int, int, int, int, int]


TREND_TIMEFRAMES = ("tf3min", "tf5min", "tf15min", "tf30min", "tf60min", "tf240min", "tf1week", "tf1month")


class ExitNotice(Value, frozen=True, kw_only=True):
    """A sender's word that its own position is over: not a signal, but a broken thesis for this symbol."""

    symbol: str
    timeframe: Timeframe | None
    direction: Direction | None
    """The side that is closed, where the sender says it."""
    said: str
    """The words that made it an exit notice: `close`, `market_position: flat` …"""
    time: datetime | None = None


class Breakdown(Value, frozen=True, kw_only=True):
    """Every factor of the position multiplier, in the order they are multiplied."""

    confluence_multiplier: float
    quality_multiplier: float
    htf_alignment_multiplier: float
    rr_multiplier: float
    volume_multiplier: float
    trend_multiplier: float
    session_multiplier: float
    day_multiplier: float
    phase_confidence_boost: float
    phase_position_boost: float
    trend_alignment_boost: float
    final_multiplier: float


class Decision(Value, frozen=True, kw_only=True):
    """The frozen engine's answer. Fields that the rules leave empty for a WAIT are None."""

    verdict: Verdict
    confluence_score: int
    breakdown: Breakdown | None
    raw_multiplier: float | None
    recommended_contracts: int
    direction: Direction | None
    entry_timeframe: Timeframe | None
    stop_loss: float | None
    target_1: float | None
    target_2: float | None
    leaning: Direction | None
    """The direction with the higher confluence, also when the verdict is WAIT; None without signals."""
    reason: str
    """Which step of the rules gave the verdict, in a trader's words."""
    engine_version: str


class ActiveSignal(Value, frozen=True, kw_only=True):
    """A signal on the board, by (symbol, timeframe), until `expires`."""

    source: int
    """Ledger seq of the fact that brought it."""
    signal: Signal
    received: datetime
    expires: datetime
    late: float | None = None
    """Seconds between its bar's close and its arrival, both on real clocks; None where nobody measured."""


class ActivePhase(Value, frozen=True, kw_only=True):
    source: int
    phase: Phase
    received: datetime
    expires: datetime


class ActiveTrend(Value, frozen=True, kw_only=True):
    source: int
    trend: Trend
    received: datetime
    expires: datetime
