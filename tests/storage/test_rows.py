"""Rows made from facts: what they are about, and keys that any text fits in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import events as ev
from engine.domain.canonical import canonical
from engine.domain.signals import ActiveTrend
from engine.domain.values import OptionContract, OrderType, Purpose, Right, Side, TimeInForce
from storage.rows import GENESIS, MAX_KEY, link, plain_text, row_of, stored_text, symbol_of
from tests.storage.builders import at, heard, rejected

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # NUL and lone surrogates, too


@given(ANY_TEXT)
def test_any_key_is_storable_and_comes_back(text: str) -> None:
    stored = stored_text(text)
    assert "\0" not in stored
    stored.encode()
    assert plain_text(stored) == text


@given(ANY_TEXT, ANY_TEXT)
def test_different_keys_stay_different(one: str, other: str) -> None:
    assert (stored_text(one) == stored_text(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "fits"), [("k" * MAX_KEY, True), ("k" * (MAX_KEY + 1), False), ("é" * 512, True), ("\0" * 171, False)]
)
def test_a_key_has_a_measure(text: str, fits: bool) -> None:
    if fits:
        assert stored_text(text) == text
    else:
        with pytest.raises(ValueError, match="too long"):
            stored_text(text)


@given(ANY_TEXT)
def test_any_text_in_a_fact_has_canonical_bytes_without_nul(text: str) -> None:
    body = canonical(rejected(1, text))
    assert b"\0" not in body
    row = row_of(rejected(1, text), GENESIS)
    assert row.body.encode() == body
    assert row.hash == link(GENESIS, body)


CALL = OptionContract(symbol="QQQ", expiry=date(2026, 11, 20), right=Right.CALL, strike=Decimal("600"))


def placed(seq: int) -> ev.AnyFact:
    found = heard(seq, "IWM")
    assert isinstance(found, ev.TrendReceived)
    active = ActiveTrend(source=1, trend=found.trend, received=at(1), expires=at(2))
    return ev.TrendPlaced(seq=seq, at=at(seq), active=active)


def intended(seq: int) -> ev.AnyFact:
    return ev.OrderIntended(
        seq=seq, at=at(seq), order="O1", contract=CALL, side=Side.BUY, quantity=1, type=OrderType.LIMIT,
        limit=Decimal("1.20"), tif=TimeInForce.DAY, purpose=next(iter(Purpose)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "symbol"),
    [
        (lambda seq: heard(seq, "SPY"), "SPY"),
        (placed, "IWM"),
        (intended, "QQQ"),
        (lambda seq: ev.InputsExpired(seq=seq, at=at(seq), symbol="SPY"), "SPY"),
        (rejected, None),
        (lambda seq: heard(seq, ""), None),
        (lambda seq: heard(seq, "S\0\ud800"), "S\ufffd\ufffd"),
        (lambda seq: heard(seq, "X" * 500), "X" * 64),
    ],
)
def test_what_a_fact_is_about(make: Callable[[int], ev.AnyFact], symbol: str | None) -> None:
    assert symbol_of(make(1)) == symbol
