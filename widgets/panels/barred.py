"""What bars every entry now, whatever a ticket's own rules said when it was made: a halt, or a ledger that does not keep up.

Words only. The engine decides; here a person reads it before Enter, not after.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.domain.views import HeaderView, Outage


class Bar(NamedTuple):
    word: str
    """`NO NEW ENTRIES`."""
    why: str


def bar_of(header: HeaderView | None, outage: Outage | None) -> Bar | None:
    """None while entries are taken."""
    if outage is not None and outage.grave:
        return Bar(outage.word, f"the ledger does not keep up; {outage.stops} until it does")
    if header is not None and header.halted:
        reason = f", {header.halt_reason}" if header.halt_reason else ""
        return Bar("HALTED", f"by {header.halt_by}{reason}; entries are refused until a person resumes")
    return None
