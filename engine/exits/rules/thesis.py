"""The reason to hold it is gone: an opposite EXECUTE, a contradiction on the board, or the sender's exit notice."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, ExitReason, Priority
from engine.exits.context import ExitContext
from engine.exits.rules.base import Proof, describe
from engine.settings import ExitSettings


@dataclass(frozen=True, slots=True)
class ThesisBroken:
    name: str = "thesis"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        broken = position.thesis_broken
        return describe(
            "thesis",
            ExitReason.THESIS_BROKEN,
            Priority.HIGH,
            ExitAction.TICKET,
            distance="stands",
            nearness=1.0,
            fired=bool(broken),
            level=broken,
            quantity=position.quantity,
            **({"why": broken} if broken else {}),
        )
