"""Forwards from parity: the truth within the stated error, through noise and junk, and refusals where there is no market."""

from __future__ import annotations

import numpy as np
import pytest

from engine.pricing import styles
from engine.pricing.exercise import early_exercise
from engine.pricing.forward import (
    Forward,
    ForwardStatus,
    Pairs,
    pair_strikes,
    parity_forward,
    parity_spot,
)
from tests.synthetic_chains import RATE, SPOT, Truth, synthetic_chain, with_junk


def forwards_of(truth: Truth, rate: float | None = RATE) -> list[Forward]:
    quotes = truth.quotes
    found = []
    for row, t in enumerate(truth.t):
        here = quotes.expiry == row
        pairs = pair_strikes(quotes.strike[here], quotes.is_call[here], quotes.bid[here], quotes.ask[here])
        exercise = early_exercise(SPOT, float(t), RATE) if quotes.american else None
        found.append(parity_forward(pairs, float(t), rate, exercise))
    return found


def european(strikes: np.ndarray, t: float = 0.5, rate: float = RATE, half: float = 0.05) -> Pairs:
    call = styles.price(SPOT, strikes, t, rate, 0.01, 0.2, True, False)
    put = styles.price(SPOT, strikes, t, rate, 0.01, 0.2, False, False)
    return Pairs(strikes, call - half, call + half, put - half, put + half)


@pytest.mark.parametrize("seed", range(6))
def test_the_forward_is_found_within_its_stated_error(seed: int) -> None:
    truth = synthetic_chain(seed=seed)
    for found, forward in zip(forwards_of(truth), truth.forward, strict=True):
        assert found.ok
        assert abs(found.forward - forward) < 4 * found.error + 0.002
        assert found.error < 0.1
        assert found.used >= 8
        assert found.carry(SPOT) == pytest.approx(0.013, abs=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_a_fifth_of_junk_moves_it_by_cents_only(seed: int) -> None:
    """A fifth of the quotes is more than a third of the strikes."""
    truth, _ = with_junk(synthetic_chain(seed=seed + 3), 0.2, seed + 3)
    for found, forward in zip(forwards_of(truth), truth.forward, strict=True):
        assert found.ok
        assert abs(found.forward - forward) < 4 * found.error + 0.01
        assert abs(found.forward - forward) < 0.0005 * forward
    assert sum(len(found.rejected) for found in forwards_of(truth)) > 5


def test_exact_quotes_give_the_exact_forward_and_carry_and_dividends() -> None:
    found = parity_forward(european(np.arange(540.0, 661.0, 5.0)), 0.5, RATE)
    forward = SPOT * np.exp(0.03 * 0.5)
    assert found.forward == pytest.approx(forward, abs=1e-9)
    assert found.carry(SPOT) == pytest.approx(0.01, abs=1e-9)
    assert found.dividends(SPOT) == pytest.approx(SPOT * (1 - np.exp(-0.005)), abs=1e-8)
    assert found.discount == pytest.approx(np.exp(-0.02))


def test_the_slope_gives_the_rate_where_strikes_are_far_apart() -> None:
    truth = synthetic_chain(days=(182,), noise=0.1)
    (found,) = forwards_of(truth, rate=None)
    assert found.ok
    assert abs(found.rate - RATE) < 4 * found.rate_error + 1e-4
    assert 0 < found.rate_error < 0.01
    assert abs(found.forward - truth.forward[0]) < 4 * found.error + 0.01


def test_without_a_rate_near_strikes_say_that_they_cannot_tell() -> None:
    truth = synthetic_chain(days=(2,), half_spread=0.2, noise=1.0)
    (found,) = forwards_of(truth, rate=None)
    assert found.status is ForwardStatus.RATE_UNKNOWN
    assert np.isnan(found.forward)


@pytest.mark.parametrize("carry", [0.0, 0.013, 0.06])
def test_american_quotes_are_corrected_for_early_exercise(carry: float) -> None:
    """Read as European they give a forward that is off by more than its error; corrected they do not."""
    truth = synthetic_chain(american=True, carry=carry, days=(30, 182, 365), noise=0.1)
    for found, forward in zip(forwards_of(truth), truth.forward, strict=True):
        assert found.ok
        assert abs(found.forward - forward) < 4 * found.error + 0.02
    last = int(np.flatnonzero(truth.quotes.expiry == 2)[0])
    assert truth.quotes.american
    here = truth.quotes.expiry == truth.quotes.expiry[last]
    quotes = truth.quotes
    plain = parity_forward(
        pair_strikes(quotes.strike[here], quotes.is_call[here], quotes.bid[here], quotes.ask[here]), truth.t[2], RATE
    )
    assert not abs(plain.forward - truth.forward[2]) < 0.2


@pytest.mark.parametrize(
    ("pairs", "t", "rate", "status"),
    [
        (european(np.array([590.0, 600.0])), 0.5, RATE, ForwardStatus.FEW_STRIKES),
        (european(np.arange(590.0, 611.0))._replace(put_bid=np.zeros(21)), 0.5, RATE, ForwardStatus.FEW_STRIKES),
        (european(np.arange(590.0, 611.0)), 0.0, RATE, ForwardStatus.BAD_INPUT),
        (european(np.arange(590.0, 611.0)), 0.5, float("nan"), ForwardStatus.BAD_INPUT),
    ],
    ids=["two strikes", "no put bids", "expired", "no rate"],
)
def test_too_little_is_refused_with_its_reason(pairs: Pairs, t: float, rate: float, status: ForwardStatus) -> None:
    found = parity_forward(pairs, t, rate)
    assert found.status is status
    assert not found.ok
    assert np.isnan(found.forward)


def test_quotes_that_contradict_each_other_give_no_forward() -> None:
    pairs = european(np.arange(560.0, 641.0, 5.0))
    chaos = np.random.default_rng(1).uniform(-60, 60, len(pairs.strike))
    found = parity_forward(
        pairs._replace(call_bid=pairs.call_bid + 80 + chaos, call_ask=pairs.call_ask + 80 + chaos), 0.5, RATE
    )
    assert found.status is ForwardStatus.NO_AGREEMENT


@pytest.mark.parametrize("american", [False, True])
@pytest.mark.parametrize("rate", [RATE, None], ids=["rate given", "rate from the slope"])
def test_quotes_in_cents_on_strikes_in_dollars_give_no_forward(american: bool, rate: float | None) -> None:
    """Deep puts worth more than the spot: the strikes' forward would be negative."""
    strikes = np.arange(560.0, 661.0, 5.0)
    cents = Pairs(strikes, *(100.0 * quotes for quotes in european(strikes)[1:]))
    cents = cents._replace(
        call_bid=cents.put_bid, call_ask=cents.put_ask, put_bid=cents.call_bid, put_ask=cents.call_ask
    )
    cents = cents._replace(put_bid=cents.put_bid + 90_000, put_ask=cents.put_ask + 90_000)

    def nothing(forward: float, strike: np.ndarray, vol: np.ndarray, is_call: np.ndarray) -> np.ndarray:
        return np.full(strike.shape, np.log(forward))

    found = parity_forward(cents, 0.5, rate, nothing if american else None)
    assert (found.status, found.ok) == (ForwardStatus.NO_AGREEMENT, False)


def test_an_exercise_right_that_is_not_a_number_gives_no_forward() -> None:
    pairs = european(np.arange(560.0, 641.0, 5.0))
    found = parity_forward(pairs, 0.5, RATE, lambda forward, strike, vol, is_call: np.full(strike.shape, np.nan))
    assert found.status is ForwardStatus.NO_AGREEMENT


def test_pairs_take_the_narrower_of_two_quotes_and_only_strikes_with_both() -> None:
    strike = np.array([100.0, 100.0, 100.0, 105.0, 110.0])
    call = np.array([True, True, False, True, False])
    pairs = pair_strikes(strike, call, np.array([1.0, 1.4, 2.0, 3.0, 4.0]), np.array([2.0, 1.6, 2.2, 3.1, 4.1]))
    assert pairs.strike.tolist() == [100.0]
    assert (pairs.call_bid[0], pairs.put_ask[0]) == (1.4, 2.2)


def test_the_forwards_lead_back_to_the_spot() -> None:
    truth = synthetic_chain(days=(2, 5, 9, 16, 30, 60))
    found = parity_spot(forwards_of(truth), [0.0] * 6)
    assert found.spot == pytest.approx(SPOT, abs=max(4 * found.error, 0.02))
    assert found.error < 0.2
    assert np.isnan(parity_spot([Forward(ForwardStatus.FEW_STRIKES, 0.1)], [0.0]).spot)


def test_one_forward_alone_gives_its_present_value_and_says_how_little_it_knows() -> None:
    truth = synthetic_chain(days=(2,))
    found = parity_spot(forwards_of(truth), [0.0])
    assert found.spot == pytest.approx(SPOT, abs=found.error)
    assert found.error > 0.5
