"""The soak: many seeds on several processes, what they met, and the first one that broke a rule.

    python -m tests.simulation.run --seeds 100000 --from 1 --processes 2 [--minutes 30] [--keep FILE]
    python -m tests.simulation.run --seed 1234 --story
    python -m tests.simulation.run --planted all --seeds 2000

`--keep FILE` goes on where the last call with that file ended and adds up. Ends 1 when a rule was broken, or when a kind
of fault was never met.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path

from engine.pricing.kernels import runtime
from tests.simulation.coverage import Coverage
from tests.simulation.plan import Outcome
from tests.simulation.planted import PLANTED
from tests.simulation.simulation import simulate

KERNELS = Path(__file__).resolve().parent.parent.parent / "build" / "kernels"
"""Where compiled pricing is kept between calls."""
LONGEST_SEED = 120
"""Seconds of real time after which a seed is given up, with its stack: no virtual time goes on where that happens."""
SHARE = 10
"""Seeds that a process takes at a time: few, for at the end one process waits for the other's last."""
ENOUGH = 200
"""From so many seeds on, a kind of fault that was never met is a failure."""


@dataclass(slots=True)
class Sum:
    """Many seeds added up."""

    seeds: int = 0
    facts: int = 0
    signals: int = 0
    orders: int = 0
    crashes: int = 0
    faults: int = 0
    busy: float = 0.0
    """Processor seconds."""
    coverage: Coverage = field(default_factory=Coverage)
    broken: list[tuple[int, str, str]] = field(default_factory=list)
    """(seed, rule, what)"""

    def take(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.facts += outcome.facts
        self.signals += outcome.signals
        self.orders += outcome.orders
        self.crashes += outcome.crashes
        self.faults += outcome.faults
        self.coverage.add(outcome.coverage)
        if outcome.violation:
            self.broken.append((outcome.seed, outcome.rule, outcome.violation))

    def add(self, other: Sum) -> None:
        for name in ("seeds", "facts", "signals", "orders", "crashes", "faults", "busy"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.coverage.add(other.coverage)
        self.broken = sorted(self.broken + other.broken)


def warm() -> None:
    """Compiled pricing gives the same bits as numpy's, only sooner."""
    runtime.prepare(KERNELS)
    runtime.warm()
    simulate(0)  # what is read or worked out once
    gc.collect()
    gc.freeze()


def share(first: int, count: int, stop_at_once: bool, planted: str = "") -> Sum:
    """Some seeds, in this process."""
    done, began = Sum(), time.process_time()
    gc.disable()  # a run leaves cycles, which are cheaper collected in between
    with ExitStack() as stack:
        if planted:
            stack.enter_context(PLANTED[planted].plant())
        parent = parent_process()
        for seed in range(first, first + count):
            if parent is not None and not parent.is_alive():
                break  # nobody waits for it any more
            faulthandler.dump_traceback_later(LONGEST_SEED, exit=True)
            done.take(simulate(seed))
            faulthandler.cancel_dump_traceback_later()
            if seed % 10 == 0:
                gc.collect()
            if done.broken and stop_at_once:
                break
    gc.enable()
    done.busy = time.process_time() - began
    return done


def shares(first: int, count: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, SHARE):
        yield start, min(SHARE, first + count - start)


def soak(first: int, count: int, processes: int, until: float | None, go_on: bool) -> tuple[Sum, int]:
    """Play seeds `first` and on, until the first that breaks a rule unless `go_on`; and the first not played.

    Told to stop (SIGTERM), it ends with the seeds under way, and what was played counts.
    """
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    total, waiting, following = Sum(), shares(first, count), first
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=warm) as pool:
        running = {
            pool.submit(share, *one, not go_on): one
            for one in [next(waiting, None) for _ in range(2 * processes)]
            if one
        }
        while running:
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                start, size = running.pop(future)
                total.add(future.result())
                following = max(following, start + size)
            halt = told or (total.broken and not go_on) or (until is not None and time.monotonic() > until)
            for _ in finished:
                one = None if halt else next(waiting, None)
                if one is not None:
                    running[pool.submit(share, *one, not go_on)] = one
    return total, following


def find(name: str, count: int) -> tuple[str, Sum]:
    """Plant one fault in the engine and play seeds until it is found."""
    return name, share(1, count, True, name)


def hunt(names: list[str], count: int, processes: int) -> int:
    """The table of planted faults."""
    missed = 0
    print(f"{'planted':44} {'first seed':>10} {'seeds run':>10}  found by")
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=warm) as pool:
        for name, done in pool.map(find, names, [count] * len(names)):
            if done.broken:
                seed, rule, what = done.broken[0]
                print(f"{PLANTED[name].what:44} {seed:>10} {done.seeds:>10}  {rule} ({what[:120]})", flush=True)
            else:
                missed += 1
                print(f"{PLANTED[name].what:44} {'never':>10} {done.seeds:>10}", flush=True)
    return missed


def story(seed: int) -> Outcome:
    """Print what happened, line by line."""
    outcome = simulate(seed, print)
    print(outcome.violation or f"every rule held; {outcome.facts} facts, ledger {outcome.digest}")
    return outcome


def load(keep: Path, total: Sum) -> int | None:
    """Add what an earlier call kept; where it ended."""
    if not keep.exists():
        return None
    kept = json.loads(keep.read_text(encoding="utf-8"))
    for name in ("seeds", "facts", "signals", "orders", "crashes", "faults", "busy"):
        setattr(total, name, kept[name])
    for name in Coverage.__slots__:
        setattr(total.coverage, name, Counter(kept["coverage"][name]))
    total.broken = [tuple(one) for one in kept["broken"]]
    return int(kept["next"])


def save(keep: Path, total: Sum, following: int, wall: float) -> None:
    kept: dict[str, object] = {
        name: getattr(total, name)
        for name in ("seeds", "facts", "signals", "orders", "crashes", "faults", "busy", "broken")
    }
    kept["coverage"] = {name: dict(getattr(total.coverage, name)) for name in Coverage.__slots__}
    kept["next"], kept["wall"] = following, wall
    keep.write_text(json.dumps(kept), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, help="stop after this long")
    parser.add_argument("--keep", type=Path, help="add up in this file, and go on from where it ends")
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first broken rule")
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--story", action="store_true", help="print what happens in it")
    parser.add_argument("--planted", help=f"all, or one of: {', '.join(PLANTED)}")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        outcome = story(asked.seed) if asked.story else simulate(asked.seed)
        print(f"seed {outcome.seed}: {outcome.violation or 'every rule held'}, ledger {outcome.digest}")
        return int(bool(outcome.violation))
    if asked.planted:
        names = list(PLANTED) if asked.planted == "all" else asked.planted.split(",")
        return int(hunt(names, asked.seeds, asked.processes) > 0)
    return _soak(asked)


def _soak(asked: argparse.Namespace) -> int:
    total = Sum()
    first = asked.first
    if asked.keep is not None:
        first = load(asked.keep, total) or first
    last = asked.first + asked.seeds
    began = time.monotonic()
    until = began + asked.minutes * 60 if asked.minutes else None
    done, following = soak(first, max(last - first, 0), asked.processes, until, asked.go_on)
    wall = time.monotonic() - began
    total.add(done)
    if asked.keep is not None:
        save(asked.keep, total, following, wall)
    print(
        f"{done.seeds:,} seeds in {wall:.1f} s on {asked.processes} processes: {done.seeds / wall:.1f} seeds a second"
    )
    print(
        f"in all {total.seeds:,} seeds, {total.facts:,} facts, {total.signals:,} signals, {total.orders:,} orders, "
        f"{total.faults:,} faults, {total.crashes:,} crashes; {1000 * total.busy / max(total.seeds, 1):.1f} ms of processor a seed"
    )
    print(total.coverage.table())
    if following < last:
        print(f"go on with --from {following} --seeds {last - following}")
    for seed, rule, what in total.broken[:10]:
        print(f"seed {seed} broke a rule: {what}\n  python -m tests.simulation.run --seed {seed} --story   # {rule}")
    if not total.broken:
        print("every rule held")
    return int(bool(total.broken) or (total.seeds >= ENOUGH and bool(total.coverage.never)))


if __name__ == "__main__":
    sys.exit(main())
