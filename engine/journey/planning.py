"""Plan: what will end the position, decided when it is entered. The premium's part is a setting, the underlying's the signal's."""

from __future__ import annotations

from engine.domain.entities import ExitPlan
from engine.domain.signals import ActiveSignal, Decision
from engine.domain.values import Bucket, Timeframe, money
from engine.journey.step import Step

OWN_STOP = frozenset({Timeframe.H1, Timeframe.H4})
"""A slow trigger brings its own stop and targets; a fast one only times the entry."""


def fractions(step: Step, bucket: Bucket) -> ExitPlan:
    exits = step.settings.exits
    return ExitPlan(stop_fraction=exits.stop_loss, profit_fraction=exits.profit_target)


def plan_of_signal(step: Step, trigger: ActiveSignal, bucket: Bucket) -> ExitPlan:
    signal = trigger.signal
    base = fractions(step, bucket)
    return ExitPlan(
        stop_fraction=base.stop_fraction,
        profit_fraction=base.profit_fraction,
        underlying_stop=money(signal.stop_loss),
        target_1=money(signal.target_1),
        target_2=money(signal.target_2),
    )


def plan_of_decision(step: Step, decision: Decision, trigger: ActiveSignal, bucket: Bucket) -> ExitPlan:
    """The ticket's stop and targets are the decision's; a 60 or 240 minute trigger brings its own, shown beside."""
    base = fractions(step, bucket)
    stop, target_1, target_2 = (
        money(price) if price is not None else None
        for price in (decision.stop_loss, decision.target_1, decision.target_2)
    )
    own = trigger.signal.timeframe in OWN_STOP
    signal = trigger.signal
    return ExitPlan(
        stop_fraction=base.stop_fraction,
        profit_fraction=base.profit_fraction,
        underlying_stop=money(signal.stop_loss) if own else stop,
        target_1=money(signal.target_1) if own else target_1,
        target_2=money(signal.target_2) if own else target_2,
        decision_stop=stop,
        decision_target_1=target_1,
        decision_target_2=target_2,
    )
