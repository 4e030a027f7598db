"""Terms: what a model is told about one expiry besides the contract: rate, carry, and the spot that its forward means.

Made by whoever knows the chain (`engine.market.parity`), passed to all who price. The same terms for a ticket, a mark, a risk rule and a
panel are what makes their figures agree.
"""

from __future__ import annotations

from typing import NamedTuple


class Terms(NamedTuple):
    """Of one underlying and expiry at one moment."""

    rate: float
    """Fraction per year, continuously compounded."""
    carry: float = 0.0
    """Dividends and borrow the options' prices imply, a fraction per year; 0 where nothing is known."""
    basis: float = 1.0
    """The spot by which rate and carry give the parity forward, as a multiple of the quoted spot. 1 without parity."""
    forward: float | None = None
    """Parity forward when the terms were made, dollars; None where parity could not say."""
    pairs: int = 0
    """Strikes that agreed on it."""

    @property
    def by_parity(self) -> bool:
        return self.forward is not None

    @property
    def text(self) -> str:
        """Where the forward is from, as panels say it."""
        return "parity forward" if self.by_parity else "spot, no parity"
