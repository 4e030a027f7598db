"""Canonical bytes: the one text form of a fact, hashed by the ledger and compared by replays.

UTF-8 JSON, sorted keys, no spaces, Decimals as plain text, times `YYYY-MM-DDTHH:MM:SS.ffffffZ`. NaN is an error. A lone
surrogate, which UTF-8 cannot hold, is written as its visible escape (`\\ud800`), so that no sender can make a fact unwritable.

A struct's keys and their order are known once its class is: each class gets a template with its keys in it, into which the
encoded values go. What a value is, not what its field declares, says how it is encoded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from json.encoder import encode_basestring
from math import isfinite
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from engine.domain.entities import Ticket
from engine.domain.events import AnyFact
from engine.domain.signals import ActivePhase, ActiveSignal, ActiveTrend, Decision, Signal
from engine.domain.values import Greeks

_SURROGATE = re.compile("[\ud800-\udfff]")
_decoder: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact)
_number = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode
_LASTING = (ActiveSignal, ActivePhase, ActiveTrend)
_REMEMBERED = 2048
"""Texts kept at most: more than stand on any board."""
_TWICE = (Decision, Ticket, Signal, Greeks)
"""Written twice at once: in their fact and in the row it changes."""
_JUST_WRITTEN = 32
"""Texts of those that are kept."""
_MOMENTS = 256
"""Texts of moments that are kept: all facts of a step have one, and so have quotes of a tick."""
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e16

Encode = Callable[[Any], str]


def canonical(value: msgspec.Struct) -> bytes:
    """The canonical bytes of a struct. Raises `TypeError` for what has no canonical form, `ValueError` for NaN."""
    text = _ENCODERS[type(value)](value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text).encode()


def decode_fact(data: bytes | str) -> AnyFact:
    """The fact of canonical bytes. Raises `msgspec.ValidationError` for anything else."""
    return _decoder.decode(data)


def time_text(moment: datetime) -> str:
    """UTC with microseconds, always the same width."""
    return _utc_text(moment if moment.tzinfo is UTC else moment.astimezone(UTC))


@lru_cache(maxsize=_MOMENTS)
def _utc_text(moment: datetime) -> str:
    """Of moments in UTC only: in other zones two that are not the same may be equal, in the hour that comes twice."""
    text = str(msgspec.to_builtins(moment))
    return text if len(text) == 27 else f"{text[:19]}.000000Z"  # a whole second comes without its decimals


# --- one encoder for each class of values -----------------------------------------------------------------------------


def _decimal(value: Decimal) -> str:
    text = str(value)
    return f'"{text if "E" not in text else format(value, "f")}"'


def _float(value: float) -> str:
    """The shortest digits that give the number back, written as Python does: where neither would use an exponent the
    quicker of the two encoders says the same."""
    if _PLAIN_FROM <= value < _PLAIN_TO or -_PLAIN_TO < value <= -_PLAIN_FROM:
        return _number(value).decode()
    if not isfinite(value):
        raise ValueError(f"{value} has no canonical form")
    return float.__repr__(value)


def _sequence(values: tuple[Any, ...] | list[Any]) -> str:
    if values and type(values[0]) in _SIMPLE and len(set(map(type, values))) == 1:
        text = _at_once(values)
        if text is not None:
            return text
    return f"[{','.join([_ENCODERS[type(value)](value) for value in values])}]"


def _mapping(values: dict[Any, Any]) -> str:
    if not values:
        return "{}"
    if any(type(key) is not str for key in values):
        return _general(values)
    return f"{{{','.join([f'{encode_basestring(key)}:{_ENCODERS[type(values[key])](values[key])}' for key in sorted(values)])}}}"


def _general(value: Any) -> str:
    """Whatever has no encoder of its own: seldom met, so it may take its time."""
    return _encode(msgspec.to_builtins(value, builtin_types=(datetime, date, Decimal)))


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no canonical form for {type(value).__name__}")


_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False, default=_plain
).encode


def _struct_encoder(cls: type[msgspec.Struct]) -> Encode:
    """Keys and tag stand in a template, sorted; `%s` takes each field's value."""
    config = cls.__struct_config__
    if config.array_like or config.omit_defaults:
        return _general
    parts = {field.encode_name: field.name for field in msgspec.structs.fields(cls)}
    keys = sorted(parts.keys() | ({config.tag_field} if config.tag_field is not None else set()))

    def part(key: str) -> str:
        said = "%s" if key in parts else _ENCODERS[type(config.tag)](config.tag).replace("%", "%%")
        return f"{encode_basestring(key).replace('%', '%%')}:{said}"

    template = f"{{{','.join(map(part, keys))}}}"
    names = [parts[key] for key in keys if key in parts]
    if len(names) < 2:  # an attrgetter of several gives a tuple
        return lambda value: template % tuple([_ENCODERS[type(got)](got) for got in (getattr(value, n) for n in names)])
    values = attrgetter(*names)
    return lambda value: template % tuple([_ENCODERS[type(got)](got) for got in values(value)])


@cache
def _is_simple(declared: Any) -> bool:
    """Whether msgspec writes every value of a declared type as is canonical: neither floats, whose exponents it writes
    otherwise and whose NaN it lets pass, nor times, whose whole seconds it shortens."""
    if declared in (str, int, bool, date, Decimal, NoneType):
        return True
    origin = get_origin(declared)
    if origin in (tuple, dict, UnionType, Union):
        return all(one is Ellipsis or _is_simple(one) for one in get_args(declared))
    if not isinstance(declared, type) or origin is not None:
        return False
    if issubclass(declared, msgspec.Struct):
        return _all_simple(declared)
    return issubclass(declared, StrEnum)


def _all_simple(cls: type[msgspec.Struct]) -> bool:
    config = cls.__struct_config__
    plain = not (config.array_like or config.omit_defaults or config.tag_field)
    return plain and all(map(_is_simple, get_type_hints(cls).values()))


def _at_once(value: Any) -> str | None:
    """A struct of simple fields, or several, by one call: a ticket has dozens. None for what it would write otherwise:
    numbers with an exponent, whole ones over 64 bits, and lone surrogates."""
    try:
        text = _sorted(value)
    except (UnicodeEncodeError, OverflowError):
        return None
    return None if b"E+" in text or b"E-" in text else text.decode()


def _simple_encoder(slow: Encode) -> Encode:
    def encode(value: Any) -> str:
        text = _at_once(value)
        return slow(value) if text is None else text

    return encode


def _remembering(encode: Encode, most: int) -> Encode:
    """The same for values that are written again and again as they are: what stands on the board is in every decision
    and in every change of the board. They are frozen all through, so an object's text never changes."""
    known: dict[int, tuple[Any, str]] = {}

    def remembered(value: Any) -> str:
        found = known.get(id(value))
        if found is not None and found[0] is value:  # an id may be another's later on
            return found[1]
        text = encode(value)
        if len(known) >= most:
            known.clear()
        known[id(value)] = (value, text)
        return text

    return remembered


_SIMPLE: set[type] = set()
"""Classes met so far whose fields are all simple."""


class _Encoders(dict[type, Encode]):
    """By exact class; made when a class is first met."""

    def __missing__(self, cls: type) -> Encode:
        if issubclass(cls, msgspec.Struct):
            made = _struct_encoder(cls)
            if _all_simple(cls):
                made = _simple_encoder(made)
                _SIMPLE.add(cls)
            if cls in _LASTING:
                made = _remembering(made, _REMEMBERED)
            elif cls in _TWICE:
                made = _remembering(made, _JUST_WRITTEN)
        elif issubclass(cls, StrEnum):
            made = encode_basestring
        else:
            made = _general
        self[cls] = made
        return made


_ENCODERS = _Encoders(
    {
        type(None): lambda value: "null",
        bool: lambda value: "true" if value else "false",
        str: encode_basestring,
        int: repr,
        float: _float,
        Decimal: _decimal,
        datetime: lambda value: f'"{time_text(value)}"',
        date: lambda value: f'"{value.isoformat()}"',
        tuple: _sequence,
        list: _sequence,
        dict: _mapping,
    }
)
