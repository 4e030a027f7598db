"""The canonical bytes of values, the words of answers, and the small sums of views."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from engine.domain.canonical import _plain, canonical, time_text
from engine.domain.commands import Done
from engine.domain.events import SessionOpened
from engine.domain.values import Code, OrderState, Purpose, Side, refuse
from engine.domain.views import Gauge, OrderRow


def test_canonical_bytes_are_sorted_plain_and_of_one_width() -> None:
    fact = SessionOpened(
        seq=1, at=datetime(2026, 11, 20, tzinfo=UTC), session=date(2026, 11, 20), equity=Decimal("1E+3")
    )
    assert canonical(fact) == (
        b'{"at":"2026-11-20T00:00:00.000000Z","cause":null,"equity":"1000","fact":"SessionOpened","seq":1,'
        b'"session":"2026-11-20"}'
    )


def test_a_moment_elsewhere_is_told_in_utc() -> None:
    assert time_text(datetime.fromisoformat("2026-11-20T10:30:00-05:00")) == "2026-11-20T15:30:00.000000Z"


def test_the_hour_that_comes_twice_is_told_apart() -> None:
    first = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"))
    second = first.replace(fold=1)
    assert first == second
    assert [time_text(moment) for moment in (first, second, first)] == [
        "2026-11-01T05:30:00.000000Z",
        "2026-11-01T06:30:00.000000Z",
        "2026-11-01T05:30:00.000000Z",
    ]


def test_what_has_no_canonical_form_is_an_error() -> None:
    with pytest.raises(TypeError, match="no canonical form for object"):
        _plain(object())


@pytest.mark.parametrize(
    ("done", "text"),
    [
        (Done(ok=True), "done"),
        (Done(ok=True, durable=False), "done, not yet in the ledger"),
        (Done(ok=False, refusal=refuse(Code.NOT_HALTED)), "NOT_HALTED"),
    ],
)
def test_an_answer_says_what_became_of_a_command(done: Done, text: str) -> None:
    assert done.text == text


@pytest.mark.parametrize(
    ("value", "limit", "fraction"),
    [
        (Decimal(50), Decimal(200), 0.25),
        (Decimal(-50), Decimal(200), 0.25),
        (None, Decimal(1), None),
        (Decimal(1), None, None),
    ],
)
def test_a_gauge_knows_how_much_of_its_limit_is_used(
    value: Decimal | None, limit: Decimal | None, fraction: float | None
) -> None:
    assert Gauge(name="Delta", value=value, limit=limit).fraction == fraction


@pytest.mark.parametrize(("state", "is_open"), [(OrderState.WORKING, True), (OrderState.FILLED, False)])
def test_an_order_row_is_open_while_its_order_may_fill(state: OrderState, is_open: bool) -> None:
    row = OrderRow(
        id="O1", contract="SPY 20 Nov 26 600 C", symbol="SPY", side=Side.BUY, quantity=1, filled=0, state=state,
        limit=None, average=None, bid=None, ask=None, age=None, purpose=Purpose.ENTRY, why="entry", working=0.0,
    )  # fmt: skip
    assert row.is_open is is_open
