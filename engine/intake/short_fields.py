"""The fields of a short alert under all their names: `strategy.order.action`, `aiScore`, `tf`, nested or flat.

Pure. Called by `shortforms`. Only the fields that count are read; the first name of each list that was sent wins.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.domain.fields import EARLIEST, EPOCH, LATEST, kind
from engine.domain.values import Code
from engine.intake.reading import Body, join, unreadable

SYMBOL = ("ticker", "symbol", "underlying", "signal_symbol", "signal_ticker")
EXCHANGE = ("exchange", "signal_exchange")
TIMEFRAME = ("timeframe", "interval", "tf", "signal_timeframe", "signal_interval", "signal_tf")
ACTION = ("action", "strategy_order_action", "order_action", "side")
SIDE = (*ACTION, "direction", "type", "signal", "event", "signal_type", "signal_direction", "signal_action")
POSITION = ("market_position", "strategy_market_position")
BEFORE = ("prev_market_position", "strategy_prev_market_position")
TIME = ("time", "bar_time", "timestamp")
SIGNAL_TIME = ("signal_timestamp", "signal_time")
FIRED = ("timenow",)
PRICE = ("price", "entry", "entry_price", "strategy_order_price", "signal_price", "current_price", "close")
STOP = ("stop_loss", "sl", "stop", "stoploss", "signal_stop_loss")
TARGET_1 = ("target_1", "tp1", "take_profit", "take_profit_1", "tp", "target", "target1")
TARGET_2 = ("target_2", "tp2", "take_profit_2", "target2")
QUALITY = ("quality", "signal_quality")
AI_SCORE = ("ai_score", "aiscore", "signal_aiscore", "signal_ai_score")
CONTRACTS = ("recommended_contracts", "signal_recommended_contracts")
SESSION = ("market_session", "marketsession", "time_context_market_session")
WEEKDAY = ("day_of_week", "time_context_day_of_week")
VWAP = ("vwap", "market_context_vwap")
ATR = ("atr", "market_context_atr")
VOLUME = ("volume_vs_avg", "market_context_volume_vs_avg")
STRENGTH = ("trend_strength", "trend_strength_score")
BIAS_4H = ("4h_bias", "mtf_context_4h_bias")
BIAS_1H = ("1h_bias", "mtf_context_1h_bias")

_NAMES = frozenset(
    name
    for names in (
        SYMBOL, EXCHANGE, TIMEFRAME, SIDE, POSITION, BEFORE, TIME, SIGNAL_TIME, FIRED, PRICE, STOP, TARGET_1, TARGET_2,
        QUALITY, AI_SCORE, CONTRACTS, SESSION, WEEKDAY, VWAP, ATR, VOLUME, STRENGTH, BIAS_4H, BIAS_1H,
    )
    for name in names
)  # fmt: skip
_SEPARATORS = re.compile(r"[.\-\s]+")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?([eE][-+]?\d{1,2})?\Z", re.ASCII)
_NO_NUMBER = frozenset({"nan", "inf", "-inf", "infinity", "-infinity", "+inf"})
_PLACEHOLDER = "{{"
_LONGEST = 128


class Sent:
    """One field as it was sent: where, and what."""

    __slots__ = ("path", "value")

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.value = value

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise unreadable(Code.BAD_FIELD, self.path, reason=f"must be a text, not {kind(self.value)}")
        if len(self.value) > _LONGEST:
            raise unreadable(Code.BAD_FIELD, self.path, reason=f"has more than {_LONGEST} characters")
        return self.value

    def number(self, low: float, high: float) -> float:
        """A finite number in [low, high]; a text that holds one counts, for TradingView's templates quote them."""
        value = self.value
        if isinstance(value, str):
            text = self.text().strip()
            if text.lower() in _NO_NUMBER:
                raise unreadable(Code.NOT_FINITE, self.path, reason="not a finite number")
            if not _NUMBER.match(text):
                raise unreadable(Code.BAD_FIELD, self.path, reason="must be a number")
            value = float(text)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise unreadable(Code.BAD_FIELD, self.path, reason=f"must be a number, not {kind(value)}")
        if not low <= value <= high:
            raise unreadable(Code.OUT_OF_RANGE, self.path, status=422, value=value, low=f"{low:g}", high=f"{high:g}")
        return float(value)

    def moment(self) -> datetime:
        """ISO 8601 with its zone, or seconds or milliseconds since the epoch."""
        value = self.value
        if isinstance(value, str) and not _NUMBER.match(value.strip()):
            try:
                moment = datetime.fromisoformat(self.text().strip())
            except ValueError:
                raise unreadable(Code.BAD_FIELD, self.path, reason="is no ISO 8601 time") from None
            if moment.tzinfo is None:
                raise unreadable(Code.BAD_FIELD, self.path, reason="names no time zone")
            if not EARLIEST <= moment < LATEST:
                raise self._no_time()
            return moment.astimezone(UTC)
        number = self.number(-1e18, 1e18)
        seconds = number / 1000 if abs(number) >= 1e11 else number
        if not EARLIEST.timestamp() <= seconds < LATEST.timestamp():
            raise self._no_time()
        return EPOCH + timedelta(microseconds=round(seconds * 1e6))

    def _no_time(self) -> Exception:
        return unreadable(
            Code.OUT_OF_RANGE, self.path, status=422, reason=f"not between {EARLIEST.year} and {LATEST.year}"
        )


class ShortFields:
    """Known fields of one body. Null, empty text and names we do not read are the same: not sent."""

    __slots__ = ("_sent", "root")

    def __init__(self, body: Body) -> None:
        self.root = body.root
        self._sent: dict[str, Sent] = {}
        self._gather(body.tree, body.root, "")

    def _gather(self, tree: dict[str, Any], path: str, prefix: str) -> None:
        for name, value in tree.items():
            plain = prefix + _SEPARATORS.sub("_", name.strip().lower())
            if isinstance(value, dict):
                self._gather(value, join(path, name), plain + "_")
            elif plain in _NAMES and value is not None and value != "":
                self._keep(plain, Sent(join(path, name), value))

    def _keep(self, name: str, sent: Sent) -> None:
        if isinstance(sent.value, str) and _PLACEHOLDER in sent.value:
            raise unreadable(Code.BAD_FIELD, sent.path, reason="a placeholder that was not filled in")
        known = self._sent.setdefault(name, sent)
        if known is not sent and known.value != sent.value:
            raise unreadable(Code.BAD_FIELD, sent.path, reason=f"contradicts {known.path}")

    def get(self, names: tuple[str, ...]) -> Sent | None:
        return next((self._sent[name] for name in names if name in self._sent), None)

    def all(self, names: tuple[str, ...]) -> list[Sent]:
        return [self._sent[name] for name in names if name in self._sent]

    def need(self, names: tuple[str, ...], reason: str = "is missing") -> Sent:
        sent = self.get(names)
        if sent is None:
            raise unreadable(Code.BAD_FIELD, join(self.root, names[0]), reason=reason)
        return sent
