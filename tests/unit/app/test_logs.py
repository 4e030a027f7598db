"""The log file: JSON lines, scrubbed, private, rotated, and given back when closed."""

from __future__ import annotations

import io
import json
import logging
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app import logs
from app.logs import HIDDEN, Logs, scrubber
from app.paths import Home

SECRET = "s3cr3t-which-nobody-may-read"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path, default=False)
    home.prepare()
    return home


@pytest.fixture
def console() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def opened(home: Home, console: io.StringIO) -> Iterator[Logs]:
    log = logs.start(home, [SECRET], console=console)
    yield log
    log.close()


def lines(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home.logs / logs.FILE).read_text().splitlines()]


def test_a_line_has_its_event_fields_level_logger_and_time(home: Home, opened: Logs) -> None:
    structlog.get_logger("intake").info("receipt_kept", seq=7, kind="signal", ratio=0.5, ok=True, nothing=None)
    (line,) = lines(home)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "receipt_kept",
        "seq": 7,
        "kind": "signal",
        "ratio": 0.5,
        "ok": True,
        "nothing": None,
        "level": "info",
        "logger": "intake",
    }


def test_a_secret_is_scrubbed_wherever_it_stands(home: Home, opened: Logs, console: io.StringIO) -> None:
    log = structlog.get_logger("doors")
    log.warning(
        f"heard {SECRET}", deep={"list": [SECRET, {"x": SECRET}], "api_token": 5}, raw=SECRET.encode(), token="t"
    )
    log.error("failed", path=Path(f"/x/{SECRET}"))
    logging.getLogger("a.library.access").warning('"%s %s"', "POST", f"/webhook?token={SECRET}")
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError:
        log.exception("went_wrong")
    text = (home.logs / logs.FILE).read_text() + console.getvalue()
    assert SECRET not in text
    assert "/webhook?token=[hidden]" in text
    first = lines(home)[0]
    assert first["deep"] == {"list": [HIDDEN, {"x": HIDDEN}], "api_token": HIDDEN}
    assert first["token"] == HIDDEN
    assert "ValueError" in lines(home)[-1]["exception"]


def test_information_goes_to_the_file_only_and_warnings_to_both(home: Home, opened: Logs, console: io.StringIO) -> None:
    log = structlog.get_logger("x")
    log.debug("unheard")
    log.info("quiet")
    log.warning("loud", port=8787)
    assert [line["event"] for line in lines(home)] == ["quiet", "loud"]
    assert "quiet" not in console.getvalue()
    assert "loud" in console.getvalue()
    assert "port=8787" in console.getvalue()


def test_lines_of_libraries_and_warnings_go_the_same_way(home: Home, opened: Logs) -> None:
    logging.getLogger("a.library").info("Started %s", "server", extra={"port": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    first, second = lines(home)
    assert (first["event"], first["port"], first["logger"]) == ("Started server", 1, "a.library")
    assert "old thing" in second["event"]


def test_only_the_owner_reads_the_log(home: Home, opened: Logs) -> None:
    structlog.get_logger("x").info("y")
    assert stat.S_IMODE((home.logs / logs.FILE).stat().st_mode) == 0o600


def test_a_full_file_is_rotated_and_old_ones_go(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 400)
    monkeypatch.setattr(logs, "FILES", 2)
    opened = logs.start(home, console=io.StringIO())
    for number in range(30):
        structlog.get_logger("x").info("y", number=number)
    opened.close()
    assert sorted(path.name for path in home.logs.iterdir()) == [logs.FILE, f"{logs.FILE}.1", f"{logs.FILE}.2"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in home.logs.iterdir())
    assert lines(home)[-1]["number"] == 29


def test_closing_gives_the_standard_logging_back(home: Home) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    opened = logs.start(home, level="DEBUG", console=io.StringIO())
    assert root.level == logging.DEBUG
    opened.close()
    assert (list(root.handlers), root.level) == before


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET /x?token=abc&y=1", f"GET /x?token={HIDDEN}&y=1"),
        ('{"secret": "abc", "y": 1}', f'{{"secret": "{HIDDEN}", "y": 1}}'),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {HIDDEN}"),
        ("postgresql://me:abc@host/db", f"postgresql://me:{HIDDEN}@host/db"),
        ("password=abc api_key: abc", f"password={HIDDEN} api_key: {HIDDEN}"),
        ("3 tokens for SPY at 562.82", "3 tokens for SPY at 562.82"),
        ("https://example.com:8787/health", "https://example.com:8787/health"),
    ],
)
def test_whatever_looks_like_a_credential_is_hidden_and_nothing_else(text: str, clean: str) -> None:
    assert scrubber([])(text) == clean


def test_an_empty_secret_hides_nothing() -> None:
    assert scrubber(["", "abc"])("an abc") == f"an {HIDDEN}"
