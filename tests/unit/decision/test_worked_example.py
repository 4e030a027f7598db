"""The worked example of the manual's page is what the engine says."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import asdict

from engine.decision.board import place_phase, place_signal, place_trend
from engine.decision.engine import decide
from engine.decision.matrices import ENGINE_VERSION
from engine.decision.outlook import highest_reachable, what_if
from engine.decision.validity import validity_minutes
from engine.domain.entities import SymbolBoard
from engine.domain.signals import Phase, Signal, Trend
from engine.domain.values import Bias, MarketSession, Quality
from tests.unit.decision.builders import NOW, phase, signal, trend

PAGE = Path(__file__).resolve().parents[3] / "docs" / "decision-engine.md"
OPEN = MarketSession.OPEN


def example() -> tuple[list[Signal], list[Phase], list[Trend]]:
    entry = signal(
        "240", quality=Quality.HIGH, ai_score=7.2, session=OPEN, rr_ratio_t1=2.4, volume_vs_avg=0.7, trend_strength=72.0,
        bias_4h=Bias.LONG, recommended_contracts=2, stop_loss=594.0, target_1=614.4, target_2=620.0,
    )  # fmt: skip
    others = [
        signal("60", ai_score=6.5, session=OPEN, stop_loss=597.5, target_1=608.0, target_2=622.5),
        signal("30", ai_score=5.0, session=OPEN, stop_loss=598.2, target_1=605.0, target_2=607.0),
        signal("15", "SHORT", ai_score=8.0, session=OPEN),
        signal("5", ai_score=7.0, session=OPEN, stop_loss=599.1, target_1=602.0, target_2=603.0),
    ]
    return [entry, *others], [phase(htf_alignment=True, confidence_score=64.0)], [trend("++-+0++-", price=600.0)]


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_shows_the_engines_own_numbers() -> None:
    sent, phases, trends = example()
    decision = decide(sent, phases, trends, NOW)
    assert decision.breakdown is not None
    text = page()
    assert f"version {ENGINE_VERSION}" in text
    for name, value in asdict(decision.breakdown).items():
        assert f"| {name} | {value:g} |" in text
    assert f"**{decision.verdict} {decision.direction}, {decision.recommended_contracts} contracts**" in text
    assert f"stop {decision.stop_loss:.2f}" in text
    assert f"targets {decision.target_1:.2f} and {decision.target_2:.2f}" in text
    assert f"`{decision.reason}`" in text
    for one in sent:
        assert f"{validity_minutes(one):g} min" in text


@pytest.mark.parametrize("what", ["outlook", "counterfactuals"])
def test_the_page_shows_what_could_still_come(what: str) -> None:
    sent, phases, trends = example()
    board = SymbolBoard(symbol="SPY")
    for source, one in enumerate(sent):
        board = place_signal(board, source, one, NOW).board
    board = place_trend(place_phase(board, 9, phases[0], NOW).board, 10, trends[0], NOW).board
    if what == "outlook":
        reachable = highest_reachable(board, NOW)
        lines = [f"highest in reach {reachable.highest}", *(step.text for step in reachable.steps)]
    else:
        lines = [one.text for one in what_if(board, NOW)]
    for line in lines:
        assert f"`{line}`" in page()
