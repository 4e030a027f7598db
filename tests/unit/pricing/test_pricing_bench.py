"""`bench pricing`: what it measures with is right, and a rival that is not there is a line."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from app.commands.bench_pricing_european import _judged, _ratios
from app.commands.bench_pricing_rivals import PYVOLR, european_rivals, implied_rivals, in_order
from app.commands.bench_pricing_rounds import Job, in_turn, one_core
from app.commands.bench_pricing_sets import chains, hard, priced
from engine.pricing import price

RIVALS = ("fast_vollib", "pyvolr", "QuantLib", "vollib")


@pytest.fixture
def _none_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RIVALS:
        monkeypatch.setitem(sys.modules, name, None)
        for loaded in [each for each in sys.modules if each.startswith(f"{name}.")]:
            monkeypatch.delitem(sys.modules, loaded)


@pytest.mark.usefixtures("_none_installed")
def test_a_rival_that_is_not_installed_is_a_line_that_says_so() -> None:
    contracts = chains(20)
    jobs, missing = european_rivals(contracts)
    assert jobs == []
    assert len(missing) == 4
    assert implied_rivals(priced(contracts).price, contracts)[0] == []
    rows = _ratios(in_turn([Job("ours", lambda: price(*contracts), 20)], 3), {PYVOLR: "≥ 4×"}, missing)
    assert {"what": PYVOLR, "figure": "not installed (the extra `bench` brings it)", "bar": "≥ 4×"} in rows
    assert len(rows) == 4


def test_jobs_take_turns() -> None:
    order: list[str] = []
    found = in_turn([Job("a", lambda: order.append("a"), 1), Job("b", lambda: order.append("b"), 1)], 3)
    assert order == ["a", "b"] * 4
    assert found["a"].best <= found["a"].nanoseconds


def test_the_sets_are_seeded_and_hard_is_hard() -> None:
    again = hard(500, 3)
    assert all(np.array_equal(x, y) for x, y in zip(hard(500, 3).contracts, again.contracts, strict=True))
    assert not np.array_equal(hard(500, 4).price, again.price)
    assert again.contracts.t.min() < 1e-5
    assert again.contracts.vol.max() > 3.0
    assert again.price == pytest.approx(price(*again.contracts), rel=1e-12, abs=1e-10)


def test_a_wrong_vol_is_judged_a_failure() -> None:
    vol, floor = np.array([0.2, 0.3, 0.4]), np.full(3, 1e-16)
    assert _judged(np.array([0.2, np.nan, 0.4 + 1e-5]), vol, floor)[0] == 2
    assert _judged(vol, vol, floor)[0] == 0
    assert _judged(np.full(3, np.nan), vol, floor)[0] == 3


def test_answers_of_both_sides_come_back_in_order() -> None:
    contracts = chains(50)
    sides = [contracts.strike[contracts.is_call], contracts.strike[~contracts.is_call]]
    assert np.array_equal(in_order(contracts, sides), contracts.strike)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_one_core_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    before = os.sched_getaffinity(0)
    with one_core() as said:
        assert said == "pinned to one core"
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
