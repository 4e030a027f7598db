"""What a run met: faults, facts, order states and transitions, exit reasons, refusals. Counted, added up, printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from engine.domain.values import OrderState
from engine.orders import oms

FAULTS = (
    # the broker and its line
    "late word", "doubled word", "reordered words", "dropped word", "word lost while disconnected", "partial fill",
    "fill before acknowledgement", "late fill after cancel", "rejected", "expired at the exchange",
    "1100 disconnected", "1101 data lost", "1102 data kept", "broker id given out again",
    "traded elsewhere", "handed over while disconnected", "handed over and lost",
    "failed evidence", "evidence in part", "slow evidence", "evidence while disconnected",
    # the market
    "crossed quotes", "stale quotes", "one-sided quotes", "wide quotes", "no quotes", "halted", "locked quotes",
    "jump", "gap", "night",
    # the ledger
    "ledger stalls", "ledger away", "slow acknowledgement", "answer of a commit lost", "spooled", "torn frame",
    # senders
    "late alert", "repeated alert", "resent alert", "garbage", "no answer",
    # the machine
    "crash", "crash in recovery", "start without a ledger", "long darkness",
)  # fmt: skip
"""Every kind of fault there is. One that a whole run of seeds never met fails it."""
STATES = tuple(state.value for state in OrderState if state is not OrderState.DENIED)
"""States an order must have been in. Nothing denies an order after its intent: what is refused is refused before it."""


@dataclass(slots=True)
class Coverage:
    faults: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    persons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        for name in self.__slots__:
            getattr(self, name).update(getattr(other, name))

    @property
    def never(self) -> list[str]:
        """Fault kinds that were not met, and states that no order was in."""
        reached = {name.partition(" > ")[2].partition(" by ")[0] for name in self.transitions}
        return [fault for fault in FAULTS if not self.faults[fault]] + [
            f"state {state}" for state in STATES if state not in reached
        ]

    @property
    def untried(self) -> list[str]:
        """What the fold of orders allows and nothing did."""
        done = {(name.partition(" > ")[0], name.rpartition(" by ")[2]) for name in self.transitions}
        allowed = [(state.value, fact.__name__) for fact, (states, _) in oms._TRANSITIONS.items() for state in states]
        return sorted(f"{fact} of {state}" for state, fact in allowed if (state, fact) not in done)

    def table(self) -> str:
        """Every kind with its count, in columns."""
        lines = []
        for name in self.__slots__:
            counts: Counter[str] = getattr(self, name)
            lines.append(f"{name} ({len(counts)} kinds)")
            cells = [f"{kind} {count:,}" for kind, count in sorted(counts.items())]
            lines += ["  " + "; ".join(cells[start : start + 5]) for start in range(0, len(cells), 5)]
        if self.untried:
            lines.append(f"allowed by the fold of orders and never tried: {', '.join(self.untried)}")
        if self.never:
            lines.append(f"never met: {', '.join(self.never)}")
        return "\n".join(lines)
