"""The settings of this installation: defaults, then `settings.toml` in the home, then the environment, then `--set`.

Called by the wiring. Every layer is checked as it is laid on, so that an error names the file and line, the variable or
the option it came from, and the key. It never writes.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.paths import Home
from engine.settings import SettingError, Settings, with_overrides

PREFIX = "STRIKEDESK_"


def load(
    home: Home,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    default_policy: str = "",
) -> Settings:
    """Settings of this start. `overrides` is what the command line said, `section.name` to value; `default_policy` is
    the face's own, where nobody says another. Raises `SettingError` with one clear line."""
    base = with_overrides(Settings(), {"approvals.policy": default_policy}) if default_policy else Settings()
    settings = _from_file(base, home.settings)
    settings = _from_environment(settings, environ)
    return _from_command_line(settings, overrides or {})


def _from_file(settings: Settings, path: Path) -> Settings:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return settings
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: cannot be read ({error})") from error
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{path}: not TOML: {error}") from error
    for section, table in tables.items():
        if not isinstance(table, dict):
            raise SettingError(f"{path}:{_line(text, '', section)}: {section}: settings stand in a [section]")
        for name, value in table.items():
            where = f"{path}:{_line(text, section, name)}"
            settings = _laid_on(settings, where, f"{section}.{name}", _text(value, where, f"{section}.{name}"))
    return settings


def _from_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """`STRIKEDESK_INTAKE__PORT=8788` is `intake.port`: two underscores stand for the dot."""
    for variable in sorted(environ):
        section, dots, name = variable.removeprefix(PREFIX).partition("__")
        if variable.startswith(PREFIX) and dots:
            settings = _laid_on(settings, variable, f"{section}.{name}".lower(), environ[variable])
    return settings


def _from_command_line(settings: Settings, overrides: Mapping[str, str]) -> Settings:
    for key, value in overrides.items():
        settings = _laid_on(settings, f"command line, {key}={value}", key, value)
    return settings


def _laid_on(settings: Settings, where: str, key: str, value: str) -> Settings:
    try:
        return with_overrides(settings, {key: value})
    except SettingError as error:
        raise SettingError(f"{where}: {error}{_suggestion(key)}") from error


def _suggestion(key: str) -> str:
    known = [f"{section}.{name}" for section, table in Settings().model_dump().items() for name in table]
    close = [] if key in known else difflib.get_close_matches(key, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _text(value: Any, where: str, key: str) -> str:
    if isinstance(value, list):
        return ",".join(_text(one, where, key) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | Decimal):
        return str(value)
    raise SettingError(f"{where}: {key}: was not a text, a number or a list of them")


def _line(text: str, section: str, name: str) -> int:
    """The line a key stands on; the section's own line, or 1, where it is written in a way that is not searched for."""
    current, found = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*\"?([\w-]+)\"?\s*\]", line):
            current = header[1]
            found = number if current == section else found
        elif current == section and re.match(rf"\s*\"?{re.escape(name)}\"?\s*=", line):
            return number
    return found
