"""The messages that the page on TradingView offers for pasting are understood as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from engine.domain.signals import ExitNotice, Phase, Signal, Trend
from engine.intake.auth import sign
from tests.fakes.doors import SECRETS
from tests.unit.intake.helpers import read

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "tradingview.md").read_text(encoding="utf-8")
FILLED_IN = {
    "ticker": "SPY", "exchange": "AMEX", "interval": "15", "close": "660.25", "time": "2026-11-20T14:45:00Z",
    "timenow": "2026-11-20T15:00:01Z", "strategy.order.action": "buy", "strategy.order.price": "660.25",
    "strategy.market_position": "long", "strategy.prev_market_position": "flat",
}  # fmt: skip


def _messages() -> list[str]:
    blocks = re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)
    return [block for block in blocks if block.startswith("    {")]


def _filled_in(message: str, **changes: str) -> str:
    for name, value in {**FILLED_IN, **changes}.items():
        message = message.replace("{{" + name + "}}", value)
    return message


def test_every_message_is_understood() -> None:
    kinds = [type(read(_filled_in(message)).value) for message in _messages()]
    assert kinds == [Signal, Signal, Signal, Phase, Trend]


def test_the_strategy_message_ends_as_an_exit_notice() -> None:
    ending = {
        "strategy.order.action": "sell",
        "strategy.market_position": "flat",
        "strategy.prev_market_position": "long",
    }
    assert isinstance(read(_filled_in(_messages()[1], **ending)).value, ExitNotice)


def test_the_first_signal_by_curl_is_understood() -> None:
    bodies = re.findall(r"-d '(\{.*?\})'", PAGE)
    assert bodies
    assert all(isinstance(read(body).value, Signal) for body in bodies)


def test_the_signature_is_made_as_the_page_says() -> None:
    assert 'printf \'%s.%s\' "$t" "$body"' in PAGE
    header = sign(SECRETS.signal[0], b'{"a":1}', 1795186800.9)
    assert header.startswith("t=1795186800,v1=")
    assert SECRETS.signed(header, json.dumps({"a": 1}, separators=(",", ":")).encode(), 1795186800, 300) == {"signal"}
