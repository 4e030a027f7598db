"""From a posted body to what it says: `Heard`, understood or refused, with its dedupe key.

Pure and total: any bytes give a `Heard`. Called by the webhook, and by replays with the body's own arrival time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from engine.domain.bodies import BodyError, phase_from_body, signal_from_body, trend_from_body
from engine.domain.signals import ExitNotice, Phase, Signal, Trend
from engine.domain.values import Code, Refusal, Value, refuse
from engine.intake.auth import Kind
from engine.intake.context import BarContext
from engine.intake.reading import Body, Tree, Unreadable, open_body, redacted, unreadable
from engine.intake.shortforms import Moment, from_short
from engine.sessions import Calendar

KEPT_BYTES = 8192
"""How much of a raw body is kept beside its SHA-256."""


class Heard(Value, frozen=True, kw_only=True):
    """One body and what it says. Exactly one of `value` and `refusal` is there."""

    key: str
    """Dedupe key."""
    windowed: bool
    """The body has no time of its own: the key is its SHA-256 and only counts for `intake.duplicate_window` seconds."""
    kind: str
    """signal, phase, trend, exit, or unknown."""
    raw: str
    """Cut at `KEPT_BYTES`, credentials blanked."""
    sha256: str
    """Of the whole body; of what was read for one over the limit."""
    remote: str = ""
    value: Signal | Phase | Trend | ExitNotice | None = None
    refusal: Refusal | None = None
    status: int = 202
    """The HTTP answer it deserves: 202, or 400, 413, 422."""

    @property
    def form(self) -> Kind | None:
        """Whose secret it needs: an exit notice is a signal's sender speaking. None where the kind does not show."""
        return _FORMS.get(self.kind)


_FORMS: Mapping[str, Kind] = {"signal": "signal", "exit": "signal", "phase": "phase", "trend": "trend"}


def understand(
    raw: bytes,
    *,
    door: Kind | None,
    now: datetime,
    wall: datetime,
    bars: BarContext,
    calendar: Calendar,
    max_depth: int = 32,
    remote: str = "",
) -> Heard:
    """What a body says. `door` is the kind its path asks for; None finds it from the body.

    `now` is the engine's time (session, bars), `wall` this machine's (arrival, for bodies without a time).
    """
    try:
        body = open_body(raw, max_depth)
    except Unreadable as error:
        return refused_body(raw, door, error, remote)
    return interpret(raw, body, door=door, now=now, wall=wall, bars=bars, calendar=calendar, remote=remote)


def interpret(
    raw: bytes,
    body: Body,
    *,
    door: Kind | None,
    now: datetime,
    wall: datetime,
    bars: BarContext,
    calendar: Calendar,
    remote: str = "",
) -> Heard:
    """The same for a body that was opened already."""
    kind, short = form_of(body.tree, door)
    try:
        if door is not None and kind != door:
            raise unreadable(Code.UNKNOWN_FORM, body.root, expected=door, looks_like=kind)
        value, own_time = _short(body, bars, calendar, now, wall) if short else _full(body, kind)
    except Unreadable as error:
        unknown = error.refusal.code is Code.UNKNOWN_FORM
        return _refused(raw, door or "unknown" if unknown else kind, error, remote, body.secrets)
    key = _key(value, own_time)
    digest = sha256(raw).hexdigest()
    return Heard(
        key=key or _digest_key(digest),
        windowed=not key,
        kind="exit" if isinstance(value, ExitNotice) else kind,
        raw=redacted(raw, KEPT_BYTES, body.secrets),
        sha256=digest,
        remote=remote,
        value=value,
    )


def refused_body(raw: bytes, door: Kind | None, error: Unreadable, remote: str = "") -> Heard:
    """A body that could not be opened."""
    return _refused(raw, door or "unknown", error, remote, ())


def too_large(begun: bytes, door: Kind | None, size: str, limit: int, remote: str, digest: str) -> Heard:
    """A body over the limit, of which only the beginning was kept."""
    return Heard(
        key=_digest_key(digest),
        windowed=True,
        kind=door or "unknown",
        raw=redacted(begun, KEPT_BYTES),
        sha256=digest,
        remote=remote,
        refusal=refuse(Code.TOO_LARGE, "$", size=size, limit=limit),
        status=413,
    )


def form_of(tree: Tree, door: Kind | None) -> tuple[Kind, bool]:
    """The kind of a body, and whether it is a short form. A body that shows no kind is what its door asks for."""
    head = tree.get("signal")
    if "timeframes" in tree:
        return "trend", False
    if isinstance(tree.get("meta"), dict) or isinstance(tree.get("event"), dict):
        return "phase", False
    if isinstance(head, dict):
        return "signal", "instrument" not in tree and bool({"symbol", "ticker"} & (head.keys() | tree.keys()))
    if door == "phase" or door == "trend":
        return door, False
    # A full body that lost its head still shows what it is by its other sections.
    return "signal", not any(
        isinstance(tree.get(name), dict) for name in ("instrument", "entry", "risk", "time_context")
    )


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Signal | Phase | Trend]] = {
    "signal": signal_from_body,
    "phase": phase_from_body,
    "trend": trend_from_body,
}


def _full(body: Body, kind: Kind) -> tuple[Signal | Phase | Trend, str]:
    try:
        value = _READERS[kind](body.tree)
    except BodyError as error:
        wrong = error.below(body.root)
        if wrong.out_of_range:
            raise unreadable(Code.OUT_OF_RANGE, wrong.path, status=422, reason=wrong.message) from None
        raise unreadable(Code.BAD_FIELD, wrong.path, reason=wrong.message) from None
    if isinstance(value, Signal):
        return value, value.bar_close.isoformat()
    return value, value.timestamp.isoformat() if isinstance(value, Trend) else ""


def _short(
    body: Body, bars: BarContext, calendar: Calendar, now: datetime, wall: datetime
) -> tuple[Signal | ExitNotice, str]:
    return from_short(body, bars, calendar, Moment(now, wall))


def _key(value: Signal | Phase | Trend | ExitNotice, own_time: str) -> str:
    """(kind, symbol, timeframe, side, its own time); the event id of a phase; empty when there is neither."""
    if isinstance(value, Phase):
        return f"phase:{value.event_id}" if value.event_id else ""
    if not own_time:
        return ""
    if isinstance(value, Trend):
        return f"trend:{value.symbol}:{own_time}"
    kind = "signal" if isinstance(value, Signal) else "exit"
    return f"{kind}:{value.symbol}:{value.timeframe or ''}:{value.direction or ''}:{own_time}"


def _digest_key(digest: str) -> str:
    return f"sha256:{digest}"


def _refused(raw: bytes, kind: str, error: Unreadable, remote: str, secrets: tuple[str, ...]) -> Heard:
    digest = sha256(raw).hexdigest()
    return Heard(
        key=_digest_key(digest),
        windowed=True,
        kind=kind,
        raw=redacted(raw, KEPT_BYTES, secrets),
        sha256=digest,
        remote=remote,
        refusal=error.refusal,
        status=error.status,
    )
