"""From bytes to a clean tree: UTF-8, JSON, finite numbers, bounded depth, no key twice; and out of its wrappings.

Pure and total: every body gives a `Body` or an `Unreadable` that names the path. Called by `payloads` and, for a secret
that travels inside a body, by the webhook. Never keeps a secret: `redacted` blanks them before a body is stored.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from engine.domain.values import Code, Refusal, refuse

Tree = dict[str, Any]

SECRET_NAMES = frozenset({"secret", "key", "token", "api_token", "api_key", "apikey", "passphrase", "password"})
"""Names under which real alerts carry their credential. Only the outermost levels of a body are looked at."""

_BLANK = "•••"
_SECRET_LENGTH = 8
"""A shorter text is no credential, and blanking it everywhere would spoil what is kept."""
_WRAPPINGS = 3
_HUGE = 2**63
_PATH_LENGTH = 200
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
_ARITHMETIC = re.compile(r"[\d)]\s*[-+*/]\s*[\d(.]")
_SECRET_IN_TEXT = re.compile(
    # In a wrapped body the quotes are escaped: a value ends at a quote with as many backslashes as the name's, or with
    # the text where that was cut.
    r'("(?:' + "|".join(sorted(SECRET_NAMES)) + r')(\\*)"\s*:\s*\2").*?((?<!\\)\2"|\Z)',
    re.IGNORECASE | re.DOTALL,
)


class Unreadable(Exception):
    """A body that cannot be read, with its refusal and HTTP status."""

    def __init__(self, refusal: Refusal, status: int = 400) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal
        self.status = status


def unreadable(code: Code, path: str, /, status: int = 400, **numbers: object) -> Unreadable:
    return Unreadable(refuse(code, path, **numbers), status)


@dataclass(frozen=True, slots=True)
class Body:
    """A clean object, where in the body it stood, and the credentials that came with it."""

    tree: Tree
    root: str
    """`$`, `$.text`, `$.data`: prefix of every path."""
    secrets: tuple[str, ...] = ()


def open_body(raw: bytes, max_depth: int) -> Body:
    """The object a body carries. Raises `Unreadable`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(Code.NOT_JSON, "$", offset=error.start, reason="not UTF-8") from None
    node: Any = text
    root = "$"
    secrets: list[str] = []
    for _ in range(_WRAPPINGS + 1):
        if isinstance(node, str):
            node = parse(node, root, max_depth)
        if isinstance(node, str) and node.lstrip()[:1] == "{":
            continue
        if not isinstance(node, dict):
            raise unreadable(Code.UNKNOWN_FORM, root, reason=f"{_kind_of(node)} is no alert")
        secrets.extend(
            value for name, value in node.items() if name.lower() in SECRET_NAMES and isinstance(value, str) and value
        )
        inner = _wrapped(node)
        if inner is None:
            return Body(node, root, tuple(secrets))
        root = f"{root}.{inner}"
        node = node[inner]
    raise unreadable(Code.TOO_DEEP, root, limit=_WRAPPINGS, reason="wrapped too often")


def parse(text: str, root: str, max_depth: int) -> Any:
    """One JSON value whose numbers are finite and whose strings can be stored. Raises `Unreadable`."""
    start = text.lstrip()[:1]
    if not start:
        raise unreadable(Code.NOT_JSON, root, offset=0, reason="empty")
    if start not in '{["':
        raise unreadable(Code.UNKNOWN_FORM, root, reason="not a JSON object")
    try:
        tree = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _not_json(text, root, error) from None
    except RecursionError:
        raise unreadable(Code.TOO_DEEP, root, limit=max_depth) from None
    fault = _fault(tree, 0, max_depth)
    if fault is not None:
        raise fault.at(root)
    return tree


def join(root: str, *names: str | int) -> str:
    """A path in the body: `$.signal.type`, `$.components[2]`, `$["a key"]`. Bounded, and plain ASCII."""
    path = root
    for name in names:
        if isinstance(name, int):
            path += f"[{name}]"
        elif _PLAIN_NAME.match(name):
            path += f".{name}"
        else:
            path += f"[{json.dumps(name[:32])}]"
    return path if len(path) <= _PATH_LENGTH else path[:_PATH_LENGTH] + "…"


def redacted(raw: bytes, cut: int, secrets: tuple[str, ...] = ()) -> str:
    """The body as it is kept: its first `cut` bytes, credentials blanked, what is no text escaped."""
    text = raw[:cut].decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
    for secret in secrets:
        if len(secret) >= _SECRET_LENGTH:
            text = text.replace(secret, _BLANK)
    if text.isascii():
        lowered = text.lower()
        if not any(name in lowered for name in SECRET_NAMES):
            return text  # a look is cheaper than the search
    return _SECRET_IN_TEXT.sub(rf"\1{_BLANK}\3", text)


# --- what is wrong with a tree ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fault:
    code: Code
    reason: str
    names: list[str | int]
    """Innermost first."""
    status: int = 400

    def at(self, root: str) -> Unreadable:
        return unreadable(self.code, join(root, *reversed(self.names)), status=self.status, reason=self.reason)


class _Twice(dict[str, Any]):
    """An object in which a key came twice: which one counts would be a guess."""

    key: str


class _NotFinite:
    pass


_NOT_FINITE = _NotFinite()
_HUGE_NUMBER = 10**400


def _object(pairs: list[tuple[str, Any]]) -> Tree:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    twice = _Twice(found)
    seen: set[str] = set()
    twice.key = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return twice


def _integer(text: str) -> int:
    # Python refuses to read integers of thousands of digits; nothing here is larger than a timestamp.
    return int(text) if len(text) < 20 else _HUGE_NUMBER


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=lambda _: _NOT_FINITE, parse_int=_integer)


def _fault(node: Any, depth: int, limit: int) -> _Fault | None:
    kind = type(node)
    if kind is str:
        return None if _storable(node) else _Fault(Code.BAD_FIELD, "text that cannot be stored", [])
    if kind is float:
        return None if math.isfinite(node) else _Fault(Code.NOT_FINITE, "not a finite number", [])
    if kind is dict or kind is _Twice or kind is list:
        if depth >= limit:
            return _Fault(Code.TOO_DEEP, f"deeper than {limit} levels", [])
        if kind is list:
            for index, item in enumerate(node):
                fault = _fault(item, depth + 1, limit)
                if fault is not None:
                    fault.names.append(index)
                    return fault
            return None
        if kind is _Twice:
            return _Fault(Code.BAD_FIELD, "sent twice", [node.key])
        for name, item in node.items():
            kind = type(item)
            if (
                name.isascii()
                and "\0" not in name
                and (
                    (kind is str and item.isascii() and "\0" not in item)
                    or (kind is float and math.isfinite(item))
                    or (kind is int and -_HUGE < item < _HUGE)
                )
            ):
                continue  # nearly all of them
            fault = (
                _fault(item, depth + 1, limit)
                if _storable(name)
                else _Fault(Code.BAD_FIELD, "a name that cannot be stored", [])
            )
            if fault is not None:
                fault.names.append(name)
                return fault
        return None
    if kind is int:
        if -_HUGE < node < _HUGE:
            return None
        return _Fault(Code.OUT_OF_RANGE, "a number beyond 64 bits", [], 422)
    return _Fault(Code.NOT_FINITE, "not a finite number", []) if kind is _NotFinite else None


def _storable(text: str) -> bool:
    if "\x00" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_json(text: str, root: str, error: json.JSONDecodeError) -> Unreadable:
    around = text[max(0, error.pos - 24) : error.pos + 24]
    if text[error.pos : error.pos + 1] in tuple("+-*/") and _ARITHMETIC.search(around):
        return unreadable(Code.UNKNOWN_FORM, root, offset=error.pos, reason="arithmetic is not JSON")
    if "{{" in around:
        return unreadable(Code.NOT_JSON, root, offset=error.pos, reason="a placeholder that was not filled in")
    return unreadable(Code.NOT_JSON, root, offset=error.pos, reason=error.msg)


# --- wrappings --------------------------------------------------------------------------------------------------------


def _wrapped(tree: Tree) -> str | None:
    """The key under which the real body stands: TradingView's relay form `text`, or `data` of some senders."""
    text = tree.get("text")
    if isinstance(text, str) and (len(tree) == 1 or text.lstrip()[:1] == "{"):
        return "text"
    if isinstance(tree.get("data"), dict) and not ({"ticker", "symbol", "signal", "meta", "timeframes"} & tree.keys()):
        return "data"
    return None


def _kind_of(node: Any) -> str:
    return "a list" if isinstance(node, list) else "a text" if isinstance(node, str) else "a bare value"
