"""Decisions to make, as JSON: `{id, now, signals[], phases[], trends[]}` with full bodies.

Called by the file of decisions and by tests; a decoded object in, domain structs out. Nothing is assumed: all five
fields have to be there, and a NaN anywhere is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from engine.domain.bodies import BodyError, phase_from_body, signal_from_body, trend_from_body
from engine.domain.fields import Fields
from engine.domain.signals import Phase, Signal, Trend
from engine.domain.values import Value

MAX_INPUTS = 1000
"""Entries of one list: more than a symbol could ever have active."""

T = TypeVar("T")


class Case(Value, frozen=True, kw_only=True):
    """One decision to make."""

    id: str | int
    now: datetime
    signals: tuple[Signal, ...]
    phases: tuple[Phase, ...]
    trends: tuple[Trend, ...]


class CaseError(ValueError):
    """A case that cannot be read. `id` is the case's own, where it could be read; the message names the JSON path."""

    def __init__(self, message: str, case_id: str | int | None = None) -> None:
        super().__init__(message)
        self.id = case_id


def parse_case(text: str | bytes) -> Case:
    """The case of one JSON text. Raises `CaseError` naming the path of the first bad field."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise CaseError("nested too deep") from None
    except UnicodeDecodeError as error:
        raise CaseError(f"is not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise CaseError(f"is not JSON: {error.msg} at column {error.colno}") from None
    except ValueError:
        raise CaseError("is not JSON: a number of thousands of digits") from None
    return case_from(value)


def case_from(value: object) -> Case:
    """The case of a decoded JSON value. Raises `CaseError` naming the path of the first bad field."""
    case_id = _id_of(value)
    try:
        fields = Fields(value)
        if case_id is None:
            raise BodyError("id", "must be a text or a whole number")
        return Case(
            id=case_id,
            now=fields.moment("now"),
            signals=_each(fields, "signals", signal_from_body),
            phases=_each(fields, "phases", phase_from_body),
            trends=_each(fields, "trends", trend_from_body),
        )
    except BodyError as error:
        raise CaseError(str(error), case_id) from None


def _id_of(value: object) -> str | int | None:
    if not isinstance(value, Mapping):
        return None
    found = value.get("id")
    if isinstance(found, str):
        # A lone half of a surrogate pair could not be written back.
        return found.encode("utf-8", "replace").decode()
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _each(fields: Fields, name: str, read: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    structs = []
    for index, body in enumerate(fields.items(name, most=MAX_INPUTS)):
        try:
            structs.append(read(body))
        except BodyError as error:
            raise error.below(f"{name}[{index}]") from None
    return tuple(structs)
