"""The reading of bodies is total: whatever is posted gives a value or a refusal with a path, and all of it can be stored."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.domain import events as ev
from engine.domain.canonical import canonical, decode_fact
from engine.domain.signals import ExitNotice, Phase, Signal
from engine.intake.auth import Kind
from engine.intake.doors import Answer
from engine.intake.payloads import KEPT_BYTES, Heard
from tests.bodies import signal_body
from tests.fakes.doors import MOMENT
from tests.fakes.hostile import LIMIT, MOMENT_MS, hostile_bodies, phase_body, trend_body
from tests.unit.intake.helpers import GivenBars, read, short

doors: st.SearchStrategy[Kind | None] = st.sampled_from([None, "signal", "phase", "trend"])
numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -0.0, 1e308, 2**63, -(2**63), 10**400, 1e-320, 1795186800000])
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["LONG", "buy", "close", "5", "240", "1D", "SPY", "AMEX:SPY", "flat", "NaN", "{{x}}", "2026-11-20T14:55:00Z",
         "HIGH", "bullish", "\ud800", "\x00", "9" * 40, "-1", "1e400", "{", "[", '{"a":1}', "{}"]
    ),
)  # fmt: skip
names = st.sampled_from(
    [
        "signal", "type", "timeframe", "instrument", "ticker", "symbol", "entry", "price", "risk", "meta", "event",
        "timeframes", "tf3min", "text", "data", "action", "interval", "time", "timenow", "timestamp", "sl", "tp1", "tp2",
        "market_position", "prev_market_position", "strategy.order.action", "strategy", "order", "quality", "aiScore",
        "secret", "key", "trend", "strength", "direction", "mtf_context", "4h_bias", "atr", "vwap", "close", "event_id",
    ]
) | st.text(max_size=8)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=10)
bars = st.sampled_from([None, GivenBars(price=660.0, atr=1.2), GivenBars(price=0.0, atr=float("inf"))])


def check(heard: Heard) -> None:
    """One of two, with a path; stored and answered without loss."""
    assert (heard.value is None) is (heard.refusal is not None)
    assert heard.status in ((202,) if heard.refusal is None else (400, 422))
    assert heard.kind in ("signal", "phase", "trend", "exit", "unknown")
    assert heard.windowed is heard.key.startswith("sha256:")
    assert heard.key.encode()
    assert "\x00" not in heard.key
    receipt = ev.Receipt(key=heard.key, kind=heard.kind, raw=heard.raw, sha256=heard.sha256, wall=MOMENT)
    fact: ev.AnyFact
    if heard.refusal is not None:
        assert heard.refusal.path.startswith("$")
        fact = ev.ReceiptRefused(seq=1, at=MOMENT, receipt=receipt, refusal=heard.refusal, status=heard.status)
    elif isinstance(heard.value, Signal):
        fact = ev.SignalReceived(seq=1, at=MOMENT, receipt=receipt, signal=heard.value, late=0.0)
        check_levels(heard.value)
    elif isinstance(heard.value, Phase):
        fact = ev.PhaseReceived(seq=1, at=MOMENT, receipt=receipt, phase=heard.value)
    elif isinstance(heard.value, ExitNotice):
        fact = ev.ExitNoticeReceived(seq=1, at=MOMENT, receipt=receipt, notice=heard.value)
    else:
        assert heard.value is not None
        fact = ev.TrendReceived(seq=1, at=MOMENT, receipt=receipt, trend=heard.value)
    stored = canonical(fact)
    assert "\x00" not in heard.raw + (heard.refusal.text if heard.refusal else "")
    assert canonical(decode_fact(stored)) == stored
    assert json.loads(msgspec.json.encode(Answer.of(fact).body))


def check_levels(signal: Signal) -> None:
    """What our own rules made lies on the right side; what a full body sent is the risk manager's to judge."""
    if signal.assumed:
        sign = signal.direction.sign
        assert (signal.price - signal.stop_loss) * sign >= 0
        assert (signal.target_1 - signal.price) * sign >= 0
        assert min(signal.stop_loss, signal.target_1, signal.target_2) >= 0


@given(st.binary(max_size=300), doors)
@example(b"", None)
@example(b'{"a":1e999}', None)
@example(b"[" * 2000, "signal")
def test_any_bytes_give_a_value_or_a_refusal_with_a_path(raw: bytes, door: Kind | None) -> None:
    check(read(raw, door))


@given(objects, doors, bars, st.booleans())
@settings(max_examples=400)
def test_any_json_gives_a_value_or_a_refusal_with_a_path(
    body: dict[str, Any], door: Kind | None, context: GivenBars | None, wrapped: bool
) -> None:
    raw = json.dumps({"text": json.dumps(body)} if wrapped else body)
    check(read(raw.encode(), door, context))


valid = st.sampled_from(
    [
        signal_body(price=660.0, timestamp=MOMENT_MS),
        phase_body(),
        trend_body(),
        short(),
        short(action="close", market_position="flat", prev_market_position="long"),
        {"signal": {"type": "LONG", "aiScore": 8.0, "symbol": "SPY", "timestamp": MOMENT_MS, "tf": "5"}, "price": 660},
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A body that was understood, with up to three values put in, replaced or taken away, at any depth."""
    body = json.loads(json.dumps(draw(valid)))
    for _ in range(draw(st.integers(1, 3))):
        node = body
        while True:
            name = draw(st.sampled_from(sorted(node)) if node else names)
            if not isinstance(node.get(name), dict) or draw(st.booleans()):
                break
            node = node[name]
        if draw(st.booleans()):
            node[draw(names) if draw(st.booleans()) else name] = draw(values)
        else:
            node.pop(name, None)
    return body  # type: ignore[no-any-return]


@given(mutated(), doors, bars)
@settings(max_examples=400)
def test_a_valid_body_with_something_wrong_gives_a_value_or_a_refusal_with_a_path(
    body: dict[str, Any], door: Kind | None, context: GivenBars | None
) -> None:
    check(read(json.dumps(body).encode(), door, context))


@given(valid, st.data())
def test_a_body_with_a_few_bytes_changed_gives_a_value_or_a_refusal_with_a_path(
    body: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(json.dumps(body).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    check(read(bytes(raw)))


@given(
    st.text(max_size=40).filter(lambda text: len(text.strip()) >= 8), st.sampled_from(["secret", "KEY", "api_token"])
)
def test_a_credential_in_a_body_is_never_kept(secret: str, name: str) -> None:
    raw = json.dumps({**short(), name: secret}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert json.dumps(secret, ensure_ascii=False)[1:-1] not in read(raw).raw


@given(st.datetimes(datetime(2024, 1, 2), datetime(2027, 12, 30)), bars)
def test_a_short_alert_is_understood_at_any_hour(when: datetime, context: GivenBars | None) -> None:
    heard = read(short(), bars=context, now=when.replace(tzinfo=MOMENT.tzinfo))
    assert heard.value is not None
    check(heard)


def test_hostile_bodies_are_refused_with_a_path() -> None:
    refused = total = 0
    for hostile in hostile_bodies(seed=20261120, count=1100):
        total += 1
        if len(hostile.body) > LIMIT:
            refused += 1  # never reaches the reading
            continue
        door: Any = hostile.path.removeprefix("/webhook").strip("/") or None
        heard = read(hostile.body, door)
        check(heard)
        refused += heard.refusal is not None
        assert len(heard.raw.encode()) <= 4 * KEPT_BYTES
    assert refused / total >= 0.95


def test_hostile_bodies_are_the_same_for_the_same_seed() -> None:
    assert list(hostile_bodies(1, 66)) == list(hostile_bodies(1, 66)) != list(hostile_bodies(2, 66))
