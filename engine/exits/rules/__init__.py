"""The exit rules, worst first: at equal priority the earlier one gives the reason."""

from __future__ import annotations

from engine.exits.rules.base import Proof, Rule
from engine.exits.rules.clock import ExpiresTomorrow, ExpiryClock, ExpiryWarning, MaxHold
from engine.exits.rules.greeks import DeltaLimit, GammaRisk, IvCrush, ThetaDecay
from engine.exits.rules.premium import ProfitTarget, StopLoss, TrailingStop
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
    ThetaDecay(),
    GammaRisk(),
    IvCrush(),
    DeltaLimit(),
    MaxHold(),
)

__all__ = ["RULES", "Proof", "Rule"]
