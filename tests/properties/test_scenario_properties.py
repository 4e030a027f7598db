"""What must hold of every structure and every grid, whatever the legs."""

from __future__ import annotations

from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.pricing.payoff import dust, outline, profit
from engine.pricing.probability import Lognormal, of_profit, of_touch
from engine.pricing.scenarios import Legs, legs, scenario


@st.composite
def structures(draw: st.DrawFn, *, one_expiry: bool = True) -> Legs:
    count = draw(st.integers(1, 5))

    def each(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=count, max_size=count))

    times = st.sampled_from([7 / 365, 30 / 365, 0.5])
    return legs(
        spot=100.0,
        strike=each(st.integers(70, 130).map(float)),
        t=draw(times) if one_expiry else each(times),
        vol=each(st.floats(0.05, 1.0)),
        rate=draw(st.floats(-0.02, 0.08)),
        carry=draw(st.floats(0.0, 0.05)),
        quantity=each(st.integers(-5, 5).filter(bool).map(float)),
        is_call=draw(st.lists(st.booleans(), min_size=count, max_size=count)),
        american=draw(st.booleans()),
        is_share=draw(st.lists(st.booleans(), min_size=count, max_size=count)),
        entry=each(st.floats(0.0, 30.0)),
    )


@settings(max_examples=60, deadline=None)
@given(structures())
def test_at_expiry_no_price_makes_more_or_loses_more_than_is_said(book: Legs) -> None:
    seen, prices = outline(book), np.linspace(0, 400, 3001)
    made, slack = profit(book, prices), 10 * dust(book)
    assert (made <= seen.max_profit + slack).all()
    assert (made >= seen.max_loss - slack).all()
    far = profit(book, [1e6, 2e6])
    assert (seen.max_profit == inf) == (far[1] - far[0] > 1e-3)
    assert (seen.max_loss == -inf) == (far[1] - far[0] < -1e-3)


@settings(max_examples=60, deadline=None)
@given(structures())
def test_at_expiry_the_sign_of_the_profit_changes_at_break_evens_and_nowhere_else(book: Legs) -> None:
    seen, prices = outline(book), np.linspace(0.05, 399.95, 4001)
    made = profit(book, prices)
    signs = np.where(np.abs(made) <= 1e3 * dust(book), 0.0, np.sign(made))
    edges = np.asarray(seen.break_evens)
    assert np.abs(profit(book, edges)).max(initial=0) <= 1e3 * dust(book)
    stretch = np.searchsorted(edges, prices)
    for number in np.unique(stretch):
        inside = signs[stretch == number]
        assert len(set(inside[inside != 0])) <= 1


@settings(max_examples=30, deadline=None)
@given(structures(one_expiry=False), st.floats(0.05, 1.0))
def test_chances_are_chances_and_the_other_side_has_the_rest(book: Legs, vol: float) -> None:
    around = Lognormal(100.0, vol, float(book.t.min()))
    chance = of_profit(book, around)
    other = legs(
        spot=book.spot, strike=book.strike, t=book.t, vol=book.vol, rate=book.rate, carry=book.carry, is_call=book.is_call,
        american=book.american, is_share=book.is_share, quantity=-book.quantity, entry=book.entry,
    )  # fmt: skip
    assert 0 <= chance <= 1
    assert chance + of_profit(other, around) <= 1 + 1e-6


@given(st.floats(0.2, 5.0), st.floats(0.001, 2), st.floats(-0.03, 0.1), st.floats(0, 0.06), st.floats(0.02, 2))
def test_a_touch_is_at_least_as_likely_as_an_end_beyond(ratio: float, t: float, r: float, q: float, vol: float) -> None:
    touch = float(of_touch(100.0, 100.0 * ratio, t, r, q, vol))
    below = float(Lognormal(100.0 * np.exp((r - q) * t), vol, t).below(100.0 * ratio))
    assert 0 <= touch <= 1
    assert touch >= (below if ratio < 1 else 1 - below) - 1e-12
    assert float(of_touch(100.0, 100.0 * ratio, 2 * t, r, q, vol)) >= touch - 1e-12


@settings(max_examples=30, deadline=None)
@given(structures(one_expiry=False), st.floats(-0.2, 0.2))
def test_a_grid_has_the_slope_its_delta_says(book: Legs, move: float) -> None:
    h = 1e-5
    grid = scenario(book, (move - h, move, move + h))
    slope = (grid.pnl[2, 0, 0] - grid.pnl[0, 0, 0]) / (2 * h)
    scale = float(np.abs(book.units).sum()) * 100
    assert abs(slope - grid.delta[1, 0, 0] / (1 + move)) <= 2e-4 * scale
