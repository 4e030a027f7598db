"""One contract: time to the second, Greeks of a quote, and when there are none."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from engine.domain.values import OptionContract, Quote, Right, Style
from engine.pricing import expiry_moment, greeks_of, implied_of, styles, value_at, year_fraction
from engine.pricing.terms import Terms
from engine.sessions import new_york_calendar

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
CALENDAR = new_york_calendar()
RATE = 0.04
TERMS = Terms(RATE)


def contract(strike: str = "600", right: Right = Right.CALL, expiry: date = date(2026, 11, 20)) -> OptionContract:
    return OptionContract(symbol="SPY", expiry=expiry, right=right, strike=Decimal(strike))


def quote(bid: str | None, ask: str | None) -> Quote:
    return Quote(bid=Decimal(bid) if bid else None, ask=Decimal(ask) if ask else None, at=NOW)


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        (date(2026, 11, 20), datetime(2026, 11, 20, 21, 0, tzinfo=UTC)),
        (date(2026, 7, 17), datetime(2026, 7, 17, 20, 0, tzinfo=UTC)),
        (date(2026, 11, 27), datetime(2026, 11, 27, 18, 0, tzinfo=UTC)),
        (date(2026, 11, 21), datetime(2026, 11, 20, 21, 0, tzinfo=UTC)),
        (date(2026, 11, 26), datetime(2026, 11, 25, 21, 0, tzinfo=UTC)),
    ],
    ids=["winter", "summer", "half day", "Saturday", "Thanksgiving"],
)
def test_a_contract_expires_at_its_sessions_close(day: date, moment: datetime) -> None:
    assert expiry_moment(day, CALENDAR) == moment


def test_time_is_counted_to_the_second_and_never_negative() -> None:
    assert year_fraction(NOW, NOW + timedelta(days=365)) == 1.0
    assert year_fraction(NOW, NOW + timedelta(seconds=1)) == pytest.approx(1 / (365 * 86400), rel=1e-12)
    assert year_fraction(NOW, NOW - timedelta(seconds=1)) == 0.0


def test_greeks_of_a_quote_are_those_of_its_mid() -> None:
    option, expiry = contract(), expiry_moment(date(2026, 11, 20), CALENDAR)
    t = year_fraction(NOW, expiry)
    mid = float(styles.price(600.0, 600.0, t, RATE, 0.0, 0.2, True, True))
    found = greeks_of(option, mid, 600.0, NOW, expiry, TERMS)
    exact = styles.greeks(600.0, 600.0, t, RATE, 0.0, 0.2, True, True)
    assert found is not None
    assert found.iv == 0.2
    for name in ("delta", "gamma", "vega", "theta", "rho"):
        assert getattr(found, name) == round(float(getattr(exact, name)), 6)
    assert greeks_of(option, quote("2.99", "3.01"), Decimal(600), NOW, expiry, TERMS) == greeks_of(
        option, Decimal("3.00"), 600.0, NOW, expiry, TERMS
    )


@pytest.mark.parametrize(
    ("option", "quoted", "minutes"),
    [
        (contract(), quote(None, "3.01"), 600),
        (contract(), quote("3.02", "3.01"), 600),
        (contract(), Decimal("0.50"), 9),
        (contract("500"), Decimal("99.00"), 600),
        (contract("640"), Decimal("0.01"), 60),
    ],
    ids=["one-sided", "crossed", "under ten minutes", "below intrinsic", "vega under half a cent"],
)
def test_greeks_are_absent_where_the_quote_gives_no_vol_and_the_last_vol_stands_in(
    option: OptionContract, quoted: Quote | Decimal, minutes: int
) -> None:
    expiry = NOW + timedelta(minutes=minutes)
    assert implied_of(option, quoted, 600.0, NOW, expiry, TERMS) is None
    assert greeks_of(option, quoted, 600.0, NOW, expiry, TERMS) is None
    stand_in = greeks_of(option, quoted, 600.0, NOW, expiry, TERMS, fallback_vol=0.25)
    assert stand_in is not None
    assert stand_in.iv == 0.25


def test_ten_minutes_to_expiry_and_a_vega_over_half_a_cent_are_enough() -> None:
    assert implied_of(contract(), Decimal("0.50"), 600.0, NOW, NOW + timedelta(minutes=10), TERMS) is not None
    far = contract("602")
    expiry = NOW + timedelta(hours=2)
    mid = float(styles.price(600.0, 602.0, year_fraction(NOW, expiry), RATE, 0.0, 0.20, True, True))
    found = greeks_of(far, mid, 600.0, NOW, expiry, TERMS)
    assert found is not None
    assert 0.005 <= found.vega < 0.03


def test_an_expired_contract_has_no_greeks_and_its_intrinsic_value() -> None:
    assert greeks_of(contract(), Decimal("3.00"), 603.0, NOW, NOW, TERMS, fallback_vol=0.25) is None
    assert value_at(contract(), 603.0, 0.25, NOW, NOW, TERMS) == 3.0
    assert value_at(contract(right=Right.PUT), 603.0, 0.25, NOW, NOW, TERMS) == 0.0


def test_the_value_at_another_spot_is_the_models() -> None:
    expiry = expiry_moment(date(2026, 11, 20), CALENDAR)
    t = year_fraction(NOW, expiry)
    assert value_at(contract(), Decimal(598), 0.2, NOW, expiry, TERMS) == float(
        styles.price(598.0, 600.0, t, RATE, 0.0, 0.2, True, True)
    )


@pytest.mark.parametrize("style", Style)
def test_terms_and_style_reach_value_vol_and_greeks_alike(style: Style) -> None:
    option = msgspec.structs.replace(contract("610", Right.PUT, date(2027, 2, 19)), style=style)
    expiry, terms = expiry_moment(date(2027, 2, 19), CALENDAR), Terms(RATE, 0.015, 0.999, 601.0, 12)
    t, american = year_fraction(NOW, expiry), style is Style.AMERICAN
    value = value_at(option, 600.0, 0.25, NOW, expiry, terms)
    assert value == float(styles.price(599.4, 610.0, t, RATE, 0.015, 0.25, False, american))
    found = greeks_of(option, value, 600.0, NOW, expiry, terms)
    assert found is not None
    assert found.iv == pytest.approx(0.25, abs=2e-6)
    h = 0.01
    slope = value_at(option, 600 + h, 0.25, NOW, expiry, terms) - value_at(option, 600 - h, 0.25, NOW, expiry, terms)
    assert found.delta == pytest.approx(slope / (2 * h), abs=2e-6)  # per dollar of the quoted spot, not the model's
    curve = (
        value_at(option, 601, 0.25, NOW, expiry, terms) + value_at(option, 599, 0.25, NOW, expiry, terms) - 2 * value
    )
    assert found.gamma == pytest.approx(curve, rel=1e-3)
