"""The worked cases of the rules, and two recorded days, through the real engine."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.decision.board import active, expire, place_signal
from engine.decision.cases import case_from
from engine.decision.engine import decide
from engine.decision.validity import validity_minutes
from engine.domain.bodies import signal_from_body
from engine.domain.canonical import canonical
from engine.domain.entities import SymbolBoard
from engine.domain.signals import Decision, Signal

CLOSE = 1e-9


def worked_cases(data: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(data.parent / "spec" / "decision-cases.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def as_expected(decision: Decision, signals: tuple[Signal, ...]) -> dict[str, Any]:
    return {
        "decision": decision.verdict.value,
        "confluence_score": decision.confluence_score,
        "breakdown": decision.breakdown and msgspec.structs.asdict(decision.breakdown),
        "recommended_contracts": decision.recommended_contracts,
        "entry_timeframe": decision.entry_timeframe and decision.entry_timeframe.value,
        "direction": decision.direction and decision.direction.value,
        "stop_loss": decision.stop_loss,
        "target_1": decision.target_1,
        "target_2": decision.target_2,
        "validity_minutes": {signal.timeframe.value: validity_minutes(signal) for signal in signals},
    }


def equal(got: object, expected: object) -> bool:
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(equal(got[key], value) for key, value in expected.items())
        )
    if isinstance(expected, float):
        return isinstance(got, int | float) and abs(got - expected) <= CLOSE
    return bool(got == expected)


def test_all_worked_cases_come_out_as_written(data: Path) -> None:
    wrong, seen = [], 0
    for row in worked_cases(data):
        case = case_from(row)
        got = as_expected(decide(case.signals, case.phases, case.trends, case.now), case.signals)
        seen += 1
        if not equal(got, row["expected"]):
            wrong.append((row["id"], got, row["expected"]))
    assert not wrong
    assert seen == 200


def test_a_stored_decision_is_made_again_bit_for_bit(data: Path) -> None:
    for row in worked_cases(data):
        case = case_from(row)
        first = decide(case.signals, case.phases, case.trends, case.now)
        stored = msgspec.json.decode(msgspec.json.encode(case), type=type(case))
        again = decide(stored.signals, stored.phases, stored.trends, stored.now)
        assert canonical(again) == canonical(first)


@pytest.mark.parametrize(
    ("day", "symbol", "expected"),
    [
        ("SPY_20230803", "SPY", {"EXECUTE SHORT": 58, "WAIT None": 76}),
        ("GOOG_20151224", "GOOG", {"EXECUTE SHORT": 25, "WAIT None": 48}),
    ],
)
def test_a_recorded_day_through_the_board_gives_its_known_verdicts(
    data: Path, day: str, symbol: str, expected: dict[str, int]
) -> None:
    board, verdicts = SymbolBoard(symbol=symbol), Counter[str]()
    lines = (data / "option_day" / f"{day}_signals_derived.jsonl").read_text().splitlines()
    for source, line in enumerate(lines):
        body = json.loads(line)
        now = datetime.fromisoformat(body["timenow"])
        board = place_signal(expire(board, now).board, source, signal_from_body(body), now).board
        decision = decide(*active(board, now), now)
        verdicts[f"{decision.verdict} {decision.direction}"] += 1
    assert verdicts == expected
