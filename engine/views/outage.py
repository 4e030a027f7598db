"""The ledger's database away or behind, as a trader must know it: since when, what waits, what goes on and what does not.

Made once a look by who composes the desk's views, with its edges as lines for the log. It reports what the engine's own rules
(`engine.journey.behind`) already do, and decides nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from engine.domain.views import Outage
from engine.settings import LedgerSettings
from engine.views.desk import Vitals
from engine.views.seen import age

NOTICED = 1.0
"""Seconds of it before it is said: a single slow commit is nobody's business."""

BEHIND, STOPPED, LOST = "LEDGER BEHIND", "NO NEW ENTRIES", "NOTHING IS KEPT"
_GOES_ON = {
    BEHIND: "entries and exits go on",
    STOPPED: "exits, closes, cancels and halts go on",
    LOST: "closes, halts, cancels are taken; exit orders wait",
}


class Edge(NamedTuple):
    """A line for the log: when something about it changed."""

    level: str
    text: str


class Outages:
    """Looks at the ledger once a turn, and remembers since when it has not kept up."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        """Engine time of the first look that saw it."""
        self._began = 0.0
        self._most = 0
        """Facts that waited, at worst."""
        self._word = ""
        """What is said now; empty while nothing is."""

    def look(self, vitals: Vitals, limits: LedgerSettings, now: datetime) -> tuple[Outage | None, tuple[Edge, ...]]:
        """What to say of it now, and what changed since the last look."""
        spooled = vitals.ledger_spooled
        if vitals.ledger_available and spooled is None:
            return None, self._over(vitals.clock)
        if self._since is None:
            self._since, self._began, self._most = now, vitals.clock, 0
        seconds = spooled.seconds if spooled is not None else vitals.clock - self._began
        facts = spooled.facts if spooled is not None else 0
        self._most = max(self._most, facts)
        word = _word(vitals, limits, seconds, facts)
        if not self._word and word == BEHIND and seconds < NOTICED:
            return None, ()
        edges = () if word == self._word else (self._edge(word, vitals, limits),)
        self._word = word
        outage = Outage(
            word=word,
            grave=word != BEHIND,
            since=self._since,
            lasts=age(seconds),
            facts=facts,
            goes_on=_GOES_ON[word],
            stops=_stops(word, limits),
            reason=spooled.reason if spooled is not None else "",
        )
        return outage, edges

    def _over(self, clock: float) -> tuple[Edge, ...]:
        word, lasted, most = self._word, clock - self._began, self._most
        self._since, self._word = None, ""
        if not word:
            return ()
        moved = f"; {_facts(most)} waited and {'is' if most == 1 else 'are'} in the database now" if most else ""
        entries = "" if word == BEHIND else "; new entries are possible again"
        return (Edge("info", f"the database keeps up again after {_span(lasted)}{moved}{entries}"),)

    def _edge(self, word: str, vitals: Vitals, limits: LedgerSettings) -> Edge:
        spooled = vitals.ledger_spooled
        why = f" ({spooled.reason})" if spooled is not None and spooled.reason else ""
        waiting = ""
        if spooled is not None:
            waiting = f"; {_facts(spooled.facts)} {'waits' if spooled.facts == 1 else 'wait'} in the spool"
        level = "error" if word == LOST else "warning"
        return Edge(level, f"{word}: {vitals.ledger_name}{why}{waiting}; {_stops(word, limits)}; {_GOES_ON[word]}")


def _word(vitals: Vitals, limits: LedgerSettings, seconds: float, facts: int) -> str:
    if not vitals.ledger_available:
        return LOST
    return BEHIND if seconds < limits.risk_seconds and facts < limits.risk_facts else STOPPED


def _stops(word: str, limits: LedgerSettings) -> str:
    if word == BEHIND:
        return f"new entries stop at {limits.risk_seconds:g} s or {limits.risk_facts:,} facts"
    return "new entries are refused" + (", webhooks answered 503" if word == LOST else "")


def _facts(count: int) -> str:
    return "1 fact" if count == 1 else f"{count:,} facts"


def _span(seconds: float) -> str:
    """Two units: `30 s`, `1 m 20 s`, `1 h 2 m`, `2 d 3 h`."""
    whole = round(max(0.0, seconds))
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} m"
    return f"{minutes} m {whole % 60} s" if minutes else f"{whole} s"
