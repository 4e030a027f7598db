"""What a benchmark does now, said on standard error; and a way out on SIGTERM that stops the servers it started."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a program that was told to stop."""


def now(what: str) -> None:
    """`bench: ledger, bulk`."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def stopped_in_order() -> Iterator[None]:
    """SIGTERM leaves as an error does: through every `finally`, so that no server stays behind. Told again, it goes on leaving."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        now("told to stop; stopping what was started")
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
