"""The chain as it is shown: every figure worked out again contract by contract, and every reason for a missing one."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from engine.domain.chain import EPOCH, Chain
from engine.domain.values import Quote, Style
from engine.domain.views import ChainSide, ChainView, FaceKind
from engine.pricing import expiry_moment, styles, year_fraction
from engine.pricing.terms import Terms
from engine.settings import Settings
from engine.views.chain import ChainAsk, chain_view, failed, living, nothing
from tests.builders_trading import CALENDAR

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
TODAY, WEEK, YEAR = date(2026, 11, 20), date(2026, 11, 27), date(2027, 11, 19)
SPOT, TERMS = 600.0, Terms(0.04, 0.012, 1.0001, 600.3, 20)
STRIKES = np.arange(580.0, 621.0, 2.0)


def made(
    days: tuple[date, ...] = (TODAY, WEEK),
    *,
    style: Style = Style.AMERICAN,
    strikes: np.ndarray = STRIKES,
    now: datetime = NOW,
) -> Chain:  # type: ignore[type-arg]
    """Calls and puts of every strike at a flat 20 % vol, a cent around the model's value, known half a second ago."""
    count = len(strikes)
    strike = np.tile(np.repeat(strikes, 2), len(days))
    is_call = np.tile([True, False], count * len(days))
    expiry = np.repeat(np.arange(len(days)), 2 * count)
    t = np.array([year_fraction(now, expiry_moment(day, CALENDAR)) for day in days])[expiry]
    value = styles.price(SPOT * TERMS.basis, strike, t, 0.04, 0.012, 0.2, is_call, style is Style.AMERICAN)
    at = np.full(strike.shape, (now - EPOCH).total_seconds() - 0.5)
    return Chain(
        symbol="SPY", known_at=now, source="simulated", style=style, expiries=days, expiry=expiry, strike=strike, is_call=is_call,
        spot=Quote(bid=Decimal("599.99"), ask=Decimal("600.01"), at=now - timedelta(seconds=0.3), source="simulated"),
        bid=value - 0.01, ask=value + 0.01, bid_size=np.full(strike.shape, 10), ask_size=np.full(strike.shape, 10), at=at,
        open_interest=np.where(is_call, 500, -1), volume=np.where(is_call, -1, 70),
    )  # fmt: skip


def look(chain: Chain, expiry: int = 1, terms: Terms = TERMS, now: datetime = NOW) -> ChainView:
    return chain_view(ChainAsk(chain, expiry, terms, now, CALENDAR, Settings().market, ("SPY", "QQQ")))


def side(view: ChainView, strike: float, right: str) -> ChainSide:
    row = next(row for row in view.rows if row.strike == Decimal(repr(strike)))
    found = row.call if right == "call" else row.put
    assert found is not None
    return found


def row_of(chain: Chain, strike: float, is_call: bool, expiry: int = 1) -> int:
    return int(np.flatnonzero((chain.strike == strike) & (chain.is_call == is_call) & (chain.expiry == expiry))[0])


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize(
    ("strike", "right"), [(590.0, "put"), (600.0, "call"), (600.0, "put"), (612.0, "call"), (588.0, "call")]
)
def test_vols_and_greeks_are_those_of_the_model_at_the_mid(style: Style, strike: float, right: str) -> None:
    found = side(look(made(style=style)), strike, right)
    t = year_fraction(NOW, expiry_moment(WEEK, CALENDAR))
    is_call = right == "call"
    expected = styles.greeks(SPOT * 1.0001, strike, t, 0.04, 0.012, 0.2, is_call, style is Style.AMERICAN)
    assert found.iv == pytest.approx(0.2, abs=2e-4)
    assert found.delta == pytest.approx(float(expected.delta), abs=1e-3)
    assert found.gamma == pytest.approx(float(expected.gamma), abs=1e-4)
    assert found.theta == pytest.approx(float(expected.theta), abs=2e-3)
    assert found.vega == pytest.approx(float(expected.vega), abs=1e-3)
    assert found.mid == pytest.approx(Decimal(float(expected.value)), abs=Decimal("0.005"))
    assert (found.open_interest, found.volume) == ((500, None) if is_call else (None, 70))
    assert found.in_the_money == (strike < SPOT if is_call else strike > SPOT)
    assert (found.why, found.marks, found.stale) == ("", (), None)


def test_the_expirys_own_figures() -> None:
    view = look(made())
    t = year_fraction(NOW, expiry_moment(WEEK, CALENDAR))
    forward = SPOT * 1.0001 * math.exp(0.028 * t)
    assert (view.symbol, view.symbols, view.expiry, view.source, view.age) == (
        "SPY",
        ("SPY", "QQQ"),
        WEEK,
        "simulated",
        0.5,
    )
    assert [one.dte for one in view.expiries] == [0, 7]
    assert view.spot == Decimal("600.00")
    assert view.forward == pytest.approx(forward, abs=0.006)
    assert view.vol == pytest.approx(0.2, abs=1e-4)
    assert view.move == pytest.approx(forward * 0.2 * math.sqrt(t), abs=0.01)
    assert (view.rate, view.carry, view.model) == (0.04, 0.012, "American, parity forward")
    assert [row.strike for row in view.rows if row.nearest] == [Decimal(600)]
    assert (view.face.kind, view.findings) == (FaceKind.FULL, ())
    assert look(made(), terms=Terms(0.04)).model == "American, spot, no parity"


def test_far_strikes_are_left_out_and_counted() -> None:
    view = look(made(strikes=np.arange(400.0, 801.0, 1.0)))
    assert (len(view.rows), view.strikes) == (80, 401)
    assert view.rows[0].strike == Decimal(561)


def test_what_has_no_vol_says_why_and_takes_its_greeks_from_the_other_side() -> None:
    chain = made()
    chain.bid[row_of(chain, 590, True)] = np.nan
    below = row_of(chain, 584, True)
    chain.bid[below], chain.ask[below] = 14.0, 14.1
    crossed = row_of(chain, 606, True)
    chain.bid[crossed], chain.ask[crossed] = 5.0, 4.9
    locked = row_of(chain, 608, True)
    chain.bid[locked] = chain.ask[locked]
    view = look(chain)
    one_sided = side(view, 590.0, "call")
    assert (one_sided.iv, one_sided.why, one_sided.bid, one_sided.mid, one_sided.marks) == (
        None,
        "no two-sided quote",
        None,
        None,
        (),
    )
    assert one_sided.delta == pytest.approx(1 + (side(view, 590.0, "put").delta or 0), abs=0.01)
    assert side(view, 584.0, "call").why == "mid is below what exercise pays"
    assert any("ask 14.10 below the least value" in one for one in side(view, 584.0, "call").marks)
    assert "bid 5.00 above ask 4.90" in side(view, 606.0, "call").marks
    assert any("bid and ask" in one for one in side(view, 608.0, "call").marks)
    assert side(view, 606.0, "call").iv is None
    assert "1 crossed" in view.findings
    assert "1 below intrinsic" in view.findings
    assert "1 locked" in view.findings


def test_a_strike_with_one_right_and_no_vol_has_no_greeks() -> None:
    chain = made()
    keep = ~((chain.strike == 600) & ~chain.is_call)
    names = ("expiry", "strike", "is_call", "bid", "ask", "bid_size", "ask_size", "at", "open_interest", "volume")
    chain = replace(chain, **{name: getattr(chain, name)[keep] for name in names})
    chain.bid[row_of(chain, 600, True)] = np.nan
    view = look(chain)
    row = next(row for row in view.rows if row.strike == 600)
    assert row.put is None
    assert row.call is not None
    assert (row.call.iv, row.call.delta) == (None, None)


def test_a_chain_of_one_right_borrows_nothing() -> None:
    chain = made()
    names = ("expiry", "strike", "is_call", "bid", "ask", "bid_size", "ask_size", "at", "open_interest", "volume")
    chain = replace(chain, **{name: getattr(chain, name)[chain.is_call] for name in names})
    view = look(chain)
    assert all(row.put is None for row in view.rows)
    assert view.vol == pytest.approx(0.2, abs=1e-3)


def test_a_cent_that_is_more_than_a_vol_point_is_no_vol() -> None:
    found = side(look(made((TODAY,)), 0), 620.0, "call")
    assert (found.iv, found.why) == (None, "a cent is more than a vol point")


def test_under_ten_minutes_no_vol_is_shown() -> None:
    late = expiry_moment(TODAY, CALENDAR) - timedelta(minutes=9)
    view = look(made((TODAY,), now=late), 0, now=late)
    assert {one.why for row in view.rows for one in (row.call, row.put) if one and one.mid} == {
        "under 10 minutes to expiry"
    }
    assert (view.vol, view.move) == (None, None)


def test_old_quotes_are_marked_and_an_old_expiry_is_stale() -> None:
    chain = made()
    old = row_of(chain, 600, False)
    chain.at[old] -= 60
    view = look(chain)
    assert (side(view, 600.0, "put").stale, side(view, 600.0, "put").marks) == (60.0, ("quote is stale",))
    assert view.face.kind is FaceKind.FULL
    chain.at[:] -= 30
    view = look(chain)
    assert (view.face.kind, view.face.what, view.face.age) == (FaceKind.STALE, "No new quote of this expiry", 30.0)
    quiet = made()
    view = look(replace(quiet, spot=Quote(bid=Decimal(599), ask=Decimal(601), at=NOW - timedelta(seconds=40))))
    assert (view.face.kind, view.face.what) == (FaceKind.STALE, "No new quote of SPY")


def test_nothing_to_show_says_why() -> None:
    chain = made()
    blind = replace(chain, spot=Quote(bid=None, ask=Decimal(600), at=NOW))
    assert look(blind).face.what == "SPY has no two-sided quote."
    assert nothing("", ()).face.what == "No symbol is watched."
    assert nothing("SPY", ("SPY",)).face.kind is FaceKind.EMPTY
    empty = replace(chain, expiry=np.zeros_like(chain.expiry))
    view = look(empty)
    assert (view.rows, view.face.what) == ((), "No contract of 27 Nov is quoted.")


def test_a_failed_look_keeps_what_was_there() -> None:
    shown = look(made())
    broken = failed(shown, "ValueError: x")
    assert broken.rows == shown.rows
    assert broken.face.kind is FaceKind.ERROR
    assert "ValueError: x" in broken.face.what


def test_expiries_that_are_over_are_not_offered() -> None:
    chain = made((TODAY, WEEK, YEAR))
    assert living(chain, NOW, CALENDAR) == [0, 1, 2]
    assert living(chain, expiry_moment(TODAY, CALENDAR), CALENDAR) == [1, 2]


def test_equal_looks_are_equal_views() -> None:
    chain = made()
    assert look(chain) == look(chain)


@pytest.mark.parametrize(
    ("expiry", "before", "told"),
    [(0, timedelta(hours=4), False), (1, timedelta(hours=23, minutes=59), False), (1, timedelta(days=1), True), (1, timedelta(days=7), True)],
)  # fmt: skip
def test_a_carry_that_a_cent_would_move_by_per_cents_is_not_told(expiry: int, before: timedelta, told: bool) -> None:
    now = expiry_moment((TODAY, WEEK)[expiry], CALENDAR) - before
    view = look(made(now=now), expiry, now=now)
    assert view.rows
    assert view.carry == (TERMS.carry if told else None)


def test_each_contract_tells_when_its_quote_was_made_and_the_expiry_how_old_it_may_be() -> None:
    view = look(made())
    assert {one.at for row in view.rows for one in (row.call, row.put) if one} == {NOW - timedelta(seconds=0.5)}
    assert view.age_limit == Settings().market.quote_age("simulated")


def skewed(strikes: np.ndarray = STRIKES) -> Chain:  # type: ignore[type-arg]
    """A week's European chain on a smile that falls with the strike; vols a tenth of a point around it."""
    chain = made((WEEK,), style=Style.EUROPEAN, strikes=strikes)
    t = year_fraction(NOW, expiry_moment(WEEK, CALENDAR))
    spot = SPOT * TERMS.basis
    vol = 0.2 - 0.5 * np.log(chain.strike / (spot * math.exp(0.028 * t)))
    low, high = (
        styles.price(spot, chain.strike, t, 0.04, 0.012, vol + off, chain.is_call, False) for off in (-0.001, 0.001)
    )
    return replace(chain, bid=low, ask=high)


def test_the_skew_is_that_of_the_smile_the_quotes_were_made_of() -> None:
    view = look(skewed(), 0)
    t = year_fraction(NOW, expiry_moment(WEEK, CALENDAR))
    away = 0.6745 * 0.2 * math.sqrt(t)  # 25 delta is two thirds of a standard deviation out, on either side
    assert view.skew == pytest.approx(-0.5 * 2 * away, rel=0.1)


def test_a_skew_is_not_told_beyond_the_quotes_nor_by_few_of_them() -> None:
    assert look(skewed(np.arange(580.0, 601.0, 2.0)), 0).skew is None  # no calls so far out
    assert look(skewed(np.array([590.0, 600.0, 610.0])), 0).skew is None


def test_between_two_fits_the_last_skew_stands() -> None:
    ask = ChainAsk(skewed(), 0, TERMS, NOW, CALENDAR, Settings().market, ("SPY",), fit=False, skew=-0.0123)
    assert chain_view(ask).skew == -0.0123
