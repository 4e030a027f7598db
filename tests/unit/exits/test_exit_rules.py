"""Every exit rule at its level and a step to either side."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from engine.domain.entities import Position
from engine.domain.marks import ExitDistance, Mark
from engine.domain.values import Bucket, Direction, ExitAction, ExitReason, Priority, Quote
from engine.exits.context import ExitContext, exit_context
from engine.exits.rules import RULES
from engine.exits.rules.base import duration, percent, points, share
from engine.exits.rules.clock import ExpiresTomorrow, ExpiryClock, ExpiryWarning, MaxHold
from engine.exits.rules.greeks import DeltaLimit, GammaRisk, IvCrush, ThetaDecay
from engine.exits.rules.premium import ProfitTarget, StopLoss, TrailingStop, trail_level
from engine.exits.rules.thesis import ThesisBroken
from engine.exits.rules.underlying import TargetOne, TargetTwo, UnderlyingStop
from engine.settings import ExitSettings
from tests.builders_trading import (
    CALENDAR,
    CLOSE,
    FRIDAY,
    GREEKS,
    HALF_DAY,
    NOON,
    OPEN,
    TODAY,
    WEEKLY,
    d,
    mark,
    position,
    quote,
    seconds,
)

EXITS = ExitSettings()
SHORT = {
    "direction": Direction.SHORT,
    "plan": replace(position().plan, underlying_stop=d("605"), target_1=d("595"), target_2=d("590")),
}


def context(now: Any = NOON, **fields: Any) -> ExitContext:
    found = exit_context(position(), now, CALENDAR)
    assert found is not None
    return replace(found, **fields)


def at(price: str) -> Quote:
    return Quote(bid=d(price) - d("0.01"), ask=d(price) + d("0.01"), at=NOON)


def ask(rule: Any, held: Position, seen: Mark, where: ExitContext | None = None) -> ExitDistance:
    found = rule.distance(held, seen, where or context(), EXITS)
    assert found is not None
    assert isinstance(found, ExitDistance)
    assert found.nearness == 0.0 if found.fired else 0.0 <= found.nearness <= 1.0
    return found


# --- premium ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "fired"), [("1.01", False), ("1.00", True), ("0.99", True)])
def test_the_stop_fires_at_half_the_premium(price: str, fired: bool) -> None:
    found = ask(StopLoss(), position(4), mark(price))
    assert found.fired is fired
    assert (found.reason, found.priority, found.action) == (
        ExitReason.STOP_LOSS, Priority.CRITICAL, ExitAction.CLOSE
    )  # fmt: skip
    assert (found.rule, found.level, found.quantity) == ("stop −50 %", "1.00", 4)


@pytest.mark.parametrize(("price", "fired"), [("2.01", False), ("2.00", True)])
def test_after_half_was_taken_the_stop_is_at_break_even(price: str, fired: bool) -> None:
    found = ask(StopLoss(), position(2, half_taken=True), mark(price))
    assert (found.fired, found.rule) == (fired, "stop break-even")


def test_a_stop_says_how_far_it_is() -> None:
    found = ask(StopLoss(), position(), mark("1.72"))
    assert (found.distance, found.nearness) == ("36 pt", pytest.approx(0.72))
    assert found.numbers["mid"] == "1.72"


@pytest.mark.parametrize(("price", "fired"), [("2.99", False), ("3.00", True)])
def test_the_profit_target_fires_at_half_gained(price: str, fired: bool) -> None:
    found = ask(ProfitTarget(), position(4), mark(price))
    assert found.fired is fired
    assert (found.reason, found.action, found.level, found.rule) == (
        ExitReason.PROFIT_TARGET, ExitAction.TICKET, "3.00", "profit +50 %"
    )  # fmt: skip


def test_an_unarmed_trail_says_where_it_arms() -> None:
    found = ask(TrailingStop(), position(), mark("2.00"))
    assert (found.distance, found.level, found.fired) == ("not armed", "arms 2.60", False)


@pytest.mark.parametrize(
    ("best", "level"),
    [
        ("2.60", "2.20"),  # +30 % gives back 20 points
        ("2.20", "2.10"),  # the floor
        ("3.00", "2.60"),
        ("3.20", "2.78"),  # +60 % gives back 35 % of it: 21 points
        ("4.00", "3.30"),
    ],
)
def test_the_trail_gives_back_twenty_points_or_a_third_of_the_peak(best: str, level: str) -> None:
    assert trail_level(position(), d(best), EXITS) == d(level)


@pytest.mark.parametrize(("price", "fired"), [("2.21", False), ("2.20", True)])
def test_an_armed_trail_fires_at_its_level_and_closes_by_itself(price: str, fired: bool) -> None:
    found = ask(TrailingStop(), position(4), mark(price, best=d("2.60")), context(armed=True))
    assert (found.fired, found.level) == (fired, "2.20")
    assert (found.priority, found.action, found.quantity) == (Priority.HIGH, ExitAction.CLOSE, 4)


# --- underlying ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "mid", "last", "fired"),
    [
        ({}, "595.01", None, False),
        ({}, "595.00", None, True),
        ({}, "595.00", "595.01", False),
        ({}, "595.01", "595.00", False),
        ({}, "594.00", "595.00", True),
        (SHORT, "604.99", None, False),
        (SHORT, "605.00", None, True),
        (SHORT, "606.00", "604.99", False),
    ],
)
def test_the_underlying_stop_needs_mid_and_last_beyond(
    held: dict[str, Any], mid: str, last: str | None, fired: bool
) -> None:
    where = context(underlying=at(mid), underlying_last=None if last is None else d(last))
    found = ask(UnderlyingStop(), position(4, **held), mark("2.00"), where)
    assert found.fired is fired
    assert (found.reason, found.priority, found.action, found.quantity) == (
        ExitReason.STOP_LOSS, Priority.CRITICAL, ExitAction.CLOSE, 4
    )  # fmt: skip


@pytest.mark.parametrize(
    ("held", "mid", "first", "second"),
    [
        ({}, "604.99", False, False),
        ({}, "605.00", True, False),
        ({}, "610.00", True, True),
        (SHORT, "595.01", False, False),
        (SHORT, "595.00", True, False),
        (SHORT, "590.00", True, True),
    ],
)
def test_the_targets_are_reached(held: dict[str, Any], mid: str, first: bool, second: bool) -> None:
    where = context(underlying=at(mid))
    one = ask(TargetOne(), position(4, **held), mark("2.00"), where)
    two = ask(TargetTwo(), position(4, **held), mark("2.00"), where)
    assert (one.fired, two.fired) == (first, second)
    assert (one.reason, one.action, two.reason, two.quantity) == (
        ExitReason.TARGET_1, ExitAction.TICKET, ExitReason.TARGET_2, 4
    )  # fmt: skip


@pytest.mark.parametrize(("held", "half"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_target_one_takes_half_and_a_single_contract_whole(held: int, half: int) -> None:
    assert ask(TargetOne(), position(held), mark("2.00"), context(underlying=at("605"))).quantity == half


def test_target_one_is_over_once_half_was_taken() -> None:
    assert TargetOne().distance(position(2, half_taken=True), mark("2.00"), context(), EXITS) is None


@pytest.mark.parametrize("rule", [UnderlyingStop(), TargetOne(), TargetTwo()])
def test_without_a_level_there_is_no_rule(rule: Any) -> None:
    bare = replace(position().plan, underlying_stop=None, target_1=None, target_2=None)
    assert rule.distance(position(plan=bare), mark("2.00"), context(), EXITS) is None


@pytest.mark.parametrize("book", [None, quote("595.00", None), quote(None, "595.00"), quote("595.00", "594.00")])
def test_without_a_usable_underlying_it_waits(book: Quote | None) -> None:
    found = ask(UnderlyingStop(), position(), mark("2.00"), context(underlying=book))
    assert (found.distance, found.fired, found.nearness) == ("no quote", False, 1.0)


def test_a_distance_to_an_underlying_level_is_in_dollars_from_the_entry() -> None:
    found = ask(UnderlyingStop(), position(), mark("2.00"), context(underlying=at("598.00")))
    assert (found.distance, found.nearness, found.level) == ("3.00", pytest.approx(0.6), "595.00")


def test_an_entry_without_known_underlying_is_measured_from_here() -> None:
    found = ask(UnderlyingStop(), position(entry_underlying=None), mark("2.00"), context(underlying=at("598.00")))
    assert found.nearness == 1.0


# --- clock -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "warned", "closing", "name"),
    [
        (timedelta(minutes=30, seconds=1), False, False, "clock T−15"),
        (timedelta(minutes=30), True, False, "clock T−15"),
        (timedelta(minutes=15, seconds=1), True, False, "clock T−15"),
        (timedelta(minutes=15), True, True, "clock T−15"),
        (timedelta(minutes=14), True, True, "clock T−14"),
        (timedelta(minutes=13), True, True, "clock T−13"),
        (timedelta(minutes=10), True, True, "clock T−10"),
        (timedelta(minutes=-5), True, True, "clock T−10"),
    ],
)
@pytest.mark.parametrize("close", [CLOSE, CLOSE + timedelta(days=7) - timedelta(hours=3)])
def test_an_expiring_contract_is_sold_by_the_clock(
    close: Any, left: timedelta, warned: bool, closing: bool, name: str
) -> None:
    day = close.date()
    held = position(4, contract=replace(WEEKLY, expiry=day), opened=close - timedelta(hours=3))
    where = exit_context(held, close - left, CALENDAR)
    assert where is not None
    assert where.closes == close
    warning = ask(ExpiryWarning(), held, mark("2.00"), where)
    clock = ask(ExpiryClock(), held, mark("2.00"), where)
    assert (warning.fired, clock.fired, clock.rule) == (warned, closing, name)
    assert (warning.action, clock.action, clock.priority) == (
        ExitAction.ALERT, ExitAction.CLOSE, Priority.CRITICAL
    )  # fmt: skip
    assert (clock.reason, clock.quantity) == (ExitReason.TIME_OF_DAY, 4)


def test_the_half_day_of_the_calendar_is_known() -> None:
    assert (CLOSE + timedelta(days=7)).date() == HALF_DAY


def test_the_clock_says_how_long_it_has() -> None:
    found = ask(ExpiryClock(), position(contract=TODAY), mark("2.00"), context(CLOSE - timedelta(minutes=97)))
    assert (found.distance, found.level) == ("1 h 22 m", "15:45")


def test_the_clock_of_a_later_expiry_counts_days() -> None:
    found = ask(ExpiryClock(), position(), mark("2.00"))
    assert (found.distance, found.fired, found.nearness) == ("5 d", False, 1.0)
    assert ExpiryWarning().distance(position(), mark("2.00"), context(), EXITS) is None


@pytest.mark.parametrize(
    ("today", "bucket", "fired"),
    [
        (date(2026, 11, 23), Bucket.WEEKLY, False),
        (date(2026, 11, 24), Bucket.WEEKLY, True),
        (date(2026, 11, 25), Bucket.WEEKLY, True),
        (date(2026, 11, 24), Bucket.LONGER, True),
    ],
)
def test_a_day_before_its_last_it_asks(today: date, bucket: Bucket, fired: bool) -> None:
    found = ask(ExpiresTomorrow(), position(4, bucket=bucket), mark("2.00"), context(today=today))
    assert found.fired is fired
    assert (found.reason, found.priority, found.action, found.quantity) == (
        ExitReason.TIME_STOP, Priority.HIGH, ExitAction.TICKET, 4
    )  # fmt: skip


@pytest.mark.parametrize("bucket", [Bucket.ZERO_DTE, Bucket.ONE_DTE])
def test_what_was_meant_for_a_day_is_not_asked_about(bucket: Bucket) -> None:
    assert ExpiresTomorrow().distance(position(bucket=bucket), mark("2.00"), context(), EXITS) is None


@pytest.mark.parametrize(("held", "fired"), [(0, False), (4, False), (5, True), (6, True)])
def test_five_sessions_are_long_enough(held: int, fired: bool) -> None:
    found = ask(MaxHold(), position(), mark("2.00"), context(sessions_held=held))
    assert (found.fired, found.action, found.reason) == (fired, ExitAction.ALERT, ExitReason.MAX_HOLD)


# --- thesis ----------------------------------------------------------------------------------------------------------


def test_a_broken_thesis_asks_and_says_why() -> None:
    stands = ask(ThesisBroken(), position(), mark("2.00"))
    broken = ask(ThesisBroken(), position(4, thesis_broken="opposite EXECUTE"), mark("2.00"))
    assert (stands.fired, stands.distance) == (False, "stands")
    assert (broken.fired, broken.level, broken.quantity) == (True, "opposite EXECUTE", 4)
    assert (broken.priority, broken.action, broken.numbers) == (
        Priority.HIGH, ExitAction.TICKET, {"why": "opposite EXECUTE"}
    )  # fmt: skip


# --- Greeks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "nights", "theta", "fired"),
    [
        (7, 1, -0.160, False),  # 8 % of 2.00 a day
        (7, 1, -0.161, True),
        (6, 1, -0.500, False),  # 25 % until the next session
        (6, 1, -0.501, True),
        (6, 3, -0.166, False),
        (6, 3, -0.167, True),
        (0, 1, -19.20, False),  # 10 % in a ninety-sixth of a day
        (0, 1, -19.21, True),
    ],
)
def test_decay_is_said_by_what_is_left(days: int, nights: int, theta: float, fired: bool) -> None:
    held = position(contract=replace(WEEKLY, expiry=FRIDAY + timedelta(days=days)))
    found = ask(ThetaDecay(), held, mark("2.00", greeks=replace(GREEKS, theta=theta)), context(nights=nights))
    assert (found.fired, found.action, found.reason) == (fired, ExitAction.ALERT, ExitReason.THETA_DECAY)


@pytest.mark.parametrize(
    ("delta", "fired"), [(0.10, False), (0.099, True), (0.90, False), (0.901, True), (-0.5, False), (-0.05, True)]
)
def test_a_delta_that_is_no_bet_or_no_option_any_more_is_said(delta: float, fired: bool) -> None:
    found = ask(DeltaLimit(), position(), mark("2.00", greeks=replace(GREEKS, delta=delta)))
    assert (found.fired, found.action) == (fired, ExitAction.ALERT)


@pytest.mark.parametrize(
    ("left", "gamma", "fired"),
    [
        (60, 0.2222, False),  # ½ × 0.2222 × 3.00² = 1.00 of 2.00
        (60, 0.2223, True),
    ],
)
def test_late_gamma_is_said(left: int, gamma: float, fired: bool) -> None:
    where = context(CLOSE - timedelta(minutes=left))
    found = ask(GammaRisk(), position(contract=TODAY), mark("2.00", greeks=replace(GREEKS, gamma=gamma)), where)
    assert (found.fired, found.reason) == (fired, ExitReason.GAMMA_RISK)


def test_gamma_is_quiet_earlier_and_for_later_expiries() -> None:
    wild = mark("2.00", greeks=replace(GREEKS, gamma=5.0))
    early, late = context(CLOSE - timedelta(minutes=61)), context(CLOSE - timedelta(minutes=30))
    assert GammaRisk().distance(position(contract=TODAY), wild, early, EXITS) is None
    assert GammaRisk().distance(position(), wild, late, EXITS) is None


def test_gamma_without_the_underlying_is_not_known() -> None:
    found = ask(GammaRisk(), position(contract=TODAY), mark("2.00", underlying=None), context(CLOSE))
    assert found.distance == "n/a"


@pytest.mark.parametrize(("iv", "fired"), [(0.161, False), (0.16, True), (0.10, True)])
def test_a_fall_of_volatility_is_said(iv: float, fired: bool) -> None:
    found = ask(IvCrush(), position(), mark("2.00", greeks=replace(GREEKS, iv=iv)), context(iv_before=0.20))
    assert (found.fired, found.reason) == (fired, ExitReason.IV_CRUSH)


@pytest.mark.parametrize("before", [None, 0.0])
def test_without_an_earlier_volatility_there_is_no_fall(before: float | None) -> None:
    assert ask(IvCrush(), position(), mark("2.00"), context(iv_before=before)).distance == "n/a"


@pytest.mark.parametrize("rule", [ThetaDecay(), DeltaLimit(), IvCrush()])
@pytest.mark.parametrize("seen", [mark("2.00", greeks=None), mark("0.00")])
def test_without_greeks_or_a_price_they_are_quiet(rule: Any, seen: Mark) -> None:
    found = ask(rule, position(), seen, context(iv_before=0.5))
    assert (found.distance, found.fired, found.nearness) == ("n/a", False, 1.0)


# --- words and sums --------------------------------------------------------------------------------------------------


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 16


@pytest.mark.parametrize(
    ("left", "whole", "part"), [(5, 10, 0.5), (-1, 10, 0.0), (20, 10, 1.0), (1, 0, 1.0), (0, 0, 0.0), (-1, -1, 0.0)]
)
def test_a_share_stays_between_nothing_and_all(left: float, whole: float, part: float) -> None:
    assert share(left, whole) == part


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (40, "40 s"),
        (60, "1 m"),
        (3599, "59 m"),
        (3600, "1 h 00 m"),
        (172_800, "2 d"),
        (172_799, "47 h 59 m"),
        (-5, "0 s"),
    ],
)
def test_durations_in_words(left: int, text: str) -> None:
    assert duration(seconds(left)) == text


def test_other_words() -> None:
    assert (percent(d("0.5")), percent(d("-0.3"))) == ("+50 %", "−30 %")
    assert (points(d("0.5"), d("2")), points(d("1"), d("0"))) == ("25 pt", "n/a")


# --- context ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "known"),
    [
        (OPEN - seconds(1), False),
        (OPEN, True),
        (CLOSE + timedelta(minutes=15) - seconds(1), True),
        (CLOSE + timedelta(minutes=15), False),
        (NOON + timedelta(days=1), False),
    ],
)
def test_nothing_is_looked_at_while_options_do_not_trade(now: Any, known: bool) -> None:
    assert (exit_context(position(), now, CALENDAR) is not None) is known


def test_a_context_knows_the_days_around_it() -> None:
    held = position(opened=NOON - timedelta(days=2))
    where = exit_context(held, NOON, CALENDAR, halted=True, underlying=at("600"), underlying_last=d(600))
    assert where is not None
    assert (where.today, where.opens, where.closes) == (FRIDAY, OPEN, CLOSE)
    assert (where.nights, where.sessions_held, where.halted) == (3, 2, True)
