"""Which way the active inputs point, and how much they agree: confluence, HTF alignment, trend alignment.

Called by `decide` and by panels that show the alignment. Never decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.decision.inputs import DecisionInputError
from engine.decision.matrices import (
    CHOPPY,
    FULL_CONFLUENCE,
    HTF_COUNTER,
    HTF_GOOD,
    HTF_PERFECT,
    HTF_ROLES,
    HTF_WEAK,
    MIN_HTF_SCORE,
    TREND_STRENGTHS,
    WEIGHTS,
)
from engine.domain.signals import TREND_TIMEFRAMES, Phase, Signal, Trend
from engine.domain.values import Bias, Direction, Timeframe, Value

# Enum members as names of this file: looking one up on its class costs as much as a whole step of the rules.
_LONG, _SHORT = Direction.LONG, Direction.SHORT
_H4, _H1 = Timeframe.H4, Timeframe.H1
_BIAS_OF = {_LONG: Bias.LONG, _SHORT: Bias.SHORT}
_BIAS_AGAINST = {_LONG: Bias.SHORT, _SHORT: Bias.LONG}

_TF240 = TREND_TIMEFRAMES.index("tf240min")
_TF3, _TF5 = TREND_TIMEFRAMES.index("tf3min"), TREND_TIMEFRAMES.index("tf5min")


class TrendAlignment(Value, frozen=True, kw_only=True):
    """How much the eight timeframes of a trend agree. Directions are -1 bearish, 0 neutral, 1 bullish."""

    dominant: int
    count: int
    score: float
    """Percent of the eight."""
    strength: str
    """STRONG, MODERATE, WEAK or CHOPPY."""
    htf_bias: int
    ltf_bias: int


def weigh(signals: Sequence[Signal]) -> tuple[int, int]:
    """Confluence of LONG and of SHORT, 0 to 100 each. One signal a timeframe is expected."""
    long = short = 0
    for signal in signals:
        if signal.direction is _LONG:
            long += WEIGHTS[signal.timeframe]
        else:
            short += WEIGHTS[signal.timeframe]
    return long, short


def leaning_of(long: int, short: int) -> Direction:
    """The direction with the higher confluence; LONG on a tie."""
    return _LONG if long >= short else _SHORT


def carries(signal: Signal) -> bool:
    """Whether a signal is a higher timeframe's with enough score to carry a direction."""
    return signal.ai_score >= MIN_HTF_SCORE and (signal.timeframe is _H4 or signal.timeframe is _H1)


def htf_factor(direction: Direction, entry: Signal, carriers: Sequence[Signal], phases: Sequence[Phase]) -> float:
    """The HTF alignment's factor. `carriers` are the aligned signals for which `carries` holds."""
    bias = _BIAS_OF[direction]
    four = entry.bias_4h is bias
    one = entry.bias_1h is bias
    for signal in carriers:
        if signal.timeframe is _H4:
            four = True
        else:
            one = True
    if not four:
        for phase in phases:
            if phase.implication is bias and phase.role in HTF_ROLES:
                four = True
                break
    if four and one:
        return HTF_PERFECT
    if four or one:
        return HTF_GOOD
    against = _BIAS_AGAINST[direction]
    return HTF_COUNTER if entry.bias_4h is against and entry.bias_1h is against else HTF_WEAK


def dominant(trend: Trend) -> tuple[int, int]:
    """The direction most of the eight timeframes have, and their number; bullish before bearish before neutral."""
    count = trend.directions.count
    bullish, bearish, neutral = count(1), count(-1), count(0)
    if bullish >= bearish and bullish >= neutral:
        return 1, bullish
    if bearish >= neutral:
        return -1, bearish
    return 0, neutral


def strength_of(count: int) -> str:
    """What `count` timeframes of the eight that agree are called."""
    score = count / len(TREND_TIMEFRAMES) * FULL_CONFLUENCE
    return next((name for start, name in TREND_STRENGTHS if score >= start), CHOPPY)


_STRENGTHS = tuple(strength_of(count) for count in range(len(TREND_TIMEFRAMES) + 1))


def is_strong(trend: Trend) -> bool:
    return _STRENGTHS[dominant(trend)[1]] == "STRONG"


def agrees(trend: Trend, direction: Direction) -> bool:
    """Whether the trend's 240 minutes point the same way: bullish with LONG, bearish with SHORT."""
    return trend.directions[_TF240] == (1 if direction is _LONG else -1)


def trend_alignment(trend: Trend) -> TrendAlignment:
    """All there is to say about a trend's agreement with itself."""
    direction, count = dominant(trend)
    fast, slower = trend.directions[_TF3], trend.directions[_TF5]
    return TrendAlignment(
        dominant=direction,
        count=count,
        score=count / len(TREND_TIMEFRAMES) * FULL_CONFLUENCE,
        strength=_STRENGTHS[count],
        htf_bias=trend.directions[_TF240],
        # Of two, a majority is both.
        ltf_bias=fast if fast == slower else 0,
    )


def newest(trends: Sequence[Trend]) -> Trend | None:
    """The trend that counts: a symbol holds one, and the newest replaces the others.

    Two of the same instant that differ are an error: nothing says which of them came last.
    """
    if not trends:
        return None
    if len(trends) == 1:
        return trends[0]
    last = max(trends, key=lambda trend: trend.timestamp)
    for trend in trends:
        if trend.timestamp == last.timestamp and trend.directions != last.directions:
            raise DecisionInputError(f"two trends of {trend.symbol} at {trend.timestamp.isoformat()} differ")
    return last
