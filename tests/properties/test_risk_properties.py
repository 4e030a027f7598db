"""Whatever is proposed, whatever is held: no more is risked than the budget, and less equity never buys more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.values import Bucket
from engine.risk.book import Book, Proposal
from engine.risk.manager import assess
from engine.risk.rules import LIMITS
from tests.unit.risk.builders import GREEKS, SETTINGS, D, account, book, exposure, plan, proposal, quote

cents = st.integers(5, 4000).map(lambda n: D(n) / 100)


@st.composite
def proposals(draw: st.DrawFn) -> Proposal:
    bid, spread = draw(cents), draw(st.integers(1, 60)) / D(100)
    return proposal(
        quote=quote(str(bid), str(bid + spread)),
        limit=bid + spread,
        recommended=draw(st.integers(0, 60)),
        final_multiplier=draw(st.none() | st.sampled_from([D("0.5"), D("1"), D("3")])),
        multiplier_factor=draw(st.sampled_from([D(1), D("0.5"), D("0.909091")])),
        size_factor=draw(st.sampled_from([D(1), D("0.5")])),
        confidence_factor=draw(st.none() | st.sampled_from([D("0.1"), D("0.7"), D("1")])),
        bucket=draw(st.sampled_from(Bucket)),
        greeks=draw(st.sampled_from([GREEKS, None])),
        plan=plan(draw(st.sampled_from([None, "598", "590"])), draw(st.sampled_from([None, "604", "615"]))),
        at_most=draw(st.none() | st.integers(1, 5)),
        round_trip_fees=draw(st.integers(0, 500)) / D(100),
    )


@st.composite
def books(draw: st.DrawFn, equity: int | None = None) -> Book:
    held = [
        exposure(
            f"P{n}",
            symbol=draw(st.sampled_from(["SPY", "QQQ", "TSLA"])),
            risk=D(draw(st.integers(0, 1500))),
            value=D(draw(st.integers(0, 9000))),
            delta_dollars=D(draw(st.integers(-150000, 150000))),
            expires_today=draw(st.booleans()),
            waiting=draw(st.booleans()),
        )
        for n in range(draw(st.integers(0, 6)))
    ]
    worth = D(equity if equity is not None else draw(st.integers(2000, 300000)))
    return book(*held, equity=worth, account=_account(draw, worth))


def _account(draw: st.DrawFn, worth: Decimal) -> Any:
    return account(
        cash=worth,
        peak_equity=worth * draw(st.sampled_from([D(1), D("1.04"), D("1.08"), D("1.2")])),
        prior_equity=worth * draw(st.sampled_from([D(1), D("0.98"), D("1.01"), D("1.04")])),
        loss_streak=draw(st.integers(0, 5)),
    )


@given(proposals(), books())
def test_no_entry_risks_more_than_its_budget_or_any_cap(proposed: Proposal, of: Book) -> None:
    found = assess(proposed, of, SETTINGS, gates=())
    if found.refusal is not None:
        assert found.quantity == 0
        return
    assert found.sizing is not None
    assert 1 <= found.quantity <= proposed.recommended
    assert proposed.at_most is None or found.quantity <= proposed.at_most
    assert found.max_loss <= found.sizing.risk_budget <= D("0.02") * of.equity
    assert proposed.cost * found.quantity <= D("0.10") * of.equity
    assert sum(e.risk for e in of.exposures) + found.max_loss <= D("0.08") * of.equity
    assert of.day_loss + found.max_loss <= D("0.03") * of.equity
    assert all(v.passed for v in found.verdicts)


@given(proposals(), books(), st.integers(1, 50))
def test_more_equity_never_buys_less(proposed: Proposal, of: Book, percent: int) -> None:
    """With limits that deny set aside, for they look at what is held, not at the size."""
    more = Book(
        now=of.now,
        account=of.account,
        equity=of.equity * (100 + percent) / 100,
        calendar=of.calendar,
        exposures=of.exposures,
    )
    less = assess(proposed, of, SETTINGS, gates=(), limits=())
    assert assess(proposed, more, SETTINGS, gates=(), limits=()).quantity >= less.quantity


@given(proposals(), books(), st.integers(1, 50))
def test_a_richer_account_passes_every_limit_that_a_poorer_one_passes(
    proposed: Proposal, of: Book, percent: int
) -> None:
    more = Book(
        now=of.now,
        account=of.account,
        equity=of.equity * (100 + percent) / 100,
        calendar=of.calendar,
        exposures=of.exposures,
    )
    at_one = Proposal(
        **{**{f: getattr(proposed, f) for f in proposed.__struct_fields__}, "quantity": 1, "loss": D(100)}
    )
    for rule in LIMITS:
        if rule.check(at_one, of, SETTINGS).passed:
            assert rule.check(at_one, more, SETTINGS).passed, rule.name


@given(proposals(), books())
def test_the_same_question_has_the_same_answer(proposed: Proposal, of: Book) -> None:
    assert assess(proposed, of, SETTINGS) == assess(proposed, of, SETTINGS)


@pytest.mark.parametrize("guard", ["multiplier_factor", "size_factor"])
@given(proposals(), books())
def test_a_guard_never_makes_an_entry_larger(guard: str, proposed: Proposal, of: Book) -> None:
    fields = {f: getattr(proposed, f) for f in proposed.__struct_fields__}
    free = assess(Proposal(**{**fields, guard: D(1)}), of, SETTINGS, gates=(), limits=())
    held_back = assess(Proposal(**{**fields, guard: D("0.5")}), of, SETTINGS, gates=(), limits=())
    assert held_back.quantity <= free.quantity
