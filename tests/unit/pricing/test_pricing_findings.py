"""Findings: every arbitrage that is planted is found with its size, and none where quotes only wander within their spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.pricing import european
from engine.pricing.chain_fit import ChainFit, fit_chain
from engine.pricing.findings import Finding, FindingKind, Severity, sort_findings
from engine.pricing.time import VarianceClock
from engine.sessions import new_york_calendar
from tests.synthetic_chains import CURVE, SPOT, Truth, synthetic_chain

CLOCK = VarianceClock(new_york_calendar())


def fitted(truth: Truth) -> ChainFit:
    return fit_chain(truth.quotes, CURVE, CLOCK)


def grave(fit: ChainFit) -> list[Finding]:
    return [one for one in fit.findings if one.severity is not Severity.NOTE]


def row_of(truth: Truth, expiry: int, moneyness: float, is_call: bool) -> int:
    quotes = truth.quotes
    there = np.flatnonzero((quotes.expiry == expiry) & (quotes.is_call == is_call))
    return int(there[np.argmin(np.abs(quotes.strike[there] - SPOT * (1 + moneyness)))])


def planted(truth: Truth, row: int, bid: float, ask: float) -> Truth:
    bids, asks = truth.quotes.bid.copy(), truth.quotes.ask.copy()
    bids[row], asks[row] = bid, ask
    return truth.with_quotes(bid=bids, ask=asks)


def of_kind(fit: ChainFit, kind: FindingKind) -> list[Finding]:
    return [one for one in fit.findings if one.kind is kind]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("noise", "half"), [(0.25, 0.02), (0.9, 0.05), (0.5, 0.3)])
def test_noise_within_the_spread_is_no_finding(seed: int, noise: float, half: float) -> None:
    assert grave(fitted(synthetic_chain(seed=seed, noise=noise, half_spread=half))) == []


@pytest.mark.parametrize("seed", range(2))
def test_nor_is_it_on_american_options(seed: int) -> None:
    truth = synthetic_chain(american=True, seed=seed, noise=0.6, days=(9, 91), strikes=25)
    assert grave(fitted(truth)) == []


@pytest.mark.parametrize("is_call", [True, False])
def test_a_vertical_that_pays_to_be_held(is_call: bool) -> None:
    """A further out-of-the-money option bid above a nearer one's ask."""
    truth = synthetic_chain()
    side = 1 if is_call else -1
    near, far = row_of(truth, 2, 0.01 * side, is_call), row_of(truth, 2, 0.04 * side, is_call)
    ask = float(truth.quotes.ask[near])
    found = of_kind(fitted(planted(truth, far, ask + 0.30, ask + 0.35)), FindingKind.VERTICAL)
    assert found
    assert found[0].severity is Severity.ARBITRAGE
    assert found[0].rows[0] == far
    assert found[0].size >= 0.30 - 1e-9


def test_a_vertical_sold_above_its_strikes_difference() -> None:
    truth = synthetic_chain()
    low, high = row_of(truth, 2, -0.03, True), row_of(truth, 2, -0.02, True)
    width = float(truth.quotes.strike[high] - truth.quotes.strike[low])
    bid = float(truth.quotes.ask[high]) + width + 0.5
    found = of_kind(fitted(planted(truth, low, bid, bid + 0.1)), FindingKind.VERTICAL)
    assert any(one.rows[0] == low and "difference" in one.text for one in found)


def test_a_butterfly_bought_for_less_than_nothing() -> None:
    truth = synthetic_chain()
    body = row_of(truth, 3, 0.02, True)
    bid, ask = float(truth.quotes.bid[body]) + 0.9, float(truth.quotes.ask[body]) + 0.9
    found = of_kind(fitted(planted(truth, body, bid, ask)), FindingKind.BUTTERFLY)
    assert [one.rows[0] for one in found] == [body]
    assert 0.3 < found[0].size < 0.6
    assert len(found[0].rows) == 3


def test_a_later_american_expiry_offered_below_an_earlier_bid_at_the_same_strike() -> None:
    truth = synthetic_chain(american=True, days=(30, 37), carry=0.0, strikes=31)
    quotes = truth.quotes
    strikes = np.intersect1d(quotes.strike[quotes.expiry == 0], quotes.strike[quotes.expiry == 1])
    strike = strikes[np.argmin(np.abs(strikes - SPOT))]
    early, late = (
        int(np.flatnonzero((quotes.expiry == at) & quotes.is_call & (quotes.strike == strike))[0]) for at in (0, 1)
    )
    bid = float(quotes.bid[early])
    found = of_kind(fitted(planted(truth, late, bid - 0.9, bid - 0.8)), FindingKind.CALENDAR)
    assert [set(one.rows) for one in found] == [{early, late}]
    assert found[0].size == pytest.approx(0.8)


def test_a_later_european_expiry_with_less_variance_is_found_at_equal_moneyness() -> None:
    truth = synthetic_chain(days=(30, 37), carry=0.0)
    quotes = truth.quotes
    later = quotes.expiry == 1
    cash = np.full(later.sum(), SPOT)
    cheap = european.price(
        cash, quotes.strike[later], truth.t[1], 0.04, 0.0, 0.6 * truth.vol[later], quotes.is_call[later]
    )
    bid, ask = quotes.bid.copy(), quotes.ask.copy()
    bid[later], ask[later] = np.floor(cheap * 100) / 100, np.ceil(cheap * 100 + 2) / 100
    found = of_kind(fitted(truth.with_quotes(bid=bid, ask=ask)), FindingKind.CALENDAR)
    assert len(found) > 5
    assert max(one.size for one in found) > 1.0
    assert all(0 in quotes.expiry[list(one.rows)] for one in found)


def test_one_bad_quote_is_named_once_for_each_kind() -> None:
    """It makes verticals and butterflies with all its neighbours; they are not what is wrong."""
    truth = synthetic_chain()
    bad = row_of(truth, 2, -0.05, True)
    value = float(truth.quotes.bid[bad])
    found = [
        one
        for one in grave(fitted(planted(truth, bad, value - 4.0, value - 3.9)))
        if one.kind is not FindingKind.PARITY
    ]
    assert len(found) <= 4
    assert {one.rows[0] for one in found if one.size > 1.0} == {bad}


def test_a_call_out_of_line_with_its_put() -> None:
    truth = synthetic_chain()
    call = row_of(truth, 2, 0.0, True)
    bid, ask = float(truth.quotes.bid[call]) + 1.5, float(truth.quotes.ask[call]) + 1.5
    found = of_kind(fitted(planted(truth, call, bid, ask)), FindingKind.PARITY)
    assert [one.rows[0] for one in found] == [call]
    assert found[0].text == "call dear against the put"
    assert 1.2 < found[0].size < 1.5


def test_below_intrinsic_crossed_locked_and_without_a_bid() -> None:
    truth = synthetic_chain()
    deep, crossed, locked, empty, gone = (row_of(truth, 2, at, True) for at in (-0.06, 0.02, 0.03, 0.05, 0.06))
    value = float(truth.quotes.bid[deep])
    quotes = planted(truth, deep, value - 5.0, value - 4.9)
    quotes = planted(quotes, crossed, 9.0, 8.8)
    level = float(truth.quotes.ask[locked])
    quotes = planted(quotes, locked, level, level)
    quotes = planted(planted(quotes, empty, 0.0, 4.0), gone, float("nan"), float("nan"))
    fit = fitted(quotes)
    (below,) = of_kind(fit, FindingKind.BELOW_INTRINSIC)
    assert below.rows == (deep,)
    assert 1.0 < below.size < 2.0
    assert [one.rows for one in of_kind(fit, FindingKind.CROSSED)] == [(crossed,)]
    assert of_kind(fit, FindingKind.CROSSED)[0].size == pytest.approx(0.2)
    assert [one.rows for one in of_kind(fit, FindingKind.LOCKED)] == [(locked,)]
    assert (empty,) in [one.rows for one in of_kind(fit, FindingKind.ZERO_BID)]
    assert [one.rows for one in of_kind(fit, FindingKind.NO_QUOTE)] == [(gone,)]
    assert np.isnan(fit.vol[gone])


def test_a_stale_quote_lies_off_the_smile_of_its_neighbours() -> None:
    truth = synthetic_chain()
    stale = row_of(truth, 3, -0.05, False)
    bid, ask = float(truth.quotes.bid[stale]) - 0.6, float(truth.quotes.ask[stale]) - 0.6
    found = of_kind(fitted(planted(truth, stale, bid, ask)), FindingKind.OUTLIER)
    assert [one.rows for one in found] == [(stale,)]
    assert found[0].severity is Severity.SUSPECT
    assert found[0].size == pytest.approx(0.6, abs=0.15)


def test_an_american_option_below_what_exercise_brings_at_once() -> None:
    truth = synthetic_chain(american=True, days=(9, 30, 91), strikes=25)
    deep = row_of(truth, 2, 0.06, False)
    brings = float(truth.quotes.strike[deep]) - SPOT
    found = of_kind(fitted(planted(truth, deep, brings - 1.1, brings - 1.0)), FindingKind.BELOW_INTRINSIC)
    assert [one.rows for one in found] == [(deep,)]
    assert found[0].size == pytest.approx(1.0, abs=0.35)


def test_findings_stand_in_order_worst_first() -> None:
    note = Finding(FindingKind.LOCKED, Severity.NOTE, (1,), 0.0, "")
    small = Finding(FindingKind.VERTICAL, Severity.ARBITRAGE, (5, 4), 0.1, "")
    large = replace(small, size=2.0)
    stale = Finding(FindingKind.OUTLIER, Severity.SUSPECT, (2,), 9.0, "")
    assert sort_findings([note, stale, small, large]) == [large, small, stale, note]


def test_the_greeks_of_a_contract_without_a_vol_stand_at_the_smiles() -> None:
    truth = synthetic_chain()
    row = row_of(truth, 2, 0.03, True)
    fit = fitted(planted(truth, row, 0.0, 50.0))
    assert np.isnan(fit.vol[row])
    assert fit.used_vol[row] == fit.smile_vol[row]
    assert fit.smile_vol[row] == pytest.approx(truth.vol[row], abs=0.003)
    assert 0 < fit.greeks.delta[row] < 1
    assert not fit.reliable[row]


def test_a_fifth_of_junk_leaves_the_other_vols_and_the_smile_alone() -> None:
    from tests.synthetic_chains import with_junk

    truth, hit = with_junk(synthetic_chain(seed=11), 0.2, 11)
    fit = fitted(truth)
    middle = ~hit & (np.abs(np.log(truth.quotes.strike / SPOT)) < 0.05)
    assert np.nanmedian(np.abs(fit.smile_vol - truth.vol)[middle]) < 0.003
    assert len(grave(fit)) > 10
    for one, forward in zip(fit.expiries, truth.forward, strict=True):
        assert one.forward.forward == pytest.approx(forward, rel=5e-4)
