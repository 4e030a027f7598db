"""The tokens of this installation: made once at the first start, kept in the keychain or in a file only its owner reads.

The default home keeps them in the platform's keychain where there is one; every other home in its `secrets.toml` (0600).
Called by the wiring. Values never reach a log, a repr or a message: `app.logs` scrubs them, and errors name keys only.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets as random_source
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Protocol

from app.paths import Home
from engine.intake.auth import MIN_LENGTH, Credentials

SERVICE = "Strikedesk"
BYTES = 32
"""256 bits: 43 URL-safe characters, so that a secret may stand in `?token=` as it is."""


class SecretsError(Exception):
    """Secrets cannot be read or kept; the message names the file or keychain, never a value."""


@dataclass(frozen=True)
class Secrets:
    """Who may speak to the engine: each webhook kind by its own secret, readers and traders by theirs."""

    webhook_signal: str = field(repr=False)
    webhook_phase: str = field(repr=False)
    webhook_trend: str = field(repr=False)
    api_token: str = field(repr=False)
    """Reading."""
    trading_token: str = field(repr=False)
    """Acting: approvals, halt, closing; it also reads."""
    kept: str = ""
    """Where they are: the file's path, or the keychain's name."""

    def credentials(self) -> Credentials:
        """What the doors of the engine compare with."""
        return Credentials(
            signal=(self.webhook_signal,),
            phase=(self.webhook_phase,),
            trend=(self.webhook_trend,),
            api=(self.api_token,),
            trading=(self.trading_token,),
        )

    def values(self) -> tuple[str, ...]:
        """For the log's scrubber."""
        return tuple(getattr(self, name) for name in NAMES)


NAMES = tuple(one.name for one in fields(Secrets) if one.name != "kept")


class Keychain(Protocol):
    """The part of `keyring` that is used; tests give it a folder's file."""

    @property
    def name(self) -> str: ...

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...


def platform_keychain() -> Keychain | None:
    """The keychain of this platform, or None where there is none (a server without a desktop session)."""
    import keyring  # imports every backend it knows (0.2 s): only when the default home asks

    backend = keyring.get_keyring()
    return backend if backend.priority >= 1 else None


def load(home: Home, keychain: Callable[[], Keychain | None] = platform_keychain) -> Secrets:
    """The home's secrets; missing ones are made and kept. Raises `SecretsError`."""
    chain = _chain(home, keychain)
    if chain is None:
        return _from_file(home.secrets)
    for name in NAMES:
        if not _asked(chain, name):
            _kept(chain, name, random_source.token_urlsafe(BYTES))
    return Secrets(**{name: _asked(chain, name) for name in NAMES}, kept=chain.name)


def find(home: Home, keychain: Callable[[], Keychain | None] = platform_keychain) -> Secrets | None:
    """The home's secrets if all of them were made; makes none. Raises `SecretsError`."""
    chain = _chain(home, keychain)
    found = {name: _asked(chain, name) for name in NAMES} if chain else _read(home.secrets)
    if not all(found.get(name) for name in NAMES):
        return None
    return Secrets(**{name: found[name] for name in NAMES}, kept=chain.name if chain else str(home.secrets))


def _chain(home: Home, keychain: Callable[[], Keychain | None]) -> Keychain | None:
    # A default home that once had no keychain keeps its file: the senders know those secrets.
    return keychain() if home.default and not home.secrets.exists() else None


def _asked(chain: Keychain, name: str) -> str:
    try:
        return chain.get_password(SERVICE, name) or ""
    except Exception as error:
        raise _unanswered(chain, error) from error


def _kept(chain: Keychain, name: str, value: str) -> None:
    try:
        chain.set_password(SERVICE, name, value)
    except Exception as error:
        raise _unanswered(chain, error) from error


def _unanswered(chain: Keychain, error: Exception) -> SecretsError:
    return SecretsError(
        f"{chain.name}: the keychain did not answer ({type(error).__name__}); unlock it, or choose a home with --home"
    )


def _from_file(path: Path) -> Secrets:
    found = _read(path)
    missing = [name for name in NAMES if name not in found]
    if missing:
        fresh = {name: random_source.token_urlsafe(BYTES) for name in missing}
        found = _write(path, found | fresh, first=not found)
    return Secrets(**{name: found[name] for name in NAMES}, kept=str(path))


def _read(path: Path) -> dict[str, str]:
    try:
        content = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SecretsError(f"{path}: cannot be read ({error.strerror})") from error
    if mode & 0o077:
        path.chmod(0o600)
        # Standard logging: this is before the log is open, and must still reach standard error.
        logging.getLogger("secrets").warning("%s was open to others (%04o); now only you read it", path, mode)
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SecretsError(
            f"{path}: not TOML ({_place(error)}); mend it, or move it away to have new secrets"
        ) from error
    for name, value in table.items():
        if not isinstance(value, str) or len(value) < MIN_LENGTH:
            raise SecretsError(f"{path}: {name} was not a text of at least {MIN_LENGTH} characters")
    return table


def _place(error: Exception) -> str:
    """Where the mistake is, without quoting the line: it may hold a secret."""
    found = re.search(r"at line \d+, column \d+|at end of document", str(error))
    return found.group() if found else type(error).__name__


def _write(path: Path, values: Mapping[str, str], *, first: bool) -> dict[str, str]:
    """Keep them in one step. Another process that made the file first wins, so that both speak with the same secrets."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write("# Secrets of this Strikedesk home. Anyone who reads them can send signals or trade.\n")
            file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
            file.flush()
            os.fsync(file.fileno())
        if first:
            os.link(fresh, path)
        else:
            os.replace(fresh, path)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise SecretsError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        fresh.unlink(missing_ok=True)
    return dict(values)
