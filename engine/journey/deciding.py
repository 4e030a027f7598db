"""Decide: the frozen engine on what is active now; the fact keeps every input."""

from __future__ import annotations

from datetime import datetime

from engine.decision.engine import decide
from engine.domain import events as ev
from engine.domain.entities import SymbolBoard
from engine.domain.signals import ActivePhase, ActiveSignal, ActiveTrend, Decision
from engine.domain.values import Direction, Verdict
from engine.journey.step import Step

Inputs = tuple[tuple[ActiveSignal, ...], tuple[ActivePhase, ...], tuple[ActiveTrend, ...]]


def decide_now(step: Step, symbol: str, moment: datetime) -> tuple[Decision, Inputs]:
    """The decision on the symbol's board at a moment, and the inputs that made it."""
    board = step.state.boards.get(symbol)
    inputs: Inputs = ((), (), ()) if board is None else _inputs(board, moment)
    signals, phases, trends = inputs
    decision = decide([a.signal for a in signals], [a.phase for a in phases], [a.trend for a in trends], moment)
    return decision, inputs


def _inputs(board: SymbolBoard, moment: datetime) -> Inputs:
    """What is active, in a fixed order: signals slowest first, phases by role and timeframe."""
    signals = sorted((a for a in board.signals if moment < a.expires), key=lambda a: -a.signal.timeframe.minutes)
    phases = sorted((a for a in board.phases if moment < a.expires), key=lambda a: (a.phase.role, a.phase.event_tf))
    trends = (board.trend,) if board.trend is not None and moment < board.trend.expires else ()
    return tuple(signals), tuple(phases), trends


def record(
    step: Step, symbol: str, by: str, cause: int, trigger: int | None, decision: Decision, inputs: Inputs
) -> ev.DecisionMade:
    signals, phases, trends = inputs
    fact = step.emit(
        ev.DecisionMade,
        cause=cause,
        symbol=symbol,
        by=by,
        trigger=trigger,
        signals=signals,
        phases=phases,
        trends=trends,
        decision=decision,
    )
    _break_theses(step, fact)
    return fact


def decide_after_expiry(step: Step, symbol: str, instant: datetime, cause: int) -> None:
    """One decision per expiry instant, if verdict, direction, entry signal or multiplier changed. It opens nothing."""
    before = step.state.boards[symbol].decision
    decision, inputs = decide_now(step, symbol, instant)
    if before is None or _says_the_same(before, decision):
        return
    record(step, symbol, "expiry", cause, None, decision, inputs)


def _says_the_same(before: Decision, after: Decision) -> bool:
    return (
        before.verdict is after.verdict
        and before.direction is after.direction
        and before.entry_timeframe is after.entry_timeframe
        and before.raw_multiplier == after.raw_multiplier
    )


def _break_theses(step: Step, fact: ev.DecisionMade) -> None:
    """An EXECUTE the other way takes the reason from what is held."""
    direction = fact.decision.direction
    if fact.decision.verdict is not Verdict.EXECUTE or direction is None:
        return
    break_thesis(step, fact.symbol, (direction.opposite,), f"opposite EXECUTE {direction}", fact.seq)


def break_thesis(
    step: Step, symbol: str, against: tuple[Direction, ...], why: str, cause: int, *, always: bool = False
) -> None:
    """Open positions of these directions lost their reason; each is told once. `always` keeps the word of a sender
    even when nothing is open."""
    broken = {
        direction: tuple(
            p.id
            for p in step.state.open_positions.values()
            if p.symbol == symbol and p.direction is direction and not p.thesis_broken
        )
        for direction in against
    }
    nothing = not any(broken.values())
    for direction, positions in broken.items():
        if positions or (always and nothing):
            step.emit(ev.BiasFlipped, cause=cause, symbol=symbol, against=direction, why=why, positions=positions)
