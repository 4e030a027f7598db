"""Whether the desk's turns come late for long enough that a person notices. A single late turn is no news on a busy machine.

Fed and asked by who turns the desk. Time is passed in, on any clock that only goes on.
"""

from __future__ import annotations

import math
from collections import deque

WINDOW = 5.0
"""Seconds over which turns are judged."""
LATE, AGAIN = 100.0, 50.0
"""Milliseconds: over the first a person sees figures stutter; below the second all is well again."""
BEGINS, ENDS = 2.0, 5.0
"""Seconds for which it must be so before it is said, and before it is taken back."""


class Lag:
    """Attributes: late, what was said last; p99, milliseconds that one turn in a hundred of the window was late, or more."""

    def __init__(self) -> None:
        self.late = False
        self.p99 = 0.0
        self._turns: deque[tuple[float, float]] = deque()
        self._since: float | None = None
        """Since when the turns speak against what is said."""

    def note(self, at: float, milliseconds: float) -> None:
        """A turn that began so late."""
        turns = self._turns
        turns.append((at, milliseconds))
        while turns[0][0] < at - WINDOW:
            turns.popleft()
        lateness = sorted(late for _, late in turns)
        self.p99 = lateness[math.ceil(0.99 * len(lateness)) - 1]
        if (self.p99 >= AGAIN) if self.late else (self.p99 <= LATE):
            self._since = None
            return
        if self._since is None:
            self._since = at
        if at - self._since >= (ENDS if self.late else BEGINS):
            self.late, self._since = not self.late, None
