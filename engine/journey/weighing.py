"""Weigh: a kept receipt goes on the board, the engine decides, and an EXECUTE goes on to become a ticket."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from engine.decision.board import place_phase, place_signal, place_trend
from engine.decision.inputs import DecisionInputError, check_inputs
from engine.domain import events as ev
from engine.domain.entities import SymbolBoard
from engine.domain.values import Code, Direction, Verdict, refuse
from engine.journey import entering
from engine.journey.deciding import break_thesis, decide_now, record
from engine.journey.step import Step
from engine.sessions import new_york_day


def weigh(step: Step, fact: ev.AnyFact) -> None:
    match fact:
        case ev.SignalReceived():
            _weigh_signal(step, fact)
        case ev.PhaseReceived():
            _weigh_phase(step, fact)
        case ev.TrendReceived():
            _weigh_trend(step, fact)
        case ev.ExitNoticeReceived():
            _weigh_exit_notice(step, fact)
        case _:
            raise TypeError(f"{type(fact).__name__} is not weighed")


def _board(step: Step, symbol: str) -> SymbolBoard:
    return step.state.boards.get(symbol) or SymbolBoard(symbol=symbol)


def _closed_day(step: Step, symbol: str, source: int, at: datetime) -> bool:
    """It came on a weekend or holiday: the receipt is kept, the board is not touched, also when it is weighed later."""
    if step.world.calendar.session_at(at) is not None:
        return False
    day = new_york_day(at).isoformat()
    step.emit(ev.SignalSetAside, cause=source, symbol=symbol, source=source, refusal=refuse(Code.CLOSED_DAY, day=day))
    return True


def _weigh_signal(step: Step, fact: ev.SignalReceived) -> None:
    signal = fact.signal
    if _closed_day(step, signal.symbol, fact.seq, fact.at):
        return
    try:
        check_inputs([signal], [], [], step.now)
    except DecisionInputError as error:
        # On the board it would make every decision of this symbol impossible until it expires.
        refusal = refuse(Code.OUT_OF_RANGE, error=error)
        step.emit(ev.SignalSetAside, cause=fact.seq, symbol=signal.symbol, source=fact.seq, refusal=refusal)
        return
    placement = place_signal(_board(step, signal.symbol), fact.seq, signal, fact.at)
    if placement.active is not None:
        active = replace(placement.active, late=fact.late)
        step.emit(ev.SignalPlaced, cause=fact.seq, active=active, replaced=placement.replaced)
    else:
        assert placement.kept is not None, "a signal is placed, or another one is kept"
        step.emit(
            ev.SignalSuperseded,
            cause=fact.seq,
            symbol=signal.symbol,
            source=fact.seq,
            kept=placement.kept,
            contradicts=placement.contradicts,
            until=placement.until,
        )
        if placement.contradicts:
            why = f"{signal.timeframe.label} says {signal.direction}"
            break_thesis(step, signal.symbol, (signal.direction.opposite,), why, fact.seq)
    before = _board(step, signal.symbol).decision
    decision, inputs = decide_now(step, signal.symbol, step.now)
    aligned = placement.active is not None and signal.direction is decision.direction
    trigger = fact.seq if aligned else None
    made = record(step, signal.symbol, "signal", fact.seq, trigger, decision, inputs)
    if decision.verdict is Verdict.EXECUTE:
        entering.enter(step, made, fact, before)


def _weigh_phase(step: Step, fact: ev.PhaseReceived) -> None:
    symbol = fact.phase.symbol
    if _closed_day(step, symbol, fact.seq, fact.at):
        return
    placement = place_phase(_board(step, symbol), fact.seq, fact.phase, fact.at)
    step.emit(ev.PhasePlaced, cause=fact.seq, active=placement.active)
    _decide_without_signal(step, symbol, "phase", fact)


def _weigh_trend(step: Step, fact: ev.TrendReceived) -> None:
    symbol = fact.trend.symbol
    if _closed_day(step, symbol, fact.seq, fact.at):
        return
    placement = place_trend(_board(step, symbol), fact.seq, fact.trend, fact.at)
    step.emit(ev.TrendPlaced, cause=fact.seq, active=placement.active)
    _decide_without_signal(step, symbol, "trend", fact)


def _decide_without_signal(step: Step, symbol: str, by: str, fact: ev.PhaseReceived | ev.TrendReceived) -> None:
    before = _board(step, symbol).decision
    decision, inputs = decide_now(step, symbol, step.now)
    made = record(step, symbol, by, fact.seq, None, decision, inputs)
    if decision.verdict is Verdict.EXECUTE:
        entering.enter(step, made, fact, before)


def _weigh_exit_notice(step: Step, fact: ev.ExitNoticeReceived) -> None:
    notice = fact.notice
    directions = tuple(Direction) if notice.direction is None else (notice.direction,)
    break_thesis(step, notice.symbol, directions, f"exit notice: {notice.said}", fact.seq, always=True)
