from __future__ import annotations

import pytest

from engine.domain.values import Direction, Timeframe
from engine.intake.words import OtherTimeframe, said, timeframe_named

LONG, SHORT = Direction.LONG, Direction.SHORT


@pytest.mark.parametrize(
    ("name", "timeframe"),
    [
        ("3", "3"), ("5", "5"), ("5m", "5"), ("5M", "5"), (" 5 min ", "5"), ("15", "15"), ("15m", "15"), ("30M", "30"),
        ("30 minutes", "30"), ("60", "60"), ("60m", "60"), ("1h", "60"), ("1H", "60"), ("1 hour", "60"), ("240", "240"),
        ("4h", "240"), ("4H", "240"), ("4 hrs", "240"), ("240m", "240"), ("005", "5"),
        ("", None), ("5x", None), ("five", None), ("5.0", None), ("-5", None), ("٥", None), ("5m5", None),
    ],
)  # fmt: skip
def test_timeframes_are_known_by_all_their_names(name: str, timeframe: str | None) -> None:
    assert timeframe_named(name) == (Timeframe(timeframe) if timeframe else None)


@pytest.mark.parametrize(
    "name",
    ["1", "1m", "2", "10", "45", "120", "2h", "0", "99999", "1D", "D", "1W", "W", "1S", "30s", "1M", "3M", "12M", "M"],
)
def test_a_timeframe_that_the_board_has_not_is_told_from_no_timeframe(name: str) -> None:
    with pytest.raises(OtherTimeframe):
        timeframe_named(name)


@pytest.mark.parametrize(
    ("text", "direction", "ends", "order"),
    [
        ("buy", LONG, False, True), ("BUY", LONG, False, True), ("long", LONG, False, False),
        ("Call", LONG, False, False), ("sell", SHORT, False, True), ("short", SHORT, False, False),
        ("put", SHORT, False, False), ("LONG_ENTRY", LONG, False, False), ("enter-short", SHORT, False, False),
        ("Strong Buy", LONG, False, True), ("buy to open", LONG, False, True), ("buy call", LONG, False, True),
        ("ENTRY", None, False, False),
        ("close", None, True, False), ("EXIT", None, True, False), ("flat", None, True, False),
        ("tp", None, True, False), ("TP1", None, True, False), ("sl", None, True, False),
        ("close_long", LONG, True, False), ("exit short", SHORT, True, False), ("LONG_TP2", LONG, True, False),
        ("sell to close", LONG, True, True), ("buy to close", SHORT, True, True),
        ("buy to cover", SHORT, True, True), ("cover", SHORT, True, False),
    ],
)  # fmt: skip
def test_sides_and_ends_are_read_as_people_write_them(
    text: str, direction: Direction | None, ends: bool, order: bool
) -> None:
    assert said(text) == (direction, ends, True, order)


@pytest.mark.parametrize(
    "text", ["", " ", "CANDLE_CLOSED", "closed", "buying", "BUYY", "buy put", "long short", "up", "0"]
)
def test_a_word_that_names_no_side_is_not_guessed_at(text: str) -> None:
    assert not said(text).known
