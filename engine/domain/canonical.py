"""Canonical bytes: the one text form of a fact, hashed by the ledger and compared by replays.

UTF-8 JSON, sorted keys, no spaces, Decimals as plain text, times `YYYY-MM-DDTHH:MM:SS.ffffffZ`. NaN is an error. A lone
surrogate, which UTF-8 cannot hold, is written as its visible escape (`\\ud800`), so that no sender can make a fact unwritable.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from engine.domain.events import AnyFact

_SURROGATE = re.compile("[\ud800-\udfff]")
_decoder: msgspec.json.Decoder[AnyFact] = msgspec.json.Decoder(AnyFact)


def canonical(value: msgspec.Struct) -> bytes:
    """The canonical bytes of a struct."""
    text = _encode(msgspec.to_builtins(value, builtin_types=(datetime, date, Decimal)))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text).encode()


def decode_fact(data: bytes | str) -> AnyFact:
    """The fact of canonical bytes. Raises `msgspec.ValidationError` for anything else."""
    return _decoder.decode(data)


def time_text(moment: datetime) -> str:
    """UTC with microseconds, always the same width."""
    moment = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


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
