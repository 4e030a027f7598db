"""When the nightly backup is due, and how it ends when the engine does."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from app import nightly
from app.nightly import SETTLING, next_run, run_work
from app.options import Options
from app.wiring import ask
from tests.storage.waiting import until

AT = time(18, 30)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "last", "due"),
    [
        pytest.param("2026-11-20T15:00", "2026-11-19T23:31", "2026-11-20T23:30", id="this evening, winter"),
        pytest.param("2026-07-20T15:00", "2026-07-19T22:31", "2026-07-20T22:30", id="this evening, summer"),
        pytest.param("2026-11-20T23:30", "2026-11-20T23:30", "2026-11-21T23:30", id="just made: tomorrow"),
        pytest.param("2026-10-31T22:31", "2026-10-31T22:30", "2026-11-01T23:30", id="clocks go back overnight"),
        pytest.param("2026-03-07T23:31", "2026-03-07T23:30", "2026-03-08T22:30", id="clocks go forward overnight"),
    ],
)
def test_it_is_due_at_the_set_hour_of_new_york(now: str, last: str, due: str) -> None:
    assert next_run(utc(now), utc(last), AT) == utc(due)


@pytest.mark.parametrize("last", [None, utc("2026-11-18T23:30")])
def test_a_missed_night_is_made_up_for_soon_after_the_start(last: datetime | None) -> None:
    now = utc("2026-11-20T15:00")
    assert next_run(now, last, AT) == now + SETTLING


def test_a_backup_of_last_night_waits_for_tonight() -> None:
    now = utc("2026-11-20T23:29")
    assert next_run(now, now - timedelta(hours=24), AT) == utc("2026-11-20T23:30")


STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, lambda *_: None)  # an orderly end waits for what it runs
dump = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], restore_signals=True)
open(sys.argv[-1], "w").write(f"{os.getpid()} {dump.pid}")
dump.wait()
"""


def gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


async def test_an_engine_that_stops_takes_the_backup_and_its_dump_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "program", lambda: [sys.executable, "-c", STUBBORN])
    monkeypatch.setattr(nightly, "_LEAVE", 20.0)
    said: list[str] = []
    monkeypatch.setattr(nightly.log, "warning", lambda event, **_: said.append(event))
    pids = tmp_path / "pids"
    asked = ask(Options(home=tmp_path), with_secrets=False)
    work = asyncio.create_task(run_work(asked, "backup", str(pids)))
    await until(lambda: pids.exists() and bool(pids.read_text()))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert said == [], "it ended by itself: its dump was ended as well"
    assert [gone(int(pid)) for pid in pids.read_text().split()] == [True, True]
