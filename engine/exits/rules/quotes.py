"""The alarm when a position's quote has been unusable for long: its stops then stand on the model's value, or on nothing."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import ExitAction, ExitReason, Priority
from engine.exits.context import ExitContext
from engine.exits.rules.base import Proof, describe
from engine.settings import ExitSettings


@dataclass(frozen=True, slots=True)
class QuoteUnreliable:
    """Says it once, and again only after a believable quote. It never closes: the premium's own rules do."""

    name: str = "quote unreliable"
    proof: Proof = Proof.NONE

    def distance(
        self, position: Position, mark: Mark, context: ExitContext, settings: ExitSettings
    ) -> ExitDistance | None:
        if not mark.unreliable or mark.stale_since is None:
            return None
        quote = mark.quote
        return describe(
            self.name,
            ExitReason.RISK_MANAGEMENT,
            Priority.HIGH,
            ExitAction.ALERT,
            distance="now",
            nearness=0.0,
            fired=True,
            bid="n/a" if quote is None or quote.bid is None else quote.bid,
            ask="n/a" if quote is None or quote.ask is None else quote.ask,
            age="n/a" if quote is None else f"{quote.age(context.now):.0f}s",
            unusable=f"{(context.now - mark.stale_since).total_seconds():.0f}s",
            model=mark.price if mark.model else "n/a",
        )
