"""The worst of the recent past: a window that forgets, so that a lamp tells of now and not of the worst hour."""

from __future__ import annotations

from collections import deque


class Lately:
    """Largest figure noted in the last `window` seconds, to the second. Time is passed in, on any clock that only goes on."""

    def __init__(self, window: float = 60.0) -> None:
        self._window = window
        self._worst: deque[tuple[float, float]] = deque()
        """(when, figure), figures falling: each later one is only kept because the larger before it will be forgotten."""

    def note(self, at: float, figure: float) -> None:
        while self._worst and self._worst[-1][1] <= figure:
            self._worst.pop()
        self._worst.append((at, figure))

    def worst(self, at: float) -> float:
        """0 when nothing was noted in the window."""
        while self._worst and self._worst[0][0] < at - self._window:
            self._worst.popleft()
        return self._worst[0][1] if self._worst else 0.0
