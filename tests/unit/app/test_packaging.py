"""What the application is built from: lists that can be read without building it."""

from __future__ import annotations

import ast
import plistlib
import re
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PACKAGING = ROOT / "packaging"


def workflow(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def test_the_mac_application_names_its_system_and_never_naps() -> None:
    values = plistlib.loads((PACKAGING / "Info.plist").read_bytes())
    assert values["LSMinimumSystemVersion"] == "14.0"
    assert values["NSAppSleepDisabled"] is True
    assert values["LSArchitecturePriority"] == ["arm64"]
    assert re.fullmatch(r"[a-z]+(\.[a-z]+)+", values["CFBundleIdentifier"])


def test_the_mac_application_may_load_python_and_listen() -> None:
    granted = plistlib.loads((PACKAGING / "entitlements.plist").read_bytes())
    assert {name.rpartition(".")[2] for name, given in granted.items() if given} == {
        "allow-unsigned-executable-memory",
        "disable-library-validation",
        "client",
        "server",
    }


def test_the_icon_holds_every_size_as_png() -> None:
    data = (ROOT / "resources" / "icons" / "strikedesk.icns").read_bytes()
    assert data[:8] == b"icns" + struct.pack(">I", len(data))
    widths, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at + 4 : at + 8])
        assert data[at + 8 : at + 16] == b"\x89PNG\r\n\x1a\n"
        widths.append(struct.unpack(">I", data[at + 24 : at + 28])[0])
        at += length
    assert widths == [32, 64, 128, 256, 512, 1024]


def test_the_recipe_is_python_and_names_only_what_exists() -> None:
    recipe = (PACKAGING / "strikedesk.spec").read_text(encoding="utf-8")
    ast.parse(recipe)
    parts = re.findall(r'ROOT((?: / "[\w.]+")+)', recipe)
    assert len(parts) >= 6
    for part in parts:
        assert ROOT.joinpath(*re.findall(r'"([\w.]+)"', part)).exists(), part


def test_the_recipe_leaves_out_no_part_of_qt_that_the_screen_uses() -> None:
    recipe = (PACKAGING / "strikedesk.spec").read_text(encoding="utf-8")
    left_out = set(re.findall(r'^ {16}"(\w+)",$', recipe, re.MULTILINE))
    assert "Qml" in left_out
    used = {
        module
        for room in ("app", "widgets")
        for path in (ROOT / room).rglob("*.py")
        for module in re.findall(r"from PySide6\.Qt(\w+) import", path.read_text(encoding="utf-8"))
    }
    assert used & left_out == set()


@pytest.mark.parametrize("name", ["check.yml", "mac.yml"])
def test_a_workflow_reads_as_yaml_and_runs_what_a_person_runs(name: str) -> None:
    page = workflow(name)
    assert page["permissions"] == {"contents": "read"}
    for job in page["jobs"].values():
        assert job["timeout-minutes"] <= 45
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    commands = [step["run"] for job in page["jobs"].values() for step in job["steps"] if "run" in step]
    expected = {"check.yml": [".ci/run"], "mac.yml": ["make test", "make app"]}[name]
    assert [command for command in commands if command in expected] == expected


def test_the_mac_builds_on_apple_silicon_with_python_3_11() -> None:
    job = workflow("mac.yml")["jobs"]["mac"]
    assert set(job["strategy"]["matrix"]["runner"]) == {"macos-14", "macos-15"}
    assert [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")] == [
        "3.11"
    ]


@pytest.mark.parametrize("script", [".ci/run", "packaging/setup.sh"])
def test_a_script_is_read_by_its_shell(script: str) -> None:
    shell = "bash" if script == ".ci/run" else "sh"
    done = subprocess.run([shell, "-n", str(ROOT / script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_of_a_clone_can_be_run() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
