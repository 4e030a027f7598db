"""What a position is worth now, and when a quote is not to be believed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from engine.domain.entities import Attribution
from engine.domain.marks import Mark
from engine.domain.values import Quote
from engine.portfolio.marks import known_vol, mark, reliable, unreliable
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


# --- unusable for long -----------------------------------------------------------------------------------------------


def outage(book: Quote | None, lasted: float, model: str | None, previous: Mark | None = None) -> Mark:
    """The mark after `lasted` seconds of quotes nobody believes."""
    before = previous or old_mark("2.45", stale=True, stale_since=NOON, vol=0.21)
    return mark(
        position(4), book, d(601), None, NOON + seconds(lasted), before, max_age=5.0, max_spread=SPREAD,
        unreliable_after=10.0, model=None if model is None else d(model),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("book", "lasted", "model", "price", "by_model", "lost"),
    [
        (quote("0.35", "0.50"), 9.9, "0.44", "2.45", False, False),
        (quote("0.35", "0.50"), 10, "0.44", "0.44", True, True),
        (quote("0.35", "0.50"), 10, "2.40", "0.50", True, True),  # never for more than is asked
        (quote("0.35", None), 10, "2.40", "2.40", True, True),
        (quote("0.35", "0.50", NOON + seconds(10)), 10, "0.10", "0.35", True, True),  # a fresh bid can be had
        (quote("0.35", "0.50"), 10, "0.10", "0.10", True, True),  # an old one not
        (quote("0.50", "0.35", NOON + seconds(10)), 10, "0.10", "0.10", True, True),  # nor a crossed one
        (quote("0.35", "0.00"), 10, "2.40", "2.40", True, True),  # nobody sells for nothing
        (quote(None, "0.50"), 10, "2.40", "0.50", True, True),
        (None, 10, "2.40", "2.40", True, True),
        (quote("0.35", "0.50"), 600, None, "2.45", False, True),  # no fresh underlying, or no volatility
    ],
)
def test_after_ten_seconds_the_models_value_counts_and_never_above_the_ask(
    book: Quote | None, lasted: float, model: str | None, price: str, by_model: bool, lost: bool
) -> None:
    found = outage(book, lasted, model)
    assert (found.price, found.model, found.unreliable) == (d(price), by_model, lost)
    assert (found.stale, found.stale_since, found.vol) == (True, NOON, 0.21)
    assert found.unrealised == (d(price) - d("2.00")) * 400


def test_one_believable_quote_ends_the_outage() -> None:
    book = quote("2.40", "2.50", NOON + seconds(60))
    found = outage(book, 60, "0.44")
    assert (found.price, found.model, found.unreliable, found.stale_since) == (d("2.45"), False, False, None)
    assert not unreliable(found, True, NOON + seconds(61), 10.0)
    assert outage(quote("0.35", "0.50"), 61, "0.44", found).stale_since == NOON + seconds(61)


def test_the_volatility_of_an_unbelievable_quote_is_not_taken() -> None:
    good = mark(position(4), quote("2.40", "2.50"), d(601), GREEKS, NOON, None, max_age=5.0, max_spread=SPREAD)
    wild = replace(GREEKS, iv=1.9)
    bad = mark(position(4), quote("0.35", "2.50"), d(601), wild, NOON, good, max_age=5.0, max_spread=SPREAD)
    assert (good.vol, bad.vol) == (GREEKS.iv, GREEKS.iv)


def test_after_a_restart_the_volatility_is_the_last_that_was_kept_or_the_entrys() -> None:
    assert known_vol(position(4), None) is None
    bought = position(4, entry_greeks=GREEKS)
    assert known_vol(bought, old_mark("2.45")) == GREEKS.iv
    kept = Attribution(quantity=4, multiplier=100, at=NOON, underlying=d(600), greeks=replace(GREEKS, iv=0.3))
    assert known_vol(replace(bought, attribution=kept), None) == 0.3
    assert known_vol(replace(bought, attribution=replace(kept, greeks=None)), None) == GREEKS.iv
