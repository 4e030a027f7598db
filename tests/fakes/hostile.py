"""Authenticated bodies that mean harm or are merely broken, deterministic by seed: what a listener must survive.

Each is wrong for a reason of its own, named in `why`. A share of the mutations may by luck stay valid (a deleted
optional field); those are meant to be understood, not refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.bodies import signal_body

PATHS = ("/webhook", "/webhook/signal", "/webhook/phase", "/webhook/trend")
CONTENT_TYPES = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "image/png",
    "",
)
LIMIT = 65536
MOMENT_MS = 1795186800000
"""2026-11-20T15:00:00Z."""


@dataclass(frozen=True, slots=True)
class Hostile:
    why: str
    path: str
    content_type: str
    body: bytes


def hostile_bodies(seed: int, count: int) -> Iterator[Hostile]:
    """`count` bodies; the same seed gives the same ones."""
    random = Random(seed)
    for index in range(count):
        why, make = _KINDS[index % len(_KINDS)]
        path = random.choice(PATHS)
        yield Hostile(why, path, random.choice(CONTENT_TYPES), make(random, path))


def phase_body() -> dict[str, Any]:
    return {
        "meta": {"engine": "SATY_PO", "event_id": "evt-1", "event_type": "REGIME_PHASE_ENTRY"},
        "instrument": {"symbol": "SPY"},
        "timeframe": {"event_tf": "4H", "tf_role": "REGIME"},
        "event": {"name": "ENTER_ACCUMULATION", "directional_implication": "UPSIDE_POTENTIAL"},
        "confidence": {"htf_alignment": True, "confidence_score": 85},
        "execution_guidance": {"trade_allowed": True},
        "risk_hints": {"time_decay_minutes": 30},
    }


def trend_body() -> dict[str, Any]:
    frame = {"direction": "bullish", "open": 1.0, "close": 2.0}
    names = ("tf3min", "tf5min", "tf15min", "tf30min", "tf60min", "tf240min", "tf1week", "tf1month")
    return {
        "ticker": "SPY",
        "exchange": "AMEX",
        "timestamp": MOMENT_MS,
        "price": 660.0,
        "timeframes": {name: dict(frame) for name in names},
    }


def valid_body(path: str) -> dict[str, Any]:
    if path.endswith("phase"):
        return phase_body()
    return trend_body() if path.endswith("trend") else signal_body(price=660.0, timestamp=MOMENT_MS)


# Fields without which a body means nothing; what is done to them cannot go unnoticed.
_NEEDED = {
    "signal": [
        ("signal", "type"), ("signal", "timeframe"), ("signal", "quality"), ("signal", "ai_score"),
        ("signal", "timestamp"), ("instrument", "ticker"), ("entry", "price"), ("entry", "stop_loss"),
        ("entry", "target_1"), ("entry", "target_2"), ("risk", "rr_ratio_t1"), ("risk", "recommended_contracts"),
        ("market_context", "volume_vs_avg"), ("trend", "strength"), ("mtf_context", "4h_bias"),
        ("mtf_context", "1h_bias"), ("time_context", "market_session"), ("time_context", "day_of_week"),
    ],
    "phase": [
        ("instrument", "symbol"), ("timeframe", "event_tf"), ("timeframe", "tf_role"), ("event", "name"),
        ("event", "directional_implication"), ("confidence", "htf_alignment"), ("confidence", "confidence_score"),
        ("execution_guidance", "trade_allowed"),
    ],
    "trend": [
        ("ticker",), ("timestamp",), ("price",), ("timeframes", "tf3min", "direction"),
        ("timeframes", "tf1month", "direction"), ("timeframes", "tf240min"),
    ],
}  # fmt: skip


def _needed(random: Random, path: str) -> tuple[str, ...]:
    kind = path.rpartition("/")[2]
    return random.choice(_NEEDED.get(kind, _NEEDED["signal"]))


def _with(path: str, place: tuple[str, ...], value: Any) -> dict[str, Any]:
    body = deepcopy(valid_body(path))
    node = body
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    return body


def _text(body: Any) -> bytes:
    return json.dumps(body).encode()


def _raw(path: str, place: tuple[str, ...], literal: str) -> bytes:
    """The body with a literal that json.dumps would not write."""
    return json.dumps(_with(path, place, "@@@")).replace('"@@@"', literal).encode()


def _truncated(random: Random, path: str) -> bytes:
    text = _text(valid_body(path))
    return text[: random.randrange(1, len(text) - 1)]


def _swapped(random: Random, path: str) -> bytes:
    text = bytearray(_text(valid_body(path)))
    structural = [index for index, byte in enumerate(text) if byte in b'{}:,"']
    text[random.choice(structural)] = random.choice(b"@#%;<")
    return bytes(text)


def _noise(random: Random, path: str) -> bytes:
    return random.randbytes(random.randrange(1, 2000))


def _deep(random: Random, path: str) -> bytes:
    depth = random.choice((33, 100, 1000, 5000, 20000))
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    return (opening * depth + "1" + closing * depth).encode()


def _deep_inside(random: Random, path: str) -> bytes:
    node: Any = 1
    for _ in range(random.randrange(40, 200)):
        node = [node] if random.random() < 0.5 else {"a": node}
    return _text(_with(path, _needed(random, path), node))


def _not_finite(random: Random, path: str) -> bytes:
    return _raw(path, _needed(random, path), random.choice(("NaN", "Infinity", "-Infinity", "1e999", "-1e400")))


def _huge_number(random: Random, path: str) -> bytes:
    literal = random.choice(
        ("9" * 19, "9" * 400, "9" * 5000, "-" + "8" * 30, "1e308", "123456789012345678901234567890.5")
    )
    return _raw(path, _needed(random, path), literal)


def _wrong_type(random: Random, path: str) -> bytes:
    value = random.choice(([], {}, [1, 2], {"a": 1}, None, [None], {"$ne": ""}))
    return _text(_with(path, _needed(random, path), value))


def _missing(random: Random, path: str) -> bytes:
    place = _needed(random, path)
    body = _with(path, place, None)
    node: Any = body
    for name in place[:-1]:
        node = node[name]
    del node[place[-1]]
    return _text(body)


def _wrong_word(random: Random, path: str) -> bytes:
    value = random.choice(
        ("", " ", "LONG\x00", "'; DROP TABLE facts; --", "<script>", "${jndi:ldap://x}", "٣", "🚀" * 50)
    )
    return _text(_with(path, _needed(random, path), value))


def _out_of_range(random: Random, path: str) -> bytes:
    value = random.choice((-1, -1e9, 1e12, 10**18, -0.0001))
    return _text(_with(path, _needed(random, path), value))


def _surrogate(random: Random, path: str) -> bytes:
    return _raw(path, _needed(random, path), random.choice(('"\\ud800"', '"\\udfff\\ud800"', '"SPY\\udc00"')))


def _encoding(random: Random, path: str) -> bytes:
    text = json.dumps(_with(path, _needed(random, path), "Größe é"), ensure_ascii=False)
    return text.encode(random.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp037")))


def _bad_utf8(random: Random, path: str) -> bytes:
    text = bytearray(_text(valid_body(path)))
    text[random.randrange(len(text))] = random.choice((0x80, 0xC0, 0xF5, 0xFF))
    return bytes(text)


def _giant(random: Random, path: str) -> bytes:
    size = random.choice((LIMIT + 1, LIMIT * 2, LIMIT * 8))
    return _text(_with(path, _needed(random, path), "A" * size))


def _long_text(random: Random, path: str) -> bytes:
    return _text(_with(path, _needed(random, path), "A" * random.randrange(300, 60000)))


def _twice(random: Random, path: str) -> bytes:
    text = json.dumps(valid_body(path))
    name = json.dumps(random.choice(list(valid_body(path))))
    return f"{{{name}: 1, {text[1:]}".encode()


def _not_an_object(random: Random, path: str) -> bytes:
    return random.choice((b"[]", b"[1,2,3]", b"1", b"true", b"null", b'""', b'"LONG"', b"[[[]]]", b"{}", b"-0", b"1e5"))


def _other_form(random: Random, path: str) -> bytes:
    return random.choice(
        (
            b"AAPL,buy,150.25,10",
            b"SYMBOL=SPY;SIGNAL=sell;\r\n",
            b"BTC/USD broke resistance at 50000",
            b"<xml><signal>LONG</signal></xml>",
            b"action=buy&ticker=SPY",
            b'{"ticker":"SPY","action":"buy","price":448.2 * 0.995}',
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
            b"",
            b" \r\n\t ",
            b"\xef\xbb\xbf",
            b"\x00" * 100,
        )
    )


def _placeholder(random: Random, path: str) -> bytes:
    return _text(_with(path, _needed(random, path), "{{strategy.order.action}}"))


def _wrapped_badly(random: Random, path: str) -> bytes:
    text: Any = random.choice(("not json", "{", '{"text": "{"}', "[]", '{"text": "{\\"text\\": \\"{}\\"}"}', "NaN"))
    for _ in range(random.randrange(6)):
        text = json.dumps({"text": text})
    return _text({"text": text})


def _short_broken(random: Random, path: str) -> bytes:
    body: dict[str, Any] = {
        "ticker": "SPY",
        "action": "buy",
        "interval": "5",
        "price": 660.1,
        "time": "2026-11-20T14:55:00Z",
    }
    name, value = random.choice(
        (
            ("ticker", "{{ticker}}"), ("ticker", "BINANCE:BTCUSDT"), ("ticker", 5), ("ticker", ""), ("action", "BUYY"),
            ("action", ["buy"]), ("action", ""), ("interval", "5x"), ("interval", "1D"), ("interval", None),
            ("price", "NaN"), ("price", -1), ("price", "1,5"), ("price", {}), ("time", "yesterday"), ("time", 10**17),
            ("time", "2026-11-20 14:55"), ("side", "sell"), ("tf", "15"), ("sl", 9999), ("tp1", 1), ("quality", "BEST"),
            ("market_position", "up"), ("aiScore", 11), ("Action", "sell"),
        )
    )  # fmt: skip
    body[name] = value
    return _text(body)


_KINDS: tuple[tuple[str, Callable[[Random, str], bytes]], ...] = (
    ("truncated", _truncated),
    ("structure broken", _swapped),
    ("noise", _noise),
    ("too deep", _deep),
    ("too deep inside", _deep_inside),
    ("not finite", _not_finite),
    ("huge number", _huge_number),
    ("wrong type", _wrong_type),
    ("missing", _missing),
    ("wrong word", _wrong_word),
    ("out of range", _out_of_range),
    ("lone surrogate", _surrogate),
    ("other encoding", _encoding),
    ("broken UTF-8", _bad_utf8),
    ("giant", _giant),
    ("long text", _long_text),
    ("key twice", _twice),
    ("no object", _not_an_object),
    ("other form", _other_form),
    ("placeholder", _placeholder),
    ("wrapped badly", _wrapped_badly),
    ("short form broken", _short_broken),
)
