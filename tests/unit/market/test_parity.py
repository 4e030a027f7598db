"""Forwards by expiry: read off the chain, kept a little while, made anew in the pauses, and never believed when wild."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from engine.domain.chain import Chain
from engine.domain.values import Quote, Style
from engine.market.parity import CARRY, OLDEST, REFRESH, Parity
from engine.pricing import expiry_moment, styles, year_fraction
from engine.pricing.rates import RateCurve
from engine.pricing.terms import Terms
from tests.builders_trading import CALENDAR, HandQuotes
from tests.unit.views.test_views_chain import NOW, SPOT, TODAY, WEEK, made

AUTUMN = date(2027, 9, 17)


class Chains(HandQuotes):
    """Quotes that count how often a chain is asked for."""

    def __init__(self, chain: Chain | None) -> None:
        super().__init__()
        self.one, self.asked = chain, 0

    def chain(self, symbol: str) -> Chain | None:
        self.asked += 1
        return self.one


def quoted(
    carry: float, *, day: date = WEEK, style: Style = Style.AMERICAN, basis: float = 1.0, spread: float = 0.01
) -> Chain:
    """Calls and puts at a flat 20 % vol and this carry, on a spot that is `basis` times the one shown."""
    chain = made((day,), style=style)
    t = year_fraction(NOW, expiry_moment(day, CALENDAR))
    value = styles.price(SPOT * basis, chain.strike, t, 0.04, carry, 0.2, chain.is_call, style is Style.AMERICAN)
    return replace(chain, bid=np.round(value - spread, 2), ask=np.round(value + spread, 2))


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("carry", [0.0, 0.012, 0.05])
@pytest.mark.parametrize("day", [WEEK, AUTUMN])
def test_the_forward_is_the_one_the_quotes_were_made_from(style: Style, carry: float, day: date) -> None:
    t = year_fraction(NOW, expiry_moment(day, CALENDAR))
    found = Parity(CALENDAR, 0.04).of_chain(quoted(carry, day=day, style=style), day, NOW)
    forward = SPOT * math.exp((0.04 - carry) * t)
    assert found.by_parity
    assert found.forward == pytest.approx(forward, abs=0.05 if day == AUTUMN else 0.01)
    assert SPOT * found.basis * math.exp((found.rate - found.carry) * t) == pytest.approx(found.forward, abs=1e-3)
    assert (found.rate, found.text) == (0.04, "parity forward")


def test_what_no_carry_explains_is_taken_out_of_the_spot() -> None:
    """A dividend of 2 dollars goes ex before the expiry: a carry of 17 % a year would be absurd on every other day."""
    found = Parity(CALENDAR, 0.04).of_chain(quoted(0.0, basis=1 - 2 / 600), WEEK, NOW)
    assert found.carry == CARRY[1]
    assert SPOT * found.basis == pytest.approx(598.0 + 600 * 0.06 * 7 / 365, abs=0.05)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda chain: replace(chain, bid=np.full_like(chain.bid, np.nan)),
        lambda chain: replace(chain, spot=Quote(bid=None, ask=Decimal(600), at=NOW)),
        lambda chain: replace(chain, spot=Quote(bid=Decimal(699), ask=Decimal(701), at=NOW)),
        lambda chain: replace(chain, expiries=(AUTUMN,)),
    ],
    ids=["no bids", "no spot", "a spot of another day", "not listed"],
)
def test_where_parity_cannot_say_the_spot_alone_is_used(spoil: object) -> None:
    chain = spoil(quoted(0.012))  # type: ignore[operator]
    found = Parity(CALENDAR, 0.04).of_chain(chain, WEEK, NOW)
    assert found == Terms(0.04)
    assert found.text == "spot, no parity"


def test_without_a_chain_and_after_the_expiry_the_spot_alone_is_used() -> None:
    parity = Parity(CALENDAR, 0.04)
    assert parity.terms(Chains(None), "SPY", WEEK, NOW) == Terms(0.04)
    assert parity.of_chain(quoted(0.012), WEEK, expiry_moment(WEEK, CALENDAR)) == Terms(0.04)


def test_terms_are_kept_and_made_anew_only_when_old() -> None:
    quotes, parity = Chains(quoted(0.012)), Parity(CALENDAR, 0.04)
    first = parity.terms(quotes, "SPY", WEEK, NOW)
    assert parity.terms(quotes, "SPY", WEEK, NOW + OLDEST - timedelta(seconds=1)) is first
    assert quotes.asked == 1
    parity.terms(quotes, "SPY", WEEK, NOW + OLDEST)
    assert quotes.asked == 2
    parity.terms(quotes, "SPY", WEEK, NOW)  # a clock that went back trusts nothing it kept
    assert quotes.asked == 3


def test_reminded_it_renews_one_expiry_at_a_time_and_forgets_what_is_over() -> None:
    quotes, parity = Chains(made((TODAY, WEEK))), Parity(CALENDAR, 0.04)
    parity.terms(quotes, "SPY", TODAY, NOW)
    parity.terms(quotes, "SPY", WEEK, NOW + timedelta(seconds=1))
    parity.remind(quotes, NOW + REFRESH - timedelta(seconds=1))
    assert quotes.asked == 2
    parity.remind(quotes, NOW + REFRESH + timedelta(seconds=2))
    assert quotes.asked == 3
    parity.remind(quotes, NOW + REFRESH + timedelta(seconds=2))
    assert quotes.asked == 4
    parity.remind(quotes, NOW + REFRESH + timedelta(seconds=2))
    assert quotes.asked == 4
    parity.remind(quotes, expiry_moment(TODAY, CALENDAR))
    assert set(parity._kept) == {("SPY", WEEK)}
    Parity(CALENDAR, 0.04).remind(quotes, NOW)


def test_the_days_own_curve_discounts() -> None:
    curve = RateCurve(TODAY, (0.1, 1.0), (0.02, 0.03))
    assert Parity(CALENDAR, 0.04, curve).of_chain(quoted(0.0), WEEK, NOW).rate == 0.02


def test_a_replay_is_given_the_same_terms() -> None:
    def told(moments: list[datetime]) -> list[Terms]:
        parity, quotes = Parity(CALENDAR, 0.04), Chains(quoted(0.012))
        found = []
        for moment in moments:
            found.append(parity.terms(quotes, "SPY", WEEK, moment))
            parity.remind(quotes, moment)
        return found

    moments = [NOW + timedelta(seconds=7 * n) for n in range(20)]
    assert told(moments) == told(moments)
