"""Whether the desk's turns come late for long enough that a person notices. A single late turn is no news on a busy machine.

The rule: at least three turns of the last five seconds were over 100 ms late, the first and the last of them two seconds
or more apart. Fed and asked by who turns the desk. Time is passed in, on any clock that only goes on.
"""

from __future__ import annotations

from collections import deque

WINDOW = 5.0
"""Seconds over which turns are judged; where the last `TURNS` reach further back, those are judged."""
LATE, AGAIN = 100.0, 50.0
"""Milliseconds: over the first a person sees figures stutter; up to the second all is well again."""
TURNS, SPREAD = 3, 2.0
"""So many late turns, over at least so many seconds, are more than a hiccup or two."""
ENDS = 5.0
"""Seconds for which the same rule must not hold at `AGAIN` before it is taken back."""


class Lag:
    """Attributes: late, what was said last; worst, how late the worst turn of the window was, milliseconds."""

    def __init__(self) -> None:
        self.late = False
        self.worst = 0.0
        self._turns: deque[tuple[float, float]] = deque()
        self._well_since: float | None = None

    def note(self, at: float, milliseconds: float) -> None:
        """A turn that began so late."""
        turns = self._turns
        turns.append((at, milliseconds))
        # Turns that take seconds each are the worst of all, and only a few of them fit into the window.
        while len(turns) > TURNS and turns[0][0] < at - WINDOW:
            turns.popleft()
        self.worst = max(late for _, late in turns)
        if not self.late:
            self.late = self._lasting(LATE)
        elif self._lasting(AGAIN):
            self._well_since = None
        elif self._well_since is None:
            self._well_since = at
        elif at - self._well_since >= ENDS:
            self.late, self._well_since = False, None
            turns.clear()  # what was told is over: the next time needs late turns of its own

    def _lasting(self, limit: float) -> bool:
        over = [at for at, late in self._turns if late > limit]
        return len(over) >= TURNS and over[-1] - over[0] >= SPREAD
