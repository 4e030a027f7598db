"""A ledger that does not keep up: when it is said, what is said, and that both edges leave a line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.domain.views import Outage
from engine.journey.behind import behind
from engine.ports import Spooled
from engine.settings import LedgerSettings
from engine.views.outage import BEHIND, LOST, STOPPED, Edge, Outages
from storage.memory import MemoryLedger
from tests.builders_trading import NOON
from tests.unit.views.test_views_desk import vitals
from widgets.outage import outage_words

LIMITS = LedgerSettings()


def spooled(facts: int, seconds: float) -> Spooled:
    return Spooled(facts=facts, seconds=seconds, reason="a commit takes too long")


def look(outages: Outages, clock: float, **fields: object) -> tuple[Outage | None, tuple[Edge, ...]]:
    return outages.look(vitals(clock=clock, **fields), LIMITS, NOON + timedelta(seconds=clock))


def test_a_ledger_that_keeps_up_is_not_spoken_of() -> None:
    assert look(Outages(), 0.0) == (None, ())


def test_a_slow_commit_is_nobodys_business() -> None:
    outages = Outages()
    assert look(outages, 5.0, ledger_spooled=spooled(3, 0.4)) == (None, ())
    assert look(outages, 5.5) == (None, ())


def test_an_outage_from_its_first_edge_to_its_last() -> None:
    outages = Outages()
    look(outages, 5.0, ledger_spooled=spooled(3, 0.0))
    shown, edges = look(outages, 6.5, ledger_spooled=spooled(40, 1.5))
    assert shown is not None
    assert (shown.word, shown.grave, shown.facts, shown.lasts) == (BEHIND, False, 40, 1.5)
    assert shown.since == NOON + timedelta(seconds=5)
    assert shown.stops == "new entries stop at 10 s or 5,000 facts"
    assert [edge.level for edge in edges] == ["warning"]
    assert "40 facts wait in the spool" in edges[0].text
    assert "a commit takes too long" in edges[0].text
    shown, edges = look(outages, 7.0, ledger_spooled=spooled(50, 2.0))
    assert edges == ()  # no line for more of the same
    shown, edges = look(outages, 16.0, ledger_spooled=spooled(400, 11.0))
    assert shown is not None
    assert (shown.word, shown.grave, shown.goes_on) == (STOPPED, True, "exits, closes, cancels and halts go on")
    assert edges[0].text.startswith(STOPPED)
    shown, edges = look(outages, 35.0)
    assert shown is None
    assert edges == (
        Edge("info", "the database keeps up again after 30 s; 400 facts waited and are in the database now; "
             "new entries are possible again"),
    )  # fmt: skip
    assert look(outages, 36.0) == (None, ())


def test_without_a_spool_it_is_said_at_once_and_timed_by_the_desk() -> None:
    outages = Outages()
    shown, edges = look(outages, 100.0, ledger_available=False)
    assert shown is not None
    assert (shown.word, shown.lasts, shown.facts) == (LOST, 0.0, 0)
    assert "webhooks answered 503" in shown.stops
    assert edges[0].level == "error"
    shown, _ = look(outages, 175.0, ledger_available=False)
    assert shown is not None
    assert shown.lasts == 60.0  # to the minute
    _, edges = look(outages, 180.0)
    assert edges == (Edge("info", "the database keeps up again after 1 m 20 s; new entries are possible again"),)


def test_a_second_outage_starts_anew() -> None:
    outages = Outages()
    look(outages, 0.0, ledger_available=False)
    look(outages, 10.0)
    shown, edges = look(outages, 50.0, ledger_available=False)
    assert shown is not None
    assert shown.since == NOON + timedelta(seconds=50)
    assert len(edges) == 1


def test_one_fact_is_one_fact_on_every_line() -> None:
    outages = Outages()
    shown, edges = look(outages, 5.0, ledger_spooled=spooled(1, 1.5))
    assert shown is not None
    assert "; 1 fact waits in the spool; " in edges[0].text
    assert "· 1 fact waits, safe on this disk ·" in outage_words(shown)
    _, edges = look(outages, 9.0)
    assert edges == (Edge("info", "the database keeps up again after 4 s; 1 fact waited and is in the database now"),)
    more, _ = look(Outages(), 5.0, ledger_spooled=spooled(1_204, 1.5))
    assert more is not None
    assert "· 1,204 facts wait, safe on this disk ·" in outage_words(more)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (59.4, "59 s"), (59.6, "1 m 0 s"), (3599, "59 m 59 s"), (3600, "1 h 0 m"), (3725, "1 h 2 m"),
     (86_399, "23 h 59 m"), (183_600, "2 d 3 h")],
)  # fmt: skip
def test_how_long_it_lasted_is_said_in_two_units(seconds: float, words: str) -> None:
    outages = Outages()
    look(outages, 0.0, ledger_available=False)
    _, edges = look(outages, seconds)
    assert edges[0].text.startswith(f"the database keeps up again after {words};")


@pytest.mark.parametrize("facts", [0, 4999, 5000])
@pytest.mark.parametrize("seconds", [1.5, 9.9, 10.0, 300.0])
def test_it_says_no_new_entries_exactly_when_the_engine_refuses_them(
    facts: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = spooled(facts, seconds)
    monkeypatch.setattr(MemoryLedger, "spooled", waiting)
    shown, _ = look(Outages(), 0.0, ledger_spooled=waiting)
    assert shown is not None
    assert (shown.word == STOPPED) == (behind(MemoryLedger(), LIMITS) is not None)
