"""How pricing is timed: jobs taken in turn, round after round, on one core; medians. Used by the sections of `bench pricing`."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

Row = dict[str, str]
"""`what`, `figure`, and `bar` where there is a goal."""


class Section(NamedTuple):
    """One part of `bench pricing`. `run` measures and gives its rows."""

    name: str
    run: Callable[[], list[Row]]


class Job(NamedTuple):
    """Something that prices `contracts` contracts when called; what it returns is handed on from its last round."""

    name: str
    call: Callable[[], Any]
    contracts: int


class Timing(NamedTuple):
    nanoseconds: float
    """A contract, median of the rounds."""
    best: float
    """The same of the best round: what is left of it when the machine is busy with other things."""
    answer: Any

    def of(self, contracts: int) -> str:
        """For a table: a contract, and a whole chain."""
        whole = f"{self.nanoseconds * contracts / 1e6:,.2f} ms for {contracts:,}"
        return f"{self.nanoseconds:,.1f} ns a contract (best {self.best:,.1f}), {whole}"


def row(what: str, figure: str, bar: str = "") -> Row:
    return {"what": what, "figure": figure, "bar": bar}


def rounds_of(quick: bool) -> int:
    return 3 if quick else 11


def in_turn(jobs: Sequence[Job], rounds: int) -> dict[str, Timing]:
    """Every job once untimed, then all of them in each round, so that a slow moment of the machine meets all alike."""
    answers = {job.name: job.call() for job in jobs}
    taken: dict[str, list[float]] = {job.name: [] for job in jobs}
    for _ in range(rounds):
        for job in jobs:
            begun = time.perf_counter_ns()
            answers[job.name] = job.call()
            taken[job.name].append((time.perf_counter_ns() - begun) / job.contracts)
    return {name: Timing(statistics.median(times), min(times), answers[name]) for name, times in taken.items()}


@contextlib.contextmanager
def one_core() -> Iterator[str]:
    """Hold this process to one core where the system can; says what was done. Libraries loaded inside start one thread."""
    for variable in ("RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    if not hasattr(os, "sched_setaffinity"):
        yield "not pinned"
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield "pinned to one core"
    finally:
        os.sched_setaffinity(0, allowed)
