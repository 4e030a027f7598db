"""Every American row of the published tables; rows are counted, so that none is left out silently.

What a table of approximations (BAW, Bjerksund-Stensland, Ju, trees) publishes is not the exact value: those rows are
checked against the near-exact column beside them, or kept within the approximation's own error.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from app.commands.bench_american_sets import PRECISE, Oracle
from app.commands.bench_pricing_sets import Contracts
from engine.pricing import american, european
from engine.pricing.european import RAW

QD_PLUS = {(3650.0, 0.1, 0.03), (3650.0, 0.03, 0.1), (365.0, 0.0, 0.025), (365.0, 0.01, 0.05), (365.0, 0.1, 10.0), (62050.0, 0.01, 0.002)}  # fmt: skip
"""(days, r, q) of rows that publish the approximation QD+ and not the exact value; each at spot 100 or its mirror."""


def read(data: Path, name: str) -> list[dict[str, str]]:
    with (data / "reference_tables" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def columns(rows: list[dict[str, str]], time: str = "t", per_year: float = 1.0) -> Contracts:
    numbers = {each: np.array([float(row[each]) for row in rows]) for each in ("spot", "strike", time, "r", "q", "vol")}
    is_call = np.array([row["type"] == "call" for row in rows])
    return Contracts(
        numbers["spot"],
        numbers["strike"],
        numbers[time] / per_year,
        numbers["r"],
        numbers["q"],
        numbers["vol"],
        is_call,
    )


@pytest.mark.parametrize(
    ("name", "count"),
    [("american_baw_haug.csv", 25), ("american_bjerksund_stensland_haug.csv", 8), ("american_ju_short_puts.csv", 27)],
)
def test_approximations_publish_the_exact_value_beside_their_own(data: Path, name: str, count: int) -> None:
    rows = read(data, name)
    assert len(rows) == count
    exact = np.array([float(row["exact_american_qdfp"]) for row in rows])
    assert american.price(*columns(rows)) == pytest.approx(exact, abs=2e-6)


def test_edge_cases(data: Path) -> None:
    rows = read(data, "american_exact_edge_cases.csv")
    assert len(rows) == 34
    seen: Counter[str] = Counter()
    for row in rows:
        contract = columns([row], "days_act365", 365.0)
        known, tolerance = float(row["value"]), float(row["tol"])
        found = float(american.price(*contract)[0])
        days, r, q = float(row["days_act365"]), float(row["r"]), float(row["q"])
        vol = float(row["vol"])
        if days == 0.0:
            # The table calls an option dead on its last day; here it is worth its payoff until it is gone.
            assert known == 0.0
            assert found == max(float(row["strike"]) - float(row["spot"]), 0.0)
            seen["at expiry"] += 1
        elif (
            (days, r, q) in QD_PLUS
            and (vol in (0.25, 100.0))
            and float(row["strike"]) < 1e6
            and float(row["spot"]) < 1e6
        ):
            exact = float(Oracle(contract, PRECISE).values()[0])
            assert abs(known - exact) > 1e-6, row
            assert found == pytest.approx(exact, abs=2e-5)
            seen["an approximation"] += 1
        else:
            assert found == pytest.approx(known, abs=tolerance if tolerance > 0 else 1e-12 * known), row
            seen["exact"] += 1
    assert seen == {"exact": 27, "an approximation": 6, "at expiry": 1}


def test_the_premium_andersen_lake_and_offengenden_publish(data: Path) -> None:
    rows = read(data, "american_andersen_lake_premium.csv")
    assert len(rows) == 2
    contracts = columns(rows)
    premium = american.price(*contracts, precise=True) - european.price(*contracts)
    known = [float(row["american_minus_european"]) for row in rows]
    assert premium[0] == pytest.approx(known[0], abs=1e-9)
    # The second is printed to seven digits and its last one is off by one: 0.36711114062.
    assert premium[1] == pytest.approx(known[1], abs=6.5e-8)
    assert premium[1] == pytest.approx(0.36711114062, abs=1e-9)


def test_the_grid_with_greeks(data: Path) -> None:
    """The table's Greeks are differences of its prices: where one of its steps crosses the boundary they are half a jump."""
    rows = read(data, "american_grid_quantlib_qdfp.csv")
    assert len(rows) == 200
    contracts = columns(rows)
    found = american.greeks(*contracts, units=RAW)

    def known(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows])

    assert np.abs(found.value - known("american")).max() < 3e-5
    assert np.abs(european.price(*contracts) - known("european")).max() < 1e-9
    spot, root = contracts.spot, np.sqrt(contracts.t)
    for name, column, unit, allowed in (
        ("delta", "delta", 1.0 + 0 * spot, 1e-3),
        ("gamma", "gamma", 1.0 / (spot * contracts.vol * root), 2e-2),
        ("vega", "vega", spot * root, 1e-4),
        ("rho", "rho", contracts.strike * contracts.t, 1e-3),
    ):
        gap = np.abs(getattr(found, name) - known(column)) / unit
        assert np.quantile(gap, 0.98) < allowed, name
        assert gap.max() < 20 * allowed, name
    gap = np.abs(found.theta - known("theta_per_year")) / (spot * contracts.vol / root)
    assert np.quantile(gap, 0.98) < 5e-3
    # One row lies on its boundary to the digit, where theta jumps to 0.
    assert (gap > 2e-2).sum() <= 1


def test_hulls_american_put(data: Path) -> None:
    rows = [row for row in read(data, "hull_textbook.csv") if row["exercise"] == "american"]
    assert len(rows) == 1
    found = float(american.price(*columns(rows))[0])
    assert found == pytest.approx(float(rows[0]["value"]), abs=float(rows[0]["tol"]))
    assert found == pytest.approx(float(rows[0]["check_quantlib"]), abs=1e-5)


SPREAD = {
    ("american_BAW", "price"): 0.015, ("american_BAW", "delta"): 0.015, ("american_BAW", "gamma"): 0.003,
    ("american_BAW", "theta"): 0.1, ("american_BAW", "vega"): 0.6, ("american_BAW", "rho"): 3.0,
    ("american_BS1993", "price"): 0.04, ("american_BS1993", "delta"): 0.01, ("american_BS1993", "gamma"): 0.001,
    ("american_BS1993", "theta"): 0.07, ("american_BS1993", "vega"): 1.0, ("american_BS1993", "rho"): 1.2,
    ("tree_LeisenReimer", "price"): 0.002, ("tree_LeisenReimer", "delta"): 1e-5, ("tree_LeisenReimer", "gamma"): 1e-5,
    ("tree_LeisenReimer", "theta"): 1e-4, ("tree_LeisenReimer", "vega"): 1e-3, ("tree_LeisenReimer", "rho"): 1e-3,
    ("tree_CRR", "price"): 0.005, ("tree_CRR", "delta"): 0.006, ("tree_CRR", "theta"): 0.06,
    ("tree_CRR", "vega"): 0.5, ("tree_CRR", "rho"): 0.02,
}  # fmt: skip
"""How far each approximation may be from the exact number (the trees' Greeks are those of European options)."""


def test_another_packages_approximations(data: Path) -> None:
    rows = [row for row in read(data, "jetblack_price_and_greeks.csv") if not row["model"].startswith("european_")]
    assert len(rows) == 155
    seen: Counter[str] = Counter()
    for row in rows:
        spot, strike, t, r, q, vol = (float(row[each] or 0) for each in ("S", "K", "T", "r", "q", "v"))
        is_call = row["is_call"] == "True"
        model, quantity, known = row["model"], row["quantity"], float(row["expected"])
        if model == "american_BAW" and not is_call:
            # Its puts are wrong: one costs less than the 10.00 it pays at once, all less than the exact ones by far.
            exact = float(american.price(spot, strike, t, r, q, vol, False))
            assert quantity != "price" or (known < exact - 0.007)
            seen["wrong puts"] += 1
        elif (model, quantity) == ("tree_CRR", "gamma"):
            # Second differences over a step narrower than the tree's: noise, 7.55 at the money and nothing beside it.
            assert abs(known) > 7.0 or abs(known) < 1e-9
            seen["noise"] += 1
        else:
            of = european if row["is_european"] == "True" else american
            found = of.greeks(spot, strike, t, r, q, vol, is_call, units=RAW)
            mine = float(getattr(found, "value" if quantity == "price" else quantity))
            assert mine == pytest.approx(known, abs=SPREAD[model, quantity]), row
            seen["near"] += 1
    assert seen == {"near": 131, "wrong puts": 18, "noise": 6}
