"""What could still come of a board: the highest score in reach, and what would change the verdict.

Called by the confluence and decision panels. Every "would" is the answer of `decide` to changed inputs; nothing here
is stored or traded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec.structs import replace

from engine.decision.board import active
from engine.decision.confluence import carries, leaning_of, weigh
from engine.decision.engine import decide, slowest
from engine.decision.matrices import (
    FULL_CONFLUENCE,
    MIN_CONFLUENCE,
    MIN_HTF_SCORE,
    SLOWEST_FIRST,
    WEIGHTS,
)
from engine.domain.entities import SymbolBoard
from engine.domain.signals import Decision, Phase, Signal, Trend
from engine.domain.values import Direction, Quality, Timeframe, Value, Verdict

_BETTER = {Quality.MEDIUM: Quality.HIGH, Quality.HIGH: Quality.EXTREME}
"""The least quality that replaces each; nothing replaces EXTREME."""
_CARRYING = (Timeframe.H4, Timeframe.H1)


class Step(Value, frozen=True, kw_only=True):
    """One arrival that would raise the leaning's confluence."""

    timeframe: Timeframe
    makes: int
    """Confluence of the leaning after it."""
    needs: Quality
    """The least quality that the board would take: MEDIUM on an empty timeframe, else one above what is held."""

    @property
    def text(self) -> str:
        quality = "" if self.needs is Quality.MEDIUM else f"{self.needs} "
        return f"{quality}{self.timeframe.label} makes {self.makes}"


class Reachable(Value, frozen=True, kw_only=True):
    """How far the leaning's confluence could still rise at this moment."""

    direction: Direction | None
    """The leaning; None on an empty board, where either direction could have it all."""
    score: int
    highest: int
    steps: tuple[Step, ...]
    """Open timeframes, slowest first."""
    blocked: tuple[Timeframe, ...]
    """Held against the leaning by EXTREME signals, until they expire."""
    decidable: bool
    """Whether arrivals could still lift the verdict over both rules: confluence 60 and a 4H or 1H signal of score 6."""

    @property
    def blocked_text(self) -> str:
        """What keeps it from 100: `4H SHORT EXTREME`; empty when nothing does."""
        if self.direction is None:
            return ""
        return ", ".join(f"{timeframe.label} {self.direction.opposite} EXTREME" for timeframe in self.blocked)


class WhatIf(Value, frozen=True, kw_only=True):
    """A changed input that would change the verdict."""

    text: str
    """`would be WAIT without 1H (87 → 62)`."""
    assumes: str
    """For an input that is not there: what was taken for it."""
    decision: Decision


def highest_reachable(board: SymbolBoard, now: datetime) -> Reachable:
    """The highest confluence the leaning could have now.

    A timeframe is open when nothing unexpired is on it, or when what is there points the other way with less than
    EXTREME quality, because a strictly higher one would replace it. An opposite EXTREME signal blocks its weight.
    """
    signals, _, _ = active(board, now)
    long, short = weigh(signals)
    direction = leaning_of(long, short) if signals else None
    score = max(long, short)
    held = {signal.timeframe: signal for signal in signals}
    steps: list[Step] = []
    blocked: list[Timeframe] = []
    carrier = False
    for timeframe in SLOWEST_FIRST:
        there = held.get(timeframe)
        needs = Quality.MEDIUM if there is None else _BETTER.get(there.quality)
        aligned = there is not None and there.direction is direction
        if timeframe in _CARRYING:
            # An aligned signal of a low score may be replaced too, by one of higher quality and a better score.
            carrier |= needs is not None or (aligned and there is not None and carries(there))
        if aligned:
            continue
        if needs is None:
            blocked.append(timeframe)
        else:
            steps.append(Step(timeframe=timeframe, makes=score + WEIGHTS[timeframe], needs=needs))
    highest = FULL_CONFLUENCE - sum(WEIGHTS[timeframe] for timeframe in blocked)
    return Reachable(
        direction=direction,
        score=score,
        highest=highest,
        steps=tuple(steps),
        blocked=tuple(blocked),
        decidable=carrier and highest >= MIN_CONFLUENCE,
    )


def what_if(board: SymbolBoard, now: datetime) -> tuple[WhatIf, ...]:
    """What would change the verdict: one input less, or one signal more in the leaning direction.

    Inputs that go come first (slowest signal first, then phases, trend), then signals that come. One that comes has
    the least quality the board would take, score 6 or the one it is copied from, and else the numbers of the slowest
    aligned signal. Raises `DecisionInputError` like `decide`.
    """
    signals, phases, trends = active(board, now)
    if not signals:
        return ()
    base = decide(signals, phases, trends, now)
    found = []
    for words, assumes, changed in _changes(board, now, signals, phases, trends, base):
        decision = decide(*changed, now)
        # A direction that is not the leaning has at most half of all confluence: it never gets past a WAIT.
        if decision.verdict is not base.verdict:
            found.append(WhatIf(text=_sentence(base, decision, words), assumes=assumes, decision=decision))
    return tuple(found)


_Inputs = tuple[Sequence[Signal], Sequence[Phase], Sequence[Trend]]


def _changes(
    board: SymbolBoard,
    now: datetime,
    signals: Sequence[Signal],
    phases: Sequence[Phase],
    trends: Sequence[Trend],
    base: Decision,
) -> Iterator[tuple[str, str, _Inputs]]:
    for gone in signals:
        rest = [signal for signal in signals if signal is not gone]
        yield f"without {gone.timeframe.label}", "", (rest, phases, trends)
    if phases:
        yield "without the phases", "", (signals, (), trends)
    if trends:
        yield "without the trend", "", (signals, phases, ())
    model = slowest([signal for signal in signals if signal.direction is base.leaning])
    for step in highest_reachable(board, now).steps:
        others = [signal for signal in signals if signal.timeframe is not step.timeframe]
        score = max(model.ai_score, MIN_HTF_SCORE)
        comes = replace(model, timeframe=step.timeframe, quality=step.needs, ai_score=score)
        if len(others) < len(signals):
            words = f"with {step.timeframe.label} turned {model.direction}"
        else:
            words = f"with a {step.timeframe.label} signal"
        assumes = f"{model.direction}, {step.needs}, score {score:g}, the rest as the {model.timeframe.label} signal"
        yield words, assumes, ([*others, comes], phases, trends)


def _sentence(base: Decision, decision: Decision, words: str) -> str:
    would = "would be WAIT" if decision.verdict is Verdict.WAIT else f"would {decision.verdict}"
    return f"{would} {words} ({_measure(base, decision)})"


def _measure(base: Decision, decision: Decision) -> str:
    """The number that moved: confluence, or the multiplier where confluence stayed."""
    if (
        base.raw_multiplier is not None
        and decision.raw_multiplier is not None
        and base.confluence_score == decision.confluence_score
    ):
        return f"multiplier {base.raw_multiplier:.2f} → {decision.raw_multiplier:.2f}"
    return f"{base.confluence_score} → {decision.confluence_score}"
