"""One JSON line becomes one case, or an error that names the path."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.decision.cases import Case, CaseError, case_from, parse_case
from tests.bodies import signal_body

BODY = signal_body("SPY", "60", price=600.0, timestamp=1_795_021_200_000)


def row(**changes: Any) -> dict[str, Any]:
    return {"id": "a", "now": "2026-11-18T17:00:00Z", "signals": [], "phases": [], "trends": []} | changes


def refused(text: str | bytes) -> CaseError:
    with pytest.raises(CaseError) as caught:
        parse_case(text)
    return caught.value


@pytest.mark.parametrize("name", ["a", "", 17, "ä€😀"])
def test_an_empty_case(name: str | int) -> None:
    assert parse_case(json.dumps(row(id=name))) == Case(
        id=name, now=datetime(2026, 11, 18, 17, 0, tzinfo=UTC), signals=(), phases=(), trends=()
    )


def test_a_byte_order_mark_is_no_error() -> None:
    assert parse_case(b"\xef\xbb\xbf" + json.dumps(row()).encode()).id == "a"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"now": None}, "now: is missing"),
        ({"now": "soon"}, "now: is no ISO 8601 time"),
        ({"signals": None}, "signals: is missing"),
        ({"phases": {}}, "phases: must be a list, not an object"),
        ({"trends": "x"}, "trends: must be a list, not a text"),
        ({"signals": [BODY, 5]}, "signals[1]: must be an object, not a number"),
        ({"signals": [BODY, BODY | {"signal": {}}]}, "signals[1].signal.type: is missing"),
        ({"signals": [BODY | {"risk": {"x": float("nan")}}]}, "signals[0].risk.x: must be a finite number"),
        ({"phases": [{}]}, "phases[0].timeframe: is missing"),
        ({"trends": [{}]}, "trends[0].timeframes: is missing"),
        ({"signals": [float("inf")]}, "signals[0]: must be a finite number"),
        ({"signals": [{}] * 1001}, "signals: has 1001 entries, 1000 are allowed"),
    ],
)
def test_the_first_bad_field_is_named_by_its_path(change: dict[str, Any], message: str) -> None:
    error = refused(json.dumps(row(**change)))
    assert (error.id, str(error)) == ("a", message)


@pytest.mark.parametrize("bad", [None, True, 1.5, [], {}])
def test_a_case_needs_an_id(bad: Any) -> None:
    error = refused(json.dumps(row(id=bad)))
    assert (error.id, str(error)) == (None, "id: must be a text or a whole number")


def test_an_id_that_cannot_be_written_back_is_made_writable() -> None:
    assert refused(json.dumps(row(id="a\ud800", now=None))).id == "a?"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON: Expecting property name enclosed in double quotes at column 2"),
        ("", "is not JSON: Expecting value at column 1"),
        ("[" * 100_000, "nested too deep"),
        (b'{"id": "\xff"}', "is not UTF-8 at byte 9"),
        ('{"id": ' + "9" * 5000 + "}", "is not JSON: a number of thousands of digits"),
        ("[]", "must be an object, not a list"),
    ],
)
def test_what_is_no_json_object(text: str | bytes, message: str) -> None:
    error = refused(text)
    assert (error.id, str(error)) == (None, message)


def test_a_decoded_value_is_read_like_its_text() -> None:
    assert case_from(row(signals=[BODY])) == parse_case(json.dumps(row(signals=[BODY])))
