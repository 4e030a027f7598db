"""Hear: one receipt becomes one durable fact, before anything is decided from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.domain import events as ev
from engine.domain.signals import ExitNotice, Phase, Signal, Trend
from engine.intake.payloads import Heard
from engine.journey.step import Step
from engine.ports import Clock
from engine.state import State


@dataclass(slots=True)
class Known:
    """Receipts heard so far, by dedupe key."""

    keys: dict[str, int] = field(default_factory=dict)
    recent: dict[str, tuple[int, datetime]] = field(default_factory=dict)
    """Bodies without a time of their own, by their digest: duplicates only for a while."""
    since: datetime | None = None
    """Only keys heard later, by this machine's clock, are in `keys`; None: all there ever were."""

    def unsure(self, heard: Heard, wall: datetime) -> bool:
        """Whether this receipt may repeat one that is too old to be in `keys`: then the ledger is asked.

        A key holds its sender's time. Unless that clock was more than `SKEW` ahead when it was first heard, a receipt with
        a recent time cannot be an old one.
        """
        if self.since is None or heard.windowed or heard.refusal is not None or heard.key in self.keys:
            return False
        time = own_time(heard.key)
        return time is None or not self.since + SKEW <= time <= wall + SKEW

    def original(self, heard: Heard, now: datetime, window: float) -> int | None:
        """Seq of the receipt this one repeats."""
        if not heard.windowed:
            return self.keys.get(heard.key)
        seq, at = self.recent.get(heard.key, (None, now))
        return seq if seq is not None and (now - at).total_seconds() <= window else None

    def remember(self, key: str, seq: int, at: datetime, window: float) -> None:
        """A body that was heard now; those that no longer count are forgotten, oldest first."""
        self.recent.pop(key, None)
        self.recent[key] = (seq, at)
        for old, (_, since) in list(self.recent.items()):
            if (at - since).total_seconds() <= window:
                break
            del self.recent[old]


SKEW = timedelta(hours=1)
"""How far a sender's clock may be ahead of ours."""


_OWN_TIME = re.compile(r"\d{4}-\d\d-\d\dT[-+.:\dZ]+$")


def own_time(key: str) -> datetime | None:
    """The sender's own time, in which a key ends; None for one that has none (a phase's names its event)."""
    found = _OWN_TIME.search(key)
    try:
        time = datetime.fromisoformat(found[0]) if found is not None else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


def hear(step: Step, heard: Heard, known: Known, clock: Clock) -> ev.AnyFact:
    """The fact that keeps this receipt: understood, refused or a duplicate."""
    receipt = ev.Receipt(
        key=heard.key,
        kind=heard.kind,
        raw=heard.raw,
        sha256=heard.sha256,
        wall=clock.wall(),
        remote=heard.remote,
    )
    if heard.refusal is not None:
        return step.emit(ev.ReceiptRefused, receipt=receipt, refusal=heard.refusal, status=heard.status)
    original = known.original(heard, step.now, step.settings.intake.duplicate_window)
    if original is not None:
        return step.emit(ev.DuplicateReceived, cause=original, receipt=receipt, original=original)
    fact = _understood(step, heard, receipt)
    if heard.windowed:
        # The same body is a new receipt later on, so its key in the ledger names its place too.
        known.remember(heard.key, fact.seq, fact.at, step.settings.intake.duplicate_window)
        step.keys[f"{heard.key}@{fact.seq}"] = fact.seq
    else:
        known.keys[heard.key] = fact.seq
        step.keys[heard.key] = fact.seq
    return fact


def _understood(step: Step, heard: Heard, receipt: ev.Receipt) -> ev.AnyFact:
    match heard.value:
        case Signal() as signal:
            late = (receipt.wall - signal.bar_close) / timedelta(seconds=1)
            return step.emit(ev.SignalReceived, receipt=receipt, signal=signal, late=late)
        case Phase() as phase:
            return step.emit(ev.PhaseReceived, receipt=receipt, phase=phase)
        case Trend() as trend:
            return step.emit(ev.TrendReceived, receipt=receipt, trend=trend)
        case ExitNotice() as notice:
            return step.emit(ev.ExitNoticeReceived, receipt=receipt, notice=notice)
        case None:
            raise ValueError("a body that was not refused says something")


def known_from(keys: Mapping[str, int], state: State, since: datetime | None = None) -> Known:
    """What a ledger's keys say after a restart: all of them, or those heard after `since`. A key with its place (`…@12`)
    only counts while it is recent."""
    known = Known(since=since)
    for key, seq in sorted(keys.items(), key=lambda item: item[1]):
        base, mark, _ = key.rpartition("@")
        if not mark or not base.startswith("sha256:"):
            known.keys[key] = seq
        elif seq in state.heard:
            known.recent[base] = (seq, state.heard[seq].at)
    return known
