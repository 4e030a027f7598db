"""How many contracts: the budget, what a contract loses, and every cut."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.entities import Sizing
from engine.domain.values import Bucket, Refusal
from engine.pricing import value_at
from engine.risk.sizing import loss_per_contract, size
from engine.settings import RiskSettings, Settings
from tests.unit.risk.builders import GREEKS, NOW, SETTINGS, D, account, book, plan, proposal, quote


def sized(of: Any = None, settings: Settings = SETTINGS, **changes: Any) -> Sizing:
    found = size(proposal(**changes), of or book(), settings)
    assert isinstance(found, Sizing), found
    return found


@pytest.mark.parametrize(
    ("changes", "loss"),
    [
        ({"plan": plan(None)}, "152.40"),
        ({"plan": plan(None), "bucket": Bucket.ZERO_DTE}, "212.40"),
        ({"plan": plan(None, fraction="0.60")}, "182.40"),
        ({"plan": plan("599.90")}, "152.40"),
        ({"greeks": None}, "302.40"),
        ({"plan": plan(None), "quote": quote("2.90", "3.00")}, "156.40"),
        ({"plan": plan(None), "round_trip_fees": D("2.80")}, "153.80"),
        ({"plan": plan(None), "limit": D("3.15")}, "152.40"),
        ({"plan": plan(None), "limit": D("2.80")}, "142.40"),
        ({"plan": plan(None), "limit": D("3.15"), "quote": quote("2.98", None)}, "158.90"),
    ],
    ids=[
        "half the premium", "70 % for 0DTE", "a wider stop of its own", "a near stop", "no Greeks", "spread", "fees",
        "a limit over the ask", "a limit under the ask", "no ask",
    ],
)  # fmt: skip
def test_a_contract_loses_the_premium_share_half_the_spread_and_fees(changes: dict[str, Any], loss: str) -> None:
    assert loss_per_contract(proposal(**changes), book(), SETTINGS) == D(loss)


def test_a_far_stop_of_the_underlying_costs_the_full_revaluation() -> None:
    proposed = proposal(plan=plan("592"))
    value = value_at(proposed.contract, 592, GREEKS.iv, NOW, proposed.expiry, proposed.terms)
    expected = (3.00 - value + 0.01) * 100 + 1.40
    assert float(loss_per_contract(proposed, book(), SETTINGS)) == pytest.approx(expected, abs=0.01)
    assert expected > 152.40


@pytest.mark.parametrize(
    ("multiplier", "budget"),
    [("1.0", "667.00"), ("2.0", "1334.00"), ("3.0", "2000.00"), ("0.5", "333.50"), (None, "2000.00")],
)
def test_the_risk_budget_grows_with_the_multiplier_to_two_percent(multiplier: str | None, budget: str) -> None:
    found = sized(final_multiplier=D(multiplier) if multiplier else None)
    assert found.risk_budget == D(budget)


@pytest.mark.parametrize(
    ("recommended", "quantity", "capped"), [(3, 3, ""), (6, 6, ""), (7, 6, "risk budget"), (100, 6, "risk budget")]
)
def test_the_quantity_is_the_smaller_of_decision_and_budget(recommended: int, quantity: int, capped: str) -> None:
    found = sized(recommended=recommended, plan=plan(None))
    assert (found.quantity, found.capped_by, found.recommended) == (quantity, capped, recommended)


def test_factors_that_have_no_source_count_as_one_and_are_shown() -> None:
    found = sized()
    assert (found.confidence_factor, found.regime_factor) == (1, 1)
    assert found.reductions == {"VIX": "n/a"}


@pytest.mark.parametrize(("given", "counted"), [("0.8", "0.8"), ("0.2", "0.5"), ("1.4", "1")])
def test_confidence_and_regime_factors_stay_between_half_and_one(given: str, counted: str) -> None:
    assert sized(confidence_factor=D(given)).risk_budget == D("1000.50") * D(counted)
    regime = sized(regime_factor=D(given))
    assert (regime.regime_factor, regime.risk_budget) == (D(counted), D("1000.50") * D(counted))


@pytest.mark.parametrize(
    ("streak", "peak", "budget", "shown"),
    [
        (2, 100000, "1000.50", {}),
        (3, 100000, "750.37", {"3 losses in a row": "0.75"}),
        (0, 105263, "1000.50", {}),
        (0, 105264, "500.25", {"drawdown 5.00%": "0.5"}),
        (4, 108000, "375.18", {"4 losses in a row": "0.75", "drawdown 7.41%": "0.5"}),
    ],
)
def test_losses_in_a_row_and_a_drawdown_cut_the_budget(
    streak: int, peak: int, budget: str, shown: dict[str, str]
) -> None:
    found = sized(book(account=account(loss_streak=streak, peak_equity=D(peak))))
    assert found.risk_budget == D(budget)
    assert found.reductions == {"VIX": "n/a", **shown}


def test_all_reductions_together_never_cut_under_a_quarter() -> None:
    settings = Settings(risk=RiskSettings(loss_streak_cut=Decimal("0.1")))
    found = size(proposal(), book(account=account(loss_streak=3, peak_equity=D(110000))), settings)
    assert isinstance(found, Sizing)
    assert found.risk_budget == D("250.12")


def test_a_clock_mismatch_shrinks_the_multiplier_and_what_it_recommends() -> None:
    found = sized(recommended=4, multiplier_factor=D("0.5"))
    assert (found.quantity, found.capped_by) == (2, "clock mismatch")
    assert found.risk_budget == D("500.25")
    assert found.reductions["clock mismatch"] == "0.5"
    assert sized(recommended=1, multiplier_factor=D("0.5")).quantity == 1
    assert sized(recommended=9, multiplier_factor=D("0.5")).capped_by == "risk budget"


def test_a_conflict_with_the_higher_timeframe_halves_the_quantity_rounded_down() -> None:
    found = sized(recommended=3, size_factor=D("0.5"))
    assert (found.quantity, found.capped_by) == (1, "guard")
    assert found.reductions["guard"] == "0.5"


def test_a_quantity_that_was_shown_is_never_exceeded() -> None:
    found = sized(recommended=5, at_most=2)
    assert (found.quantity, found.capped_by) == (2, "ticket")
    assert sized(recommended=3, at_most=9).capped_by == ""
    assert sized(recommended=3, at_most=3).capped_by == ""


@pytest.mark.parametrize(
    ("of", "changes", "text"),
    [
        (book(), {"recommended": 0}, "SIGNAL_SIZE_ZERO recommended=0"),
        (book(), {"recommended": -1}, "SIGNAL_SIZE_ZERO recommended=-1"),
        (book(equity=10000), {"greeks": None}, "SIZE_BELOW_ONE budget=$50.02 loss=$302.40 cuts=drawdown 90.00% 0.5"),
        (
            book(),
            {"recommended": 1, "size_factor": D("0.5")},
            "SIZE_BELOW_ONE budget=$1000.50 loss=$152.40 cuts=guard 0.5",
        ),
        (
            book(equity=-5),
            {"final_multiplier": None, "greeks": None},
            "SIZE_BELOW_ONE budget=$0.00 loss=$302.40 cuts=drawdown 100.01% 0.5",
        ),
    ],
)
def test_a_size_below_one_contract_is_a_refusal(of: Any, changes: dict[str, Any], text: str) -> None:
    found = size(proposal(**changes), of, SETTINGS)
    assert isinstance(found, Refusal)
    assert found.text == text
