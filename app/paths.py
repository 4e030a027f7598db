"""Where this installation keeps its things: one home folder, and the files that came with the program.

Called by the command line and the wiring before anything else. It makes folders; it never reads or writes their files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from platformdirs import user_data_path

VARIABLE = "STRIKEDESK_HOME"
HOME_MODE = 0o711 if os.geteuid() == 0 else 0o700
"""Nobody else reads the home. As root the database runs as another user, who must be able to walk through it."""


class HomeError(OSError):
    """The home folder cannot be used; the message names it and what to do."""


@dataclass(frozen=True)
class Home:
    """The data folder. Nothing is written outside it but what was asked for."""

    root: Path
    default: bool
    """True for the platform's own place: only then are secrets in the keychain."""

    @property
    def settings(self) -> Path:
        return self.root / "settings.toml"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets.toml"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def database(self) -> Path:
        return self.root / "database"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def heads(self) -> Path:
        return self.root / "heads.txt"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox.jsonl"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def layouts(self) -> Path:
        return self.root / "layouts"

    def prepare(self) -> None:
        """Make the home (0700, for it holds money matters) and its log folder. Raises `HomeError`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=HOME_MODE)
            self.logs.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise HomeError(
                f"{error.filename}: the data folder cannot be made ({error.strerror}); choose another with --home or {VARIABLE}"
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise HomeError(f"{self.root}: the data folder cannot be written; choose another with --home or {VARIABLE}")


def platform_home() -> Path:
    """`~/Library/Application Support/Strikedesk` on a Mac, `~/.local/share/Strikedesk` on Linux."""
    return user_data_path("Strikedesk", appauthor=False)


def find_home(option: Path | None = None, environ: Mapping[str, str] = os.environ) -> Home:
    """`--home`, else `STRIKEDESK_HOME`, else the platform's own place. Nothing is made yet."""
    chosen = option or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    own = platform_home().expanduser().absolute()
    if chosen is None:
        return Home(own, default=True)
    root = chosen.expanduser().absolute()
    return Home(root, default=root == own)


def resources() -> Path:
    """The folder `resources/` that came with the program, also inside a built application."""
    bundle: str | None = getattr(sys, "_MEIPASS", None)
    return (Path(bundle) if bundle else Path(__file__).resolve().parent.parent) / "resources"


def program() -> list[str]:
    """The command that starts this program anew, also inside a built application."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, str(Path(__file__).resolve().parent.parent / "main.py")]


@contextmanager
def throwaway_home(what: str) -> Iterator[Path]:
    """A home that is gone afterwards, for replays, smoke runs and benchmarks."""
    with TemporaryDirectory(prefix=f"strikedesk-{what}-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(HOME_MODE)
        yield Path(folder) / "home"
