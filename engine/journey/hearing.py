"""Hear: one receipt becomes one durable fact, before anything is decided from it."""

from __future__ import annotations

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


def known_from(keys: Mapping[str, int], state: State) -> Known:
    """What a ledger's keys say after a restart. A key with its place (`…@12`) only counts while it is recent."""
    known = Known()
    for key, seq in sorted(keys.items(), key=lambda item: item[1]):
        base, mark, _ = key.rpartition("@")
        if not mark or not base.startswith("sha256:"):
            known.keys[key] = seq
        elif seq in state.heard:
            known.recent[base] = (seq, state.heard[seq].at)
    return known
