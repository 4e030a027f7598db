"""The exit rules, worst first: at equal priority the earlier one gives the reason."""

from __future__ import annotations

from engine.domain.values import ExitReason
from engine.exits.rules.base import Proof, Rule
from engine.exits.rules.clock import ExpiresTomorrow, ExpiryClock, ExpiryWarning, MaxHold
from engine.exits.rules.greeks import DeltaLimit, GammaRisk, IvCrush, ThetaDecay
from engine.exits.rules.premium import ProfitTarget, StopLoss, TrailingStop
from engine.exits.rules.quotes import QuoteUnreliable
from engine.exits.rules.thesis import ThesisBroken
from engine.exits.rules.underlying import TargetOne, TargetTwo, UnderlyingStop

RULES: tuple[Rule, ...] = (
    StopLoss(),
    UnderlyingStop(),
    ExpiryClock(),
    ExpiryWarning(),
    TrailingStop(),
    TargetTwo(),
    ProfitTarget(),
    TargetOne(),
    ThesisBroken(),
    ExpiresTomorrow(),
    QuoteUnreliable(),
    ThetaDecay(),
    GammaRisk(),
    IvCrush(),
    DeltaLimit(),
    MaxHold(),
)

ASKING: dict[ExitReason | None, frozenset[str]] = {
    ExitReason.TARGET_1: frozenset({TargetOne().name}),
    ExitReason.TARGET_2: frozenset({TargetTwo().name}),
    ExitReason.PROFIT_TARGET: frozenset({ProfitTarget().name}),
    ExitReason.THESIS_BROKEN: frozenset({ThesisBroken().name}),
    ExitReason.TIME_STOP: frozenset({ExpiresTomorrow().name}),
}
"""Reason of an exit ticket -> the rules that may have asked for it."""

__all__ = ["ASKING", "RULES", "Proof", "Rule"]
