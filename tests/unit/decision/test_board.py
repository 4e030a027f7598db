"""The board: who replaces whom, what leaves when, and what an opposite newcomer leaves behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.decision.board import active, expire, next_expiry, place_phase, place_signal, place_trend
from engine.decision.inputs import DecisionInputError
from engine.domain.entities import SymbolBoard
from engine.domain.signals import Signal
from engine.domain.values import Quality
from tests.unit.decision.builders import MINUTE, NOW, phase, signal, trend

EMPTY = SymbolBoard(symbol="SPY")
INSTANT = timedelta(microseconds=1)


def board_of(*arrivals: tuple[int, Signal, datetime]) -> SymbolBoard:
    board = EMPTY
    for source, sent, received in arrivals:
        board = place_signal(board, source, sent, received).board
    return board


def of_quality(name: str, timeframe: str = "60", direction: str = "LONG") -> Signal:
    return signal(timeframe, direction, quality=Quality(name))


def test_the_first_signal_is_placed_until_received_plus_validity() -> None:
    placed = place_signal(EMPTY, 7, of_quality("HIGH"), NOW)
    assert placed.placed
    assert placed.active is not None
    assert (placed.active.source, placed.active.received) == (7, NOW)
    assert placed.active.expires == NOW + 90 * MINUTE
    assert placed.board.signals == (placed.active,)
    assert (placed.replaced, placed.kept, placed.contradicts, placed.until) == (None, None, False, None)


@pytest.mark.parametrize(
    ("held", "newcomer", "placed"),
    [
        ("MEDIUM", "MEDIUM", False),
        ("MEDIUM", "HIGH", True),
        ("MEDIUM", "EXTREME", True),
        ("HIGH", "MEDIUM", False),
        ("HIGH", "HIGH", False),
        ("HIGH", "EXTREME", True),
        ("EXTREME", "EXTREME", False),
        ("EXTREME", "HIGH", False),
    ],
)
@pytest.mark.parametrize("direction", ["LONG", "SHORT"])
def test_only_a_strictly_higher_quality_replaces_an_unexpired_one(
    held: str, newcomer: str, placed: bool, direction: str
) -> None:
    before = board_of((1, of_quality(held), NOW))
    got = place_signal(before, 2, of_quality(newcomer, direction=direction), NOW + MINUTE)
    assert got.placed is placed
    assert got.replaced == (1 if placed else None)
    assert got.kept == (None if placed else 1)
    assert got.contradicts == (not placed and direction == "SHORT")
    assert [held.source for held in got.board.signals] == ([2] if placed else [1])


def test_a_superseded_repeat_does_not_prolong_what_was_there() -> None:
    before = board_of((1, of_quality("HIGH"), NOW))
    got = place_signal(before, 2, of_quality("HIGH"), NOW + 30 * MINUTE)
    assert got.board == before


@pytest.mark.parametrize(("after", "replaced"), [(90 * MINUTE, None), (90 * MINUTE - INSTANT, 1)])
def test_an_expired_one_is_no_hindrance_even_before_it_was_taken_off(after: timedelta, replaced: int | None) -> None:
    before = board_of((1, of_quality("HIGH"), NOW))
    got = place_signal(before, 2, of_quality("EXTREME", direction="SHORT"), NOW + after)
    assert got.placed
    assert got.replaced == replaced
    assert [held.source for held in got.board.signals] == [2]


def test_a_lower_quality_takes_an_expired_place() -> None:
    before = board_of((1, of_quality("EXTREME"), NOW))
    expired = NOW + 135 * MINUTE
    assert not place_signal(before, 2, of_quality("MEDIUM"), expired - INSTANT).placed
    assert place_signal(before, 2, of_quality("MEDIUM"), expired).placed


def test_a_contradiction_lasts_until_the_first_of_the_two_expires() -> None:
    before = board_of((1, of_quality("HIGH"), NOW))
    held_first = place_signal(before, 2, of_quality("HIGH", direction="SHORT"), NOW + 10 * MINUTE)
    assert held_first.until == NOW + 90 * MINUTE
    assert held_first.board.contradicted_until == held_first.until
    assert held_first.board.contradicted_by == 2
    newcomer_first = place_signal(before, 3, of_quality("MEDIUM", direction="SHORT"), NOW + 5 * MINUTE)
    assert newcomer_first.until == NOW + (5 + 67.5) * MINUTE


def test_a_shorter_contradiction_does_not_end_a_longer_one() -> None:
    board = board_of((1, of_quality("HIGH", "240"), NOW), (2, of_quality("HIGH", "3"), NOW))
    board = place_signal(board, 3, of_quality("HIGH", "240", "SHORT"), NOW + MINUTE).board
    later = place_signal(board, 4, of_quality("HIGH", "3", "SHORT"), NOW + MINUTE)
    assert later.until == NOW + 3 * MINUTE
    assert later.board.contradicted_until == NOW + 480 * MINUTE
    assert later.board.contradicted_by == 3


def test_a_longer_contradiction_takes_the_place_of_a_shorter_one() -> None:
    board = board_of((1, of_quality("HIGH", "240"), NOW), (2, of_quality("HIGH", "3"), NOW))
    board = place_signal(board, 3, of_quality("HIGH", "3", "SHORT"), NOW + MINUTE).board
    board = place_signal(board, 4, of_quality("HIGH", "240", "SHORT"), NOW + MINUTE).board
    assert (board.contradicted_until, board.contradicted_by) == (NOW + 480 * MINUTE, 4)


def test_the_newest_phase_replaces_the_one_of_its_role_and_timeframe() -> None:
    first = place_phase(EMPTY, 1, phase(role="BIAS", event_tf="4H"), NOW)
    other_role = place_phase(first.board, 2, phase(role="REGIME", event_tf="4H"), NOW)
    other_timeframe = place_phase(other_role.board, 3, phase(role="BIAS", event_tf="1H", time_decay_minutes=30.0), NOW)
    again = place_phase(other_timeframe.board, 4, phase("SHORT", role="BIAS", event_tf="4H"), NOW + MINUTE)
    assert (first.replaced, other_role.replaced, other_timeframe.replaced, again.replaced) == (None, None, None, 1)
    assert [held.source for held in again.board.phases] == [2, 3, 4]
    assert first.active.expires == NOW + 480 * MINUTE
    assert other_timeframe.active.expires == NOW + 30 * MINUTE


def test_an_expired_phase_or_trend_is_not_called_replaced() -> None:
    board = place_trend(place_phase(EMPTY, 1, phase(), NOW).board, 2, trend(), NOW).board
    assert place_phase(board, 3, phase(), NOW + 240 * MINUTE).replaced is None
    assert place_trend(board, 3, trend(), NOW + 60 * MINUTE).replaced is None


def test_a_symbol_holds_one_trend_for_an_hour() -> None:
    first = place_trend(EMPTY, 1, trend(), NOW)
    again = place_trend(first.board, 2, trend("++++++++"), NOW + MINUTE)
    assert first.active.expires == NOW + 60 * MINUTE
    assert (first.replaced, again.replaced) == (None, 1)
    assert again.board.trend == again.active


def full_board() -> SymbolBoard:
    """A 60 minute signal for 90 minutes, a 5 minute one for 5, a phase for 30, a trend for 60."""
    board = board_of((1, of_quality("HIGH"), NOW), (2, of_quality("HIGH", "5"), NOW))
    board = place_phase(board, 3, phase(time_decay_minutes=30.0), NOW).board
    return place_trend(board, 4, trend(), NOW).board


@pytest.mark.parametrize(
    ("minutes", "signals", "phases", "trends"),
    [(4, (), (), ()), (5, (2,), (), ()), (30, (2,), (3,), ()), (60, (2,), (3,), (4,)), (90, (1, 2), (3,), (4,))],
)
def test_what_leaves_at_an_instant(minutes: int, signals: Any, phases: Any, trends: Any) -> None:
    board, now = full_board(), NOW + minutes * MINUTE
    gone = expire(board, now)
    assert (gone.signals, gone.phases, gone.trends) == (signals, phases, trends)
    assert gone.anything == bool(signals or phases or trends)
    assert not expire(gone.board, now).anything
    assert active(gone.board, now) == active(board, now)


def test_an_input_counts_until_just_before_its_expiry() -> None:
    board, end = full_board(), NOW + 5 * MINUTE
    assert expire(board, end - INSTANT).signals == ()
    assert expire(board, end).signals == (2,)


def test_the_next_expiry_walks_through_the_board() -> None:
    board, instants = full_board(), []
    while (instant := next_expiry(board)) is not None:
        instants.append(instant - NOW)
        board = expire(board, instant).board
    assert instants == [5 * MINUTE, 30 * MINUTE, 60 * MINUTE, 90 * MINUTE]
    assert board == EMPTY


def test_active_inputs_come_slowest_first_whenever_they_arrived() -> None:
    board = board_of((1, signal("3"), NOW), (2, signal("240"), NOW), (3, signal("30"), NOW))
    board = place_phase(board, 4, phase(role="REGIME"), NOW).board
    board = place_phase(board, 5, phase(role="BIAS"), NOW).board
    signals, phases, trends = active(board, NOW)
    assert [sent.timeframe.minutes for sent in signals] == [240, 30, 3]
    assert [sent.role for sent in phases] == ["BIAS", "REGIME"]
    assert trends == ()


@pytest.mark.parametrize("place", [
    lambda: place_signal(EMPTY, 1, signal(symbol="QQQ"), NOW),
    lambda: place_phase(EMPTY, 1, phase(symbol="QQQ"), NOW),
    lambda: place_trend(EMPTY, 1, trend(symbol="QQQ"), NOW),
])  # fmt: skip
def test_another_symbols_input_is_refused(place: Any) -> None:
    with pytest.raises(DecisionInputError, match="QQQ does not belong on the board of SPY"):
        place()
