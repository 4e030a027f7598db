"""Bodies as they really come: the twenty alerts seen in public, the derived days, full bodies and their dedupe keys."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from engine.domain.signals import ExitNotice, Phase, Signal, Trend
from engine.domain.values import Code, Direction, Timeframe
from engine.intake.auth import Kind
from engine.intake.payloads import KEPT_BYTES, Heard, too_large
from tests.bodies import signal_body
from tests.fakes.hostile import MOMENT_MS, phase_body, trend_body
from tests.unit.intake.helpers import GivenBars, read, short

LONG, SHORT = Direction.LONG, Direction.SHORT
FULL = signal_body(price=660.0, timestamp=MOMENT_MS)


@pytest.fixture(scope="module")
def alerts(data: Path) -> list[str]:
    found = json.loads((data / "payloads" / "tradingview_alerts.json").read_text())["payloads"]
    return [one["body"] for one in found]


AS_FOUND = {
    1: (Code.BAD_FIELD, "$.ticker"),
    2: (Code.BAD_FIELD, "$.ticker"),
    3: ("QQQ", LONG, Timeframe.H1),
    4: (Code.BAD_FIELD, "$.data.strategy-order-action"),
    5: (Code.BAD_FIELD, "$.data.ticker"),
    6: (Code.NOT_JSON, "$"),
    7: (Code.NOT_JSON, "$"),
    8: (Code.NOT_JSON, "$"),
    9: (Code.BAD_FIELD, "$.symbol"),
    10: (Code.BAD_FIELD, "$.symbol"),
    11: (Code.NOT_JSON, "$"),
    12: (Code.BAD_FIELD, "$.action"),
    13: ("TSLA", LONG, Timeframe.M5),
    14: ("AAPL", LONG, Timeframe.H1),
    15: ("EURUSD", SHORT, Timeframe.M15),
    16: (Code.UNKNOWN_FORM, "$.action"),
    17: (Code.UNKNOWN_FORM, "$"),
    18: (Code.UNKNOWN_FORM, "$"),
    19: (Code.UNKNOWN_FORM, "$"),
    20: (Code.UNKNOWN_FORM, "$.event"),
}


@pytest.mark.parametrize("number", AS_FOUND)
def test_every_alert_seen_in_public_is_understood_or_refused_with_its_path(alerts: list[str], number: int) -> None:
    assert len(alerts) == len(AS_FOUND)
    heard = read(alerts[number - 1], bars=GivenBars(price=250.0))
    assert _outcome(heard) == AS_FOUND[number]
    assert heard.status == (400 if heard.refusal else 202)


FILLED_IN = {
    "ticker": "SPY", "exchange": "AMEX", "interval": "15", "close": "660.25", "volume": "1200", "time": "2026-11-20T14:45:00Z",
    "timenow": "2026-11-20T15:00:01Z", "strategy.order.action": "buy", "strategy.order.contracts": "100",
    "strategy.order.price": "660.25", "strategy.order.id": "Long", "strategy.order.comment": "", "strategy.position_size": "100",
    "strategy.order.alert_message": "", "strategy.market_position": "long", "strategy.market_position_size": "100",
    "strategy.prev_market_position": "flat", "strategy.prev_market_position_size": "0",
    "plot_0": "660.25", "plot_1": "658.25", "plot_2": "664.25", "plot_3": "667.25", "plot_5": "7",
}  # fmt: skip
ENDING = {"strategy.order.action": "sell", "strategy.market_position": "flat", "strategy.prev_market_position": "long"}

RENDERED = {
    1: ("SPY", LONG, Timeframe.M15),
    2: ("SPY", LONG, Timeframe.M15),
    4: (Code.BAD_FIELD, "$.data.timeframe"),
    6: (Code.UNKNOWN_FORM, "$.action"),
    7: (Code.UNKNOWN_FORM, "$"),
    8: ("SPY", LONG, Timeframe.M15),
    9: ("SPY", LONG, Timeframe.M15),
    10: ("SPY", LONG, Timeframe.M15),
    11: (Code.BAD_FIELD, "$.timeframe"),
    12: (Code.BAD_FIELD, "$.timeframe"),
}
RENDERED_ENDING = {
    1: ("exit", "SPY", LONG),
    2: ("exit", "SPY", LONG),
    4: ("exit", "SPY", LONG),
    8: ("exit", "SPY", LONG),
    10: ("exit", "SPY", None),
}


def _rendered(template: str, **changes: str) -> str:
    for name, value in {**FILLED_IN, **changes}.items():
        template = template.replace("{{" + name + "}}", value)
    assert "{{" not in template
    return template


@pytest.mark.parametrize("number", RENDERED)
def test_every_template_is_understood_or_refused_once_it_is_filled_in(alerts: list[str], number: int) -> None:
    assert _outcome(read(_rendered(alerts[number - 1]))) == RENDERED[number]


@pytest.mark.parametrize("number", RENDERED_ENDING)
def test_templates_that_tell_the_position_become_exit_notices_when_it_ends(alerts: list[str], number: int) -> None:
    assert _outcome(read(_rendered(alerts[number - 1], **ENDING))) == RENDERED_ENDING[number]


def _outcome(heard: Heard) -> tuple[Any, ...]:
    if heard.refusal is not None:
        return heard.refusal.code, heard.refusal.path
    value = heard.value
    if isinstance(value, ExitNotice):
        return "exit", value.symbol, value.direction
    assert isinstance(value, Signal)
    return value.symbol, value.direction, value.timeframe


DAYS = {
    "option_day/GOOG_20151224_signals_derived.jsonl": (73, 0),
    "option_day/SPY_20230803_signals_derived.jsonl": (134, 0),
    "option_day/SPY_20230803_alerts_derived.jsonl": (7, 28),
    "bars/alerts_derived_20260323_20260327.jsonl": (114, 256),
}


@pytest.mark.parametrize("name", DAYS)
def test_whole_days_of_alerts_are_read_and_one_minute_charts_are_out_of_range(data: Path, name: str) -> None:
    understood = one_minute = 0
    for line in (data / name).read_bytes().splitlines():
        sent = json.loads(line)
        heard = read(line, now=datetime.fromisoformat(sent["timenow"]))
        if sent.get("interval") == "1":
            assert heard.refusal is not None
            assert (heard.refusal.code, heard.refusal.path, heard.status) == (Code.OUT_OF_RANGE, "$.interval", 422)
            one_minute += 1
        else:
            assert isinstance(heard.value, Signal)
            assert heard.value.bar_close <= datetime.fromisoformat(sent["timenow"])
            assert not heard.windowed
            understood += 1
    assert (understood, one_minute) == DAYS[name]


@pytest.mark.parametrize("door", [None, "signal"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_signal_is_the_same_on_every_way(door: Kind | None, wrapped: bool) -> None:
    body = {"text": json.dumps(FULL)} if wrapped else FULL
    heard = read(body, door)
    assert isinstance(heard.value, Signal)
    assert (heard.kind, heard.form, heard.status, heard.value.assumed) == ("signal", "signal", 202, ())
    assert heard.key == "signal:SPY:60:LONG:2026-11-20T15:00:00+00:00"


def test_a_phase_is_known_by_its_event_id() -> None:
    heard = read(phase_body())
    assert isinstance(heard.value, Phase)
    assert (heard.kind, heard.form, heard.key, heard.windowed) == ("phase", "phase", "phase:evt-1", False)


def test_a_phase_without_an_id_counts_by_its_bytes() -> None:
    body = phase_body()
    del body["meta"]["event_id"]
    heard = read(body)
    assert (heard.kind, heard.windowed, heard.key) == ("phase", True, f"sha256:{heard.sha256}")


def test_a_trend_is_known_by_ticker_and_timestamp() -> None:
    heard = read(trend_body())
    assert isinstance(heard.value, Trend)
    assert (heard.kind, heard.key) == ("trend", "trend:SPY:2026-11-20T15:00:00+00:00")


def test_an_exit_notice_is_posted_with_the_signal_secret_and_has_a_key_of_its_own() -> None:
    heard = read(short(action="close long"))
    assert (heard.kind, heard.form, heard.windowed) == ("exit", "signal", False)
    assert heard.key == "exit:SPY:5:LONG:2026-11-20T14:55:00+00:00"


def test_the_same_alert_delivered_twice_has_one_key_and_another_side_bar_or_timeframe_has_its_own() -> None:
    keys = {
        read(short(**changes)).key
        for changes in ({}, {"price": 1.0}, {"action": "sell"}, {"interval": "15"}, {"time": "2026-11-20T14:50:00Z"})
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("body", "door", "path", "status"),
    [
        ({**FULL, "entry": None}, None, "$.entry", 400),
        ({**FULL, "signal": None}, None, "$.signal", 400),
        ({**FULL, "signal": {**FULL["signal"], "type": "BUY"}}, None, "$.signal.type", 400),
        ({**FULL, "signal": {**FULL["signal"], "ai_score": 11}}, None, "$.signal.ai_score", 422),
        ({"text": json.dumps({**FULL, "entry": None})}, None, "$.text.entry", 400),
        ({**phase_body(), "confidence": {}}, None, "$.confidence.htf_alignment", 400),
        ({**trend_body(), "timeframes": 5}, None, "$.timeframes", 400),
        ({**trend_body(), "price": 0}, None, "$.price", 422),
        ({}, "phase", "$.timeframe", 400),
        ({"ticker": "SPY"}, "trend", "$.timeframes", 400),
        ({}, None, "$.action", 400),
    ],
)
def test_the_first_bad_field_is_named(body: dict[str, Any], door: Kind | None, path: str, status: int) -> None:
    heard = read(body, door)
    assert heard.refusal is not None
    assert (heard.refusal.path, heard.status) == (path, status)


@pytest.mark.parametrize(("door", "body"), [("trend", FULL), ("signal", trend_body()), ("signal", phase_body())])
def test_a_body_at_the_wrong_door_says_what_it_looks_like(door: Kind, body: dict[str, Any]) -> None:
    heard = read(body, door)
    assert heard.refusal is not None
    assert (heard.refusal.code, heard.refusal.numbers["expected"], heard.kind) == (Code.UNKNOWN_FORM, door, door)


def test_a_refused_body_is_kept_under_the_kind_it_showed() -> None:
    assert read(short(interval="1")).kind == "signal"
    assert read({**phase_body(), "event": 5}).kind == "phase"
    assert read("prose").kind == "unknown"
    assert read("prose", "trend").kind == "trend"


def test_the_body_is_kept_cut_and_without_its_secret_beside_its_whole_digest() -> None:
    raw = json.dumps(short(secret="signal-secret-0123456789", note="x" * 20000)).encode()
    heard = read(raw)
    assert heard.sha256 == sha256(raw).hexdigest()
    assert "signal-secret" not in heard.raw
    assert len(heard.raw) <= KEPT_BYTES


def test_a_body_over_the_limit_is_kept_by_its_beginning() -> None:
    heard = too_large(b'{"secret":"hunter2-hunter2"', "signal", "70000", 65536, "10.0.0.1", "ab")
    assert heard.refusal is not None
    assert heard.refusal.text == "TOO_LARGE at $ size=70000 limit=65536"
    assert (heard.status, heard.key, heard.windowed, heard.remote) == (413, "sha256:ab", True, "10.0.0.1")
    assert "hunter2" not in heard.raw
