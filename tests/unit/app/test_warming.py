"""Kernels are compiled aside and loaded here; whatever is in the way, numpy goes on and the reason is told."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app import warming
from app.commands.doctor import State, kernels_check
from engine.pricing import kernels, price
from engine.pricing.kernels import Serving
from engine.settings import Settings, with_overrides


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    kernels.cool()
    kernels.prepare(None)


@pytest.fixture(scope="module")
def folder() -> Path:
    """The cache that all tests share, filled by the command: compiling takes long, and is done once for each version."""
    shared = warming.cache_folder()
    assert warming.run_kernels(shared) == 0
    kernels.cool()
    return shared


async def warmed(folder: Path, *, allowed: bool = True) -> kernels.State:
    ready = asyncio.Event()
    ready.set()
    await warming.warm(ready, allowed=allowed, folder=folder)
    return kernels.state()


async def test_nothing_is_done_before_the_face_is_shown(folder: Path) -> None:
    waiting = asyncio.create_task(warming.warm(asyncio.Event(), folder=folder))
    await asyncio.sleep(0.05)
    assert kernels.state().serving is Serving.NUMPY
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_what_was_compiled_is_loaded_and_prices_the_same_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = price(600.0, [590.0, 610.0], 0.1, 0.04, 0.012, 0.2, True)
    monkeypatch.setattr(warming, "_start", lambda _: pytest.fail("all is compiled: no process is needed"))
    assert await warmed(folder) == (Serving.COMPILED, "")
    assert price(600.0, [590.0, 610.0], 0.1, 0.04, 0.012, 0.2, True).tobytes() == before.tobytes()


async def test_an_empty_cache_is_filled_by_another_process(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real command in a real process; what it would compile for seconds is laid ready for it."""
    asked: list[list[str]] = []
    began = warming._start

    def start(command: list[str]) -> object:
        asked.append(command)
        return began(command)

    monkeypatch.setattr(warming, "_start", start)
    empty = tmp_path / "kernels"
    empty.mkdir(mode=0o700)
    print_ = warming.runtime.fingerprint()
    (empty / print_).symlink_to(folder / print_)
    (folder / warming.runtime.fingerprint() / warming.COMPLETE).unlink()
    assert (await warmed(empty)).serving is Serving.COMPILED
    assert asked[0][-3:] == ["kernels", "--cache", str(empty)]
    assert (folder / warming.runtime.fingerprint() / warming.COMPLETE).exists()


async def test_a_stop_while_it_compiles_ends_the_process(tmp_path: Path) -> None:
    ready = asyncio.Event()
    ready.set()
    started: list[int] = []
    began = warming._start

    def start(command: list[str]) -> object:
        process = began(command)
        started.append(process.pid)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warming, "_start", start)
        work = asyncio.create_task(warming.warm(ready, folder=tmp_path / "kernels"))
        async with asyncio.timeout(30):
            while not started:  # noqa: ASYNC110 - a process is waited for
                await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.wait([work])
    assert work.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


async def test_without_leave_to_compile_numpy_serves(folder: Path) -> None:
    assert await warmed(folder, allowed=False) == (Serving.UNAVAILABLE, "the numpy build was asked for")


async def test_a_process_that_cannot_be_started_is_said_and_no_fault_of_the_desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with ThreadPoolExecutor() as worker, capture_logs() as said:
        await warming._compile(tmp_path / "kernels", worker)
    assert [(one["event"], one["log_level"]) for one in said] == [("kernels_not_compiled", "warning")]
    assert "gone" in said[0]["error"]


def test_the_cache_is_where_it_is_told_to_be(tmp_path: Path) -> None:
    assert warming.cache_folder({"STRIKEDESK_CACHE": str(tmp_path)}) == tmp_path / "kernels"
    assert warming.cache_folder({}).name == "kernels"


def test_a_folder_that_others_may_write_keeps_no_code(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert not warming.private(open_to_all)
    assert warming.private(tmp_path / "new" / "kernels")
    (tmp_path / "file").write_text("")
    assert not warming.private(tmp_path / "file" / "kernels")


def test_the_doctor_says_what_will_price(tmp_path: Path) -> None:
    settings, numpy = Settings(), with_overrides(Settings(), {"pricing.kernels": "numpy"})
    assert kernels_check(numpy).found == "numpy, as pricing.kernels says"
    new = kernels_check(settings, folder=tmp_path / "kernels")
    assert (new.state, "nothing yet" in new.found) == (State.OK, True)
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert kernels_check(settings, folder=shared).state is State.MISSING
    (tmp_path / "kernels" / "abc").mkdir(parents=True)
    (tmp_path / "kernels" / "abc" / warming.COMPLETE).touch()
    assert "compiled code in" in kernels_check(settings, folder=tmp_path / "kernels").found
