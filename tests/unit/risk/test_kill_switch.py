"""One latched state: who may set it, who may release it, and when it sets itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.domain.entities import Halt
from engine.domain.values import Refusal
from engine.risk.kill_switch import automatic, drawdown_limit, halt, resume
from tests.unit.risk.builders import NOW, SETTINGS, D, account, halted

RISK = SETTINGS.risk
LATER = NOW + timedelta(minutes=5)


def test_a_halt_is_latched_with_its_reason() -> None:
    made = halt(None, "http", "news", NOW)
    assert made == Halt(latched=True, by="http", reason="news", since=NOW)
    assert halt(halted(latched=False), "desk", "again", LATER) is not None


def test_the_first_reason_of_a_halt_stands() -> None:
    assert halt(halted(), "http", "another", LATER) is None


@pytest.mark.parametrize(
    ("current", "by", "reason", "text"),
    [
        (None, "desk", "calm", "NOT_HALTED"),
        (halted(latched=False), "desk", "calm", "NOT_HALTED"),
        (halted(), "desk", "  ", "REASON_MISSING command=resume"),
        (halted(), "policy", "calm", "HALTED by=desk reason=lunch resume=only by a person"),
        (halted(), "engine", "calm", "HALTED by=desk reason=lunch resume=only by a person"),
    ],
)
def test_only_a_person_with_a_reason_resumes(current: Halt | None, by: str, reason: str, text: str) -> None:
    found = resume(current, account(), D(100000), by, reason, LATER)
    assert isinstance(found, Refusal)
    assert found.text == text


def test_a_resume_remembers_the_drawdown_that_was_accepted() -> None:
    found = resume(halted(), account(), D(89000), "desk", "I know why", LATER)
    assert isinstance(found, Halt)
    assert (found.latched, found.by, found.since) == (False, "desk", LATER)
    assert (found.accepted_drawdown, found.accepted_peak) == (D("0.11"), D(100000))


@pytest.mark.parametrize(
    ("current", "peak", "limit"),
    [
        (None, 100000, "0.10"),
        (halted(), 100000, "0.10"),
        (halted(latched=False), 100000, "0.10"),
        (halted(latched=False, accepted_drawdown=D("0.02"), accepted_peak=D(100000)), 100000, "0.10"),
        (halted(latched=False, accepted_drawdown=D("0.10"), accepted_peak=D(100000)), 100000, "0.15"),
        (halted(latched=False, accepted_drawdown=D("0.11"), accepted_peak=D(100000)), 100000, "0.16"),
        (halted(latched=False, accepted_drawdown=D("0.11"), accepted_peak=D(100000)), 100001, "0.10"),
    ],
    ids=[
        "never",
        "latched",
        "resumed long ago",
        "resumed above the limit",
        "accepted at it",
        "accepted",
        "a new peak since",
    ],
)
def test_after_a_resume_the_drawdown_halts_again_further_down_until_a_new_peak(
    current: Halt | None, peak: int, limit: str
) -> None:
    assert drawdown_limit(account(peak_equity=D(peak)), current, RISK) == D(limit)


@pytest.mark.parametrize(
    ("equity", "changes", "reason", "numbers"),
    [
        ("90000", {}, "drawdown from the peak", {"drawdown": "10.00%", "limit": "10.00%", "peak": "$100000"}),
        ("97087", {}, "day budget is lost", {"day_loss": "$2913.00", "limit": "3.00%"}),
        ("0", {"peak_equity": D(0)}, None, {}),
        ("97088", {}, None, {}),
        ("100000", {"prior_equity": D(103000)}, "day budget is lost", {"day_loss": "$3000.00", "limit": "3.00%"}),
        ("100000", {}, None, {}),
    ],
)
def test_the_engine_halts_itself_at_its_limits(
    equity: str, changes: dict[str, Any], reason: str | None, numbers: dict[str, str]
) -> None:
    found = automatic(None, account(**changes), D(equity), RISK)
    if reason is None:
        assert found is None
    else:
        assert found is not None
        assert (found.reason, found.numbers) == (reason, numbers)


def test_a_halt_that_is_latched_is_not_latched_again() -> None:
    assert automatic(halted(), account(), D(50000), RISK) is None
