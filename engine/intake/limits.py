"""A token bucket: so many requests a second on average, so many at once. Time is passed in, as monotonic seconds."""

from __future__ import annotations


class Bucket:
    """`rate` 0 switches it off."""

    __slots__ = ("_burst", "_level", "_rate", "_since")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._level = float(burst)
        self._since = now

    def take(self, now: float) -> float:
        """0 when let in; otherwise the seconds to wait."""
        if self._rate == 0:
            return 0.0
        wait = self.wait(now)
        if wait == 0:
            self._level -= 1.0
        return wait

    def wait(self, now: float) -> float:
        """Seconds until the next one would be let in; takes nothing."""
        if self._rate == 0:
            return 0.0
        self._level = min(self._burst, self._level + max(0.0, now - self._since) * self._rate)
        self._since = max(now, self._since)
        return 0.0 if self._level >= 1.0 else (1.0 - self._level) / self._rate
