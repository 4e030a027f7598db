"""Hear: one receipt becomes one durable fact, before anything is decided from it."""

from __future__ import annotations

from datetime import timedelta

from engine.domain import events as ev
from engine.domain.signals import Phase, Signal, Trend
from engine.intake.payloads import Heard
from engine.journey.step import Step
from engine.ports import Clock


def hear(step: Step, heard: Heard, known: dict[str, int], clock: Clock) -> ev.AnyFact:
    """The fact that keeps this receipt: understood, refused or a duplicate. `known` are the dedupe keys so far."""
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
    original = known.get(heard.key)
    if original is not None:
        return step.emit(ev.DuplicateReceived, cause=original, receipt=receipt, original=original)
    fact: ev.AnyFact
    value = heard.value
    if isinstance(value, Signal):
        late = (receipt.wall - value.bar_close) / timedelta(seconds=1)
        fact = step.emit(ev.SignalReceived, receipt=receipt, signal=value, late=late)
    elif isinstance(value, Phase):
        fact = step.emit(ev.PhaseReceived, receipt=receipt, phase=value)
    elif isinstance(value, Trend):
        fact = step.emit(ev.TrendReceived, receipt=receipt, trend=value)
    else:
        assert value is not None, "a body that was not refused was understood"
        fact = step.emit(ev.ExitNoticeReceived, receipt=receipt, notice=value)
    step.keys[heard.key] = fact.seq
    known[heard.key] = fact.seq
    return fact
