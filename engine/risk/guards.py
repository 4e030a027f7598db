"""Guards around the frozen engine: which decision becomes a ticket, and what stands against it.

Called by the journey right after a decision, before a contract is chosen. They never change the decision: they refuse,
make smaller, or ask for a person, each under its own code and with both values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from engine.domain.bars import BarFacts
from engine.domain.entities import SymbolBoard
from engine.domain.signals import TREND_TIMEFRAMES, ActivePhase, ActiveSignal, ActiveTrend, Decision, Signal
from engine.domain.values import (
    CENT,
    Bias,
    Code,
    Direction,
    MarketSession,
    Quote,
    Refusal,
    Timeframe,
    Value,
    Verdict,
    Weekday,
    refuse,
)
from engine.risk.book import ONE
from engine.risk.rules.base import percent
from engine.sessions import NEW_YORK, Calendar, new_york_day
from engine.settings import RiskSettings

LATE_SECONDS = 60.0
LATE_SHARE = 0.10
"""Of the timeframe, where that is longer."""
HALF_SIZE = Decimal("0.5")
FIGURE_SLACK = 0.20
"""A figure as sent may differ this much from our own before it is flagged."""
_HTF_ROLES = frozenset({"REGIME", "BIAS"})
_FOUR_HOURS = TREND_TIMEFRAMES.index("tf240min")
_BIAS_OF_SIGN = {-1: Bias.SHORT, 0: Bias.NEUTRAL, 1: Bias.LONG}


Factor = Callable[[float], float]
"""A figure of a signal to its factor in the position multiplier."""


class Multipliers(Value, frozen=True, kw_only=True):
    """The engine's factors: the guards compare them, they do not own them."""

    session: Mapping[MarketSession, float]
    weekday: Mapping[Weekday, float]
    volume: Factor
    trend: Factor
    rr: Factor


class Guarded(Value, frozen=True, kw_only=True):
    """What the guards say about one entry."""

    refusal: Refusal | None = None
    multiplier_factor: Decimal = ONE
    """Of the decision's multiplier (CLOCK_MISMATCH)."""
    size_factor: Decimal = ONE
    """Of the quantity (HTF_CONFLICT)."""
    manual: bool = False
    """A person must answer; no policy may."""
    notes: tuple[str, ...] = ()


def trigger_of(
    by: str,
    decision: Decision,
    previous: Decision | None,
    signals: Sequence[ActiveSignal],
    arrived: int | None,
    used: Collection[int],
) -> ActiveSignal | None:
    """The signal that triggers an entry, or None: this decision opens no ticket.

    `by` is signal, phase, trend or expiry; `previous` the symbol's decision before; `signals` what is active; `arrived`
    the seq of the signal that came; `used` the triggers of earlier tickets. A signal triggers if the board took it and it
    is aligned. A phase or trend lets the fastest aligned signal trigger, but only where the previous decision was not
    EXECUTE in that direction. An expiry triggers nothing.
    """
    if decision.verdict is not Verdict.EXECUTE or decision.direction is None or by == "expiry":
        return None
    aligned = [a for a in signals if a.signal.direction is decision.direction]
    if by == "signal":
        found = next((a for a in aligned if a.source == arrived), None)
    elif previous is not None and previous.verdict is Verdict.EXECUTE and previous.direction is decision.direction:
        return None
    else:
        found = min(aligned, key=lambda a: a.signal.timeframe.minutes, default=None)
    return found if found is not None and found.source not in used else None


def entry_signal_of(decision: Decision, signals: Sequence[ActiveSignal]) -> ActiveSignal | None:
    """The signal whose numbers the decision was sized by: the aligned one of its entry timeframe."""
    return next(
        (
            a
            for a in signals
            if a.signal.timeframe is decision.entry_timeframe and a.signal.direction is decision.direction
        ),
        None,
    )


def guard_entry(
    trigger: ActiveSignal,
    entry: ActiveSignal,
    direction: Direction,
    board: SymbolBoard,
    decision: Decision,
    *,
    signals: Sequence[ActiveSignal],
    phases: Sequence[ActivePhase],
    trends: Sequence[ActiveTrend],
    late: float | None,
    underlying: Quote | None,
    now: datetime,
    calendar: Calendar,
    settings: RiskSettings,
    multipliers: Multipliers,
    bars: BarFacts | None = None,
) -> Guarded:
    """Every guard in order: the first refusal, or what the rest leaves of the size and wants seen.

    `late` is the trigger's seconds between bar close and arrival, both on real clocks; None where nobody knows them.
    `bars` is what our own bars of the entry signal's timeframe say.
    """
    refusal = (
        closed_day(now, calendar)
        or signal_late(trigger.signal.timeframe, late)
        or contradicted(board, now)
        or cooling_down(board, direction, trigger, now, settings)
        or price_mismatch(trigger.signal, underlying, settings)
    )
    if refusal is not None:
        return Guarded(refusal=refusal)
    clock, clock_note = clock_mismatch(entry, decision, calendar, multipliers)
    conflicts = htf_conflicts(entry.signal, signals, phases, trends)
    assumed = assumed_note(trigger.signal)
    figures, figures_note = figure_mismatch(entry.signal, decision, bars, multipliers)
    return Guarded(
        multiplier_factor=clock * figures,
        size_factor=HALF_SIZE if conflicts else ONE,
        manual=bool(conflicts) or bool(assumed),
        notes=(*clock_note, *conflicts, *figures_note, *assumed),
    )


def closed_day(now: datetime, calendar: Calendar) -> Refusal | None:
    """Weekends and holidays: the receipt is kept, nothing is entered."""
    if calendar.session_at(now) is not None:
        return None
    return refuse(Code.CLOSED_DAY, day=f"{new_york_day(now):%a %d %b %Y}")


def signal_late(timeframe: Timeframe, late: float | None) -> Refusal | None:
    """Arrived too long after its bar closed: on the board, no entry."""
    limit = max(LATE_SECONDS, LATE_SHARE * timeframe.minutes * 60)
    if late is None or late <= limit:
        return None
    return refuse(Code.SIGNAL_LATE, late=f"{late:.0f}s", limit=f"{limit:.0f}s", timeframe=timeframe.label)


def contradicted(board: SymbolBoard, now: datetime) -> Refusal | None:
    """A superseded signal pointed the other way: no entries until one of the two expires."""
    until = board.contradicted_until
    if until is None or now >= until:
        return None
    shown = f"{until.astimezone(NEW_YORK):%H:%M:%S}"
    return refuse(Code.SIGNAL_CONTRADICTED, by=board.contradicted_by, until=shown)


def cooling_down(
    board: SymbolBoard, direction: Direction, trigger: ActiveSignal, now: datetime, settings: RiskSettings
) -> Refusal | None:
    """After a stop-out the same symbol and direction waits, and then for a signal that came after it."""
    stopped = board.stopped(direction)
    if stopped is None:
        return None
    until = stopped + timedelta(minutes=settings.cooldown_minutes)
    if now < until:
        left = f"{(until - now).total_seconds():.0f}s"
        return refuse(Code.COOLING_DOWN, direction=direction, left=left)
    if trigger.received <= stopped:
        return refuse(Code.COOLING_DOWN, direction=direction, needs="a signal newer than the stop-out")
    return None


def price_mismatch(signal: Signal, underlying: Quote | None, settings: RiskSettings) -> Refusal | None:
    """The sender's price is not our market's: another instrument, a split, or a very old alert."""
    if underlying is None or not underlying.two_sided or underlying.mid is None:
        return refuse(Code.NO_MARKET_DATA, symbol=signal.symbol)
    off = abs(Decimal(repr(signal.price)) / underlying.mid - ONE)
    limit = Decimal(str(settings.price_mismatch))
    if off <= limit:
        return None
    return refuse(
        Code.PRICE_MISMATCH,
        signal=f"{signal.price:.2f}",
        ours=underlying.mid.quantize(CENT),
        off=percent(off),
        limit=percent(limit),
    )


def htf_conflicts(
    entry: Signal, signals: Sequence[ActiveSignal], phases: Sequence[ActivePhase], trends: Sequence[ActiveTrend]
) -> tuple[str, ...]:
    """Where the entry's 4h_bias meets a higher timeframe that says the opposite, both values shown."""
    said = entry.bias_4h
    if said is Bias.NEUTRAL:
        return ()
    others = [
        *(("240 signal", Bias(a.signal.direction.value)) for a in signals if a.signal.timeframe is Timeframe.H4),
        *((f"{a.phase.role} phase", a.phase.implication) for a in phases if a.phase.role in _HTF_ROLES),
        *(("trend 4H", _BIAS_OF_SIGN[a.trend.directions[_FOUR_HOURS]]) for a in trends),
    ]
    return tuple(
        f"HTF_CONFLICT 4h_bias={said} {name}={other}"
        for name, other in others
        if other is not Bias.NEUTRAL and other is not said
    )


def clock_mismatch(
    entry: ActiveSignal, decision: Decision, calendar: Calendar, multipliers: Multipliers
) -> tuple[Decimal, tuple[str, ...]]:
    """Session and weekday as sent against New York's clock at arrival: the smaller multiplier counts.

    The factor is what that leaves of the decision's final multiplier: below 1 only where the smaller one bites.
    """
    sent_session, sent_day = entry.signal.session, entry.signal.weekday
    session, day = calendar.market_session(entry.received), calendar.weekday(entry.received)
    notes: list[str] = []
    ratio = 1.0
    if sent_session is not session:
        ratio *= min(1.0, multipliers.session[session] / multipliers.session[sent_session])
        notes.append(f"CLOCK_MISMATCH session={sent_session} clock={session}")
    if sent_day is not None and day is not None and sent_day is not day:
        ratio *= min(1.0, multipliers.weekday[day] / multipliers.weekday[sent_day])
        notes.append(f"CLOCK_MISMATCH weekday={sent_day} clock={day}")
    return left_of_multiplier(decision, ratio), tuple(notes)


def figure_mismatch(
    entry: Signal, decision: Decision, bars: BarFacts | None, multipliers: Multipliers
) -> tuple[Decimal, tuple[str, ...]]:
    """Volume, trend strength and R:R of the entry signal, counted again: volume and trend from our bars, R:R from the
    signal's own prices. What differs by over 20 % is flagged with both values, and the smaller multiplier counts.
    """
    risk, reward = abs(entry.price - entry.stop_loss), abs(entry.target_1 - entry.price)
    ours: tuple[tuple[str, float, float | None, Factor], ...] = (
        ("volume", entry.volume_vs_avg, bars.volume_vs_avg if bars is not None else None, multipliers.volume),
        ("trend", entry.trend_strength, bars.trend_strength if bars is not None else None, multipliers.trend),
        ("rr", entry.rr_ratio_t1, reward / risk if risk > 0 else None, multipliers.rr),
    )
    ratio = 1.0
    notes: list[str] = []
    for name, sent, own, factor in ours:
        if own is None or abs(sent - own) <= FIGURE_SLACK * abs(own):
            continue
        notes.append(f"FIGURE_MISMATCH {name}={sent:g} ours={own:.2f}")
        ratio *= min(1.0, factor(own) / factor(sent))
    return left_of_multiplier(decision, ratio), tuple(notes)


def left_of_multiplier(decision: Decision, ratio: float) -> Decimal:
    """What a smaller raw multiplier leaves of the bounded one: below 1 only where it bites."""
    if ratio == 1.0 or decision.raw_multiplier is None or decision.breakdown is None:
        return ONE
    left = min(1.0, decision.raw_multiplier * ratio / decision.breakdown.final_multiplier)
    return Decimal(repr(round(left, 6)))


def assumed_note(signal: Signal) -> tuple[str, ...]:
    """A short form left fields to our rules: a person sees which, and answers."""
    return (f"short form, assumed: {', '.join(signal.assumed)}",) if signal.assumed else ()
