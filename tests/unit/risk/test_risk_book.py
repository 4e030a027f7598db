"""What the book makes of positions, tickets and working orders."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from engine.domain.entities import Order, Position, Ticket
from engine.domain.values import Bucket, Greeks, OrderType, Purpose, Side, TimeInForce
from engine.pricing.terms import Terms
from engine.risk.book import (
    Exposure,
    day_budget_left,
    day_budget_used,
    expires_on,
    exposure_of_order,
    exposure_of_position,
    exposure_of_ticket,
    same_bets,
)
from tests.unit.risk.builders import (
    GREEKS,
    LONG,
    NOW,
    SETTINGS,
    SHORT,
    D,
    account,
    book,
    contract,
    exposure,
    plan,
    proposal,
    quote,
)

TODAY = date(2026, 11, 18)
TERMS = Terms(0.04, 0.01, 1.0, 601.0, 9)


def position(**changes: Any) -> Position:
    fields: dict[str, Any] = {
        "id": "P5", "symbol": "SPY", "direction": LONG, "contract": contract(), "quantity": 2, "bought": 2, "sold": 0,
        "entry": D("3.00"), "proceeds": D(0), "fees": D("1.40"), "opened": NOW, "ticket": "T4", "plan": plan(),
        "bucket": Bucket.WEEKLY, "risk": D(300), "trigger": 7,
    }  # fmt: skip
    return Position(**{**fields, **changes})


def ticket(**changes: Any) -> Ticket:
    fields: dict[str, Any] = {
        "id": "T4", "purpose": Purpose.ENTRY, "symbol": "SPY", "direction": LONG, "contract": contract(),
        "side": Side.BUY, "quantity": 4, "limit": D("3.00"), "quote": quote("2.98", "3.00"), "opened": NOW,
        "changed": NOW, "expires": NOW + timedelta(seconds=90), "max_loss": D(600), "greeks": GREEKS, "trigger": 7,
    }  # fmt: skip
    return Ticket(**{**fields, **changes})


def held(mark: str, **changes: Any) -> Exposure:
    return exposure_of_position(position(**changes), D(mark), GREEKS, D(600), TODAY, SETTINGS.risk, TERMS)


@pytest.mark.parametrize(
    ("mark", "changes", "risk"),
    [
        ("3.00", {}, "300.0"),
        ("4.00", {}, "500.0"),
        ("1.40", {}, "0"),
        ("4.00", {"half_taken": True, "quantity": 1}, "100.0"),
        ("3.00", {"bucket": Bucket.ZERO_DTE}, "420.0"),
        ("3.00", {"plan": plan(fraction="0.60")}, "360.0"),
    ],
)
def test_a_positions_risk_runs_from_its_mark_to_its_stop(mark: str, changes: dict[str, Any], risk: str) -> None:
    assert held(mark, **changes).risk == D(risk)


def test_a_position_keeps_its_value_and_delta_dollars() -> None:
    found = held("4.00")
    assert (found.key, found.structure, found.trigger, found.waiting) == ("P5", "T4", 7, False)
    assert found.value == 800
    assert found.delta_dollars == D("0.45") * 200 * 600
    beta = exposure_of_position(position(), D(4), GREEKS, D(600), TODAY, SETTINGS.risk, TERMS, beta=D(2))
    assert beta.delta_dollars == 2 * found.delta_dollars


@pytest.mark.parametrize(
    ("greeks", "spot", "direction", "dollars"),
    [(None, D(600), LONG, 120000), (None, D(600), SHORT, -120000), (GREEKS, None, LONG, 0)],
)
def test_without_greeks_a_delta_of_one_counts_and_without_a_price_none(
    greeks: Greeks | None, spot: Any, direction: Any, dollars: int
) -> None:
    found = exposure_of_position(position(direction=direction), D(3), greeks, spot, TODAY, SETTINGS.risk, TERMS)
    assert found.delta_dollars == dollars


@pytest.mark.parametrize(("days", "today"), [(0, True), (2, False)])
def test_what_expires_today_is_known(days: int, today: bool) -> None:
    assert held("3.00", contract=contract(days=days)).expires_today is today
    assert exposure_of_ticket(ticket(contract=contract(days=days)), D(600), TODAY, TERMS).expires_today is today
    assert expires_on(proposal(contract=contract(days=days)), book()) is today


def test_an_open_ticket_reserves_its_cost_and_its_loss() -> None:
    found = exposure_of_ticket(ticket(), D(600), TODAY, TERMS)
    assert (found.value, found.risk, found.waiting) == (1200, 600, True)
    assert (found.key, found.structure) == ("T4", "T4")


@pytest.mark.parametrize(
    ("limit", "filled", "value", "risk"),
    [(D("3.10"), 1, "930", "450"), (None, 0, "1200", "600"), (D("3.10"), 4, "0", "0")],
)
def test_a_working_entry_reserves_what_is_not_filled_yet(limit: Any, filled: int, value: str, risk: str) -> None:
    order = Order(
        id="O6", contract=contract(), side=Side.BUY, quantity=4, type=OrderType.LIMIT, limit=limit, tif=TimeInForce.DAY,
        purpose=Purpose.ENTRY, created=NOW, filled=filled, ticket="T4",
    )  # fmt: skip
    found = exposure_of_order(order, ticket(), D(600), TODAY, TERMS)
    assert (found.value, found.risk, found.quantity) == (D(value), D(risk), 4 - filled)
    assert (found.key, found.structure, found.expires_today) == ("O6", "T4", False)
    last_day = contract().expiry
    assert exposure_of_order(order, ticket(), D(600), last_day, TERMS).expires_today


def test_an_entry_of_an_empty_ticket_reserves_no_risk() -> None:
    order = Order(
        id="O6", contract=contract(), side=Side.BUY, quantity=4, type=OrderType.LIMIT, limit=D(3), tif=TimeInForce.DAY,
        purpose=Purpose.ENTRY, created=NOW,
    )  # fmt: skip
    assert exposure_of_order(order, ticket(quantity=0), D(600), TODAY, TERMS).risk == 0


def test_the_day_budget_counts_the_loss_so_far_what_expires_today_and_what_waits() -> None:
    of = book(
        exposure("a", risk=D(100)),
        exposure("b", risk=D(200), expires_today=True),
        exposure("c", risk=D(400), waiting=True),
        equity=99000,
    )
    assert day_budget_used(of) == 1600
    assert day_budget_left(of, SETTINGS.risk) == 2970 - 1600
    assert day_budget_left(book(equity=90000), SETTINGS.risk) == 0


def test_same_bets_are_those_of_the_group_in_the_same_direction() -> None:
    of = book(
        exposure("a", symbol="QQQ"),
        exposure("b", symbol="SPY"),
        exposure("c", symbol="SPY", structure="b"),
        exposure("d", symbol="IWM", direction=SHORT),
        exposure("e", symbol="TSLA"),
    )
    assert same_bets(of, "SPY", LONG) == 2
    assert same_bets(of, "TSLA", LONG) == 1
    assert same_bets(of, "QQQ", SHORT) == 1


def test_an_account_without_a_peak_has_no_drawdown() -> None:
    assert book(account=account(peak_equity=D(0))).drawdown == 0
    assert book(equity=120000).drawdown == 0
    assert book(equity=120000).day_loss == 0
    assert book(equity=90000, account=account(peak_equity=D(1))).drawdown == 0


def test_half_a_quote_has_no_spread_and_beta_weighs_the_delta() -> None:
    assert proposal(quote=quote(None, "3.00")).half_spread == 0
    assert proposal().half_spread == D("0.01")
    assert proposal(beta=D(2)).delta_dollars == 2 * D("0.45") * 100 * 600
