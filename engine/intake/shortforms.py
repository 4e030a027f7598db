"""The short forms of real alerts, normalised by the table of the decision rules: a signal, or an exit notice.

Pure: the fields, our bars, New York's clock and the moment in; a `Signal` or `ExitNotice` out. Every field that was not
sent is named in `Signal.assumed`. What TradingView calls contracts are shares of the underlying: never our quantity.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import sqrt
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from engine.domain.bodies import MAX_CONTRACTS, MAX_PRICE, MAX_SCORE, BodyError, canonical_symbol
from engine.domain.signals import ExitNotice, Signal
from engine.domain.values import Bias, Code, Direction, MarketSession, Quality, Timeframe, Weekday
from engine.intake import short_fields as names
from engine.intake.context import BarContext
from engine.intake.reading import Body, unreadable
from engine.intake.short_fields import Sent, ShortFields
from engine.intake.words import OtherTimeframe, said, timeframe_named
from engine.sessions import Calendar

T = TypeVar("T")

TARGET_1_R = 2.0
TARGET_2_R = 3.5
HOURLY_RANGE = 0.005
"""Without an ATR of our own the stop is this fraction of the price, times the square root of the timeframe in hours."""
ATR_BY_PRICE = "atr_by_price"
"""Named in `assumed` when that rule made the stop."""
_WIDEST = 0.25
"""An ATR or a stop beyond this fraction of the price is a fault, and 3.5 R would go below zero."""
_RATIO = 1_000_000.0

_BIASES: Mapping[str, Bias] = MappingProxyType({member.value: member for member in Bias})
_QUALITIES: Mapping[str, Quality] = MappingProxyType({member.value: member for member in Quality})
_SESSIONS: Mapping[str, MarketSession] = MappingProxyType({member.value: member for member in MarketSession})
_WEEKDAYS: Mapping[str, Weekday] = MappingProxyType({member.value: member for member in Weekday})
_NO_SIDE = "names no side: buy, sell, long, short, close …"
_SIDES = MappingProxyType({"long": Direction.LONG, "short": Direction.SHORT})


class Moment(NamedTuple):
    """When a body is read: the engine's time, and this machine's (see the Clock port)."""

    now: datetime
    wall: datetime


class Understood(NamedTuple):
    """The value, and the sender's own time as text for the dedupe key; empty when it sent none."""

    value: Signal | ExitNotice
    own_time: str


def from_short(body: Body, bars: BarContext, calendar: Calendar, at: Moment) -> Understood:
    """Raises `Unreadable`."""
    fields = ShortFields(body)
    aim = _aim(fields)
    symbol, exchange = _symbol(fields)
    if isinstance(aim, _End):
        return _notice(fields, aim, symbol)
    timeframe = _timeframe(fields)
    return _signal(fields, aim, symbol, exchange, timeframe, bars, calendar, at)


# --- what it wants ----------------------------------------------------------------------------------------------------


class _End(NamedTuple):
    direction: Direction | None
    said: str


def _aim(fields: ShortFields) -> Direction | _End:
    """Which way, or that it is over: from the words, then from the position before and after the order."""
    spoken = _spoken(fields)
    before, after = _position(fields, names.BEFORE), _position(fields, names.POSITION)
    side = spoken.side
    if spoken.end is not None:
        return _End(spoken.end.direction or _closed(before, side), spoken.end.said)
    if after == "flat":
        return _End(_closed(before, side), "market_position: flat")
    if side is None:
        raise unreadable(Code.UNKNOWN_FORM, spoken.unknown or f"{fields.root}.action", reason=_NO_SIDE)
    direction, verb = side.direction, side.said
    against = direction.opposite.value.lower()
    if after == against:
        return _End(direction.opposite, f"{verb} that leaves market_position: {after}")
    if not after and before == against:
        # Nothing says that the position was turned round: only that it ended is sure.
        return _End(direction.opposite, f"{verb} after prev_market_position: {before}")
    return direction


class _Side(NamedTuple):
    direction: Direction
    order: bool
    said: str
    path: str


class _Spoken(NamedTuple):
    side: _Side | None
    end: _End | None
    unknown: str


def _spoken(fields: ShortFields) -> _Spoken:
    """What all the fields that may name a side say together. Two that disagree are refused, not weighed."""
    side: _Side | None = None
    end: _End | None = None
    unknown = ""
    for sent in fields.all(names.SIDE):
        if not isinstance(sent.value, str):
            continue
        text = sent.text().strip().lower()
        meaning = said(text)
        if not meaning.known:
            # The action itself has to be understood; `type: market` or `event: alert` may say what they like.
            if sent in fields.all(names.ACTION):
                raise unreadable(Code.BAD_FIELD, sent.path, reason=_NO_SIDE)
            unknown = unknown or sent.path
        elif meaning.exit:
            end = end or _End(meaning.direction, text[:40])
        elif meaning.direction is not None:
            if side is not None and side.direction is not meaning.direction:
                raise unreadable(Code.BAD_FIELD, sent.path, reason=f"contradicts {side.path}")
            side = side or _Side(meaning.direction, meaning.order, text[:40], sent.path)
    return _Spoken(side, end, unknown)


def _closed(before: str, side: _Side | None) -> Direction | None:
    """The side that ended: what was held before, else what the order undid or the words name."""
    if side is None or before in _SIDES:
        return _SIDES.get(before)
    return side.direction.opposite if side.order else side.direction


def _position(fields: ShortFields, wanted: tuple[str, ...]) -> str:
    sent = fields.get(wanted)
    if sent is None:
        return ""
    position = sent.text().strip().lower()
    if position not in ("long", "short", "flat"):
        raise unreadable(Code.BAD_FIELD, sent.path, reason="must be long, short or flat")
    return position


# --- where and when ---------------------------------------------------------------------------------------------------


def _symbol(fields: ShortFields) -> tuple[str, str]:
    sent = fields.need(names.SYMBOL)
    try:
        symbol = canonical_symbol(sent.text(), sent.path)
    except BodyError as error:
        raise unreadable(Code.BAD_FIELD, error.path, reason=error.message) from None
    exchange = fields.get(names.EXCHANGE)
    if exchange is not None:
        return symbol, exchange.text()[:32]
    return symbol, sent.text().strip().rpartition(":")[0].upper()[:32]


def _timeframe(fields: ShortFields) -> Timeframe:
    found: Timeframe | None = None
    first = fields.need(names.TIMEFRAME)
    for sent in fields.all(names.TIMEFRAME):
        name = str(sent.value) if type(sent.value) is int else sent.text()
        try:
            timeframe = timeframe_named(name)
        except OtherTimeframe:
            allowed = ",".join(reversed([one.value for one in Timeframe]))
            raise unreadable(
                Code.OUT_OF_RANGE, sent.path, status=422, value=name.strip()[:16], allowed=allowed
            ) from None
        if timeframe is None:
            raise unreadable(Code.BAD_FIELD, sent.path, reason="names no timeframe: 5, 5m, 1h, 240 …")
        if found is not None and found is not timeframe:
            raise unreadable(Code.BAD_FIELD, sent.path, reason=f"contradicts {first.path}")
        found = timeframe
    assert found is not None
    return found


def _bar_close(fields: ShortFields, timeframe: Timeframe, wall: datetime) -> tuple[datetime, str, bool]:
    """When the bar closed, the own time for the dedupe key, and whether the close is assumed.

    `{{time}}` is the bar's open, `{{timenow}}` the moment of firing: a bar that was cut short by the session's end, or
    an alert inside its bar, closes at the firing and not in the future.
    """
    opened, fired, closed = (fields.get(one) for one in (names.TIME, names.FIRED, names.SIGNAL_TIME))
    latest = fired.moment() if fired else wall
    own = closed or opened or fired
    own_time = "" if own is None else own.moment().isoformat()
    if closed is not None:
        return min(closed.moment(), latest), own_time, False
    if opened is not None:
        return min(opened.moment() + timedelta(minutes=timeframe.minutes), latest), own_time, False
    return latest, own_time, fired is None


def _notice(fields: ShortFields, end: _End, symbol: str) -> Understood:
    """A notice needs no timeframe: one that the board does not know still ends its sender's position."""
    sent = fields.get(names.TIMEFRAME)
    timeframe: Timeframe | None = None
    if sent is not None:
        try:
            timeframe = timeframe_named(str(sent.value))
        except OtherTimeframe:
            timeframe = None
    own = fields.get(names.SIGNAL_TIME) or fields.get(names.TIME) or fields.get(names.FIRED)
    time = own.moment() if own else None
    notice = ExitNotice(symbol=symbol, timeframe=timeframe, direction=end.direction, said=end.said, time=time)
    return Understood(notice, time.isoformat() if time else "")


# --- the signal -------------------------------------------------------------------------------------------------------


class _Filler:
    """Takes what was sent, else what the rules say, and remembers which."""

    def __init__(self, fields: ShortFields) -> None:
        self._fields = fields
        self.assumed: list[str] = []

    def number(self, name: str, wanted: tuple[str, ...], low: float, high: float, other: float) -> float:
        found = self.optional(name, wanted, low, high)
        return other if found is None else found

    def optional(self, name: str, wanted: tuple[str, ...], low: float, high: float) -> float | None:
        sent = self._fields.get(wanted)
        if sent is None:
            self.assumed.append(name)
            return None
        return sent.number(low, high)

    def choice(self, name: str, wanted: tuple[str, ...], table: Mapping[str, T]) -> T | None:
        sent = self._fields.get(wanted)
        if sent is None:
            self.assumed.append(name)
            return None
        word = sent.text().strip().upper()
        if word not in table:
            raise unreadable(Code.BAD_FIELD, sent.path, reason=f"must be one of {', '.join(table)}")
        return table[word]


def _signal(
    fields: ShortFields,
    direction: Direction,
    symbol: str,
    exchange: str,
    timeframe: Timeframe,
    bars: BarContext,
    calendar: Calendar,
    at: Moment,
) -> Understood:
    fill = _Filler(fields)
    bar_close, own_time, close_assumed = _bar_close(fields, timeframe, at.wall)
    if close_assumed:
        fill.assumed.append("bar_close")
    facts = bars.facts_for(symbol, timeframe, at.now)
    price = fill.optional("price", names.PRICE, 1e-4, MAX_PRICE)
    if price is None:
        price = facts.price
    if price is None:
        raise unreadable(
            Code.BAD_FIELD, f"{fields.root}.price", reason="was not sent, and there are no bars to take it from"
        )
    atr = fill.optional("atr", names.ATR, 0, MAX_PRICE) or facts.atr
    if atr is not None and not 0 < atr < price * _WIDEST:
        atr = None
    stop, target_1, target_2, ratio = _levels(fields, fill, direction, price, atr, timeframe)
    quality = fill.choice("quality", names.QUALITY, _QUALITIES) or Quality.MEDIUM
    session = fill.choice("session", names.SESSION, _SESSIONS) or calendar.market_session(at.now)
    weekday = fill.choice("weekday", names.WEEKDAY, _WEEKDAYS) or calendar.weekday(at.now)
    bias_4h = fill.choice("bias_4h", names.BIAS_4H, _BIASES) or facts.bias_4h or Bias.NEUTRAL
    bias_1h = fill.choice("bias_1h", names.BIAS_1H, _BIASES) or facts.bias_1h or Bias.NEUTRAL
    vwap = fill.optional("vwap", names.VWAP, 1e-4, MAX_PRICE)
    signal = Signal(
        symbol=symbol,
        exchange=exchange,
        direction=direction,
        timeframe=timeframe,
        quality=quality,
        ai_score=fill.number("ai_score", names.AI_SCORE, 0, MAX_SCORE, 0.0),
        bar_close=bar_close,
        price=price,
        stop_loss=stop,
        target_1=target_1,
        target_2=target_2,
        rr_ratio_t1=ratio,
        recommended_contracts=int(fill.number("recommended_contracts", names.CONTRACTS, 0, MAX_CONTRACTS, 1)),
        volume_vs_avg=fill.number("volume_vs_avg", names.VOLUME, 0, _RATIO, facts.volume_vs_avg or 0.0),
        trend_strength=fill.number("trend_strength", names.STRENGTH, 0, 100, facts.trend_strength or 0.0),
        bias_4h=bias_4h,
        bias_1h=bias_1h,
        session=session,
        weekday=weekday,
        atr=atr,
        vwap=facts.vwap if vwap is None else vwap,
        assumed=tuple(fill.assumed),
    )
    return Understood(signal, own_time)


def _levels(
    fields: ShortFields, fill: _Filler, direction: Direction, price: float, atr: float | None, timeframe: Timeframe
) -> tuple[float, float, float, float]:
    """Stop, both targets and R:R: as sent, else 1 ATR, 2 R and 3.5 R. Raises where a level is on the wrong side."""
    sign = direction.sign
    stop = fill.optional("stop_loss", names.STOP, 1e-4, MAX_PRICE)
    if stop is None:
        if atr is None:
            fill.assumed.append(ATR_BY_PRICE)
        stop = price - sign * (atr or price * HOURLY_RANGE * sqrt(timeframe.minutes / 60))
    risk = (price - stop) * sign
    if not 0 < risk < price * _WIDEST:
        raise _misplaced(fields.get(names.STOP), stop, price, direction)
    first = fill.optional("target_1", names.TARGET_1, 1e-4, MAX_PRICE)
    second = fill.optional("target_2", names.TARGET_2, 1e-4, MAX_PRICE)
    target_1 = price + sign * TARGET_1_R * risk if first is None else first
    target_2 = (
        max(price + sign * TARGET_2_R * risk, target_1, key=lambda level: level * sign) if second is None else second
    )
    for wanted, target in ((names.TARGET_1, target_1), (names.TARGET_2, target_2)):
        if (target - price) * sign <= 0:
            raise _misplaced(fields.get(wanted), target, price, direction)
    fill.assumed.append("rr_ratio_t1")
    ratio = TARGET_1_R if first is None else round((target_1 - price) * sign / risk, 4)
    return round(stop, 4), round(target_1, 4), round(target_2, 4), ratio


def _misplaced(sent: Sent | None, level: float, price: float, direction: Direction) -> Exception:
    path = sent.path if sent else "$"
    return unreadable(
        Code.OUT_OF_RANGE, path, status=422, value=round(level, 4), price=price, direction=direction.value,
        reason="on the wrong side of the price, or too far from it",
    )  # fmt: skip
