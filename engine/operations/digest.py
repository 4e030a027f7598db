"""Digests of a run: one number that says whether two runs did the same.

`decisions` covers receipts and decisions and leaves out ledger positions: the same on every machine. `ledger` covers
all journey facts: the same on one machine and version (pricing floats may differ in the last bit elsewhere).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from engine.domain.canonical import canonical
from engine.domain.events import LIFECYCLE, RECEIPTS, AnyFact, DecisionMade

_PLACES = frozenset({"seq", "cause", "source", "trigger", "original"})


def decisions_digest(facts: Iterable[AnyFact]) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        if isinstance(fact, (*RECEIPTS, DecisionMade)):
            tree = _without_places(json.loads(canonical(fact)))
            digest.update(json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
            digest.update(b"\n")
    return digest.hexdigest()


def ledger_digest(facts: Iterable[AnyFact]) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        if not isinstance(fact, LIFECYCLE):
            digest.update(canonical(fact))
            digest.update(b"\n")
    return digest.hexdigest()


def _without_places(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _without_places(value) for name, value in tree.items() if name not in _PLACES}
    if isinstance(tree, list):
        return [_without_places(value) for value in tree]
    return tree
