"""What a fact is found by, and the words of a search. Made by the fold behind the ledger, asked by its queries."""

from __future__ import annotations

import re

from engine.domain.values import Value

MAX_WORDS = 64
"""Words of one fact that are kept."""
MAX_WORD = 40
_WORD = re.compile(r"[^\W_]+(?:[.][0-9]+)?")
"""Letters and digits of any script; 601.25 is one word."""


class Findable(Value, frozen=True, kw_only=True):
    """What a person looks for in a ledger. None where a fact has no such thing."""

    symbol: str | None = None
    decision: str | None = None
    """EXECUTE, WAIT or SKIP."""
    strategy: str | None = None
    """Who proposed it: the door it came in by, or manual."""
    outcome: str | None = None
    """WIN, LOSS or FLAT, of a closed position."""
    reason: str | None = None
    """Code of a refusal or reason of an exit."""
    words: tuple[str, ...] = ()


def words_in(*texts: str) -> tuple[str, ...]:
    """Distinct words in lower case, in the order they come. `SIGNAL_LATE` is `signal` and `late`."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(text.lower()):
            found[word[:MAX_WORD]] = None
            if len(found) == MAX_WORDS:
                return tuple(found)
    return tuple(found)
