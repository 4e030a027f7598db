"""The shape of a payload: which paths it has and of which types. Shapes are compared to notice that a sender has changed.

Called where payloads of outside services are kept. Values never enter a shape, so none of them leaks into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

MAX_PATHS = 2_000
"""A payload with more has its shape cut there: shapes are for people to read."""
MAX_NAMES = 64
"""An object with more names, or whose names are all alike data (dates, numbers, symbols), is a table: its names are `*`."""


def shape_of(payload: Any) -> tuple[str, ...]:
    """Sorted lines `path: type`. The members of a list share one path (`legs[].strike`); types are JSON's own, and a
    path seen with several types has a line for each."""
    found: set[str] = set()
    _walk(payload, "", found)
    return tuple(sorted(found)[:MAX_PATHS])


def digest_of(shape: tuple[str, ...]) -> bytes:
    """What a shape is told apart by: SHA-256 of its lines."""
    return sha256("\n".join(shape).encode("utf-8", "surrogatepass")).digest()


def drift(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Lines that came and lines that went."""
    old, new = set(before), set(after)
    return tuple(sorted(new - old)), tuple(sorted(old - new))


def _walk(value: Any, path: str, found: set[str]) -> None:
    if len(found) >= 2 * MAX_PATHS:
        return
    if isinstance(value, Mapping):
        found.add(f"{path or '.'}: object")
        table = _is_table(value)
        for name, inner in value.items():
            _walk(inner, f"{path}.{'*' if table else name}" if path else ("*" if table else str(name)), found)
    elif isinstance(value, list | tuple):
        found.add(f"{path or '.'}: array")
        for inner in value:
            _walk(inner, f"{path}[]", found)
    else:
        found.add(f"{path or '.'}: {_type(value)}")


def _is_table(value: Mapping[Any, Any]) -> bool:
    """Whether the names are data rather than fields: very many, or each with a digit in front."""
    return len(value) > MAX_NAMES or (len(value) > 1 and all(str(name)[:1].isdigit() for name in value))


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "number"
