"""Canonical bytes of every fact there is, whatever is in it: the same as the plain definition of them gives.

The definition: the struct as JSON's own types, keys sorted, no spaces, Decimals plain, times with microseconds and a Z.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.canonical import canonical, decode_fact, time_text
from engine.domain.events import AnyFact
from engine.domain.signals import ActiveTrend, Trend

FACTS = get_args(AnyFact)
TEXT = st.text(st.characters(exclude_categories=()), max_size=12)  # NUL and lone surrogates, too
MOMENTS = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30))]),
    min_value=datetime(2, 1, 1),
    max_value=datetime(9998, 12, 31),
)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    NoneType: st.none(),
    bool: st.booleans(),
    int: st.integers(),
    # Those a signal brings, and all the others: both sides of where an exponent begins.
    float: st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e6, 1e6).map(lambda x: round(x, 4)),
    str: TEXT,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: MOMENTS | MOMENTS.map(lambda moment: moment.replace(microsecond=0)),
    date: st.dates(),
}


@cache
def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a declared type."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of([anything(one) for one in inner])
    if origin is tuple:
        if inner[-1] is ...:
            return st.lists(anything(inner[0]), max_size=2).map(tuple)
        return st.tuples(*map(anything, inner))
    if origin is dict:
        return st.dictionaries(anything(inner[0]), anything(inner[1]), max_size=3)
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    assert issubclass(kind, msgspec.Struct), kind
    return st.builds(kind, **{field.name: anything(field.type) for field in msgspec.structs.fields(kind)})


def defined(value: msgspec.Struct) -> bytes:
    """The canonical bytes by their definition."""

    def plain(leaf: Any) -> str:
        if isinstance(leaf, Decimal):
            return format(leaf, "f")
        if isinstance(leaf, datetime):
            return leaf.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return str(leaf.isoformat())

    tree = msgspec.to_builtins(value, builtin_types=(datetime, date, Decimal))
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=plain)
    return b"".join(
        b"\\\\u%04x" % ord(letter) if "\ud800" <= letter <= "\udfff" else letter.encode() for letter in text
    )


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
def test_every_fact_has_the_bytes_that_are_defined(kind: type[msgspec.Struct]) -> None:
    @settings(max_examples=15, deadline=None)
    @given(anything(kind))
    def check(fact: msgspec.Struct) -> None:
        found = canonical(fact)
        assert found == defined(fact)
        again = canonical(decode_fact(found))  # a read may add what the fact left to be derived, but only once
        assert canonical(decode_fact(again)) == again

    check()


@given(PLAIN[float])
@settings(max_examples=400)
def test_a_number_is_written_as_python_writes_it(number: float) -> None:
    class Holder(msgspec.Struct):
        number: float

    assert canonical(Holder(number)) == f'{{"number":{json.dumps(number)}}}'.encode()


@pytest.mark.parametrize("edge", [1e-4, 1e16, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 9007199254740993.0, -0.0])
def test_numbers_at_the_edges_of_their_forms(edge: float) -> None:
    class Holder(msgspec.Struct):
        numbers: tuple[float, ...]

    around = (edge, -edge, math.nextafter(edge, 0), math.nextafter(edge, 1e300))
    assert canonical(Holder(around)) == ('{"numbers":[' + ",".join(map(json.dumps, around)) + "]}").encode()


@given(PLAIN[datetime])
def test_a_moment_has_one_text(moment: datetime) -> None:
    text = time_text(moment)
    assert len(text) == 27
    assert datetime.fromisoformat(text) == moment


class Odd(msgspec.Struct, tag_field="100%", tag="50%s"):
    """Signs that a template could mistake for its own."""

    one: Any
    two: Any = None


class Renamed(msgspec.Struct, rename="camel", omit_defaults=True):
    in_words: str = "same"
    other_words: int = 1


class Nothing(msgspec.Struct):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Odd("%s %d %%", "\ud800%"),
        Odd({"b": 1, "a": {"%": (1, [None, True])}, "": False}),
        Odd({2: "two", 10: "ten"}),  # keys that are no texts
        Odd([Renamed(), Renamed(in_words="x")], (Nothing(),)),
        Odd(10**40, b"\x00\xff"),
        Odd(Decimal("1E+5"), Decimal("-0E-9")),
        Odd(Decimal("NaN"), Decimal("Infinity")),
        Renamed(other_words=7),
        Nothing(),
    ],
    ids=str,
)
def test_what_no_fact_holds_today_follows_the_definition_too(value: msgspec.Struct) -> None:
    assert canonical(value) == defined(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_an_error(number: float) -> None:
    with pytest.raises(ValueError, match="canonical"):
        canonical(Odd(number))


def test_what_has_no_form_is_an_error() -> None:
    with pytest.raises(TypeError):
        canonical(Odd(object()))


def test_what_lasts_is_remembered_by_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short-lived signals share addresses, and the memory is emptied many times: every text is its own."""
    monkeypatch.setattr("engine.domain.canonical._REMEMBERED", 7)
    trend = Trend(symbol="SPY", timestamp=datetime(2026, 11, 20, tzinfo=UTC), price=1.5, directions=(1,) * 8)
    kept = ActiveTrend(source=0, trend=trend, received=trend.timestamp, expires=trend.timestamp)
    for number in range(200):
        active = msgspec.structs.replace(kept, source=number)
        for value in (active, kept, active):
            assert canonical(value) == defined(value)
