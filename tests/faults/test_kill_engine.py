"""A few kills of the long run in `kill_engine`, judged by the same judge; and proof that the judge sees what it looks for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.engine_process import ground
from tests.faults.kill_engine import run
from tests.faults.kill_judge import Fact, Verdict, judge_facts

Ledger = tuple[list[Fact], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def killed() -> tuple[Verdict, Ledger]:
    """What three kills left: one takes the database along, and one more hits an engine that is starting."""
    with ground() as folder:
        verdict = run(folder, kills=3, seed=11, rate=200, fresh=12, pause=(0.5, 1.0), database_every=2, early_every=3)
        facts = [json.loads(line)["fact"] for line in (folder / "facts.jsonl").read_text().split("\n") if line]
        answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().split("\n") if line]
    return verdict, (facts, answers)


def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(killed: tuple[Verdict, Ledger]) -> None:
    verdict, _ = killed
    assert verdict.clean, verdict.text()
    assert verdict.database_kills == 1
    assert verdict.early_kills == 1
    assert verdict.acknowledged > 100
    assert verdict.opened > 0
    assert verdict.fills > verdict.opened


def test_it_goes_on_trading_after_the_restarts(killed: tuple[Verdict, Ledger]) -> None:
    verdict, _ = killed
    assert verdict.runs >= 4
    assert verdict.runs_that_bought >= 2


def _without_a_receipt(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    seq = next(line["answer"]["receipt"] for line in answers if line["status"] == 202)
    facts[:] = [fact for fact in facts if fact["seq"] != seq]


def _decided_twice(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    decided = next(f for f in facts if f["fact"] == "DecisionMade")
    facts.append(decided | {"seq": len(facts) + 1, "at": facts[-1]["at"]})


def _sent_twice(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    sent = next(f for f in facts if f["fact"] == "OrderSubmitted")
    facts.append(sent | {"seq": len(facts) + 1, "at": facts[-1]["at"]})


def _fill_lost(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    fill = next(f for f in facts if f["fact"] == "OrderFilled")
    fill |= {"fact": "OrderAccepted"}


def _bought_twice(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    opened = next(f for f in facts if f["fact"] == "TicketOpened" and f["ticket"].get("trigger") is not None)
    facts.append(opened | {"seq": len(facts) + 1, "at": facts[-1]["at"]})


def _another_receipt(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    first, second = [line for line in answers if line["status"] == 202][:2]
    first["answer"], second["answer"] = second["answer"], first["answer"]


def _time_back(facts: list[Fact], answers: list[dict[str, Any]]) -> None:
    facts[-1]["at"] = facts[0]["at"].replace("2026", "2025")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_without_a_receipt, "gaps"),
        (_decided_twice, "once decided"),
        (_sent_twice, "once sent"),
        (_fill_lost, "cash"),
        (_bought_twice, "once bought"),
        (_another_receipt, "not the one"),
        (_time_back, "time went back"),
    ],
)
def test_the_judge_sees(
    killed: tuple[Verdict, Ledger], damage: Callable[[list[Fact], list[dict[str, Any]]], None], said: str
) -> None:
    facts, answers = copy.deepcopy(killed[1])
    damage(facts, answers)
    verdict = Verdict()
    judge_facts(facts, answers, verdict)
    assert not verdict.clean
    assert any(said in fault for fault in verdict.faults), verdict.faults
