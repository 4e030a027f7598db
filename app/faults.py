"""Errors a person can do something about, as one line; everything else keeps its traceback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from app.options import UsageError
from app.paths import HomeError
from app.secrets import SecretsError
from engine.journey.recovery import RecoveryError
from engine.ports import LedgerAway
from storage.errors import StorageError

KNOWN = (UsageError, HomeError, SecretsError, LedgerAway, RecoveryError, StorageError)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn a known error, also one that a task group wrapped, into a `UsageError` with its own words."""
    try:
        yield
    except BaseExceptionGroup as group:
        known = first_known(group)
        if known is None:
            raise
        raise UsageError(_one_line(known)) from group
    except KNOWN as error:
        raise UsageError(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    """Its words on one line: a database's own come on several."""
    return " ".join(str(error).split())


def first_known(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The first error of a group that is known, however deep it lies."""
    for error in group.exceptions:
        found = first_known(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, KNOWN):
            return found
    return None
