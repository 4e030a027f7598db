"""What a fact's text says of itself, read without reading the rest: place, time, kind, cause, symbol and dedupe key.

Called by the walk over a ledger. The classes are made from those of the facts, so they know every kind there is; reading
one costs a fourth of reading the fact. Whether all of a fact can be read is for a fold to find (`ledger rebuild`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple, get_args

import msgspec

from engine.domain.events import AnyFact
from storage.rows import ACCEPTED, HOLDERS


class Reader(NamedTuple):
    """How to read the header of one kind of fact."""

    kind: str
    decode: Callable[[Any], Any]
    """A struct with `seq`, `at`, `fact` and `cause`, where there is one with `receipt.key`, from canonical text. Raises
    `msgspec.DecodeError` for what is none."""
    symbol: Callable[[Any], str] | None
    key: bool
    """It brings a dedupe key."""


class _Receipt(msgspec.Struct, gc=False):
    key: str


def _reader(fact: type[msgspec.Struct]) -> Reader:
    fields: list[Any] = [("at", datetime), ("fact", str), ("seq", int)]
    accepted = issubclass(fact, ACCEPTED)
    if accepted:
        fields.append(("receipt", _Receipt))
    path, held = _symbol(fact)
    fields += [*held, ("cause", int | None, None)]
    # No tag: looking for it first would mean to read the text twice. Who asks knows the kind from its column.
    made = msgspec.defstruct(fact.__name__, fields, gc=False, kw_only=True)
    decode: Callable[[Any], Any] = msgspec.json.Decoder(made).decode
    return Reader(fact.__name__, decode, attrgetter(path) if path else None, accepted)


def _symbol(cls: type[msgspec.Struct]) -> tuple[str, list[tuple[str, Any]]]:
    """Where the symbol stands in a struct, by the rule of `rows.symbol_of`, and the field that leads there."""
    types = {field.name: field.type for field in msgspec.structs.fields(cls)}
    if types.get("symbol") is str:
        return "symbol", [("symbol", str)]
    for holder in HOLDERS:
        held = types.get(holder)
        if isinstance(held, type) and issubclass(held, msgspec.Struct):
            path, inner = _symbol(held)
            return (
                (f"{holder}.{path}", [(holder, msgspec.defstruct(held.__name__, inner, gc=False))])
                if path
                else ("", [])
            )
    return "", []


READERS: dict[bytes, Reader] = {fact.__name__.encode(): _reader(fact) for fact in get_args(AnyFact)}
"""By the kind's name as its column holds it."""
