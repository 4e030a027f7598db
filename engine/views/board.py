"""Rows of the tape, the board and the decisions."""

from __future__ import annotations

from datetime import datetime

from engine.decision.confluence import trend_alignment
from engine.decision.matrices import FACTOR_RANGES, MIN_CONFLUENCE, SLOWEST_FIRST, WEIGHTS
from engine.decision.outlook import highest_reachable, what_if
from engine.domain.entities import Heard, SymbolBoard
from engine.domain.signals import ActiveSignal, Breakdown, Decision, Signal
from engine.domain.values import Bias, Direction, Quality, Verdict
from engine.domain.views import (
    ConfluenceCell,
    ConfluenceRow,
    ConfluenceView,
    DecisionsView,
    DecisionView,
    Face,
    FaceKind,
    Factor,
    SignalRow,
    SignalsView,
)
from engine.sessions import new_york_day
from engine.views.seen import Seen, age, left

SHOWN = 200
"""Rows of the tape; the ledger has the rest."""
NO_ENTRY = ". No entry by this one: it is against that side, or the entry it agrees with was made."
_QUALITIES = {quality.value: quality for quality in Quality}
_DIRECTIONS = {direction.value: direction for direction in Direction}
_BIAS = {1: Bias.LONG, 0: Bias.NEUTRAL, -1: Bias.SHORT}
_FACTORS = (
    ("confluence_multiplier", "Confluence", False),
    ("quality_multiplier", "Quality", False),
    ("htf_alignment_multiplier", "Higher timeframes", False),
    ("rr_multiplier", "Reward to risk", False),
    ("volume_multiplier", "Volume", False),
    ("trend_multiplier", "Trend strength", False),
    ("session_multiplier", "Session", False),
    ("day_multiplier", "Day", False),
    ("phase_confidence_boost", "Phase confidence", True),
    ("phase_position_boost", "Phase position", True),
    ("trend_alignment_boost", "Trend alignment", True),
)


def signals_view(seen: Seen) -> SignalsView:
    heard = seen.state.heard
    day = new_york_day(seen.now)
    newest: list[SignalRow] = []
    for row in reversed(heard.values()):
        newest.append(signal_row(row, today=new_york_day(row.at) == day))
        if len(newest) >= SHOWN:
            break
    today = 0
    for row in reversed(heard.values()):
        if new_york_day(row.at) != day:
            break
        today += 1
    last = newest[0].at if newest else None
    return SignalsView(
        rows=tuple(newest),
        today=today,
        heard_ago=None if last is None else age((seen.now - last).total_seconds()),
        face=Face()
        if newest
        else Face(
            kind=FaceKind.EMPTY,
            what="No signal was heard yet.",
            then="The webhook is listening.",
            action="panel.welcome",
        ),
    )


def signal_row(row: Heard, *, today: bool = True) -> SignalRow:
    words = row.text.split()
    quality = next((_QUALITIES[word] for word in words if word in _QUALITIES), None)
    direction = next((_DIRECTIONS[word] for word in words if word in _DIRECTIONS), None)
    return SignalRow(
        seq=row.seq,
        at=row.at,
        kind=row.kind,
        symbol=row.symbol,
        text=" ".join(word for word in words if word not in _QUALITIES) or row.kind,
        direction=direction,
        quality=quality,
        score=row.score,
        outcome=_outcome(row),
        decision=row.decision,
        ticket=row.ticket,
        today=today,
    )


def _no_entry(row: Heard) -> bool:
    """The board says EXECUTE, but this receipt opened nothing."""
    return row.outcome == Verdict.EXECUTE.value and row.ticket is None


def _outcome(row: Heard) -> str:
    if _no_entry(row):
        return f"{row.outcome}, no entry"
    return row.outcome or "being weighed"


def confluence_view(seen: Seen) -> ConfluenceView:
    rows = tuple(confluence_row(board, seen.now) for board in seen.state.boards.values() if _alive(board))
    empty = Face(
        kind=FaceKind.EMPTY,
        what="Nothing is active on the board.",
        then="The first accepted signal opens a row.",
    )
    return ConfluenceView(rows=rows, enough=MIN_CONFLUENCE, face=Face() if rows else empty)


def _alive(board: SymbolBoard) -> bool:
    return bool(board.signals or board.phases or board.trend or board.decision)


def confluence_row(board: SymbolBoard, now: datetime) -> ConfluenceRow:
    reach = highest_reachable(board, now)
    held = {active.signal.timeframe: active for active in board.signals if active.expires > now}
    trend = trend_alignment(board.trend.trend) if board.trend and board.trend.expires > now else None
    phase = max((p for p in board.phases if p.expires > now), key=lambda p: p.received, default=None)
    barred = board.contradicted_until is not None and board.contradicted_until > now
    until = (board.contradicted_until - now).total_seconds() if barred and board.contradicted_until else 0.0
    return ConfluenceRow(
        symbol=board.symbol,
        cells=tuple(_cell(timeframe, held.get(timeframe), now) for timeframe in SLOWEST_FIRST),
        score=reach.score,
        leaning=reach.direction,
        reachable=reach.highest,
        missing=reach.steps[0].text if reach.steps and reach.direction else "",
        blocked=f"barred by {reach.blocked_text}" if reach.blocked_text else "",
        phase=f"{phase.phase.event_tf} {phase.phase.name}" if phase else "",
        phase_score=phase.phase.confidence_score if phase else None,
        trend=trend.strength if trend else "",
        trend_count=f"{trend.count}/8" if trend else "",
        trend_bias=_BIAS[trend.dominant] if trend else None,
        verdict=board.decision.verdict if board.decision else None,
        guard=f"CONTRADICTED, no entries for {int(until // 60)} m" if barred else "",
    )


def _cell(timeframe: object, active: ActiveSignal | None, now: datetime) -> ConfluenceCell:
    assert timeframe in WEIGHTS
    if active is None:
        return ConfluenceCell(timeframe=timeframe, weight=WEIGHTS[timeframe])  # type: ignore[arg-type,index]
    life = (active.expires - active.received).total_seconds()
    remaining = (active.expires - now).total_seconds()
    return ConfluenceCell(
        timeframe=active.signal.timeframe,
        weight=WEIGHTS[active.signal.timeframe],
        direction=active.signal.direction,
        quality=active.signal.quality,
        ai_score=active.signal.ai_score,
        left=round(remaining / life, 2) if life > 0 else 0.0,
        seconds=left(remaining),
        source=active.source,
    )


def decisions_view(seen: Seen, made: tuple[DecisionView, ...]) -> DecisionsView:
    """`made`: the boards' decisions as made by `decision_view`, which is kept while a board stays the same."""
    rows = tuple(sorted(made, key=lambda view: -view.seq))
    empty = Face(
        kind=FaceKind.EMPTY,
        what="No decision yet.",
        then="Each accepted signal, phase and trend makes one.",
        action="welcome.test",
    )
    return DecisionsView(rows=rows, face=Face() if rows else empty)


def decision_view(board: SymbolBoard, now: datetime, heard: Heard | None) -> DecisionView | None:
    """A board's last decision with its factors and what would have changed it. None before the first."""
    decision = board.decision
    if decision is None or board.decision_seq is None:
        return None
    denied = heard is not None and heard.outcome.startswith("denied ")
    words = heard.text.split() if heard is not None else []
    return DecisionView(
        seq=board.decision_seq,
        at=heard.at if heard is not None else now,
        symbol=board.symbol,
        verdict=decision.verdict,
        direction=decision.direction,
        leaning=decision.leaning,
        score=decision.confluence_score,
        by=heard.kind if heard is not None else "expiry",
        trigger=words[1] if heard is not None and heard.kind == "signal" and len(words) > 1 else "",
        reason=decision.reason + (NO_ENTRY if heard is not None and _no_entry(heard) else ""),
        factors=factors(decision, _entry(board, decision)),
        raw=decision.raw_multiplier,
        final=decision.breakdown.final_multiplier if decision.breakdown else None,
        contracts=decision.recommended_contracts,
        inputs=_inputs(board, now),
        counterfactuals=tuple(_capital(found.text) for found in what_if(board, now)),
        assumed=_assumed(board, decision),
        denial=heard.outcome.removeprefix("denied ") if denied and heard is not None else "",
        stage="the rules" if denied else "",
        overridable=decision.verdict is not Verdict.EXECUTE or denied,
        engine_version=decision.engine_version,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _entry(board: SymbolBoard, decision: Decision) -> Signal | None:
    """The entry signal, while it is still on the board."""
    return next((a.signal for a in board.signals if a.signal.timeframe is decision.entry_timeframe), None)


def _of(entry: Signal | None) -> dict[str, str]:
    """The value behind each factor, as sent."""
    if entry is None:
        return {}
    return {
        "quality_multiplier": entry.quality.value,
        "rr_multiplier": f"{entry.rr_ratio_t1:.1f}",
        "volume_multiplier": f"{entry.volume_vs_avg:.1f} × average",
        "trend_multiplier": f"{entry.trend_strength:.0f}",
        "session_multiplier": entry.session.value.replace("_", " "),
        "day_multiplier": entry.weekday.value if entry.weekday else "",
    }


def factors(decision: Decision, entry: Signal | None = None) -> tuple[Factor, ...]:
    """Every multiplier with the value behind it; a boost is shown as the factor it multiplies with."""
    breakdown: Breakdown | None = decision.breakdown
    if breakdown is None:
        return ()
    found = []
    behind = {"confluence_multiplier": str(decision.confluence_score), **_of(entry)}
    for name, title, boost in _FACTORS:
        low, high = FACTOR_RANGES[name]
        value, add = float(getattr(breakdown, name)), 1.0 if boost else 0.0
        words = f"{title} {behind.get(name, '')}".strip()
        found.append(Factor(name=words, value=value + add, low=low + add, high=high + add))
    return tuple(found)


def _inputs(board: SymbolBoard, now: datetime) -> tuple[str, ...]:
    signals = sorted((a.signal for a in board.signals if a.expires > now), key=lambda s: -s.timeframe.minutes)
    texts = [f"{s.timeframe.label} {s.direction} {s.quality} {s.ai_score:.1f}" for s in signals]
    texts += [f"phase {p.phase.role} {p.phase.event_tf}" for p in board.phases if p.expires > now]
    if board.trend and board.trend.expires > now:
        texts.append(f"trend {trend_alignment(board.trend.trend).count}/8")
    return tuple(texts)


def _assumed(board: SymbolBoard, decision: Decision) -> tuple[str, ...]:
    entry = _entry(board, decision)
    return entry.assumed if entry else ()
