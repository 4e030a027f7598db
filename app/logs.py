"""The log: JSON lines in the home's `logs/strikedesk.jsonl`, rotated, every line scrubbed of secrets; warnings on the console.

Called once by the lifecycle, before anything is started. Libraries that use the standard `logging` pass through the same
processors, so that a token in an access line of the HTTP server is scrubbed as well.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from logging.handlers import RotatingFileHandler
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from app.paths import Home

FILE = "strikedesk.jsonl"
FILE_BYTES = 10_000_000
FILES = 5
HIDDEN = "[hidden]"

_NAMED = re.compile(r"(?i)(token|secret|password|passwd|api[_-]?key|authorization|signature)")
_IN_TEXT = (
    # ?token=…, "secret": "…", password=…
    re.compile(r"(?i)((?:token|secret|password|passwd|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,;}]+)"),
    # Authorization: Bearer …
    re.compile(r"(?i)(bearer\s+)([^\s\"',;}]+)"),
    # postgresql://name:password@host
    re.compile(r"(\w+://[^:/@\s]*:)([^@/\s]+)(?=@)"),
)


def scrubber(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that hides these values, and whatever looks like a credential, in any text."""
    known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def scrub(text: str) -> str:
        for secret in known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        for pattern in _IN_TEXT:
            text = pattern.sub(rf"\g<1>{HIDDEN}", text)
        return text

    return scrub


def _scrubbing(scrub: Callable[[str], str]) -> Processor:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return scrub(value)
        if isinstance(value, bytes):
            return scrub(value.decode(errors="backslashreplace"))
        if isinstance(value, Mapping):
            return {
                key: HIDDEN if isinstance(key, str) and _NAMED.search(key) else clean(one) for key, one in value.items()
            }
        if isinstance(value, list | tuple):
            return [clean(one) for one in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return scrub(str(value))

    def process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
        return {
            key: value if key.startswith("_") else HIDDEN if _NAMED.search(key) else clean(value)
            for key, value in event.items()
        }

    return process


class _OwnersFile(RotatingFileHandler):
    """A rotating file that only its owner reads."""

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding)


class Logs:
    """The open log. Close it last: it gives the standard `logging` back as it was."""

    def __init__(self, handlers: Iterable[logging.Handler], previous: tuple[list[logging.Handler], int]) -> None:
        self._handlers = tuple(handlers)
        self._previous = previous

    def close(self) -> None:
        root = logging.getLogger()
        root.handlers, root.level = list(self._previous[0]), self._previous[1]
        logging.captureWarnings(False)
        for handler in self._handlers:
            handler.close()
        structlog.reset_defaults()


def start(home: Home, secrets: Iterable[str] = (), *, level: str = "INFO", console: TextIO | None = None) -> Logs:
    """Open the log of a home that was prepared. `level` is a name of `logging`; `console` defaults to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.StackInfoRenderer(),
        _scrubbing(scrubber(secrets)),
    ]
    file = _OwnersFile(home.logs / FILE, maxBytes=FILE_BYTES, backupCount=FILES, encoding="utf-8")
    file.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[*last, structlog.processors.JSONRenderer()]
        )
    )
    terminal = logging.StreamHandler(console or sys.stderr)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[*last, structlog.processors.KeyValueRenderer(key_order=["level", "logger", "event"])],
        )
    )
    root = logging.getLogger()
    previous = (list(root.handlers), root.level)
    root.handlers = [file, terminal]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return Logs((file, terminal), previous)
