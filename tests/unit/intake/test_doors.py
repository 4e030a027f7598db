from __future__ import annotations

import pytest

from engine.domain import events as ev
from engine.domain.values import Code, refuse
from engine.intake.doors import Answer, said
from tests.fakes.doors import MOMENT

RECEIPT = ev.Receipt(key="k", kind="signal", raw="{}", sha256="00", wall=MOMENT)


def test_a_refused_receipt_answers_with_its_code_path_and_words() -> None:
    refusal = refuse(Code.OUT_OF_RANGE, "$.interval", reason="not on the board", value="1")
    answer = Answer.of(ev.ReceiptRefused(seq=7, at=MOMENT, receipt=RECEIPT, refusal=refusal, status=422))
    assert answer.status == 422
    assert answer.body == {
        "code": "OUT_OF_RANGE",
        "path": "$.interval",
        "detail": "not on the board (value 1)",
        "receipt": 7,
    }


def test_a_duplicate_is_a_success_that_names_the_first() -> None:
    answer = Answer.of(ev.DuplicateReceived(seq=8, at=MOMENT, receipt=RECEIPT, original=3))
    assert (answer.status, answer.body) == (200, {"receipt": 8, "duplicate_of": 3})


def test_a_fact_that_keeps_no_receipt_has_no_answer() -> None:
    with pytest.raises(TypeError, match="EngineStopped"):
        Answer.of(ev.EngineStopped(seq=1, at=MOMENT, reason="over"))


def test_a_ledger_that_is_away_asks_to_send_again() -> None:
    answer = Answer.away()
    assert (answer.status, answer.retry_after, answer.body["code"]) == (503, 5, "LEDGER_AWAY")


@pytest.mark.parametrize(
    ("refusal", "detail"),
    [
        (refuse(Code.TOO_DEEP, "$", limit=32), "limit 32"),
        (refuse(Code.BAD_FIELD, "$.a", reason="is missing"), "is missing"),
        (refuse(Code.HALTED), "HALTED"),
    ],
)
def test_every_refusal_has_words_and_a_path(refusal: ev.Refusal, detail: str) -> None:
    assert said(refusal) == {"code": refusal.code.value, "path": refusal.path or "$", "detail": detail}
