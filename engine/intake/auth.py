"""Who may post, read and act: pure checks in constant time. There is no mode without credentials.

Called by the webhook and the API guard. Never logs, keeps or echoes what was presented; never tells which part was wrong.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Kind = Literal["signal", "phase", "trend"]
KINDS: tuple[Kind, ...] = ("signal", "phase", "trend")
NOBODY: frozenset[Kind] = frozenset()

SIGNATURE_HEADER = "X-Strikedesk-Signature"
MIN_LENGTH = 16
"""Shortest secret, characters: below it guessing is a plan."""


class CredentialError(ValueError):
    """Credentials that would leave a door open; the message names which, never their value."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Three kinds: webhook secrets (per kind, several while one replaces another), API tokens (reading) and trading
    tokens (reading and acting). A door without any is shut. No secret may open doors of two kinds."""

    signal: tuple[str, ...] = ()
    phase: tuple[str, ...] = ()
    trend: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    trading: tuple[str, ...] = ()
    _digests: Mapping[str, tuple[bytes, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        groups = {"webhook": self.signal + self.phase + self.trend, "api": self.api, "trading": self.trading}
        seen: dict[str, str] = {}
        for name, secrets in groups.items():
            for secret in secrets:
                if len(secret) < MIN_LENGTH:
                    raise CredentialError(f"a {name} secret is shorter than {MIN_LENGTH} characters")
                if seen.setdefault(secret, name) != name:
                    raise CredentialError(f"the same secret is used for {seen[secret]} and {name}")
        object.__setattr__(
            self,
            "_digests",
            {name: tuple(map(_digest, getattr(self, name))) for name in (*KINDS, "api", "trading")},
        )

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}: {len(found)}' for name, found in self._digests.items())})"

    def webhook(self, presented: str) -> frozenset[Kind]:
        """The kinds of body this secret may post."""
        digest = _digest(presented)
        return frozenset([kind for kind in KINDS if _among(digest, self._digests[kind])])

    def may_read(self, presented: str) -> bool:
        digest = _digest(presented)
        return _among(digest, self._digests["api"]) | _among(digest, self._digests["trading"])

    def may_act(self, presented: str) -> bool:
        return _among(_digest(presented), self._digests["trading"])

    def signed(self, header: str, body: bytes, now: float, max_age: float) -> frozenset[Kind]:
        """The kinds a signature may post. Header: `t=<unix seconds>,v1=<hex>`, several v1 while keys change; signed is
        `<t>.<body>`, HMAC-SHA256. A timestamp further than `max_age` seconds from `now`, either way, is refused."""
        stamp, signatures = _signature(header)
        if stamp is None or abs(now - int(stamp)) > max_age:
            return NOBODY
        return frozenset(
            [
                kind
                for kind in KINDS
                if _any([_among(given, _signatures(getattr(self, kind), stamp, body)) for given in signatures])
            ]
        )


def sign(secret: str, body: bytes, now: float) -> str:
    """The header value a sender of ours puts on a body at `now` (Unix seconds)."""
    stamp = str(int(now))
    return f"t={stamp},v1={_hmac(secret, stamp, body).hex()}"


def bearer(header: str) -> str | None:
    """The token of an `Authorization: Bearer` header; None for anything else."""
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(secret: str) -> bytes:
    # Compared as digests: equal lengths, so that not even the length of a secret shows.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _among(given: bytes, known: Iterable[bytes]) -> bool:
    return _any([hmac.compare_digest(given, one) for one in known])


def _any(found: list[bool]) -> bool:
    # No early exit: every candidate costs the same.
    return sum(found) > 0


def _signatures(secrets: tuple[str, ...], stamp: str, body: bytes) -> list[bytes]:
    return [_hmac(secret, stamp, body) for secret in secrets]


def _hmac(secret: str, stamp: str, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), stamp.encode() + b"." + body, "sha256")


def _signature(header: str) -> tuple[str | None, list[bytes]]:
    stamp: str | None = None
    signatures: list[bytes] = []
    for part in header.split(",")[:8]:
        name, _, value = part.strip().partition("=")
        if name == "t" and value.isascii() and value.isdigit() and len(value) <= 12:
            stamp = value
        elif name == "v1" and len(value) == 64:
            try:
                signatures.append(bytes.fromhex(value))
            except ValueError:
                continue
    return stamp, signatures
