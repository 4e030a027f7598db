"""The rules of an entry: small objects, one question each, in the order in which they are asked."""

from __future__ import annotations

from engine.risk.rules.base import Rule
from engine.risk.rules.capital import (
    BuyingPower,
    DayBudget,
    DeltaDollars,
    FewPositions,
    GroupConcentration,
    Heat,
    PositionCap,
    SymbolConcentration,
)
from engine.risk.rules.gates import (
    DrawdownBelowHalt,
    EntryRate,
    FreshQuotes,
    InSession,
    NotDuplicate,
    NotHalted,
)
from engine.risk.rules.price import (
    LittleDrift,
    RewardWorthRisk,
    StopFarEnough,
    StopNotBreached,
    TargetAhead,
)
from engine.risk.rules.sensitivity import Stress, ThetaToClose, Vega, ZeroDtePremium

GATES: tuple[Rule, ...] = (
    NotHalted(),
    DrawdownBelowHalt(),
    InSession(),
    FreshQuotes(),
    EntryRate(),
    NotDuplicate(),
    StopNotBreached(),
    StopFarEnough(),
    TargetAhead(),
    LittleDrift(),
    RewardWorthRisk(),
)
"""Asked before the size: none of them depends on it."""

LIMITS: tuple[Rule, ...] = (
    FewPositions(),
    PositionCap(),
    Heat(),
    SymbolConcentration(),
    GroupConcentration(),
    DayBudget(),
    DeltaDollars(),
    ZeroDtePremium(),
    ThetaToClose(),
    Vega(),
    Stress(),
    BuyingPower(),
)
"""Asked for a quantity, and again for a reduced one."""

RULES: tuple[Rule, ...] = GATES + LIMITS
