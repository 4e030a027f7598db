"""The life of a ticket: how long, at what price, and who may answer it when."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.approvals.desk import (
    Repriced,
    answerable,
    break_even,
    check_override,
    drift_allowed,
    entry_limit,
    expires_at,
    is_expired,
    life,
    needs_reprice,
    policy_approves,
    reprice,
    ticket_summary,
)
from engine.domain.entities import ExitPlan, Ticket
from engine.domain.values import (
    Bucket,
    Direction,
    Greeks,
    OptionContract,
    Policy,
    Purpose,
    Quote,
    Refusal,
    Right,
    Side,
    TicketState,
)
from engine.settings import ApprovalSettings

NOW = datetime(2026, 11, 18, 16, 0, tzinfo=UTC)
SETTINGS = ApprovalSettings()
D = Decimal


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def quote(bid: str | None, ask: str | None, at: datetime = NOW, **sizes: int) -> Quote:
    return Quote(bid=D(bid) if bid else None, ask=D(ask) if ask else None, at=at, **sizes)


def ticket(**changes: Any) -> Ticket:
    """A call at 2.98 x 3.00 opened five seconds ago."""
    fields: dict[str, Any] = {
        "id": "T4",
        "purpose": Purpose.ENTRY,
        "symbol": "SPY",
        "direction": Direction.LONG,
        "contract": OptionContract(symbol="SPY", expiry=date(2026, 11, 20), right=Right.CALL, strike=D(600)),
        "side": Side.BUY,
        "quantity": 3,
        "limit": D("3.00"),
        "quote": quote("2.98", "3.00"),
        "opened": NOW - seconds(5),
        "changed": NOW - seconds(5),
        "expires": NOW + seconds(85),
        "max_loss": D(600),
        "greeks": Greeks(iv=0.20, delta=0.45, gamma=0.04, vega=0.2, theta=-0.5, rho=0.01),
        "plan": ExitPlan(stop_fraction=D("0.5"), profit_fraction=D("0.5"), underlying_stop=D(598)),
    }
    return Ticket(**{**fields, **changes})


@pytest.mark.parametrize(
    ("bucket", "lives"), [(Bucket.ZERO_DTE, 45), (Bucket.ONE_DTE, 90), (Bucket.WEEKLY, 90), (Bucket.LONGER, 300)]
)
def test_a_ticket_lives_by_its_bucket_but_not_longer_than_its_signal(bucket: Bucket, lives: int) -> None:
    assert life(bucket, SETTINGS) == seconds(lives)
    assert expires_at(bucket, NOW, None, SETTINGS) == NOW + seconds(lives)
    assert expires_at(bucket, NOW, NOW + seconds(1000), SETTINGS) == NOW + seconds(lives)
    assert expires_at(bucket, NOW, NOW + seconds(20), SETTINGS) == NOW + seconds(20)


def test_a_ticket_runs_out_at_its_moment_and_only_while_it_waits() -> None:
    assert not is_expired(ticket(expires=NOW + seconds(0.001)), NOW)
    assert is_expired(ticket(expires=NOW), NOW)
    assert not is_expired(ticket(expires=NOW, state=TicketState.APPROVED), NOW)


@pytest.mark.parametrize(
    ("bid", "ask", "tick", "limit"),
    [("2.98", "3.00", "0.01", "3.15"), ("2.98", "3.02", "0.05", "3.20"), ("0.10", "0.12", "0.01", "0.14")],
    ids=["five percent of mid", "on the tick grid", "two ticks"],
)
def test_an_entry_may_pay_a_little_over_the_ask(bid: str, ask: str, tick: str, limit: str) -> None:
    assert entry_limit(quote(bid, ask), D(tick)) == D(limit)


@pytest.mark.parametrize(("bid", "ask", "limit"), [(None, "3.00", "3.08"), ("2.98", None, "2.98"), (None, None, "0")])
def test_half_a_quote_still_has_a_limit_to_be_refused_with(bid: str | None, ask: str | None, limit: str) -> None:
    assert entry_limit(quote(bid, ask)) == D(limit)


@pytest.mark.parametrize(
    ("bid", "ask", "allowed"),
    [("0.10", "0.12", "0.01"), ("2.98", "3.00", "0.0897"), ("2.00", "3.00", "0.50"), (None, "3.00", "0.01")],
    ids=["a tick", "three percent", "half the spread", "no mid"],
)
def test_how_far_the_mid_may_move(bid: str | None, ask: str, allowed: str) -> None:
    assert drift_allowed(quote(bid, ask), SETTINGS) == D(allowed)


@pytest.mark.parametrize(
    ("bid", "ask", "old"),
    [
        ("3.06", "3.09", False),
        ("3.0697", "3.0897", False),
        ("3.0698", "3.0898", True),
        ("3.07", "3.10", True),
        ("2.89", "2.92", False),
        ("2.88", "2.91", True),
        (None, "9.00", False),
        ("9.00", "8.00", False),
    ],
)
def test_a_price_is_old_once_the_mid_drifted_either_way(bid: str | None, ask: str, old: bool) -> None:
    assert needs_reprice(ticket(limit=D("3.15")), quote(bid, ask), SETTINGS) is old


def test_a_price_is_old_once_the_limit_does_not_reach_the_ask() -> None:
    wide = ticket(quote=quote("2.00", "3.00"), limit=D("3.13"))
    assert not needs_reprice(wide, quote("2.13", "3.13"), SETTINGS)
    assert needs_reprice(wide, quote("2.14", "3.14"), SETTINGS)


def test_without_a_quote_there_is_nothing_to_reprice_from() -> None:
    assert not needs_reprice(ticket(), None, SETTINGS)
    assert not needs_reprice(ticket(quote=quote(None, "3.00")), quote("9.00", "9.02"), SETTINGS)


def test_a_reprice_takes_the_new_quote_and_restarts_twenty_seconds() -> None:
    newer = quote("3.20", "3.22")
    found = reprice(ticket(reprices=2), newer, NOW, SETTINGS)
    assert found == Repriced(limit=D("3.39"), quote=newer, expires=NOW + seconds(20), attempt=3)
    soon = reprice(ticket(), newer, NOW, SETTINGS, valid_until=NOW + seconds(7))
    assert isinstance(soon, Repriced)
    assert soon.expires == NOW + seconds(7)


def test_the_fourth_reprice_ends_the_ticket() -> None:
    found = reprice(ticket(reprices=3), quote("3.20", "3.22"), NOW, SETTINGS)
    assert isinstance(found, Refusal)
    assert found.text == "TICKET_EXPIRED ticket=T4 reprices=3 limit=3"


@pytest.mark.parametrize(
    ("changes", "by_hand", "text"),
    [
        ({}, True, None),
        ({"state": TicketState.REJECTED}, True, "TICKET_CLOSED ticket=T4 state=REJECTED"),
        ({"expires": NOW - seconds(2)}, True, "TICKET_EXPIRED ticket=T4 ago=2.0s"),
        ({"expires": NOW}, True, "TICKET_EXPIRED ticket=T4 ago=0.0s"),
        ({"changed": NOW - seconds(0.399)}, True, "TICKET_JUST_CHANGED ticket=T4 ago=399ms hold=400ms"),
        ({"changed": NOW - seconds(0.4)}, True, None),
        ({"changed": NOW}, False, None),
    ],
)
def test_who_may_answer_when(changes: dict[str, Any], by_hand: bool, text: str | None) -> None:
    found = answerable(ticket(**changes), NOW, SETTINGS, by_hand=by_hand)
    assert (found.text if found else None) == text


@pytest.mark.parametrize(
    ("quantity", "limit", "reason", "text"),
    [
        (None, None, "", None),
        (3, D("3.00"), "", None),
        (2, None, "smaller", None),
        (None, D("2.95"), "patience", None),
        (2, None, " ", "REASON_MISSING ticket=T4"),
        (None, D("2.95"), "", "REASON_MISSING ticket=T4"),
        (1, None, "x", None),
        (0, None, "x", "BAD_QUANTITY quantity=0"),
        (None, D("0.01"), "x", None),
        (None, D("2.955"), "x", "BAD_FIELD at limit limit=2.955 tick=0.01"),
        (None, D("0"), "x", "BAD_FIELD at limit limit=0 tick=0.01"),
    ],
)
def test_an_override_is_whole_on_the_grid_and_has_a_reason(
    quantity: int | None, limit: Decimal | None, reason: str, text: str | None
) -> None:
    found = check_override(ticket(), quantity, limit, reason)
    assert (found.text if found else None) == text


@pytest.mark.parametrize(
    ("policy", "paper", "changes", "approves"),
    [
        (Policy.MANUAL, True, {}, False),
        (Policy.AUTO_PAPER, True, {}, True),
        (Policy.AUTO_PAPER, False, {}, False),
        (Policy.AUTO, False, {}, True),
        (Policy.AUTO, True, {"manual": True}, False),
        (Policy.AUTO_PAPER, True, {"manual": True}, False),
        (Policy.AUTO, True, {"manual": True, "purpose": Purpose.EXIT}, True),
        (Policy.MANUAL, True, {"purpose": Purpose.EXIT}, False),
    ],
)
def test_a_policy_approves_what_no_guard_wants_a_person_for(
    policy: Policy, paper: bool, changes: dict[str, Any], approves: bool
) -> None:
    assert policy_approves(ticket(**changes), policy, paper=paper) is approves


def test_break_even_is_the_strike_and_the_premium() -> None:
    assert break_even(Direction.LONG, D(600), D("3.00")) == 603
    assert break_even(Direction.SHORT, D(600), D("3.00")) == 597


CLOSE = datetime(2026, 11, 18, 21, 0, tzinfo=UTC)


def summary(of: Ticket | None = None, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "quote": quote("3.00", "3.04", NOW - seconds(1.5), bid_size=12, ask_size=34),
        "underlying": quote("599.99", "600.01"),
        "equity": D(100000),
        "day_budget_left": D(1000),
        "same_bets": 2,
        "close": CLOSE,
        "atr": D("1.60"),
    }
    return ticket_summary(of or ticket(), NOW, **{**fields, **changes})


def test_the_strip_says_what_five_seconds_need() -> None:
    found = summary()
    assert (found.bid, found.ask, found.bid_size, found.ask_size, found.quote_age) == (
        D("3.00"),
        D("3.04"),
        12,
        34,
        1.5,
    )
    assert found.limit_ticks == -2
    assert (found.max_loss, found.max_loss_fraction, found.day_budget_left) == (600, D("0.006"), 400)
    assert (found.stop_dollars, found.stop_atr, found.stop_premium) == (2, D("1.25"), D("0.5"))
    assert (found.break_even, found.break_even_move) == (603, 3)
    assert float(found.expected_move) == pytest.approx(600 * 0.20 * (5 / 24 / 365) ** 0.5, abs=0.005)
    assert (found.minutes_to_close, found.same_bets, found.seconds_left) == (300.0, 2, 85.0)


def test_a_puts_break_even_lies_below() -> None:
    put = OptionContract(symbol="SPY", expiry=date(2026, 11, 20), right=Right.PUT, strike=D(600))
    found = summary(ticket(contract=put, direction=Direction.SHORT))
    assert (found.break_even, found.break_even_move) == (597, 3)
    assert summary(ticket(break_even=D(605))).break_even == 605


def test_what_is_not_known_is_absent_from_the_strip() -> None:
    found = summary(
        ticket(plan=None, greeks=None, quote=quote(None, "3.00"), expires=NOW - seconds(1)),
        quote=None, underlying=None, equity=D(0), day_budget_left=None, close=None, atr=None,
    )  # fmt: skip
    absent = (
        found.bid, found.limit_ticks, found.max_loss_fraction, found.day_budget_left, found.stop_dollars,
        found.stop_atr, found.stop_premium, found.break_even_move, found.expected_move, found.minutes_to_close,
    )  # fmt: skip
    assert absent == (None,) * 10
    assert found.seconds_left == 0
    assert summary(atr=None).stop_atr is None
    assert summary(underlying=None).stop_dollars is None
    assert summary(ticket(expires=NOW + seconds(0.5))).seconds_left == 0.5
    assert summary(close=NOW - seconds(1)).expected_move is None
    assert summary(close=NOW).expected_move is None
    assert summary(close=NOW - seconds(1)).minutes_to_close == 0
    assert summary(close=NOW + seconds(30)).minutes_to_close == 0.5
    assert summary(ticket(purpose=Purpose.EXIT)).break_even is None
