"""The conductor's pulse: how its steps went lately, and when receipts reached their milestones. Shown, measured, never acted on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MILESTONES = 4000
"""How many of the last receipts' milestones are kept for the health panel and the benchmarks."""


@dataclass(slots=True)
class Pulse:
    """What the health panel and /metrics show of the conductor."""

    steps: int = 0
    facts: int = 0
    slowest_step: float = 0.0
    """Of the whole run, seconds."""
    slowest_lately: float = 0.0
    """Since `take_slowest` was last called, seconds."""
    weighing: int = 0
    warm: bool = False
    """Every watched symbol's bars and chain are ready."""
    last_receipt: float | None = None
    """Loop time of the last receipt."""
    milestones: deque[tuple[str, int, float]] = field(default_factory=lambda: deque(maxlen=MILESTONES))
    """(`decided` or `filled`, seq of the receipt, `perf_counter` when that was durable), newest last."""

    def note_step(self, took: float, facts: int) -> None:
        self.steps += 1
        self.facts += facts
        self.slowest_step = max(self.slowest_step, took)
        self.slowest_lately = max(self.slowest_lately, took)

    def take_slowest(self) -> float:
        """The slowest step since the last call, seconds: for who shows the recent past."""
        took, self.slowest_lately = self.slowest_lately, 0.0
        return took
