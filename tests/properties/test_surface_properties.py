"""Properties of fitted surfaces: from quotes without arbitrage, none anywhere between; the clock and its vols add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from engine.pricing.moments import probability_below, quantile
from engine.pricing.surface import fit_surface
from engine.pricing.svi import Svi, durrleman, fit_smile
from engine.pricing.time import Event, VarianceClock, to_calendar, to_clock
from engine.sessions import new_york_calendar

START = datetime(2026, 3, 2, tzinfo=UTC)
CALENDAR = new_york_calendar()


def slice_of(theta: float, skew: float, eta: float) -> Svi:
    """An SSVI slice φ = η/√θ; with η(1 + |ρ|) ≤ 2 slices of one η and ρ have no butterflies and never cross."""
    phi = eta / np.sqrt(theta)
    root = float(np.sqrt(1 - skew * skew))
    return Svi(0.5 * theta * root * root, 0.5 * theta * phi, skew, -skew / phi, root / phi)


@settings(max_examples=40, deadline=None)
@given(
    vol=st.floats(0.06, 0.9),
    skew=st.floats(-0.85, 0.6),
    eta=st.floats(0.1, 1.0),
    first=st.floats(0.003, 0.1),
    growth=st.lists(st.floats(1.15, 3.0), min_size=1, max_size=4),
    noise=st.integers(0, 10_000),
    share=st.floats(0.0, 1.0),
)
def test_a_surface_of_sound_quotes_has_no_arbitrage_anywhere(
    vol: float, skew: float, eta: float, first: float, growth: list[float], noise: int, share: float
) -> None:
    """Call prices on a grid of moneyness × time are convex in strike and rise in time, quotes wandering in their spread."""
    t = first * np.cumprod([1.0, *growth])
    random = np.random.default_rng(noise)
    quotes = []
    for years in t:
        truth = slice_of(vol * vol * years, skew, eta)
        k = np.linspace(-2.5, 2.0, 25) * vol * np.sqrt(years)
        half = 0.004 * vol * (1 + np.abs(k) / (vol * np.sqrt(years)))
        quotes.append((k, np.sqrt(truth.variance(k) / years) + share * half * random.uniform(-1, 1, 25), half))
    surface, _ = fit_surface(t, t, np.full(len(t), 100.0), quotes)
    assert surface is not None
    k = np.linspace(-4.0, 4.0, 161) * vol * np.sqrt(t[-1])
    strike = np.exp(k)
    before = np.maximum(1.0 - strike, 0.0)
    for years in np.unique(np.concatenate([np.linspace(t[0] / 3, t[-1] * 1.5, 12), t])):
        w = surface.variance(k, years)
        root = np.sqrt(w)
        call = ndtr(-k / root + 0.5 * root) - strike * ndtr(-k / root - 0.5 * root)
        slopes = np.diff(call) / np.diff(strike)
        assert slopes.min() >= -1 - 1e-9
        assert slopes.max() <= 1e-9
        assert np.diff(slopes).min() >= -1e-7
        # A hundred-thousandth of a cent per dollar: past eight deviations nothing is held.
        assert (call - before).min() >= -1e-7
        before = call


@settings(max_examples=60, deadline=None)
@given(
    vols=st.lists(st.floats(0.03, 2.0), min_size=1, max_size=30),
    spread=st.floats(0.0, 0.1),
    t=st.floats(1e-4, 3.0),
    seed=st.integers(0, 1000),
)
def test_whatever_is_quoted_the_smile_has_no_butterfly_and_its_probabilities_rise(
    vols: list[float], spread: float, t: float, seed: int
) -> None:
    k = np.random.default_rng(seed).normal(0.0, 0.6, len(vols)) * np.sqrt(t)
    smile = fit_smile(k, np.array(vols), np.full(len(vols), spread), t)
    assert smile is not None
    assert smile.butterfly >= -1e-9
    assert smile.parameters.least > 0
    deviation = float(np.sqrt(smile.parameters.variance(0.0)))
    grid = np.linspace(-4 * deviation, 4 * deviation, 801)
    assert float(durrleman(smile.parameters, grid).min()) >= -2e-3
    assert np.all(np.diff(probability_below(smile, grid)) >= -1e-6)
    ends = quantile(smile, np.array([0.05, 0.25, 0.5, 0.75, 0.95]))
    assert np.all(np.diff(ends) >= 0)


moments = st.integers(0, 400 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


@settings(max_examples=150, deadline=None)
@given(
    points=st.lists(moments, min_size=3, max_size=3), meeting=moments, sessions=st.floats(0, 5), vol=st.floats(0.01, 5)
)
def test_the_clock_adds_up_rises_and_converts_both_ways(
    points: list[datetime], meeting: datetime, sessions: float, vol: float
) -> None:
    clock = VarianceClock(CALENDAR, events=[Event(meeting, sessions)])
    a, b, c = sorted(points)
    assert abs(clock.years(a, c) - clock.years(a, b) - clock.years(b, c)) < 1e-12
    assert (clock.years(a, b) > 0) == (b > a)
    if b > a:
        t, years = (b - a).total_seconds() / (365 * 86400), clock.years(a, b)
        assert abs(float(to_calendar(to_clock(vol, t, years), t, years)) / vol - 1) < 1e-12
