"""Typed reading of untrusted JSON: every getter returns a checked value or raises `BodyError` naming the path.

Called by the mappings in `engine.domain.bodies` and by whoever reads other forms. It never guesses, converts text to
numbers, or lets a non-finite number or a text that cannot be stored pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
_EARLIEST_MS = (EARLIEST - EPOCH) // timedelta(milliseconds=1)
_LATEST_MS = (LATEST - EPOCH) // timedelta(milliseconds=1)


class BodyError(ValueError):
    """The first bad field of a body.

    `out_of_range` tells a value of the right kind outside its bounds (HTTP 422) from one that is missing or of the
    wrong kind (HTTP 400).
    """

    def __init__(self, path: str, message: str, out_of_range: bool = False) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message
        self.out_of_range = out_of_range

    def below(self, parent: str) -> BodyError:
        """The same error with `parent` put before its path."""
        if not self.path or self.path.startswith("["):
            return BodyError(parent + self.path, self.message, self.out_of_range)
        return BodyError(f"{parent}.{self.path}", self.message, self.out_of_range)


class Fields:
    """One JSON object at `path`. Missing and null are the same: a value that was not sent."""

    __slots__ = ("_fields", "path")

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise BodyError(path, f"must be an object, not {kind(value)}")
        self._fields: Mapping[str, Any] = value
        self.path = path

    def at(self, name: str) -> str:
        """The path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def sent(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def section(self, name: str) -> Fields:
        """A nested object."""
        return Fields(self._value(name), self.at(name))

    def items(self, name: str, most: int) -> list[Any]:
        """A list of at most `most` values."""
        value = self._value(name)
        if not isinstance(value, list):
            raise BodyError(self.at(name), f"must be a list, not {kind(value)}")
        if len(value) > most:
            raise BodyError(self.at(name), f"has {len(value)} entries, {most} are allowed", out_of_range=True)
        return value

    def number(self, name: str, low: float, high: float, *, above: bool = False) -> float:
        """A finite number in [low, high]; `above` leaves out `low` itself. true and "1" are no numbers."""
        return float(self._bounded(name, low, high, above))

    def integer(self, name: str, low: int, high: int) -> int:
        """A whole number in [low, high]; 2.0 is one, 2.5 is not."""
        value = self._bounded(name, low, high, above=False)
        if isinstance(value, float) and not value.is_integer():
            raise BodyError(self.at(name), f"must be a whole number, not {value!r}")
        return int(value)

    def flag(self, name: str) -> bool:
        value = self._value(name)
        if not isinstance(value, bool):
            raise BodyError(self.at(name), f"must be true or false, not {kind(value)}")
        return value

    def text(self, name: str, most: int) -> str:
        """A text of at most `most` characters that UTF-8 can hold."""
        return checked_text(self._value(name), self.at(name), most)

    def choice(self, name: str, table: Mapping[str, T]) -> T:
        """The value that one of a closed set of words stands for."""
        word = self.text(name, most=_LONGEST_WORD)
        if word not in table:
            raise BodyError(self.at(name), f"must be one of {', '.join(table)}")
        return table[word]

    def moment(self, name: str) -> datetime:
        """A time (UTC): milliseconds since the epoch, or ISO 8601 text that names its zone."""
        value = self._value(name)
        path = self.at(name)
        if isinstance(value, str):
            moment = _iso(checked_text(value, path, most=40), path)
        else:
            number = _finite(value, path, "must be milliseconds since the epoch or ISO 8601 text")
            if not _EARLIEST_MS <= number < _LATEST_MS:
                raise BodyError(path, "is no plausible time in milliseconds since the epoch", out_of_range=True)
            moment = EPOCH + timedelta(milliseconds=number)
        if not EARLIEST <= moment < LATEST:
            raise BodyError(path, f"must lie between {EARLIEST.year} and {LATEST.year}", out_of_range=True)
        return moment

    def _value(self, name: str) -> Any:
        value = self._fields.get(name)
        if value is None:
            raise BodyError(self.at(name), "is missing")
        return value

    def _bounded(self, name: str, low: float, high: float, above: bool) -> int | float:
        value = _finite(self._value(name), self.at(name), "must be a number")
        if value > high or value < low or (above and value == low):
            bounds = f"above {low:g} and at most {high:g}" if above else f"between {low:g} and {high:g}"
            raise BodyError(self.at(name), f"must be {bounds}", out_of_range=True)
        return value


_LONGEST_WORD = 64
_LONGEST_PATH = 200


def kind(value: object) -> str:
    """What JSON calls the kind of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def checked_text(value: object, path: str, most: int) -> str:
    """A text of at most `most` characters that UTF-8 can hold: a lone half of a surrogate pair cannot be stored."""
    if not isinstance(value, str):
        raise BodyError(path, f"must be a text, not {kind(value)}")
    if len(value) > most:
        raise BodyError(path, f"has {len(value)} characters, {most} are allowed")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BodyError(path, "holds half of a surrogate pair") from None
    return value


def refuse_non_finite(value: object, path: str = "") -> None:
    """Raise `BodyError` at the first NaN or infinite number anywhere in a decoded JSON value, read or not."""
    if _is_finite(value):
        return  # most are, and a path costs more than a look
    waiting: list[tuple[object, str]] = [(value, path)]
    while waiting:
        item, where = waiting.pop()
        if isinstance(item, float):
            if not isfinite(item):
                raise BodyError(_shown(where), "must be a finite number")
        elif isinstance(item, Mapping):
            named = [(inner, f"{where}.{name}" if where else str(name)) for name, inner in item.items()]
            waiting.extend(reversed(named))
        elif isinstance(item, list):
            waiting.extend((item[index], f"{where}[{index}]") for index in range(len(item) - 1, -1, -1))


_WITHOUT_NAN = frozenset({str, int, bool, type(None)})


def _is_finite(value: object) -> bool:
    """Whether no number in plain dicts and lists is NaN or infinite. False also where something else is in them."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is dict:
            waiting.extend(item.values())
        elif kind is list:
            waiting.extend(item)
        elif kind is float:
            if not isfinite(item):
                return False
        elif kind not in _WITHOUT_NAN:
            return False
    return True


def _shown(path: str) -> str:
    """A path made of names nobody checked: storable, and no longer than a line."""
    return path[:_LONGEST_PATH].encode("utf-8", "backslashreplace").decode()


def _finite(value: object, path: str, expected: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BodyError(path, f"{expected}, not {kind(value)}")
    # isfinite() of an int beyond the floats overflows; such an int is finite and fails its bounds later.
    if isinstance(value, float) and not isfinite(value):
        raise BodyError(path, "must be a finite number")
    return value


def _iso(text: str, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BodyError(path, "is no ISO 8601 time") from None
    if moment.tzinfo is None:
        raise BodyError(path, "names no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BodyError(path, "is no plausible time", out_of_range=True) from None
