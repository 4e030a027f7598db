"""The board: what is active for one symbol, who may replace whom, and when it leaves.

Called by the journey for every arrival and every expiry instant. Pure functions from a `SymbolBoard` to a new one; they
never decide, and never touch the last decision or the guards' own fields but the contradiction's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec.structs import replace

from engine.decision.inputs import DecisionInputError
from engine.decision.matrices import WEIGHTS
from engine.decision.validity import phase_validity_minutes, trend_validity_minutes, validity_minutes
from engine.domain.entities import SymbolBoard
from engine.domain.signals import ActivePhase, ActiveSignal, ActiveTrend, Phase, Signal, Trend
from engine.domain.values import Value


class Placement(Value, frozen=True, kw_only=True):
    """What became of a signal that arrived."""

    board: SymbolBoard
    active: ActiveSignal | None
    """None: superseded, what was there stays."""
    replaced: int | None = None
    """Source of the unexpired signal it put out."""
    kept: int | None = None
    """Source of the signal that superseded it."""
    contradicts: bool = False
    """Superseded, and it pointed the other way."""
    until: datetime | None = None
    """For a contradiction: when the first of the two expires."""

    @property
    def placed(self) -> bool:
        return self.active is not None


class PhasePlacement(Value, frozen=True, kw_only=True):
    board: SymbolBoard
    active: ActivePhase
    replaced: int | None = None


class TrendPlacement(Value, frozen=True, kw_only=True):
    board: SymbolBoard
    active: ActiveTrend
    replaced: int | None = None


class Expiry(Value, frozen=True, kw_only=True):
    """What left the board at one instant, by source, and the board without it."""

    board: SymbolBoard
    signals: tuple[int, ...] = ()
    phases: tuple[int, ...] = ()
    trends: tuple[int, ...] = ()

    @property
    def anything(self) -> bool:
        return bool(self.signals or self.phases or self.trends)


def place_signal(board: SymbolBoard, source: int, signal: Signal, received: datetime) -> Placement:
    """Put a signal on the board, unless an unexpired one of its timeframe has at least its quality.

    A superseded signal leaves the active ones as they are, and their expiry too. If it contradicts, the board
    remembers the later end of that and of an earlier contradiction, whose own two signals may still disagree.
    Raises `DecisionInputError` for another symbol's signal.
    """
    _belongs(board, signal.symbol)
    expires = received + timedelta(minutes=validity_minutes(signal))
    same = [active for active in board.signals if active.signal.timeframe == signal.timeframe]
    held = next((active for active in same if received < active.expires), None)
    if held is not None and signal.quality.rank <= held.signal.quality.rank:
        if signal.direction == held.signal.direction:
            return Placement(board=board, active=None, kept=held.source)
        until = min(held.expires, expires)
        if board.contradicted_until is None or board.contradicted_until < until:
            board = replace(board, contradicted_until=until, contradicted_by=source)
        return Placement(board=board, active=None, kept=held.source, contradicts=True, until=until)
    newcomer = ActiveSignal(source=source, signal=signal, received=received, expires=expires)
    others = tuple(active for active in board.signals if active not in same)
    return Placement(
        board=replace(board, signals=(*others, newcomer)),
        active=newcomer,
        replaced=held.source if held else None,
    )


def place_phase(board: SymbolBoard, source: int, phase: Phase, received: datetime) -> PhasePlacement:
    """Put a phase on the board; the newest to arrive replaces the one of its role and timeframe."""
    _belongs(board, phase.symbol)
    expires = received + timedelta(minutes=phase_validity_minutes(phase))
    newcomer = ActivePhase(source=source, phase=phase, received=received, expires=expires)
    slot = (phase.role, phase.event_tf)
    held = next((active for active in board.phases if (active.phase.role, active.phase.event_tf) == slot), None)
    others = tuple(active for active in board.phases if active is not held)
    return PhasePlacement(
        board=replace(board, phases=(*others, newcomer)),
        active=newcomer,
        replaced=held.source if held and received < held.expires else None,
    )


def place_trend(board: SymbolBoard, source: int, trend: Trend, received: datetime) -> TrendPlacement:
    """Put a trend on the board; the newest to arrive replaces the one that was there."""
    _belongs(board, trend.symbol)
    expires = received + timedelta(minutes=trend_validity_minutes())
    newcomer = ActiveTrend(source=source, trend=trend, received=received, expires=expires)
    held = board.trend
    return TrendPlacement(
        board=replace(board, trend=newcomer),
        active=newcomer,
        replaced=held.source if held and received < held.expires else None,
    )


def expire(board: SymbolBoard, now: datetime) -> Expiry:
    """Take off what is expired at `now`: from the very instant of its expiry on."""
    signals = tuple(active.source for active in board.signals if now >= active.expires)
    phases = tuple(active.source for active in board.phases if now >= active.expires)
    trends = (board.trend.source,) if board.trend is not None and now >= board.trend.expires else ()
    if not (signals or phases or trends):
        return Expiry(board=board)
    return Expiry(
        board=replace(
            board,
            signals=tuple(active for active in board.signals if now < active.expires),
            phases=tuple(active for active in board.phases if now < active.expires),
            trend=None if trends else board.trend,
        ),
        signals=signals,
        phases=phases,
        trends=trends,
    )


def next_expiry(board: SymbolBoard) -> datetime | None:
    """The next instant at which something leaves; None on an empty board."""
    return min(_expiries(board), default=None)


def active(board: SymbolBoard, now: datetime) -> tuple[tuple[Signal, ...], tuple[Phase, ...], tuple[Trend, ...]]:
    """The decision's inputs at `now`: signals slowest first, phases by role and timeframe, at most one trend."""
    signals = [held.signal for held in board.signals if now < held.expires]
    phases = [held.phase for held in board.phases if now < held.expires]
    trends = (board.trend.trend,) if board.trend is not None and now < board.trend.expires else ()
    signals.sort(key=lambda signal: -WEIGHTS[signal.timeframe])
    phases.sort(key=lambda phase: (phase.role, phase.event_tf))
    return tuple(signals), tuple(phases), trends


def _expiries(board: SymbolBoard) -> Iterator[datetime]:
    for signal in board.signals:
        yield signal.expires
    for phase in board.phases:
        yield phase.expires
    if board.trend is not None:
        yield board.trend.expires


def _belongs(board: SymbolBoard, symbol: str) -> None:
    if symbol != board.symbol:
        raise DecisionInputError(f"an input of {symbol} does not belong on the board of {board.symbol}")
