"""What a broker's books prove, case by case: executions, what works, what ended, what is absent, what is not ours."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.domain.entities import Order
from engine.domain.values import OrderState, Side
from engine.orders import reconcile as found
from engine.orders.reconcile import Asked, Finding, findings
from engine.ports import BrokerExecution, BrokerOrder, Evidence
from tests.builders_trading import NOON, TODAY, WEEKLY, d, order, seconds

S = OrderState
SETTLE = 5.0


def seen(state: OrderState = S.WORKING, filled: int = 0, **fields: Any) -> BrokerOrder:
    made: dict[str, Any] = {
        "order": "O7", "broker_id": "31", "what": WEEKLY.osi, "side": Side.BUY, "quantity": 2, "filled": filled,
        "state": state, "reason": "said",
    }  # fmt: skip
    return BrokerOrder(**{**made, **fields})


def executed(quantity: int = 1, execution: str = "e1", **fields: Any) -> BrokerExecution:
    made: dict[str, Any] = {
        "execution": execution, "order": "O7", "at": NOON, "what": WEEKLY.osi, "side": Side.BUY, "quantity": quantity,
        "price": d("2.00"), "fees": d("0.65"),
    }  # fmt: skip
    return BrokerExecution(**{**made, **fields})


NEVER = "never arrived at the broker"
WHOLE = Evidence(since=NOON, open_orders=(), completed=(), executions=())


def books(**parts: Any) -> Evidence:
    return replace(WHOLE, **parts)


def findings_of(made: Order | None, evidence: Evidence, **asked: Any) -> list[Finding]:
    orders = {} if made is None else {made.id: made}
    question = Asked(**{"orders": orders, "waited": dict.fromkeys(orders, 60.0), **asked})
    return findings(orders, question, evidence, SETTLE)


def lost(**fields: Any) -> Order:
    return order(**{"state": S.UNKNOWN, "updated": NOON, **fields})


# --- what the books say of one order ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.UNKNOWN, S.SUBMITTING])
def test_one_that_works_is_found(state: OrderState) -> None:
    assert findings_of(lost(state=state), books(open_orders=(seen(),))) == [found.Found("O7")]


def test_one_that_works_as_we_thought_is_no_finding() -> None:
    assert findings_of(lost(state=S.WORKING), books(open_orders=(seen(),))) == []


@pytest.mark.parametrize("state", [S.CANCELLED, S.REJECTED, S.EXPIRED])
def test_one_that_ended_is_over_as_it_ended(state: OrderState) -> None:
    assert findings_of(lost(), books(completed=(seen(state),))) == [found.Over("O7", state, "said")]


def test_an_execution_is_adopted_before_anything_is_concluded() -> None:
    execution = executed(2)
    evidence = books(completed=(seen(S.CANCELLED, 2),), executions=(execution,))
    assert findings_of(lost(), evidence) == [found.Adopt(execution)]


def test_one_that_was_filled_while_the_books_were_read_is_no_second_order() -> None:
    """It still worked when the open orders were asked for; its executions came with the last part of the books."""
    execution = executed(2)
    evidence = books(open_orders=(seen(),), executions=(execution,))
    assert findings_of(lost(), evidence) == [found.Adopt(execution)]


def test_one_that_ended_while_the_books_were_read_is_over() -> None:
    evidence = books(open_orders=(seen(),), completed=(seen(S.CANCELLED),))
    assert findings_of(lost(), evidence) == [found.Over("O7", S.CANCELLED, "said")]


def test_one_that_came_and_was_filled_while_the_books_were_read_is_not_missing() -> None:
    first, waits = findings_of(lost(), books(executions=(executed(1),)))
    assert first == found.Adopt(executed(1))
    assert isinstance(waits, found.Waiting)


def test_one_that_was_filled_in_part_and_is_in_no_part_of_the_books_is_gone() -> None:
    made = lost(filled=1, executions=("e1",), average=d(2))
    gone = found.Missing("O7", "not in the broker's books any more")
    assert findings_of(made, books(executions=(executed(1),))) == [gone]


def test_one_that_works_on_though_it_was_filled_before_is_taken_back() -> None:
    twin = seen()
    made = lost(state=S.FILLED, filled=2, executions=("e1",))
    expected = found.Surplus("O7", twin, "works on though all of it was filled")
    assert findings_of(made, books(open_orders=(twin,), executions=(executed(2),))) == [expected]


def test_a_cancel_with_a_part_filled_counts_the_part_and_then_ends() -> None:
    execution = executed(1)
    evidence = books(completed=(seen(S.CANCELLED, 1),), executions=(execution,))
    assert findings_of(lost(), evidence) == [found.Adopt(execution), found.Over("O7", S.CANCELLED, "said")]


def test_an_execution_we_know_is_not_adopted_again() -> None:
    made = lost(filled=1, executions=("e1",), average=d(2))
    evidence = books(open_orders=(seen(S.PARTIALLY_FILLED, 1),), executions=(executed(1),))
    assert findings_of(made, evidence) == [found.Found("O7")]


def test_the_same_execution_twice_in_the_books_counts_once() -> None:
    evidence = books(open_orders=(seen(S.PARTIALLY_FILLED, 1),), executions=(executed(1), executed(1)))
    assert findings_of(lost(), evidence) == [found.Adopt(executed(1)), found.Found("O7")]


@pytest.mark.parametrize(
    "evidence",
    [
        books(completed=(seen(S.CANCELLED, 1),)),
        books(completed=(seen(S.FILLED, 2),)),
        books(completed=(seen(S.FILLED, 2),), executions=None),
        books(open_orders=(seen(S.PARTIALLY_FILLED, 1),)),
    ],
)
def test_a_fill_without_its_execution_settles_nothing(evidence: Evidence) -> None:
    (finding,) = findings_of(lost(), evidence)
    assert isinstance(finding, found.Doubtful)


# --- absence ------------------------------------------------------------------------------------------------------------


def test_absent_from_whole_books_long_after_it_was_handed_over_it_never_arrived() -> None:
    assert findings_of(lost(), WHOLE) == [found.Missing("O7", NEVER)]


@pytest.mark.parametrize("part", ["open_orders", "completed", "executions"])
def test_a_part_that_is_missing_is_unknown_and_not_empty(part: str) -> None:
    assert findings_of(lost(), books(**{part: None})) == [found.Waiting("O7", "the books are not whole")]


def test_absent_too_soon_it_may_be_on_its_way() -> None:
    assert findings_of(lost(), WHOLE, waited={"O7": 4.9}) == [found.Waiting("O7", "may be on its way")]
    assert findings_of(lost(), WHOLE, waited={"O7": SETTLE}) == [found.Missing("O7", NEVER)]


def test_where_nobody_knows_how_long_it_waited_it_may_be_on_its_way() -> None:
    assert findings_of(lost(), WHOLE, waited={}) == [found.Waiting("O7", "may be on its way")]


def test_books_that_begin_later_prove_no_absence() -> None:
    (finding,) = findings_of(lost(), books(since=NOON + seconds(1)))
    assert isinstance(finding, found.Doubtful)
    assert "older than the books" in finding.why


def test_what_may_be_on_its_way_is_waited_for_however_old_it_is() -> None:
    later = books(since=NOON + seconds(1))
    assert findings_of(lost(), later, waited={"O7": 4.9}) == [found.Waiting("O7", "may be on its way")]
    (finding,) = findings_of(lost(), later, waited={"O7": SETTLE})
    assert isinstance(finding, found.Beyond)


def test_a_fill_that_may_be_on_its_way_to_us_is_nothing_for_a_person() -> None:
    later = books(since=NOON + seconds(1), completed=(seen(S.FILLED, 2),))
    (soon,) = findings_of(lost(), later, waited={"O7": 4.9})
    (late,) = findings_of(lost(), later, waited={"O7": SETTLE})
    assert (type(soon), type(late)) == (found.Doubtful, found.Beyond)


@pytest.mark.parametrize(
    ("submitted", "finding"), [(None, found.Beyond), (59, found.Beyond), (60, found.Missing), (61, found.Missing)]
)
def test_books_prove_the_absence_of_what_was_handed_over_in_their_time(
    submitted: int | None, finding: type[Finding]
) -> None:
    made = lost(submitted=None if submitted is None else NOON + seconds(submitted))
    (what,) = findings_of(made, books(since=NOON + seconds(60)))
    assert type(what) is finding


# --- when the question was asked ----------------------------------------------------------------------------------------


def test_an_order_that_changed_since_the_question_is_left_to_the_next() -> None:
    before, now = lost(state=S.WORKING), lost()
    question = Asked(orders={"O7": before})
    for evidence in (WHOLE, books(open_orders=(seen(),)), books(completed=(seen(S.CANCELLED),))):
        assert findings({"O7": now}, question, evidence, SETTLE) == []


def test_one_that_was_not_handed_over_when_it_was_asked_is_not_missing() -> None:
    assert findings_of(lost(state=S.SUBMITTING), WHOLE, withheld=frozenset({"O7"})) == []


def test_an_answer_over_another_line_proves_executions_only() -> None:
    evidence = books(completed=(seen(S.CANCELLED, 1),), executions=(executed(1),))
    made = lost()
    question = Asked(orders={"O7": made})
    assert findings({"O7": made}, question, evidence, SETTLE, same_line=False) == [found.Adopt(executed(1))]


# --- what does not fit --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [S.CANCELLED, S.EXPIRED, S.REJECTED])
def test_one_that_works_though_it_was_over_has_reappeared(state: OrderState) -> None:
    assert findings_of(lost(state=state), books(open_orders=(seen(),))) == [found.Reappeared("O7")]


def test_a_filled_one_that_works_on_is_a_surplus() -> None:
    made = lost(state=S.FILLED, filled=2, executions=("e1",), average=d(2))
    (finding,) = findings_of(made, books(open_orders=(seen(),), executions=(executed(2),)))
    assert isinstance(finding, found.Surplus)


def test_two_that_work_under_one_id_leave_it_in_doubt_and_one_is_a_surplus() -> None:
    twin = seen(broker_id="32")
    surplus, doubt = findings_of(lost(), books(open_orders=(seen(), twin)))
    assert surplus == found.Surplus("O7", twin, "works more than once")
    assert isinstance(doubt, found.Doubtful)


def test_one_we_never_sent_is_a_surplus_where_it_works() -> None:
    (finding,) = findings_of(order(state=S.APPROVED), books(open_orders=(seen(),)))
    assert isinstance(finding, found.Surplus)
    assert findings_of(order(state=S.APPROVED), WHOLE) == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"order": ""}, found.NOT_OURS),
        ({"order": "O99"}, found.NOT_OURS),
        ({"what": TODAY.osi}, found.OTHER_CONTRACT),
        ({"side": Side.SELL}, found.OTHER_CONTRACT),
        ({"quantity": 3}, found.TOO_MUCH),
        ({"quantity": 0}, found.TOO_MUCH),
    ],
)
def test_an_execution_that_no_order_explains_is_foreign(fields: dict[str, Any], why: str) -> None:
    strange = replace(executed(), **fields)
    evidence = books(open_orders=(seen(),), executions=(strange,))
    assert findings_of(lost(state=S.WORKING), evidence) == [found.ForeignExecution(strange, why)]


def test_an_execution_of_an_order_that_was_denied_is_foreign() -> None:
    strange = executed()
    assert findings_of(order(state=S.DENIED), books(executions=(strange,))) == [
        found.ForeignExecution(strange, found.NEVER_OURS)
    ]


def test_executions_beyond_the_order_are_foreign_from_where_it_is_full() -> None:
    first, second = executed(2, "e1"), executed(1, "e2", at=NOON + seconds(1))
    evidence = books(completed=(seen(S.FILLED, 2),), executions=(second, first))
    assert findings_of(lost(), evidence) == [found.Adopt(first), found.ForeignExecution(second, found.TOO_MUCH)]


@pytest.mark.parametrize("fields", [{"order": ""}, {"order": "O99"}, {"what": "AAPL"}, {"side": Side.SELL}])
def test_an_order_that_is_not_ours_is_foreign_whatever_id_it_bears(fields: dict[str, Any]) -> None:
    strange = seen(**fields)
    (finding,) = findings_of(lost(state=S.WORKING), books(open_orders=(seen(), strange)))
    assert isinstance(finding, found.ForeignOrder)


def test_an_id_of_the_brokers_that_was_given_out_again_confuses_nothing() -> None:
    """After a restart of theirs an order of somebody else bears the id that ours had: ours is known by our id."""
    strange = seen(order="", broker_id="31", what=TODAY.osi)
    made = lost()
    findings_ = findings_of(made, books(open_orders=(strange, seen(broker_id="1"))))
    assert findings_ == [found.Found("O7"), found.ForeignOrder(strange, found.NOT_OURS)]
