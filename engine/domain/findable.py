"""What a fact is found by, and the words of a search. Made by the fold behind the ledger, asked by its queries."""

from __future__ import annotations

import re
from datetime import datetime

from engine.domain.events import AnyFact
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


class Question(Value, frozen=True, kw_only=True):
    """What is looked for; every part that is given must hold. Times are engine time, UTC."""

    since: datetime | None = None
    until: datetime | None = None
    """Up to and without this moment."""
    kinds: tuple[str, ...] = ()
    symbol: str | None = None
    decision: str | None = None
    strategy: str | None = None
    outcome: str | None = None
    reason: str | None = None
    text: str = ""
    """Words that must all be there; the last may be the beginning of one, unless a space follows it."""

    @property
    def everything(self) -> bool:
        return self == Question()

    @property
    def words(self) -> tuple[tuple[str, ...], str | None]:
        """Words to be found whole, and the beginning of one more."""
        found = words_in(self.text)
        if not found or self.text[-1].isspace():
            return found, None
        return found[:-1], found[-1]

    def answered_by(self, fact: AnyFact, found: Findable) -> bool:
        """Whether a fact is among the answers: what the search table says of it, asked of one fact."""
        if self.since is not None and fact.at < self.since:
            return False
        if self.until is not None and fact.at >= self.until:
            return False
        if self.kinds and fact.kind not in self.kinds:
            return False
        for name in ("symbol", "decision", "strategy", "outcome", "reason"):
            wanted = getattr(self, name)
            if wanted is not None and getattr(found, name) != wanted:
                return False
        if not self.text.strip():
            return True
        whole, begun = self.words
        if not whole and begun is None:
            return False  # only signs: no fact has them as a word
        return set(whole) <= set(found.words) and (begun is None or any(w.startswith(begun) for w in found.words))


EVERYTHING = Question()
"""No condition at all."""
