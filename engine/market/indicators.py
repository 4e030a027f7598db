"""Indicators of one timeframe, updated by each completed bar in constant time. Pure arithmetic, no clock.

An indicator is None until it has seen the bars its name promises: ATR and RSI 14, an EMA as many as its length. Until
then it would say more about where the data began than about the market.
"""

from __future__ import annotations

from collections import deque

from engine.domain.values import Bias

LENGTH = 14
"""Bars of ATR and RSI, smoothed as Wilder did: the first value is a plain average, then each bar weighs 1/14."""
VOLUME_BARS = 20
"""Bars the last one's volume is compared with; fewer while fewer are known, but at least `VOLUME_BARS_LEAST`."""
VOLUME_BARS_LEAST = 5


class Ema:
    """Exponential moving average that starts at its first value; `value` is None before `length` values."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._weight = 2.0 / (length + 1)
        self._seen = 0
        self._value = 0.0

    def update(self, value: float) -> None:
        self._value = self._value + self._weight * (value - self._value) if self._seen else value
        self._seen += 1

    @property
    def value(self) -> float | None:
        return self._value if self._seen >= self._length else None


class Wilder:
    """Wilder's average: the mean of the first 14 values, then 1/14 of each new one."""

    def __init__(self) -> None:
        self._seen = 0
        self._value = 0.0

    def update(self, value: float) -> None:
        self._seen += 1
        self._value += (value - self._value) / min(self._seen, LENGTH)

    @property
    def value(self) -> float | None:
        return self._value if self._seen >= LENGTH else None


class Indicators:
    """ATR(14), RSI(14), EMA 8, 21 and 50, volume against its average, and trend strength of one timeframe."""

    def __init__(self) -> None:
        self.ema_8 = Ema(8)
        self.ema_21 = Ema(21)
        self.ema_50 = Ema(50)
        self._range = Wilder()
        self._gain = Wilder()
        self._loss = Wilder()
        self._close: float | None = None
        self._volumes: deque[int] = deque(maxlen=VOLUME_BARS)
        self._volume_sum = 0
        self.volume_vs_avg: float | None = None
        """Volume of the last bar over the mean volume of up to 20 bars before it."""

    def update(self, high: float, low: float, close: float, volume: int) -> None:
        before = self._close
        if before is None:
            self._range.update(high - low)
        else:
            self._range.update(max(high, before) - min(low, before))
            self._gain.update(max(close - before, 0.0))
            self._loss.update(max(before - close, 0.0))
        self._close = close
        for ema in (self.ema_8, self.ema_21, self.ema_50):
            ema.update(close)
        self._weigh(volume)

    @property
    def atr(self) -> float | None:
        return self._range.value

    @property
    def rsi(self) -> float | None:
        """0 to 100; 50 where the price never moved."""
        gain, loss = self._gain.value, self._loss.value
        if gain is None or loss is None:
            return None
        return 50.0 if gain + loss == 0 else 100.0 * gain / (gain + loss)

    @property
    def trend_strength(self) -> float | None:
        """0 to 100: how far EMA 8 and EMA 21 are apart, as a percentage of one ATR(14), 100 at most."""
        fast, slow, atr = self.ema_8.value, self.ema_21.value, self.atr
        if fast is None or slow is None or atr is None:
            return None
        apart = abs(fast - slow)
        return min(100.0, 100.0 * apart / atr) if atr > 0 else 0.0

    @property
    def bias(self) -> Bias | None:
        """The sign of EMA 8 − EMA 21; None until both are known."""
        fast, slow = self.ema_8.value, self.ema_21.value
        if fast is None or slow is None:
            return None
        if fast == slow:
            return Bias.NEUTRAL
        return Bias.LONG if fast > slow else Bias.SHORT

    def _weigh(self, volume: int) -> None:
        known = len(self._volumes)
        enough = known >= VOLUME_BARS_LEAST and self._volume_sum > 0
        self.volume_vs_avg = volume * known / self._volume_sum if enough else None
        if known == VOLUME_BARS:
            self._volume_sum -= self._volumes[0]
        self._volumes.append(volume)
        self._volume_sum += volume
