"""`decide IN OUT`: a line in, a line out; what is bad is named and the rest goes on."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from app.commands.decide import decide_file
from tests.bodies import signal_body

FIELDS = [
    "id", "decision", "direction", "confluence_score", "breakdown", "recommended_contracts", "entry_timeframe",
    "stop_loss", "target_1", "target_2", "validity_minutes", "engine_version",
]  # fmt: skip


def row(name: str, *timeframes: str) -> str:
    bodies = [signal_body("SPY", timeframe, price=600.0, timestamp=1_795_021_200_000) for timeframe in timeframes]
    return json.dumps({"id": name, "now": "2026-11-18T17:00:00Z", "signals": bodies, "phases": [], "trends": []})


def run(tmp_path: Path, content: bytes) -> tuple[int, list[dict[str, Any]], list[str]]:
    source, target, errors = tmp_path / "in.jsonl", tmp_path / "out.jsonl", io.StringIO()
    source.write_bytes(content)
    code = decide_file(source, target, errors)
    return code, [json.loads(line) for line in target.read_text().splitlines()], errors.getvalue().splitlines()


def test_the_worked_cases_straight_from_their_compressed_file(data: Path, tmp_path: Path) -> None:
    source, target, errors = data.parent / "spec" / "decision-cases.jsonl.gz", tmp_path / "out", io.StringIO()
    assert decide_file(source, target, errors) == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    with gzip.open(source, "rt") as lines:
        cases = [json.loads(line) for line in lines]
    assert [answer["id"] for answer in rows] == [case["id"] for case in cases]
    assert all(list(answer) == FIELDS for answer in rows)
    for answer, case in zip(rows, cases, strict=True):
        # abs=0 on equal text is not asked for: the worked cases hold to 1e-9.
        for name, expected in case["expected"].items():
            same = pytest.approx(expected, abs=1e-9) if isinstance(expected, dict) else expected
            assert answer[name] == same, (answer["id"], name)
    assert errors.getvalue() == ""


def test_a_line_of_the_answer_in_full(tmp_path: Path) -> None:
    code, rows, _ = run(tmp_path, row("a", "240", "60").encode())
    assert code == 0
    assert rows == [
        {
            "id": "a",
            "decision": "EXECUTE",
            "direction": "LONG",
            "confluence_score": 65,
            "breakdown": {
                "confluence_multiplier": 1.0,
                "quality_multiplier": 1.1,
                "htf_alignment_multiplier": 1.3,
                "rr_multiplier": 1.0,
                "volume_multiplier": 1.0,
                "trend_multiplier": 1.0,
                "session_multiplier": 1.0,
                "day_multiplier": 0.85,
                "phase_confidence_boost": 0.0,
                "phase_position_boost": 0.0,
                "trend_alignment_boost": 0.0,
                "final_multiplier": pytest.approx(1.2155),
            },
            "recommended_contracts": 2,
            "entry_timeframe": "240",
            "stop_loss": 594.0,
            "target_1": 612.0,
            "target_2": 621.0,
            "validity_minutes": {"240": 480.0, "60": 90.0},
            "engine_version": "1.0.0",
        }
    ]


def test_a_bad_line_is_named_answered_and_passed_over(tmp_path: Path) -> None:
    lines = [row("a"), "{nonsense", "", row("b", "60", "60"), '{"id": "c", "now": NaN}', row("d", "3")]
    code, rows, errors = run(tmp_path, "\n".join(lines).encode())
    assert code == 2
    assert [(answer["id"], answer.get("decision"), answer.get("error")) for answer in rows] == [
        ("a", "WAIT", None),
        (None, None, "is not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("b", None, "two signals of SPY on timeframe 60"),
        ("c", None, "now: must be a finite number"),
        ("d", "WAIT", None),
    ]
    source = tmp_path / "in.jsonl"
    assert errors == [
        f"{source}:2: is not JSON: Expecting property name enclosed in double quotes at column 2",
        f"{source}:4: two signals of SPY on timeframe 60",
        f"{source}:5: now: must be a finite number",
    ]


def test_an_empty_file_gives_an_empty_file(tmp_path: Path) -> None:
    assert run(tmp_path, b"") == (0, [], [])


def test_no_number_that_is_not_finite_is_ever_written(tmp_path: Path) -> None:
    run(tmp_path, "\n".join([row("a", "240"), '{"id": 1e999}']).encode())
    text = (tmp_path / "out.jsonl").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_a_missing_input_costs_no_old_output(tmp_path: Path) -> None:
    source, target, errors = tmp_path / "missing.jsonl", tmp_path / "out.jsonl", io.StringIO()
    target.write_text("old\n")
    assert decide_file(source, target, errors) == 2
    assert errors.getvalue() == f"{source}: No such file or directory\n"
    assert target.read_text() == "old\n"


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source, target, errors = tmp_path / "in.jsonl", tmp_path / "no" / "out.jsonl", io.StringIO()
    source.write_text(row("a"))
    assert decide_file(source, target, errors) == 2
    assert errors.getvalue() == f"{target}: No such file or directory\n"


def test_the_input_is_never_its_own_output(tmp_path: Path) -> None:
    source, errors = tmp_path / "in.jsonl", io.StringIO()
    source.write_text(row("a"))
    assert decide_file(source, tmp_path / "." / "in.jsonl", errors) == 2
    assert "is the input" in errors.getvalue()
    assert source.read_text() == row("a")


def test_a_compressed_file_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(row(str(number), "60") for number in range(500)).encode())
    code, rows, errors = run(tmp_path, packed[: len(packed) // 2])
    assert code == 2
    assert 0 < len(rows) < 500
    assert errors == [
        f"{tmp_path / 'in.jsonl'}:{len(rows) + 1}: Compressed file ended before the end-of-stream marker was reached"
    ]
