"""What a position is worth now, and when a quote is not to be believed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain.marks import Mark
from engine.domain.values import Quote
from engine.portfolio.marks import mark, reliable
from tests.builders_trading import GREEKS, NOON, d, position, quote, seconds
from tests.builders_trading import mark as old_mark

SPREAD = Decimal("0.20")


def marked(book: Quote | None, previous: Mark | None = None, *, age: float = 0.0) -> Mark:
    return mark(position(4), book, d(601), GREEKS, NOON + seconds(age), previous, max_age=5.0, max_spread=SPREAD)


@pytest.mark.parametrize(
    ("bid", "ask", "age", "believed"),
    [
        ("2.00", "2.04", 0, True),
        ("2.00", "2.04", 5, True),
        ("2.00", "2.04", 5.1, False),
        ("0.90", "1.10", 0, True),  # exactly 20 % of mid
        ("0.90", "1.11", 0, False),
        ("0.03", "0.07", 0, True),  # wide, but four cents
        ("0.03", "0.08", 0, False),
        ("2.00", "2.00", 0, False),
        ("2.04", "2.00", 0, False),
        (None, "2.04", 0, False),
    ],
)
def test_a_quote_is_believed_when_fresh_twosided_and_narrow(
    bid: str | None, ask: str | None, age: float, believed: bool
) -> None:
    book = quote(bid, ask)
    assert reliable(book, NOON + seconds(age), 5.0, SPREAD) is believed
    assert marked(book, age=age).stale is not believed


def test_no_quote_is_not_believed() -> None:
    assert not reliable(None, NOON, 5.0, SPREAD)


def test_a_mark_is_the_mid_and_its_dollars() -> None:
    found = marked(quote("2.40", "2.50"))
    assert (found.price, found.unrealised, found.stale, found.model) == (d("2.45"), d("180.00"), False, False)
    assert (found.underlying, found.greeks, found.best, found.worst) == (d(601), GREEKS, d("2.00"), d("2.00"))


def test_an_unbelievable_quote_keeps_the_last_price() -> None:
    before = old_mark("2.45", best=d("2.70"), worst=d("1.80"))
    found = marked(quote("1.00", "2.50"), before)
    assert (found.price, found.stale, found.quote) == (d("2.45"), True, quote("1.00", "2.50"))
    assert (found.best, found.worst) == (d("2.70"), d("1.80"))


def test_before_the_first_believable_quote_the_entry_counts() -> None:
    found = marked(None)
    assert (found.price, found.unrealised, found.stale) == (d("2.00"), d("0.00"), True)


def test_what_is_not_known_now_stays_what_it_was() -> None:
    before = old_mark("2.45")
    found = mark(position(4), quote("2.40", "2.50"), None, None, NOON, before, max_age=5.0, max_spread=SPREAD)
    assert (found.underlying, found.greeks) == (before.underlying, before.greeks)


def test_what_was_never_known_is_unknown() -> None:
    held = position(4, best=None, worst=None)
    found = mark(held, quote("2.40", "2.50"), None, None, NOON, None, max_age=5.0, max_spread=SPREAD)
    assert (found.underlying, found.greeks, found.best, found.worst) == (None, None, held.entry, held.entry)


def test_after_a_restart_the_positions_extremes_carry_on() -> None:
    held = position(4, best=d("2.90"), worst=d("1.70"))
    found = mark(held, quote("2.40", "2.50"), None, None, NOON, None, max_age=5.0, max_spread=SPREAD)
    assert (found.best, found.worst) == (d("2.90"), d("1.70"))
