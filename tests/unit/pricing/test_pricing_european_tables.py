"""Every European row of the published tables, inside its tolerance; rows are counted, so that none is left out silently."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from engine.pricing.european import RAW, black76_price, full_greeks, price
from engine.pricing.implied import IvStatus, implied_vol

ROWS = {
    "european_bsm_haug_values.csv": 32,
    "european_greeks_haug.csv": 11,
    "hull_textbook.csv": 9,
    "py_vollib_bs_test_data.csv": 67 * 13,
    "jetblack_price_and_greeks.csv": 228,
}


class Known(NamedTuple):
    """One published number."""

    table: str
    asked: tuple[float, float, float, float, float, float, bool]
    quantity: str
    value: float
    tolerance: float


def read(data: Path, name: str) -> list[dict[str, str]]:
    with (data / "reference_tables" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def textbook_rows(data: Path, name: str) -> list[Known]:
    """Haug's and Hull's: one number a row, with its tolerance."""
    return [
        Known(
            name,
            (*(float(row[each]) for each in ("spot", "strike", "t", "r", "q", "vol")), row["type"] == "call"),
            row.get("greek") or row.get("quantity") or "price",
            float(row["value"]),
            float(row["tol"]),
        )
        for row in read(data, name)
        if row.get("exercise", "european") == "european"
    ]


def vollib_rows(data: Path) -> list[Known]:
    """Two prices and ten Greeks a row, and the call at more digits. Printed to ten significant digits or 1e-15."""
    name = "py_vollib_bs_test_data.csv"
    columns = {"bs_call": "price", "call_vals": "price", "bs_put": "price"} | {
        f"{side}{letter}": greek
        for side in "CP"
        for letter, greek in (("D", "delta"), ("G", "gamma"), ("T", "theta"), ("V", "vega"), ("R", "rho"))
    }
    found = []
    for row in read(data, name):
        spot, strike, r, t, vol = (float(row[each]) for each in ("S", "K", "R", "t", "v"))
        for column, quantity in columns.items():
            is_call = column in ("bs_call", "call_vals") or column.startswith("C")
            # The table's own differences are good to half a unit in their last digit, or to noise of 1e-6 near nothing.
            value = float(row[column])
            found.append(
                Known(name, (spot, strike, t, r, 0.0, vol, is_call), quantity, value, 5e-7 + 5e-9 * abs(value))
            )
    return found


def jetblack_rows(data: Path) -> list[Known]:
    """Generalised, plain and 1973 Black-Scholes (the last knows no yield), at full precision."""
    name = "jetblack_price_and_greeks.csv"
    found = []
    for row in read(data, name):
        if not row["model"].startswith("european_"):
            continue
        yields = 0.0 if row["model"] == "european_BS73" else float(row["q"] or 0)
        quantity = "vegap_100" if (row["quantity"], row["model"]) == ("vegap", "european_GBS") else row["quantity"]
        found.append(_jetblack(name, row, quantity, yields))
    return found


def _jetblack(name: str, row: dict[str, str], quantity: str, yields: float) -> Known:
    """`asked` holds the price in the vol's place where the vol is what is known."""
    if quantity == "ivol":
        spot = float(row["S"] or row["F"])
        asked = (
            spot,
            float(row["K"]),
            float(row["T"]),
            float(row["r"]),
            yields,
            float(row["p"]),
            row["is_call"] == "True",
        )
        return Known(name, asked, quantity, float(row["expected"]), 1e-9)
    asked = (
        *(float(row[each]) for each in ("S", "K", "T", "r")),
        yields,
        float(row["v"]),
        row["is_call"] == "True",
    )  # fmt: skip
    value = float(row["expected"])
    # The third derivative is taken here by differences of gamma.
    return Known(name, asked, quantity, value, 1e-7 if quantity == "dgamma_dvol" else 1e-12 + 1e-12 * abs(value))


def everything(data: Path) -> list[Known]:
    found = [
        known
        for name in ("european_bsm_haug_values.csv", "european_greeks_haug.csv", "hull_textbook.csv")
        for known in textbook_rows(data, name)
    ]
    return found + vollib_rows(data) + jetblack_rows(data)


def ours(known: Known) -> float:
    spot, strike, t, r, q, vol, is_call = known.asked
    if known.quantity == "ivol":
        found = implied_vol(vol, spot, strike, t, r, q, is_call)
        assert found.status[0] == IvStatus.CONVERGED, known
        return float(found.vol[0])
    greeks = full_greeks(*known.asked, units=RAW)
    width = 1e-5

    def gamma_at(other: float) -> float:
        return float(full_greeks(spot, strike, t, r, q, other, is_call, units=RAW).gamma)

    return float(
        {
            "price": greeks.value,
            "delta": greeks.delta,
            "gamma": greeks.gamma,
            "vega": greeks.vega,
            "theta": greeks.theta,
            "theta_per_year": greeks.theta,
            "theta_per_day": greeks.theta / 365,
            "rho": greeks.rho,
            "vanna": greeks.vanna,
            "vomma": greeks.volga,
            "charm": greeks.charm,
            "elasticity": greeks.delta * spot / max(float(greeks.value), 1e-300),
            "dividend_rho": -t * spot * greeks.delta,
            "gammap": greeks.gamma * spot / 100,
            "vegap": greeks.vega * vol / 10,
            "vegap_100": greeks.vega * vol / 10 * 100,
            "dgamma_dvol": (gamma_at(vol + width) - gamma_at(vol - width)) / (2 * width),
        }[known.quantity]
    )


def test_every_published_number_is_met(data: Path) -> None:
    rows = everything(data)
    assert Counter(known.table for known in rows) == ROWS
    missed = [(known, found) for known in rows if not abs((found := ours(known)) - known.value) <= known.tolerance]
    assert not missed, missed[:5]


@pytest.mark.parametrize("side", ["call", "put"])
def test_black_76_meets_the_normalised_prices_at_sixty_digits(data: Path, side: str) -> None:
    rows = [row for row in read(data, "implied_vol_hard_cases_mpmath.csv") if row["representable"] == "True"]
    assert len(rows) == 106

    def column(name: str) -> Any:
        return np.array([float(row[name]) for row in rows])

    found = black76_price(column("forward"), column("strike"), 1.0, 0.0, column("total_vol"), side == "call")
    assert np.max(np.abs(found - column(side)) / np.maximum(column("forward"), column("strike"))) < 1e-15
    assert np.array_equal(
        found, price(column("forward"), column("strike"), 1.0, 0.0, 0.0, column("total_vol"), side == "call")
    )
