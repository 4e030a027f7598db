"""The manual and the front page name the keys that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.actions import ACTIONS
from app.manual import BEGIN, END, MANUAL, keys_section, written
from widgets.action import HOLD_MS

README = MANUAL.parent.parent / "README.md"


def test_the_manual_shows_the_keys_as_they_are_declared() -> None:
    text = MANUAL.read_text("utf-8")
    assert written(text) == text, "stale: run python -m app.manual"


def test_every_action_is_in_the_manual_with_each_of_its_keys() -> None:
    section = keys_section()
    for action in ACTIONS:
        (line,) = [
            line for line in section.splitlines() if f"| {action.title.rstrip('…')}" in line and _has(line, action.keys)
        ]
        assert (f"hold {HOLD_MS} ms" in line) is bool(action.hold)


def _has(line: str, keys: tuple[str, ...]) -> bool:
    return all(f"`{key}`" in line for key in keys)


def test_a_stale_manual_is_written_anew_and_one_without_marks_is_an_error() -> None:
    assert written(f"a {BEGIN} old {END} b") == f"a {BEGIN}\n\n{keys_section()}\n\n{END} b"
    with pytest.raises(ValueError, match="marks"):
        written("nothing")


def test_the_front_page_names_no_key_that_is_not_there() -> None:
    section = README.read_text("utf-8").split("## Keys")[1].split("\n## ")[0]
    known = {key for action in ACTIONS for key in action.keys} | {"Enter", "Ctrl", "⌘"}
    named = {name for name in re.findall(r"`([^`]+)`", section) if not name.startswith("resources/")}
    assert named <= known, named - known


def test_the_pictures_are_there_and_not_too_large() -> None:
    for name, page in (("images/desk.png", README), ("images/desk-light.png", MANUAL)):
        assert name in page.read_text("utf-8")
        assert Path(MANUAL.parent, name).stat().st_size <= 400_000
