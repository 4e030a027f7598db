"""What a check of the ledger found: counted, named, and said in sentences. Made by `verify`, shown by the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from engine.domain.canonical import time_text
from engine.ports import Head

MAX_SHOWN = 1000


class Fault(StrEnum):
    """What can be wrong with a ledger."""

    ALTERED = "altered"
    """The stored hash is not that of the stored text."""
    UNLINKED = "unlinked"
    """It does not name its predecessor's hash."""
    MISSING = "missing"
    DOUBLED = "doubled"
    CHAIN = "chain"
    """Ledger and chain table differ."""
    COLUMNS = "columns"
    """A column says something else than the text."""
    UNREADABLE = "unreadable"
    HEAD = "head"
    """The end is not the one known from elsewhere."""
    DEDUPE = "dedupe"
    GUARD = "guard"
    """A trigger or partition that protects the facts is missing or switched off."""
    RIGHTS = "rights"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `at`: engine time of the fact, or of the last sound one before it."""

    fault: Fault
    text: str
    seq: int | None = None
    at: datetime | None = None

    def __str__(self) -> str:
        where = "" if self.seq is None else f"fact {self.seq}: "
        return f"{where}{self.text}" + (f" (since {time_text(self.at)})" if self.at else "")


@dataclass(slots=True)
class Report:
    """The outcome of a check. The first thousand problems are kept; `count` counts all."""

    facts: int = 0
    head: Head | None = None
    problems: list[Problem] = field(default_factory=list)
    count: int = 0
    notes: list[str] = field(default_factory=list)
    """Worth knowing, not wrong."""

    @property
    def ok(self) -> bool:
        return self.count == 0

    def add(self, fault: Fault, text: str, seq: int | None = None, at: datetime | None = None) -> None:
        self.count += 1
        if len(self.problems) < MAX_SHOWN:
            self.problems.append(Problem(fault, text, seq, at))
