"""The home folder and the program's own files."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from app.display import display_problem
from app.paths import HOME_MODE, Home, HomeError, find_home, platform_home, resources


def test_home_of_the_command_line_comes_before_the_environment(tmp_path: Path) -> None:
    home = find_home(tmp_path / "given", {"STRIKEDESK_HOME": str(tmp_path / "set")})
    assert home == Home(tmp_path / "given", default=False)


def test_home_of_the_environment_comes_before_the_platforms(tmp_path: Path) -> None:
    assert find_home(None, {"STRIKEDESK_HOME": str(tmp_path)}) == Home(tmp_path, default=False)


@pytest.mark.parametrize("environ", [{}, {"STRIKEDESK_HOME": ""}])
def test_without_a_word_the_platforms_own_place_is_home(environ: dict[str, str]) -> None:
    home = find_home(None, environ)
    assert home.default
    assert home.root == platform_home()
    assert home.root.name == "Strikedesk"


def test_naming_the_platforms_own_place_is_still_the_default_home() -> None:
    assert find_home(platform_home(), {}).default


def test_a_relative_home_is_kept_as_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_home(Path("my home"), {}).root == tmp_path / "my home"


def test_preparing_makes_a_home_only_its_owner_may_enter(tmp_path: Path) -> None:
    home = find_home(tmp_path / "with space" / "home", {})
    home.prepare()
    home.prepare()
    assert stat.S_IMODE(home.root.stat().st_mode) == HOME_MODE
    assert home.logs.is_dir()


def test_everything_of_a_home_lies_inside_it(tmp_path: Path) -> None:
    home = find_home(tmp_path, {})
    for path in (home.settings, home.secrets, home.logs, home.database, home.backups, home.layouts):
        assert path.parent == tmp_path


def test_a_home_below_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"file.*data folder cannot be made.*--home"):
        find_home(tmp_path / "file" / "home", {}).prepare()


def test_a_home_that_cannot_be_written_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, so that no folder's mode shows this to every tester; the system's answer is given instead.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "home")
    home = find_home(tmp_path / "home", {})
    with pytest.raises(HomeError, match="cannot be written"):
        home.prepare()


def test_resources_are_found_in_the_checkout() -> None:
    assert (resources() / "fonts").is_dir()


def test_resources_of_a_built_application_are_found_in_its_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", "/bundle", raising=False)
    assert resources() == Path("/bundle/resources")


@pytest.mark.parametrize(
    ("platform", "environ", "shown"),
    [
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen:size=1x1"}, True),
        ("linux", {"QT_QPA_PLATFORM": "xcb"}, False),
        ("linux", {}, False),
        ("darwin", {}, True),
    ],
)
def test_a_screen_is_asked_for_before_qt(platform: str, environ: dict[str, str], shown: bool) -> None:
    problem = display_problem(environ, platform)
    assert (problem is None) is shown
    if problem:
        assert "make engine" in problem
