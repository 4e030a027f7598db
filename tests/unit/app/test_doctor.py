"""The doctor: what is ok, missing or broken, and what to do."""

from __future__ import annotations

import io
import json
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app import secrets as secrets_of
from app.commands import doctor
from app.commands.doctor import State, run_doctor
from app.options import Options
from app.paths import Home
from engine.clock import SystemClock
from engine.settings import Settings
from storage.embedded import EmbeddedPostgres
from tests.storage.test_spool import Filled


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", default=False)


@pytest.fixture(autouse=True)
def _no_proxy_and_no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("DATABASE_URL", raising=False)


def read(options: Options) -> tuple[int, dict[str, tuple[str, str]]]:
    out = io.StringIO()
    code = run_doctor(options, as_json=True, out=out)
    return code, {check["name"]: (check["state"], check["found"]) for check in json.loads(out.getvalue())}


def test_a_fresh_machine_has_nothing_broken_and_nothing_is_made(home: Home) -> None:
    code, checks = read(Options(home=home.root, overrides={"intake.port": "0"}))
    assert code == 0, checks
    assert checks["secrets"] == ("missing", "not made yet")
    assert checks["database"][0] == "ok"
    assert "PostgreSQL" in checks["database"][1]
    assert not home.root.exists()


def test_every_line_says_its_state_first_and_its_advice_last(home: Home) -> None:
    out = io.StringIO()
    run_doctor(Options(home=home.root, overrides={"intake.port": "0"}), out=out)
    lines = out.getvalue().splitlines()
    assert lines[1] == "missing  secrets    not made yet → start the desk or the engine once"
    assert {line.split()[0] for line in lines} <= {"ok", "missing", "broken"}
    assert len(lines) == 15


def test_facts_that_wait_in_the_spool_are_counted_and_damage_is_broken(home: Home) -> None:
    home.prepare()
    filled = Filled(home.spool)
    filled.write(2, 3)
    filled.spool.close()
    code, checks = read(Options(home=home.root, overrides={"intake.port": "0"}))
    assert code == 0
    assert checks["spool"] == ("ok", f"5 facts wait for the database in {home.spool}")
    (file,) = home.spool.glob("*.spool")
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)
    code, checks = read(Options(home=home.root, overrides={"intake.port": "0"}))
    assert (code, checks["spool"][0]) == (1, "broken")
    assert "was changed after it was written" in checks["spool"][1]


def test_a_spoilt_settings_file_is_broken_and_the_rest_is_still_examined(home: Home) -> None:
    home.prepare()
    home.settings.write_text("[intake]\nport = 70000\n")
    code, checks = read(Options(home=home.root, overrides={}))
    assert code == 1
    assert checks["settings"][0] == "broken"
    assert "settings.toml:2: intake.port" in checks["settings"][1]
    assert checks["python"][0] == "ok"


def test_spoilt_secrets_are_broken_and_never_shown(home: Home) -> None:
    home.prepare()
    home.secrets.write_text('api_token = "short"')
    code, checks = read(Options(home=home.root, overrides={"intake.port": "0"}))
    assert code == 1
    assert checks["secrets"][0] == "broken"


def test_kept_secrets_are_counted_and_never_shown(home: Home) -> None:
    home.prepare()
    secrets = secrets_of.load(home)
    out = io.StringIO()
    run_doctor(Options(home=home.root, overrides={"intake.port": "0"}), as_json=False, out=out)
    assert f"5 in {home.secrets}" in out.getvalue()
    assert not any(value in out.getvalue() for value in secrets.values())


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("6.11.3", State.OK),
        ("6.8.3", State.OK),
        ("6.12.0", State.BROKEN),
        ("6.7.0", State.BROKEN),
        ("7.0", State.BROKEN),
    ],
)
def test_a_qt_that_aborts_on_this_python_is_broken(version: str, state: State) -> None:
    assert doctor.qt_check(version).state is state


def test_the_installed_qt_is_ok() -> None:
    assert doctor.qt_check().state is State.OK


def test_a_missing_qt_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda _package: None)
    assert doctor.qt_check().state is State.MISSING


@pytest.mark.parametrize(("running", "state"), [((3, 11, 2), State.OK), ((3, 12, 0), State.BROKEN)])
def test_only_python_3_11_is_ok(running: tuple[int, ...], state: State) -> None:
    assert doctor.python_check(running).state is state


def test_a_package_that_is_not_installed_is_named() -> None:
    check = doctor.packages_check(("numpy", "no-such-package-anywhere"))
    assert check.state is State.BROKEN
    assert check.found == "not installed: no-such-package-anywhere"


def test_a_home_below_a_file_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = doctor.folder_check(Home(tmp_path / "file" / "home", default=False))
    assert check.state is State.BROKEN
    assert "--home" in check.advice


def test_a_full_disk_is_broken(home: Home) -> None:
    assert doctor.room_check(home, needed=1).state is State.OK
    check = doctor.room_check(home, needed=10**18)
    assert check.state is State.BROKEN
    assert "GB are needed" in check.advice


def test_a_clock_before_what_the_home_holds_is_broken(home: Home) -> None:
    home.prepare()
    assert doctor.clock_check(home).state is State.OK
    home.settings.write_text("")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).timestamp()  # noqa: TID251 - a file's time is the machine's
    os.utime(home.settings, (tomorrow, tomorrow))
    check = doctor.clock_check(home)
    assert check.state is State.BROKEN
    assert "behind" in check.found


def test_a_machine_without_time_zones_is_broken(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_key: str) -> None:
        raise doctor.ZoneInfoNotFoundError

    monkeypatch.setattr(doctor, "ZoneInfo", unknown)
    assert doctor.clock_check(home, SystemClock()).state is State.BROKEN


async def test_a_database_that_does_not_answer_is_broken_and_its_password_is_not_shown() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        check = await doctor.database_check(f"postgresql://me:hidden-word@127.0.0.1:{port}/ledger")
    assert check.state is State.BROKEN
    assert f"ledger on 127.0.0.1:{port} as me" in check.found
    assert "hidden-word" not in check.line


async def test_a_database_that_answers_is_ok(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "database")
    url = await server.start()
    try:
        check = await doctor.database_check(url)
    finally:
        await server.stop()
    assert check.state is State.OK
    assert check.found.startswith("Postgres 18")


async def test_a_database_address_that_is_none_is_broken() -> None:
    check = await doctor.database_check("my database")
    assert check.state is State.BROKEN
    assert "DATABASE_URL is not" in check.found


async def test_an_embedded_database_that_is_not_installed_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.binaries.PACKAGE", "no_such_package_anywhere")
    check = await doctor.database_check("")
    assert check.state is State.BROKEN
    assert "DATABASE_URL" in check.advice


async def test_an_embedded_database_that_does_not_run_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postgres").write_text("#!/bin/sh\necho no libraries >&2\nexit 127\n")
    (tmp_path / "postgres").chmod(0o755)
    monkeypatch.setattr(doctor, "find_binaries", lambda _who: tmp_path)
    check = await doctor.database_check("")
    assert (check.state, check.found) == (State.BROKEN, "no libraries")


async def test_any_free_port_is_ok() -> None:
    assert (await doctor.port_check("127.0.0.1", 0)).state is State.OK


async def test_a_free_port_is_ok() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert (await doctor.port_check("127.0.0.1", port)).found.endswith("is free")


async def test_a_port_of_another_program_is_broken() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as server:
        check = await doctor.port_check("127.0.0.1", server.getsockname()[1], seconds=0.05)
    assert check.state is State.BROKEN
    assert "--port" in check.advice


async def test_a_port_that_may_not_be_opened_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_address: tuple[str, int]) -> None:
        raise PermissionError("not allowed")

    monkeypatch.setattr(doctor.socket, "create_server", refused)
    check = await doctor.port_check("127.0.0.1", 80)
    assert check.state is State.BROKEN
    assert "over 1023" in check.advice


@pytest.mark.parametrize("source", ["simulated", "recorded:{folder}", "recorded:{folder}/SPY_2023"])
def test_a_market_that_is_there_is_ok(tmp_path: Path, source: str) -> None:
    (tmp_path / "SPY_2023_option_quote_1m.parquet").write_bytes(b"")
    assert doctor.market_check(source.format(folder=tmp_path)).state is State.OK


def test_a_recorded_day_that_is_not_there_is_broken(tmp_path: Path) -> None:
    check = doctor.market_check(f"recorded:{tmp_path / 'QQQ'}")
    assert check.state is State.BROKEN
    assert "QQQ" in check.found


def test_a_missing_display_is_missing_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "display_problem", lambda _environ: "no display was found: set DISPLAY")
    check = doctor.display_check({})
    assert (check.state, check.advice) == (State.MISSING, "set DISPLAY")


def test_a_present_display_is_named() -> None:
    assert doctor.display_check({"DISPLAY": ":7"}).found == ":7"


def test_a_folder_without_fonts_is_missing_them(tmp_path: Path) -> None:
    assert doctor.fonts_check(tmp_path).state is State.MISSING
    (tmp_path / "Inter-Regular.otf").write_bytes(b"")
    assert doctor.fonts_check(tmp_path).found == "Inter-Regular"


async def test_the_tunnel_is_examined_last(home: Home) -> None:
    settings = Settings.model_validate({"intake": {"port": 0}})
    checks = await doctor.examine(home, settings, tunnel="ftp://x", secrets=None, environ={"DISPLAY": ":0"})
    assert checks[-1].name == "tunnel"
