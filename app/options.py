"""What a run was asked for on the command line, before settings are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

VERSION = "0.1.0"


class UsageError(Exception):
    """Wrong use or bad input: one line for standard error, exit code 2."""


@dataclass(frozen=True, slots=True)
class Options:
    home: Path | None = None
    """Data folder; None takes STRIKEDESK_HOME or the platform's own place."""
    overrides: dict[str, str] = field(default_factory=dict)
    default_policy: str = ""
    """Policy of this face when neither command line nor settings file says one."""


def parse_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """`["risk.max_heat=0.1"]` -> a dict. Raises `UsageError` naming the pair that has no `=`."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {pair}: expected KEY=VALUE")
        overrides[key.strip()] = value.strip()
    return overrides
